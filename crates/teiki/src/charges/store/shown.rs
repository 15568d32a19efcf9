//! SQL of charges as the API shows them.

use billing::calendar::Period;
use billing::charge::State;
use billing::id::{AccountId, ChargeId, InvoiceId, PaymentMethodId, Slot, SubscriptionId};
use billing::invoice::{Line, LineKind};
use billing::mode::Mode;
use billing::money::Money;
use billing::three_d_secure::Status;
use db::{Column, Error, Row, Tx, Value};

use crate::charges::collected::Collected;
use crate::stored::{instant, parsed, slots, unreadable};
use crate::web::list::{Page, Place};

/// A charge as it is shown. Instants in microseconds of billing time.
#[derive(Clone, Debug)]
pub(in crate::charges) struct ShownRow {
    pub(in crate::charges) id: ChargeId,
    pub(in crate::charges) customer: Option<String>,
    pub(in crate::charges) subscription: Option<SubscriptionId>,
    pub(in crate::charges) invoice: InvoiceId,
    pub(in crate::charges) payment_method: PaymentMethodId,
    pub(in crate::charges) clock: String,
    pub(in crate::charges) state: State,
    pub(in crate::charges) surplus: bool,
    pub(in crate::charges) amount: i64,
    pub(in crate::charges) currency: String,
    pub(in crate::charges) failure_code: Option<String>,
    pub(in crate::charges) capture: bool,
    pub(in crate::charges) captured_at: Option<i64>,
    pub(in crate::charges) amount_refunded: i64,
    pub(in crate::charges) refund_reason: Option<String>,
    pub(in crate::charges) expires_at: Option<i64>,
    pub(in crate::charges) description: Option<String>,
    pub(in crate::charges) metadata: Option<String>,
    pub(in crate::charges) billing_at: i64,
    pub(in crate::charges) created_at: i64,
    pub(in crate::charges) three_d_secure: Option<Status>,
    /// When the merchant finished its 3-D Secure, and it was sent.
    pub(in crate::charges) confirmed_at: Option<i64>,
}

impl ShownRow {
    pub(in crate::charges) fn place(&self) -> Place {
        Place { created_at: self.billing_at, sequence: self.created_at, id: self.id.to_string() }
    }
}

pub(in crate::charges) fn find_many(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    ids: &[ChargeId],
) -> Result<Vec<ShownRow>, Error> {
    let rows = tx.select_many(
        "select id, customer_id, subscription_id, invoice_id, payment_method_id, clock_id, status, surplus, amount, currency,
                failure_code, capture, captured_at, amount_refunded, refund_reason, expires_at, description, metadata,
                billing_at, created_at, three_d_secure_status, confirmed_at
         from charges where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            slots(ids.iter().map(ChargeId::slot)),
            Column::Text(ids.iter().map(ChargeId::as_str).collect()),
            Column::Text(vec![account.as_str(); ids.len()]),
            Column::Text(vec![mode.as_str(); ids.len()]),
        ],
    )?;
    rows.iter().map(|(_, row)| shown_of(row)).collect()
}

pub(in crate::charges) fn list(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    (page, from): (&Page, &Place),
) -> Result<Vec<ShownRow>, Error> {
    let rows = tx.query(
        "select id, customer_id, subscription_id, invoice_id, payment_method_id, clock_id, status, surplus, amount, currency,
                failure_code, capture, captured_at, amount_refunded, refund_reason, expires_at, description, metadata,
                billing_at, created_at, three_d_secure_status, confirmed_at
         from charges
         where account_id = $1 and mode = $2 and (billing_at, created_at, id) < ($3, $4, $5)
               and billing_at >= $6 and billing_at <= $7
         order by billing_at desc, created_at desc, id desc limit $8 offset $9",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::I64(from.created_at),
            Value::I64(from.sequence),
            Value::Text(&from.id),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::I64(page.rows()),
            Value::I64(page.offset),
        ],
    )?;
    rows.iter().map(shown_of).collect()
}

