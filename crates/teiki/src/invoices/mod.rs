//! Invoices: the bill and the debt; also the work list of the schedule.

use billing::id::{AccountId, DerivationKey, InvoiceId, SubscriptionId};
use billing::invoice::{Line, State, cycle_obligation};
use billing::mode::Mode;
use billing::money::{Currency, Money};
use billing::renewal::Next;
use billing::tax::TaxedSum;
use db::Tx;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use crate::charges::settle::Times;
use crate::line::Scope;
use crate::stored::unreadable;
use crate::web::ApiError;

pub mod api;
mod editing;
mod listing;
mod preview;
pub mod scheduled;
mod store;
pub mod view;

pub use store::shown::ShownRow;

/// A scheduled invoice (予約中) to be written.
#[derive(Clone, Debug)]
pub struct NewScheduled {
    /// Whose.
    pub account: AccountId,
    /// Test or live.
    pub mode: Mode,
    /// The time it lives in: [`crate::accounts::REAL_CLOCK`] or a test clock.
    pub clock: String,
    /// Who pays.
    pub customer: String,
    /// The agreement that it belongs to.
    pub subscription: SubscriptionId,
    /// The plan of its period.
    pub plan: String,
    /// Its dates, amount and lines.
    pub next: Next,
}

impl NewScheduled {
    /// The obligation that it is for: unique in its slot.
    pub fn obligation(&self) -> String {
        cycle_obligation(self.subscription, self.next.cycle.number)
    }

    /// Its id, derived from the obligation and its due instant.
    pub fn id(&self, key: &DerivationKey, obligation: &str) -> InvoiceId {
        InvoiceId::derive(key, obligation, self.subscription.slot(), self.next.cycle.charge_at, 0)
    }
}

/// Tax per rate as stored: `[{"percent":10,"gross":980,"tax":89}]`; percent is null for exempt.
pub fn tax_json(sums: &[TaxedSum]) -> String {
    let percent = |sum: &TaxedSum| sum.percent.map_or("null".to_owned(), |percent| percent.to_string());
    let rows: Vec<String> = sums
        .iter()
        .map(|sum| {
            format!(
                "{{\"percent\":{},\"gross\":{},\"tax\":{}}}",
                percent(sum),
                sum.gross.minor,
                sum.tax.minor
            )
        })
        .collect();
    format!("[{}]", rows.join(","))
}

/// What [`tax_json`] wrote, in the invoice's currency. Error: it does not read.
pub fn tax_from_json(text: &str, currency: Currency) -> Result<Vec<TaxedSum>, db::Error> {
    #[derive(Deserialize)]
    struct Row {
        percent: Option<i64>,
        gross: i64,
        tax: i64,
    }
    let rows: Vec<Row> =
        serde_json::from_str(text).map_err(|_| unreadable("invoices.tax", "tax per rate", text))?;
    Ok(rows
        .into_iter()
        .map(|row| TaxedSum {
            percent: row.percent,
            gross: Money::new(row.gross, currency),
            tax: Money::new(row.tax, currency),
        })
        .collect())
}

/// An invoice that a request makes and charges at once.
#[derive(Clone, Debug)]
pub struct NewRequested {
    /// Its id.
    pub id: InvoiceId,
    /// Who pays, when it is a customer.
    pub customer: Option<String>,
    /// The agreement that it belongs to; a single sale has none.
    pub subscription: Option<SubscriptionId>,
    /// The plan of its period.
    pub plan: Option<String>,
    /// What it is for: unique in its slot.
    pub obligation: String,
    /// The cycle of its period.
    pub cycle: u32,
    /// How much.
    pub amount: Money,
    /// Its lines; they add up to `amount`.
    pub lines: Vec<Line>,
    /// Tax per rate.
    pub tax: Vec<TaxedSum>,
    /// Its day in the account's zone.
    pub due_on: Date,
    /// The service it pays for; a single sale has none, and its instant twice.
    pub period: (Timestamp, Timestamp),
    /// What its payment does to the subscription, as JSON.
    pub on_paid: Option<String>,
}

/// 400: nothing can be paid, waived or marked as paid of an invoice that stands so.
pub(crate) fn not_open(id: &str, state: State) -> ApiError {
    let why = match state {
        State::Scheduled => {
            "is scheduled: it is charged when it is due, and a new due_at brings that forward"
        }
        State::Open => "is of a single charge, which is under way: read that",
        State::Paid => "is paid: nothing is owed",
        State::Void => "is void: nobody owes it",
        State::Uncollectible => {
            "was given up with its subscription; if it was paid after all, mark it as paid"
        }
    };
    ApiError::client("invoice_not_open", format!("The invoice {id} {why}."))
}

/// The invoice `id`. Error: the account has none.
pub fn find(tx: &mut Tx<'_>, side: (AccountId, Mode), id: &str) -> Result<ShownRow, ApiError> {
    let none = || ApiError::not_found("invoice", id);
    let parsed: InvoiceId = id.parse().map_err(|_| none())?;
    find_any(tx, side, parsed)?.ok_or_else(none)
}

/// The invoice `id`, if the account has it.
pub fn find_any(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    id: InvoiceId,
) -> Result<Option<ShownRow>, db::Error> {
    Ok(store::shown::find_many(tx, side, &[id])?.pop())
}

/// Writes an invoice of a request in the caller's transaction, open and charged once.
pub fn insert_requested(
    tx: &mut Tx<'_>,
    scope: &Scope,
    invoice: &NewRequested,
    times: Times,
) -> Result<(), db::Error> {
    store::insert_requested(tx, scope, invoice, times)
}

/// Writes scheduled invoices in the caller's transaction. `now` is real time.
pub fn insert_scheduled(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    invoices: &[NewScheduled],
    now: Timestamp,
) -> Result<(), db::Error> {
    store::insert_scheduled(tx, key, invoices, now)
}
