//! Refunds and their sums.

use sandbox::Outcome;
use serde_json::{Value, json};

use crate::harness::{Harness, charge, start};

const PATH: &str = "/charges/sch_000000000001/refund";

async fn charged(token: &str) -> Harness {
    let sandbox = start("").await;
    sandbox.charge(&charge(token)).await;
    sandbox
}

async fn check(sandbox: &Harness, body: Value, expected: Result<i64, &str>) {
    let answer = sandbox.post(PATH, &body).await;
    match expected {
        Ok(amount) => {
            assert_eq!(answer.status, 200, "{body}");
            assert_eq!(answer.body["object"], "refund", "{body}");
            assert_eq!(answer.body["amount"], amount, "{body}");
        }
        Err(code) => assert_eq!((answer.status.as_u16(), answer.code()), (400, code), "{body}"),
    }
}

#[tokio::test]
async fn refunds_never_exceed_the_charge() {
    let sandbox = charged("sbx_ok.c1").await;
    check(&sandbox, json!({"amount": 1201}), Err("refund_exceeds_charge")).await;
    check(&sandbox, json!({"amount": 0}), Err("invalid_amount")).await;
    check(&sandbox, json!({"amount": 200, "reference": "re_1"}), Ok(200)).await;
    check(&sandbox, json!({"amount": 1001}), Err("refund_exceeds_charge")).await;
    check(&sandbox, json!({}), Ok(1000)).await;
    check(&sandbox, json!({}), Err("already_refunded")).await;
    let found = sandbox.get("/charges/sch_000000000001").await;
    assert_eq!(found.body["amount_refunded"], 1200);
    let line = &sandbox.book()[1];
    assert_eq!(line.outcome, Outcome::Refunded);
    assert_eq!(line.id, "srf_000000000002");
    assert_eq!(line.charge.as_deref(), Some("sch_000000000001"));
    assert_eq!(
        (line.token.as_str(), line.amount, line.reference.as_deref()),
        ("sbx_ok.c1", 200, Some("re_1"))
    );
}

#[tokio::test]
async fn refunds_in_parallel_never_exceed_the_charge() {
    let sandbox = charged("sbx_ok").await;
    let body = json!({"amount": 700});
    let (first, second) = tokio::join!(sandbox.post(PATH, &body), sandbox.post(PATH, &body));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(sandbox.book().len(), 2);
}

#[tokio::test]
async fn a_declined_charge_has_nothing_to_give_back() {
    let sandbox = charged("sbx_decline_card_declined").await;
    check(&sandbox, json!({}), Err("charge_not_refundable")).await;
}

#[tokio::test]
async fn a_refund_of_nothing_known_is_not_found() {
    let sandbox = charged("sbx_ok").await;
    sandbox.post(PATH, &json!({})).await;
    for id in ["sch_000000000009", "srf_000000000002", "sch_2", "x"] {
        assert_eq!(sandbox.post(&format!("/charges/{id}/refund"), &json!({})).await.status, 404, "{id}");
        assert_eq!(sandbox.get(&format!("/charges/{id}")).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn a_refund_key_replays_and_conflicts() {
    let sandbox = charged("sbx_ok").await;
    let body = json!({"amount": 100, "idempotency_key": "key-r"});
    assert_eq!(sandbox.post(PATH, &body).await.body["idempotency"], "stored");
    assert_eq!(sandbox.post(PATH, &body).await.body["idempotency"], "replayed");
    let other = json!({"amount": 101, "idempotency_key": "key-r"});
    assert_eq!(sandbox.post(PATH, &other).await.code(), "idempotency_conflict");
    assert_eq!(sandbox.book().len(), 2);
}

#[tokio::test]
async fn a_refused_refund_does_not_keep_its_key() {
    let sandbox = charged("sbx_ok").await;
    let too_much = json!({"amount": 1201, "idempotency_key": "key-r"});
    assert_eq!(sandbox.post(PATH, &too_much).await.status, 400);
    check(&sandbox, json!({"amount": 1200, "idempotency_key": "key-r"}), Ok(1200)).await;
}
