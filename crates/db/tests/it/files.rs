//! Opening SQLite files, and files that are damaged, locked or full.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use db::{Column, DatabaseUrl, Db, Error, OnConflict, OpenError, Options};
use rusqlite::Connection;

use crate::support::{TestDatabase, add_parents, execute, options, parents};

fn url(path: &Path) -> DatabaseUrl {
    format!("sqlite:{}", path.display()).parse().unwrap()
}

async fn refusal(path: &Path, options: &Options) -> OpenError {
    Db::open(&url(path), options).await.err().expect("it must be refused")
}

#[tokio::test]
async fn a_missing_file_is_made_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/deep/test.db");
    let keep = Options { create: false, ..options() };
    assert!(matches!(refusal(&path, &keep).await, OpenError::DirectoryMissing { .. }));
    assert!(matches!(refusal(&folder.path().join("x.db"), &keep).await, OpenError::Missing { .. }));
    let db = Db::open(&url(&path), &options()).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    db.close().await;
    Db::open(&url(&path), &keep).await.unwrap();
}

#[tokio::test]
async fn the_settings_are_the_safe_ones() {
    let database = TestDatabase::sqlite();
    let db = database.open().await;
    let settings = db.write(|tx| {
        let mut found = Vec::new();
        for (pragma, _) in SAFE {
            let row = tx.query_one(&format!("select cast({pragma} as text) from pragma_{pragma}"), &[])?;
            found.push(row.text(0)?);
        }
        Ok::<_, Error>(found)
    });
    assert_eq!(settings.await.unwrap(), SAFE.map(|(_, value)| value));
}

const SAFE: [(&str, &str); 4] =
    [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("temp_store", "2")];

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.csv");
    let content = "customer,amount\n".repeat(500);
    fs::write(&path, &content).unwrap();
    assert!(matches!(refusal(&path, &options()).await, OpenError::NotADatabase { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), content);
    assert!(matches!(refusal(folder.path(), &options()).await, OpenError::NotADatabase { .. }));
}

/// A file of a few hundred pages, closed.
async fn filled(database: &TestDatabase) -> Vec<u8> {
    let db = database.open().await;
    db.write(|tx| {
        let names: Vec<String> = (0..5_000).map(|i| format!("{i:0>60}")).collect();
        let ids = names.iter().map(String::as_str).collect();
        let columns = [("slot", Column::I64(vec![1; 5_000])), ("id", Column::Text(ids))];
        tx.insert_many("parent", &columns, OnConflict::Fail)
    })
    .await
    .unwrap();
    db.close().await;
    fs::read(database.path()).unwrap()
}

#[tokio::test]
async fn a_damaged_schema_is_refused_and_a_damaged_page_is_an_error() {
    let database = TestDatabase::sqlite();
    let mut bytes = filled(&database).await;
    let good = bytes.clone();
    bytes[100..4096].fill(0xa5);
    fs::write(database.path(), &bytes).unwrap();
    let error = refusal(&database.path(), &options()).await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");

    let mut bytes = good;
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 40_960].fill(0xa5);
    fs::write(database.path(), &bytes).unwrap();
    let db = Db::open(&database.url, &options()).await.unwrap();
    let error = db.read(|tx| tx.query("select id, n from parent", &[])).await;
    assert!(matches!(error, Err(Error::Corrupt { .. })), "{error:?}");
}

#[tokio::test]
async fn a_file_that_another_program_keeps_is_locked() {
    let database = TestDatabase::sqlite();
    filled(&database).await;
    let other = Connection::open(database.path()).unwrap();
    other.execute_batch("pragma locking_mode = exclusive; begin exclusive").unwrap();
    let impatient = Options { lock_wait: Duration::from_millis(20), ..options() };
    let error = refusal(&database.path(), &impatient).await;
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
}

#[tokio::test]
async fn another_writer_is_waited_for_and_then_busy() {
    let database = TestDatabase::sqlite();
    let impatient = Options { lock_wait: Duration::from_millis(20), ..options() };
    let db = Db::open(&database.url, &impatient).await.unwrap();
    db.migrate(&[crate::support::SCHEMA]).await.unwrap();
    let other = Connection::open(database.path()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let error = execute(&db, "delete from parent").await;
    assert!(matches!(error, Err(Error::Busy { .. })), "{error:?}");
    assert!(parents(&db).await.is_empty(), "reading goes on");
    other.execute_batch("rollback").unwrap();
    execute(&db, "delete from parent").await.unwrap();
}

#[tokio::test]
async fn a_full_database_stores_nothing_of_the_transaction_and_goes_on() {
    let database = TestDatabase::sqlite();
    let db = database.open().await;
    add_parents(&db, &[("a", 1)]).await;
    db.write(|tx| tx.query("pragma max_page_count = 40", &[])).await.unwrap();
    let error = db.write(|tx| {
        tx.execute("insert into parent (slot, id) values (1, 'b')", &[])?;
        let big = vec![7_u8; 1_000_000];
        tx.execute("insert into parent (slot, id, bytes) values (1, 'c', $1)", &[(&big).into()])
    });
    let error = error.await;
    assert!(matches!(error, Err(Error::Full { .. })), "{error:?}");
    assert_eq!(parents(&db).await.len(), 1);
    add_parents(&db, &[("d", 4)]).await;
}

#[tokio::test]
async fn a_closed_database_is_one_file() {
    let database = TestDatabase::sqlite();
    let db = database.open().await;
    add_parents(&db, &[("a", 1)]).await;
    let wal = database.path().with_extension("db-wal");
    assert!(wal.exists());
    db.close().await;
    assert!(!wal.exists());
}
