//! SQL of exports: a page of each kind of rows, in the order of (slot, id), which is each table's primary key.
//!
//! Every statement names account and mode. The first column is the slot, the second the id of the row; from
//! there on they are the columns of [`super::fields`]. Joins are outer, so that a row whose neighbour is
//! missing is an error and not silently left out.

use std::collections::BTreeMap;

use db::{Error, Row, Tx, Value};
use jiff::Timestamp;

use super::fields::{Field, NEXT_CHARGE_ON, Read, fields};
use super::{Request, Subject};

/// The last row of a page.
pub(super) struct Cursor {
    slot: i64,
    id: String,
}

impl Cursor {
    /// Before every row: slots begin at 0.
    pub(super) fn start() -> Self {
        Self { slot: -1, id: String::new() }
    }
}

/// One value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Nothing is stored.
    Empty,
    /// Text, dates and instants.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
    /// A JSON document.
    Json(String),
}

/// Some records, and where to go on; `None` after the last page.
pub(super) struct Page {
    pub(super) records: Vec<Vec<Cell>>,
    pub(super) next: Option<Cursor>,
}

/// The page of `limit` rows after a cursor.
pub(super) fn page(tx: &mut Tx<'_>, request: Request, after: &Cursor, limit: usize) -> Result<Page, Error> {
    let keys = [
        Value::I64(after.slot),
        Value::Text(&after.id),
        Value::Text(request.account.as_str()),
        Value::Text(request.mode.as_str()),
        Value::I64(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    let rows = match request.subject {
        Subject::Charges => charges_after(tx, &keys)?,
        Subject::Invoices => invoices_after(tx, &keys)?,
        Subject::Subscriptions => subscriptions_after(tx, &keys)?,
        Subject::Ledger => ledger_entries_after(tx, &keys)?,
        Subject::Events => events_after(tx, &keys)?,
    };
    let fields = fields(request.subject);
    let mut records = rows.iter().map(|row| record(row, fields)).collect::<Result<Vec<_>, _>>()?;
    let ends = rows.first().zip(rows.last());
    if let (Subject::Subscriptions, Some((first, last))) = (request.subject, ends) {
        let scheduled = next_charges(tx, request, (first.i64(0)?, last.i64(0)?))?;
        for record in &mut records {
            let next =
                record.first().and_then(|id| if let Cell::Text(id) = id { scheduled.get(id) } else { None });
            record[NEXT_CHARGE_ON] = next.map_or(Cell::Empty, |on| Cell::Text(on.clone()));
        }
    }
    let next = match rows.last() {
        Some(last) if rows.len() == limit => Some(Cursor { slot: last.i64(0)?, id: last.text(1)? }),
        Some(_) | None => None,
    };
    Ok(Page { records, next })
}

fn charges_after(tx: &mut Tx<'_>, keys: &[Value<'_>]) -> Result<Vec<Row>, Error> {
    tx.query(
        "select c.slot, c.id, c.invoice_id, c.customer_id, c.subscription_id, i.plan_id, i.cycle, i.due_on, c.amount,
                c.currency, c.status, c.surplus, c.failure_code, c.failure_class, c.gateway_charge_id, c.idempotency_key,
                c.billing_at, c.created_at, c.settled_at
         from charges c
         left join invoices i on i.slot = c.slot and i.id = c.invoice_id and i.account_id = c.account_id and i.mode = c.mode
         where (c.slot, c.id) > ($1, $2) and c.account_id = $3 and c.mode = $4
         order by c.slot, c.id limit $5",
        keys,
    )
}

fn invoices_after(tx: &mut Tx<'_>, keys: &[Value<'_>]) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, customer_id, subscription_id, plan_id, cycle, obligation, status, amount, amount_paid,
                amount_credited, tax, currency, due_on, due_at, period_start, period_end, next_action_at, opened_at, paid_at,
                created_at, amount_outside, memo, reason
         from invoices
         where (slot, id) > ($1, $2) and account_id = $3 and mode = $4
         order by slot, id limit $5",
        keys,
    )
}

