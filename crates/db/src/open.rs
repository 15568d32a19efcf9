//! Why a database cannot be opened, each as one sentence that says what to do.

/// The oldest SQLite that is accepted: older ones lose data in WAL mode in rare cases.
pub(crate) const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// The oldest PostgreSQL that is still maintained and is tested with.
pub(crate) const POSTGRES_VERSION_MIN: i64 = 140_000;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("SQLite {found} is too old: build with SQLite 3.51.3 or newer")]
    SqliteTooOld { found: &'static str },
    #[error("there is no database file {path}: correct the path, or create the database first")]
    Missing { path: String },
    #[error("the directory {path} does not exist: create it, or correct the path")]
    DirectoryMissing { path: String },
    #[error("no permission to read and write {path}: give this user the file and its directory ({cause})")]
    Permission { path: String, cause: String },
    #[error("{path} is not an SQLite database: correct the path; the file was not touched")]
    NotADatabase { path: String },
    #[error("the database {path} is damaged ({cause}): restore a backup")]
    Corrupt { path: String, cause: String },
    #[error("the database {path} is locked by another program: end that program, then try again")]
    Locked { path: String },
    #[error("the disk of {path} is full: free some space, then try again")]
    Full { path: String },
    #[error("SQLite did not accept {setting} for {path} (it stays {found}): put the file on a local disk")]
    Setting { path: String, setting: &'static str, found: String },
    #[error("{url} cannot be reached ({cause}): check host, port and that the server runs")]
    Unreachable { url: String, cause: String },
    #[error(
        "{url} cannot be reached over an encrypted connection ({cause}): correct the server's certificate, or sslmode and sslrootcert"
    )]
    Encryption { url: String, cause: String },
    #[error("{url} refused user or password: correct them in the database URL ({cause})")]
    Authentication { url: String, cause: String },
    #[error("the database of {url} does not exist: create it with `createdb`, or correct the name")]
    DatabaseMissing { url: String },
    #[error(
        "{url} has no free connection ({cause}): raise its max_connections, or lower the number of connections"
    )]
    TooManyConnections { url: String, cause: String },
    #[error("{url} is PostgreSQL {found}: version 14 or newer is needed")]
    ServerTooOld { url: String, found: String },
    #[error("{url} runs with {setting}=off, which loses what was committed in a power cut: set it to on")]
    Unsafe { url: String, setting: &'static str },
    #[error("the database of {url} has encoding {found}: create it with encoding UTF8")]
    Encoding { url: String, found: String },
    #[error(
        "the trusted certificates cannot be read ({cause}): correct sslrootcert, or install the system's certificates"
    )]
    Certificates { cause: String },
    #[error("{url} cannot be opened: {cause}")]
    Other { url: String, cause: String },
}
