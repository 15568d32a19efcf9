//! The same table for what is done to a charge, and for what stands in its way.

use super::*;
use crate::ActionOutcome;

const CAPTURE: &str = r#"{"object":"capture","id":"scp_2","charge":"sch_1","status":"succeeded","amount":1200,
    "currency":"jpy","reference":"ref_1","code":null,"created_at":"2026-03-31T00:00:01Z",
    "billing_time":"2026-03-31T00:00:00Z","idempotency":"stored"}"#;
const ACTIONS: [(Action, &str); 4] = [
    (Action::Capture, "capture"),
    (Action::Void, "void"),
    (Action::Reauthorize, "reauth"),
    (Action::Refund, "refund"),
];

/// `CAPTURE` as the object of another action, with parts of its text exchanged.
fn acted(object: &str, changes: &[(&str, &str)]) -> String {
    let start = CAPTURE.replacen("\"capture\"", &format!("\"{object}\""), 1);
    changes.iter().fold(start, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

fn declined(object: &str, changes: &[(&str, &str)]) -> String {
    let decline = [("succeeded", "declined"), ("\"code\":null", "\"code\":\"lost_card\"")];
    let action = acted(object, &[&decline, changes].concat());
    format!(r#"{{"error":{{"type":"card_error","code":"lost_card","message":"…"}},"action":{action}}}"#)
}

fn verdict_on(
    action: Action,
    status: u16,
    is_json: bool,
    body: &str,
    too_many_is_unexecuted: bool,
) -> String {
    let (reference, amount) = ("ref_1", Money::yen(1_200));
    let asked = Deed { action, gateway_charge_id: "sch_1" };
    let expected = Expectation { reference, amount, asked, too_many_is_unexecuted };
    named(classify::<Acted<'_>>(&expected, &answer(status, is_json, body)), |truth: ActionTruth| {
        assert_eq!((truth.reference.as_str(), truth.amount), (reference, amount));
        assert_eq!((truth.gateway_charge_id.as_str(), truth.action), ("sch_1", action));
        format!("{} {:?}", truth.gateway_action_id, truth.outcome)
    })
}

#[track_caller]
fn check(action: Action, status: u16, is_json: bool, body: &str, expected: &str) {
    assert_eq!(verdict_on(action, status, is_json, body, true), expected, "{action:?} {status} {body}");
}

#[test]
fn an_action_is_believed_only_if_everything_agrees() {
    for (action, object) in ACTIONS {
        check(action, 200, JSON, &acted(object, &[]), "known scp_2 Done");
        check(action, 201, JSON, &acted(object, &[]), "known scp_2 Done");
        for (from, to, alarm) in [
            ("1200", "1201", "WrongAmount"),
            ("1200", "-1200", "WrongAmount"),
            ("jpy", "usd", "WrongAmount"),
            ("jpy", "eur", "WrongAmount"),
            ("ref_1", "ref_2", "WrongReference"),
            ("\"reference\":\"ref_1\"", "\"reference\":null", "WrongReference"),
            ("\"reference\":\"ref_1\",", "", "WrongReference"),
            ("sch_1", "sch_2", "WrongReference"),
            ("\"charge\":\"sch_1\"", "\"charge\":null", "Malformed"),
            ("\"charge\":\"sch_1\",", "", "Malformed"),
            ("1200", "1200.0", "Malformed"),
            ("1200", "99999999999999999999", "Malformed"),
            ("\"amount\":1200,", "", "Malformed"),
            ("succeeded", "declined", "Malformed"),
            ("succeeded", "pending", "Malformed"),
            ("\"code\":null", "\"code\":\"lost_card\"", "Malformed"),
            ("scp_2", "", "Malformed"),
            ("scp_2", "../refunds", "Malformed"),
            ("}", "", "Malformed"),
            ("}", "}}", "Malformed"),
        ] {
            check(action, 200, JSON, &acted(object, &[(from, to)]), &format!("unknown {alarm}"));
        }
        for (_, other) in ACTIONS.into_iter().filter(|(_, other)| *other != object) {
            check(action, 200, JSON, &acted(other, &[]), "unknown Malformed");
        }
        check(action, 200, HTML, &acted(object, &[]), "unknown Malformed");
        for body in ["", "null", "[]", "{}", CHARGE, "<!DOCTYPE html>", r#"{"object":"capture","id":"scp_"#] {
            check(action, 200, JSON, body, "unknown Malformed");
        }
    }
}

#[test]
fn only_a_renewal_is_declined_and_only_if_everything_agrees() {
    let known = "known scp_2 Declined { code: \"lost_card\", class: Hard }";
    check(Action::Reauthorize, 402, JSON, &declined("reauth", &[]), known);
    for (from, to, alarm) in [
        ("1200", "1201", "WrongAmount"),
        ("ref_1", "ref_2", "WrongReference"),
        ("sch_1", "sch_2", "WrongReference"),
        ("declined", "succeeded", "Malformed"),
        ("lost_card", "do_not_honor", "Malformed"),
        ("\"code\":\"lost_card\"", "\"code\":null", "Malformed"),
    ] {
        check(
            Action::Reauthorize,
            402,
            JSON,
            &declined("reauth", &[(from, to)]),
            &format!("unknown {alarm}"),
        );
    }
    for (action, object) in ACTIONS.into_iter().filter(|(action, _)| *action != Action::Reauthorize) {
        check(action, 402, JSON, &declined(object, &[]), "unknown Malformed");
        check(action, 402, JSON, &declined("reauth", &[]), "unknown Malformed");
    }
    let of_a_charge = decline(&declined_charge(&[]));
    check(Action::Reauthorize, 402, JSON, &of_a_charge, "unknown Malformed");
    check(Action::Reauthorize, 402, JSON, &error("card_error", "lost_card"), "unknown Malformed");
    check(Action::Reauthorize, 402, HTML, &declined("reauth", &[]), "unknown");
    check(Action::Reauthorize, 400, JSON, &declined("reauth", &[]), "unknown");
}

#[test]
fn what_stands_in_the_way_is_named() {
    for (code, obstacle) in [
        ("charge_not_authorized", "NotAuthorized"),
        ("already_captured", "AlreadyCaptured"),
        ("already_voided", "AlreadyVoided"),
        ("charge_not_refundable", "NothingTaken"),
        ("already_refunded", "AlreadyRefunded"),
        ("capture_exceeds_authorization", "AmountTooLarge"),
        ("refund_exceeds_charge", "AmountTooLarge"),
    ] {
        let body = error("invalid_request_error", code);
        let expected = format!("not executed NotPossible {{ obstacle: {obstacle}, code: \"{code}\" }}");
        for (action, _) in ACTIONS {
            check(action, 400, JSON, &body, &expected);
            check(action, 400, HTML, &body, "unknown");
            check(action, 400, JSON, &error("api_error", code), "unknown");
            check(action, 500, JSON, &body, "unknown");
        }
    }
    for code in ["not_found", "invalid_amount", "something_new"] {
        let expected = format!("not executed InvalidRequest {{ code: \"{code}\" }}");
        for status in [400, 404, 405, 413, 415, 422] {
            check(Action::Void, status, JSON, &error("invalid_request_error", code), &expected);
        }
    }
}

#[test]
fn everything_else_means_what_it_means_for_a_charge() {
    for (action, object) in ACTIONS {
        let unauthorized = error("invalid_request_error", "unauthorized");
        check(action, 401, JSON, &unauthorized, "not executed Unauthorized");
        let limited = error("rate_limit_error", "too_many_requests");
        check(action, 429, JSON, &limited, "not executed RateLimited { retry_after_ms: Some(1000) }");
        assert_eq!(verdict_on(action, 429, JSON, &limited, false), "unknown");
        let conflict = error("idempotency_error", "idempotency_conflict");
        check(action, 409, JSON, &conflict, "unknown KeyMismatch");
        let in_progress = error("idempotency_error", "idempotency_in_progress");
        check(action, 409, JSON, &in_progress, "in progress");
        check(action, 403, HTML, "<!DOCTYPE html>", "unknown");
        for status in [100, 302, 307, 500, 502, 503, 504] {
            check(action, status, JSON, &acted(object, &[]), "unknown");
        }
    }
}

#[test]
fn a_look_up_of_an_action_is_absent_only_if_a_whole_list_is_empty() {
    let check = |status, is_json, body: &str, expected: &str| {
        let lookup = found_action("sch_1", "ref_1", &answer(status, is_json, body));
        let name = |truth: &ActionTruth| {
            format!("{} {:?} {:?}", truth.gateway_action_id, truth.action, truth.outcome)
        };
        assert_eq!(name_with(&lookup, name), expected, "{status} {body}");
    };
    let list = |actions: &[&str]| format!(r#"{{"data":[{}],"has_more":false}}"#, actions.join(","));
    check(200, JSON, &list(&[]), "absent");
    check(200, JSON, r#"{"data":[],"has_more":true}"#, "failed");
    check(200, JSON, "{}", "failed");
    check(200, HTML, &list(&[]), "failed");
    for (action, object) in ACTIONS {
        check(200, JSON, &list(&[&acted(object, &[])]), &format!("found scp_2 {action:?} Done"));
    }
    let declined_reauth =
        acted("reauth", &[("succeeded", "declined"), ("\"code\":null", "\"code\":\"lost_card\"")]);
    let outcome = ActionOutcome::Declined { code: "lost_card".into(), class: DeclineClass::Hard };
    check(200, JSON, &list(&[&declined_reauth]), &format!("found scp_2 Reauthorize {outcome:?}"));
    check(200, JSON, &list(&[CAPTURE, &acted("capture", &[("scp_2", "scp_3")])]), "several 2");
    check(200, JSON, &list(&[CAPTURE, "{}"]), "failed");
    check(200, JSON, &list(&[CHARGE]), "failed");
    check(200, JSON, &list(&[&acted("capture", &[("ref_1", "ref_2")])]), "failed");
    check(200, JSON, &list(&[&acted("capture", &[("sch_1", "sch_2")])]), "failed");
    let missing = error("invalid_request_error", "not_found");
    check(404, JSON, &missing, "failed InvalidRequest { code: \"not_found\" }");
    for (status, kind, code, expected) in REFUSED_LOOKUPS {
        check(status, JSON, &error(kind, code), expected);
    }
}
