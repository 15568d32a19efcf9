//! One PostgreSQL connection: transactions and statements, each statement one round trip.
//!
//! A lost connection is made again at the next `begin`, never inside a transaction. Statements are prepared once and kept by the
//! connection. Opening and its checks are in `open`, encryption in `tls`, the meaning of errors in `fault`.

mod fault;
mod open;
mod tls;

use std::collections::HashMap;
use std::time::Duration;

use postgres::types::{ToSql, Type};
use postgres::{Client, Statement};

use crate::Error;
use crate::error::shown;
use crate::open::OpenError;
use crate::rewrite;
use crate::row::Row;
use crate::session::{Counts, Mode};
use crate::url::Server;
use crate::value::{Column, Value};

pub(crate) use open::connect;

/// Statements kept prepared by a connection. Above the number of statements in a program; beyond it all are made again.
const STATEMENTS_MAX: usize = 512;

pub(crate) struct Session {
    server: Server,
    mode: Mode,
    lock_wait: Duration,
    /// `None` after the connection was lost.
    client: Option<Client>,
    statements: HashMap<Box<str>, Statement>,
    pub(crate) counts: Counts,
}

impl Session {
    /// `mode`: what its transactions will be.
    pub(crate) fn open(server: Server, mode: Mode, lock_wait: Duration) -> Result<Session, OpenError> {
        let client = connect(&server, Some(mode), lock_wait)?;
        let (statements, counts) = (HashMap::new(), Counts::default());
        Ok(Session { server, mode, lock_wait, client: Some(client), statements, counts })
    }

    /// A read sees one snapshot, as it does on SQLite.
    pub(crate) fn begin(&mut self, mode: Mode) -> Result<(), Error> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.disconnect();
            let client = connect(&self.server, Some(self.mode), self.lock_wait);
            self.client = Some(client.map_err(|cause| Error::ConnectionLost { cause: cause.to_string() })?);
        }
        self.control(match mode {
            Mode::Read => "begin isolation level repeatable read read only",
            Mode::Write => "begin isolation level read committed read write",
        })
    }

    /// An error that is not `CommitUnknown` says that nothing was stored.
    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        let result = self.control("commit");
        if let Err(Error::ConnectionLost { cause }) = result {
            return Err(Error::CommitUnknown { cause });
        }
        result
    }

    /// After this no transaction is open: a connection that cannot roll back is given up.
    pub(crate) fn rollback(&mut self) {
        if self.control("rollback").is_err() {
            self.disconnect();
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.statements.clear();
        self.client = None;
    }

    pub(crate) fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let rows = self.with(sql, params.len(), |client, statement| {
            client.query(statement, &bound(statement, params))
        })?;
        self.counts.answered(sql, rows.len());
        Ok(rows.into_iter().map(|row| Row::postgres(row, 0)).collect())
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        let changed = self.with(sql, params.len(), |client, statement| {
            client.execute(statement, &bound(statement, params))
        })?;
        self.counts.rows_written += changed;
        Ok(changed)
    }

    pub(crate) fn execute_many(&mut self, sql: &str, columns: &[&Column<'_>]) -> Result<u64, Error> {
        let changed =
            self.with(sql, columns.len(), |client, statement| client.execute(statement, &arrays(columns)))?;
        self.counts.rows_written += changed;
        Ok(changed)
    }

    /// The first column of the text's answer is the number of the key, from 1.
    pub(crate) fn query_many(&mut self, sql: &str, keys: &[&Column<'_>]) -> Result<Vec<(usize, Row)>, Error> {
        let rows = self.with(sql, keys.len(), |client, statement| client.query(statement, &arrays(keys)))?;
        rows.into_iter().map(|row| Ok((key_index(&row)?, Row::postgres(row, 1)))).collect()
    }

    /// Several statements without parameters, for migrations.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.counts.round_trips += 1;
        let sql = rewrite::migration_for_postgres(sql);
        self.call(&sql, |client| client.batch_execute(&sql))
    }

    fn control(&mut self, sql: &'static str) -> Result<(), Error> {
        self.counts.round_trips += 1;
        self.call(sql, |client| client.batch_execute(sql))
    }

    fn with<T>(
        &mut self,
        sql: &str,
        params: usize,
        work: impl FnOnce(&mut Client, &Statement) -> Result<T, postgres::Error>,
    ) -> Result<T, Error> {
        let statement = self.prepared(sql)?;
        let expected = statement.params().len();
        if expected != params {
            let shown = shown(sql);
            return Err(Error::Assertion(format!(
                "{params} values were given for {expected} parameters in `{shown}`"
            )));
        }
        self.counts.round_trips += 1;
        self.call(sql, |client| work(client, &statement))
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        self.counts.round_trips += 1;
        let statement = self.call(sql, |client| client.prepare(sql))?;
        self.statements.insert(sql.into(), statement.clone());
        Ok(statement)
    }

    fn call<T>(
        &mut self,
        sql: &str,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, Error> {
        let Some(client) = &mut self.client else {
            return Err(Error::ConnectionLost { cause: "it was closed before".to_owned() });
        };
        let cause = match work(client) {
            Ok(value) => return Ok(value),
            Err(cause) => cause,
        };
        if fault::is_stale_plan(&cause) {
            self.statements.clear();
        }
        let error = fault::meaning(&cause, client.is_closed(), sql);
        if matches!(error, Error::ConnectionLost { .. }) {
            self.disconnect();
        }
        Err(error)
    }
}

fn key_index(row: &postgres::Row) -> Result<usize, Error> {
    let wrong =
        |found: String| Error::Decode { column: "db_ord".to_owned(), expected: "the number of a key", found };
    let number: i64 = row.try_get(0).map_err(|cause| wrong(cause.to_string()))?;
    usize::try_from(number - 1).map_err(|_| wrong(number.to_string()))
}

type Parameter<'p> = &'p (dyn ToSql + Sync);

fn bound<'p>(statement: &Statement, params: &'p [Value<'_>]) -> Vec<Parameter<'p>> {
    let types = statement.params();
    params
        .iter()
        .zip(types)
        .map(|(value, kind)| match value {
            Value::Null => null(kind),
            Value::I64(value) => value,
            Value::Text(value) => value as Parameter<'p>,
            Value::Bytes(value) => value,
            Value::Bool(value) => value,
        })
        .collect()
}

/// A null of the type that the server expects.
fn null(kind: &Type) -> Parameter<'static> {
    match *kind {
        Type::INT8 => &None::<i64>,
        Type::INT4 => &None::<i32>,
        Type::BOOL => &None::<bool>,
        Type::BYTEA => &None::<&[u8]>,
        _ => &None::<&str>,
    }
}

fn arrays<'p>(columns: &[&'p Column<'_>]) -> Vec<Parameter<'p>> {
    columns
        .iter()
        .map(|column| match column {
            Column::I64(values) => values as Parameter<'p>,
            Column::OptI64(values) => values,
            Column::Text(values) => values,
            Column::OptText(values) => values,
            Column::Bytes(values) => values,
            Column::Bool(values) => values,
        })
        .collect()
}
