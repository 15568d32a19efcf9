//! An invoice as the API shows it, with its charges.

use billing::id::{AccountId, DerivationKey};
use billing::invoice::{Line, LineKind};
use billing::mode::Mode;
use billing::tax::TaxedSum;
use db::Tx;
use serde::Serialize;

use super::store;
use crate::charges;
use crate::charges::view::ChargeView;
use crate::web::ApiError;
use crate::web::list::{is_live, seconds};

/// Instants in seconds, amounts in yen with tax.
#[derive(Clone, Debug, Serialize)]
pub struct InvoiceView {
    object: &'static str,
    id: String,
    livemode: bool,
    status: &'static str,
    amount: i64,
    amount_paid: i64,
    amount_credited: i64,
    currency: &'static str,
    due_at: i64,
    issued_at: Option<i64>,
    paid_at: Option<i64>,
    period_start: i64,
    period_end: i64,
    customer: Option<String>,
    subscription: Option<String>,
    plan: Option<String>,
    lines: Vec<LineView>,
    tax: Vec<TaxView>,
    charges: Vec<ChargeView>,
}

#[derive(Clone, Debug, Serialize)]
struct LineView {
    kind: LineKind,
    plan: Option<String>,
    quantity: u32,
    amount: i64,
    tax_category: &'static str,
    /// The part of the period that is paid, and the whole.
    days: Option<i64>,
    of_days: Option<i64>,
}

/// The tax inside the sum of one rate; `percent` is null where the law exempts.
#[derive(Clone, Debug, Serialize)]
struct TaxView {
    percent: Option<i64>,
    amount: i64,
    tax: i64,
}

/// The invoice `id`. Error: the account has none.
pub(super) fn get(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: (AccountId, Mode),
    id: &str,
) -> Result<InvoiceView, ApiError> {
    let row = super::find(tx, side, id)?;
    let charges = charges::of_invoice(tx, key, side, (row.id, row.due_at, row.charge_count))?;
    Ok(of(side.1, row, charges))
}

fn of(mode: Mode, row: store::ShownRow, charges: Vec<ChargeView>) -> InvoiceView {
    InvoiceView {
        object: "invoice",
        id: row.id.to_string(),
        livemode: is_live(mode),
        status: row.state.as_str(),
        amount: row.amount.minor,
        amount_paid: row.amount_paid,
        amount_credited: row.amount_credited,
        currency: row.amount.currency.code(),
        due_at: seconds(row.due_at),
        issued_at: row.opened_at.map(seconds),
        paid_at: row.paid_at.map(seconds),
        period_start: seconds(row.period.start),
        period_end: seconds(row.period.end),
        customer: row.customer,
        subscription: row.subscription.map(|id| id.to_string()),
        plan: row.plan,
        lines: row.lines.into_iter().map(line_of).collect(),
        tax: row.tax.into_iter().map(tax_of).collect(),
        charges,
    }
}

fn line_of(line: Line) -> LineView {
    LineView {
        kind: line.kind,
        plan: Some(line.plan).filter(|plan| !plan.is_empty()),
        quantity: line.quantity,
        amount: line.amount,
        tax_category: line.tax_category.as_str(),
        days: line.share.map(|share| share.days),
        of_days: line.share.map(|share| share.of_days),
    }
}

fn tax_of(sum: TaxedSum) -> TaxView {
    TaxView { percent: sum.percent, amount: sum.gross.minor, tax: sum.tax.minor }
}
