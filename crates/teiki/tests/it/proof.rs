//! `teiki proof kill`, small: the real binary is killed while it charges, on both engines and at gateways
//! with and without idempotency.

use std::process::{Command, Output};

fn proof(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_teiki"))
        .args(["proof", "kill", "--json"])
        .args(args)
        .env_remove("TEIKI_DATABASE")
        .output()
        .expect("the binary runs")
}

/// Proves 400 renewals with at least five kills.
fn check(engine: &str, idempotency: &str) {
    let output = proof(&[
        "--engine",
        engine,
        "--sandbox-idempotency",
        idempotency,
        "--renewals",
        "400",
        "--kills-min",
        "5",
    ]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(&out).expect("an answer in JSON");
    let count = |name: &str| report[name].as_u64().expect(name);
    assert!(count("kills_counted") >= 5 && count("charges_in_flight") >= 5, "{out}");
    assert_eq!((count("due"), &report["passed"]), (400, &true.into()), "{out}");
    for name in ["doubles", "missed", "early", "ledger_sum", "outbox_left", "unknown_left", "strange"] {
        assert_eq!(count(name), 0, "{name}: {out}");
    }
    let (asked, other) = match idempotency {
        "none" => ("resolved_by_lookup", "resolved_by_replay"),
        _ => ("resolved_by_replay", "resolved_by_lookup"),
    };
    assert!(count(asked) > 0 && count(other) == 0, "{out}");
}

#[test]
fn a_killed_sqlite_charges_once_by_replaying_keys() {
    check("sqlite", "strong");
}

#[test]
fn a_killed_sqlite_charges_once_by_looking_up() {
    check("sqlite", "none");
}

#[test]
fn a_killed_postgres_charges_once_by_replaying_keys() {
    check("postgres", "strong");
}

#[test]
fn a_killed_postgres_charges_once_by_looking_up() {
    check("postgres", "none");
}

#[test]
fn too_few_kills_prove_nothing() {
    let output = proof(&["--engine", "sqlite", "--renewals", "10", "--kills-min", "1000"]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("of 1000 kills counted, which proves too little"), "{err}");
}

#[test]
fn what_cannot_be_proven_is_refused() {
    for (args, expected) in [
        (["--engine", "sqlite", "--renewals", "7"].as_slice(), "take a multiple of 10"),
        (["--engine", "sqlite", "--renewals", "0"].as_slice(), "take a multiple of 10"),
        (["--engine", "sqlite", "--renewals", "10", "--break", "new-key"].as_slice(), "--features broken"),
    ] {
        let output = proof(args);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?} {err}");
        assert!(err.contains(expected), "{args:?} {err}");
    }
}
