//! SQL of idempotency keys.

use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::{Kept, Request, Ticket};
use crate::stored::{instant, unreadable};

/// A key that was used before.
pub(super) struct KeyRow {
    pub(super) request_hash: [u8; 32],
    pub(super) seed: [u8; 32],
    /// Who works on it, and since when.
    pub(super) holder: Option<(String, Timestamp)>,
    pub(super) done: Option<serde_json::Value>,
    pub(super) kept: Option<Kept>,
    pub(super) created_at: Timestamp,
}

fn key(request: &Request) -> [Value<'_>; 4] {
    [
        Value::I64(request.slot().as_i64()),
        Value::Text(request.side.0.as_str()),
        Value::Text(request.side.1.as_str()),
        Value::Bytes(&request.key_hash),
    ]
}

pub(super) fn lock(tx: &mut Tx<'_>, request: &Request) -> Result<Option<KeyRow>, Error> {
    let rows = tx.lock_many(
        "select request_hash, seed, holder, held_at, done, status, answer, created_at from idempotency_keys
         where slot = $1 and account_id = $2 and mode = $3 and key_hash = $4",
        &[
            Column::I64(vec![request.slot().as_i64()]),
            Column::Text(vec![request.side.0.as_str()]),
            Column::Text(vec![request.side.1.as_str()]),
            Column::Bytes(vec![&request.key_hash]),
        ],
    )?;
    rows.first().map(|(_, row)| row_of(row)).transpose()
}

/// As [`lock`] reads it, without keeping anybody from changing it.
pub(super) fn find(tx: &mut Tx<'_>, request: &Request) -> Result<Option<KeyRow>, Error> {
    let rows = tx.query(
        "select request_hash, seed, holder, held_at, done, status, answer, created_at from idempotency_keys
         where slot = $1 and account_id = $2 and mode = $3 and key_hash = $4",
        &key(request),
    )?;
    rows.first().map(row_of).transpose()
}

fn row_of(row: &Row) -> Result<KeyRow, Error> {
    let bytes = |i, column: &str| -> Result<[u8; 32], Error> {
        row.bytes(i)?.try_into().map_err(|_| unreadable(column, "32 bytes", "another length"))
    };
    let json = |i, column: &str| -> Result<Option<serde_json::Value>, Error> {
        let read = |text| serde_json::from_str(text).map_err(|_| unreadable(column, "JSON", text));
        row.opt_str(i)?.map(read).transpose()
    };
    let holder = match row.opt_text(2)? {
        Some(holder) => Some((holder, instant(row, 3, "idempotency_keys.held_at")?)),
        None => None,
    };
    let kept = match (row.opt_i64(5)?, json(6, "idempotency_keys.answer")?) {
        (Some(status), Some(body)) => {
            let wrong = |_| unreadable("idempotency_keys.status", "a status", &status.to_string());
            Some(Kept { status: u16::try_from(status).map_err(wrong)?, body })
        }
        (Some(_) | None, _) => None,
    };
    Ok(KeyRow {
        request_hash: bytes(0, "idempotency_keys.request_hash")?,
        seed: bytes(1, "idempotency_keys.seed")?,
        holder,
        done: json(4, "idempotency_keys.done")?,
        kept,
        created_at: instant(row, 7, "idempotency_keys.created_at")?,
    })
}

/// Makes the row, held by `holder`. Says whether it was new: another request may have come between.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    request: &Request,
    (seed, holder): (&[u8; 32], &str),
    now: Timestamp,
) -> Result<bool, Error> {
    let columns = [
        ("slot", Column::I64(vec![request.slot().as_i64()])),
        ("account_id", Column::Text(vec![request.side.0.as_str()])),
        ("mode", Column::Text(vec![request.side.1.as_str()])),
        ("key_hash", Column::Bytes(vec![&request.key_hash])),
        ("request_hash", Column::Bytes(vec![&request.request_hash])),
        ("seed", Column::Bytes(vec![seed])),
        ("holder", Column::Text(vec![holder])),
        ("held_at", Column::I64(vec![now.as_microsecond()])),
        ("created_at", Column::I64(vec![now.as_microsecond()])),
    ];
    Ok(tx.insert_many("idempotency_keys", &columns, OnConflict::Nothing)? == 1)
}

pub(super) fn delete(tx: &mut Tx<'_>, request: &Request) -> Result<u64, Error> {
    tx.execute(
        "delete from idempotency_keys where slot = $1 and account_id = $2 and mode = $3 and key_hash = $4",
        &key(request),
    )
}

