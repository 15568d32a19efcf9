//! SQL of leases.

use db::{Error, Tx, Value};
use jiff::Timestamp;

use crate::stored::instant;

/// Who had the lease last, and until when others before may still send.
pub(super) fn holder(tx: &mut Tx<'_>, name: &str) -> Result<Option<(String, Timestamp)>, Error> {
    tx.query_opt("select holder, others_until from leases where name = $1", &[Value::Text(name)])?
        .map(|row| Ok((row.text(0)?, instant(&row, 1, "leases.others_until")?)))
        .transpose()
}

pub(super) fn raise_fence(
    tx: &mut Tx<'_>,
    (name, holder): (&str, &str),
    now: Timestamp,
    others_until: Timestamp,
) -> Result<i64, Error> {
    tx.query_one(
        "insert into leases (name, holder, fence, taken_at, others_until) values ($1, $2, 1, $3, $4)
         on conflict (name) do update set holder = excluded.holder, fence = leases.fence + 1,
             taken_at = excluded.taken_at, others_until = excluded.others_until
         returning fence",
        &[
            Value::Text(name),
            Value::Text(holder),
            Value::I64(now.as_microsecond()),
            Value::I64(others_until.as_microsecond()),
        ],
    )?
    .i64(0)
}
