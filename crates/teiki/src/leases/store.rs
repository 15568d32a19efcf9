//! SQL of leases.

use db::{Error, Tx, Value};
use jiff::Timestamp;

/// Who had the lease last.
pub(super) fn holder(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, Error> {
    tx.query_opt("select holder from leases where name = $1", &[Value::Text(name)])?
        .map(|row| row.text(0))
        .transpose()
}

pub(super) fn raise_fence(tx: &mut Tx<'_>, name: &str, holder: &str, now: Timestamp) -> Result<i64, Error> {
    tx.query_one(
        "insert into leases (name, holder, fence, taken_at) values ($1, $2, 1, $3)
         on conflict (name) do update set holder = excluded.holder, fence = leases.fence + 1, taken_at = excluded.taken_at
         returning fence",
        &[Value::Text(name), Value::Text(holder), Value::I64(now.as_microsecond())],
    )?
    .i64(0)
}
