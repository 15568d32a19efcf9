//! What becomes of what is not received: it is tried again, given up, and an endpoint is disabled.

use serde_json::{Value, json};

use super::super::shop::{id_of, soon};
use super::receiver::{Receiver, Reply};
use super::{Post, is_to_be_retried, status_of, with_a_server};
use crate::installation::{Is, Row};

const DAY: i64 = 86_400_000_000;

fn micros() -> i64 {
    teiki::clock::now().as_microsecond()
}

/// An attempt that failed and is tried again: after how many seconds, at least and at most.
async fn must_be_tried_again(
    post: &Post<'_>,
    reply: Reply,
    (status, error): (Value, &str),
    within: (i64, i64),
) {
    let receiver = Receiver::that(move |_, _| reply).await;
    let endpoint = post.test().endpoint(&receiver, &[]).await;
    post.test().someone().await;
    receiver.wait_for(1).await;
    let delivery =
        post.test().delivery(&endpoint, "a failed attempt", |it| !it["last_error"].is_null()).await;
    assert_eq!((status_of(&delivery), &delivery["last_response_status"]), ("waiting", &status));
    assert_eq!(delivery["last_error"], error);
    let seconds = |name: &str| delivery[name].as_i64().unwrap();
    let pause = seconds("next_attempt_at") - seconds("last_attempt_at");
    assert!((within.0..=within.1).contains(&pause), "{reply:?}: {pause} s");
    let event = post.test().get(&format!("/v1/events/{}", delivery["event"].as_str().unwrap())).await.ok();
    assert_eq!(event["pending_webhooks"], 1);
    post.test().delete(&format!("/v1/webhook_endpoints/{}", id_of(&endpoint))).await.ok();
}

#[tokio::test]
async fn what_is_not_answered_with_2xx_is_tried_again() {
    with_a_server(async |post| {
        let redirect = "it answered 302; redirects are not followed";
        let to_itself = Reply::With(302, "location: /elsewhere");
        must_be_tried_again(post, to_itself, (json!(302), redirect), (5, 7)).await;
        must_be_tried_again(post, Reply::Status(500), (json!(500), "it answered 500"), (5, 7)).await;
        must_be_tried_again(post, Reply::Status(404), (json!(404), "it answered 404"), (5, 7)).await;
        let asks = Reply::With(503, "retry-after: 1000");
        must_be_tried_again(post, asks, (json!(503), "it answered 503"), (1_000, 1_003)).await;
        let asks_too_much = Reply::With(429, "retry-after: 4000000000");
        must_be_tried_again(post, asks_too_much, (json!(429), "it answered 429"), (86_400, 86_403)).await;
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again() {
    with_a_server(async |post| {
        let client = post.test();
        let form = [("url", "http://127.0.0.1:1/")];
        let endpoint = client.post("/v1/webhook_endpoints", &form).await.ok();
        client.someone().await;
        let delivery = client.delivery(&endpoint, "a failed attempt", |it| !it["last_error"].is_null()).await;
        assert_eq!(delivery["last_error"], "could not connect: connection refused");
        assert_eq!(delivery["last_response_status"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn after_the_last_attempt_it_is_given_up_and_the_next_one_comes() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|_, before| Reply::Status(if before < 10 { 500 } else { 200 })).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        let customer = client.someone().await;
        client.rename(&customer).await;
        for attempts in 1..10 {
            let failed = soon("a failed attempt", async || {
                let first = client.deliveries(&endpoint).await.remove(0);
                (first["attempts"] == attempts && is_to_be_retried(&first)).then_some(first)
            })
            .await;
            assert_eq!(receiver.all().len(), attempts);
            post.is_due(&failed).await;
        }
        let all = receiver.wait_for(11).await;
        assert!(all[..10].iter().all(|sent| sent.id() == all[0].id()));
        assert_eq!(
            (all[9].kind(), all[10].kind()),
            ("customer.created".to_owned(), "customer.updated".to_owned())
        );
        let path = format!("/v1/webhook_endpoints/{}/deliveries?status=given_up", id_of(&endpoint));
        let given_up = client.get(&path).await.ok();
        assert_eq!((&given_up["count"], &given_up["data"][0]["attempts"]), (&json!(1), &json!(10)));
        // It was received after all by the one that came next, so it is well.
        soon("it is well", async || client.shown(&endpoint).await["failing_since"].is_null().then_some(()))
            .await;
        let path = format!("/v1/events/{}/resend", all[0].id());
        client.post(&path, &[("webhook_endpoint", &id_of(&endpoint))]).await.ok();
        assert_eq!(receiver.wait_for(12).await[11].id(), all[0].id());
    })
    .await;
}

#[tokio::test]
async fn what_no_server_survived_is_given_up() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|_, _| Reply::Status(500)).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        let customer = client.someone().await;
        let failed = client.delivery(&endpoint, "a failed attempt", is_to_be_retried).await;
        client.rename(&customer).await;
        soon("the next waits behind it", async || {
            let next = client.deliveries(&endpoint).await.pop()?;
            (next["next_attempt_at"].as_i64()? > next["created"].as_i64()?).then_some(())
        })
        .await;
        // As if nobody had written down what came of the last ones.
        let set = vec![("claims", 10.into()), ("next_attempt_at", 0.into())];
        post.installation.change("webhook_deliveries", keys_of(&failed), set).await;
        soon("it is given up", async || {
            (status_of(&client.deliveries(&endpoint).await[0]) == "given_up").then_some(())
        })
        .await;
        let why = "each server that sent it ended meanwhile, ten times in a row";
        assert_eq!(client.deliveries(&endpoint).await[0]["last_error"], why);
        let all = receiver.wait_for(2).await;
        assert_eq!(all[1].kind(), "customer.updated", "the next one comes");
    })
    .await;
}

