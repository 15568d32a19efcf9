//! SQL of webhook deliveries.

use std::collections::BTreeMap;

use billing::id::{EventId, WebhookDeliveryId, WebhookEndpointId};
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::{SignedDuration, Timestamp};

use super::{DeliveryRow, DeliveryStatus, LastAttempt};
use crate::stored::{instant, opt_instant, parsed, slots, unreadable};
use crate::web::list::{Page, Place};
use crate::webhooks::Side;

pub(super) fn insert(tx: &mut Tx<'_>, rows: &[DeliveryRow]) -> Result<(), Error> {
    let columns = [
        ("slot", slots(rows.iter().map(|row| row.id.slot()))),
        ("id", Column::Text(rows.iter().map(|row| row.id.as_str()).collect())),
        ("account_id", Column::Text(rows.iter().map(|row| row.side.0.as_str()).collect())),
        ("mode", Column::Text(rows.iter().map(|row| row.side.1.as_str()).collect())),
        ("endpoint_id", Column::Text(rows.iter().map(|row| row.endpoint.as_str()).collect())),
        ("event_id", Column::Text(rows.iter().map(|row| row.event.as_str()).collect())),
        ("event_type", Column::Text(rows.iter().map(|row| row.kind.as_str()).collect())),
        ("history_id", Column::Text(rows.iter().map(|row| row.history.as_str()).collect())),
        ("number", Column::I64(rows.iter().map(|row| row.number).collect())),
        ("status", Column::Text(rows.iter().map(|row| row.status.as_str()).collect())),
        ("attempts", Column::I64(rows.iter().map(|row| row.attempts).collect())),
        ("claims", Column::I64(rows.iter().map(|row| row.claims).collect())),
        ("next_attempt_at", instants(rows.iter().map(|row| row.next_attempt_at))),
        ("created_at", Column::I64(rows.iter().map(|row| row.created_at).collect())),
    ];
    tx.insert_many("webhook_deliveries", &columns, OnConflict::Fail)?;
    Ok(())
}

fn instants<'a>(of: impl Iterator<Item = Option<Timestamp>>) -> Column<'a> {
    Column::OptI64(of.map(|at| at.map(Timestamp::as_microsecond)).collect())
}

pub(super) fn find(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    id: WebhookDeliveryId,
) -> Result<Option<DeliveryRow>, Error> {
    tx.query_opt(
        "select id, account_id, mode, endpoint_id, event_id, event_type, history_id, number, status, attempts, next_attempt_at,
                last_attempt_at, last_status, last_error, last_duration_ms, created_at, finished_at, claims
         from webhook_deliveries where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
        ],
    )?
    .map(|row| delivery_of(&row))
    .transpose()
}

/// A page of an endpoint's log, newest first.
pub(super) fn list(
    tx: &mut Tx<'_>,
    endpoint: WebhookEndpointId,
    (page, from): (&Page, &Place),
) -> Result<Vec<DeliveryRow>, Error> {
    let rows = tx.query(
        "select id, account_id, mode, endpoint_id, event_id, event_type, history_id, number, status, attempts, next_attempt_at,
                last_attempt_at, last_status, last_error, last_duration_ms, created_at, finished_at, claims
         from webhook_deliveries
         where endpoint_id = $1 and (created_at, id) < ($2, $3) and created_at >= $4 and created_at <= $5
         order by created_at desc, id desc limit $6 offset $7",
        &page_of(&endpoint, page, from),
    )?;
    rows.iter().map(delivery_of).collect()
}

/// The same of those of one status.
pub(super) fn list_of_status(
    tx: &mut Tx<'_>,
    endpoint: WebhookEndpointId,
    (page, from): (&Page, &Place),
    status: DeliveryStatus,
) -> Result<Vec<DeliveryRow>, Error> {
    let rows = tx.query(
        "select id, account_id, mode, endpoint_id, event_id, event_type, history_id, number, status, attempts, next_attempt_at,
                last_attempt_at, last_status, last_error, last_duration_ms, created_at, finished_at, claims
         from webhook_deliveries
         where endpoint_id = $1 and (created_at, id) < ($2, $3) and created_at >= $4 and created_at <= $5
               and status = $8
         order by created_at desc, id desc limit $6 offset $7",
        &[&page_of(&endpoint, page, from)[..], &[Value::Text(status.as_str())]].concat(),
    )?;
    rows.iter().map(delivery_of).collect()
}

