//! Authorizations: what may be done to a charge when, how much, and what the book then says.

use std::time::Duration;

use sandbox::{BookLine, Outcome};
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, PATIENCE, charge, keyed, start, with};

const CHARGE: &str = "/charges/sch_000000000001";
const ACTIONS: [&str; 4] = ["capture", "void", "reauth", "refund"];

fn authorization(token: &str) -> Value {
    with(charge(token), "capture", json!(false))
}

async fn authorized(token: &str) -> Harness {
    let sandbox = start("").await;
    assert_eq!(sandbox.charge(&authorization(token)).await.status, 200);
    sandbox
}

async fn act(sandbox: &Harness, action: &str, body: Value) -> Answer {
    sandbox.post(&format!("{CHARGE}/{action}"), &body).await
}

/// What came of an action: its amount, or the code of its error.
fn result(answer: &Answer) -> Result<i64, &str> {
    answer.body["amount"].as_i64().ok_or(answer.code())
}

/// Status, captured and refunded amount of the first charge.
async fn standing(sandbox: &Harness) -> (String, i64, i64) {
    let charge = sandbox.get(CHARGE).await.body;
    assert_eq!(charge["amount"], 1200);
    let number = |name: &str| charge[name].as_i64().unwrap();
    (charge["status"].as_str().unwrap().to_owned(), number("captured_amount"), number("amount_refunded"))
}

#[tokio::test]
async fn an_authorization_is_answered_and_booked_with_all_fields() {
    let sandbox = start("").await;
    let body = with(authorization("sbx_ok.c1"), "billing_time", json!("2026-03-31T00:00:00Z"));
    let answer = sandbox.charge(&body).await;
    let text = std::fs::read_to_string(sandbox.book_path()).unwrap();
    let line: Value = serde_json::from_str(&text).unwrap();
    let expected_line = json!({
        "at": "2026-03-31T00:00:00Z", "recorded_at": line["recorded_at"], "id": "sch_000000000001", "charge": null,
        "token": "sbx_ok.c1", "amount": 1200, "currency": "jpy", "reference": "ch_1", "idempotency_key": null,
        "capture": false, "outcome": "authorized", "code": null,
    });
    assert_eq!(line, expected_line);
    let expected_answer = json!({
        "object": "charge", "id": "sch_000000000001", "status": "authorized", "amount": 1200, "captured_amount": 0,
        "amount_refunded": 0, "currency": "jpy", "token": "sbx_ok.c1", "reference": "ch_1", "code": null,
        "created_at": line["recorded_at"], "billing_time": "2026-03-31T00:00:00Z", "idempotency": "none",
    });
    assert_eq!((answer.status.as_u16(), answer.body), (200, expected_answer));
}

#[tokio::test]
async fn a_capture_is_answered_and_booked_with_all_fields() {
    let sandbox = authorized("sbx_ok.c1").await;
    let body = json!({
        "amount": 700, "reference": "cp_1", "idempotency_key": "key-c", "billing_time": "2026-04-01T00:00:00Z",
    });
    let answer = act(&sandbox, "capture", body).await;
    let line = serde_json::to_value(&sandbox.book()[1]).unwrap();
    let expected_line = json!({
        "at": "2026-04-01T00:00:00Z", "recorded_at": line["recorded_at"], "id": "scp_000000000002",
        "charge": "sch_000000000001", "token": "sbx_ok.c1", "amount": 700, "currency": "jpy", "reference": "cp_1",
        "idempotency_key": "key-c", "capture": null, "outcome": "captured", "code": null,
    });
    assert_eq!(line, expected_line);
    let expected_answer = json!({
        "object": "capture", "id": "scp_000000000002", "charge": "sch_000000000001", "status": "succeeded",
        "amount": 700, "currency": "jpy", "reference": "cp_1", "code": null, "created_at": line["recorded_at"],
        "billing_time": "2026-04-01T00:00:00Z", "idempotency": "stored",
    });
    assert_eq!((answer.status.as_u16(), answer.body), (200, expected_answer));
}

