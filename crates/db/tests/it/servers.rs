//! Opening PostgreSQL: each refusal is one sentence that says what to do.

use db::{Db, OpenError};

use crate::support::{TestDatabase, administer, on_postgres, options, postgres_text};

async fn refusal(url: &str) -> OpenError {
    let opened = Db::open(&url.parse().unwrap(), &options()).await;
    opened.err().expect("it must be refused")
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unreachable() {
    let error = refusal("postgres://me:hunter2@%2Fnowhere/shop").await;
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    let error = refusal("postgres://me:hunter2@127.0.0.1:1/shop").await;
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1/shop") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_database_or_user_that_does_not_exist_is_named() {
    let error = refusal(&postgres_text("no_such_database")).await;
    assert!(matches!(error, OpenError::DatabaseMissing { .. }), "{error:?}");
    let error = refusal(&postgres_text("postgres").replacen("postgres@", "no_such_user@", 1)).await;
    assert!(matches!(error, OpenError::Authentication { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_without_encryption_is_refused_when_it_is_required() {
    for mode in ["require", "verify-full"] {
        let error = refusal(&format!("{}&sslmode={mode}", postgres_text("postgres"))).await;
        assert!(matches!(error, OpenError::Encryption { .. } | OpenError::Certificates { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let name = format!("db_test_latin_{}", std::process::id());
    administer(&format!("create database {name} template template0 encoding 'LATIN1' locale 'C'"));
    let error = refusal(&postgres_text(&name)).await;
    administer(&format!("drop database {name} with (force)"));
    assert!(matches!(error, OpenError::Encoding { .. }), "{error:?}");
}

#[tokio::test]
async fn asynchronous_commit_is_turned_on_for_the_session() {
    let database = TestDatabase::postgres();
    let name = database.text.rsplit_once('/').unwrap().1.trim_end_matches('?').to_owned();
    administer(&format!("alter database {name} set synchronous_commit = off"));
    let db = database.open_empty().await;
    let setting = db.write(|tx| tx.query_one("select current_setting('synchronous_commit')", &[])?.text(0));
    assert_eq!(setting.await.unwrap(), "on");
}

#[tokio::test]
async fn sessions_have_their_limits() {
    on_postgres(async |_, db| {
        let settings = db.write(|tx| {
            let row = tx.query_one(
                "select current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'), \
                 current_setting('application_name'), current_setting('transaction_isolation')",
                &[],
            )?;
            (0..4).map(|i| row.text(i)).collect::<Result<Vec<_>, _>>()
        });
        assert_eq!(settings.await.unwrap(), ["2s", "1min", "teiki", "read committed"]);
    })
    .await;
}
