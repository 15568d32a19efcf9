//! Connecting to PostgreSQL, and the checks and settings without which a connection is not used.

use std::time::Duration;

use postgres::Client;
use postgres::error::SqlState;

use super::{fault, tls};
use crate::open::{OpenError, POSTGRES_VERSION_MIN};
use crate::session::Mode;
use crate::url::Server;

/// A server that does not answer is unreachable after this, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that no longer acknowledges is given up after this.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// A quiet connection is asked for life after this.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// `mode`: what the connection is for; `None` for one that only holds a session lock.
pub(crate) fn connect(server: &Server, mode: Option<Mode>, lock_wait: Duration) -> Result<Client, OpenError> {
    let mut config = server.config.clone();
    config
        .application_name("teiki")
        .tcp_user_timeout(TCP_USER_TIMEOUT)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .notice_callback(|_| {});
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    let mut client = tls::connect(&config, &server.tls, |cause| meaning(server, &cause))?;
    let failed = |cause: postgres::Error| meaning(server, &cause);
    let found = Found::read(&mut client).map_err(failed)?;
    check(&found, &server.to_string())?;
    client.batch_execute(&settings(mode, &found, lock_wait)).map_err(failed)?;
    Ok(client)
}

/// What the server says of itself.
#[derive(Debug)]
struct Found {
    version: String,
    version_number: i64,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    encoding: String,
}

impl Found {
    fn read(client: &mut Client) -> Result<Found, postgres::Error> {
        let row = client.query_one(
            "select current_setting('server_version'), cast(current_setting('server_version_num') as bigint), \
             current_setting('fsync'), current_setting('full_page_writes'), \
             current_setting('synchronous_commit'), current_setting('server_encoding')",
            &[],
        )?;
        Ok(Found {
            version: row.try_get(0)?,
            version_number: row.try_get(1)?,
            fsync: row.try_get(2)?,
            full_page_writes: row.try_get(3)?,
            synchronous_commit: row.try_get(4)?,
            encoding: row.try_get(5)?,
        })
    }
}

fn check(found: &Found, url: &str) -> Result<(), OpenError> {
    let url = url.to_owned();
    if found.version_number < POSTGRES_VERSION_MIN {
        return Err(OpenError::ServerTooOld { url, found: found.version.clone() });
    }
    if found.fsync == "off" {
        return Err(OpenError::Unsafe { url, setting: "fsync" });
    }
    if found.full_page_writes == "off" {
        return Err(OpenError::Unsafe { url, setting: "full_page_writes" });
    }
    if found.encoding != "UTF8" {
        return Err(OpenError::Encoding { url, found: found.encoding.clone() });
    }
    Ok(())
}

/// A plan made while a table was small must not stay a scan when it has grown, so all keep to index look-ups where there is an
/// index, and compile none of them. Writers, which run few statements often, do not plan them again and again.
fn settings(mode: Option<Mode>, found: &Found, lock_wait: Duration) -> String {
    let mut sql = format!(
        "set lock_timeout = {}; set idle_in_transaction_session_timeout = 60000; set jit = off; \
         set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off;",
        lock_wait.as_millis()
    );
    if found.synchronous_commit == "off" {
        sql.push_str("set synchronous_commit = on;");
    }
    if mode == Some(Mode::Write) {
        sql.push_str("set plan_cache_mode = force_generic_plan;");
    }
    sql
}

fn meaning(server: &Server, cause: &postgres::Error) -> OpenError {
    let url = server.to_string();
    let text = fault::text(cause);
    match cause.code() {
        Some(code)
            if *code == SqlState::INVALID_PASSWORD
                || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
        {
            OpenError::Authentication { url, cause: text }
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => OpenError::DatabaseMissing { url },
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
            OpenError::TooManyConnections { url, cause: text }
        }
        Some(_) => OpenError::Other { url, cause: text },
        None if text.contains("TLS") => OpenError::Encryption { url, cause: text },
        None if text.contains("password") => OpenError::Authentication { url, cause: text },
        None => OpenError::Unreachable { url, cause: text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
            version: "15.4".to_owned(),
            version_number: 150_004,
            fsync: "on".to_owned(),
            full_page_writes: "on".to_owned(),
            synchronous_commit: "on".to_owned(),
            encoding: "UTF8".to_owned(),
        }
    }

    #[test]
    fn a_server_that_would_lose_commits_is_refused() {
        check(&found(), "u").expect("a good server");
        let off = || "off".to_owned();
        let table = [
            (Found { version_number: 139_999, ..found() }, "version 14"),
            (Found { fsync: off(), ..found() }, "fsync=off"),
            (Found { full_page_writes: off(), ..found() }, "full_page_writes=off"),
            (Found { encoding: "SQL_ASCII".to_owned(), ..found() }, "UTF8"),
        ];
        for (found, part) in table {
            let error = check(&found, "u").expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn asynchronous_commit_is_turned_on_and_other_levels_are_left() {
        let sql = |level: &str| {
            settings(None, &Found { synchronous_commit: level.to_owned(), ..found() }, Duration::from_secs(1))
        };
        assert!(sql("off").contains("synchronous_commit = on"));
        assert!(!sql("remote_apply").contains("synchronous_commit"));
    }
}