/// The single sales of a customer, newest first; at most `limit`.
pub(in crate::charges) fn sales_of(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    customer: &str,
    (page, from): (&Page, &Place),
    limit: i64,
) -> Result<Vec<ShownRow>, Error> {
    let rows = tx.query(
        "select id, customer_id, subscription_id, invoice_id, payment_method_id, clock_id, status, surplus, amount, currency,
                failure_code, capture, captured_at, amount_refunded, refund_reason, expires_at, description, metadata,
                billing_at, created_at, three_d_secure_status, confirmed_at
         from charges
         where slot = $1 and account_id = $2 and mode = $3 and customer_id = $4 and subscription_id is null
               and (billing_at, created_at, id) < ($5, $6, $7) and billing_at >= $8 and billing_at <= $9
         order by billing_at desc, created_at desc, id desc limit $10",
        &[
            Value::I64(Slot::of_key(customer).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(customer),
            Value::I64(from.created_at),
            Value::I64(from.sequence),
            Value::Text(&from.id),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::I64(limit),
        ],
    )?;
    rows.iter().map(shown_of).collect()
}

fn shown_of(row: &Row) -> Result<ShownRow, Error> {
    let status = row.str(6)?;
    let subscription = match row.opt_str(2)? {
        Some(_) => Some(parsed(row, 2, "charges.subscription_id", "an id")?),
        None => None,
    };
    Ok(ShownRow {
        id: parsed(row, 0, "charges.id", "an id")?,
        customer: row.opt_text(1)?,
        subscription,
        invoice: parsed(row, 3, "charges.invoice_id", "an id")?,
        payment_method: parsed(row, 4, "charges.payment_method_id", "an id")?,
        clock: row.text(5)?,
        state: State::from_stored(status).ok_or_else(|| unreadable("charges.status", "a status", status))?,
        surplus: row.bool(7)?,
        amount: row.i64(8)?,
        currency: row.text(9)?,
        failure_code: row.opt_text(10)?,
        capture: row.bool(11)?,
        captured_at: row.opt_i64(12)?,
        amount_refunded: row.i64(13)?,
        refund_reason: row.opt_text(14)?,
        expires_at: row.opt_i64(15)?,
        description: row.opt_text(16)?,
        metadata: row.opt_text(17)?,
        billing_at: row.i64(18)?,
        created_at: row.i64(19)?,
        three_d_secure: opt_status(row, 20)?,
        confirmed_at: row.opt_i64(21)?,
    })
}

/// Column `i` as how it stands with the card holder; `None` without 3-D Secure.
pub(super) fn opt_status(row: &Row, i: usize) -> Result<Option<Status>, Error> {
    let read = |name: &str| {
        Status::from_stored(name).ok_or_else(|| unreadable("charges.three_d_secure_status", "a status", name))
    };
    row.opt_str(i)?.map(read).transpose()
}

/// An invoice of a subscription, as far as its charges' ids follow from it.
pub(in crate::charges) struct Billed {
    pub(in crate::charges) invoice: InvoiceId,
    pub(in crate::charges) due_at: i64,
    pub(in crate::charges) charge_count: i64,
}

/// The invoices for these obligations that have been charged.
pub(in crate::charges) fn billed(
    tx: &mut Tx<'_>,
    slot: Slot,
    obligations: &[String],
) -> Result<Vec<Billed>, Error> {
    let rows = tx.select_many(
        "select id, due_at, charge_count from invoices where slot = $1 and obligation = $2 and charge_count > 0",
        &[
            Column::I64(vec![slot.as_i64(); obligations.len()]),
            Column::Text(obligations.iter().map(String::as_str).collect()),
        ],
    )?;
    rows.iter()
        .map(|(_, row)| {
            Ok(Billed {
                invoice: parsed(row, 0, "invoices.id", "an id")?,
                due_at: row.i64(1)?,
                charge_count: row.i64(2)?,
            })
        })
        .collect()
}

/// The payments that count of these obligations.
pub(in crate::charges) fn collected(
    tx: &mut Tx<'_>,
    slot: Slot,
    obligations: &[String],
) -> Result<Vec<Collected>, Error> {
    let rows = tx.select_many(
        "select c.id, i.period_start, i.period_end, c.amount, c.amount_refunded, c.currency, c.billing_at, i.lines, i.cycle,
                c.created_at
         from invoices i join charges c on c.slot = i.slot and c.invoice_id = i.id
         where i.slot = $1 and i.obligation = $2 and c.status = 'succeeded' and not c.surplus",
        &[
            Column::I64(vec![slot.as_i64(); obligations.len()]),
            Column::Text(obligations.iter().map(String::as_str).collect()),
        ],
    )?;
    rows.iter()
        .map(|(_, row)| {
            let currency = parsed(row, 5, "charges.currency", "a currency")?;
            Ok(Collected {
                charge: parsed(row, 0, "charges.id", "an id")?,
                period: Period {
                    start: instant(row, 1, "invoices.period_start")?,
                    end: instant(row, 2, "invoices.period_end")?,
                },
                amount: Money::new(row.i64(3)?, currency),
                setup_fee: Money::new(setup_fee(row.str(7)?)?, currency),
                refunded: Money::new(row.i64(4)?, currency),
                collected_at: instant(row, 6, "charges.billing_at")?,
                cycle: row.i64(8)?,
                created_at: row.i64(9)?,
            })
        })
        .collect()
}

/// What of these lines is a set-up fee.
fn setup_fee(lines: &str) -> Result<i64, Error> {
    let lines: Vec<Line> =
        serde_json::from_str(lines).map_err(|_| unreadable("invoices.lines", "lines", lines))?;
    Ok(lines.iter().filter(|line| line.kind == LineKind::SetupFee).map(|line| line.amount).sum())
}

/// Writes the merchant's note and texts.
pub(in crate::charges) fn update(tx: &mut Tx<'_>, charge: &ShownRow) -> Result<(), Error> {
    tx.execute(
        "update charges set description = $3, metadata = $4 where slot = $1 and id = $2",
        &[
            Value::I64(charge.id.slot().as_i64()),
            Value::Text(charge.id.as_str()),
            Value::from(charge.description.as_deref()),
            Value::from(charge.metadata.as_deref()),
        ],
    )?;
    Ok(())
}