/// The parameters of a page.
fn page_of<'a>(endpoint: &'a WebhookEndpointId, page: &Page, from: &'a Place) -> [Value<'a>; 7] {
    [
        Value::Text(endpoint.as_str()),
        Value::I64(from.created_at),
        Value::Text(&from.id),
        Value::I64(page.since),
        Value::I64(page.until),
        Value::I64(page.rows()),
        Value::I64(page.offset),
    ]
}

fn delivery_of(row: &Row) -> Result<DeliveryRow, Error> {
    let status = row.str(8)?;
    Ok(DeliveryRow {
        id: parsed(row, 0, "webhook_deliveries.id", "an id")?,
        side: (
            parsed(row, 1, "webhook_deliveries.account_id", "an id")?,
            parsed(row, 2, "webhook_deliveries.mode", "a mode")?,
        ),
        endpoint: parsed(row, 3, "webhook_deliveries.endpoint_id", "an id")?,
        event: parsed(row, 4, "webhook_deliveries.event_id", "an id")?,
        kind: row.text(5)?,
        history: row.text(6)?,
        number: row.i64(7)?,
        status: DeliveryStatus::from_stored(status)
            .ok_or_else(|| unreadable("webhook_deliveries.status", "a status", status))?,
        attempts: row.i64(9)?,
        claims: row.i64(17)?,
        next_attempt_at: opt_instant(row, 10, "webhook_deliveries.next_attempt_at")?,
        last: LastAttempt {
            at: opt_instant(row, 11, "webhook_deliveries.last_attempt_at")?,
            status: row.opt_i64(12)?,
            error: row.opt_text(13)?,
            duration_ms: row.opt_i64(14)?,
        },
        created_at: row.i64(15)?,
        finished_at: opt_instant(row, 16, "webhook_deliveries.finished_at")?,
    })
}

/// How many deliveries of each event wait.
pub(super) fn pending(tx: &mut Tx<'_>, events: &[EventId]) -> Result<Vec<i64>, Error> {
    let rows = tx.select_many(
        "select count(*) from webhook_deliveries d where d.slot = $1 and d.event_id = $2 and d.next_attempt_at is not null",
        &[slots(events.iter().map(EventId::slot)), Column::Text(events.iter().map(EventId::as_str).collect())],
    )?;
    rows.iter().map(|(_, row)| row.i64(0)).collect()
}

/// Endpoints that something waits for, with the first instant that one is due. Each costs two looks into the index of what
/// waits, however much that is; it is a walk from one endpoint to the next.
pub(super) fn endpoints_waiting(tx: &mut Tx<'_>) -> Result<Vec<(WebhookEndpointId, Timestamp)>, Error> {
    let rows = tx.query(
        "select e.id, (select min(d.next_attempt_at) from webhook_deliveries d
                       where d.endpoint_id = e.id and d.next_attempt_at is not null)
         from (with recursive waiting (id) as (
                   select min(endpoint_id) from webhook_deliveries where next_attempt_at is not null
                   union all
                   select (select min(d.endpoint_id) from webhook_deliveries d
                           where d.endpoint_id > w.id and d.next_attempt_at is not null)
                   from waiting w where w.id is not null)
               select id from waiting where id is not null) e
         order by e.id",
        &[],
    )?;
    rows.iter()
        .map(|row| {
            Ok((
                parsed(row, 0, "webhook_deliveries.endpoint_id", "an id")?,
                instant(row, 1, "webhook_deliveries.next_attempt_at")?,
            ))
        })
        .collect()
}

/// A delivery. Error: what is stored does not read.
type Found = Result<DeliveryRow, Error>;