/// Does `before` to a new charge and then tries each action on a charge of its own.
async fn check(body: Value, before: Option<&str>, expected: [Result<i64, &str>; 4]) {
    for (action, expected) in ACTIONS.into_iter().zip(expected) {
        let sandbox = start("").await;
        sandbox.charge(&body).await;
        if let Some(before) = before {
            assert_eq!(act(&sandbox, before, json!({})).await.status, 200);
        }
        let lines = sandbox.book().len();
        let answer = act(&sandbox, action, json!({})).await;
        assert_eq!(result(&answer), expected, "{body} {before:?} {action}");
        assert_eq!(answer.status, if expected.is_ok() { 200 } else { 400 });
        assert_eq!(sandbox.book().len(), lines + usize::from(expected.is_ok()));
    }
}

#[tokio::test]
async fn every_action_on_every_charge() {
    let (all, captured, voided) = (Ok(1200), Err("already_captured"), Err("already_voided"));
    let (unauthorized, untaken) = (Err("charge_not_authorized"), Err("charge_not_refundable"));
    check(charge("sbx_ok"), None, [captured, captured, captured, all]).await;
    let refunded = Err("already_refunded");
    check(charge("sbx_ok"), Some("refund"), [captured, captured, captured, refunded]).await;
    for body in [charge("sbx_decline_lost_card"), authorization("sbx_decline_lost_card")] {
        check(body, None, [unauthorized, unauthorized, unauthorized, untaken]).await;
    }
    let body = authorization("sbx_ok");
    check(body.clone(), None, [all, all, all, untaken]).await;
    check(body.clone(), Some("reauth"), [all, all, all, untaken]).await;
    check(body.clone(), Some("capture"), [captured, captured, captured, all]).await;
    check(body, Some("void"), [voided, voided, voided, voided]).await;
}

#[tokio::test]
async fn a_declined_authorization_reserves_nothing() {
    let sandbox = start("").await;
    let answer = sandbox.charge(&authorization("sbx_decline_lost_card")).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (402, "lost_card"));
    assert_eq!(answer.body["charge"]["status"], "declined");
    let line = &sandbox.book()[0];
    assert_eq!((line.id.as_str(), line.outcome), ("sch_000000000001", Outcome::Declined));
    assert_eq!(standing(&sandbox).await, ("declined".into(), 0, 0));
}

#[tokio::test]
async fn refunds_of_a_part_that_was_captured_end_there() {
    let sandbox = authorized("sbx_ok").await;
    assert_eq!(standing(&sandbox).await, ("authorized".into(), 0, 0));
    for (action, amount, expected) in [
        ("capture", 1201, Err("capture_exceeds_authorization")),
        ("capture", 0, Err("invalid_amount")),
        ("refund", 1, Err("charge_not_refundable")),
        ("capture", 800, Ok(800)),
        ("capture", 400, Err("already_captured")),
        ("refund", 801, Err("refund_exceeds_charge")),
        ("refund", 300, Ok(300)),
        ("refund", 501, Err("refund_exceeds_charge")),
        ("refund", 500, Ok(500)),
        ("refund", 1, Err("already_refunded")),
    ] {
        let answer = act(&sandbox, action, json!({"amount": amount})).await;
        assert_eq!(result(&answer), expected, "{action} {amount}");
    }
    assert_eq!(standing(&sandbox).await, ("captured".into(), 800, 800));
    assert_eq!(taken(&sandbox.book()), 0);
}

/// The money that a book took, by the rule of its documentation.
fn taken(book: &[BookLine]) -> i64 {
    let signed = |line: &BookLine| match line.outcome {
        Outcome::Succeeded | Outcome::Captured => line.amount,
        Outcome::Refunded => -line.amount,
        Outcome::Declined | Outcome::Authorized | Outcome::Voided => 0,
    };
    book.iter().map(signed).sum()
}

#[tokio::test]
async fn a_void_releases_the_whole_authorization() {
    let sandbox = authorized("sbx_ok").await;
    for action in ["void", "reauth"] {
        let answer = act(&sandbox, action, json!({"amount": 1200})).await;
        assert_eq!(result(&answer), Err("invalid_amount"), "{action}");
    }
    let answer = act(&sandbox, "void", json!({"reference": "vd_1"})).await;
    assert_eq!((&answer.body["object"], &answer.body["id"]), (&json!("void"), &json!("svd_000000000002")));
    let line = &sandbox.book()[1];
    assert_eq!((line.outcome, line.amount), (Outcome::Voided, 1200));
    assert_eq!(standing(&sandbox).await, ("voided".into(), 0, 0));
    assert_eq!(taken(&sandbox.book()), 0);
}

