//! SQL of events and of the outbox rows that are written with them.

use std::collections::BTreeMap;

use billing::event::Kind;
use billing::id::{AccountId, EventId};
use billing::mode::Mode;
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::NewEvent;
use super::sources::Source;
use crate::outbox::LOG_SINK;
use crate::stored::{parsed, slots};
use crate::web::list::{Page, Place};
use crate::webhooks;

/// An event as stored. Instants in microseconds.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: String,
    /// The id of the thing that it happened to.
    pub object: String,
    /// Its details as JSON.
    pub data: String,
    /// Its place in its history.
    pub number: i64,
    /// Billing time.
    pub billing_at: i64,
    /// Real time.
    pub recorded_at: i64,
}

/// Billing time, real time, the number in its history, and the id: what lists are ordered by.
pub(super) type Order = (i64, i64, i64, String);

impl EventRow {
    /// What lists are ordered by.
    pub(super) fn order(&self) -> Order {
        (self.billing_at, self.recorded_at, self.number, self.id.to_string())
    }

    /// Its place in lists.
    pub fn place(&self) -> Place {
        Place { created_at: self.billing_at, sequence: self.recorded_at, id: self.id.to_string() }
    }
}

/// Which events. Without types those that PAY.JP has, and those about objects that only teiki has if one asks for such.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of these types.
    pub types: Option<webhooks::filter::Filter>,
    /// About objects of this name: `charge`, `card`, `customer` …
    pub object: Option<String>,
    /// About the object with this id.
    pub resource: Option<String>,
}

impl Filter {
    /// Whether an event of this type belongs to it.
    pub fn takes(&self, kind: &str) -> bool {
        let object = object_of(kind);
        if self.object.as_deref().is_some_and(|asked| asked != object) {
            return false;
        }
        let Ok(known) = kind.parse::<Kind>() else {
            return false;
        };
        match &self.types {
            Some(types) => types.takes(known),
            // An id names its object as well as a name does.
            None if self.object.is_some() || self.resource.is_some() => known.is_payjp() || is_own(object),
            None => known.is_payjp(),
        }
    }

    /// The types that belong to it.
    fn kinds(&self) -> Vec<&'static str> {
        Kind::ALL.iter().map(|kind| kind.as_str()).filter(|kind| self.takes(kind)).collect()
    }
}

/// Whether PAY.JP has no such objects.
fn is_own(object: &str) -> bool {
    Kind::ALL.iter().all(|kind| !kind.is_payjp() || object_of(kind.as_str()) != object)
}

/// The name of the objects that events of a type are about.
fn object_of(kind: &str) -> &str {
    match kind.split_once('.') {
        Some(("customer", rest)) if rest.starts_with("card.") => "card",
        Some((object, _)) => object,
        None => kind,
    }
}

pub(super) fn find(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    id: EventId,
) -> Result<Option<EventRow>, Error> {
    tx.query_opt(
        "select id, type, object_id, data, number, billing_at, recorded_at from events
         where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
        ],
    )?
    .map(|row| event_of(&row))
    .transpose()
}

/// Types that are looked for one by one; of more than these the newest of all are looked through.
const MERGED_MAX: usize = 12;
/// Farthest offset into types that are merged in memory.
const OFFSET_MERGED_MAX: i64 = 10_000;

/// A page of an account's events, newest first.
pub(super) fn list(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    (page, after): (&Page, Option<&EventRow>),
    filter: &Filter,
) -> Result<Vec<EventRow>, Error> {
    let from = after.map_or_else(|| (i64::MAX, i64::MAX, i64::MAX, Place::newest().id), EventRow::order);
    let kinds = filter.kinds();
    let (rows, offset) = (page.rows(), page.offset);
    let places = match kinds.as_slice() {
        [kind] => places_of(tx, side, (page, &from), (kind, rows, offset))?,
        few if few.len() <= MERGED_MAX && offset <= OFFSET_MERGED_MAX => {
            let mut places = Vec::new();
            for kind in few {
                places.extend(places_of(tx, side, (page, &from), (kind, offset + rows, 0))?);
            }
            places.sort_by(|one, other| other.cmp(one));
            let count = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
            places.into_iter().skip(count(offset)).take(count(rows)).collect()
        }
        many => return among_all(tx, side, (page, &from), many),
    };
    rows_of(tx, &places)
}

/// Where events of one type are, newest first; what they say is not read.
fn places_of(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    (page, from): (&Page, &Order),
    (kind, limit, offset): (&str, i64, i64),
) -> Result<Vec<Order>, Error> {
    let rows = tx.query(
        "select billing_at, recorded_at, number, id from events
         where account_id = $1 and mode = $2 and type = $8 and billing_at >= $3 and billing_at <= $4
               and (billing_at, recorded_at, number, id) < ($5, $6, $7, $11)
         order by billing_at desc, recorded_at desc, number desc, id desc limit $9 offset $10",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::I64(from.0),
            Value::I64(from.1),
            Value::I64(from.2),
            Value::Text(kind),
            Value::I64(limit),
            Value::I64(offset),
            Value::Text(&from.3),
        ],
    )?;
    rows.iter().map(|row| Ok((row.i64(0)?, row.i64(1)?, row.i64(2)?, row.text(3)?))).collect()
}

/// The events at these places, in their order.
fn rows_of(tx: &mut Tx<'_>, places: &[Order]) -> Result<Vec<EventRow>, Error> {
    let unreadable = |id: &str| Error::Assertion(format!("event {id} has no readable id"));
    let ids: Vec<EventId> =
        places.iter().map(|(.., id)| id.parse().map_err(|_| unreadable(id))).collect::<Result<_, _>>()?;
    let rows = tx.select_many(
        "select id, type, object_id, data, number, billing_at, recorded_at from events where slot = $1 and id = $2",
        &[slots(ids.iter().map(EventId::slot)), Column::Text(ids.iter().map(EventId::as_str).collect())],
    )?;
    rows.iter().map(|(_, row)| event_of(row)).collect()
}

