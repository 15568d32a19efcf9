//! The charging lock of a file, and session locks.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use db::{ChargingLock, LockError};

use crate::support::{TestDatabase, on_both, on_postgres, outside};

const CHILD_URL: &str = "DB_TEST_CHARGING_LOCK";

#[test]
fn a_file_has_one_charging_process_and_its_pid_is_told() {
    let database = TestDatabase::sqlite();
    let lock = ChargingLock::acquire(&database.url).unwrap();
    let error = ChargingLock::acquire(&database.url).unwrap_err();
    assert!(matches!(error, LockError::InUse { pid } if pid == Some(std::process::id())), "{error}");
    drop(lock);
    ChargingLock::acquire(&database.url).unwrap();
}

/// Not a test of its own: the process that the next test kills.
#[test]
fn child_that_holds_the_lock() {
    let Ok(url) = std::env::var(CHILD_URL) else { return };
    let _lock = ChargingLock::acquire(&url.parse().unwrap()).unwrap();
    println!("\nholding");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn a_killed_process_frees_its_charging_lock() {
    let database = TestDatabase::sqlite();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "locks::child_that_holds_the_lock", "--nocapture"])
        .env(CHILD_URL, &database.text)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "holding"));
    let error = ChargingLock::acquire(&database.url).unwrap_err();
    assert!(error.to_string().contains(&format!("(pid {})", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    ChargingLock::acquire(&database.url).unwrap();
}

#[tokio::test]
async fn a_session_lock_is_held_by_one_until_it_is_released() {
    on_both(async |db| {
        let lock = db.session_lock(7).await.unwrap().expect("it is free");
        assert!(lock.is_alive().await);
        assert!(db.session_lock(7).await.unwrap().is_none());
        let other = db.session_lock(8).await.unwrap();
        assert!(other.is_some(), "another key is another lock");
        lock.release().await;
        assert!(db.session_lock(7).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_session_lock_is_dead_when_its_connection_is_cut() {
    on_postgres(async |database, db| {
        let lock = db.session_lock(7).await.unwrap().expect("it is free");
        outside(&database.text, |client| {
            client.batch_execute(
                "select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database \
                 where l.locktype = 'advisory' and d.datname = current_database()",
            )
        })
        .unwrap();
        assert!(!lock.is_alive().await);
        assert!(!lock.is_alive().await);
        assert!(db.session_lock(7).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_shared_lock_is_held_by_many_who_can_be_counted() {
    on_both(async |db| {
        let is_one_process = db.engine() == db::Engine::Sqlite;
        // Bits on both sides of the halves in which the server keeps a key.
        for key in [-7, 7 << 40] {
            let first = db.shared_lock(key).await.unwrap();
            let second = db.shared_lock(key).await.unwrap();
            assert_eq!((first.is_none(), second.is_none()), (is_one_process, is_one_process));
            assert_eq!(db.lock_holders(key).await.unwrap(), if is_one_process { 0 } else { 2 });
            for lock in first.into_iter().chain(second) {
                lock.release().await;
            }
            assert_eq!(db.lock_holders(key).await.unwrap(), 0);
        }
    })
    .await;
}