/// What is due of each of these endpoints, with the endpoint's place, the oldest first; of each as many as may be sent at once
/// (`super::claim`).
pub(super) fn due(
    tx: &mut Tx<'_>,
    endpoints: &[WebhookEndpointId],
    now: Timestamp,
) -> Result<Vec<(usize, Found)>, Error> {
    let rows = tx.select_many(
        "select d.id, d.account_id, d.mode, d.endpoint_id, d.event_id, d.event_type, d.history_id, d.number, d.status, d.attempts,
                d.next_attempt_at, d.last_attempt_at, d.last_status, d.last_error, d.last_duration_ms, d.created_at, d.finished_at,
                d.claims
         from webhook_deliveries d where d.endpoint_id = $1 and d.next_attempt_at <= $2 and d.next_attempt_at is not null
         order by d.next_attempt_at, d.slot, d.id limit 16",
        &[
            Column::Text(endpoints.iter().map(WebhookEndpointId::as_str).collect()),
            Column::I64(vec![now.as_microsecond(); endpoints.len()]),
        ],
    )?;
    Ok(rows.iter().map(|(place, row)| (*place, delivery_of(row))).collect())
}

/// Locks those that are as they were read. Returns their places.
pub(super) fn lock_due<'a>(
    tx: &mut Tx<'_>,
    rows: impl Iterator<Item = &'a DeliveryRow> + Clone,
) -> Result<Vec<usize>, Error> {
    let at = |row: &DeliveryRow| row.next_attempt_at.map_or(i64::MAX, Timestamp::as_microsecond);
    let locked = tx.lock_many(
        "select d.id from webhook_deliveries d where d.slot = $1 and d.id = $2 and d.next_attempt_at = $3",
        &[
            slots(rows.clone().map(|row| row.id.slot())),
            Column::Text(rows.clone().map(|row| row.id.as_str()).collect()),
            Column::I64(rows.map(at).collect()),
        ],
    )?;
    Ok(locked.into_iter().map(|(place, _)| place).collect())
}

/// For those that wait behind another one: when that is looked at next.
pub(super) fn heads<'a>(
    tx: &mut Tx<'_>,
    rows: impl Iterator<Item = &'a DeliveryRow> + Clone,
) -> Result<BTreeMap<usize, Timestamp>, Error> {
    let found = tx.select_many(
        "select d.next_attempt_at from webhook_deliveries d
         where d.slot = $1 and d.endpoint_id = $2 and d.history_id = $3 and d.number < $4 and d.next_attempt_at is not null
         order by d.number limit 1",
        &[
            slots(rows.clone().map(|row| row.id.slot())),
            Column::Text(rows.clone().map(|row| row.endpoint.as_str()).collect()),
            Column::Text(rows.clone().map(|row| row.history.as_str()).collect()),
            Column::I64(rows.map(|row| row.number).collect()),
        ],
    )?;
    found
        .iter()
        .map(|(place, row)| Ok((*place, instant(row, 0, "webhook_deliveries.next_attempt_at")?)))
        .collect()
}

pub(super) fn write_claims<'a>(
    tx: &mut Tx<'_>,
    rows: impl Iterator<Item = &'a DeliveryRow> + Clone,
) -> Result<u64, Error> {
    let keys = [
        ("slot", slots(rows.clone().map(|row| row.id.slot()))),
        ("id", Column::Text(rows.clone().map(|row| row.id.as_str()).collect())),
    ];
    let set = [
        ("attempts", Column::I64(rows.clone().map(|row| row.attempts).collect())),
        ("claims", Column::I64(rows.clone().map(|row| row.claims).collect())),
        ("next_attempt_at", instants(rows.clone().map(|row| row.next_attempt_at))),
        ("last_attempt_at", instants(rows.map(|row| row.last.at))),
    ];
    tx.update_many("webhook_deliveries", &keys, &set, "next_attempt_at is not null")
}

