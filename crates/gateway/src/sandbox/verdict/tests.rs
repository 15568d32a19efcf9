//! Every row of the table of answers (specs/reliability-security.md B3), one line each.

use billing::decline::DeclineClass;

use super::super::told::{Capture, Deed};
use super::*;
use crate::{Action, Truth};

mod actions;

const CHARGE: &str = r#"{"object":"charge","id":"sch_1","status":"succeeded","amount":1200,"captured_amount":1200,
    "amount_refunded":0,"currency":"jpy","token":"sbx_ok","reference":"ref_1","code":null,"created_at":"2026-03-31T00:00:01Z",
    "billing_time":"2026-03-31T00:00:00Z","idempotency":"stored"}"#;
const JSON: bool = true;
const HTML: bool = false;

/// `CHARGE` with parts of its text exchanged.
fn charge(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(CHARGE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

fn declined_charge(changes: &[(&str, &str)]) -> String {
    let decline = [
        ("succeeded", "declined"),
        ("\"code\":null", "\"code\":\"lost_card\""),
        ("\"captured_amount\":1200", "\"captured_amount\":0"),
    ];
    charge(&[&decline, changes].concat())
}

fn decline(charge: &str) -> String {
    format!(r#"{{"error":{{"type":"card_error","code":"lost_card","message":"…"}},"charge":{charge}}}"#)
}

fn error(kind: &str, code: &str) -> String {
    format!(r#"{{"error":{{"type":"{kind}","code":"{code}","message":"…"}}}}"#)
}

fn answer(status: u16, is_json: bool, body: &str) -> Answer {
    Answer { status, is_json, retry_after_ms: Some(1_000), body: body.as_bytes().to_vec() }
}

fn verdict(status: u16, is_json: bool, body: &str, too_many_is_unexecuted: bool) -> String {
    verdict_of(true, too_many_is_unexecuted, &answer(status, is_json, body))
}

fn verdict_of(capture: bool, too_many_is_unexecuted: bool, answer: &Answer) -> String {
    let (reference, amount) = ("ref_1", Money::yen(1_200));
    let expected = Expectation { reference, amount, asked: Capture(capture), too_many_is_unexecuted };
    named(classify::<Charge<'_>>(&expected, answer), |truth: Truth| {
        assert_eq!((truth.reference.as_str(), truth.amount), (reference, amount));
        format!("{} {:?}", truth.gateway_charge_id, truth.outcome)
    })
}

/// A reply in a few words.
fn named<T>(reply: Reply<T>, name: impl Fn(T) -> String) -> String {
    match reply {
        Reply::Known(truth) => format!("known {}", name(truth)),
        Reply::NotSent { .. } => "not sent".into(),
        Reply::NotExecuted { refusal, .. } => format!("not executed {refusal:?}"),
        Reply::Unknown { alarm: Some(alarm), .. } => format!("unknown {alarm:?}"),
        Reply::Unknown { alarm: None, .. } => "unknown".into(),
        Reply::InProgress => "in progress".into(),
    }
}

#[track_caller]
fn check(status: u16, is_json: bool, body: &str, expected: &str) {
    assert_eq!(verdict(status, is_json, body, true), expected, "{status} {body}");
}

#[test]
fn a_success_is_believed_only_if_everything_agrees() {
    check(200, JSON, CHARGE, "known sch_1 Succeeded");
    check(201, JSON, CHARGE, "known sch_1 Succeeded");
    check(200, JSON, &charge(&[("sch_1", "sch\\u005f1")]), "known sch_1 Succeeded");
    for (from, to, alarm) in [
        ("1200", "1201", "WrongAmount"),
        ("1200", "-1200", "WrongAmount"),
        ("jpy", "usd", "WrongAmount"),
        ("jpy", "eur", "WrongAmount"),
        ("ref_1", "ref_2", "WrongReference"),
        ("\"reference\":\"ref_1\"", "\"reference\":null", "WrongReference"),
        ("\"reference\":\"ref_1\",", "", "WrongReference"),
        ("1200", "1200.0", "Malformed"),
        ("1200", "\"1200\"", "Malformed"),
        ("1200", "99999999999999999999", "Malformed"),
        ("1200,", "1200,\"amount\":1200,", "Malformed"),
        ("\"captured_amount\":1200", "\"captured_amount\":0", "Malformed"),
        ("\"captured_amount\":1200", "\"captured_amount\":1199", "Malformed"),
        ("\"captured_amount\":1200", "\"captured_amount\":\"1200\"", "Malformed"),
        ("\"amount\":1200,", "", "Malformed"),
        ("\"object\":\"charge\"", "\"object\":\"refund\"", "Malformed"),
        ("succeeded", "paid", "Malformed"),
        ("succeeded", "declined", "Malformed"),
        ("\"code\":null", "\"code\":\"lost_card\"", "Malformed"),
        ("sch_1", "", "Malformed"),
        ("sch_1", "../refunds", "Malformed"),
        ("}", "", "Malformed"),
        ("}", "}}", "Malformed"),
    ] {
        check(200, JSON, &charge(&[(from, to)]), &format!("unknown {alarm}"));
    }
    // A sandbox from before authorizations.
    check(200, JSON, &charge(&[("\"captured_amount\":1200,", "")]), "known sch_1 Succeeded");
    check(200, HTML, CHARGE, "unknown Malformed");
    check(200, HTML, "<!DOCTYPE html>", "unknown Malformed");
    for body in ["", "null", "[]", "{}", "<!DOCTYPE html>", r#"{"object":"charge","id":"sch_"#, "\u{0}"] {
        check(200, JSON, body, "unknown Malformed");
    }
    check(204, HTML, "", "unknown Malformed");
    check(200, JSON, &error("api_error", "internal_error"), "unknown Malformed");
}

/// `CHARGE`, made to reserve, with this status and so much taken.
fn reserved(status: &str, captured: i64) -> String {
    let captured = format!("\"captured_amount\":{captured}");
    charge(&[("succeeded", status), ("\"captured_amount\":1200", &captured)])
}

#[test]
fn a_charge_is_believed_only_if_it_took_or_reserved_as_was_asked() {
    let check = |capture: bool, body: &str, expected: &str| {
        assert_eq!(verdict_of(capture, true, &answer(200, JSON, body)), expected, "{capture} {body}");
    };
    let part = "known sch_1 PartlyCaptured { captured: Money { minor: 1199, currency: Jpy } }";
    for (status, captured, expected) in [
        ("authorized", 0, "known sch_1 Authorized"),
        ("captured", 1200, "known sch_1 Succeeded"),
        ("captured", 1199, part),
        ("voided", 0, "known sch_1 Voided"),
        ("authorized", 1, "unknown Malformed"),
        ("captured", 0, "unknown Malformed"),
        ("captured", 1201, "unknown Malformed"),
        ("captured", -1, "unknown Malformed"),
        ("voided", 1, "unknown Malformed"),
        ("succeeded", 1200, "unknown Malformed"),
    ] {
        check(false, &reserved(status, captured), expected);
        let is_taken_at_once = status == "succeeded";
        check(
            true,
            &reserved(status, captured),
            if is_taken_at_once { "known sch_1 Succeeded" } else { "unknown Malformed" },
        );
    }
    for status in ["authorized", "captured", "voided"] {
        check(
            false,
            &charge(&[("succeeded", status), ("\"captured_amount\":1200,", "")]),
            "unknown Malformed",
        );
        let with_code = reserved(status, 0).replace("\"code\":null", "\"code\":\"lost_card\"");
        check(false, &with_code, "unknown Malformed");
    }
    let declined = "known sch_1 Declined { code: \"lost_card\", class: Hard }";
    let answer = answer(402, JSON, &decline(&declined_charge(&[])));
    assert_eq!(verdict_of(false, true, &answer), declined);
}

#[test]
fn a_decline_is_believed_only_if_everything_agrees() {
    let known = "known sch_1 Declined { code: \"lost_card\", class: Hard }";
    check(402, JSON, &decline(&declined_charge(&[])), known);
    check(200, JSON, &declined_charge(&[]), known);
    for (from, to, alarm) in [
        ("1200", "1201", "WrongAmount"),
        ("jpy", "usd", "WrongAmount"),
        ("ref_1", "ref_2", "WrongReference"),
        ("declined", "succeeded", "Malformed"),
        ("lost_card", "do_not_honor", "Malformed"),
        ("\"code\":\"lost_card\"", "\"code\":null", "Malformed"),
    ] {
        check(402, JSON, &decline(&declined_charge(&[(from, to)])), &format!("unknown {alarm}"));
    }
    check(402, JSON, &decline(CHARGE), "unknown Malformed");
    check(402, JSON, &error("card_error", "lost_card"), "unknown Malformed");
    check(402, JSON, &decline("{}"), "unknown");
    check(402, JSON, &error("invalid_request_error", "lost_card"), "unknown");
    check(402, HTML, "<!DOCTYPE html>", "unknown");
    check(400, JSON, &decline(&declined_charge(&[])), "unknown");
}

#[test]
fn a_refusal_counts_only_in_the_own_form_of_the_sandbox() {
    for status in [400, 404, 405, 413, 415, 422] {
        let expected = "not executed InvalidRequest { code: \"unknown_token\" }";
        check(status, JSON, &error("invalid_request_error", "unknown_token"), expected);
    }
    for status in [401, 403] {
        check(status, JSON, &error("auth_error", "unauthorized"), "not executed Unauthorized");
        check(status, JSON, &error("invalid_request_error", "unauthorized"), "not executed Unauthorized");
    }
    let limited = "not executed RateLimited { retry_after_ms: Some(1000) }";
    check(429, JSON, &error("rate_limit_error", "too_many_requests"), limited);
    for status in [400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429] {
        check(status, HTML, "<!DOCTYPE html>", "unknown");
        check(status, HTML, &error("invalid_request_error", "not_found"), "unknown");
        check(status, JSON, "<!DOCTYPE html>", "unknown");
        check(status, JSON, "", "unknown");
        check(status, JSON, r#"{"message":"Forbidden"}"#, "unknown");
        check(status, JSON, r#"{"error":"forbidden"}"#, "unknown");
        check(status, JSON, &error("waf_error", "blocked"), "unknown");
        check(status, JSON, &error("invalid_request_error", "a code <b>"), "unknown");
        check(status, JSON, &error("api_error", "internal_error"), "unknown");
    }
    for status in [406, 408, 410, 425, 499] {
        check(status, JSON, &error("invalid_request_error", "not_found"), "unknown");
    }
}

#[test]
fn a_429_counts_only_if_the_sandbox_declares_that_it_does_nothing_then() {
    let body = error("rate_limit_error", "too_many_requests");
    assert_eq!(verdict(429, JSON, &body, false), "unknown");
}

#[test]
fn a_key_in_progress_and_a_key_in_conflict_differ() {
    check(409, JSON, &error("idempotency_error", "idempotency_in_progress"), "in progress");
    check(409, JSON, &error("idempotency_error", "idempotency_conflict"), "unknown KeyMismatch");
    check(409, JSON, &error("idempotency_error", "something_new"), "unknown");
    check(409, JSON, &error("invalid_request_error", "idempotency_in_progress"), "unknown");
    check(400, JSON, &error("idempotency_error", "idempotency_in_progress"), "unknown");
}

#[test]
fn every_other_status_proves_nothing_whatever_it_says() {
    for status in [100, 101, 300, 301, 302, 303, 304, 307, 308, 500, 501, 502, 503, 504, 599] {
        check(status, JSON, CHARGE, "unknown");
        check(status, JSON, &decline(&declined_charge(&[])), "unknown");
        check(status, JSON, &error("api_error", "internal_error"), "unknown");
        check(status, HTML, "<!DOCTYPE html>", "unknown");
    }
}

fn name(lookup: &Lookup) -> String {
    name_with(lookup, |truth| format!("{} {:?}", truth.gateway_charge_id, truth.outcome))
}

fn name_with<T>(lookup: &Lookup<T>, name: impl Fn(&T) -> String) -> String {
    match lookup {
        Lookup::Found(truth) => format!("found {}", name(truth)),
        Lookup::Several(truths) => format!("several {}", truths.len()),
        Lookup::Absent => "absent".into(),
        Lookup::Failed { refusal: None, .. } => "failed".into(),
        Lookup::Failed { refusal: Some(refusal), .. } => format!("failed {refusal:?}"),
    }
}

/// What every look-up makes of an answer that is not 200.
const REFUSED_LOOKUPS: [(u16, &str, &str, &str); 5] = [
    (401, "auth_error", "unauthorized", "failed Unauthorized"),
    (429, "rate_limit_error", "too_many_requests", "failed RateLimited { retry_after_ms: Some(1000) }"),
    (400, "invalid_request_error", "invalid_query", "failed InvalidRequest { code: \"invalid_query\" }"),
    (404, "auth_error", "not_found", "failed"),
    (500, "api_error", "internal_error", "failed"),
];

#[test]
fn a_look_up_by_id_finds_the_charge_with_that_id_only() {
    let check = |status, is_json, body: &str, expected: &str| {
        assert_eq!(name(&found_by_id("sch_1", &answer(status, is_json, body))), expected, "{status} {body}");
    };
    check(200, JSON, CHARGE, "found sch_1 Succeeded");
    let declined = "found sch_1 Declined { code: \"lost_card\", class: Hard }";
    check(200, JSON, &declined_charge(&[]), declined);
    check(200, JSON, &reserved("authorized", 0), "found sch_1 Authorized");
    check(200, JSON, &reserved("captured", 1200), "found sch_1 Succeeded");
    check(200, JSON, &reserved("voided", 0), "found sch_1 Voided");
    check(200, JSON, &charge(&[("sch_1", "sch_2")]), "failed");
    check(200, JSON, "{}", "failed");
    check(200, HTML, CHARGE, "failed");
    check(204, JSON, CHARGE, "failed");
    check(404, JSON, &error("invalid_request_error", "not_found"), "absent");
    check(404, JSON, r#"{"message":"no route"}"#, "failed");
    check(404, HTML, &error("invalid_request_error", "not_found"), "failed");
    check(410, JSON, &error("invalid_request_error", "not_found"), "failed");
    check(403, HTML, "<!DOCTYPE html>", "failed");
    for (status, kind, code, expected) in REFUSED_LOOKUPS {
        check(status, JSON, &error(kind, code), expected);
    }
}

#[test]
fn a_look_up_by_reference_is_absent_only_if_a_whole_list_is_empty() {
    let check = |status, is_json, body: &str, expected: &str| {
        assert_eq!(
            name(&found_by_reference("ref_1", &answer(status, is_json, body))),
            expected,
            "{status} {body}"
        );
    };
    let list = |charges: &[&str]| format!(r#"{{"data":[{}],"has_more":false}}"#, charges.join(","));
    check(200, JSON, &list(&[]), "absent");
    check(200, JSON, r#"{"data":[]}"#, "absent");
    check(200, JSON, r#"{"data":[],"has_more":true}"#, "failed");
    check(200, JSON, "{}", "failed");
    check(200, HTML, &list(&[]), "failed");
    check(200, JSON, &list(&[CHARGE]), "found sch_1 Succeeded");
    check(200, JSON, &list(&[CHARGE, &charge(&[("sch_1", "sch_2")])]), "several 2");
    check(200, JSON, &list(&[CHARGE, "{}"]), "failed");
    check(200, JSON, &list(&[&charge(&[("ref_1", "ref_2")])]), "failed");
    check(
        404,
        JSON,
        &error("invalid_request_error", "not_found"),
        "failed InvalidRequest { code: \"not_found\" }",
    );
    check(403, HTML, "<!DOCTYPE html>", "failed");
    for (status, kind, code, expected) in REFUSED_LOOKUPS {
        check(status, JSON, &error(kind, code), expected);
    }
}
