//! Charges, their tokens, their lines and how they are found again.

use std::time::{Duration, Instant};

use sandbox::Outcome;
use serde_json::{Value, json};

use crate::harness::{Harness, PATIENCE, charge, keyed, start, with};

/// Charges one token several times and compares the codes (`ok` for a success).
async fn check(token: &str, expected: &[&str]) {
    let sandbox = start("").await;
    for (turn, expected) in expected.iter().enumerate() {
        let answer = sandbox.charge(&charge(token)).await;
        let code = if answer.status == 200 { "ok" } else { answer.code() };
        assert_eq!(code, *expected, "{token}, charge {turn}");
    }
    assert_eq!(sandbox.book().len(), expected.len(), "{token}");
}

#[tokio::test]
async fn tokens_decide_the_outcome() {
    check("sbx_ok", &["ok", "ok"]).await;
    check("sbx_ok.c1-000123", &["ok"]).await;
    check(
        "sbx_decline_insufficient_funds_times_2",
        &["insufficient_funds", "insufficient_funds", "ok", "ok"],
    )
    .await;
    check("sbx_decline_lost_card_times_1.c1", &["lost_card", "ok"]).await;
    check("sbx_decline_card_declined_times_0", &["ok"]).await;
}

#[tokio::test]
async fn every_code_declines_for_ever() {
    for code in [
        "insufficient_funds",
        "card_declined",
        "do_not_honor",
        "expired_card",
        "incorrect_card_data",
        "stolen_card",
        "lost_card",
        "processing_error",
        "limit_exceeded",
        "authentication_required",
    ] {
        check(&format!("sbx_decline_{code}"), &[code, code]).await;
    }
}

#[tokio::test]
async fn counters_belong_to_the_whole_token() {
    let sandbox = start("").await;
    for token in ["sbx_decline_do_not_honor_times_1.a", "sbx_decline_do_not_honor_times_1.b"] {
        assert_eq!(sandbox.charge(&charge(token)).await.status, 402);
        assert_eq!(sandbox.charge(&charge(token)).await.status, 200);
    }
}

#[tokio::test]
async fn until_looks_at_the_billing_time_in_tokyo() {
    let sandbox = start("").await;
    let body = charge("sbx_decline_expired_card_until_20260401.x");
    for (billing_time, status) in [
        ("2026-03-31T14:59:59Z", 402),
        ("2026-03-31T15:00:00Z", 200),
        ("2026-03-31T23:59:59.5+09:00", 402),
        ("2026-04-01T00:00:00+09:00", 200),
    ] {
        let answer = sandbox.charge(&with(body.clone(), "billing_time", json!(billing_time))).await;
        assert_eq!(answer.status, status, "{billing_time}");
    }
    assert_eq!(sandbox.book()[2].at.to_string(), "2026-03-31T14:59:59.5Z");
}

#[tokio::test]
async fn an_expired_card_is_declined_whatever_its_token_says_before() {
    let sandbox = start("").await;
    for (token, before) in [
        ("sbx_ok_expires_20270101.x", None),
        ("sbx_decline_lost_card_over_10000_expires_20270101.x", None),
        ("sbx_decline_lost_card_over_999_expires_20270101.x", Some("lost_card")),
        ("sbx_decline_lost_card_times_1_expires_20270101.x", Some("lost_card")),
        ("sbx_decline_lost_card_expires_20270101", Some("lost_card")),
    ] {
        let body = with(charge(token), "amount", json!(1_000));
        let at = |instant: &str| with(body.clone(), "billing_time", json!(instant));
        let answer = sandbox.charge(&at("2026-12-31T23:59:59+09:00")).await;
        assert_eq!(answer.status, if before.is_some() { 402 } else { 200 }, "{token}");
        if let Some(code) = before {
            assert_eq!(answer.code(), code, "{token}");
        }
        let answer = sandbox.charge(&at("2027-01-01T00:00:00+09:00")).await;
        assert_eq!(answer.status, 402, "{token}");
        assert_eq!(answer.code(), "expired_card", "{token}");
    }
}

#[tokio::test]
async fn over_looks_at_the_amount() {
    let sandbox = start("").await;
    let body = charge("sbx_decline_card_declined_over_10000.x");
    for (amount, status) in [(9_999, 200), (10_000, 200), (10_001, 402), (1, 200)] {
        let answer = sandbox.charge(&with(body.clone(), "amount", json!(amount))).await;
        assert_eq!(answer.status, status, "{amount}");
    }
    let over = with(charge("sbx_decline_lost_card_over_99999999999"), "amount", json!(100_000_000_000_i64));
    assert_eq!(sandbox.charge(&over).await.code(), "lost_card");
}