/// Takes a row that nobody works on.
pub(super) fn hold(tx: &mut Tx<'_>, request: &Request, holder: &str, now: Timestamp) -> Result<u64, Error> {
    let [slot, account, mode, hash] = key(request);
    tx.execute(
        "update idempotency_keys set holder = $5, held_at = $6
         where slot = $1 and account_id = $2 and mode = $3 and key_hash = $4",
        &[slot, account, mode, hash, Value::Text(holder), Value::I64(now.as_microsecond())],
    )
}

/// What a ticket is good for: the row as long as it is held by this very try.
fn held(ticket: &Ticket) -> [Value<'_>; 6] {
    let [slot, account, mode, hash] = key(&ticket.request);
    let held_at = Value::I64(ticket.held_at.as_microsecond());
    [slot, account, mode, hash, Value::Text(&ticket.holder), held_at]
}

pub(super) fn mark(tx: &mut Tx<'_>, ticket: &Ticket, done: &str) -> Result<u64, Error> {
    let [slot, account, mode, hash, holder, held_at] = held(ticket);
    tx.execute(
        "update idempotency_keys set done = $7
         where slot = $1 and account_id = $2 and mode = $3 and key_hash = $4 and holder = $5 and held_at = $6
               and done is null",
        &[slot, account, mode, hash, holder, held_at, Value::Text(done)],
    )
}

/// Writes the last word.
pub(super) fn keep(tx: &mut Tx<'_>, ticket: &Ticket, kept: &Kept) -> Result<(), Error> {
    let [slot, account, mode, hash, holder, held_at] = held(ticket);
    let body = kept.body.to_string();
    tx.execute(
        "update idempotency_keys set holder = null, held_at = null, status = $7, answer = $8
         where slot = $1 and account_id = $2 and mode = $3 and key_hash = $4 and holder = $5 and held_at = $6",
        &[slot, account, mode, hash, holder, held_at, Value::I64(kept.status.into()), Value::Text(&body)],
    )?;
    Ok(())
}

/// Forgets the row and what was done.
pub(super) fn forget(tx: &mut Tx<'_>, ticket: &Ticket) -> Result<(), Error> {
    tx.execute(
        "delete from idempotency_keys
         where slot = $1 and account_id = $2 and mode = $3 and key_hash = $4 and holder = $5 and held_at = $6",
        &held(ticket),
    )?;
    Ok(())
}

/// Gives the row back; one that has done nothing is forgotten, so that its key is free for another request.
pub(super) fn release(tx: &mut Tx<'_>, ticket: &Ticket) -> Result<(), Error> {
    tx.execute(
        "delete from idempotency_keys
         where slot = $1 and account_id = $2 and mode = $3 and key_hash = $4 and holder = $5 and held_at = $6
               and done is null",
        &held(ticket),
    )?;
    tx.execute(
        "update idempotency_keys set holder = null, held_at = null
         where slot = $1 and account_id = $2 and mode = $3 and key_hash = $4 and holder = $5 and held_at = $6",
        &held(ticket),
    )?;
    Ok(())
}

/// Deletes at most `limit` rows that were made before `until`. Returns how many.
pub(super) fn expire(tx: &mut Tx<'_>, until: Timestamp, limit: i64) -> Result<u64, Error> {
    let old = tx.query(
        "select slot, account_id, mode, key_hash, created_at from idempotency_keys where created_at < $1
         order by created_at, slot limit $2",
        &[Value::I64(until.as_microsecond()), Value::I64(limit)],
    )?;
    let hashes: Vec<Vec<u8>> = old.iter().map(|row| row.bytes(3)).collect::<Result<_, _>>()?;
    let keys = [
        ("slot", Column::I64(old.iter().map(|row| row.i64(0)).collect::<Result<_, _>>()?)),
        ("account_id", Column::Text(old.iter().map(|row| row.str(1)).collect::<Result<_, _>>()?)),
        ("mode", Column::Text(old.iter().map(|row| row.str(2)).collect::<Result<_, _>>()?)),
        ("key_hash", Column::Bytes(hashes.iter().map(Vec::as_slice).collect())),
        // One that was used anew meanwhile is another row.
        ("created_at", Column::I64(old.iter().map(|row| row.i64(4)).collect::<Result<_, _>>()?)),
    ];
    if old.is_empty() { Ok(0) } else { tx.delete_many("idempotency_keys", &keys) }
}
