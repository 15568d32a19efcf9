//! An invoice as the API shows it, with its charges; and invoices that are not written yet.

use billing::agreement::{Bill, Course};
use billing::id::{AccountId, ChargeId, DerivationKey, InvoiceId};
use billing::invoice::{Line, LineKind, State};
use billing::mode::Mode;
use billing::money::Money;
use billing::renewal::Next;
use billing::tax::TaxedSum;
use db::Tx;
use schemars::JsonSchema;
use serde::Serialize;

use super::ShownRow;
use super::store::shown;
use crate::charges;
use crate::charges::view::ChargeView;
use crate::plans::view::TAX_CATEGORIES;
use crate::subscriptions::SubscriptionRow;
use crate::subscriptions::view::status_of;
use crate::web::ApiError;
use crate::web::list::{is_live, seconds};

/// What a line may be for.
const LINE_KINDS: [&str; 5] = ["plan", "proration", "setup_fee", "sale", "adjustment"];

/// The bill of one period or one sale. Instants in seconds since 1970, amounts in yen with tax.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Invoice")]
pub struct InvoiceView {
    #[schemars(extend("const" = "invoice"))]
    object: &'static str,
    id: String,
    livemode: bool,
    #[schemars(extend("enum" = State::ALL.map(State::as_str)))]
    status: &'static str,
    amount: i64,
    amount_paid: i64,
    /// What is no longer owed of it, or was given back.
    amount_credited: i64,
    /// The part of `amount_paid` that no gateway collected.
    amount_paid_outside: i64,
    #[schemars(extend("const" = "jpy"))]
    currency: &'static str,
    /// When it is, or was, to be charged first.
    due_at: i64,
    /// When it is charged next by itself; null where a person must act, or nobody.
    next_attempt_at: Option<i64>,
    /// When it became a debt; null while it is scheduled.
    issued_at: Option<i64>,
    paid_at: Option<i64>,
    /// What it is for; the end does not belong to it.
    period_start: i64,
    period_end: i64,
    /// Null for a charge of a token.
    customer: Option<String>,
    /// Null for a single sale.
    subscription: Option<String>,
    plan: Option<String>,
    /// The merchant's own note.
    memo: Option<String>,
    /// Why a person skipped it or marked it as paid.
    reason: Option<String>,
    lines: Vec<LineView>,
    /// By rate; empty until it is issued.
    tax: Vec<TaxView>,
    /// The attempts to collect it, newest first. An event of the schedule has only the one that it tells of; read the invoice for
    /// all of them.
    charges: Vec<ChargeView>,
}

/// A row of a bill.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "InvoiceLine")]
struct LineView {
    /// One period of a plan, a part of one, the set-up fee, a single sale, or what makes the sum the one that a person has set.
    #[schemars(with = "String", extend("enum" = LINE_KINDS))]
    kind: LineKind,
    /// Null for a single sale or an adjustment.
    plan: Option<String>,
    #[schemars(with = "i64", range(min = 1))]
    quantity: u32,
    /// In yen with tax; an adjustment may be negative.
    amount: i64,
    #[schemars(extend("enum" = TAX_CATEGORIES))]
    tax_category: &'static str,
    /// The part of the period that is paid, and the whole.
    days: Option<i64>,
    of_days: Option<i64>,
}

/// The tax inside the sum of one rate; `percent` is null where the law exempts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "InvoiceTax")]
struct TaxView {
    percent: Option<i64>,
    /// In yen with tax.
    amount: i64,
    /// The part of `amount` that is tax.
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
    let mut views = of_rows(tx, key, side, vec![row])?;
    views.pop().ok_or_else(|| ApiError::inside("an invoice has one view"))
}

/// Invoices with their charges: two further reads, however many they are.
pub(super) fn of_rows(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: (AccountId, Mode),
    rows: Vec<ShownRow>,
) -> Result<Vec<InvoiceView>, ApiError> {
    let charged: Vec<_> = rows.iter().map(|row| (row.id, row.due_at, row.charge_count)).collect();
    let mut charges = charges::of_invoices(tx, key, side, &charged)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let charges = charges.remove(&row.id).unwrap_or_default();
            of(side.1, row, charges)
        })
        .collect())
}

/// An invoice as the event tells it that gave it this status, with the charge that this came of: what happened to it later is
/// left out.
pub fn told(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    id: InvoiceId,
    (state, charge): (State, Option<ChargeView>),
) -> Result<Option<InvoiceView>, db::Error> {
    let row = shown::find_many(tx, side, &[id])?.pop();
    Ok(row.map(|row| {
        let is_paid = state == State::Paid;
        let (amount_paid, amount_outside) =
            if is_paid { (row.amount_paid, row.amount_outside) } else { (0, 0) };
        let paid_at = row.paid_at.filter(|_| is_paid);
        let then = ShownRow {
            state,
            amount_paid,
            amount_outside,
            amount_credited: 0,
            paid_at,
            next_action_at: None,
            reason: None,
            ..row
        };
        of(side.1, then, charge.into_iter().collect())
    }))
}

