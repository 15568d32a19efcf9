//! SQL of the outbox.

use db::{Column, Error, Tx, Value};
use jiff::Timestamp;

use super::Waiting;
use crate::stored::{parsed, slots};

pub(super) fn waiting(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<Vec<Waiting>, Error> {
    let rows = tx.query(
        "select o.event_id, o.sink, e.type, e.object_id, e.number
         from outbox o join events e on e.slot = o.slot and e.id = o.event_id
         where o.deliver_at <= $1 order by o.deliver_at, o.slot, o.event_id limit $2",
        &[Value::I64(now.as_microsecond()), Value::I64(limit)],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Waiting {
                event: parsed(row, 0, "outbox.event_id", "an id")?,
                sink: row.text(1)?,
                kind: row.text(2)?,
                object: row.text(3)?,
                number: row.i64(4)?,
            })
        })
        .collect()
}

pub(super) fn delete(tx: &mut Tx<'_>, delivered: &[Waiting]) -> Result<u64, Error> {
    let keys = [
        ("slot", slots(delivered.iter().map(|waiting| waiting.event.slot()))),
        ("event_id", Column::Text(delivered.iter().map(|waiting| waiting.event.as_str()).collect())),
        ("sink", Column::Text(delivered.iter().map(|waiting| waiting.sink.as_str()).collect())),
    ];
    tx.delete_many("outbox", &keys)
}
