//! What PostgreSQL's errors mean for a caller.
//!
//! Only the message, the code and the constraint's name are used: the detail holds values.

use std::error::Error as _;

use postgres::error::{DbError, Severity, SqlState};

use crate::Error;
use crate::error::shown;

/// `is_closed`: whether the connection is known to be gone.
pub(super) fn meaning(cause: &postgres::Error, is_closed: bool, sql: &str) -> Error {
    let Some(refusal) = cause.as_db_error() else {
        let text = text(cause);
        let is_lost = is_closed
            || cause.is_closed()
            || cause.source().is_some_and(|source| source.is::<std::io::Error>());
        return if is_lost {
            Error::ConnectionLost { cause: text }
        } else {
            Error::Internal { cause: text, statement: shown(sql) }
        };
    };
    if is_closed || ends_connection(refusal) {
        return Error::ConnectionLost { cause: refusal.message().to_owned() };
    }
    refused(refusal, shown(sql))
}

/// A statement prepared before a migration changed its answer: prepared again, it works.
pub(super) fn is_stale_plan(cause: &postgres::Error) -> bool {
    cause.as_db_error().is_some_and(|refusal| {
        *refusal.code() == SqlState::FEATURE_NOT_SUPPORTED && refusal.message().contains("cached plan")
    })
}

/// The cause in words, with the first cause behind it.
pub(super) fn text(cause: &postgres::Error) -> String {
    if let Some(refusal) = cause.as_db_error() {
        return refusal.message().to_owned();
    }
    match cause.source() {
        Some(source) => {
            format!("{cause}: {source}").replace(&format!("{source}: {source}"), &source.to_string())
        }
        None => cause.to_string(),
    }
}

fn ends_connection(refusal: &DbError) -> bool {
    matches!(refusal.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
        || refusal.code().code().starts_with("08")
}

fn refused(refusal: &DbError, statement: String) -> Error {
    let message = refusal.message().to_owned();
    let constraint = || refusal.constraint().unwrap_or("unnamed").to_owned();
    match refusal.code().code() {
        "23505" => Error::UniqueViolation { constraint: constraint(), statement },
        "23503" => Error::ForeignKey { constraint: constraint(), statement },
        "23514" => Error::Check { constraint: constraint(), statement },
        "23502" => {
            let column = format!("{}.{}", refusal.table().unwrap_or("?"), refusal.column().unwrap_or("?"));
            Error::Check { constraint: format!("{column} is null"), statement }
        }
        // Serialization failure, deadlock, lock timeout; and a plan that a migration has made stale.
        "40001" | "40P01" | "55P03" => Error::Busy { cause: message, statement },
        "0A000" if message.contains("cached plan") => Error::Busy { cause: message, statement },
        "53100" => Error::Full { cause: message, statement },
        "XX001" | "XX002" => Error::Corrupt { cause: message, statement },
        code => Error::Internal { cause: format!("{message} ({code})"), statement },
    }
}
