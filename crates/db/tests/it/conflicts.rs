//! PostgreSQL: transactions in each other's way, and connections that are cut.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use db::{Column, Db, Error, Options, Tx};

use crate::support::{add_parents, execute, on_postgres, options, outside, parents};

/// Meets another transaction the first time it runs, so that both hold their first lock.
struct Meeting {
    barrier: Arc<Barrier>,
    runs: AtomicU32,
}

impl Meeting {
    fn two() -> [Meeting; 2] {
        let barrier = Arc::new(Barrier::new(2));
        [0, 1].map(|_| Meeting { barrier: Arc::clone(&barrier), runs: AtomicU32::new(0) })
    }

    fn first_time(&self) {
        if self.runs.fetch_add(1, Ordering::Relaxed) == 0 {
            self.barrier.wait();
        }
    }
}

#[tokio::test]
async fn a_deadlock_is_run_again() {
    on_postgres(async |_, db| {
        add_parents(&db, &[("a", 0), ("b", 100)]).await;
        let add = |tx: &mut Tx<'_>, id: &str| {
            tx.execute("update parent set n = n + 1 where slot = 1 and id = $1", &[id.into()])
        };
        let before = db.stats().round_trips;
        let [one, other] = Meeting::two();
        let write = |first: &'static str, second: &'static str, meeting: Meeting| {
            db.write(move |tx| {
                add(tx, first)?;
                meeting.first_time();
                add(tx, second)
            })
        };
        let (one, other) = tokio::join!(write("a", "b", one), write("b", "a", other));
        assert_eq!((one.unwrap(), other.unwrap()), (1, 1));
        assert_eq!(parents(&db).await, [("a".to_owned(), Some(2)), ("b".to_owned(), Some(102))]);
        assert!(db.stats().round_trips - before > 2 * 4, "one of them ran again");
    })
    .await;
}

#[tokio::test]
async fn lock_many_makes_a_second_batch_wait_and_see_what_the_first_wrote() {
    on_postgres(async |_, db| {
        add_parents(&db, &[("a", 0), ("b", 100)]).await;
        let (locked, is_locked) = tokio::sync::oneshot::channel();
        let locked = std::sync::Mutex::new(Some(locked));
        let (go, wait) = std::sync::mpsc::channel();
        let wait = std::sync::Mutex::new(wait);
        let first = db.write(move |tx| {
            let seen = lock_and_add(tx, &["a", "b"])?;
            locked.lock().unwrap().take().expect("it runs once").send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
            Ok::<_, Error>(seen)
        });
        let second = async {
            is_locked.await.unwrap();
            let second = db.clone();
            let second = tokio::spawn(async move { second.write(|tx| lock_and_add(tx, &["b", "a"])).await });
            wait_until_blocked(&db).await;
            assert!(!second.is_finished());
            go.send(()).unwrap();
            second.await.unwrap()
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.unwrap(), second.unwrap()), (vec![0, 100], vec![101, 1]));
        assert_eq!(parents(&db).await, [("a".to_owned(), Some(2)), ("b".to_owned(), Some(102))]);
    })
    .await;
}

#[tokio::test]
async fn share_many_lets_others_share_and_makes_a_writer_wait() {
    on_postgres(async |_, db| {
        add_parents(&db, &[("a", 0)]).await;
        let (shared, is_shared) = tokio::sync::oneshot::channel();
        let shared = std::sync::Mutex::new(Some(shared));
        let (go, wait) = std::sync::mpsc::channel();
        let wait = std::sync::Mutex::new(wait);
        let first = db.write(move |tx| {
            let seen = share(tx)?;
            shared.lock().unwrap().take().expect("it runs once").send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
            Ok::<_, Error>(seen)
        });
        let others = async {
            is_shared.await.unwrap();
            assert_eq!(db.write(share).await.unwrap(), 0);
            let writer = db.clone();
            let writer = tokio::spawn(async move { writer.write(|tx| lock_and_add(tx, &["a"])).await });
            wait_until_blocked(&db).await;
            go.send(()).unwrap();
            writer.await.unwrap()
        };
        let (first, writer) = tokio::join!(first, others);
        assert_eq!((first.unwrap(), writer.unwrap()), (0, vec![0]));
    })
    .await;
}

fn share(tx: &mut Tx<'_>) -> Result<i64, Error> {
    let keys = [Column::I64(vec![1]), Column::Text(vec!["a"])];
    tx.share_many("select t.n from parent t where t.slot = $1 and t.id = $2", &keys)?[0].1.i64(0)
}

/// Adds one to each row and answers with what it saw, in the order of the ids.
fn lock_and_add(tx: &mut Tx<'_>, ids: &[&'static str]) -> Result<Vec<i64>, Error> {
    let keys = [Column::I64(vec![1; ids.len()]), Column::Text(ids.to_vec())];
    let rows = tx.lock_many("select t.n from parent t where t.slot = $1 and t.id = $2", &keys)?;
    let seen: Vec<i64> = rows.iter().map(|(_, row)| row.i64(0)).collect::<Result<_, _>>()?;
    let [slots, ids] = keys;
    let set = [("n", Column::I64(seen.iter().map(|n| n + 1).collect()))];
    tx.update_many("parent", &[("slot", slots), ("id", ids)], &set, "")?;
    Ok(seen)
}

