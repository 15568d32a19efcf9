//! Columns of those who pay, what they pay with, and what they have subscribed to.

use super::names::{calendar, cancel_reason, renewal_failure, subscription_status, three_d_secure};
use super::{Field, Read, field};

pub(super) static CUSTOMERS: [Field; 9] = [
    field("customer_id", Read::Text),
    field("name", Read::OptText),
    field("email", Read::OptText),
    field("description", Read::OptText),
    field("metadata", Read::Json),
    field("default_card_id", Read::OptText),
    field("test_clock_id", Read::OptText),
    field("created_at", Read::Instant),
    field("deleted_at", Read::OptInstant),
];

pub(super) static CARDS: [Field; 10] = [
    field("card_id", Read::Text),
    field("customer_id", Read::OptText),
    field("gateway", Read::OptText),
    field("brand", Read::Text),
    field("last4", Read::Text),
    field("expires_on", Read::OptText),
    field("details", Read::Json),
    field("metadata", Read::Json),
    field("created_at", Read::Instant),
    field("deleted_at", Read::OptInstant),
];

pub(super) static TOKENS: [Field; 6] = [
    field("token_id", Read::Text),
    field("card_id", Read::Text),
    field("created_at", Read::Instant),
    field("made_at", Read::Instant),
    field("used_at", Read::OptInstant),
    field("confirmed_at", Read::OptInstant),
];

pub(super) static THREE_D_SECURE_REQUESTS: [Field; 7] = [
    field("three_d_secure_request_id", Read::Text),
    field("card_id", Read::Text),
    field("status", Read::Name(three_d_secure)),
    field("created_at", Read::Instant),
    field("made_at", Read::Instant),
    field("started_at", Read::OptInstant),
    field("finished_at", Read::OptInstant),
];

/// Where `next_charge_on` stands among the columns of subscriptions: it comes from another statement.
pub(in crate::exports) const NEXT_CHARGE_ON: usize = 8;

pub(super) static SUBSCRIPTIONS: [Field; 35] = [
    field("subscription_id", Read::Text),
    field("customer_id", Read::Text),
    field("name", Read::OptText),
    field("email", Read::OptText),
    field("plan_id", Read::Text),
    field("status", Read::Name(subscription_status)),
    field("cancel_reason", Read::OptName(cancel_reason)),
    field("billing_anchor", Read::Text),
    field("next_charge_on", Read::OptText),
    field("remaining", Read::OptNumber),
    field("valid_until", Read::OptText),
    field("parked_reason", Read::OptText),
    field("payment_method_brand", Read::OptText),
    field("payment_method_last4", Read::OptText),
    field("payment_method_expires_on", Read::OptText),
    field("started_at", Read::Instant),
    field("created_at", Read::Instant),
    field("quantity", Read::Number),
    field("card_id", Read::OptText),
    field("next_plan_id", Read::OptText),
    field("next_plan_from", Read::OptInstant),
    field("plan_switch_id", Read::OptText),
    field("calendar", Read::Name(calendar)),
    field("renewal_failure", Read::Name(renewal_failure)),
    field("prorate", Read::Flag),
    field("period_start", Read::Instant),
    field("period_end", Read::Instant),
    field("trial_start", Read::OptInstant),
    field("trial_end", Read::OptInstant),
    field("paused_at", Read::OptInstant),
    field("canceled_at", Read::OptInstant),
    field("resumed_at", Read::OptInstant),
    field("metadata", Read::Json),
    field("test_clock_id", Read::OptText),
    field("deleted_at", Read::OptInstant),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_charge_stands_where_it_is_said_to() {
        assert_eq!(SUBSCRIPTIONS[NEXT_CHARGE_ON].name, "next_charge_on");
    }
}