/// A delivery to which nothing was answered yet, as if an outage had gone on for `attempts` of its attempts, the last one so many
/// minutes ago.
async fn is_overdue(post: &Post<'_>, delivery: &Value, (attempts, minutes): (i64, i64)) {
    let last = micros() - minutes * 60_000_000;
    let set = vec![
        ("attempts", attempts.into()),
        ("last_attempt_at", last.into()),
        ("next_attempt_at", (micros() + DAY).into()),
    ];
    post.installation.change("webhook_deliveries", keys_of(delivery), set).await;
}

#[tokio::test]
async fn when_a_receiver_works_again_what_waited_for_it_is_sent_at_once_in_order() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|_, before| Reply::Status(if before == 0 { 503 } else { 200 })).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        let customer = client.someone().await;
        let failed = client.delivery(&endpoint, "a failed attempt", is_to_be_retried).await;
        is_overdue(post, &failed, (6, 30)).await;
        client.rename(&customer).await;
        client.post(&format!("/v1/webhook_endpoints/{}/test", id_of(&endpoint)), &[]).await.ok();
        receiver.wait_for(4).await;
        let kinds = ["customer.created", "webhook_endpoint.tested", "customer.created", "customer.updated"];
        assert_eq!(receiver.kinds(), kinds);
        let log = soon("all is delivered", async || {
            let log = client.deliveries(&endpoint).await;
            log.iter().all(|it| status_of(it) == "delivered").then_some(log)
        });
        assert_eq!(log.await[0]["attempts"], 6, "the attempt beside the ladder does not count");
        assert_eq!(client.shown(&endpoint).await["failing_since"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_while_others_are_received_is_not_sent_with_each_of_them() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|sent, _| {
            Reply::Status(match sent.kind().as_str() {
                "webhook_endpoint.tested" => 200,
                "plan.created" => 429,
                _ => 500,
            })
        });
        let receiver = receiver.await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        client.someone().await;
        client.plan("basic", 500, &[]).await;
        let log = soon("both failed", async || {
            let log = client.deliveries(&endpoint).await;
            (log.len() == 2 && log.iter().all(is_to_be_retried)).then_some(log)
        });
        let log = log.await;
        for delivery in &log {
            is_overdue(post, delivery, (6, 0)).await;
        }
        client.post(&format!("/v1/webhook_endpoints/{}/test", id_of(&endpoint)), &[]).await.ok();
        let moved = soon("one is moved", async || {
            let log = client.deliveries(&endpoint).await;
            log.iter().any(|it| it["attempts"] == 5).then_some(log)
        });
        let moved = moved.await;
        let pause =
            |it: &Value| it["next_attempt_at"].as_i64().unwrap() - it["last_attempt_at"].as_i64().unwrap();
        for delivery in moved.iter().filter(|it| it["type"] != "webhook_endpoint.tested") {
            let (attempts, seconds) = if delivery["type"] == "plan.created" { (6, 86_400) } else { (5, 60) };
            assert_eq!((&delivery["attempts"], pause(delivery)), (&json!(attempts), seconds), "{delivery}");
        }
        assert_eq!(receiver.all().len(), 3);
    })
    .await;
}

