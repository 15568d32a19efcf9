//! The columns of each export: their published names, in order, and how each is read from its row.
//!
//! The names are a contract with those who read the files: only ever add at the end (docs/exports.md). What of the schema is
//! not in any of them is listed, with its reason, in `tests/it/exports`.

use super::Subject;

mod billing;
mod merchant;
mod names;
mod people;

pub(super) use names::Known;
pub(super) use people::NEXT_CHARGE_ON;

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
    Name(Known),
    /// Such a name or nothing.
    OptName(Known),
}

impl Read {
    /// What the values are, as the API names it.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Text | Self::OptText | Self::Name(_) | Self::OptName(_) => "text",
            Self::Number | Self::OptNumber => "integer",
            Self::Flag => "boolean",
            Self::Instant | Self::OptInstant => "instant",
            Self::Json | Self::OptJson => "json",
        }
    }
}

const fn field(name: &'static str, read: Read) -> Field {
    Field { name, read }
}

/// The columns of an export, in order. The first is the id of the row.
pub(super) const fn fields(subject: Subject) -> &'static [Field] {
    match subject {
        Subject::Accounts => &merchant::ACCOUNTS,
        Subject::Customers => &people::CUSTOMERS,
        Subject::Cards => &people::CARDS,
        Subject::Tokens => &people::TOKENS,
        Subject::ThreeDSecureRequests => &people::THREE_D_SECURE_REQUESTS,
        Subject::Plans => &merchant::PLANS,
        Subject::PlanSwitches => &merchant::PLAN_SWITCHES,
        Subject::Subscriptions => &people::SUBSCRIPTIONS,
        Subject::Invoices => &billing::INVOICES,
        Subject::Charges => &billing::CHARGES,
        Subject::ChargeActions => &billing::CHARGE_ACTIONS,
        Subject::DunningCases => &billing::DUNNING_CASES,
        Subject::Ledger => &billing::LEDGER,
        Subject::Events => &merchant::EVENTS,
        Subject::WebhookEndpoints => &merchant::WEBHOOK_ENDPOINTS,
        Subject::WebhookDeliveries => &merchant::WEBHOOK_DELIVERIES,
        Subject::TestClocks => &merchant::TEST_CLOCKS,
    }
}
