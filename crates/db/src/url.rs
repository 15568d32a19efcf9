//! Where the database is: `sqlite:PATH` or `postgres://…`.
//!
//! Decides the engine, the encryption and what may be shown of a URL. It opens nothing. A password is never part of
//! `Display`, `Debug` or an error.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The two engines that one SQL text runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A parsed database URL.
///
/// Accepted: `sqlite:teiki.db`, `sqlite:/var/lib/teiki/teiki.db`, `postgres://user:password@host:5432/name`,
/// `postgresql://…`, and for a unix socket `postgres:///name?host=/run/postgresql` or `postgres://user@%2Frun%2Fpostgresql/name`.
///
/// `sslmode` (PostgreSQL):
/// - `disable`: plain text;
/// - `prefer` (default): encrypted if the server offers it, certificate not checked;
/// - `require`: encrypted or refused, **certificate not checked**: safe from listeners, not from an impostor;
/// - `verify-full`: encrypted, the certificate must be valid for the host name. Trust comes from the system, or from the PEM file
///   named by `sslrootcert`.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(crate) place: Place,
}

#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<Server>),
}

/// A PostgreSQL server and how to speak to it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) config: postgres::Config,
    pub(crate) tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Disable,
    Prefer,
    Require,
    VerifyFull { roots: Option<PathBuf> },
}

/// Why a text is not a database URL, as a sentence that says what is accepted. Never holds a part of the URL that could be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

const ACCEPTED: &str = "write `sqlite:PATH` or `postgres://user:password@host:port/name`";

impl DatabaseUrl {
    pub fn engine(&self) -> Engine {
        match self.place {
            Place::Sqlite(_) => Engine::Sqlite,
            Place::Postgres(_) => Engine::Postgres,
        }
    }

    /// The file of an SQLite database; `None` for PostgreSQL.
    pub fn sqlite_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Sqlite(path) => Some(path),
            Place::Postgres(_) => None,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<DatabaseUrl, UrlError> {
        let place = if let Some(path) = text.strip_prefix("sqlite:") {
            Place::Sqlite(sqlite_path(path)?)
        } else if let Some(rest) =
            text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))
        {
            Place::Postgres(Box::new(server(rest)?))
        } else {
            return Err(UrlError(format!("this is not a database URL: {ACCEPTED}")));
        };
        Ok(DatabaseUrl { place })
    }
}

fn sqlite_path(text: &str) -> Result<PathBuf, UrlError> {
    let refuse =
        |why: &str| Err(UrlError(format!("{why}: write `sqlite:PATH`, for example `sqlite:teiki.db`")));
    let path = match text.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) => return refuse("an SQLite URL has no host, so `//` must be followed by an absolute path"),
        None => text,
    };
    if path.is_empty() {
        return refuse("the SQLite URL names no file");
    }
    if path == ":memory:" {
        return refuse("a database in memory would be lost at the first restart");
    }
    if path.contains('?') {
        return refuse("an SQLite URL takes no options after `?`");
    }
    if path.contains('\0') {
        return refuse("a path cannot hold a zero byte");
    }
    Ok(PathBuf::from(path))
}

/// Takes `sslmode` and `sslrootcert` out, as the driver knows fewer modes, and gives it the rest.
fn server(rest: &str) -> Result<Server, UrlError> {
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    if query.contains('@') {
        return Err(UrlError(
            "the PostgreSQL URL has an `@` after its `?`: special characters in a password are written as %XX".to_owned(),
        ));
    }
    let mut mode = "prefer".to_owned();
    let mut roots = None;
    let mut kept = Vec::new();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("sslmode", value)) => mode = value.to_owned(),
            Some(("sslrootcert", value)) => roots = Some(PathBuf::from(percent_decoded(value)?)),
            Some(_) | None => kept.push(option),
        }
    }
    let url = format!("postgres://{address}?{}", kept.join("&"));
    let mut config = postgres::Config::from_str(&url).map_err(|cause| {
        let cause =
            std::error::Error::source(&cause).map_or_else(String::new, |source| format!(" ({source})"));
        UrlError(format!(
            "the PostgreSQL URL cannot be read{cause}: {ACCEPTED}, with special characters as %XX"
        ))
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(UrlError(format!("the PostgreSQL URL names no host: {ACCEPTED}")));
    }
    let tls = tls(&mode, roots)?;
    config.ssl_mode(match tls {
        Tls::Disable => postgres::config::SslMode::Disable,
        Tls::Prefer => postgres::config::SslMode::Prefer,
        Tls::Require | Tls::VerifyFull { .. } => postgres::config::SslMode::Require,
    });
    Ok(Server { config, tls })
}

