//! The columns of each export: their published names, in order, and how each is read from its row.
//!
//! The names are a contract with those who read the files: only ever add at the end (docs/exports.md).

use billing::ledger::Account;
use billing::money::Currency;
use billing::{charge, decline, invoice, subscription};

use super::Subject;

/// One column.
pub(super) struct Field {
    /// Its published name.
    pub(super) name: &'static str,
    /// How it is read.
    pub(super) read: Read,
}

/// How a column is read, and what may stand in it.
#[derive(Clone, Copy)]
pub(super) enum Read {
    /// Text that is always there.
    Text,
    /// Text or nothing.
    OptText,
    /// A whole number.
    Number,
    /// A whole number or nothing.
    OptNumber,
    /// True or false.
    Flag,
    /// An instant, shown as RFC 3339 in UTC.
    Instant,
    /// An instant or nothing.
    OptInstant,
    /// A JSON document.
    Json,
    /// A JSON document or nothing.
    OptJson,
    /// A name that some version has written, and how it is shown.
    Name(fn(&str) -> Option<&'static str>),
    /// Such a name or nothing.
    OptName(fn(&str) -> Option<&'static str>),
}

const fn field(name: &'static str, read: Read) -> Field {
    Field { name, read }
}

/// The columns of an export, in order. The first is the id of the row.
pub(super) const fn fields(subject: Subject) -> &'static [Field] {
    match subject {
        Subject::Charges => &CHARGES,
        Subject::Invoices => &INVOICES,
        Subject::Subscriptions => &SUBSCRIPTIONS,
        Subject::Ledger => &LEDGER,
        Subject::Events => &EVENTS,
    }
}

static CHARGES: [Field; 18] = [
    field("charge_id", Read::Text),
    field("invoice_id", Read::Text),
    field("customer_id", Read::OptText),
    field("subscription_id", Read::OptText),
    field("plan_id", Read::OptText),
    field("cycle", Read::Number),
    field("due_on", Read::Text),
    field("amount", Read::Number),
    field("currency", Read::Name(currency)),
    field("status", Read::Name(charge_status)),
    field("surplus", Read::Flag),
    field("failure_code", Read::OptText),
    field("failure_class", Read::OptName(failure_class)),
    field("gateway_charge_id", Read::OptText),
    field("idempotency_key", Read::Text),
    field("billing_at", Read::Instant),
    field("created_at", Read::Instant),
    field("settled_at", Read::OptInstant),
];

static INVOICES: [Field; 23] = [
    field("invoice_id", Read::Text),
    field("customer_id", Read::OptText),
    field("subscription_id", Read::OptText),
    field("plan_id", Read::OptText),
    field("cycle", Read::Number),
    field("obligation", Read::Text),
    field("status", Read::Name(invoice_status)),
    field("amount", Read::Number),
    field("amount_paid", Read::Number),
    field("amount_credited", Read::Number),
    field("tax", Read::OptJson),
    field("currency", Read::Name(currency)),
    field("due_on", Read::Text),
    field("due_at", Read::Instant),
    field("period_start", Read::Instant),
    field("period_end", Read::Instant),
    field("next_action_at", Read::OptInstant),
    field("opened_at", Read::OptInstant),
    field("paid_at", Read::OptInstant),
    field("created_at", Read::Instant),
    field("amount_paid_outside", Read::Number),
    field("memo", Read::OptText),
    field("reason", Read::OptText),
];

/// Where `next_charge_on` stands among the columns of subscriptions: it comes from another statement.
pub(super) const NEXT_CHARGE_ON: usize = 8;

static SUBSCRIPTIONS: [Field; 17] = [
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
];

static LEDGER: [Field; 9] = [
    field("entry_id", Read::Text),
    field("posted_at", Read::Instant),
    field("kind", Read::Text),
    field("invoice_id", Read::Text),
    field("charge_id", Read::OptText),
    field("debit", Read::Name(ledger_account)),
    field("credit", Read::Name(ledger_account)),
    field("amount", Read::Number),
    field("currency", Read::Name(currency)),
];

static EVENTS: [Field; 8] = [
    field("event_id", Read::Text),
    field("history_id", Read::Text),
    field("number", Read::Number),
    field("type", Read::Text),
    field("object_id", Read::Text),
    field("data", Read::Json),
    field("billing_at", Read::Instant),
    field("recorded_at", Read::Instant),
];

fn currency(name: &str) -> Option<&'static str> {
    name.parse::<Currency>().ok().map(Currency::code)
}

fn charge_status(name: &str) -> Option<&'static str> {
    charge::State::from_stored(name).map(charge::State::as_str)
}

fn invoice_status(name: &str) -> Option<&'static str> {
    invoice::State::from_stored(name).map(invoice::State::as_str)
}

/// The states in the words of PAY.JP's dialect, where a subscription before its first charge is `trial`.
fn subscription_status(name: &str) -> Option<&'static str> {
    let state = subscription::State::ALL.into_iter().find(|state| state.as_str() == name)?;
    Some(match state {
        subscription::State::Trialing => "trial",
        subscription::State::Active
        | subscription::State::PastDue
        | subscription::State::Paused
        | subscription::State::Canceled(_) => state.as_str(),
    })
}

fn cancel_reason(name: &str) -> Option<&'static str> {
    subscription::State::ALL
        .into_iter()
        .filter_map(subscription::State::cancel_reason)
        .map(subscription::CancelReason::as_str)
        .find(|reason| *reason == name)
}

fn failure_class(name: &str) -> Option<&'static str> {
    use decline::DeclineClass as Class;
    [
        Class::Funds,
        Class::Limit,
        Class::Generic,
        Class::Technical,
        Class::CardData,
        Class::NeedsCustomer,
        Class::MerchantFault,
        Class::Hard,
    ]
    .into_iter()
    .map(Class::as_str)
    .find(|class| *class == name)
}

fn ledger_account(name: &str) -> Option<&'static str> {
    Account::ALL.into_iter().map(Account::as_str).find(|account| *account == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_charge_stands_where_it_is_said_to() {
        assert_eq!(SUBSCRIPTIONS[NEXT_CHARGE_ON].name, "next_charge_on");
    }

    #[test]
    fn a_subscription_before_its_first_charge_is_shown_as_trial() {
        assert_eq!(subscription_status("trialing"), Some("trial"));
        assert_eq!(subscription_status("past_due"), Some("past_due"));
        assert_eq!(subscription_status("trial"), None);
    }
}
