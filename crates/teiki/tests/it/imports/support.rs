//! An installation for one test: a folder, a database of its own, an account, and the built binary.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::store;

pub(crate) struct Installation {
    folder: TempDir,
    database: String,
    postgres: Option<String>,
    pub(crate) account: String,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Installation {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = format!("sqlite:{}", folder.path().join("teiki.db").display());
        Self::with_account(folder, database, None)
    }

    pub(crate) fn postgres() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("imports_test_{}_{number}", std::process::id());
        store::create_database(&name);
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::with_account(folder, postgres_url(&name), Some(name))
    }

    fn with_account(folder: TempDir, database: String, postgres: Option<String>) -> Self {
        let mut new = Self { folder, database, postgres, account: String::new() };
        new.account = new.create_account();
        new
    }

    pub(crate) fn create_account(&self) -> String {
        let answer = self.run(&["account", "create", "みどり農園", "--json"]);
        let created: serde_json::Value = serde_json::from_str(&answer.out).expect("an answer in JSON");
        created["account"].as_str().expect("an account").to_owned()
    }

    /// Runs the binary in the installation's folder.
    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        let output = Command::new(env!("CARGO_BIN_EXE_teiki"))
            .args(args)
            .current_dir(self.folder.path())
            .env("TEIKI_DATABASE", &self.database)
            .env("TEIKI_DATA", self.folder.path())
            .output()
            .expect("the binary runs");
        Answer::of(output)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("the folder can be written");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `teiki import` of plans.csv and subscribers.csv with more arguments.
    pub(crate) fn import(&self, more: &[&str]) -> Answer {
        let files = [
            "import",
            "--plans",
            "plans.csv",
            "--subscribers",
            "subscribers.csv",
            "--account",
            &self.account,
        ];
        self.run(&[&files, more].concat())
    }

    pub(super) fn on_database<T: Send + 'static>(
        &self,
        work: impl Fn(&mut db::Tx<'_>) -> Result<T, db::Error> + Send + 'static,
    ) -> T {
        let url = self.database.parse().expect("a database URL");
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(async {
            let db = db::Db::open(&url, &db::Options::default()).await.expect("the database opens");
            let result = db.write(work).await.expect("the statement runs");
            db.close().await;
            result
        })
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Some(name) = &self.postgres {
            store::drop_database(name);
        }
    }
}

impl Answer {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The counts of a JSON answer: plans, subscribers (new, unchanged each) and new customers.
    pub(crate) fn counts(&self) -> (i64, i64, i64, i64, i64) {
        assert_eq!(self.code, Some(0), "{}", self.err);
        let report: serde_json::Value = serde_json::from_str(&self.out).expect("an answer in JSON");
        let number = |path: &str| report.pointer(path).and_then(serde_json::Value::as_i64).expect("a count");
        (
            number("/plans/new"),
            number("/plans/unchanged"),
            number("/subscribers/new"),
            number("/subscribers/unchanged"),
            number("/customers/new"),
        )
    }

    /// The lines of a refusal after its first sentence.
    pub(crate) fn problems(&self) -> Vec<&str> {
        assert_eq!(self.code, Some(2), "{self:?}");
        let mut lines = self.err.lines();
        let first = lines.next().unwrap_or_default();
        assert!(first.starts_with("teiki: nothing was imported, for the files have "), "{}", self.err);
        lines.collect()
    }
}

/// The URL of a database on the test server.
pub(super) fn postgres_url(database: &str) -> String {
    let server = std::env::var("TEIKI_TEST_POSTGRES").expect("run ./test, which starts PostgreSQL");
    let (address, query) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = address.rsplit_once('/').expect("TEIKI_TEST_POSTGRES names a database");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{host}/{database}{mark}{query}")
}
