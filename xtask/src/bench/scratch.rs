//! Scratch databases: made, copied and removed.
//!
//! SQLite: files in a folder of their own. PostgreSQL: databases beside the one that the server's URL names. Copies are on
//! disk before they are handed out, so that no round pays for its own copying.

use std::fs::File;
use std::path::{Path, PathBuf};

use postgres::{Client, NoTls};
use tempfile::TempDir;

use super::{EngineName, Failed, Where};

/// The scratch databases of one run; gone when it ends.
pub(crate) struct Scratch {
    folder: TempDir,
    /// The server's URL; `None` for SQLite.
    server: Option<String>,
    names: Vec<String>,
}

impl Scratch {
    pub(crate) fn new(place: &Where) -> Result<Self, Failed> {
        let server = match place.engine {
            EngineName::Sqlite => None,
            EngineName::Postgres => Some(place.database.clone().ok_or(
                "--engine postgres needs --database or TEIKI_TEST_POSTGRES; `./test --postgres` starts a server",
            )?),
        };
        let folder = match &place.dir {
            Some(dir) => TempDir::with_prefix_in("teiki-bench-", dir)?,
            None => TempDir::with_prefix("teiki-bench-")?,
        };
        Ok(Self { folder, server, names: Vec::new() })
    }

    /// Where other files of the run may go.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new, empty database; its URL.
    pub(crate) fn make(&mut self, name: &str) -> Result<String, Failed> {
        if self.server.is_some() {
            let database = database_name(name);
            self.administer(&format!("create database {database} template template0 encoding 'UTF8'"))?;
        }
        self.names.push(name.to_owned());
        self.url(name)
    }

    /// A copy of a database that nobody has open, in place of an older one of that name; its URL.
    pub(crate) fn copy(&mut self, from: &str, to: &str) -> Result<String, Failed> {
        self.remove(to)?;
        if self.server.is_some() {
            let (from, to) = (database_name(from), database_name(to));
            self.administer(&format!("create database {to} template {from}"))?;
            self.administer("checkpoint")?;
        } else {
            let to = self.path(to);
            std::fs::copy(self.path(from), &to)?;
            File::open(&to)?.sync_all()?;
        }
        self.names.push(to.to_owned());
        self.url(to)
    }

    /// What a server does by itself sooner or later after many rows have come, and would do in the middle of a round.
    pub(crate) fn tidy_up(&self, name: &str) -> Result<(), Failed> {
        if self.server.is_some() {
            let mut client = Client::connect(&self.url(name)?, NoTls)?;
            client.batch_execute("vacuum (analyze)")?;
            client.batch_execute("checkpoint")?;
        }
        Ok(())
    }

    /// Brings what earlier rounds have changed to the disk, so that no round pays for another.
    pub(crate) fn settle_down(&self) -> Result<(), Failed> {
        if self.server.is_some() { self.administer("checkpoint") } else { Ok(()) }
    }

    /// Removes a database if it is there.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Failed> {
        if !self.names.iter().any(|known| known == name) {
            return Ok(());
        }
        self.names.retain(|known| known != name);
        if self.server.is_some() {
            let database = database_name(name);
            return self.administer(&format!("drop database if exists {database} with (force)"));
        }
        for ending in ["", "-wal", "-shm", ".lock"] {
            let mut path = self.path(name).into_os_string();
            path.push(ending);
            // Not every database has each of them.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }

    /// The URL of a database that was made or copied.
    pub(crate) fn url(&self, name: &str) -> Result<String, Failed> {
        let Some(server) = &self.server else {
            return Ok(format!("sqlite:{}", self.path(name).display()));
        };
        let (address, query) = server.split_once('?').unwrap_or((server, ""));
        let (host, _) = address.rsplit_once('/').ok_or("the URL of the server names no database")?;
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(format!("{host}/{}{mark}{query}", database_name(name)))
    }

    fn administer(&self, statement: &str) -> Result<(), Failed> {
        let server = self.server.as_deref().unwrap_or_default();
        Ok(Client::connect(server, NoTls)?.batch_execute(statement)?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for name in std::mem::take(&mut self.names) {
            self.names.push(name.clone());
            if let Err(error) = self.remove(&name) {
                eprintln!("bench: the scratch database {name} is left behind: {error}");
            }
        }
    }
}

fn database_name(name: &str) -> String {
    format!("teiki_bench_{}_{name}", std::process::id())
}
