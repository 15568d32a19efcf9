//! SQL of requests for 3-D Secure.

use billing::id::{PaymentMethodId, ThreeDSecureRequestId};
use billing::three_d_secure::Status;
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::Side;
use crate::stored::{instant, opt_instant, parsed, unreadable};
use crate::web::list::{Page, Place};

/// A request as stored.
#[derive(Clone, Debug)]
pub struct RequestRow {
    /// Its id.
    pub id: ThreeDSecureRequestId,
    /// Whose card holder is asked.
    pub card: PaymentMethodId,
    /// How it stands with the card holder.
    pub status: Status,
    /// Billing time.
    pub created_at: Timestamp,
    /// Real time.
    pub made_at: Timestamp,
    /// When the page was first opened; billing time.
    pub started_at: Option<Timestamp>,
    /// When the card holder answered; billing time.
    pub finished_at: Option<Timestamp>,
}

impl RequestRow {
    pub(super) fn place(&self) -> Place {
        Place {
            created_at: self.created_at.as_microsecond(),
            sequence: self.made_at.as_microsecond(),
            id: self.id.to_string(),
        }
    }
}

pub(super) fn insert(tx: &mut Tx<'_>, (account, mode): Side, request: &RequestRow) -> Result<(), Error> {
    let columns = [
        ("slot", Column::I64(vec![request.id.slot().as_i64()])),
        ("id", Column::Text(vec![request.id.as_str()])),
        ("account_id", Column::Text(vec![account.as_str()])),
        ("mode", Column::Text(vec![mode.as_str()])),
        ("payment_method_id", Column::Text(vec![request.card.as_str()])),
        ("status", Column::Text(vec![request.status.as_str()])),
        ("created_at", Column::I64(vec![request.created_at.as_microsecond()])),
        ("made_at", Column::I64(vec![request.made_at.as_microsecond()])),
    ];
    tx.insert_many("three_d_secure_requests", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn find(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    id: ThreeDSecureRequestId,
) -> Result<Option<RequestRow>, Error> {
    tx.query_opt(
        "select id, payment_method_id, status, created_at, made_at, started_at, finished_at from three_d_secure_requests
         where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
        ],
    )?
    .map(|row| request_of(&row))
    .transpose()
}

pub(super) fn list(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    (page, from): (&Page, &Place),
) -> Result<Vec<RequestRow>, Error> {
    let rows = tx.query(
        "select id, payment_method_id, status, created_at, made_at, started_at, finished_at from three_d_secure_requests
         where account_id = $1 and mode = $2 and (created_at, made_at, id) < ($3, $4, $5)
               and created_at >= $6 and created_at <= $7
         order by created_at desc, made_at desc, id desc limit $8 offset $9",
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
    rows.iter().map(request_of).collect()
}

pub(super) fn list_of_card(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    card: PaymentMethodId,
    (page, from): (&Page, &Place),
) -> Result<Vec<RequestRow>, Error> {
    let rows = tx.query(
        "select id, payment_method_id, status, created_at, made_at, started_at, finished_at from three_d_secure_requests
         where slot = $1 and payment_method_id = $2 and account_id = $3 and mode = $4
               and (created_at, made_at, id) < ($5, $6, $7) and created_at >= $8 and created_at <= $9
         order by created_at desc, made_at desc, id desc limit $10 offset $11",
        &[
            Value::I64(card.slot().as_i64()),
            Value::Text(card.as_str()),
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
    rows.iter().map(request_of).collect()
}

fn request_of(row: &Row) -> Result<RequestRow, Error> {
    let status = row.str(2)?;
    Ok(RequestRow {
        id: parsed(row, 0, "three_d_secure_requests.id", "an id")?,
        card: parsed(row, 1, "three_d_secure_requests.payment_method_id", "an id")?,
        status: Status::from_stored(status)
            .ok_or_else(|| unreadable("three_d_secure_requests.status", "a status", status))?,
        created_at: instant(row, 3, "three_d_secure_requests.created_at")?,
        made_at: instant(row, 4, "three_d_secure_requests.made_at")?,
        started_at: opt_instant(row, 5, "three_d_secure_requests.started_at")?,
        finished_at: opt_instant(row, 6, "three_d_secure_requests.finished_at")?,
    })
}

/// The page has been opened; the first time counts.
pub(super) fn start(tx: &mut Tx<'_>, id: ThreeDSecureRequestId, at: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update three_d_secure_requests set started_at = $3
         where slot = $1 and id = $2 and started_at is null and finished_at is null",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str()), Value::I64(at.as_microsecond())],
    )?;
    Ok(())
}

/// The card holder has answered. Whether it was the first answer.
pub(super) fn finish(
    tx: &mut Tx<'_>,
    id: ThreeDSecureRequestId,
    status: Status,
    at: Timestamp,
) -> Result<bool, Error> {
    let written = tx.execute(
        "update three_d_secure_requests set status = $3, started_at = coalesce(started_at, $4), finished_at = $4
         where slot = $1 and id = $2 and finished_at is null",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(status.as_str()),
            Value::I64(at.as_microsecond()),
        ],
    )?;
    Ok(written == 1)
}