/// The events of many types: all are looked through, and the others left out. `$8` names the types, each between two commas.
fn among_all(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    (page, from): (&Page, &Order),
    kinds: &[&str],
) -> Result<Vec<EventRow>, Error> {
    let kinds = format!(",{},", kinds.join(","));
    let rows = tx.query(
        "select id, type, object_id, data, number, billing_at, recorded_at from events
         where account_id = $1 and mode = $2 and billing_at >= $3 and billing_at <= $4
               and (billing_at, recorded_at, number, id) < ($5, $6, $7, $11)
               and replace($8, ',' || type || ',', '') <> $8
         order by billing_at desc, recorded_at desc, number desc, id desc limit $9 offset $10",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::I64(from.0),
            Value::I64(from.1),
            Value::I64(from.2),
            Value::Text(&kinds),
            Value::I64(page.rows()),
            Value::I64(page.offset),
            Value::Text(&from.3),
        ],
    )?;
    rows.iter().map(event_of).collect()
}

/// All events of a history.
pub(super) fn of_history(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    source: &Source,
) -> Result<Vec<EventRow>, Error> {
    let numbers: Vec<i64> = (1..=source.last).collect();
    let rows = tx.select_many(
        "select id, type, object_id, data, number, billing_at, recorded_at from events
         where slot = $1 and number = $2 and history_id = $3 and account_id = $4 and mode = $5",
        &[
            slots(numbers.iter().map(|_| source.slot)),
            Column::I64(numbers.clone()),
            Column::Text(vec![&source.history; numbers.len()]),
            Column::Text(vec![account.as_str(); numbers.len()]),
            Column::Text(vec![mode.as_str(); numbers.len()]),
        ],
    )?;
    rows.iter().map(|(_, row)| event_of(row)).collect()
}

/// The test clocks that these events' histories live by, in their order: of each its id, and whether it is deleted. Those
/// that live in real time, and those of the catalogue, have none. The history of a customer has its id after
/// `customer:mode:account:`.
pub(super) fn clocks_of(tx: &mut Tx<'_>, ids: &[EventId]) -> Result<BTreeMap<usize, (String, bool)>, Error> {
    let rows = tx.select_many(
        "select t.id, t.deleted_at
         from events h join test_clocks t on t.account_id = h.account_id and t.id = coalesce(
                  (select s.clock_id from subscriptions s where s.slot = h.slot and s.id = h.history_id),
                  (select i.clock_id from invoices i where i.slot = h.slot and i.id = h.history_id),
                  (select c.clock_id from customers c
                   where c.slot = h.slot and c.account_id = h.account_id and c.mode = h.mode
                         and c.id = substr(h.history_id, length(h.mode) + length(h.account_id) + 12)
                         and h.history_id like 'customer:%'),
                  h.history_id)
         where h.slot = $1 and h.id = $2",
        &[slots(ids.iter().map(EventId::slot)), Column::Text(ids.iter().map(EventId::as_str).collect())],
    )?;
    rows.iter().map(|(place, row)| Ok((*place, (row.text(0)?, row.opt_i64(1)?.is_some())))).collect()
}

fn event_of(row: &Row) -> Result<EventRow, Error> {
    Ok(EventRow {
        id: parsed(row, 0, "events.id", "an id")?,
        kind: row.text(1)?,
        object: row.text(2)?,
        data: row.text(3)?,
        number: row.i64(4)?,
        billing_at: row.i64(5)?,
        recorded_at: row.i64(6)?,
    })
}

pub(super) fn insert_events(
    tx: &mut Tx<'_>,
    ids: &[EventId],
    events: &[NewEvent],
    now: Timestamp,
) -> Result<(), Error> {
    let columns = [
        ("slot", Column::I64(ids.iter().map(|id| id.slot().as_i64()).collect())),
        ("id", Column::Text(ids.iter().map(EventId::as_str).collect())),
        ("account_id", Column::Text(events.iter().map(|event| event.account.as_str()).collect())),
        ("mode", Column::Text(events.iter().map(|event| event.mode.as_str()).collect())),
        ("history_id", Column::Text(events.iter().map(|event| event.history.as_str()).collect())),
        ("number", Column::I64(events.iter().map(|event| event.number).collect())),
        ("type", Column::Text(events.iter().map(|event| event.kind.as_str()).collect())),
        ("object_id", Column::Text(events.iter().map(|event| event.object.as_str()).collect())),
        ("data", Column::Text(events.iter().map(|event| event.data.as_str()).collect())),
        ("billing_at", Column::I64(events.iter().map(|event| event.billing_at.as_microsecond()).collect())),
        ("recorded_at", Column::I64(events.iter().map(|_| now.as_microsecond()).collect())),
    ];
    tx.insert_many("events", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn insert_outbox(tx: &mut Tx<'_>, ids: &[EventId], now: Timestamp) -> Result<(), Error> {
    let columns = [
        ("slot", Column::I64(ids.iter().map(|id| id.slot().as_i64()).collect())),
        ("event_id", Column::Text(ids.iter().map(EventId::as_str).collect())),
        ("sink", Column::Text(ids.iter().map(|_| LOG_SINK).collect())),
        ("deliver_at", Column::I64(ids.iter().map(|_| now.as_microsecond()).collect())),
        ("attempts", Column::I64(ids.iter().map(|_| 0).collect())),
    ];
    tx.insert_many("outbox", &columns, OnConflict::Fail)?;
    Ok(())
}