fn of(mode: Mode, row: ShownRow, charges: Vec<ChargeView>) -> InvoiceView {
    InvoiceView {
        object: "invoice",
        id: row.id.to_string(),
        livemode: is_live(mode),
        status: row.state.as_str(),
        amount: row.amount.minor,
        amount_paid: row.amount_paid,
        amount_credited: row.amount_credited,
        amount_paid_outside: row.amount_outside,
        currency: row.amount.currency.code(),
        due_at: seconds(row.due_at),
        next_attempt_at: row.next_action_at.map(seconds),
        issued_at: row.opened_at.map(seconds),
        paid_at: row.paid_at.map(seconds),
        period_start: seconds(row.period.start),
        period_end: seconds(row.period.end),
        customer: row.customer,
        subscription: row.subscription.map(|id| id.to_string()),
        plan: row.plan,
        memo: row.memo,
        reason: row.reason,
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

/// Where a subscription may stand afterwards.
const STATUSES_AFTER: [&str; 6] = ["active", "trial", "canceled", "paused", "past_due", "deleted"];

/// What would come of a subscription.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "InvoicePreview")]
pub(super) struct PreviewView {
    #[schemars(extend("const" = "invoice_preview"))]
    object: &'static str,
    livemode: bool,
    subscription: String,
    /// Of the subscription afterwards; `deleted` if it would be gone.
    #[schemars(extend("enum" = STATUSES_AFTER))]
    status: &'static str,
    current_period_start: i64,
    current_period_end: i64,
    /// When it would be deleted by itself.
    ends_at: Option<i64>,
    /// What the change would charge at once.
    due_now: Option<DueView>,
    /// What a deletion with prorate=true would give back.
    refund: Option<RefundView>,
    /// Those that come by the schedule, the next one first.
    invoices: Vec<NextView>,
}

impl PreviewView {
    /// The subscription as it stands; after a cancel it ends at `ends_at`.
    pub(super) fn new(mode: Mode, row: &SubscriptionRow, ends_at: Option<jiff::Timestamp>) -> Self {
        let second = |micros: i64| micros.div_euclid(1_000_000);
        Self {
            object: "invoice_preview",
            livemode: is_live(mode),
            subscription: row.id.to_string(),
            status: status_of(row.state),
            current_period_start: second(row.period.0),
            current_period_end: second(row.period.1),
            ends_at: ends_at.map(seconds),
            due_now: None,
            refund: None,
            invoices: Vec::new(),
        }
    }

    /// The same as `course` would leave it, after `due_now` is paid.
    pub(super) fn changed(self, course: &Course, due_now: Option<DueView>) -> Self {
        Self {
            status: status_of(course.state),
            current_period_start: seconds(course.period.start),
            current_period_end: seconds(course.period.end),
            ends_at: course.ends_at.map(seconds),
            due_now,
            ..self
        }
    }

    /// The same, deleted.
    pub(super) fn deleted(self, refund: Option<RefundView>) -> Self {
        Self { status: "deleted", ends_at: None, refund, ..self }
    }

    /// The same with the invoices that come.
    pub(super) fn with_invoices(self, invoices: Vec<NextView>) -> Self {
        Self { invoices, ..self }
    }
}

/// What would be paid inside the request: a bill that it makes, or the open invoice that is named.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "InvoiceDue")]
pub(super) struct DueView {
    /// The open invoice that it is; null for a new one.
    invoice: Option<String>,
    amount: i64,
    #[schemars(extend("const" = "jpy"))]
    currency: &'static str,
    period_start: i64,
    period_end: i64,
    lines: Vec<LineView>,
    tax: Vec<TaxView>,
}

impl DueView {
    pub(super) fn bill(bill: Bill) -> Self {
        Self {
            invoice: None,
            amount: bill.amount.minor,
            currency: bill.amount.currency.code(),
            period_start: seconds(bill.cycle.period.start),
            period_end: seconds(bill.cycle.period.end),
            lines: bill.lines.into_iter().map(line_of).collect(),
            tax: bill.tax.into_iter().map(tax_of).collect(),
        }
    }

    pub(super) fn open(open: ShownRow) -> Self {
        Self {
            invoice: Some(open.id.to_string()),
            amount: open.owed().minor,
            currency: open.amount.currency.code(),
            period_start: seconds(open.period.start),
            period_end: seconds(open.period.end),
            lines: open.lines.into_iter().map(line_of).collect(),
            tax: open.tax.into_iter().map(tax_of).collect(),
        }
    }
}

/// What would be given back.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "InvoiceRefund")]
pub(super) struct RefundView {
    charge: String,
    amount: i64,
    #[schemars(extend("const" = "jpy"))]
    currency: &'static str,
}

impl RefundView {
    pub(super) fn new(charge: ChargeId, amount: Money) -> Self {
        Self { charge: charge.to_string(), amount: amount.minor, currency: amount.currency.code() }
    }
}

/// An invoice that is still to come.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "InvoiceToCome")]
pub(super) struct NextView {
    amount: i64,
    #[schemars(extend("const" = "jpy"))]
    currency: &'static str,
    due_at: i64,
    period_start: i64,
    period_end: i64,
    lines: Vec<LineView>,
    tax: Vec<TaxView>,
}

impl NextView {
    pub(super) fn new(next: Next, tax: Vec<TaxedSum>) -> Self {
        Self {
            amount: next.amount.minor,
            currency: next.amount.currency.code(),
            due_at: seconds(next.cycle.charge_at),
            period_start: seconds(next.cycle.period.start),
            period_end: seconds(next.cycle.period.end),
            lines: next.lines.into_iter().map(line_of).collect(),
            tax: tax.into_iter().map(tax_of).collect(),
        }
    }
}
