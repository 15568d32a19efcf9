//! SQL of tokens.

use billing::id::{ChargeId, TokenId};
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::{Side, TokenRow};
use crate::stored::{instant, parsed, slots};

pub(super) fn insert(tx: &mut Tx<'_>, (account, mode): Side, token: &TokenRow) -> Result<(), Error> {
    let columns = [
        ("slot", Column::I64(vec![token.id.slot().as_i64()])),
        ("id", Column::Text(vec![token.id.as_str()])),
        ("account_id", Column::Text(vec![account.as_str()])),
        ("mode", Column::Text(vec![mode.as_str()])),
        ("payment_method_id", Column::Text(vec![token.method.as_str()])),
        ("created_at", Column::I64(vec![token.created_at.as_microsecond()])),
        ("made_at", Column::I64(vec![token.made_at.as_microsecond()])),
    ];
    tx.insert_many("tokens", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn find(tx: &mut Tx<'_>, (account, mode): Side, id: TokenId) -> Result<Option<TokenRow>, Error> {
    tx.query_opt(
        "select id, payment_method_id, created_at, made_at, used_at, confirmed_at from tokens
         where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
        ],
    )?
    .map(|row| token_of(&row))
    .transpose()
}

/// The same, held until the transaction ends.
pub(super) fn lock(tx: &mut Tx<'_>, (account, mode): Side, id: TokenId) -> Result<Option<TokenRow>, Error> {
    let rows = tx.lock_many(
        "select id, payment_method_id, created_at, made_at, used_at, confirmed_at from tokens
         where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            Column::I64(vec![id.slot().as_i64()]),
            Column::Text(vec![id.as_str()]),
            Column::Text(vec![account.as_str()]),
            Column::Text(vec![mode.as_str()]),
        ],
    )?;
    rows.first().map(|(_, row)| token_of(row)).transpose()
}

fn token_of(row: &Row) -> Result<TokenRow, Error> {
    Ok(TokenRow {
        id: parsed(row, 0, "tokens.id", "an id")?,
        method: parsed(row, 1, "tokens.payment_method_id", "an id")?,
        created_at: instant(row, 2, "tokens.created_at")?,
        made_at: instant(row, 3, "tokens.made_at")?,
        is_used: row.opt_i64(4)?.is_some(),
        is_confirmed: row.opt_i64(5)?.is_some(),
    })
}

/// The merchant has finished its 3-D Secure.
pub(super) fn confirm(tx: &mut Tx<'_>, id: TokenId, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update tokens set confirmed_at = $3 where slot = $1 and id = $2",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str()), Value::I64(now.as_microsecond())],
    )?;
    Ok(())
}

/// Whether it had not been used before.
pub(super) fn mark_used(tx: &mut Tx<'_>, id: TokenId, now: Timestamp) -> Result<bool, Error> {
    let marked = tx.execute(
        "update tokens set used_at = $3 where slot = $1 and id = $2 and used_at is null",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str()), Value::I64(now.as_microsecond())],
    )?;
    Ok(marked == 1)
}

/// The tokens whose cards these charges were to be paid with. A card of a customer belongs to no token.
pub(super) fn used_by(tx: &mut Tx<'_>, charges: &[ChargeId]) -> Result<Vec<TokenId>, Error> {
    let rows = tx.select_many(
        "select t.id from charges c join tokens t on t.slot = c.slot and t.payment_method_id = c.payment_method_id
         where c.slot = $1 and c.id = $2 and c.customer_id is null",
        &[
            slots(charges.iter().map(ChargeId::slot)),
            Column::Text(charges.iter().map(ChargeId::as_str).collect()),
        ],
    )?;
    rows.iter().map(|(_, row)| parsed(row, 0, "tokens.id", "an id")).collect()
}

pub(super) fn mark_unused(tx: &mut Tx<'_>, tokens: &[TokenId]) -> Result<(), Error> {
    let keys = [
        ("slot", slots(tokens.iter().map(TokenId::slot))),
        ("id", Column::Text(tokens.iter().map(TokenId::as_str).collect())),
    ];
    tx.update_many("tokens", &keys, &[("used_at", Column::OptI64(vec![None; tokens.len()]))], "")?;
    Ok(())
}
