//! One SQLite connection: transactions and statements.
//!
//! Statements are prepared once and kept by the connection. A many-row statement is the statement for one row, run row by
//! row: inside a process that costs less than anything that packs rows together.
//! Opening and its checks are in `open`, the meaning of SQLite's errors in `fault`.

mod fault;
mod open;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use crate::Error;
use crate::error::shown;
use crate::rewrite;
use crate::row::{Cell, Row, SqliteRow};
use crate::session::{Counts, Mode};
use crate::value::{Column, Value};

pub(crate) use open::{open_reader, open_writer};

/// Texts kept translated. Far above the number of statements in a program; beyond it all are forgotten and made again.
const TEXTS_MAX: usize = 1_024;

pub(crate) struct Session {
    connection: Connection,
    texts: HashMap<Box<str>, Text>,
    /// Set once, when writing to the disk has failed: nothing is done any more.
    storage_failed: Option<String>,
    pub(crate) counts: Counts,
}

/// A text for SQLite, and the names of the columns it answers with.
struct Text {
    sql: Box<str>,
    names: Option<Arc<[String]>>,
}

impl Session {
    fn new(connection: Connection) -> Session {
        Session { connection, texts: HashMap::new(), storage_failed: None, counts: Counts::default() }
    }

    pub(crate) fn begin(&mut self, mode: Mode) -> Result<(), Error> {
        if let Some(cause) = &self.storage_failed {
            return Err(Error::StorageFailed { cause: cause.clone() });
        }
        self.control(match mode {
            Mode::Read => "begin",
            Mode::Write => "begin immediate",
        })
    }

    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        self.control("commit")
    }

    /// After this no transaction is open; a failed statement may have ended it already.
    pub(crate) fn rollback(&mut self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.control("rollback") {
            self.storage_failed
                .get_or_insert_with(|| format!("a transaction could not be rolled back: {error}"));
        }
    }

    pub(crate) fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let result = self.with(sql, params.len(), |statement, names| {
            for (i, value) in params.iter().enumerate() {
                bind(statement, i, *value)?;
            }
            let mut rows = Vec::new();
            read(statement, names, |row| rows.push(row))?;
            Ok(rows)
        });
        if let Ok(rows) = &result {
            self.counts.answered(sql, rows.len());
        }
        result
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        let changed = self.with(sql, params.len(), |statement, _| {
            for (i, value) in params.iter().enumerate() {
                bind(statement, i, *value)?;
            }
            run(statement)
        })?;
        self.counts.rows_written += changed;
        Ok(changed)
    }

    /// Runs the text once for each row of the columns.
    pub(crate) fn execute_many(
        &mut self,
        sql: &str,
        columns: &[&Column<'_>],
        rows: usize,
    ) -> Result<u64, Error> {
        let changed = self.with(sql, columns.len(), |statement, _| {
            let mut changed = 0;
            for row in 0..rows {
                for (i, column) in columns.iter().enumerate() {
                    bind(statement, i, column.value(row))?;
                }
                changed += run(statement)?;
            }
            Ok(changed)
        })?;
        self.counts.rows_written += changed;
        Ok(changed)
    }

    /// Runs the text once for each key.
    pub(crate) fn query_many(
        &mut self,
        sql: &str,
        keys: &[&Column<'_>],
        rows: usize,
    ) -> Result<Vec<(usize, Row)>, Error> {
        self.with(sql, keys.len(), |statement, names| {
            let mut found = Vec::with_capacity(rows);
            for key in 0..rows {
                for (i, column) in keys.iter().enumerate() {
                    bind(statement, i, column.value(key))?;
                }
                read(statement, names, |row| found.push((key, row)))?;
            }
            Ok(found)
        })
    }

    /// Several statements without parameters, for migrations.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.counts.round_trips += 1;
        let sql = rewrite::migration_for_sqlite(sql);
        let result = self.connection.execute_batch(&sql);
        result.map_err(|cause| self.fault(&cause, &sql))?;
        if self.connection.is_autocommit() {
            return Err(Error::Assertion("a migration must not begin, commit or roll back".to_owned()));
        }
        Ok(())
    }

    fn control(&mut self, sql: &'static str) -> Result<(), Error> {
        self.counts.round_trips += 1;
        let result = self.connection.prepare_cached(sql).and_then(|mut statement| statement.raw_execute());
        match result {
            Ok(_) => Ok(()),
            Err(cause) if sql == "commit" && fault::is_io(&cause) => {
                let cause = cause.to_string();
                self.storage_failed.get_or_insert_with(|| cause.clone());
                Err(Error::StorageFailed { cause })
            }
            Err(cause) => Err(self.fault(&cause, sql)),
        }
    }

    /// Prepares the text (or takes it from the cache) and gives it to `work` with the names of its columns.
    fn with<T>(
        &mut self,
        sql: &str,
        params: usize,
        work: impl FnOnce(&mut CachedStatement<'_>, &Arc<[String]>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.counts.round_trips += 1;
        if !self.texts.contains_key(sql) {
            if self.texts.len() >= TEXTS_MAX {
                self.texts.clear();
            }
            self.texts.insert(sql.into(), Text { sql: rewrite::for_sqlite(sql).into(), names: None });
        }
        let Session { connection, texts, .. } = self;
        let text = texts.get_mut(sql).expect("it was put in above");
        let result = match connection.prepare_cached(&text.sql) {
            Ok(statement) if statement.parameter_count() != params => {
                let expected = statement.parameter_count();
                return Err(Error::Assertion(format!(
                    "{params} values were given for {expected} parameters in `{}`",
                    shown(sql)
                )));
            }
            Ok(mut statement) => {
                let names = text.names.get_or_insert_with(|| names(&statement));
                work(&mut statement, names)
            }
            Err(cause) => Err(cause),
        };
        result.map_err(|cause| self.fault(&cause, sql))
    }

    /// The meaning of an error, remembering one that forbids all later work.
    fn fault(&mut self, cause: &rusqlite::Error, sql: &str) -> Error {
        let error = fault::meaning(&self.connection, cause, sql);
        if let Error::StorageFailed { cause } = &error {
            self.storage_failed.get_or_insert_with(|| cause.clone());
        }
        error
    }
}

/// The host's clock: an SQLite database has no other, and this is the one place that reads it. Microseconds UTC.
#[expect(clippy::disallowed_methods, reason = "the operating clock of all processes that share the file")]
pub(crate) fn now() -> Result<i64, Error> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since
        .ok()
        .and_then(|duration| i64::try_from(duration.as_micros()).ok())
        .ok_or_else(|| Error::Assertion("the host's clock is outside 1970 to 292277".to_owned()))
}

