//! Databases of a test's own, on each engine.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use db::{Column, DatabaseUrl, Db, Error, Migration, OnConflict, Options, Value};
use tempfile::TempDir;

/// A table of every type, and one that refers to it.
pub(crate) const SCHEMA: Migration = Migration {
    name: "0001_test",
    only: None,
    sql: "create table parent (
              slot BIGINT not null, id TEXT not null, n BIGINT, name TEXT, bytes BYTEA, is_open BOOLEAN not null default false,
              primary key (slot, id), unique (slot, n), constraint n_is_small check (n < 1000000)
          ) /* clustered */;
          create unique index parent_name on parent (slot, name) where name is not null;
          create table child (
              slot BIGINT not null, id TEXT not null, parent TEXT not null, label TEXT not null,
              primary key (slot, id),
              constraint child_parent foreign key (slot, parent) references parent (slot, id)
          );",
};

/// Runs a test on each engine with a migrated database of its own.
pub(crate) async fn on_both(test: impl AsyncFn(Db)) {
    let database = TestDatabase::sqlite();
    test(database.open().await).await;
    on_postgres(async |_, db| test(db).await).await;
}

pub(crate) async fn on_postgres(test: impl AsyncFn(&TestDatabase, Db)) {
    let database = TestDatabase::postgres();
    test(&database, database.open().await).await;
}

/// A database that is gone when this is dropped.
pub(crate) struct TestDatabase {
    pub(crate) url: DatabaseUrl,
    /// For a connection of the test's own.
    pub(crate) text: String,
    kind: Kind,
}

enum Kind {
    Sqlite { _folder: TempDir },
    Postgres(String),
}

impl TestDatabase {
    pub(crate) fn sqlite() -> TestDatabase {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("sqlite:{}", folder.path().join("test.db").display());
        TestDatabase { url: text.parse().unwrap(), text, kind: Kind::Sqlite { _folder: folder } }
    }

    pub(crate) fn postgres() -> TestDatabase {
        Self::postgres_with("")
    }

    /// With more options of `create database`.
    pub(crate) fn postgres_with(options: &str) -> TestDatabase {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("db_test_{}_{number}", std::process::id());
        administer(&format!("create database {name} template template0 encoding 'UTF8' {options}"));
        let text = postgres_text(&name);
        TestDatabase { url: text.parse().unwrap(), text, kind: Kind::Postgres(name) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.url.sqlite_path().expect("an SQLite database").to_owned()
    }

    /// With the schema, and quick to give up waiting.
    pub(crate) async fn open(&self) -> Db {
        let db = self.open_empty().await;
        db.migrate(&[SCHEMA]).await.unwrap();
        db
    }

    pub(crate) async fn open_empty(&self) -> Db {
        Db::open(&self.url, &options()).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        match &self.kind {
            Kind::Sqlite { .. } => {}
            Kind::Postgres(name) => administer(&format!("drop database {name} with (force)")),
        }
    }
}

pub(crate) fn options() -> Options {
    Options { readers: 1, writers: 3, create: true, lock_wait: Duration::from_millis(2_000) }
}

/// The URL of a database on the test server.
pub(crate) fn postgres_text(database: &str) -> String {
    let server = std::env::var("TEIKI_TEST_POSTGRES").expect("run ./test, which starts PostgreSQL");
    let (address, query) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = address.rsplit_once('/').expect("TEIKI_TEST_POSTGRES names a database");
    format!("{host}/{database}?{query}")
}

/// Runs a statement as the server's superuser, from outside.
pub(crate) fn administer(sql: &str) {
    outside(&postgres_text("postgres"), |client| client.batch_execute(sql).unwrap());
}

/// Gives a connection of its own to the closure; in a thread, as the synchronous client must not run in an async one.
pub(crate) fn outside<T: Send>(url: &str, work: impl FnOnce(&mut postgres::Client) -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
            work(&mut client)
        });
        thread.join().unwrap()
    })
}

/// Rows `(slot 1, id, n)`.
pub(crate) async fn add_parents(db: &Db, rows: &'static [(&'static str, i64)]) {
    db.write(move |tx| {
        let columns = [
            ("slot", Column::I64(vec![1; rows.len()])),
            ("id", Column::Text(rows.iter().map(|row| row.0).collect())),
            ("n", Column::I64(rows.iter().map(|row| row.1).collect())),
        ];
        tx.insert_many("parent", &columns, OnConflict::Fail)
    })
    .await
    .unwrap();
}

/// All `(id, n)` in order of id.
pub(crate) async fn parents(db: &Db) -> Vec<(String, Option<i64>)> {
    db.read(|tx| {
        let rows = tx.query("select id, n from parent order by id", &[])?;
        rows.iter().map(|row| Ok::<_, Error>((row.text(0)?, row.opt_i64(1)?))).collect()
    })
    .await
    .unwrap()
}

/// One statement in a transaction of its own.
pub(crate) async fn execute(db: &Db, sql: &'static str) -> Result<u64, Error> {
    db.write(move |tx| tx.execute(sql, &[])).await
}

pub(crate) async fn count(db: &Db, sql: &'static str) -> i64 {
    db.read(move |tx| tx.query_one(sql, &[])?.i64(0)).await.unwrap()
}

pub(crate) fn text(value: &str) -> Value<'_> {
    Value::Text(value)
}

/// The messages of the panics that a test means to cause are not printed.
pub(crate) fn panic_quietly(message: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(AssertUnwindSafe(message).0))
}