#[tokio::test]
async fn a_reauthorization_may_be_declined_and_then_changes_nothing() {
    let sandbox = start("").await;
    let token = "sbx_decline_expired_card_until_20260401";
    let at = |body, time: &str| with(body, "billing_time", json!(time));
    let body = at(authorization(token), "2026-04-02T00:00:00Z");
    assert_eq!(sandbox.charge(&body).await.body["status"], "authorized");
    let declined = act(&sandbox, "reauth", at(json!({"reference": "ra_1"}), "2026-03-30T00:00:00Z")).await;
    assert_eq!((declined.status.as_u16(), declined.code()), (402, "expired_card"));
    assert_eq!(declined.body["error"]["type"], "card_error");
    let action = &declined.body["action"];
    assert_eq!((&action["object"], &action["status"]), (&json!("reauth"), &json!("declined")));
    assert_eq!((&action["code"], &action["id"]), (&json!("expired_card"), &json!("sra_000000000002")));
    let renewed = act(&sandbox, "reauth", at(json!({}), "2026-04-03T00:00:00Z")).await;
    assert_eq!((renewed.status.as_u16(), &renewed.body["status"]), (200, &json!("succeeded")));
    let lines: Vec<_> = sandbox.book().into_iter().map(|line| (line.outcome, line.charge)).collect();
    let charge = Some("sch_000000000001".to_owned());
    let expected =
        [(Outcome::Authorized, None), (Outcome::Declined, charge.clone()), (Outcome::Authorized, charge)];
    assert_eq!(lines, expected);
    assert_eq!(standing(&sandbox).await.0, "authorized");
    assert_eq!(result(&act(&sandbox, "capture", json!({})).await), Ok(1200));
    let charges = sandbox.get("/charges").await.body;
    assert_eq!(charges["data"].as_array().unwrap().len(), 1);
    assert_eq!(charges["data"][0]["status"], "captured");
}

#[tokio::test]
async fn whether_to_capture_is_part_of_what_a_key_stands_for() {
    for token in ["sbx_ok", "sbx_decline_lost_card"] {
        let mut sandbox = start("").await;
        for (key, capture) in [("key-1", true), ("key-2", false)] {
            let body = |capture: bool| with(keyed(token, key), "capture", json!(capture));
            let first = sandbox.charge(&body(capture)).await;
            sandbox.restart().await;
            assert_eq!(sandbox.charge(&body(!capture)).await.code(), "idempotency_conflict", "{token}");
            assert_eq!(sandbox.charge(&body(capture)).await.status, first.status);
        }
        // Without a word about it, a charge takes its money.
        assert_eq!(sandbox.charge(&keyed(token, "key-2")).await.code(), "idempotency_conflict");
        assert_eq!(sandbox.book().len(), 2);
    }
}

#[tokio::test]
async fn a_repeated_key_acts_once() {
    for action in ["capture", "void", "reauth"] {
        let mut sandbox = authorized("sbx_ok").await;
        let body = json!({"reference": "a_1", "idempotency_key": "key-a"});
        let first = act(&sandbox, action, body.clone()).await;
        assert_eq!(first.body["idempotency"], "stored", "{action}");
        sandbox.restart().await;
        let again = act(&sandbox, action, body.clone()).await;
        assert_eq!((&again.body["id"], &again.body["idempotency"]), (&first.body["id"], &json!("replayed")));
        for other in ACTIONS.into_iter().filter(|other| *other != action) {
            assert_eq!(act(&sandbox, other, body.clone()).await.code(), "idempotency_conflict", "{other}");
        }
        let renamed = with(body.clone(), "reference", json!("a_2"));
        assert_eq!(act(&sandbox, action, renamed).await.code(), "idempotency_conflict", "{action}");
        assert_eq!(sandbox.charge(&keyed("sbx_ok", "key-a")).await.code(), "idempotency_conflict");
        sandbox.charge(&authorization("sbx_ok")).await;
        let elsewhere = sandbox.post(&format!("/charges/sch_000000000003/{action}"), &body).await;
        assert_eq!(elsewhere.code(), "idempotency_conflict", "{action}");
        assert_eq!(sandbox.book().len(), 3, "{action}");
    }
}

