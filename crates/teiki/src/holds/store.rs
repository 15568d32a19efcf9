//! SQL of holds.

use billing::id::AccountId;
use db::{Error, Row, Tx, Value};
use jiff::Timestamp;

use super::Hold;
use crate::actor::Actor;
use crate::stored::instant;

/// The hold of everyone or of this account. `all` sorts after every `acct_…`, so it comes first here.
pub(super) fn find_for(tx: &mut Tx<'_>, account: AccountId) -> Result<Option<Hold>, Error> {
    tx.query_opt(
        "select scope, reason, actor, placed_at from holds where scope = 'all' or scope = $1 order by scope desc limit 1",
        &[Value::Text(account.as_str())],
    )?
    .map(|row| hold_of(&row))
    .transpose()
}

pub(super) fn find(tx: &mut Tx<'_>, scope: &str) -> Result<Hold, Error> {
    let row = tx.query_one(
        "select scope, reason, actor, placed_at from holds where scope = $1",
        &[Value::Text(scope)],
    )?;
    hold_of(&row)
}

pub(super) fn list(tx: &mut Tx<'_>) -> Result<Vec<Hold>, Error> {
    let rows = tx.query(
        "select scope, reason, actor, placed_at from holds
         order by case when scope = 'all' then 0 else 1 end, placed_at, scope",
        &[],
    )?;
    rows.iter().map(hold_of).collect()
}

pub(super) fn insert(
    tx: &mut Tx<'_>,
    scope: &str,
    reason: &str,
    actor: Actor,
    now: Timestamp,
) -> Result<bool, Error> {
    let written = tx.execute(
        "insert into holds (scope, reason, actor, placed_at) values ($1, $2, $3, $4) on conflict (scope) do nothing",
        &[Value::Text(scope), Value::Text(reason), Value::Text(actor.as_str()), Value::I64(now.as_microsecond())],
    )?;
    Ok(written == 1)
}

pub(super) fn delete(tx: &mut Tx<'_>, scope: &str) -> Result<u64, Error> {
    tx.execute("delete from holds where scope = $1", &[Value::Text(scope)])
}

fn hold_of(row: &Row) -> Result<Hold, Error> {
    Ok(Hold {
        scope: row.text(0)?,
        reason: row.text(1)?,
        actor: row.text(2)?,
        placed_at: instant(row, 3, "holds.placed_at")?,
    })
}
