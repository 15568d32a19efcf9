//! SQL of events and of the outbox rows that are written with them.

use billing::id::EventId;
use db::{Column, Error, OnConflict, Tx};
use jiff::Timestamp;

use super::NewEvent;
use crate::outbox::LOG_SINK;

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