/// Where a delivery is.
fn keys_of(delivery: &Value) -> Row {
    let id = id_of(delivery);
    let slot = i64::from_str_radix(&id[4..6], 16).unwrap();
    vec![("slot", slot.into()), ("id", Is::from(&id))]
}

#[tokio::test]
async fn what_is_being_sent_is_not_sent_again_by_the_same_server() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|_, _| Reply::Late(200)).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        client.someone().await;
        receiver.wait_for(1).await;
        // As if its claim were over already.
        let sent = client.delivery(&endpoint, "a claim", |it| it["attempts"] == 1).await;
        post.is_due(&sent).await;
        client.delivery(&endpoint, "the delivery", |it| status_of(it) == "delivered").await;
        assert_eq!(receiver.all().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_attempt_that_another_one_overtook_writes_no_failure() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|_, _| Reply::Late(500)).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        client.someone().await;
        receiver.wait_for(1).await;
        let sent = client.delivery(&endpoint, "a claim", |it| it["attempts"] == 1).await;
        // As if another server had claimed it since.
        let later = micros() / 1_000_000 + 100;
        let set = vec![("claims", 2.into()), ("next_attempt_at", (later * 1_000_000).into())];
        post.installation.change("webhook_deliveries", keys_of(&sent), set).await;
        soon("its failure is known", async || {
            (!client.shown(&endpoint).await["failing_since"].is_null()).then_some(())
        })
        .await;
        let left = client.deliveries(&endpoint).await.remove(0);
        assert_eq!((&left["next_attempt_at"], &left["last_error"]), (&json!(later), &Value::Null));
    })
    .await;
}

#[tokio::test]
async fn an_error_of_this_server_is_no_attempt() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|_, before| Reply::Status(if before == 0 { 500 } else { 200 })).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        client.someone().await;
        let failed = client.delivery(&endpoint, "a failed attempt", is_to_be_retried).await;
        // The event is not to be found for a while.
        let event = failed["event"].as_str().unwrap();
        let slot = i64::from_str_radix(&event[5..7], 16).unwrap();
        let event = vec![("slot", slot.into()), ("id", Is::from(event))];
        post.installation.change("events", event.clone(), vec![("mode", "live".into())]).await;
        post.is_due(&failed).await;
        let ours = "it could not be sent by an error of this server";
        let missed = client.delivery(&endpoint, "an error of its own", |it| it["last_error"] == ours).await;
        assert_eq!((&missed["attempts"], status_of(&missed)), (&json!(1), "waiting"));
        post.installation.change("events", event, vec![("mode", "test".into())]).await;
        post.is_due(&missed).await;
        let is_done = |it: &Value| status_of(it) == "delivered" && it["attempts"] == 2;
        client.delivery(&endpoint, "the delivery", is_done).await;
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_at_once_until_it_is_enabled_again() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|_, before| Reply::Status(if before == 0 { 410 } else { 200 })).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        let customer = client.someone().await;
        client.rename(&customer).await;
        soon("it is disabled", async || {
            (client.shown(&endpoint).await["status"] == "disabled").then_some(())
        })
        .await;
        assert_eq!(client.shown(&endpoint).await["disabled_reason"], "gone");
        let doctor = post.installation.run(&["doctor", "--json"]).json();
        let webhooks = doctor["checks"].as_array().unwrap().iter().find(|check| check["name"] == "webhooks");
        assert!(webhooks.unwrap().to_string().contains(&id_of(&endpoint)), "{doctor}");
        let log = soon("all is given up", async || {
            let log = client.deliveries(&endpoint).await;
            log.iter().all(|it| status_of(it) == "given_up").then_some(log)
        })
        .await;
        assert_eq!(log.len(), 2);
        assert!(log.iter().all(|it| it["last_error"] == "its endpoint was disabled"), "{log:?}");
        client.someone().await;
        let resend = format!("/v1/events/{}/resend", log[0]["event"].as_str().unwrap());
        let to = id_of(&endpoint);
        client.post(&resend, &[("webhook_endpoint", &to)]).await.refused(400, "webhook_endpoint_disabled");
        let test = format!("/v1/webhook_endpoints/{to}/test");
        client.post(&test, &[]).await.refused(400, "webhook_endpoint_disabled");
        let enabled = client.change_endpoint(&endpoint, &[("status", "enabled")]).await;
        assert_eq!((&enabled["disabled_reason"], &enabled["failing_since"]), (&Value::Null, &Value::Null));
        client.post(&resend, &[("webhook_endpoint", &to)]).await.ok();
        assert_eq!(receiver.wait_for(2).await[1].id(), log[0]["event"].as_str().unwrap());
        client.someone().await;
        receiver.wait_for(3).await;
        assert_eq!(
            client.deliveries(&endpoint).await.len(),
            4,
            "nothing was kept for it while it was disabled"
        );
    })
    .await;
}

