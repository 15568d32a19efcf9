//! A transaction, as the caller's closure sees it.
//!
//! Order: one statement, many rows, the clock. A statement that fails ends the transaction on both engines (PostgreSQL insists
//! on it): later calls answer `Aborted`, and the worker rolls back whatever the closure returns.

use crate::error::shown;
use crate::many::{self, Lock, OnConflict};
use crate::row::Row;
use crate::session::Session;
use crate::url::Engine;
use crate::value::{Column, Value, row_count};
use crate::{Error, sqlite};

pub struct Tx<'c> {
    session: &'c mut Session,
    failure: Option<Failure>,
}

/// What a failed statement means for the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A conflict with another transaction: run again.
    Conflict,
    /// The connection is gone: connect, run again.
    Lost,
    /// Running again would fail again.
    Final,
}

impl Failure {
    pub(crate) fn of(error: &Error) -> Failure {
        if matches!(error, Error::Busy { .. }) {
            Failure::Conflict
        } else if matches!(error, Error::ConnectionLost { .. }) {
            Failure::Lost
        } else {
            Failure::Final
        }
    }
}

impl<'c> Tx<'c> {
    pub(crate) fn new(session: &'c mut Session) -> Tx<'c> {
        Tx { session, failure: None }
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    pub fn engine(&self) -> Engine {
        self.session.engine()
    }

    pub fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        self.statement(|session| session.query(sql, params))
    }

    /// At most one row; more are an error.
    pub fn query_opt(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Option<Row>, Error> {
        let mut rows = self.query(sql, params)?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            found => Err(Error::Rows { expected: "at most one", found, statement: shown(sql) }),
        }
    }

    /// Exactly one row.
    pub fn query_one(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Row, Error> {
        let row = self.query_opt(sql, params)?;
        row.ok_or_else(|| Error::Rows { expected: "exactly one", found: 0, statement: shown(sql) })
    }

    /// Answers with the number of rows written.
    pub fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        self.statement(|session| session.execute(sql, params))
    }

    /// Answers with the number of rows inserted.
    pub fn insert_many(
        &mut self,
        table: &'static str,
        columns: &[(&'static str, Column<'_>)],
        on_conflict: OnConflict,
    ) -> Result<u64, Error> {
        self.write_many(&[columns], |engine| Ok(many::insert(engine, table, columns, on_conflict)))
    }

    /// Sets values on the rows with these keys, and answers with the number of rows changed. No key may come twice.
    ///
    /// `guard`: a condition on the table's own columns, with literals only; empty for none.
    pub fn update_many(
        &mut self,
        table: &'static str,
        keys: &[(&'static str, Column<'_>)],
        set: &[(&'static str, Column<'_>)],
        guard: &'static str,
    ) -> Result<u64, Error> {
        self.write_many(&[keys, set], |engine| many::update(engine, table, keys, set, guard))
    }

    /// Deletes the rows with these keys, and answers with their number.
    pub fn delete_many(
        &mut self,
        table: &'static str,
        keys: &[(&'static str, Column<'_>)],
    ) -> Result<u64, Error> {
        self.write_many(&[keys], |engine| Ok(many::delete(engine, table, keys)))
    }

    /// `sql` is written for one key (`select … where t.slot = $1 and t.id = $2`). Each row comes with the index of its key,
    /// in the order of the keys.
    pub fn select_many(
        &mut self,
        sql: &'static str,
        keys: &[Column<'_>],
    ) -> Result<Vec<(usize, Row)>, Error> {
        self.read_many(sql, keys, many::select)
    }

    /// As `select_many`, with the rows locked until the transaction ends. Locks are taken in the order of the key's values,
    /// so that two batches wait for each other instead of dead-locking. On SQLite the whole transaction is alone already.
    pub fn lock_many(&mut self, sql: &'static str, keys: &[Column<'_>]) -> Result<Vec<(usize, Row)>, Error> {
        self.read_many(sql, keys, |sql, keys| many::lock(Lock::Alone, sql, keys))
    }

    /// As `lock_many`, but any number of transactions may hold such a lock on a row; who writes it waits for all of them.
    pub fn share_many(&mut self, sql: &'static str, keys: &[Column<'_>]) -> Result<Vec<(usize, Row)>, Error> {
        self.read_many(sql, keys, |sql, keys| many::lock(Lock::Shared, sql, keys))
    }

    /// Microseconds UTC, by the clock of the database's machine: the same for all processes on it.
    pub fn database_now(&mut self) -> Result<i64, Error> {
        match self.engine() {
            Engine::Sqlite => sqlite::now(),
            Engine::Postgres => self
                .query_one("select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)", &[])?
                .i64(0),
        }
    }

    /// Several statements without parameters, of a migration.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.statement(|session| session.batch(sql))
    }

    fn write_many(
        &mut self,
        columns: &[&[(&'static str, Column<'_>)]],
        text: impl FnOnce(Engine) -> Result<String, Error>,
    ) -> Result<u64, Error> {
        let columns: Vec<&Column<'_>> = columns.iter().copied().flatten().map(|(_, column)| column).collect();
        let rows = row_count(&columns)?;
        if rows == 0 {
            return Ok(0);
        }
        let sql = text(self.engine())?;
        self.statement(|session| session.execute_many(&sql, &columns, rows))
    }

    fn read_many(
        &mut self,
        sql: &'static str,
        keys: &[Column<'_>],
        text: impl FnOnce(&str, &[&Column<'_>]) -> Result<String, Error>,
    ) -> Result<Vec<(usize, Row)>, Error> {
        let keys: Vec<&Column<'_>> = keys.iter().collect();
        let rows = row_count(&keys)?;
        if rows == 0 {
            return Ok(Vec::new());
        }
        self.statement(|session| match session {
            Session::Sqlite(session) => session.query_many(sql, &keys, rows),
            Session::Postgres(session) => session.query_many(&text(sql, &keys)?, &keys),
        })
    }

    fn statement<T>(&mut self, run: impl FnOnce(&mut Session) -> Result<T, Error>) -> Result<T, Error> {
        if self.failure.is_some() {
            return Err(Error::Aborted);
        }
        let result = run(self.session);
        if let Err(error) = &result {
            self.failure = Some(Failure::of(error));
        }
        result
    }
}