/// The empty text stands for `next_charge_on`: see [`next_charges`].
fn subscriptions_after(tx: &mut Tx<'_>, keys: &[Value<'_>]) -> Result<Vec<Row>, Error> {
    tx.query(
        "select s.slot, s.id, s.customer_id, c.name, c.email, s.plan_id, s.status, s.cancel_reason,
                s.anchor_on || coalesce('T' || s.anchor_time, ''), '', s.remaining, s.valid_until, s.parked_reason,
                m.brand, m.last4, m.expires_on, s.started_at, s.created_at
         from subscriptions s
         left join customers c on c.slot = s.slot and c.account_id = s.account_id and c.mode = s.mode and c.id = s.customer_id
         left join payment_methods m on m.slot = s.slot and m.id = s.payment_method_id
             and m.account_id = s.account_id and m.mode = s.mode
         where (s.slot, s.id) > ($1, $2) and s.account_id = $3 and s.mode = $4
         order by s.slot, s.id limit $5",
        keys,
    )
}

/// The date of the scheduled invoice of each subscription in a range of slots. No index leads from a
/// subscription to its invoices, so that a join would read all of them for every page.
fn next_charges(
    tx: &mut Tx<'_>,
    request: Request,
    slots: (i64, i64),
) -> Result<BTreeMap<String, String>, Error> {
    let rows = tx.query(
        "select subscription_id, min(due_on) from invoices
         where slot >= $1 and slot <= $2 and account_id = $3 and mode = $4 and status = 'scheduled'
         group by subscription_id",
        &[
            Value::I64(slots.0),
            Value::I64(slots.1),
            Value::Text(request.account.as_str()),
            Value::Text(request.mode.as_str()),
        ],
    )?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

fn ledger_entries_after(tx: &mut Tx<'_>, keys: &[Value<'_>]) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, posted_at, kind, invoice_id, charge_id, debit, credit, amount, currency
         from ledger_entries
         where (slot, id) > ($1, $2) and account_id = $3 and mode = $4
         order by slot, id limit $5",
        keys,
    )
}

fn events_after(tx: &mut Tx<'_>, keys: &[Value<'_>]) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, history_id, number, type, object_id, data, billing_at, recorded_at
         from events
         where (slot, id) > ($1, $2) and account_id = $3 and mode = $4
         order by slot, id limit $5",
        keys,
    )
}

fn record(row: &Row, fields: &[Field]) -> Result<Vec<Cell>, Error> {
    fields
        .iter()
        .zip(1..)
        .map(|(field, column)| cell(row, column, field.read).map_err(|error| named(error, row, field)))
        .collect()
}

/// A value that does not read, with the row it stands in.
fn named(error: Error, row: &Row, field: &Field) -> Error {
    let Error::Decode { expected, found, .. } = error else {
        return error;
    };
    let column = format!("{} of {}", field.name, row.str(1).unwrap_or("a row"));
    Error::Decode { column, expected, found }
}

fn cell(row: &Row, i: usize, read: Read) -> Result<Cell, Error> {
    Ok(match read {
        Read::Text => Cell::Text(row.text(i)?),
        Read::OptText => row.opt_text(i)?.map_or(Cell::Empty, Cell::Text),
        Read::Number => Cell::Number(row.i64(i)?),
        Read::OptNumber => row.opt_i64(i)?.map_or(Cell::Empty, Cell::Number),
        Read::Flag => Cell::Flag(row.bool(i)?),
        Read::Instant => instant(row.i64(i)?)?,
        Read::OptInstant => row.opt_i64(i)?.map(instant).transpose()?.unwrap_or(Cell::Empty),
        Read::Json => json(row.str(i)?)?,
        Read::OptJson => row.opt_str(i)?.map(json).transpose()?.unwrap_or(Cell::Empty),
        Read::Name(known) => name(row.str(i)?, known)?,
        Read::OptName(known) => {
            row.opt_str(i)?.map(|text| name(text, known)).transpose()?.unwrap_or(Cell::Empty)
        }
    })
}

fn instant(micros: i64) -> Result<Cell, Error> {
    let at = Timestamp::from_microsecond(micros).map_err(|_| odd("an instant", &micros.to_string()))?;
    Ok(Cell::Text(at.to_string()))
}

fn json(text: &str) -> Result<Cell, Error> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| odd("JSON", text))?;
    Ok(Cell::Json(text.to_owned()))
}

fn name(text: &str, known: fn(&str) -> Option<&'static str>) -> Result<Cell, Error> {
    known(text).map(|shown| Cell::Text(shown.to_owned())).ok_or_else(|| odd("a name that teiki writes", text))
}

fn odd(expected: &'static str, found: &str) -> Error {
    Error::Decode { column: String::new(), expected, found: format!("{found:?}") }
}