/// What came of attempts: each row as it was claimed, and as it is now. What was received is so, whatever was written meanwhile.
/// What was not changes nothing that is finished or that another one has claimed since.
pub(super) fn write_outcomes(tx: &mut Tx<'_>, ended: &[(&DeliveryRow, DeliveryRow)]) -> Result<(), Error> {
    let is_received = |(_, row): &&(_, DeliveryRow)| row.status == DeliveryStatus::Delivered;
    let (received, missed): (Vec<_>, Vec<_>) = ended.iter().partition(is_received);
    let received: Vec<&DeliveryRow> = received.iter().map(|(_, row)| row).collect();
    let (keys, set) = (keys_of(&received), outcomes_of(&received));
    tx.update_many("webhook_deliveries", &keys, &set, "status <> 'delivered'")?;
    let (claimed, missed): (Vec<&DeliveryRow>, Vec<&DeliveryRow>) =
        missed.iter().map(|(claimed, row)| (*claimed, row)).unzip();
    let keys = [keys_of(&missed), counts_of(&claimed)].concat();
    let set = [outcomes_of(&missed), counts_of(&missed)].concat();
    tx.update_many("webhook_deliveries", &keys, &set, "next_attempt_at is not null")?;
    Ok(())
}

type Named<'a> = (&'static str, Column<'a>);

fn keys_of<'a>(rows: &[&'a DeliveryRow]) -> Vec<Named<'a>> {
    vec![
        ("slot", slots(rows.iter().map(|row| row.id.slot()))),
        ("id", Column::Text(rows.iter().map(|row| row.id.as_str()).collect())),
    ]
}

fn counts_of<'a>(rows: &[&'a DeliveryRow]) -> Vec<Named<'a>> {
    vec![
        ("attempts", Column::I64(rows.iter().map(|row| row.attempts).collect())),
        ("claims", Column::I64(rows.iter().map(|row| row.claims).collect())),
    ]
}

fn outcomes_of<'a>(rows: &[&'a DeliveryRow]) -> Vec<Named<'a>> {
    vec![
        ("status", Column::Text(rows.iter().map(|row| row.status.as_str()).collect())),
        ("next_attempt_at", instants(rows.iter().map(|row| row.next_attempt_at))),
        ("last_status", Column::OptI64(rows.iter().map(|row| row.last.status).collect())),
        ("last_error", Column::OptText(rows.iter().map(|row| row.last.error.as_deref()).collect())),
        ("last_duration_ms", Column::OptI64(rows.iter().map(|row| row.last.duration_ms).collect())),
        ("finished_at", instants(rows.iter().map(|row| row.finished_at))),
    ]
}

/// Makes due what waited behind these, since it was made: it does not go behind all that came after it.
pub(super) fn wake_next<'a>(
    tx: &mut Tx<'_>,
    finished: impl Iterator<Item = &'a DeliveryRow> + Clone,
) -> Result<(), Error> {
    let next = tx.select_many(
        "select d.slot, d.id, d.created_at from webhook_deliveries d
         where d.slot = $1 and d.endpoint_id = $2 and d.history_id = $3 and d.next_attempt_at is not null
         order by d.number limit 1",
        &[
            slots(finished.clone().map(|row| row.id.slot())),
            Column::Text(finished.clone().map(|row| row.endpoint.as_str()).collect()),
            Column::Text(finished.map(|row| row.history.as_str()).collect()),
        ],
    )?;
    // Two of one history may have been finished at once; what is next is one.
    let next: BTreeMap<&str, (i64, i64)> = next
        .iter()
        .map(|(_, row)| Ok((row.str(1)?, (row.i64(0)?, row.i64(2)?))))
        .collect::<Result<_, Error>>()?;
    let keys = [
        ("slot", Column::I64(next.values().map(|next| next.0).collect())),
        ("id", Column::Text(next.keys().copied().collect())),
    ];
    let set = [("next_attempt_at", Column::I64(next.values().map(|next| next.1).collect()))];
    tx.update_many("webhook_deliveries", &keys, &set, "next_attempt_at is not null and attempts = 0")?;
    Ok(())
}

