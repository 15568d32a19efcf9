//! SQL of the master keys in use: their ids, never the keys.

use db::{Column, Error, Tx, Value};
use jiff::Timestamp;

/// The keys under which anything is encrypted, the newest first.
pub(super) fn key_ids(tx: &mut Tx<'_>) -> Result<Vec<String>, Error> {
    let rows = tx.query("select id from secret_keys order by created_at desc, id", &[])?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// Writes down that this key is used, if it is the first one. Returns the one in use, which may be another.
pub(super) fn register(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<String, Error> {
    if let Some(used) = key_ids(tx)?.into_iter().next() {
        return Ok(used);
    }
    // Two servers that make a key at the same time: the second one waits here, and sees the first one's.
    tx.lock_many("select i.id from installation i where i.id = $1", &[Column::I64(vec![1])])?;
    if let Some(used) = key_ids(tx)?.into_iter().next() {
        return Ok(used);
    }
    tx.execute(
        "insert into secret_keys (id, created_at) values ($1, $2)",
        &[Value::Text(id), Value::I64(now.as_microsecond())],
    )?;
    Ok(id.to_owned())
}