#[tokio::test]
async fn a_capture_key_with_another_amount_is_a_conflict() {
    let sandbox = authorized("sbx_ok").await;
    let body = |amount| json!({"amount": amount, "idempotency_key": "key-c"});
    assert_eq!(result(&act(&sandbox, "capture", body(1201)).await), Err("capture_exceeds_authorization"));
    // What was refused does not keep its key.
    assert_eq!(result(&act(&sandbox, "capture", body(100)).await), Ok(100));
    assert_eq!(result(&act(&sandbox, "capture", body(100)).await), Ok(100));
    assert_eq!(result(&act(&sandbox, "capture", body(101)).await), Err("idempotency_conflict"));
    assert_eq!(sandbox.book().len(), 2);
}

#[tokio::test]
async fn of_two_actions_at_once_one_is_done() {
    for (first, second) in [("capture", "capture"), ("capture", "void"), ("void", "void")] {
        let sandbox = authorized("sbx_ok").await;
        let answers =
            tokio::join!(act(&sandbox, first, json!({})), act(&sandbox, second, json!({"reference": "x"})));
        let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{first} {second}");
        assert_eq!(sandbox.book().len(), 2, "{first} {second}");
    }
}

#[tokio::test]
async fn one_key_at_once_acts_once() {
    let mut sandbox = authorized("sbx_ok").await;
    sandbox.restart_with("latency=100-100").await;
    let body = json!({"idempotency_key": "key-c"});
    let (first, second, third) =
        tokio::join!(act(&sandbox, "capture", body.clone()), act(&sandbox, "capture", body.clone()), async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            act(&sandbox, "void", body.clone()).await
        });
    let mut pair = [first.code(), second.code()];
    pair.sort_unstable();
    assert_eq!(pair, ["idempotency_in_progress", "no error"]);
    assert_eq!(third.code(), "idempotency_conflict");
    assert_eq!(sandbox.book().len(), 2);
}

#[tokio::test]
async fn a_charge_stands_after_a_restart_where_it_stood() {
    let mut sandbox = authorized("sbx_ok").await;
    act(&sandbox, "reauth", json!({})).await;
    sandbox.restart().await;
    assert_eq!(standing(&sandbox).await, ("authorized".into(), 0, 0));
    act(&sandbox, "capture", json!({"amount": 1000})).await;
    sandbox.restart().await;
    assert_eq!(standing(&sandbox).await, ("captured".into(), 1000, 0));
    assert_eq!(result(&act(&sandbox, "void", json!({})).await), Err("already_captured"));
    act(&sandbox, "refund", json!({"amount": 1})).await;
    sandbox.restart().await;
    assert_eq!(result(&act(&sandbox, "refund", json!({})).await), Ok(999));
    assert_eq!(standing(&sandbox).await, ("captured".into(), 1000, 1000));
}

