//! What is refused before anything happens, in the sandbox's own error schema.

use serde_json::{Value, json};

use crate::harness::{charge, start, with};

#[tokio::test]
async fn bad_charges_are_refused_with_code_and_parameter() {
    let sandbox = start("").await;
    let long = "x".repeat(256);
    for (name, value, code) in [
        ("token", json!("tok_visa"), "unknown_token"),
        ("token", json!("sbx_nothing"), "unknown_token"),
        ("token", json!("sbx_decline_because"), "unknown_token"),
        ("token", json!("sbx_decline_card_declined_"), "unknown_token"),
        ("token", json!("sbx_decline_card_declined_times_"), "unknown_token"),
        ("token", json!("sbx_decline_card_declined_times_-1"), "unknown_token"),
        ("token", json!("sbx_decline_card_declined_until_20260231"), "unknown_token"),
        ("token", json!("sbx_decline_card_declined_until_2026-02-01"), "unknown_token"),
        ("token", json!("sbx_decline_card_declined_over_"), "unknown_token"),
        ("token", json!("sbx_decline_card_declined_over_-1"), "unknown_token"),
        ("token", json!("sbx_ok_expires_"), "unknown_token"),
        ("token", json!("sbx_expires_20270101"), "unknown_token"),
        ("token", json!("sbx_ok_expires_20270101_expires_20280101"), "unknown_token"),
        ("token", json!("sbx_decline_card_declined_over_99999999999999999999"), "unknown_token"),
        ("token", json!("sbx_timeout_before_x"), "unknown_token"),
        ("token", json!("sbx_timeout_after_99999999999"), "unknown_token"),
        ("token", json!(""), "invalid_length"),
        ("token", Value::Null, "missing_param"),
        ("amount", json!(0), "invalid_amount"),
        ("amount", json!(-1), "invalid_amount"),
        ("amount", json!(1_000_000_000_000_i64), "invalid_amount"),
        ("amount", Value::Null, "missing_param"),
        ("currency", json!("yen!"), "invalid_currency"),
        ("currency", json!("j1"), "invalid_currency"),
        ("currency", Value::Null, "missing_param"),
        ("reference", json!(long), "invalid_length"),
        ("reference", Value::Null, "missing_param"),
        ("idempotency_key", json!(""), "invalid_length"),
        ("idempotency_key", json!(long), "invalid_length"),
        ("billing_time", json!("2026-03-31"), "invalid_billing_time"),
    ] {
        let answer = sandbox.charge(&with(charge("sbx_ok"), name, value.clone())).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, code), "{name} {value}");
        assert_eq!(answer.body["error"]["type"], "invalid_request_error", "{name} {value}");
        assert_eq!(answer.body["error"]["param"], name, "{name} {value}");
    }
    for (name, value) in
        [("amount", json!("12")), ("amount", json!(1.5)), ("capture", json!("no")), ("colour", json!("red"))]
    {
        let answer = sandbox.charge(&with(charge("sbx_ok"), name, value)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "invalid_json"), "{name}");
    }
    assert!(sandbox.book().is_empty());
}

#[tokio::test]
async fn addresses_methods_sizes_and_queries_are_checked() {
    let sandbox = start("").await;
    let huge = with(charge("sbx_ok"), "reference", json!("x".repeat(65 * 1024)));
    let answers = [
        (sandbox.get("/nothing").await, 404, "not_found"),
        (sandbox.post("/capabilities", &json!({})).await, 405, "method_not_allowed"),
        (sandbox.charge(&huge).await, 413, "body_too_large"),
        (sandbox.get("/charges?limit=0").await, 400, "invalid_query"),
        (sandbox.get("/charges?limit=1001").await, 400, "invalid_query"),
        (sandbox.get("/charges?limit=x").await, 400, "invalid_query"),
        (sandbox.get("/charges?after=x").await, 400, "invalid_query"),
        (sandbox.get("/charges?colour=red").await, 400, "invalid_query"),
    ];
    for (number, (answer, status, code)) in answers.iter().enumerate() {
        assert_eq!((answer.status.as_u16(), answer.code()), (*status, *code), "answer {number}");
        assert_eq!(answer.body["error"]["type"], "invalid_request_error", "answer {number}");
    }
    assert_eq!(sandbox.get("/healthz").await.status, 200);
    assert!(sandbox.book().is_empty());
}
