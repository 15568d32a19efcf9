//! SQL of API keys.

use billing::id::AccountId;
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::{ApiKey, KeyKind, Side};
use crate::stored::{instant, opt_instant, parsed, unreadable};
use crate::web::Caller;
use crate::web::limits::Preset;
use crate::web::list::{Page, Place};

pub(super) fn lock_account(tx: &mut Tx<'_>, account: AccountId) -> Result<(), Error> {
    tx.lock_many("select id from accounts where id = $1", &[Column::Text(vec![account.as_str()])])?;
    Ok(())
}

pub(super) fn insert(tx: &mut Tx<'_>, keys: &[ApiKey]) -> Result<(), Error> {
    let columns = [
        ("id", Column::Text(keys.iter().map(|key| key.id.as_str()).collect())),
        ("account_id", Column::Text(keys.iter().map(|key| key.side.0.as_str()).collect())),
        ("mode", Column::Text(keys.iter().map(|key| key.side.1.as_str()).collect())),
        ("kind", Column::Text(keys.iter().map(|key| key.kind.as_str()).collect())),
        ("hash", Column::Bytes(keys.iter().map(|key| key.hash.as_slice()).collect())),
        ("last4", Column::Text(keys.iter().map(|key| key.last4.as_str()).collect())),
        ("name", Column::OptText(keys.iter().map(|key| key.name.as_deref()).collect())),
        ("created_at", Column::I64(keys.iter().map(|key| key.created_at.as_microsecond()).collect())),
    ];
    tx.insert_many("api_keys", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn find(tx: &mut Tx<'_>, (account, mode): Side, id: &str) -> Result<Option<ApiKey>, Error> {
    tx.query_opt(
        "select id, account_id, mode, kind, hash, last4, name, created_at, last_used_at, expires_at, revoked_at
         from api_keys where id = $1 and account_id = $2 and mode = $3",
        &[Value::Text(id), Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?
    .map(|row| key_of(&row))
    .transpose()
}

pub(super) fn in_use(tx: &mut Tx<'_>, (account, mode): Side, now: Timestamp) -> Result<Vec<ApiKey>, Error> {
    let rows = tx.query(
        "select id, account_id, mode, kind, hash, last4, name, created_at, last_used_at, expires_at, revoked_at
         from api_keys
         where account_id = $1 and mode = $2 and revoked_at is null and (expires_at is null or expires_at > $3)
         order by created_at, id",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str()), Value::I64(now.as_microsecond())],
    )?;
    rows.iter().map(key_of).collect()
}

pub(super) fn list(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    (page, from): (&Page, &Place),
) -> Result<Vec<ApiKey>, Error> {
    let rows = tx.query(
        "select id, account_id, mode, kind, hash, last4, name, created_at, last_used_at, expires_at, revoked_at
         from api_keys
         where account_id = $1 and mode = $2 and (created_at, id) < ($3, $4) and created_at >= $5 and created_at <= $6
         order by created_at desc, id desc limit $7 offset $8",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::I64(from.created_at),
            Value::Text(&from.id),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::I64(page.rows()),
            Value::I64(page.offset),
        ],
    )?;
    rows.iter().map(key_of).collect()
}

fn key_of(row: &Row) -> Result<ApiKey, Error> {
    Ok(ApiKey {
        id: row.text(0)?,
        side: (parsed(row, 1, "api_keys.account_id", "an id")?, parsed(row, 2, "api_keys.mode", "a mode")?),
        kind: kind_of(row, 3)?,
        hash: <[u8; 32]>::try_from(row.bytes(4)?)
            .map_err(|found| unreadable("api_keys.hash", "a hash", &format!("{} bytes", found.len())))?,
        last4: row.text(5)?,
        name: row.opt_text(6)?,
        created_at: instant(row, 7, "api_keys.created_at")?,
        last_used_at: opt_instant(row, 8, "api_keys.last_used_at")?,
        expires_at: opt_instant(row, 9, "api_keys.expires_at")?,
        revoked_at: opt_instant(row, 10, "api_keys.revoked_at")?,
    })
}

fn kind_of(row: &Row, i: usize) -> Result<KeyKind, Error> {
    let kind = row.str(i)?;
    KeyKind::from_stored(kind).ok_or_else(|| unreadable("api_keys.kind", "a kind of key", kind))
}

pub(super) fn save_name(tx: &mut Tx<'_>, key: &ApiKey) -> Result<(), Error> {
    tx.execute(
        "update api_keys set name = $2 where id = $1",
        &[Value::Text(&key.id), Value::from(key.name.as_deref())],
    )?;
    Ok(())
}

/// Writes until when it works.
pub(super) fn save_end(tx: &mut Tx<'_>, key: &ApiKey) -> Result<(), Error> {
    tx.execute(
        "update api_keys set expires_at = $2, revoked_at = $3 where id = $1",
        &[
            Value::Text(&key.id),
            Value::from(key.expires_at.map(Timestamp::as_microsecond)),
            Value::from(key.revoked_at.map(Timestamp::as_microsecond)),
        ],
    )?;
    Ok(())
}

pub(super) fn find_caller(tx: &mut Tx<'_>, hash: &[u8; 32], now: Timestamp) -> Result<Option<Caller>, Error> {
    tx.query_opt(
        "select k.account_id, k.mode, k.kind, k.id, k.last_used_at, a.rate_limits
         from api_keys k join accounts a on a.id = k.account_id
         where k.hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > $2)",
        &[Value::Bytes(hash), Value::I64(now.as_microsecond())],
    )?
    .map(|row| {
        Ok(Caller {
            account: parsed(&row, 0, "api_keys.account_id", "an id")?,
            mode: parsed(&row, 1, "api_keys.mode", "a mode")?,
            kind: kind_of(&row, 2)?,
            key: row.text(3)?,
            last_used_at: opt_instant(&row, 4, "api_keys.last_used_at")?,
            rate_limits: Preset::from_stored(row.str(5)?).ok_or_else(|| {
                unreadable("accounts.rate_limits", "a preset", row.str(5).unwrap_or_default())
            })?,
        })
    })
    .transpose()
}

/// When each of these keys was last used, by its index; they stay so until the transaction ends.
pub(super) fn lock_uses(tx: &mut Tx<'_>, ids: &[&str]) -> Result<Vec<(usize, Option<Timestamp>)>, Error> {
    let rows =
        tx.lock_many("select last_used_at from api_keys where id = $1", &[Column::Text(ids.to_vec())])?;
    rows.iter().map(|(key, row)| Ok((*key, opt_instant(row, 0, "api_keys.last_used_at")?))).collect()
}

pub(super) fn save_uses(tx: &mut Tx<'_>, uses: &[(&str, Timestamp)]) -> Result<(), Error> {
    let keys = [("id", Column::Text(uses.iter().map(|of| of.0).collect()))];
    let set = [("last_used_at", Column::I64(uses.iter().map(|of| of.1.as_microsecond()).collect()))];
    tx.update_many("api_keys", &keys, &set, "")?;
    Ok(())
}
