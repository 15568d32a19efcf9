//! SQL of the outbox.

use db::{Column, Error, Tx, Value};
use jiff::Timestamp;

use super::Waiting;
use crate::stored::{parsed, slots};

pub(super) fn waiting(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<Vec<Waiting>, Error> {
    let due = tx.query(
        "select slot, event_id, sink from outbox where deliver_at <= $1 order by deliver_at, slot, event_id limit $2",
        &[Value::I64(now.as_microsecond()), Value::I64(limit)],
    )?;
    let keys = [
        Column::I64(due.iter().map(|row| row.i64(0)).collect::<Result<_, _>>()?),
        Column::Text(due.iter().map(|row| row.str(1)).collect::<Result<_, _>>()?),
    ];
    let rows = tx.select_many(
        "select e.type, e.object_id, e.number from events e where e.slot = $1 and e.id = $2",
        &keys,
    )?;
    rows.iter()
        .map(|(place, row)| {
            Ok(Waiting {
                event: parsed(&due[*place], 1, "outbox.event_id", "an id")?,
                sink: due[*place].text(2)?,
                kind: row.text(0)?,
                object: row.text(1)?,
                number: row.i64(2)?,
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
