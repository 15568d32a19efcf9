//! What SQLite's errors mean for a caller.
//!
//! SQLite says which columns a unique constraint has, PostgreSQL says its name: [`constraint_name`] finds the name PostgreSQL
//! would give, so that callers ask once.

use rusqlite::{Connection, ErrorCode, ffi};

use crate::Error;
use crate::error::shown;

/// The part of an extended error code that says the kind of error.
const PRIMARY_CODE: i32 = 0xff;

/// An error of reading or writing the file itself.
pub(super) fn is_io(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

pub(super) fn meaning(connection: &Connection, cause: &rusqlite::Error, sql: &str) -> Error {
    let statement = shown(sql);
    let text = message(cause);
    let Some(failure) = cause.sqlite_error() else {
        return Error::Internal { cause: text, statement };
    };
    let extended = failure.extended_code;
    if matches!(extended, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC | ffi::SQLITE_IOERR_WRITE) {
        return Error::StorageFailed { cause: text };
    }
    match extended & PRIMARY_CODE {
        ffi::SQLITE_CONSTRAINT => violation(connection, extended, &text, statement),
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Error::Busy { cause: text, statement },
        ffi::SQLITE_FULL => Error::Full { cause: text, statement },
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => Error::Corrupt { cause: text, statement },
        _ => Error::Internal { cause: text, statement },
    }
}

/// SQLite's own words, without the statement that `rusqlite` adds.
fn message(cause: &rusqlite::Error) -> String {
    if let rusqlite::Error::SqlInputError { msg, .. } = cause { msg.clone() } else { cause.to_string() }
}

fn violation(connection: &Connection, extended: i32, text: &str, statement: String) -> Error {
    let subject = text.split_once("failed: ").map_or(text, |(_, subject)| subject);
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            let is_primary_key = extended != ffi::SQLITE_CONSTRAINT_UNIQUE;
            Error::UniqueViolation {
                constraint: constraint_name(connection, subject, is_primary_key),
                statement,
            }
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
            Error::ForeignKey { constraint: "SQLite does not say which".to_owned(), statement }
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => {
            Error::Check { constraint: format!("{subject} is null"), statement }
        }
        ffi::SQLITE_CONSTRAINT_CHECK => Error::Check { constraint: subject.to_owned(), statement },
        _ => Error::Internal { cause: text.to_owned(), statement },
    }
}

/// From `t.a, t.b` (or `index 'name'`) to the name: the index's own, or the one PostgreSQL gives to a constraint without one.
fn constraint_name(connection: &Connection, subject: &str, is_primary_key: bool) -> String {
    if let Some(name) = subject.strip_prefix("index '") {
        return name.trim_end_matches('\'').to_owned();
    }
    let parts: Vec<(&str, &str)> = subject.split(", ").filter_map(|part| part.split_once('.')).collect();
    let Some((table, _)) = parts.first() else {
        return subject.to_owned();
    };
    if is_primary_key {
        return format!("{table}_pkey");
    }
    let columns: Vec<&str> = parts.iter().map(|(_, column)| *column).collect();
    match indexes_on(connection, table, &columns) {
        Ok(names) if !names.is_empty() => names.join(" or "),
        Ok(_) | Err(_) => subject.to_owned(),
    }
}

fn indexes_on(connection: &Connection, table: &str, columns: &[&str]) -> rusqlite::Result<Vec<String>> {
    let mut unique = connection.prepare_cached(
        "select name, origin from pragma_index_list(?1) where \"unique\" = 1 order by name",
    )?;
    let mut parts = connection.prepare_cached("select name from pragma_index_info(?1) order by seqno")?;
    let mut found = Vec::new();
    let mut rows = unique.query([table])?;
    while let Some(row) = rows.next()? {
        let (name, origin): (String, String) = (row.get(0)?, row.get(1)?);
        let of_index: Vec<Option<String>> =
            parts.query_map([&name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if of_index.iter().map(Option::as_deref).eq(columns.iter().copied().map(Some)) {
            found.push(match origin.as_str() {
                "c" => name,
                "pk" => format!("{table}_pkey"),
                _ => format!("{table}_{}_key", columns.join("_")),
            });
        }
    }
    Ok(found)
}
