//! The texts of the many-row statements, the only SQL this crate writes differently for each engine.
//!
//! PostgreSQL gets all rows at once, as one array for each column. SQLite gets the statement for one row, which the session
//! then runs row by row. Decides no values and runs nothing.

use std::fmt::Write;

use crate::Error;
use crate::rewrite;
use crate::url::Engine;
use crate::value::Column;

/// What an insert does when a row with its unique key exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The whole statement fails with `UniqueViolation`.
    Fail,
    /// The row is left out, and not counted.
    Nothing,
}

type Named<'c> = (&'static str, Column<'c>);

pub(crate) fn insert(engine: Engine, table: &str, columns: &[Named<'_>], on_conflict: OnConflict) -> String {
    let names = list(columns.iter().map(|(name, _)| (*name).to_owned()), ", ");
    let rows = match engine {
        Engine::Sqlite => format!("values ({})", list((1..=columns.len()).map(|n| format!("${n}")), ", ")),
        Engine::Postgres => format!("select * from {}", unnest(columns.iter().map(|(_, column)| column))),
    };
    let conflict = match on_conflict {
        OnConflict::Fail => "",
        OnConflict::Nothing => " on conflict do nothing",
    };
    format!("insert into {table} ({names}) {rows}{conflict}")
}

/// Parameters: the keys, then the values to set.
pub(crate) fn update(
    engine: Engine,
    table: &str,
    keys: &[Named<'_>],
    set: &[Named<'_>],
    guard: &str,
) -> Result<String, Error> {
    let guard = guarded(guard)?;
    let k = keys.len();
    Ok(match engine {
        Engine::Sqlite => {
            let set =
                list(set.iter().enumerate().map(|(i, (name, _))| format!("{name} = ${}", k + i + 1)), ", ");
            format!("update {table} set {set} where {}{guard}", keys_are_parameters(keys))
        }
        Engine::Postgres => {
            let values = list(
                set.iter().enumerate().map(|(i, (name, _))| format!("{name} = u.db_{}", k + i + 1)),
                ", ",
            );
            let rows = unnest(keys.iter().chain(set).map(|(_, column)| column));
            let names = rows_names(k + set.len());
            format!(
                "update {table} as t set {values} from {rows} as u({names}) where {}{guard}",
                keys_are_rows(keys)
            )
        }
    })
}

pub(crate) fn delete(engine: Engine, table: &str, keys: &[Named<'_>]) -> String {
    match engine {
        Engine::Sqlite => format!("delete from {table} where {}", keys_are_parameters(keys)),
        Engine::Postgres => {
            let rows = unnest(keys.iter().map(|(_, column)| column));
            let names = rows_names(keys.len());
            format!("delete from {table} as t using {rows} as u({names}) where {}", keys_are_rows(keys))
        }
    }
}

/// For PostgreSQL: the first column of the answer is the number of the key, from 1.
pub(crate) fn select(sql: &str, keys: &[&Column<'_>]) -> Result<String, Error> {
    let one = one_key(sql, keys)?;
    let rows = unnest(keys.iter().copied());
    let names = rows_names(keys.len());
    Ok(format!(
        "select u.db_ord, q.* from {rows} with ordinality as u({names}, db_ord) cross join lateral ({one}) q order by u.db_ord"
    ))
}

/// Whom a lock keeps waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Those who write the rows, and those who lock them in any way.
    Alone,
    /// Those who write the rows.
    Shared,
}

/// As [`select`], locking. The lateral part holds `for update` (or `for share`), so it is a nested loop over the keys in their own order:
/// whatever order two callers give, they lock in the same one and cannot dead-lock.
pub(crate) fn lock(lock: Lock, sql: &str, keys: &[&Column<'_>]) -> Result<String, Error> {
    let one = one_key(sql, keys)?;
    let rows = unnest(keys.iter().copied());
    let names = rows_names(keys.len());
    let strength = match lock {
        Lock::Alone => "update",
        Lock::Shared => "share",
    };
    Ok(format!(
        "select u.db_ord, q.* from (select * from {rows} with ordinality as r({names}, db_ord) order by {names}) u \
         cross join lateral ({one} for {strength}) q order by u.db_ord"
    ))
}

/// The caller's text for one key, with the key's columns in place of its parameters.
fn one_key(sql: &str, keys: &[&Column<'_>]) -> Result<String, Error> {
    let max = rewrite::parameter_max(sql);
    if max != keys.len() {
        return Err(Error::Assertion(format!(
            "the text has {max} parameters but there are {} key columns",
            keys.len()
        )));
    }
    Ok(rewrite::replace_parameters(sql, |n, text| {
        text.push_str("u.db_");
        text.push_str(&n.to_string());
    }))
}

fn guarded(guard: &str) -> Result<String, Error> {
    if rewrite::parameter_max(guard) != 0 {
        return Err(Error::Assertion("a guard has literals only, no parameters".to_owned()));
    }
    Ok(if guard.is_empty() { String::new() } else { format!(" and ({guard})") })
}

fn keys_are_parameters(keys: &[Named<'_>]) -> String {
    list(keys.iter().enumerate().map(|(i, (name, _))| format!("{name} = ${}", i + 1)), " and ")
}

fn keys_are_rows(keys: &[Named<'_>]) -> String {
    list(keys.iter().enumerate().map(|(i, (name, _))| format!("t.{name} = u.db_{}", i + 1)), " and ")
}

/// `unnest($1::bigint[], $2::text[])`
fn unnest<'c>(columns: impl Iterator<Item = &'c Column<'c>>) -> String {
    let arrays =
        list(columns.enumerate().map(|(i, column)| format!("${}::{}", i + 1, array_type(column))), ", ");
    format!("unnest({arrays})")
}

/// Names that no caller's column has: `db_1, db_2`
fn rows_names(count: usize) -> String {
    list((1..=count).map(|n| format!("db_{n}")), ", ")
}

fn array_type(column: &Column<'_>) -> &'static str {
    match column {
        Column::I64(_) | Column::OptI64(_) => "bigint[]",
        Column::Text(_) | Column::OptText(_) => "text[]",
        Column::Bytes(_) => "bytea[]",
        Column::Bool(_) => "boolean[]",
    }
}

fn list(items: impl Iterator<Item = String>, separator: &str) -> String {
    let mut text = String::new();
    for (i, item) in items.enumerate() {
        let separator = if i == 0 { "" } else { separator };
        write!(text, "{separator}{item}").expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_gets_its_text() {
        let keys = [("slot", Column::I64(vec![1])), ("id", Column::Text(vec!["a"]))];
        let set = [("n", Column::OptI64(vec![None]))];
        let (sqlite, postgres) = (Engine::Sqlite, Engine::Postgres);
        assert_eq!(
            insert(sqlite, "t", &keys, OnConflict::Nothing),
            "insert into t (slot, id) values ($1, $2) on conflict do nothing"
        );
        assert_eq!(
            insert(postgres, "t", &keys, OnConflict::Fail),
            "insert into t (slot, id) select * from unnest($1::bigint[], $2::text[])"
        );
        assert_eq!(
            update(sqlite, "t", &keys, &set, "state = 'open'").expect("a valid guard"),
            "update t set n = $3 where slot = $1 and id = $2 and (state = 'open')"
        );
        assert_eq!(
            update(postgres, "t", &keys, &set, "").expect("no guard"),
            "update t as t set n = u.db_3 from unnest($1::bigint[], $2::text[], $3::bigint[]) as u(db_1, db_2, db_3) \
             where t.slot = u.db_1 and t.id = u.db_2"
        );
        assert_eq!(delete(sqlite, "t", &keys), "delete from t where slot = $1 and id = $2");
        update(sqlite, "t", &keys, &set, "a = $1").expect_err("a guard takes no parameter");
        select("select 1 where $1 = $1", &[&keys[0].1, &keys[1].1]).expect_err("one parameter, two keys");
    }
}
