//! Opening an SQLite file, and the checks and settings without which it is not used.
//!
//! Order: version of SQLite, the file and its directory, the settings, each read back.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Session;
use crate::open::{OpenError, SQLITE_VERSION_MIN};

/// Statements kept prepared by a connection: about the number of statements in a program.
const STATEMENTS_MAX: usize = 256;
/// Page cache in KiB (negative, as SQLite wants it): the hot end of the indexes for the writer, a little for each reader.
const WRITER_CACHE: i64 = -65_536;
const READER_CACHE: i64 = -16_384;
/// The write-ahead log is cut back to this many bytes after a peak.
const WAL_KEPT_MAX: i64 = 67_108_864;
/// Pages of the log (4 KiB each) after which they are moved to the file: pages that many transactions share are moved once.
const CHECKPOINT_PAGES: i64 = 4_000;

/// The one connection that writes. `create`: a missing file and its directory are made, readable by this user only.
pub(crate) fn open_writer(path: &Path, create: bool, wait: Duration) -> Result<Session, OpenError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(OpenError::SqliteTooOld { found: rusqlite::version() });
    }
    if create {
        create_directory(path)?;
    }
    check_file(path, create)?;
    let connection = connect(path, wait)?;
    let failed = |cause: rusqlite::Error| meaning(path, &cause);
    set(&connection, path, "journal_mode", "wal", "wal")?;
    set(&connection, path, "synchronous", "full", "2")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_MAX).map_err(failed)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE).map_err(failed)?;
    Ok(Session::new(connection))
}

pub(crate) fn open_reader(path: &Path, wait: Duration) -> Result<Session, OpenError> {
    let connection = connect(path, wait)?;
    set(&connection, path, "query_only", "on", "1")?;
    let sized = connection.pragma_update(None, "cache_size", READER_CACHE);
    sized.map_err(|cause| meaning(path, &cause))?;
    Ok(Session::new(connection))
}

/// What all connections share. Memory mapping stays off: there a failing disk would be a signal, not an error.
fn connect(path: &Path, wait: Duration) -> Result<Connection, OpenError> {
    let failed = |cause: rusqlite::Error| meaning(path, &cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(wait).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A misspelt "column" is an error as on PostgreSQL, not a string.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false).map_err(failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false).map_err(failed)?;
    set(&connection, path, "foreign_keys", "on", "1")?;
    set(&connection, path, "cell_size_check", "on", "1")?;
    set(&connection, path, "mmap_size", "0", "0")?;
    connection.pragma_update(None, "temp_store", "memory").map_err(failed)?;
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(())).map_err(failed)?;
    Ok(connection)
}

/// Sets a pragma and reads it back: SQLite ignores what it cannot do.
fn set(
    connection: &Connection,
    path: &Path,
    setting: &'static str,
    wanted: &str,
    expected: &str,
) -> Result<(), OpenError> {
    let failed = |cause: rusqlite::Error| meaning(path, &cause);
    connection.pragma_update(None, setting, wanted).map_err(failed)?;
    let found = connection
        .pragma_query_value(None, setting, |row| {
            let value = row.get_ref(0)?;
            Ok(value
                .as_i64()
                .map_or_else(|_| value.as_str().unwrap_or_default().to_owned(), |number| number.to_string()))
        })
        .map_err(failed)?;
    if found == expected {
        return Ok(());
    }
    Err(OpenError::Setting { path: shown(path), setting, found })
}

fn create_directory(path: &Path) -> Result<(), OpenError> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() && !directory.exists() => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|cause| OpenError::Permission { path: shown(directory), cause: cause.to_string() }),
        Some(_) | None => Ok(()),
    }
}

/// Looks at the path before SQLite does, as SQLite has one error for all of these. An existing file is not opened: closing it
/// here would drop the locks that other connections of this process have on it.
fn check_file(path: &Path, create: bool) -> Result<(), OpenError> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        return Err(OpenError::DirectoryMissing { path: shown(directory) });
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(OpenError::NotADatabase { path: shown(path) }),
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::NotFound && create => create_file(path),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Err(OpenError::Missing { path: shown(path) }),
        Err(cause) => Err(OpenError::Permission { path: shown(path), cause: cause.to_string() }),
    }
}

fn create_file(path: &Path) -> Result<(), OpenError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::StorageFull => Err(OpenError::Full { path: shown(path) }),
        Err(cause) => Err(OpenError::Permission { path: shown(path), cause: cause.to_string() }),
    }
}

fn meaning(path: &Path, cause: &rusqlite::Error) -> OpenError {
    let text = cause.to_string();
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path: shown(path) },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Corrupt { path: shown(path), cause: text },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path: shown(path) },
        Some(ErrorCode::DiskFull) => OpenError::Full { path: shown(path) },
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::Permission { path: shown(path), cause: text }
        }
        _ => OpenError::Other { url: shown(path), cause: text },
    }
}

fn shown(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
