//! A restart goes on from the book; a damaged or busy book is refused.

use std::fs::{File, OpenOptions};
use std::io::Write;

use sandbox::{BookError, StartError, read_book};
use serde_json::json;

use crate::harness::{Harness, charge, keyed, start, with};

fn append(sandbox: &Harness, text: &str) {
    OpenOptions::new().append(true).open(sandbox.book_path()).unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn ids_keys_and_refunds_go_on() {
    let mut sandbox = start("").await;
    sandbox.charge(&keyed("sbx_ok", "key-1")).await;
    sandbox.post("/charges/sch_000000000001/refund", &json!({"amount": 200})).await;
    sandbox.restart().await;
    assert_eq!(sandbox.charge(&keyed("sbx_ok", "key-1")).await.body["idempotency"], "replayed");
    assert_eq!(sandbox.charge(&keyed("sbx_ok.x", "key-1")).await.code(), "idempotency_conflict");
    let rest = sandbox.post("/charges/sch_000000000001/refund", &json!({})).await;
    assert_eq!((&rest.body["id"], &rest.body["amount"]), (&json!("srf_000000000003"), &json!(1000)));
    assert_eq!(sandbox.charge(&charge("sbx_ok")).await.body["id"], "sch_000000000004");
    let found = sandbox.get("/charges?reference=ch_1").await;
    assert_eq!(found.body["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn counters_go_on() {
    let mut sandbox = start("").await;
    let declining = charge("sbx_decline_do_not_honor_times_2");
    let before = charge("sbx_timeout_before_2");
    let after = keyed("sbx_timeout_after_1", "key-1");
    assert_eq!(sandbox.charge(&declining).await.status, 402);
    sandbox.charge_and_give_up(&before).await;
    sandbox.charge_and_give_up(&after).await;
    sandbox.restart().await;
    assert_eq!(sandbox.charge(&declining).await.status, 402);
    assert_eq!(sandbox.charge(&declining).await.status, 200);
    sandbox.charge_and_give_up(&before).await;
    assert_eq!(sandbox.charge(&before).await.status, 200);
    assert_eq!(sandbox.charge(&after).await.body["idempotency"], "replayed");
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let mut sandbox = start("").await;
    sandbox.charge(&charge("sbx_ok")).await;
    sandbox.stop().await;
    let whole = std::fs::read(sandbox.book_path()).unwrap();
    append(&sandbox, r#"{"at":"2026-03-31T00:0"#);
    assert_eq!(read_book(sandbox.book_path()).unwrap().len(), 1);
    sandbox.restart().await;
    assert_eq!(std::fs::read(sandbox.book_path()).unwrap(), whole);
    assert_eq!(sandbox.charge(&charge("sbx_ok")).await.body["id"], "sch_000000000002");
    assert_eq!(sandbox.book().len(), 2);
}

#[tokio::test]
async fn a_damaged_line_is_an_error_that_names_it() {
    let mut sandbox = start("").await;
    sandbox.charge(&charge("sbx_ok")).await;
    sandbox.stop().await;
    let whole = std::fs::read_to_string(sandbox.book_path()).unwrap();
    for damage in ["rubbish\n", "\n", "{}\n", whole.as_str()] {
        File::create(sandbox.book_path()).unwrap().write_all(format!("{whole}{damage}").as_bytes()).unwrap();
        let error = sandbox.try_start().await.unwrap_err();
        assert!(matches!(&error, StartError::Book(BookError::Line { line: 2, .. })), "{error}");
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(matches!(read_book(sandbox.book_path()), Err(BookError::Line { line: 2, .. })));
    }
}

#[tokio::test]
async fn an_action_without_an_earlier_charge_is_damage() {
    let mut sandbox = start("").await;
    sandbox.charge(&charge("sbx_ok")).await;
    sandbox.post("/charges/sch_000000000001/refund", &json!({})).await;
    sandbox.stop().await;
    let whole = std::fs::read_to_string(sandbox.book_path()).unwrap();
    for charge in ["null", "\"sch_000000000002\"", "\"sch_000000000003\"", "\"srf_000000000001\"", "\"x\""] {
        std::fs::write(
            sandbox.book_path(),
            whole.replace("\"charge\":\"sch_000000000001\"", &format!("\"charge\":{charge}")),
        )
        .unwrap();
        assert!(matches!(read_book(sandbox.book_path()), Err(BookError::Line { line: 2, .. })), "{charge}");
        assert!(sandbox.try_start().await.is_err(), "{charge}");
    }
}

/// Books are kept for years; those from before authorizations have no `capture`.
#[tokio::test]
async fn a_book_from_before_authorizations_goes_on() {
    let mut sandbox = start("").await;
    sandbox.charge(&keyed("sbx_ok", "key-1")).await;
    sandbox.stop().await;
    let book = std::fs::read_to_string(sandbox.book_path()).unwrap();
    std::fs::write(sandbox.book_path(), book.replace("\"capture\":true,", "")).unwrap();
    sandbox.restart().await;
    assert_eq!(sandbox.book()[0].capture, None);
    assert_eq!(sandbox.charge(&keyed("sbx_ok", "key-1")).await.body["idempotency"], "replayed");
    let reserved = with(keyed("sbx_ok", "key-1"), "capture", json!(false));
    assert_eq!(sandbox.charge(&reserved).await.code(), "idempotency_conflict");
}

#[tokio::test]
async fn two_sandboxes_cannot_share_a_book() {
    let mut sandbox = start("").await;
    let error = sandbox.try_start().await.unwrap_err();
    assert!(matches!(error, StartError::Book(BookError::InUse { .. })), "{error}");
    assert!(error.to_string().contains("in use by another sandbox"), "{error}");
    sandbox.stop().await;
    sandbox.try_start().await.unwrap().stop().await;
}

#[tokio::test]
async fn a_stop_executes_what_was_accepted() {
    let mut sandbox = start("late=1,late-ms=60000-60000").await;
    sandbox.try_post("/charges", &charge("sbx_ok")).await.unwrap_err();
    sandbox.stop().await;
    assert_eq!(sandbox.book().len(), 1);
}

#[tokio::test]
async fn a_stop_lets_hanging_clients_go() {
    let mut sandbox = start("timeout-before=1").await;
    let url = format!("{}/charges", sandbox.server().url());
    let hanging = tokio::spawn(reqwest::Client::new().post(url).json(&charge("sbx_ok")).send());
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    sandbox.stop().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(sandbox.book().is_empty());
}
