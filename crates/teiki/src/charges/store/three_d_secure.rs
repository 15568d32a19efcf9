//! SQL of charges that wait for their card holder.

use billing::charge::State;
use billing::id::{AccountId, ChargeId, ConnectionId, InvoiceId, PaymentMethodId};
use billing::invoice;
use billing::mode::Mode;
use billing::money::{Currency, Money};
use billing::three_d_secure::Status;
use db::{Error, Row, Tx, Value};
use jiff::Timestamp;

use super::shown::opt_status;
use crate::stored::{instant, parsed, unreadable};

/// A charge, as far as its 3-D Secure needs it.
pub(in crate::charges) struct WaitingRow {
    pub(in crate::charges) id: ChargeId,
    pub(in crate::charges) state: State,
    pub(in crate::charges) status: Option<Status>,
    pub(in crate::charges) customer: Option<String>,
    pub(in crate::charges) clock: String,
    pub(in crate::charges) payment_method: PaymentMethodId,
    pub(in crate::charges) connection: ConnectionId,
    pub(in crate::charges) amount: Money,
    pub(in crate::charges) idempotency_key: String,
    pub(in crate::charges) reserve_days: Option<i64>,
    pub(in crate::charges) is_confirmed: bool,
    /// Real time.
    pub(in crate::charges) made_at: Timestamp,
    pub(in crate::charges) invoice: InvoiceId,
    pub(in crate::charges) invoice_is_open: bool,
}

/// Makes a new charge wait for its card holder: it is neither sent nor looked after.
pub(in crate::charges) fn wait(
    tx: &mut Tx<'_>,
    id: ChargeId,
    reserve_days: Option<i64>,
) -> Result<(), Error> {
    tx.execute(
        "update charges
         set status = $3, three_d_secure_status = $4, reserve_days = $5, capture = $6,
             sent_at = null, last_sent_at = null, check_at = null
         where slot = $1 and id = $2",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(State::RequiresCustomer.as_str()),
            Value::Text(Status::Unverified.as_str()),
            Value::from(reserve_days),
            Value::Bool(reserve_days.is_none()),
        ],
    )?;
    Ok(())
}

pub(in crate::charges) fn find(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    id: ChargeId,
) -> Result<Option<WaitingRow>, Error> {
    tx.query_opt(
        "select c.id, c.status, c.three_d_secure_status, c.customer_id, c.clock_id, c.payment_method_id, c.connection_id,
                c.amount, c.currency, c.idempotency_key, c.reserve_days, c.confirmed_at, c.created_at, c.invoice_id, i.status
         from charges c join invoices i on i.slot = c.slot and i.id = c.invoice_id
         where c.slot = $1 and c.id = $2 and c.account_id = $3 and c.mode = $4",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
        ],
    )?
    .map(|row| waiting_of(&row))
    .transpose()
}

fn waiting_of(row: &Row) -> Result<WaitingRow, Error> {
    let status = row.str(1)?;
    let currency: Currency = parsed(row, 8, "charges.currency", "a currency")?;
    Ok(WaitingRow {
        id: parsed(row, 0, "charges.id", "an id")?,
        state: State::from_stored(status).ok_or_else(|| unreadable("charges.status", "a status", status))?,
        status: opt_status(row, 2)?,
        customer: row.opt_text(3)?,
        clock: row.text(4)?,
        payment_method: parsed(row, 5, "charges.payment_method_id", "an id")?,
        connection: parsed(row, 6, "charges.connection_id", "an id")?,
        amount: Money::new(row.i64(7)?, currency),
        idempotency_key: row.text(9)?,
        reserve_days: row.opt_i64(10)?,
        is_confirmed: row.opt_i64(11)?.is_some(),
        made_at: instant(row, 12, "charges.created_at")?,
        invoice: parsed(row, 13, "charges.invoice_id", "an id")?,
        invoice_is_open: row.str(14)? == invoice::State::Open.as_str(),
    })
}

/// Writes the answer of a card holder. Whether it was the first.
pub(in crate::charges) fn answer(tx: &mut Tx<'_>, id: ChargeId, status: Status) -> Result<bool, Error> {
    let written = tx.execute(
        "update charges set three_d_secure_status = $3
         where slot = $1 and id = $2 and status = 'requires_customer' and three_d_secure_status = 'unverified'",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str()), Value::Text(status.as_str())],
    )?;
    Ok(written == 1)
}

/// When a charge is sent for the first time, after its card holder has confirmed.
pub(in crate::charges) struct Confirmed {
    /// Billing time.
    pub(in crate::charges) at: Timestamp,
    /// Real time.
    pub(in crate::charges) sent_at: Timestamp,
    pub(in crate::charges) check_at: Timestamp,
    pub(in crate::charges) expires_at: Option<Timestamp>,
}

/// Marks a charge that waited as being sent. Whether it still waited: who is first sends it, and nobody else.
pub(in crate::charges) fn confirm(
    tx: &mut Tx<'_>,
    id: ChargeId,
    to: State,
    confirmed: &Confirmed,
) -> Result<bool, Error> {
    let marked = tx.execute(
        "update charges
         set status = $3, confirmed_at = $4, sent_at = $5, last_sent_at = $5, check_at = $6, expires_at = $7
         where slot = $1 and id = $2 and status = 'requires_customer' and confirmed_at is null and sent_at is null
               and three_d_secure_status in ('verified', 'attempted')",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(to.as_str()),
            Value::I64(confirmed.at.as_microsecond()),
            Value::I64(confirmed.sent_at.as_microsecond()),
            Value::I64(confirmed.check_at.as_microsecond()),
            Value::from(confirmed.expires_at.map(Timestamp::as_microsecond)),
        ],
    )?;
    Ok(marked == 1)
}

/// Charges of an account that have waited since `until` or longer, oldest first: id, invoice and clock.
pub(in crate::charges) fn waiting_until(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    until: Timestamp,
    limit: i64,
) -> Result<Vec<(ChargeId, InvoiceId, String)>, Error> {
    let rows = tx.query(
        "select id, invoice_id, clock_id from charges
         where account_id = $1 and mode = $2 and status = 'requires_customer' and sent_at is null and created_at <= $3
         order by created_at, slot, id limit $4",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::I64(until.as_microsecond()),
            Value::I64(limit),
        ],
    )?;
    rows.iter()
        .map(|row| {
            let charge = parsed(row, 0, "charges.id", "an id")?;
            Ok((charge, parsed(row, 1, "charges.invoice_id", "an id")?, row.text(2)?))
        })
        .collect()
}
