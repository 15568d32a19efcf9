//! Columns of what the merchant has set up, and of what has happened.

use super::names::{
    calendar, clock_status, currency, delivery_status, disabled_reason, endpoint_status, first_charge,
    interval, rate_limits, renewal_failure, switch_status, tax_category,
};
use super::{Field, Read, field};

pub(super) static ACCOUNTS: [Field; 11] = [
    field("account_id", Read::Text),
    field("name", Read::Text),
    field("email", Read::OptText),
    field("zone", Read::Text),
    field("charge_window", Read::Text),
    field("tax_rounding", Read::Text),
    field("calendar", Read::Name(calendar)),
    field("renewal_failure", Read::Name(renewal_failure)),
    field("rate_limits", Read::Name(rate_limits)),
    field("test_clock_id", Read::OptText),
    field("created_at", Read::Instant),
];

pub(super) static PLANS: [Field; 15] = [
    field("plan_id", Read::Text),
    field("name", Read::OptText),
    field("amount", Read::Number),
    field("currency", Read::Name(currency)),
    field("tax_category", Read::Name(tax_category)),
    field("interval", Read::Name(interval)),
    field("interval_count", Read::Number),
    field("billing_day", Read::OptNumber),
    field("trial_days", Read::Number),
    field("setup_fee", Read::Number),
    field("instalments", Read::OptNumber),
    field("first_charge", Read::Name(first_charge)),
    field("metadata", Read::Json),
    field("created_at", Read::Instant),
    field("deleted_at", Read::OptInstant),
];

pub(super) static PLAN_SWITCHES: [Field; 13] = [
    field("plan_switch_id", Read::Text),
    field("plan_id", Read::Text),
    field("next_plan_id", Read::Text),
    field("effective_at", Read::Instant),
    field("status", Read::Name(switch_status)),
    field("excluded", Read::Json),
    field("subscriptions", Read::Number),
    field("amount_before", Read::Number),
    field("amount_after", Read::Number),
    field("created_by", Read::Text),
    field("undone_by", Read::OptText),
    field("undone_at", Read::OptInstant),
    field("created_at", Read::Instant),
];

pub(super) static TEST_CLOCKS: [Field; 8] = [
    field("test_clock_id", Read::Text),
    field("name", Read::OptText),
    field("status", Read::Name(clock_status)),
    field("started_at", Read::Instant),
    field("frozen_time", Read::Instant),
    field("target_time", Read::OptInstant),
    field("created_at", Read::Instant),
    field("deleted_at", Read::OptInstant),
];

pub(super) static EVENTS: [Field; 10] = [
    field("event_id", Read::Text),
    field("history_id", Read::Text),
    field("number", Read::Number),
    field("type", Read::Text),
    field("object_id", Read::Text),
    field("data", Read::Json),
    field("billing_at", Read::Instant),
    field("recorded_at", Read::Instant),
    field("test_clock_id", Read::OptText),
    field("test_clock_deleted_at", Read::OptInstant),
];

pub(super) static WEBHOOK_ENDPOINTS: [Field; 10] = [
    field("webhook_endpoint_id", Read::Text),
    field("url", Read::Text),
    field("description", Read::OptText),
    field("enabled_events", Read::OptJson),
    field("status", Read::Name(endpoint_status)),
    field("disabled_reason", Read::OptName(disabled_reason)),
    field("failing_since", Read::OptInstant),
    field("former_secret_until", Read::OptInstant),
    field("created_at", Read::Instant),
    field("deleted_at", Read::OptInstant),
];

pub(super) static WEBHOOK_DELIVERIES: [Field; 13] = [
    field("webhook_delivery_id", Read::Text),
    field("webhook_endpoint_id", Read::Text),
    field("event_id", Read::Text),
    field("event_type", Read::Text),
    field("status", Read::Name(delivery_status)),
    field("attempts", Read::Number),
    field("next_attempt_at", Read::OptInstant),
    field("last_attempt_at", Read::OptInstant),
    field("last_status", Read::OptNumber),
    field("last_error", Read::OptText),
    field("last_duration_ms", Read::OptNumber),
    field("created_at", Read::Instant),
    field("finished_at", Read::OptInstant),
];