#[tokio::test]
async fn a_charge_is_answered_and_booked_with_all_fields() {
    let sandbox = start("").await;
    let body = with(keyed("sbx_ok.c1", "key-1"), "billing_time", json!("2026-03-31T00:00:00Z"));
    let answer = sandbox.charge(&body).await;
    assert_eq!(answer.status, 200);
    let text = std::fs::read_to_string(sandbox.book_path()).unwrap();
    let line: Value = serde_json::from_str(&text).unwrap();
    let recorded_at = line["recorded_at"].clone();
    assert!(recorded_at.as_str().unwrap().ends_with('Z'));
    let expected_line = json!({
        "at": "2026-03-31T00:00:00Z", "recorded_at": recorded_at, "id": "sch_000000000001", "charge": null,
        "token": "sbx_ok.c1", "amount": 1200, "currency": "jpy", "reference": "ch_1", "idempotency_key": "key-1",
        "capture": true, "outcome": "succeeded", "code": null,
    });
    assert_eq!(line, expected_line);
    let expected_answer = json!({
        "object": "charge", "id": "sch_000000000001", "status": "succeeded", "amount": 1200, "captured_amount": 1200,
        "amount_refunded": 0, "currency": "jpy", "token": "sbx_ok.c1", "reference": "ch_1", "code": null, "created_at": recorded_at,
        "billing_time": "2026-03-31T00:00:00Z", "idempotency": "stored",
    });
    assert_eq!(answer.body, expected_answer);
}

#[tokio::test]
async fn a_decline_is_answered_and_booked() {
    let sandbox = start("").await;
    let answer = sandbox.charge(&charge("sbx_decline_stolen_card")).await;
    assert_eq!(answer.status, 402);
    assert_eq!(answer.body["error"]["type"], "card_error");
    assert_eq!(answer.body["charge"]["status"], "declined");
    assert_eq!(answer.body["charge"]["code"], "stolen_card");
    let line = &sandbox.book()[0];
    assert_eq!((line.outcome, line.code.as_deref()), (Outcome::Declined, Some("stolen_card")));
    assert_eq!(line.at, line.recorded_at);
    let found = sandbox.get(&format!("/charges/{}", line.id)).await;
    assert_eq!(found.body["code"], "stolen_card");
}

/// Sends charges at once and checks at each answer that its line is in the file already.
#[tokio::test]
async fn a_line_is_in_the_book_before_its_answer() {
    let sandbox = std::sync::Arc::new(start("").await);
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let sandbox = std::sync::Arc::clone(&sandbox);
            tokio::spawn(async move {
                let answer = sandbox.charge(&charge(&format!("sbx_ok.{number}"))).await;
                let id = answer.body["id"].as_str().unwrap().to_owned();
                assert!(sandbox.book().iter().any(|line| line.id == id), "{id} is not in the book");
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let book = sandbox.book();
    let expected: Vec<String> = (1..=64).map(|number| format!("sch_{number:012x}")).collect();
    assert_eq!(book.iter().map(|line| line.id.clone()).collect::<Vec<_>>(), expected);
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["data"].as_array().unwrap().iter().map(|charge| charge["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_page_through_the_book() {
    let sandbox = start("").await;
    for _ in 0..3 {
        sandbox.charge(&charge("sbx_ok")).await;
    }
    sandbox.post("/charges/sch_000000000001/refund", &json!({})).await;
    sandbox.charge(&charge("sbx_ok")).await;
    let first = sandbox.get("/charges?limit=2").await.body;
    assert_eq!(ids(&first), ["sch_000000000001", "sch_000000000002"]);
    assert_eq!(first["has_more"], true);
    let second = sandbox.get("/charges?limit=2&after=sch_000000000002").await.body;
    assert_eq!(ids(&second), ["sch_000000000003", "sch_000000000005"]);
    assert_eq!(second["has_more"], false);
}

#[tokio::test]
async fn look_up_by_reference_finds_only_that_reference() {
    let sandbox = start("").await;
    for reference in ["ch_a", "ch_b", "ch_a"] {
        sandbox.charge(&with(charge("sbx_ok"), "reference", json!(reference))).await;
    }
    assert_eq!(
        ids(&sandbox.get("/charges?reference=ch_a").await.body),
        ["sch_000000000001", "sch_000000000003"]
    );
    assert_eq!(ids(&sandbox.get("/charges?reference=ch_").await.body), [""; 0]);
}

async fn visible_after(sandbox: &Harness, reference: &str) -> Duration {
    let began_at = Instant::now();
    let path = format!("/charges?reference={reference}");
    while ids(&sandbox.get(&path).await.body).is_empty() {
        assert!(began_at.elapsed() < PATIENCE, "the charge never became visible");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began_at.elapsed()
}

#[tokio::test]
async fn the_lookup_lag_hides_a_charge_by_reference_but_not_by_id() {
    let sandbox = start("lookup-lag=200").await;
    let answer = sandbox.charge(&charge("sbx_ok")).await;
    let path = format!("/charges/{}", answer.body["id"].as_str().unwrap());
    assert_eq!(sandbox.get(&path).await.status, 200);
    assert!(visible_after(&sandbox, "ch_1").await >= Duration::from_millis(100));
}