fn names(statement: &CachedStatement<'_>) -> Arc<[String]> {
    statement.column_names().map(str::to_owned).collect()
}

fn bind(statement: &mut CachedStatement<'_>, i: usize, value: Value<'_>) -> rusqlite::Result<()> {
    let value = match value {
        Value::Null => ValueRef::Null,
        Value::I64(value) => ValueRef::Integer(value),
        Value::Text(value) => ValueRef::Text(value.as_bytes()),
        Value::Bytes(value) => ValueRef::Blob(value),
        Value::Bool(value) => ValueRef::Integer(i64::from(value)),
    };
    statement.raw_bind_parameter(i + 1, ToSqlOutput::Borrowed(value))
}

fn run(statement: &mut CachedStatement<'_>) -> rusqlite::Result<u64> {
    let changed = statement.raw_execute()?;
    Ok(u64::try_from(changed).expect("a count of rows fits 64 bits"))
}

fn read(
    statement: &mut CachedStatement<'_>,
    names: &Arc<[String]>,
    mut take: impl FnMut(Row),
) -> rusqlite::Result<()> {
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let mut cells = Vec::with_capacity(names.len());
        let mut buffer = Vec::new();
        for i in 0..names.len() {
            cells.push(cell(row.get_ref(i)?, &mut buffer));
        }
        take(Row::sqlite(SqliteRow { names: Arc::clone(names), cells, buffer }));
    }
    Ok(())
}

fn cell(value: ValueRef<'_>, buffer: &mut Vec<u8>) -> Cell {
    let mut keep = |bytes: &[u8]| {
        let start = buffer.len();
        buffer.extend_from_slice(bytes);
        start..buffer.len()
    };
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::I64(value),
        ValueRef::Real(_) => Cell::Real,
        ValueRef::Text(bytes) => Cell::Text(keep(bytes)),
        ValueRef::Blob(bytes) => Cell::Bytes(keep(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn after_a_failed_sync_all_later_work_is_refused() {
        let connection = Connection::open_in_memory().expect("memory is there");
        let mut session = Session::new(connection);
        session.begin(Mode::Write).expect("nothing is wrong yet");
        let failed_sync = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None);
        let error = session.fault(&failed_sync, "commit");
        assert!(matches!(error, Error::StorageFailed { .. }), "{error:?}");
        session.rollback();
        for mode in [Mode::Read, Mode::Write] {
            let error = session.begin(mode).expect_err("it stays refused");
            assert!(error.to_string().contains("must be restarted"), "{error}");
        }
    }
}
