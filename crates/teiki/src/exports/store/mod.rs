//! SQL of exports: a page of each kind of rows, in the order of (slot, id), which is each table's primary key; tables of the
//! catalogue have no slots and go by id.
//!
//! Every statement names account and mode, where a table has one. The first column is the slot, the second the id of the row;
//! from there on they are the columns of [`super::fields`]. Joins are outer, so that no row is silently left out because its
//! neighbour is missing.
//!
//! `account_id || '' = $3` is how `account_id = $3` is said, and the mode, where the account has an index in another order: an engine would take
//! that one, and sort all rows of the account for every page; and PostgreSQL, as long as it has counted nothing, would go through
//! all of them again for each row that another table is joined to. So it goes by the primary key, and a page costs the same on
//! any number of rows.

use db::{Error, Row, Tx, Value};
use jiff::Timestamp;

use super::fields::{Field, Known, NEXT_CHARGE_ON, Read, fields};
use super::{Request, Subject};

mod billing;
mod merchant;
mod people;

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
    let keys = Keys { request, after, limit: i64::try_from(limit).unwrap_or(i64::MAX) };
    let rows = rows_after(tx, &keys)?;
    let fields = fields(request.subject);
    let mut records = rows.iter().map(|row| record(row, fields)).collect::<Result<Vec<_>, _>>()?;
    let ends = rows.first().zip(rows.last());
    if let (Subject::Subscriptions, Some((first, last))) = (request.subject, ends) {
        let scheduled = people::next_charges(tx, request, (first.i64(0)?, last.i64(0)?))?;
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

/// Whose rows, and from where on.
struct Keys<'a> {
    request: Request,
    after: &'a Cursor,
    limit: i64,
}

impl Keys<'_> {
    /// Parameters of a table with slots: `$1` slot, `$2` id, `$3` account, `$4` mode, `$5` limit.
    fn of_slots(&self) -> [Value<'_>; 5] {
        let [id, account, mode, limit] = self.of_catalogue();
        [Value::I64(self.after.slot), id, account, mode, limit]
    }

    /// Parameters of a table of the catalogue: `$1` id, `$2` account, `$3` mode, `$4` limit.
    fn of_catalogue(&self) -> [Value<'_>; 4] {
        [
            Value::Text(&self.after.id),
            Value::Text(self.request.account.as_str()),
            Value::Text(self.request.mode.as_str()),
            Value::I64(self.limit),
        ]
    }
}

fn rows_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    match keys.request.subject {
        Subject::Accounts => merchant::accounts_after(tx, keys),
        Subject::Customers => people::customers_after(tx, keys),
        Subject::Cards => people::cards_after(tx, keys),
        Subject::Tokens => people::tokens_after(tx, keys),
        Subject::ThreeDSecureRequests => people::three_d_secure_requests_after(tx, keys),
        Subject::Plans => merchant::plans_after(tx, keys),
        Subject::PlanSwitches => merchant::plan_switches_after(tx, keys),
        Subject::Subscriptions => people::subscriptions_after(tx, keys),
        Subject::Invoices => billing::invoices_after(tx, keys),
        Subject::Charges => billing::charges_after(tx, keys),
        Subject::ChargeActions => billing::charge_actions_after(tx, keys),
        Subject::DunningCases => billing::dunning_cases_after(tx, keys),
        Subject::Ledger => billing::ledger_entries_after(tx, keys),
        Subject::Events => merchant::events_after(tx, keys),
        Subject::WebhookEndpoints => merchant::webhook_endpoints_after(tx, keys),
        Subject::WebhookDeliveries => merchant::webhook_deliveries_after(tx, keys),
        Subject::TestClocks => merchant::test_clocks_after(tx, keys),
    }
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

fn name(text: &str, known: Known) -> Result<Cell, Error> {
    known(text).map(|shown| Cell::Text(shown.to_owned())).ok_or_else(|| odd("a name that teiki writes", text))
}

fn odd(expected: &'static str, found: &str) -> Error {
    Error::Decode { column: String::new(), expected, found: format!("{found:?}") }
}