#[tokio::test]
async fn what_an_old_url_answers_disables_nothing() {
    with_a_server(async |post| {
        let client = post.test();
        let [old, new] = [Receiver::that(|_, _| Reply::Late(410)).await, Receiver::start().await];
        let endpoint = client.endpoint(&old, &[]).await;
        client.someone().await;
        old.wait_for(1).await;
        client.change_endpoint(&endpoint, &[("url", &new.url())]).await;
        let failed = client.delivery(&endpoint, "the old answer", is_to_be_retried).await;
        assert_eq!(failed["last_response_status"], 410);
        let shown = client.shown(&endpoint).await;
        assert_eq!((&shown["status"], &shown["failing_since"]), (&json!("enabled"), &Value::Null));
        new.wait_for(1).await;
        client.delivery(&endpoint, "the delivery", |it| status_of(it) == "delivered").await;
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_received_nothing_for_five_days_is_disabled() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|_, _| Reply::Status(500)).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        client.someone().await;
        let delivery = client.delivery(&endpoint, "a failed attempt", |it| !it["last_error"].is_null()).await;
        assert_eq!(client.shown(&endpoint).await["status"], "enabled");
        let (since, last) = (micros() - 5 * DAY, micros() - DAY);
        let set = vec![("failing_since", since.into()), ("failed_at", last.into())];
        post.set(endpoint["id"].as_str().unwrap(), set).await;
        post.is_due(&delivery).await;
        soon("it is disabled", async || {
            (client.shown(&endpoint).await["status"] == "disabled").then_some(())
        })
        .await;
        let shown = client.shown(&endpoint).await;
        assert_eq!(
            (&shown["disabled_reason"], &shown["failing_since"]),
            (&json!("failing"), &json!(since / 1_000_000))
        );
        client.delivery(&endpoint, "it is given up", |it| status_of(it) == "given_up").await;
        client.someone().await;
        assert_eq!(receiver.all().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn the_log_forgets_what_was_finished_long_ago() {
    super::with_its_server(super::PRIVATE, async |post, server| {
        let receiver = Receiver::start().await;
        let endpoint = post.test().endpoint(&receiver, &[]).await;
        for _ in 0..2 {
            post.test().someone().await;
        }
        let log = soon("both are delivered", async || {
            let log = post.test().deliveries(&endpoint).await;
            (log.len() == 2 && log.iter().all(|it| status_of(it) == "delivered")).then_some(log)
        })
        .await;
        for (delivery, days) in log.iter().zip([31, 29]) {
            let set = vec![("finished_at", (micros() - days * DAY).into())];
            post.installation.change("webhook_deliveries", keys_of(delivery), set).await;
        }
        assert_eq!(server.stop(), Some(0));
        let server = crate::serve::Server::start(&post.installation.place, super::PRIVATE);
        let client = post.at(&server);
        let left = soon("the old one is forgotten", async || {
            let left = client.deliveries(&endpoint).await;
            (left.len() == 1).then_some(left)
        })
        .await;
        assert_eq!(left[0]["id"], log[1]["id"]);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