async fn wait_until_blocked(db: &Db) {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while db.read(move |tx| tx.query_one(sql, &[])?.i64(0)).await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn batches_that_lock_the_same_rows_in_any_order_do_not_deadlock() {
    on_postgres(async |_, db| {
        add_parents(&db, &[("a", 0), ("b", 1_000), ("c", 2_000), ("d", 3_000)]).await;
        let orders = [["a", "b", "c", "d"], ["d", "c", "b", "a"], ["c", "a", "d", "b"]];
        let writes: Vec<_> = (0..90)
            .map(|i| {
                let (db, order) = (db.clone(), orders[i % 3]);
                tokio::spawn(async move { db.write(move |tx| lock_and_add(tx, &order)).await.unwrap() })
            })
            .collect();
        let before = db.stats();
        for write in writes {
            write.await.unwrap();
        }
        assert_eq!(parents(&db).await[0], ("a".to_owned(), Some(90)));
        // Each text is prepared once by each of the three writers; a rerun would add to this.
        let round_trips = db.stats().round_trips - before.round_trips;
        assert!(round_trips <= 90 * 4 + 3 * 2 + 4, "{round_trips}");
    })
    .await;
}

#[tokio::test]
async fn a_lock_that_is_never_freed_is_busy_in_the_end() {
    on_postgres(async |database, db| {
        add_parents(&db, &[("a", 0)]).await;
        let impatient = Options { lock_wait: Duration::from_millis(20), ..options() };
        let other = Db::open(&database.url, &impatient).await.unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (locked, is_locked) = tokio::sync::oneshot::channel();
        let (wait, locked) = (std::sync::Mutex::new(wait), std::sync::Mutex::new(Some(locked)));
        let holder = db.write(move |tx| {
            tx.execute("update parent set n = 1", &[])?;
            locked.lock().unwrap().take().expect("it runs once").send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
            Ok::<_, Error>(())
        });
        let waiter = async {
            is_locked.await.unwrap();
            let result = execute(&other, "update parent set n = 2").await;
            go.send(()).unwrap();
            result
        };
        let (held, waited) = tokio::join!(holder, waiter);
        held.unwrap();
        assert!(matches!(waited, Err(Error::Busy { .. })), "{waited:?}");
    })
    .await;
}

#[tokio::test]
async fn a_connection_killed_inside_a_transaction_is_made_again_and_the_closure_rerun() {
    on_postgres(async |database, db| {
        let runs = Arc::new(AtomicU32::new(0));
        let (seen, text) = (Arc::clone(&runs), database.text.clone());
        let result = db.write(move |tx| {
            tx.execute("insert into parent (slot, id) values (1, 'a')", &[])?;
            if seen.fetch_add(1, Ordering::Relaxed) == 0 {
                let pid = tx.query_one("select cast(pg_backend_pid() as bigint)", &[])?.i64(0)?;
                outside(&text, |client| {
                    client.execute("select pg_terminate_backend(cast($1 as bigint)::int)", &[&pid])
                })
                .unwrap();
            }
            tx.execute("insert into parent (slot, id) values (1, 'b')", &[])
        });
        result.await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 2);
        assert_eq!(parents(&db).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn idle_connections_that_were_cut_are_made_again() {
    on_postgres(async |database, db| {
        outside(&database.text, |client| {
            client.batch_execute(
                "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() and pid <> pg_backend_pid()",
            )
        })
        .unwrap();
        add_parents(&db, &[("a", 1)]).await;
        assert_eq!(parents(&db).await.len(), 1);
    })
    .await;
}

/// A deferred trigger ends the connection while the commit runs, after the last word the client had from the server.
#[tokio::test]
async fn a_connection_lost_at_commit_leaves_the_outcome_unknown_and_is_not_rerun() {
    on_postgres(async |database, db| {
        outside(&database.text, |client| {
            client.batch_execute(
                "create function die() returns trigger language plpgsql as \
                 $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$; \
                 create constraint trigger dies after insert on parent deferrable initially deferred \
                 for each row when (new.id = 'fatal') execute function die()",
            )
        })
        .unwrap();
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        let result = db.write(move |tx| {
            seen.fetch_add(1, Ordering::Relaxed);
            tx.execute("insert into parent (slot, id) values (1, 'fatal')", &[])
        });
        let result = result.await;
        assert!(matches!(result, Err(Error::CommitUnknown { .. })), "{result:?}");
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        add_parents(&db, &[("a", 1)]).await;
        assert_eq!(parents(&db).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_at_commit_stores_nothing_and_is_known() {
    on_postgres(async |_, db| {
        execute(&db, "alter table child alter constraint child_parent deferrable initially deferred")
            .await
            .unwrap();
        let error =
            execute(&db, "insert into child (slot, id, parent, label) values (1, 'c', 'none', '')").await;
        assert!(
            matches!(&error, Err(Error::ForeignKey { constraint, .. }) if constraint == "child_parent"),
            "{error:?}"
        );
        add_parents(&db, &[("a", 1)]).await;
    })
    .await;
}

#[tokio::test]
async fn a_statement_prepared_before_its_table_changed_is_prepared_again() {
    on_postgres(async |_, db| {
        add_parents(&db, &[("a", 1)]).await;
        let all = |tx: &mut Tx<'_>| Ok::<_, Error>(tx.query_one("select * from parent", &[])?.len());
        assert_eq!(db.read(all).await.unwrap(), 6);
        execute(&db, "alter table parent add column more TEXT").await.unwrap();
        assert_eq!(db.read(all).await.unwrap(), 7);
    })
    .await;
}
