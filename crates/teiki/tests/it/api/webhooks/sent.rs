//! What is sent: the event as its address shows it, signed, to the endpoints that take it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::shop::{GOOD, id_of, soon};
use super::receiver::{Receiver, Reply};
use super::{PRIVATE, Post, status_of, with_a_server, with_its_server};
use crate::installation::on_postgres;
use crate::serve::Server;

#[tokio::test]
async fn an_event_is_sent_signed_and_as_its_address_shows_it() {
    with_a_server(async |post| {
        let (client, receiver) = (post.test(), Receiver::start().await);
        let endpoint = client.endpoint(&receiver, &[("enabled_events[]", "charge.succeeded")]).await;
        let token = client.token(GOOD).await;
        let form = [("amount", "500"), ("currency", "jpy"), ("card", token.as_str())];
        let charge = client.post("/v1/charges", &form).await.ok();
        let sent = receiver.wait_for(1).await.remove(0);
        assert_eq!(sent.line, "POST /hook?a=b HTTP/1.1");
        assert_eq!(sent.header("host"), receiver.address.to_string());
        assert_eq!(sent.header("content-type"), "application/json");
        assert_eq!(sent.header("user-agent"), concat!("teiki/", env!("CARGO_PKG_VERSION")));
        assert_eq!(sent.header("x-payjp-webhook-token"), endpoint["token"]);
        assert_eq!(sent.signed_by(endpoint["secret"].as_str().unwrap()), Some(0));
        let late = teiki::clock::now().as_second() - sent.header("webhook-timestamp").parse::<i64>().unwrap();
        assert!((0..=60).contains(&late), "{late}");
        let mut event = sent.event();
        assert_eq!((&event["data"]["id"], &event["data"]["object"]), (&charge["id"], &json!("charge")));
        assert_eq!((sent.id(), &event["pending_webhooks"]), (event["id"].as_str().unwrap(), &json!(1)));
        let delivery = client.delivery(&endpoint, "a delivery", |it| status_of(it) == "delivered").await;
        event["pending_webhooks"] = json!(0);
        assert_eq!(client.get(&format!("/v1/events/{}", sent.id())).await.ok(), event);
        for (name, value) in [
            ("object", json!("webhook_delivery")),
            ("livemode", json!(false)),
            ("webhook_endpoint", endpoint["id"].clone()),
            ("event", event["id"].clone()),
            ("type", json!("charge.succeeded")),
            ("attempts", json!(1)),
            ("next_attempt_at", Value::Null),
            ("last_response_status", json!(200)),
            ("last_error", Value::Null),
        ] {
            assert_eq!(delivery[name], value, "{name} of {delivery}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_gets_the_types_that_payjp_has_and_others_on_request() {
    with_a_server(async |post| {
        let client = post.test();
        let [plain, clocks, all] =
            [Receiver::start().await, Receiver::start().await, Receiver::start().await];
        client.endpoint(&plain, &[]).await;
        let named = client
            .endpoint(&clocks, &[("enabled_events[]", "test_clock.*"), ("enabled_events[]", "plan.created")]);
        let named = named.await;
        assert_eq!(named["enabled_events"], json!(["test_clock.*", "plan.created"]));
        client.endpoint(&all, &[("enabled_events", "*")]).await;
        client.post("/v1/test_clocks", &[("frozen_time", "1800000000")]).await.ok();
        client.plan("monthly", 980, &[]).await;
        client.someone().await;
        let sorted = |receiver: &Receiver| BTreeSet::from_iter(receiver.kinds());
        let set = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<BTreeSet<_>>();
        all.wait_for(3).await;
        clocks.wait_for(2).await;
        plain.wait_for(2).await;
        assert_eq!(sorted(&all), set(&["test_clock.created", "plan.created", "customer.created"]));
        assert_eq!(sorted(&clocks), set(&["test_clock.created", "plan.created"]));
        assert_eq!(sorted(&plain), set(&["plan.created", "customer.created"]));
        // Named no more.
        let changed = client.change_endpoint(&named, &[("enabled_events", "")]).await;
        assert_eq!(changed["enabled_events"], Value::Null);
        client.post("/v1/test_clocks", &[("frozen_time", "1800000000")]).await.ok();
        client.someone().await;
        assert_eq!(clocks.wait_for(3).await[2].kind(), "customer.created");
    })
    .await;
}

#[tokio::test]
async fn a_test_goes_to_its_endpoint_alone_whatever_that_takes() {
    with_a_server(async |post| {
        let client = post.test();
        let [tried, other] = [Receiver::start().await, Receiver::start().await];
        let endpoint = client.endpoint(&tried, &[("enabled_events[]", "plan.created")]).await;
        let everything = client.endpoint(&other, &[("enabled_events[]", "*")]).await;
        for number in 1..=2 {
            let path = format!("/v1/webhook_endpoints/{}/test", id_of(&endpoint));
            let made = client.post(&path, &[]).await.ok();
            assert_eq!(
                (&made["type"], &made["status"]),
                (&json!("webhook_endpoint.tested"), &json!("waiting"))
            );
            let sent = tried.wait_for(number).await.remove(number - 1);
            assert_eq!(sent.id(), made["event"].as_str().unwrap());
            assert_eq!(
                (&sent.event()["data"]["id"], sent.kind()),
                (&endpoint["id"], "webhook_endpoint.tested".to_owned())
            );
            assert!(sent.event()["data"].get("secret").is_none());
            let shown = client.get(&format!("/v1/events/{}", sent.id())).await.ok();
            assert_eq!(shown["data"], sent.event()["data"]);
        }
        assert_eq!((other.all().len(), client.deliveries(&everything).await.len()), (0, 0));
        let about = async |id: &str, kind: &str| {
            let path = format!("/v1/events?resource_id={id}&type={kind}");
            client.list(&path).await.len()
        };
        assert_eq!(about(&id_of(&endpoint), "webhook_endpoint.tested").await, 2);
        assert_eq!(about(&id_of(&everything), "webhook_endpoint.tested").await, 0);
        let clock = client.post("/v1/test_clocks", &[("frozen_time", "1800000000")]).await.ok();
        assert_eq!(about(&id_of(&clock), "test_clock.created").await, 1);
        let path = format!("/v1/events?resource_id={}&type=test_clock.created", id_of(&clock));
        assert_eq!(post.merchant.live.list(&path).await.len(), 0, "another side's");
    })
    .await;
}

#[tokio::test]
async fn an_event_is_sent_again_when_asked_for_under_the_same_id() {
    with_a_server(async |post| {
        let (client, receiver) = (post.test(), Receiver::start().await);
        let endpoint = client.endpoint(&receiver, &[]).await;
        client.someone().await;
        let first = receiver.wait_for(1).await.remove(0);
        let path = format!("/v1/events/{}/resend", first.id());
        let again = client.post(&path, &[("webhook_endpoint", &id_of(&endpoint))]).await.ok();
        assert_eq!((&again["event"], &again["type"]), (&json!(first.id()), &json!("customer.created")));
        let second = receiver.wait_for(2).await.remove(1);
        assert_eq!(second.id(), first.id());
        assert_eq!(second.signed_by(endpoint["secret"].as_str().unwrap()), Some(0));
        let all = soon("both are delivered", async || {
            let all = client.deliveries(&endpoint).await;
            all.iter().all(|delivery| status_of(delivery) == "delivered").then_some(all)
        });
        let ids: BTreeSet<String> = all.await.iter().map(id_of).collect();
        assert_eq!(ids.len(), 2);
        client.post(&path, &[]).await.refused(400, "missing_param");
        let error = client.post(&path, &[("webhook_endpoint", "we_none")]).await.refused(404, "invalid_id");
        assert_eq!(error["param"], "webhook_endpoint");
        let none =
            client.post("/v1/events/evnt_none/resend", &[("webhook_endpoint", &id_of(&endpoint))]).await;
        none.refused(404, "invalid_id");
    })
    .await;
}

#[tokio::test]
async fn several_servers_send_each_event_once() {
    on_postgres(async |installation| {
        let created = super::super::shop::account(&installation.place, "one");
        let servers = [(); 3].map(|()| Server::start(&installation.place, PRIVATE));
        let merchant = super::super::shop::Merchant::new(&created, &servers[0].url());
        let post = Post { installation, merchant, created };
        let receiver = Receiver::start().await;
        let endpoint = post.test().endpoint(&receiver, &[]).await;
        for _ in 0..30 {
            post.test().someone().await;
        }
        let all = receiver.wait_for(30).await;
        let ids: BTreeSet<&str> = all.iter().map(|sent| sent.id()).collect();
        assert_eq!(ids.len(), 30);
        soon("all are written down", async || {
            let all = post.test().deliveries(&endpoint).await;
            all.iter().all(|it| status_of(it) == "delivered" && it["attempts"] == 1).then_some(())
        })
        .await;
        assert_eq!(receiver.all().len(), 30);
        for server in servers {
            assert_eq!(server.stop(), Some(0));
        }
    })
    .await;
}

/// Hangs at first.
async fn hesitating() -> Receiver {
    Receiver::that(|_, before| if before == 0 { Reply::Hang } else { Reply::Status(200) }).await
}

#[tokio::test]
async fn what_is_being_sent_when_the_server_is_killed_is_sent_again_under_the_same_id() {
    with_its_server(PRIVATE, async |post, server| {
        let receiver = hesitating().await;
        let endpoint = post.test().endpoint(&receiver, &[]).await;
        post.test().someone().await;
        let first = receiver.wait_for(1).await.remove(0);
        server.signal("-KILL");
        drop(server);
        let server = Server::start(&post.installation.place, PRIVATE);
        let client = post.at(&server);
        let delivery = client.delivery(&endpoint, "the attempt", |it| it["attempts"] == 1).await;
        // The dead process's claim ends after a while, which is not waited for here.
        post.is_due(&delivery).await;
        let second = receiver.wait_for(2).await.remove(1);
        assert_eq!((second.id(), second.event()), (first.id(), first.event()));
        let is_done = |it: &Value| status_of(it) == "delivered" && it["attempts"] == 1;
        client.delivery(&endpoint, "the delivery", is_done).await;
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn what_is_being_sent_when_the_server_stops_is_sent_by_the_next_one() {
    with_its_server(PRIVATE, async |post, server| {
        let receiver = hesitating().await;
        let endpoint = post.test().endpoint(&receiver, &[]).await;
        post.test().someone().await;
        let first = receiver.wait_for(1).await.remove(0);
        assert_eq!(server.stop(), Some(0));
        let server = Server::start(&post.installation.place, PRIVATE);
        let second = receiver.wait_for(2).await.remove(1);
        assert_eq!(second.id(), first.id());
        let is_done = |it: &Value| status_of(it) == "delivered" && it["attempts"] == 1;
        post.at(&server).delivery(&endpoint, "the delivery", is_done).await;
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