fn tls(mode: &str, roots: Option<PathBuf>) -> Result<Tls, UrlError> {
    match mode {
        "disable" => Ok(Tls::Disable),
        "prefer" => Ok(Tls::Prefer),
        "require" => Ok(Tls::Require),
        "verify-full" => Ok(Tls::VerifyFull { roots }),
        _ => Err(UrlError(
            "the `sslmode` of the PostgreSQL URL is not known: write disable, prefer, require or verify-full"
                .to_owned(),
        )),
    }
}

fn percent_decoded(text: &str) -> Result<String, UrlError> {
    let wrong = || UrlError("`sslrootcert` has a % that is not followed by two hex digits".to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).ok_or_else(wrong)?;
        bytes.extend(hex::decode(digits).map_err(|_| wrong())?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Place::Postgres(server) => fmt::Display::fmt(server.as_ref(), f),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        let ports = self.config.get_ports();
        for (i, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match host {
                postgres::config::Host::Tcp(name) => write!(f, "{comma}{name}")?,
                postgres::config::Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            if let Some(port) = ports.get(i).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        text.parse::<DatabaseUrl>().map(|url| url.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn accepted_urls_show_themselves_without_their_password() {
        let table = [
            ("sqlite:teiki.db", "sqlite:teiki.db"),
            ("sqlite:///srv/t.db", "sqlite:/srv/t.db"),
            ("postgres://me:hunter2@db.example:5433/shop", "postgres://me@db.example:5433/shop"),
            ("postgresql://me:hunter2@db/shop?sslmode=verify-full", "postgres://me@db:5432/shop"),
            ("postgres://me@%2Frun%2Fpg/shop", "postgres://me@/run/pg:5432/shop"),
            ("postgres:///shop?host=/run/pg&user=me&port=5439", "postgres://me@/run/pg:5439/shop"),
        ];
        for (text, shown) in table {
            assert_eq!(parse(text).as_deref(), Ok(shown));
            let debug = format!("{:?}", text.parse::<DatabaseUrl>().expect("it was parsed above"));
            assert!(!debug.contains("hunter2"), "{debug}");
        }
    }

    #[test]
    fn refused_urls_say_what_is_accepted_and_never_the_password() {
        let table = [
            ("mysql://me:hunter2@db", "write `sqlite:PATH` or"),
            ("sqlite:", "names no file"),
            ("sqlite::memory:", "lost at the first restart"),
            ("sqlite://teiki.db", "has no host"),
            ("sqlite:teiki.db?mode=rwc", "no options"),
            ("postgres://me:hunter2@db/shop?sslmode=allow", "verify-full"),
            ("postgres://me:p?hunter2=1@db/shop", "%XX"),
            ("postgres://", "names no host"),
        ];
        for (text, part) in table {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn sslmode_decides_what_is_checked() {
        let tls = |text: &str| match text.parse::<DatabaseUrl>().expect("a valid URL").place {
            Place::Postgres(server) => server.tls,
            Place::Sqlite(_) => panic!("a PostgreSQL URL"),
        };
        assert_eq!(tls("postgres://db/x"), Tls::Prefer);
        assert_eq!(tls("postgres://db/x?sslmode=disable"), Tls::Disable);
        assert_eq!(
            tls("postgres://db/x?sslmode=verify-full&sslrootcert=/etc/my%20ca.pem"),
            Tls::VerifyFull { roots: Some(PathBuf::from("/etc/my ca.pem")) }
        );
    }
}
