//! The background gives way to the foreground, and is not starved by it.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use db::{Db, Error, Options};
use tokio::task::JoinHandle;

use crate::support::{TestDatabase, add_parents, on_both, options, parents};

/// What ran, in order.
type Ran = Arc<Mutex<Vec<&'static str>>>;

fn note(db: &Db, ran: &Ran, name: &'static str) -> JoinHandle<()> {
    let (db, ran) = (db.clone(), Arc::clone(ran));
    tokio::spawn(async move {
        let written = db.write(move |tx| {
            ran.lock().unwrap().push(name);
            tx.execute("insert into parent (slot, id) values (1, $1)", &[name.into()])
        });
        assert_eq!(written.await.unwrap(), 1);
    })
}

/// Holds a writer until it is told to go on.
async fn hold(db: &Db) -> (Sender<()>, JoinHandle<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let once: Mutex<Option<(tokio::sync::oneshot::Sender<()>, Receiver<()>)>> =
        Mutex::new(Some((begun, wait)));
    let db = db.clone();
    let holding = tokio::spawn(async move {
        let held = db.write(move |_| {
            if let Some((begun, wait)) = once.lock().unwrap().take() {
                begun.send(()).unwrap();
                wait.recv().unwrap();
            }
            Ok::<_, Error>(())
        });
        held.await.unwrap();
    });
    has_begun.await.unwrap();
    (go, holding)
}

/// Lets what was spawned come as far as the queue.
async fn queued() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn at_the_one_writer_a_request_goes_before_the_next_work_and_work_before_the_next_request() {
    let database = TestDatabase::sqlite();
    let db = database.open().await;
    let back = db.background().await.unwrap();
    for (held, expected) in [(&back, ["request", "work"]), (&db, ["work", "request"])] {
        let ran = Ran::default();
        let (go, holding) = hold(held).await;
        let waiting = [note(&back, &ran, "work"), note(&db, &ran, "request")];
        queued().await;
        go.send(()).unwrap();
        holding.await.unwrap();
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!(*ran.lock().unwrap(), expected);
        db.write(|tx| tx.execute("delete from parent", &[])).await.unwrap();
    }
}

#[tokio::test]
async fn on_postgres_nobody_waits_for_the_connections_of_work() {
    let database = TestDatabase::postgres();
    drop(database.open().await);
    let db = Db::open(&database.url, &Options { writers: 1, ..options() }).await.unwrap();
    let back = db.background().await.unwrap();
    let (go, holding) = hold(&back).await;
    let ran = Ran::default();
    let waiting = note(&back, &ran, "work");
    queued().await;
    note(&db, &ran, "request").await.unwrap();
    assert_eq!(*ran.lock().unwrap(), ["request"]);
    go.send(()).unwrap();
    holding.await.unwrap();
    waiting.await.unwrap();
    assert_eq!(parents(&db).await.len(), 2);
}

#[tokio::test]
async fn work_is_pressed_while_others_ask_and_only_then() {
    on_both(async |db| {
        let back = db.background().await.unwrap();
        add_parents(&back, &[("a", 0)]).await;
        assert!(!db.is_pressed(), "the foreground never is");
        add_parents(&db, &[("b", 1)]).await;
        assert!(back.is_pressed() && !db.is_pressed());
        while back.is_pressed() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(parents(&back).await.len(), 2);
        assert!(!back.is_pressed(), "its own work does not press it");
    })
    .await;
}

#[tokio::test]
async fn closing_any_handle_finishes_what_waits_and_closes_all() {
    on_both(async |db| {
        let back = db.background().await.unwrap();
        let ran = Ran::default();
        let (go, holding) = hold(&db).await;
        let waiting = [note(&back, &ran, "work"), note(&db, &ran, "request")];
        queued().await;
        let closing = tokio::spawn({
            let db = db.clone();
            async move { db.close().await }
        });
        queued().await;
        go.send(()).unwrap();
        holding.await.unwrap();
        for waiting in waiting {
            waiting.await.unwrap();
        }
        closing.await.unwrap();
        for handle in [&db, &back] {
            let refused = handle.read(|_| Ok::<_, Error>(())).await;
            assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
        }
        assert_eq!(ran.lock().unwrap().len(), 2);
    })
    .await;
}
