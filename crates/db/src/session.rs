//! A connection of either engine, as a worker thread owns it.
//!
//! Only passes on; what an engine does is in `sqlite` and `postgres`.

use crate::row::Row;
use crate::url::Engine;
use crate::value::{Column, Value};
use crate::{Error, postgres, sqlite};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Sees one snapshot and writes nothing.
    Read,
    Write,
}

/// What a transaction has cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) round_trips: u64,
    pub(crate) rows_written: u64,
}

impl Counts {
    /// `insert … returning` and its like write as many rows as they answer.
    pub(crate) fn answered(&mut self, sql: &str, rows: usize) {
        let word = sql.split_whitespace().next().unwrap_or_default();
        if ["insert", "update", "delete"].iter().any(|write| word.eq_ignore_ascii_case(write)) {
            self.rows_written += u64::try_from(rows).expect("a count of rows fits 64 bits");
        }
    }
}

pub(crate) enum Session {
    Sqlite(Box<sqlite::Session>),
    Postgres(Box<postgres::Session>),
}

impl Session {
    pub(crate) fn engine(&self) -> Engine {
        match self {
            Session::Sqlite(_) => Engine::Sqlite,
            Session::Postgres(_) => Engine::Postgres,
        }
    }

    pub(crate) fn begin(&mut self, mode: Mode) -> Result<(), Error> {
        match self {
            Session::Sqlite(session) => session.begin(mode),
            Session::Postgres(session) => session.begin(mode),
        }
    }

    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        match self {
            Session::Sqlite(session) => session.commit(),
            Session::Postgres(session) => session.commit(),
        }
    }

    pub(crate) fn rollback(&mut self) {
        match self {
            Session::Sqlite(session) => session.rollback(),
            Session::Postgres(session) => session.rollback(),
        }
    }

    /// After a panic: nothing of the connection's state is trusted.
    pub(crate) fn discard(&mut self) {
        match self {
            Session::Sqlite(session) => session.rollback(),
            Session::Postgres(session) => session.disconnect(),
        }
    }

    /// What was counted since the last call.
    pub(crate) fn take_counts(&mut self) -> Counts {
        std::mem::take(match self {
            Session::Sqlite(session) => &mut session.counts,
            Session::Postgres(session) => &mut session.counts,
        })
    }

    pub(crate) fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        match self {
            Session::Sqlite(session) => session.query(sql, params),
            Session::Postgres(session) => session.query(sql, params),
        }
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        match self {
            Session::Sqlite(session) => session.execute(sql, params),
            Session::Postgres(session) => session.execute(sql, params),
        }
    }

    /// `rows`: the length of each column.
    pub(crate) fn execute_many(
        &mut self,
        sql: &str,
        columns: &[&Column<'_>],
        rows: usize,
    ) -> Result<u64, Error> {
        match self {
            Session::Sqlite(session) => session.execute_many(sql, columns, rows),
            Session::Postgres(session) => session.execute_many(sql, columns),
        }
    }

    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        match self {
            Session::Sqlite(session) => session.batch(sql),
            Session::Postgres(session) => session.batch(sql),
        }
    }
}
