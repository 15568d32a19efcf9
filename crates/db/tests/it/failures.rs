//! Closures that fail: what is rolled back, and that the thread goes on.

use db::Error;

use crate::support::{add_parents, execute, on_both, panic_quietly, parents};

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("refused")]
    Refused,
    #[error(transparent)]
    Db(#[from] Error),
}

#[tokio::test]
async fn an_error_of_the_closure_rolls_back_and_comes_out() {
    on_both(async |db| {
        let result: Result<(), Refusal> = db
            .write(|tx| {
                tx.execute("insert into parent (slot, id) values (1, 'a')", &[])?;
                Err(Refusal::Refused)
            })
            .await;
        assert!(matches!(result, Err(Refusal::Refused)));
        assert!(parents(&db).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_panic_rolls_back_and_the_thread_goes_on() {
    on_both(async |db| {
        for _ in 0..4 {
            let result: Result<(), Error> = db
                .write(|tx| {
                    tx.execute("insert into parent (slot, id) values (1, 'a')", &[])?;
                    panic_quietly("the amount is negative")
                })
                .await;
            assert!(
                matches!(&result, Err(Error::Panicked { message }) if message == "the amount is negative"),
                "{result:?}"
            );
        }
        assert!(parents(&db).await.is_empty());
        execute(&db, "insert into parent (slot, id) values (1, 'b')").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_failed_statement_ends_the_transaction_even_if_its_error_is_dropped() {
    on_both(async |db| {
        add_parents(&db, &[("a", 1)]).await;
        let result = db.write(|tx| {
            tx.execute("insert into parent (slot, id) values (1, 'b')", &[])?;
            let first = tx.execute("insert into parent (slot, id) values (1, 'a')", &[]);
            assert!(first.unwrap_err().violates("parent_pkey"));
            let second = tx.execute("insert into parent (slot, id) values (1, 'c')", &[]);
            assert!(matches!(second, Err(Error::Aborted)));
            Ok(())
        });
        assert!(matches!(result.await, Err(Error::Aborted)));
        assert_eq!(parents(&db).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_stops_waiting_does_not_stop_the_transaction() {
    on_both(async |db| {
        let (began, begin) = tokio::sync::oneshot::channel();
        let began = std::sync::Mutex::new(Some(began));
        let (go, wait) = std::sync::mpsc::channel();
        let wait = std::sync::Mutex::new(wait);
        let writer = db.clone();
        let task = tokio::spawn(async move {
            let write = writer.write(move |tx| {
                if let Some(began) = began.lock().unwrap().take() {
                    began.send(()).unwrap();
                }
                wait.lock().unwrap().recv().unwrap();
                tx.execute("insert into parent (slot, id) values (1, 'a')", &[])
            });
            write.await.unwrap();
        });
        begin.await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        db.close().await;
        assert_eq!(db.stats().rows_written, 2, "the migration's row and this one");
    })
    .await;
}

#[tokio::test]
async fn a_closed_database_answers_that_it_is_closed() {
    on_both(async |db| {
        db.close().await;
        assert!(matches!(execute(&db, "delete from parent").await, Err(Error::Closed)));
        db.close().await;
    })
    .await;
}
