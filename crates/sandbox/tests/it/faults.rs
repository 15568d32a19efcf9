//! Each fault: what the client sees and whether the book has the charge.

use std::time::{Duration, Instant};

use sandbox::Faults;
use serde_json::json;

use crate::harness::{charge, keyed, start, with};

/// What a client sees of a fault that always strikes.
enum Seen {
    Status(u16),
    Broken,
    Hanging,
}

async fn check(faults: &str, seen: Seen, lines: usize) {
    let sandbox = start(faults).await;
    let body = charge("sbx_ok");
    match seen {
        Seen::Status(status) => assert_eq!(sandbox.charge(&body).await.status, status, "{faults}"),
        Seen::Broken => {
            let error = sandbox.try_post("/charges", &body).await.unwrap_err();
            assert!(!error.is_timeout(), "{faults}: {error}");
        }
        Seen::Hanging => sandbox.charge_and_give_up(&body).await,
    }
    sandbox.wait_for_lines(lines).await;
}

#[tokio::test]
async fn faults_before_execution_leave_no_line() {
    check("401=1", Seen::Status(401), 0).await;
    check("429=1", Seen::Status(429), 0).await;
    check("500-before=1", Seen::Status(500), 0).await;
    check("drop-before=1", Seen::Broken, 0).await;
    check("timeout-before=1", Seen::Hanging, 0).await;
}

