//! Idempotency keys under each switch.

use std::time::Duration;

use serde_json::json;

use crate::harness::{charge, keyed, start, with};

/// Sends the same keyed charge twice and compares what the second answer says and how many lines there are.
async fn check(faults: &str, token: &str, second: &str, lines: usize) {
    let sandbox = start(faults).await;
    let body = keyed(token, "key-1");
    let first = sandbox.charge(&body).await;
    let again = sandbox.charge(&body).await;
    assert_eq!(again.status, first.status, "{faults}");
    let charge = if first.status == 200 { &again.body } else { &again.body["charge"] };
    assert_eq!(charge["idempotency"], second, "{faults}");
    assert_eq!(sandbox.book().len(), lines, "{faults}");
}

#[tokio::test]
async fn a_repeat_is_recognised_as_the_switch_says() {
    check("", "sbx_ok", "replayed", 1).await;
    check("idempotency=forever", "sbx_ok", "replayed", 1).await;
    check("idempotency=24h", "sbx_ok", "replayed", 1).await;
    check("idempotency=6h", "sbx_ok", "replayed", 1).await;
    check("idempotency=none", "sbx_ok", "none", 2).await;
    check("", "sbx_decline_card_declined_times_1", "replayed", 1).await;
}

#[tokio::test]
async fn a_key_is_forgotten_after_its_window() {
    let sandbox = start("idempotency=100ms").await;
    let body = keyed("sbx_ok", "key-1");
    sandbox.charge(&body).await;
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert_eq!(sandbox.charge(&body).await.body["idempotency"], "stored");
    assert_eq!(sandbox.book().len(), 2);
}

#[tokio::test]
async fn best_effort_executes_some_repeats_unprotected_and_says_so() {
    let sandbox = start("idempotency=best-effort").await;
    let body = keyed("sbx_ok", "key-1");
    let mut words = Vec::new();
    for _ in 0..60 {
        let answer = sandbox.charge(&body).await;
        words.push(answer.body["idempotency"].as_str().unwrap().to_owned());
    }
    let count = |word: &str| words.iter().filter(|other| *other == word).count();
    assert_eq!(count("stored"), 1);
    assert!((3..30).contains(&count("error")), "{words:?}");
    assert_eq!(count("stored") + count("error") + count("replayed"), 60);
    assert_eq!(sandbox.book().len(), count("stored") + count("error"));
}

#[tokio::test]
async fn charges_without_a_key_are_all_executed() {
    let sandbox = start("").await;
    for _ in 0..2 {
        assert_eq!(sandbox.charge(&charge("sbx_ok")).await.body["idempotency"], "none");
    }
    assert_eq!(sandbox.book().len(), 2);
}

#[tokio::test]
async fn a_key_with_other_parameters_is_a_conflict() {
    let sandbox = start("").await;
    let body = keyed("sbx_ok", "key-1");
    sandbox.charge(&body).await;
    for (name, value) in [
        ("token", json!("sbx_ok.other")),
        ("amount", json!(1201)),
        ("currency", json!("usd")),
        ("reference", json!("ch_2")),
        ("capture", json!(false)),
    ] {
        let answer = sandbox.charge(&with(body.clone(), name, value)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (409, "idempotency_conflict"), "{name}");
        assert_eq!(answer.body["error"]["type"], "idempotency_error");
    }
    let refund = sandbox.post("/charges/sch_000000000001/refund", &json!({"idempotency_key": "key-1"})).await;
    assert_eq!(refund.code(), "idempotency_conflict");
    let later = with(body, "billing_time", json!("2030-01-01T00:00:00Z"));
    assert_eq!(sandbox.charge(&later).await.body["idempotency"], "replayed");
    assert_eq!(sandbox.book().len(), 1);
}

#[tokio::test]
async fn parallel_requests_with_one_key_execute_once() {
    let sandbox = start("latency=100-100").await;
    let body = keyed("sbx_ok", "key-1");
    let other = with(body.clone(), "amount", json!(5));
    let (first, second, third) = tokio::join!(sandbox.charge(&body), sandbox.charge(&body), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        sandbox.charge(&other).await
    });
    let mut pair = [first.code(), second.code()];
    pair.sort_unstable();
    assert_eq!(pair, ["idempotency_in_progress", "no error"]);
    assert_eq!(third.code(), "idempotency_conflict");
    assert_eq!(sandbox.charge(&body).await.body["idempotency"], "replayed");
    assert_eq!(sandbox.book().len(), 1);
}