#[tokio::test]
async fn a_replayed_charge_is_shown_as_it_stands_now() {
    let sandbox = start("").await;
    let body = with(keyed("sbx_ok", "key-1"), "capture", json!(false));
    sandbox.charge(&body).await;
    act(&sandbox, "capture", json!({"amount": 5})).await;
    let again = sandbox.charge(&body).await.body;
    assert_eq!(again["idempotency"], "replayed");
    assert_eq!((&again["status"], &again["captured_amount"]), (&json!("captured"), &json!(5)));
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.body["data"].as_array().unwrap().iter().map(|action| action["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn actions_are_listed_for_their_charge_and_by_reference() {
    let sandbox = authorized("sbx_ok").await;
    sandbox.charge(&charge("sbx_ok")).await;
    act(&sandbox, "capture", json!({"reference": "a_1"})).await;
    sandbox.post("/charges/sch_000000000002/refund", &json!({"reference": "a_1"})).await;
    act(&sandbox, "refund", json!({"amount": 5, "reference": "a_2"})).await;
    act(&sandbox, "refund", json!({"amount": 6})).await;
    let all = sandbox.get(&format!("{CHARGE}/actions")).await;
    assert_eq!(ids(&all), ["scp_000000000003", "srf_000000000005", "srf_000000000006"]);
    assert_eq!(all.body["has_more"], false);
    let one = sandbox.get(&format!("{CHARGE}/actions?reference=a_1")).await;
    assert_eq!(ids(&one), ["scp_000000000003"]);
    assert_eq!(one.body["data"][0]["object"], "capture");
    assert!(one.body["data"][0].get("idempotency").is_none());
    assert!(ids(&sandbox.get(&format!("{CHARGE}/actions?reference=a_3")).await).is_empty());
    for id in ["sch_000000000009", "scp_000000000003", "sch_000000000003", "x"] {
        assert_eq!(sandbox.get(&format!("/charges/{id}/actions")).await.status, 404, "{id}");
        for action in ACTIONS {
            let answer = sandbox.post(&format!("/charges/{id}/{action}"), &json!({})).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (404, "not_found"), "{id}/{action}");
        }
    }
    assert_eq!(sandbox.get(&format!("{CHARGE}/actions?colour=red")).await.code(), "invalid_query");
    assert_eq!(sandbox.get(&format!("{CHARGE}/capture")).await.status, 405);
}

#[tokio::test]
async fn the_lookup_lag_hides_an_action_but_not_where_its_charge_stands() {
    let mut sandbox = authorized("sbx_ok").await;
    sandbox.restart_with("lookup-lag=60000").await;
    act(&sandbox, "capture", json!({"reference": "a_1"})).await;
    assert!(ids(&sandbox.get(&format!("{CHARGE}/actions?reference=a_1")).await).is_empty());
    assert_eq!(standing(&sandbox).await.0, "captured");
    sandbox.restart_with("lookup-lag=1").await;
    let seen = async {
        while ids(&sandbox.get(&format!("{CHARGE}/actions?reference=a_1")).await).is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
}

/// Captures under a fault that always strikes; the status, or nothing when the connection broke.
async fn capture_under(faults: &str, status: Option<u16>, lines: usize) {
    let mut sandbox = authorized("sbx_ok").await;
    sandbox.restart_with(faults).await;
    let seen = sandbox.try_post(&format!("{CHARGE}/capture"), &json!({})).await;
    assert_eq!(seen.ok().map(|response| response.status().as_u16()), status, "{faults}");
    sandbox.wait_for_lines(lines).await;
    // A line is in the file a moment before it is shown.
    let expected = if lines == 2 { "captured" } else { "authorized" };
    let shown = async {
        while standing(&sandbox).await.0 != expected {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, shown).await.is_ok(), "{faults}: it is not {expected}");
}

#[tokio::test]
async fn faults_hit_actions_as_they_hit_charges() {
    capture_under("401=1", Some(401), 1).await;
    capture_under("429=1", Some(429), 1).await;
    capture_under("500-before=1", Some(500), 1).await;
    capture_under("drop-before=1", None, 1).await;
    capture_under("500-after=1", Some(500), 2).await;
    capture_under("malformed=1", Some(200), 2).await;
    capture_under("drop-after=1", None, 2).await;
    capture_under("late=1,late-ms=50-60", None, 2).await;
}

#[tokio::test]
async fn a_wrong_amount_of_an_action_is_only_in_the_answer() {
    for action in ["capture", "void", "reauth"] {
        let mut sandbox = authorized("sbx_ok").await;
        sandbox.restart_with("wrong-amount=1").await;
        assert_eq!(result(&act(&sandbox, action, json!({})).await), Ok(1201), "{action}");
        assert_eq!(sandbox.book()[1].amount, 1200, "{action}");
    }
}

#[tokio::test]
async fn tokens_that_hang_do_not_hang_actions() {
    let sandbox = start("").await;
    let body = authorization("sbx_timeout_before_1");
    sandbox.charge_and_give_up(&body).await;
    sandbox.charge(&body).await;
    assert_eq!(result(&act(&sandbox, "capture", json!({})).await), Ok(1200));
}