#[tokio::test]
async fn faults_after_execution_leave_a_line() {
    check("500-after=1", Seen::Status(500), 1).await;
    check("malformed=1", Seen::Status(200), 1).await;
    check("drop-after=1", Seen::Broken, 1).await;
    check("timeout-after=1", Seen::Hanging, 1).await;
    check("late=1,late-ms=50-60", Seen::Broken, 1).await;
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_back() {
    let sandbox = start("429=1").await;
    let response = sandbox.try_post("/charges", &charge("sbx_ok")).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn a_malformed_answer_cannot_be_parsed() {
    let sandbox = start("malformed=1").await;
    assert!(sandbox.charge(&charge("sbx_ok")).await.body.is_string());
}

#[tokio::test]
async fn a_web_page_says_nothing_about_the_execution() {
    let sandbox = start("html=1").await;
    let mut executed = Vec::new();
    for _ in 0..12 {
        let lines = sandbox.book().len();
        let answer = sandbox.charge(&charge("sbx_ok")).await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.as_str().is_some_and(|page| page.starts_with("<!DOCTYPE html>")));
        executed.push(sandbox.book().len() > lines);
    }
    assert!(executed.contains(&true) && executed.contains(&false), "{executed:?}");
}

#[tokio::test]
async fn a_wrong_amount_is_only_in_the_answer() {
    let sandbox = start("wrong-amount=1").await;
    let answer = sandbox.charge(&charge("sbx_ok")).await;
    assert_eq!(answer.body["amount"], 1201);
    assert_eq!(sandbox.book()[0].amount, 1200);
    let id = sandbox.book()[0].id.clone();
    assert_eq!(sandbox.get(&format!("/charges/{id}")).await.body["amount"], 1200);
}

#[tokio::test]
async fn a_late_execution_comes_after_the_connection_was_closed() {
    let sandbox = start("late=1,late-ms=150-150").await;
    let body = keyed("sbx_ok", "key-1");
    let sent_at = Instant::now();
    sandbox.try_post("/charges", &body).await.unwrap_err();
    assert!(sent_at.elapsed() < Duration::from_millis(140), "the connection was not closed at once");
    assert!(sandbox.book().is_empty());
    assert_eq!(sandbox.charge(&body).await.code(), "idempotency_in_progress");
    sandbox.wait_for_lines(1).await;
    assert!(sent_at.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn slow_and_latency_delay_the_answer() {
    for faults in ["slow=1,slow-ms=80-90", "latency=80-90"] {
        let sandbox = start(faults).await;
        let sent_at = Instant::now();
        assert_eq!(sandbox.charge(&charge("sbx_ok")).await.status, 200);
        assert!(sent_at.elapsed() >= Duration::from_millis(80), "{faults}");
    }
}

#[tokio::test]
async fn the_rate_refuses_what_is_above_it() {
    let sandbox = start("rate=5").await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(sandbox.charge(&charge("sbx_ok")).await.status.as_u16());
    }
    assert!(statuses.starts_with(&[200; 5]), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    let executed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(sandbox.book().len(), executed);
}

#[tokio::test]
async fn a_timeout_before_token_hangs_unexecuted_so_many_times() {
    let sandbox = start("").await;
    let body = keyed("sbx_timeout_before_2.x", "key-1");
    sandbox.charge_and_give_up(&body).await;
    sandbox.charge_and_give_up(&body).await;
    assert!(sandbox.book().is_empty());
    assert_eq!(sandbox.charge(&body).await.body["idempotency"], "stored");
    assert_eq!(sandbox.charge(&charge("sbx_timeout_before_0")).await.status, 200);
}

#[tokio::test]
async fn a_timeout_after_token_hangs_executed_so_many_times() {
    let sandbox = start("").await;
    let body = keyed("sbx_timeout_after_2", "key-1");
    sandbox.charge_and_give_up(&body).await;
    sandbox.wait_for_lines(1).await;
    sandbox.charge_and_give_up(&body).await;
    assert_eq!(sandbox.charge_when_free(&body).await.body["idempotency"], "replayed");
    sandbox.wait_for_lines(1).await;
}

#[tokio::test]
async fn faults_repeat_for_a_seed_and_hit_their_share() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let sandbox = start("500-before=0.3,429=0.1").await;
        let mut statuses = Vec::new();
        for _ in 0..100 {
            statuses.push(sandbox.charge(&charge("sbx_ok")).await.status.as_u16());
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    let count = |status| runs[0].iter().filter(|other| **other == status).count();
    assert!((15..45).contains(&count(500)) && (2..25).contains(&count(429)), "{:?}", runs[0]);
}

#[tokio::test]
async fn faults_hit_refunds_but_not_look_ups() {
    let mut sandbox = start("").await;
    sandbox.charge(&charge("sbx_ok")).await;
    sandbox.restart_with("500-after=1").await;
    assert_eq!(sandbox.post("/charges/sch_000000000001/refund", &json!({"amount": 1})).await.status, 500);
    assert_eq!(sandbox.book().len(), 2);
    assert_eq!(sandbox.get("/charges/sch_000000000001").await.body["amount_refunded"], 1);
}

async fn check_capabilities(faults: &str, changes: &[(&str, serde_json::Value)]) {
    let mut expected = json!({
        "idempotency": "strong", "idempotency_window_ms": null, "lookup_by_reference": true, "lookup_lag_ms": 0,
        "max_processing_ms": 1000, "rate_per_second": null, "too_many_requests_is_not_executed": true,
    });
    for (name, value) in changes {
        expected = with(expected, name, value.clone());
    }
    let sandbox = start(faults).await;
    assert_eq!(sandbox.get("/capabilities").await.body, expected, "{faults}");
}

#[tokio::test]
async fn capabilities_tell_the_switches() {
    check_capabilities("", &[]).await;
    check_capabilities("idempotency=none", &[("idempotency", json!("none"))]).await;
    let day = json!(86_400_000);
    check_capabilities("idempotency=24h", &[("idempotency_window_ms", day.clone())]).await;
    let best_effort = [("idempotency", json!("best_effort")), ("idempotency_window_ms", day)];
    check_capabilities("idempotency=best-effort", &best_effort).await;
    check_capabilities(
        "lookup-lag=1500,rate=14",
        &[("lookup_lag_ms", json!(1500)), ("rate_per_second", json!(14))],
    )
    .await;
    let delays = "latency=10-20,late=0.1,late-ms=1-5000,slow=0.1,slow-ms=1-300";
    check_capabilities(delays, &[("max_processing_ms", json!(6020))]).await;
    check_capabilities("late=1,late-ms=9-9000,max-processing=10", &[("max_processing_ms", json!(10))]).await;
}

fn check_spec(spec: &str, printed: &str) {
    let faults: Faults = spec.parse().unwrap();
    assert_eq!(faults.to_string(), printed);
    assert_eq!(printed.parse::<Faults>().unwrap(), faults);
}

#[test]
fn specifications_round_trip() {
    check_spec("", "");
    check_spec("idempotency=forever,drop-after=0", "");
    check_spec(" html=1.0 , idempotency=24h ", "idempotency=24h,html=1");
    check_spec("idempotency=90m,latency=5", "idempotency=90m,latency=5-5");
    check_spec("drop-after=.05,429=0.000000001", "429=0.000000001,drop-after=0.05");
    let all = "idempotency=best-effort,latency=1-2,lookup-lag=3,max-processing=4,rate=5,401=0.1,429=0.2,\
               drop-before=0.3,timeout-before=0.4,500-before=0.5,late=0.6,late-ms=6-7,slow=0.7,slow-ms=8-9,\
               drop-after=0.8,timeout-after=0.9,500-after=0.11,malformed=0.12,html=0.13,wrong-amount=0.14";
    check_spec(all, all);
}

#[test]
fn bad_specifications_name_the_item_and_what_exists() {
    for item in [
        "nonsense=1",
        "drop-after",
        "drop-after=1.1",
        "drop-after=-1",
        "drop-after=.",
        "drop-after=0.0000000001",
        "drop-after=lots",
        "latency=5-1",
        "latency=x",
        "lookup-lag=86400001",
        "idempotency=sometimes",
        "idempotency=0h",
        "rate=0",
        "rate=many",
    ] {
        let error = format!("idempotency=none,{item}").replace("idempotency=none,idempotency", "idempotency");
        let message = error.parse::<Faults>().unwrap_err().to_string();
        assert!(message.contains(&format!("`{item}`")), "{message}");
        assert!(message.contains("wrong-amount"), "{message}");
    }
    assert!("late=0.5".parse::<Faults>().is_err());
    assert!("429=0,429=1".parse::<Faults>().is_err());
}
