//! SQL of customers.

use billing::id::{PaymentMethodId, Slot};
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::Side;
use crate::payment_methods::MethodRow;
use crate::stored::parsed;
use crate::web::list::{Page, Place};

/// A customer as stored.
#[derive(Clone, Debug)]
pub struct CustomerRow {
    /// Its id, chosen or made.
    pub id: String,
    /// Name; teiki's own.
    pub name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// The merchant's note.
    pub description: Option<String>,
    /// The merchant's texts, as JSON.
    pub metadata: String,
    /// The card that pays.
    pub default_payment_method: Option<PaymentMethodId>,
    /// [`crate::accounts::REAL_CLOCK`] or a test clock.
    pub clock: String,
    /// The number of the last event of its history.
    pub event_number: i64,
    /// Billing time in microseconds.
    pub created_at: i64,
    /// Its place among those made at the same instant.
    pub sequence: i64,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

/// Which customers.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those with exactly this address.
    pub email: Option<String>,
}

pub(super) fn insert(tx: &mut Tx<'_>, (account, mode): Side, customer: &CustomerRow) -> Result<(), Error> {
    let columns = [
        ("slot", Column::I64(vec![Slot::of_key(&customer.id).as_i64()])),
        ("account_id", Column::Text(vec![account.as_str()])),
        ("mode", Column::Text(vec![mode.as_str()])),
        ("id", Column::Text(vec![&customer.id])),
        ("name", Column::OptText(vec![customer.name.as_deref()])),
        ("email", Column::OptText(vec![customer.email.as_deref()])),
        ("description", Column::OptText(vec![customer.description.as_deref()])),
        ("metadata", Column::Text(vec![&customer.metadata])),
        ("clock_id", Column::Text(vec![&customer.clock])),
        ("created_at", Column::I64(vec![customer.created_at])),
        ("sequence", Column::I64(vec![customer.sequence])),
    ];
    tx.insert_many("customers", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn find(tx: &mut Tx<'_>, (account, mode): Side, id: &str) -> Result<Option<CustomerRow>, Error> {
    tx.query_opt(
        "select id, name, email, description, metadata, default_payment_method_id, clock_id, event_number, created_at,
                sequence, deleted_at
         from customers where slot = $1 and account_id = $2 and mode = $3 and id = $4",
        &[
            Value::I64(Slot::of_key(id).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(id),
        ],
    )?
    .map(|row| customer_of(&row))
    .transpose()
}

pub(super) fn lock(tx: &mut Tx<'_>, (account, mode): Side, id: &str) -> Result<Option<CustomerRow>, Error> {
    let rows = tx.lock_many(
        "select id, name, email, description, metadata, default_payment_method_id, clock_id, event_number, created_at,
                sequence, deleted_at
         from customers where slot = $1 and account_id = $2 and mode = $3 and id = $4",
        &[
            Column::I64(vec![Slot::of_key(id).as_i64()]),
            Column::Text(vec![account.as_str()]),
            Column::Text(vec![mode.as_str()]),
            Column::Text(vec![id]),
        ],
    )?;
    rows.first().map(|(_, row)| customer_of(row)).transpose()
}

pub(super) fn list(
    tx: &mut Tx<'_>,
    side: Side,
    (page, from): (&Page, &Place),
    filter: &Filter,
) -> Result<Vec<CustomerRow>, Error> {
    let (account, mode) = side;
    let values = [
        Value::Text(account.as_str()),
        Value::Text(mode.as_str()),
        Value::I64(from.created_at),
        Value::I64(from.sequence),
        Value::Text(&from.id),
        Value::I64(page.since),
        Value::I64(page.until),
        Value::I64(page.rows()),
        Value::I64(page.offset),
    ];
    let rows = match &filter.email {
        None => tx.query(
            "select id, name, email, description, metadata, default_payment_method_id, clock_id, event_number, created_at,
                    sequence, deleted_at
             from customers
             where account_id = $1 and mode = $2 and (created_at, sequence, id) < ($3, $4, $5)
                   and created_at >= $6 and created_at <= $7 and deleted_at is null
             order by created_at desc, sequence desc, id desc limit $8 offset $9",
            &values,
        )?,
        Some(email) => tx.query(
            "select id, name, email, description, metadata, default_payment_method_id, clock_id, event_number, created_at,
                    sequence, deleted_at
             from customers
             where account_id = $1 and mode = $2 and (created_at, sequence, id) < ($3, $4, $5)
                   and created_at >= $6 and created_at <= $7 and deleted_at is null and email = $10
             order by created_at desc, sequence desc, id desc limit $8 offset $9",
            &[values.as_slice(), &[Value::Text(email)]].concat(),
        )?,
    };
    rows.iter().map(customer_of).collect()
}

fn customer_of(row: &Row) -> Result<CustomerRow, Error> {
    let default_payment_method = match row.opt_str(5)? {
        Some(_) => Some(parsed(row, 5, "customers.default_payment_method_id", "an id")?),
        None => None,
    };
    Ok(CustomerRow {
        id: row.text(0)?,
        name: row.opt_text(1)?,
        email: row.opt_text(2)?,
        description: row.opt_text(3)?,
        metadata: row.text(4)?,
        default_payment_method,
        clock: row.text(6)?,
        event_number: row.i64(7)?,
        created_at: row.i64(8)?,
        sequence: row.i64(9)?,
        is_deleted: row.opt_i64(10)?.is_some(),
    })
}

pub(super) fn update(tx: &mut Tx<'_>, (account, mode): Side, customer: &CustomerRow) -> Result<(), Error> {
    tx.execute(
        "update customers set name = $5, email = $6, description = $7, metadata = $8, default_payment_method_id = $9,
                event_number = $10
         where slot = $1 and account_id = $2 and mode = $3 and id = $4",
        &[
            Value::I64(Slot::of_key(&customer.id).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(&customer.id),
            Value::from(customer.name.as_deref()),
            Value::from(customer.email.as_deref()),
            Value::from(customer.description.as_deref()),
            Value::Text(&customer.metadata),
            Value::from(customer.default_payment_method.as_ref().map(PaymentMethodId::as_str)),
            Value::I64(customer.event_number),
        ],
    )?;
    Ok(())
}

pub(super) fn delete(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    customer: &CustomerRow,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "update customers set deleted_at = $5, event_number = $6
         where slot = $1 and account_id = $2 and mode = $3 and id = $4",
        &[
            Value::I64(Slot::of_key(&customer.id).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(&customer.id),
            Value::I64(now.as_microsecond()),
            Value::I64(customer.event_number),
        ],
    )?;
    Ok(())
}

/// Whether the customer has a card with the same number and expiry.
pub(super) fn has_same_card(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    customer: &str,
    card: &MethodRow,
) -> Result<bool, Error> {
    let row = tx.query_one(
        "select count(*) from payment_methods
         where slot = $1 and account_id = $2 and mode = $3 and customer_id = $4 and deleted_at is null
               and fingerprint = $5 and expires_on = $6",
        &[
            Value::I64(Slot::of_key(customer).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(customer),
            Value::from(card.fingerprint.as_deref()),
            Value::from(card.expires_on.as_deref()),
        ],
    )?;
    Ok(row.i64(0)? > 0)
}

/// From now on all subscriptions of the customer are paid with this card.
pub(super) fn pay_with(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    customer: &str,
    card: Option<PaymentMethodId>,
) -> Result<(), Error> {
    tx.execute(
        "update subscriptions set payment_method_id = $5
         where slot = $1 and account_id = $2 and mode = $3 and customer_id = $4 and deleted_at is null",
        &[
            Value::I64(Slot::of_key(customer).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(customer),
            Value::from(card.as_ref().map(PaymentMethodId::as_str)),
        ],
    )?;
    Ok(())
}

/// From now on those subscriptions of the customer that were paid with one card are paid with another.
pub(super) fn pay_instead(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    customer: &str,
    (former, card): (PaymentMethodId, Option<PaymentMethodId>),
) -> Result<(), Error> {
    tx.execute(
        "update subscriptions set payment_method_id = $6
         where slot = $1 and account_id = $2 and mode = $3 and customer_id = $4 and payment_method_id = $5
               and deleted_at is null",
        &[
            Value::I64(Slot::of_key(customer).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(customer),
            Value::Text(former.as_str()),
            Value::from(card.as_ref().map(PaymentMethodId::as_str)),
        ],
    )?;
    Ok(())
}
