//! A place of a test's own: a folder, an empty database on either engine, and the built binary that is run there.
//!
//! On PostgreSQL the database is made on the server of `TEIKI_TEST_POSTGRES`, and dropped with the place.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use postgres::{Client, NoTls};
use tempfile::TempDir;

pub(crate) struct Place {
    pub(crate) folder: TempDir,
    /// Of the database.
    pub(crate) url: String,
    /// The name of a database that must be dropped.
    postgres: Option<String>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("teiki.db").display());
        Self { folder, url, postgres: None }
    }

    pub(crate) fn postgres() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("teiki_test_{}_{number}", std::process::id());
        administer(&format!("create database {name} template template0 encoding 'UTF8'"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, url: postgres_url(&name), postgres: Some(name) }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), content).expect("the folder can be written");
    }

    /// The binary with these arguments, ready to be started in the folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_teiki"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TEIKI_DATABASE", &self.url)
            .env("TEIKI_DATA", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().expect("the binary runs"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(name) = &self.postgres {
            administer(&format!("drop database {name} with (force)"));
        }
    }
}

/// What the binary answered.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            error: text(output.stderr),
        }
    }

    /// Standard output as one JSON value, of a command that may have found something.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output of a command that must have succeeded.
    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.out
    }
}

/// The URL of a database on the test server.
fn postgres_url(database: &str) -> String {
    let server = std::env::var("TEIKI_TEST_POSTGRES").expect("run ./test, which starts PostgreSQL");
    let (address, query) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = address.rsplit_once('/').expect("TEIKI_TEST_POSTGRES names a database");
    format!("{host}/{database}?{query}")
}

/// Runs a statement as the server's superuser.
fn administer(statement: &str) {
    with_client(&postgres_url("postgres"), |client| client.batch_execute(statement))
        .expect("the statement runs");
}

/// Gives a client of its own to `work`; in a thread, as the client must not run in an async one.
pub(crate) fn with_client<T: Send>(url: &str, work: impl FnOnce(&mut Client) -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut client = Client::connect(url, NoTls).expect("the test server answers");
            work(&mut client)
        });
        thread.join().expect("the client does not panic")
    })
}
