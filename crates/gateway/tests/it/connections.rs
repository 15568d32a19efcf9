//! A request that moves money leaves at most once, whatever happens to its connection, and only whole answers count.

use std::fmt::Debug;

use gateway::sandbox::{ConnectError, Sandbox};
use gateway::{
    Action, ActionOutcome, ActionReply, ActionRequest, Alarm, ChargeReply, ChargeRequest, Gateway, Lookup,
    Outcome, Reply,
};

use billing::Timestamp;
use billing::money::Money;

use crate::canned::{Act, Canned, json};
use crate::contract::truth_of;

fn request(number: u32) -> ChargeRequest {
    ChargeRequest {
        reference: format!("ch_{number:029x}").parse().unwrap(),
        idempotency_key: format!("{number:032x}"),
        token: "sbx_ok.\"ü".into(),
        amount: Money::yen(1_200),
        capture: true,
        billing_time: "2026-03-31T00:00:00Z".parse::<Timestamp>().unwrap(),
    }
}

fn success(number: u32) -> String {
    json("200 OK", &success_body(number))
}

fn success_body(number: u32) -> String {
    let reference = request(number).reference;
    format!(
        r#"{{"object":"charge","id":"sch_{number}","status":"succeeded","amount":1200,"currency":"jpy","reference":"{reference}","code":null}}"#
    )
}

/// Charges 1, 2 … in turn; then asks for one, which comes after anything that a client might send again.
async fn charge_all(acts: Vec<Act>) -> (Vec<ChargeReply>, Canned) {
    let count = u32::try_from(acts.len()).unwrap();
    let server = Canned::start(acts).await;
    let gateway = Sandbox::connect(&server.url).await.unwrap();
    let mut replies = Vec::new();
    for number in 1..=count {
        replies.push(gateway.charge(&request(number)).await);
    }
    assert_eq!(gateway.find_by_id("sch_1").await, Lookup::Absent);
    (replies, server)
}

#[track_caller]
fn is_unknown<T: Debug>(reply: &Reply<T>, expected: Option<Alarm>) {
    assert!(matches!(reply, Reply::Unknown { alarm, .. } if *alarm == expected), "{reply:?}");
}

