//! Invoices: the bill and the debt; also the work list of the schedule.

use billing::id::{AccountId, DerivationKey, InvoiceId, SubscriptionId};
use billing::invoice::cycle_obligation;
use billing::mode::Mode;
use billing::money::{Currency, Money};
use billing::renewal::Next;
use billing::tax::TaxedSum;
use db::Tx;
use jiff::Timestamp;
use serde::Deserialize;

use crate::stored::unreadable;

mod store;

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

/// Writes scheduled invoices in the caller's transaction. `now` is real time.
pub fn insert_scheduled(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    invoices: &[NewScheduled],
    now: Timestamp,
) -> Result<(), db::Error> {
    store::insert_scheduled(tx, key, invoices, now)
}