/// What waits for these endpoints to be tried again, was made after `since`, and is to be tried later than `pause` after its last
/// attempt: it is moved there, and that attempt will not count. What is being sent, and what was too much for a receiver (429), is
/// left as it is.
pub(super) fn go_on(
    tx: &mut Tx<'_>,
    endpoints: &[WebhookEndpointId],
    (since, pause, now): (Timestamp, SignedDuration, Timestamp),
) -> Result<(), Error> {
    let rows = tx.select_many(
        "select d.slot, d.id, d.attempts, d.next_attempt_at, d.last_attempt_at from webhook_deliveries d
         where d.endpoint_id = $1 and d.next_attempt_at is not null and d.attempts > 0 and d.claims = 0 and d.created_at > $2
               and (d.last_status is null or d.last_status <> 429)
         order by d.next_attempt_at, d.slot, d.id limit 5000",
        &[
            Column::Text(endpoints.iter().map(WebhookEndpointId::as_str).collect()),
            Column::I64(vec![since.as_microsecond(); endpoints.len()]),
        ],
    )?;
    let (mut keys, mut ids, mut set) = ([vec![], vec![], vec![]], Vec::new(), [vec![], vec![]]);
    for (_, row) in &rows {
        let (attempts, planned) = (row.i64(2)?, row.i64(3)?);
        let last = opt_instant(row, 4, "webhook_deliveries.last_attempt_at")?.unwrap_or(now);
        let at = last.saturating_add(pause).unwrap_or(now).max(now).as_microsecond();
        if at >= planned {
            continue;
        }
        ids.push(row.str(1)?);
        for (column, value) in keys.iter_mut().zip([row.i64(0)?, attempts, planned]) {
            column.push(value);
        }
        for (column, value) in set.iter_mut().zip([attempts - 1, at]) {
            column.push(value);
        }
    }
    // As they were read: one that is claimed meanwhile is left alone.
    let [slots, attempts, planned] = keys.map(Column::I64);
    let keys =
        [("slot", slots), ("id", Column::Text(ids)), ("attempts", attempts), ("next_attempt_at", planned)];
    let [attempts, at] = set.map(Column::I64);
    tx.update_many(
        "webhook_deliveries",
        &keys,
        &[("attempts", attempts), ("next_attempt_at", at)],
        "claims = 0",
    )?;
    Ok(())
}

/// Some of what waits for these endpoints, each with the place of its endpoint; of each a part.
pub(super) fn waiting_of(
    tx: &mut Tx<'_>,
    endpoints: &[WebhookEndpointId],
) -> Result<Vec<(usize, WebhookDeliveryId)>, Error> {
    let rows = tx.select_many(
        "select d.id from webhook_deliveries d where d.endpoint_id = $1 and d.next_attempt_at is not null
         order by d.next_attempt_at, d.slot, d.id limit 500",
        &[Column::Text(endpoints.iter().map(WebhookEndpointId::as_str).collect())],
    )?;
    rows.iter().map(|(place, row)| Ok((*place, parsed(row, 0, "webhook_deliveries.id", "an id")?))).collect()
}

/// Gives these up, each for a reason.
pub(super) fn give_up(
    tx: &mut Tx<'_>,
    given_up: &[(WebhookDeliveryId, &str)],
    now: Timestamp,
) -> Result<u64, Error> {
    let count = given_up.len();
    let keys = [
        ("slot", slots(given_up.iter().map(|(id, _)| id.slot()))),
        ("id", Column::Text(given_up.iter().map(|(id, _)| id.as_str()).collect())),
    ];
    let set = [
        ("status", Column::Text(vec![DeliveryStatus::GivenUp.as_str(); count])),
        ("next_attempt_at", Column::OptI64(vec![None; count])),
        ("last_error", Column::Text(given_up.iter().map(|(_, why)| *why).collect())),
        ("finished_at", Column::I64(vec![now.as_microsecond(); count])),
    ];
    tx.update_many("webhook_deliveries", &keys, &set, "next_attempt_at is not null")
}

/// Removes some of what was finished before `until`. Returns how many.
pub(super) fn forget(tx: &mut Tx<'_>, until: Timestamp) -> Result<u64, Error> {
    let rows = tx.query(
        "select slot, id from webhook_deliveries where finished_at < $1 and finished_at is not null
         order by finished_at, slot, id limit 1000",
        &[Value::I64(until.as_microsecond())],
    )?;
    let keys = [
        ("slot", Column::I64(rows.iter().map(|row| row.i64(0)).collect::<Result<_, _>>()?)),
        ("id", Column::Text(rows.iter().map(|row| row.str(1)).collect::<Result<_, _>>()?)),
    ];
    tx.delete_many("webhook_deliveries", &keys)
}