#[tokio::test]
async fn a_charge_is_sent_with_all_that_the_gateway_needs() {
    let (replies, server) = charge_all(vec![Act::Send(success(1))]).await;
    assert_eq!(truth_of(replies[0].clone()).outcome, Outcome::Succeeded);
    let posts = server.posts();
    let (head, body) = posts[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /charges HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains(concat!("user-agent: teiki/", env!("CARGO_PKG_VERSION"))), "{head}");
    let expected = r#"{"token":"sbx_ok.\"ü","amount":1200,"currency":"jpy","reference":"ch_00000000000000000000000000001","capture":true,"idempotency_key":"00000000000000000000000000000001","billing_time":"2026-03-31T00:00:00Z"}"#;
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_not_tried_again() {
    let (replies, server) = charge_all(vec![Act::SendAndClose(String::new())]).await;
    is_unknown(&replies[0], None);
    assert_eq!(server.posts().len(), 1);
}

#[tokio::test]
async fn a_reused_connection_closed_without_an_answer_is_not_tried_again() {
    let (replies, server) = charge_all(vec![Act::Send(success(1)), Act::SendAndClose(String::new())]).await;
    truth_of(replies[0].clone());
    is_unknown(&replies[1], None);
    assert_eq!(server.posts().len(), 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let answer = format!("HTTP/1.1 {status}\r\nlocation: /charges\r\ncontent-length: 0\r\n\r\n");
        let (replies, server) = charge_all(vec![Act::Send(answer)]).await;
        is_unknown(&replies[0], None);
        assert_eq!(server.posts().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_cut_answer_proves_nothing() {
    let whole = success(1);
    let head = whole.find("\r\n\r\n").unwrap() + 4;
    for length in [5, head - 2, head, head + 20, whole.len() - 1] {
        let (replies, server) = charge_all(vec![Act::SendAndClose(whole[..length].to_owned())]).await;
        is_unknown(&replies[0], None);
        assert_eq!(server.posts().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_believed() {
    // Spaces after a JSON text are part of it, so this would be a success.
    let body = format!("{}{}", success_body(1), " ".repeat(64 * 1024));
    let announced = json("200 OK", &body);
    let unannounced = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{body}");
    for act in [Act::Send(announced), Act::SendAndClose(unannounced)] {
        let (replies, server) = charge_all(vec![act]).await;
        is_unknown(&replies[0], Some(Alarm::Malformed));
        assert_eq!(server.posts().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_left_over_from_another_charge_is_never_believed() {
    let twice = format!("{}{}", success(1), success(1));
    let (replies, server) = charge_all(vec![Act::Send(twice), Act::Send(success(2))]).await;
    truth_of(replies[0].clone());
    if let ChargeReply::Known(truth) = &replies[1] {
        assert_eq!(truth.gateway_charge_id, "sch_2");
    } else {
        is_unknown(&replies[1], Some(Alarm::WrongReference));
    }
    assert_eq!(server.posts().len(), 2);
}

#[tokio::test]
async fn what_nobody_listens_to_was_not_sent() {
    let server = Canned::start(Vec::new()).await;
    let url = server.url.clone();
    let gateway = Sandbox::connect(&url).await.unwrap();
    server.stop().await;
    let reply = gateway.charge(&request(1)).await;
    assert!(matches!(reply, ChargeReply::NotSent { .. }), "{reply:?}");
    let lookup = gateway.find_by_reference("ch_1").await;
    assert!(matches!(lookup, Lookup::Failed { refusal: None, .. }), "{lookup:?}");
    assert!(matches!(Sandbox::connect(&url).await, Err(ConnectError::Unreachable(_))));
}

#[tokio::test]
async fn only_a_sandbox_is_taken_for_one() {
    let server = Canned::start(Vec::new()).await;
    let elsewhere = format!("{}/elsewhere", server.url);
    assert!(matches!(Sandbox::connect(&elsewhere).await, Err(ConnectError::NotASandbox(_))));
    assert!(matches!(Sandbox::connect("no address").await, Err(ConnectError::InvalidUrl(_))));
}

const ACTIONS: [(Action, &str); 4] = [
    (Action::Capture, "capture"),
    (Action::Void, "void"),
    (Action::Reauthorize, "reauth"),
    (Action::Refund, "refund"),
];

fn action_request(action: Action) -> ActionRequest {
    ActionRequest {
        gateway_charge_id: "sch_1".into(),
        reference: "re_\"ü".into(),
        idempotency_key: "key-a".into(),
        action,
        amount: Money::yen(700),
        billing_time: "2026-03-31T00:00:00Z".parse::<Timestamp>().unwrap(),
    }
}

fn done(object: &str) -> String {
    let body = format!(
        r#"{{"object":"{object}","id":"sac_1","charge":"sch_1","status":"succeeded","amount":700,"currency":"jpy","reference":"re_\"ü","code":null}}"#
    );
    json("200 OK", &body)
}

/// Does one thing; then asks for a charge, which comes after anything that a client might send again.
async fn act(action: Action, act: Act) -> (ActionReply, Vec<String>) {
    let server = Canned::start(vec![act]).await;
    let gateway = Sandbox::connect(&server.url).await.unwrap();
    let reply = gateway.act(&action_request(action)).await;
    assert_eq!(gateway.find_by_id("sch_1").await, Lookup::Absent);
    (reply, server.posts())
}

#[tokio::test]
async fn an_action_is_sent_with_all_that_the_gateway_needs() {
    for (action, word) in ACTIONS {
        let (reply, posts) = act(action, Act::Send(done(word))).await;
        assert_eq!(truth_of(reply).outcome, ActionOutcome::Done);
        let (head, body) = posts[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("POST /charges/sch_1/{word} HTTP/1.1\r\n")), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        let amount = if matches!(action, Action::Capture | Action::Refund) { r#""amount":700,"# } else { "" };
        let rest = r#""reference":"re_\"ü","idempotency_key":"key-a","billing_time":"2026-03-31T00:00:00Z""#;
        assert_eq!(body, format!("{{{amount}{rest}}}"));
    }
}

#[tokio::test]
async fn an_action_without_a_whole_answer_is_unknown_and_not_tried_again() {
    for (action, word) in ACTIONS {
        let whole = done(word);
        let redirect = "HTTP/1.1 307 Temporary\r\nlocation: /charges\r\ncontent-length: 0\r\n\r\n".to_owned();
        let too_long = json("200 OK", &" ".repeat(65 * 1024));
        for (bytes, alarm) in [
            (String::new(), None),
            (whole[..whole.len() - 1].to_owned(), None),
            (redirect, None),
            (json("200 OK", &" ".repeat(10)), Some(Alarm::Malformed)),
            (too_long, Some(Alarm::Malformed)),
        ] {
            let (reply, posts) = act(action, Act::SendAndClose(bytes)).await;
            is_unknown(&reply, alarm);
            assert_eq!(posts.len(), 1, "{action:?}");
        }
    }
}

#[tokio::test]
async fn an_action_that_nobody_listens_to_was_not_sent() {
    let server = Canned::start(Vec::new()).await;
    let gateway = Sandbox::connect(&server.url).await.unwrap();
    let odd = ActionRequest { gateway_charge_id: "../sch_1".into(), ..action_request(Action::Void) };
    assert!(matches!(gateway.act(&odd).await, ActionReply::NotSent { .. }));
    assert!(server.posts().is_empty());
    server.stop().await;
    for (action, _) in ACTIONS {
        let reply = gateway.act(&action_request(action)).await;
        assert!(matches!(reply, ActionReply::NotSent { .. }), "{reply:?}");
    }
    let lookup = gateway.find_action("sch_1", "re_1").await;
    assert!(matches!(lookup, Lookup::Failed { refusal: None, .. }), "{lookup:?}");
}
