//! Rows that come out of statements, the same on both engines.
//!
//! A row is decoded when asked, column by column from 0. It converts nothing: what is not what was asked for is an error that
//! names the column and says what was found.

use std::ops::Range;
use std::sync::Arc;

use postgres::types::{FromSql, Type};

use crate::Error;

/// One row of an answer; it outlives its transaction.
#[derive(Debug)]
pub struct Row(Source);

#[derive(Debug)]
enum Source {
    Sqlite(SqliteRow),
    /// `skip` columns at the front belong to this crate.
    Postgres {
        row: postgres::Row,
        skip: usize,
    },
}

/// Texts and bytes of all columns lie in one buffer: two allocations to a row.
#[derive(Debug)]
pub(crate) struct SqliteRow {
    pub(crate) names: Arc<[String]>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) buffer: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Null,
    I64(i64),
    Real,
    Text(Range<usize>),
    Bytes(Range<usize>),
}

impl Row {
    pub(crate) fn sqlite(row: SqliteRow) -> Row {
        Row(Source::Sqlite(row))
    }

    pub(crate) fn postgres(row: postgres::Row, skip: usize) -> Row {
        Row(Source::Postgres { row, skip })
    }

    /// The number of columns.
    pub fn len(&self) -> usize {
        match &self.0 {
            Source::Sqlite(row) => row.cells.len(),
            Source::Postgres { row, skip } => row.len() - skip,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn i64(&self, i: usize) -> Result<i64, Error> {
        self.opt_i64(i)?.ok_or_else(|| self.wrong(i, "a BIGINT"))
    }

    pub fn opt_i64(&self, i: usize) -> Result<Option<i64>, Error> {
        const EXPECTED: &str = "a BIGINT";
        match &self.0 {
            Source::Sqlite(row) => match row.cells.get(i) {
                Some(Cell::Null) => Ok(None),
                Some(Cell::I64(value)) => Ok(Some(*value)),
                Some(Cell::Real | Cell::Text(_) | Cell::Bytes(_)) | None => Err(self.wrong(i, EXPECTED)),
            },
            Source::Postgres { row, skip } => match column_type(row, i + skip) {
                Some(Type::INT4) => Ok(self.decoded::<i32>(i, EXPECTED)?.map(i64::from)),
                Some(Type::INT2) => Ok(self.decoded::<i16>(i, EXPECTED)?.map(i64::from)),
                _ => self.decoded(i, EXPECTED),
            },
        }
    }

    /// A copy of the text; [`Row::str`] borrows it.
    pub fn text(&self, i: usize) -> Result<String, Error> {
        self.str(i).map(str::to_owned)
    }

    pub fn opt_text(&self, i: usize) -> Result<Option<String>, Error> {
        Ok(self.opt_str(i)?.map(str::to_owned))
    }

    pub fn str(&self, i: usize) -> Result<&str, Error> {
        self.opt_str(i)?.ok_or_else(|| self.wrong(i, "TEXT"))
    }

    pub fn opt_str(&self, i: usize) -> Result<Option<&str>, Error> {
        const EXPECTED: &str = "TEXT";
        match &self.0 {
            Source::Sqlite(row) => match row.cells.get(i) {
                Some(Cell::Null) => Ok(None),
                Some(Cell::Text(range)) => {
                    let text = str::from_utf8(&row.buffer[range.clone()]);
                    text.map(Some).map_err(|_| self.wrong(i, "TEXT in UTF-8"))
                }
                Some(Cell::I64(_) | Cell::Real | Cell::Bytes(_)) | None => Err(self.wrong(i, EXPECTED)),
            },
            Source::Postgres { .. } => self.decoded(i, EXPECTED),
        }
    }

    pub fn bytes(&self, i: usize) -> Result<Vec<u8>, Error> {
        self.opt_bytes(i)?.ok_or_else(|| self.wrong(i, "BYTEA"))
    }

    pub fn opt_bytes(&self, i: usize) -> Result<Option<Vec<u8>>, Error> {
        const EXPECTED: &str = "BYTEA";
        match &self.0 {
            Source::Sqlite(row) => match row.cells.get(i) {
                Some(Cell::Null) => Ok(None),
                Some(Cell::Bytes(range)) => Ok(Some(row.buffer[range.clone()].to_vec())),
                Some(Cell::I64(_) | Cell::Real | Cell::Text(_)) | None => Err(self.wrong(i, EXPECTED)),
            },
            Source::Postgres { .. } => self.decoded(i, EXPECTED),
        }
    }

    pub fn bool(&self, i: usize) -> Result<bool, Error> {
        self.opt_bool(i)?.ok_or_else(|| self.wrong(i, "a BOOLEAN"))
    }

    pub fn opt_bool(&self, i: usize) -> Result<Option<bool>, Error> {
        const EXPECTED: &str = "a BOOLEAN";
        match &self.0 {
            Source::Sqlite(row) => match row.cells.get(i) {
                Some(Cell::Null) => Ok(None),
                Some(Cell::I64(0)) => Ok(Some(false)),
                Some(Cell::I64(1)) => Ok(Some(true)),
                Some(Cell::I64(_) | Cell::Real | Cell::Text(_) | Cell::Bytes(_)) | None => {
                    Err(self.wrong(i, EXPECTED))
                }
            },
            Source::Postgres { .. } => self.decoded(i, EXPECTED),
        }
    }

    fn decoded<'r, T: FromSql<'r>>(&'r self, i: usize, expected: &'static str) -> Result<Option<T>, Error> {
        match &self.0 {
            Source::Postgres { row, skip } => row.try_get(i + skip).map_err(|_| self.wrong(i, expected)),
            Source::Sqlite(_) => Err(self.wrong(i, expected)),
        }
    }

    fn wrong(&self, i: usize, expected: &'static str) -> Error {
        let (name, found) = match &self.0 {
            Source::Sqlite(row) => {
                (row.names.get(i).cloned(), row.cells.get(i).map(|cell| cell.kind().to_owned()))
            }
            Source::Postgres { row, skip } => {
                let column = row.columns().get(i + skip);
                (column.map(|c| c.name().to_owned()), column.map(|c| postgres_kind(row, i + skip, c.type_())))
            }
        };
        Error::Decode {
            column: name.map_or_else(|| i.to_string(), |name| format!("{i} `{name}`")),
            expected,
            found: found.unwrap_or_else(|| format!("missing: the row has {} columns", self.len())),
        }
    }
}

impl Cell {
    fn kind(&self) -> &'static str {
        match self {
            Cell::Null => "null",
            Cell::I64(_) => "an integer",
            Cell::Real => "a floating-point number",
            Cell::Text(_) => "text",
            Cell::Bytes(_) => "bytes",
        }
    }
}

fn column_type(row: &postgres::Row, i: usize) -> Option<Type> {
    row.columns().get(i).map(|column| column.type_().clone())
}

fn postgres_kind(row: &postgres::Row, i: usize, kind: &Type) -> String {
    if matches!(row.try_get::<_, IsNull>(i), Ok(IsNull(true))) {
        return "null".to_owned();
    }
    if *kind == Type::NUMERIC {
        return "numeric (write `cast(… as bigint)`)".to_owned();
    }
    kind.name().to_owned()
}

/// Takes any type and keeps only whether it is null.
struct IsNull(bool);

impl<'r> FromSql<'r> for IsNull {
    fn from_sql(_: &Type, _: &'r [u8]) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull(false))
    }

    fn from_sql_null(_: &Type) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull(true))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
