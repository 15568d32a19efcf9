//! SQL of payment methods.

use billing::id::{ConnectionId, PaymentMethodId, Slot};
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::{Details, GatewayToken, Side};
use crate::stored::{parsed, slots, unreadable};
use crate::web::list::{Page, Place};

/// A payment method as stored.
#[derive(Clone, Debug)]
pub struct MethodRow {
    /// Its id.
    pub id: PaymentMethodId,
    /// Whose; a card of a token is nobody's yet.
    pub customer: Option<String>,
    /// The gateway account that knows its token.
    pub connection: ConnectionId,
    /// The gateway's token.
    pub gateway_token: GatewayToken,
    /// As PAY.JP spells it.
    pub brand: String,
    /// Last four digits.
    pub last4: String,
    /// `2030-12`.
    pub expires_on: Option<String>,
    /// The same for the same number, within an account.
    pub fingerprint: Option<String>,
    /// What else it shows.
    pub details: Details,
    /// The merchant's texts, as JSON.
    pub metadata: String,
    /// Billing time in microseconds.
    pub created_at: i64,
    /// Its place among those made at the same instant.
    pub sequence: i64,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

pub(super) fn insert(tx: &mut Tx<'_>, (account, mode): Side, method: &MethodRow) -> Result<(), Error> {
    let details = details_json(&method.details)?;
    let columns = [
        ("slot", Column::I64(vec![method.id.slot().as_i64()])),
        ("id", Column::Text(vec![method.id.as_str()])),
        ("account_id", Column::Text(vec![account.as_str()])),
        ("mode", Column::Text(vec![mode.as_str()])),
        ("customer_id", Column::OptText(vec![method.customer.as_deref()])),
        ("connection_id", Column::Text(vec![method.connection.as_str()])),
        ("gateway_token", Column::Text(vec![method.gateway_token.expose()])),
        ("brand", Column::Text(vec![&method.brand])),
        ("last4", Column::Text(vec![&method.last4])),
        ("expires_on", Column::OptText(vec![method.expires_on.as_deref()])),
        ("fingerprint", Column::OptText(vec![method.fingerprint.as_deref()])),
        ("details", Column::Text(vec![&details])),
        ("metadata", Column::Text(vec![&method.metadata])),
        ("created_at", Column::I64(vec![method.created_at])),
        ("sequence", Column::I64(vec![method.sequence])),
    ];
    tx.insert_many("payment_methods", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn find_many(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    ids: &[PaymentMethodId],
) -> Result<Vec<MethodRow>, Error> {
    let rows = tx.select_many(
        "select id, customer_id, connection_id, gateway_token, brand, last4, expires_on, fingerprint, details, metadata,
                created_at, sequence, deleted_at
         from payment_methods where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            slots(ids.iter().map(PaymentMethodId::slot)),
            Column::Text(ids.iter().map(PaymentMethodId::as_str).collect()),
            Column::Text(vec![account.as_str(); ids.len()]),
            Column::Text(vec![mode.as_str(); ids.len()]),
        ],
    )?;
    rows.iter().map(|(_, row)| method_of(row)).collect()
}

pub(super) fn list_of(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    customers: &[&str],
    (page, from): (&Page, &Place),
) -> Result<Vec<(usize, MethodRow)>, Error> {
    let each = |value: i64| Column::I64(vec![value; customers.len()]);
    let rows = tx.select_many(
        "select id, customer_id, connection_id, gateway_token, brand, last4, expires_on, fingerprint, details, metadata,
                created_at, sequence, deleted_at
         from payment_methods
         where slot = $1 and account_id = $2 and mode = $3 and customer_id = $4 and deleted_at is null
               and created_at >= $5 and created_at <= $6 and (created_at, sequence, id) < ($7, $8, $9)
         order by created_at desc, sequence desc, id desc limit $10 offset $11",
        &[
            slots(customers.iter().map(|customer| Slot::of_key(customer))),
            Column::Text(vec![account.as_str(); customers.len()]),
            Column::Text(vec![mode.as_str(); customers.len()]),
            Column::Text(customers.to_vec()),
            each(page.since),
            each(page.until),
            each(from.created_at),
            each(from.sequence),
            Column::Text(vec![&from.id; customers.len()]),
            each(page.rows()),
            each(page.offset),
        ],
    )?;
    rows.iter().map(|(place, row)| Ok((*place, method_of(row)?))).collect()
}

fn method_of(row: &Row) -> Result<MethodRow, Error> {
    let details = row.str(8)?;
    Ok(MethodRow {
        id: parsed(row, 0, "payment_methods.id", "an id")?,
        customer: row.opt_text(1)?,
        connection: parsed(row, 2, "payment_methods.connection_id", "an id")?,
        gateway_token: GatewayToken::new(row.text(3)?),
        brand: row.text(4)?,
        last4: row.text(5)?,
        expires_on: row.opt_text(6)?,
        fingerprint: row.opt_text(7)?,
        details: serde_json::from_str(details)
            .map_err(|_| unreadable("payment_methods.details", "details of a card", details))?,
        metadata: row.text(9)?,
        created_at: row.i64(10)?,
        sequence: row.i64(11)?,
        is_deleted: row.opt_i64(12)?.is_some(),
    })
}

pub(super) fn update(tx: &mut Tx<'_>, method: &MethodRow) -> Result<(), Error> {
    let details = details_json(&method.details)?;
    tx.execute(
        "update payment_methods set details = $3, metadata = $4 where slot = $1 and id = $2",
        &[
            Value::I64(method.id.slot().as_i64()),
            Value::Text(method.id.as_str()),
            Value::Text(&details),
            Value::Text(&method.metadata),
        ],
    )?;
    Ok(())
}

pub(super) fn delete(tx: &mut Tx<'_>, method: &MethodRow, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update payment_methods set deleted_at = $3 where slot = $1 and id = $2",
        &[
            Value::I64(method.id.slot().as_i64()),
            Value::Text(method.id.as_str()),
            Value::I64(now.as_microsecond()),
        ],
    )?;
    Ok(())
}

fn details_json(details: &Details) -> Result<String, Error> {
    serde_json::to_string(details).map_err(|error| Error::Assertion(format!("details of a card: {error}")))
}
