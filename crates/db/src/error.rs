//! What can go wrong with a statement or a transaction, by what the caller can do about it.
//!
//! Errors carry the beginning of the statement, and never a parameter's value.

/// How much of a statement an error shows, in characters: enough to find it in the source.
const STATEMENT_SHOWN_MAX: usize = 80;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique constraint or primary key refused the row. `constraint` is PostgreSQL's name of it. SQLite reports only
    /// columns; the same name is found from them, and two indexes on the same columns are given as `one or other`:
    /// ask with [`Error::violates`].
    #[error("a row with this key exists already ({constraint}), in `{statement}`")]
    UniqueViolation { constraint: String, statement: String },
    /// A row refers to one that does not exist, or is still referred to. SQLite does not name the constraint.
    #[error("a reference between rows would be broken ({constraint}), in `{statement}`")]
    ForeignKey { constraint: String, statement: String },
    /// A CHECK or NOT NULL constraint refused the row.
    #[error("the database refused a value ({constraint}), in `{statement}`")]
    Check { constraint: String, statement: String },
    /// Another transaction was in the way, and still was after waiting or running again. Nothing was stored; try later.
    #[error("the database is busy: {cause}, in `{statement}`")]
    Busy { cause: String, statement: String },
    /// The disk (or the size allowed) is full. Nothing was stored.
    #[error("the database's disk is full: {cause}, in `{statement}`")]
    Full { cause: String, statement: String },
    /// The database file is damaged: stop, and restore a backup.
    #[error("the database file is damaged: {cause}, in `{statement}`")]
    Corrupt { cause: String, statement: String },
    /// Writing to the disk failed. What of the last transactions is kept cannot be known while this process runs:
    /// all later work is refused until it is restarted. The outcome of the transaction that failed first is unknown.
    #[error(
        "writing to the disk failed, so this process must be restarted after the disk is looked at: {cause}"
    )]
    StorageFailed { cause: String },
    /// The connection was lost before the commit, also when tried again. Nothing was stored.
    #[error("the connection to the database was lost: {cause}")]
    ConnectionLost { cause: String },
    /// The connection was lost while committing: read again by unique key, then decide. Never run again by itself.
    #[error("the connection was lost during the commit, so its outcome is not known: {cause}")]
    CommitUnknown { cause: String },
    /// The closure panicked; its transaction was rolled back.
    #[error("the transaction's code panicked: {message}")]
    Panicked { message: String },
    /// A column does not hold what was asked for.
    #[error("column {column} is not {expected} but {found}")]
    Decode { column: String, expected: &'static str, found: String },
    /// Not as many rows as the caller said there must be.
    #[error("expected {expected} row but found {found}, in `{statement}`")]
    Rows { expected: &'static str, found: usize, statement: String },
    /// The caller broke a rule of this crate, such as columns of unequal length.
    #[error("wrong use of the database: {0}")]
    Assertion(String),
    /// A statement of this transaction failed before, so the transaction is over and nothing of it is stored.
    #[error("a former statement of this transaction failed, so nothing of it is stored")]
    Aborted,
    /// The database was closed by `Db::close`.
    #[error("the database is closed")]
    Closed,
    /// Everything a caller cannot act on.
    #[error("{cause}, in `{statement}`")]
    Internal { cause: String, statement: String },
}

impl Error {
    /// Whether this is a unique violation of this constraint (or, on SQLite, of one that has the same columns).
    pub fn violates(&self, name: &str) -> bool {
        matches!(self, Error::UniqueViolation { constraint, .. } if constraint.split(" or ").any(|one| one == name))
    }
}

/// The beginning of a statement on one line.
pub(crate) fn shown(sql: &str) -> String {
    let mut shown = String::with_capacity(STATEMENT_SHOWN_MAX);
    for word in sql.split_whitespace() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
        if shown.chars().count() > STATEMENT_SHOWN_MAX {
            break;
        }
    }
    shown.chars().take(STATEMENT_SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_on_one_line_and_cut() {
        assert_eq!(shown("select a,\n   b\tfrom t"), "select a, b from t");
        assert_eq!(shown(&"注文 ".repeat(100)).chars().count(), 80);
    }
}
