//! What one account, one receiver or one broken row cannot do to the others.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::shop::{Merchant, account, id_of, soon};
use super::super::store::sealed_secret;
use super::receiver::{Receiver, Reply};
use super::{PRIVATE, Post, status_of, with_a_server, with_its_server};
use crate::installation::Is;
use crate::serve::Server;

/// Another merchant of the same server.
fn neighbour(post: &Post<'_>) -> Merchant {
    let created = account(&post.installation.place, "two");
    Merchant::new(&created, post.test().url())
}

#[tokio::test]
async fn events_of_one_account_never_reach_another_one() {
    with_a_server(async |post| {
        let (one, neighbour) = (post.test(), neighbour(post));
        let two = &neighbour.test;
        let [of_one, of_two, of_live] =
            [Receiver::start().await, Receiver::start().await, Receiver::start().await];
        let mine = one.endpoint(&of_one, &[("enabled_events", "*")]).await;
        let theirs = two.endpoint(&of_two, &[("enabled_events", "*")]).await;
        let live =
            neighbour.live.post("/v1/webhook_endpoints", &[("url", "https://receiver.example/")]).await.ok();
        for _ in 0..3 {
            one.someone().await;
            two.someone().await;
        }
        for (client, receiver, endpoint) in [(one, &of_one, &mine), (two, &of_two, &theirs)] {
            let mut events: Vec<String> = client.list("/v1/events?").await.iter().map(id_of).collect();
            let mut sent: Vec<String> =
                receiver.wait_for(3).await.iter().map(|sent| sent.id().to_owned()).collect();
            events.sort();
            sent.sort();
            assert_eq!(sent, events);
            let secret = endpoint["secret"].as_str().unwrap();
            assert!(receiver.all().iter().all(|sent| sent.signed_by(secret) == Some(0)));
            assert_eq!(client.deliveries(endpoint).await.len(), 3);
        }
        assert_eq!((of_live.all().len(), neighbour.live.deliveries(&live).await.len()), (0, 0));
        // Nor does one reach the other's by its id.
        let (path, event) =
            (format!("/v1/webhook_endpoints/{}", id_of(&theirs)), of_one.all()[0].id().to_owned());
        one.get(&path).await.refused(404, "invalid_id");
        let resend = format!("/v1/events/{event}/resend");
        one.post(&resend, &[("webhook_endpoint", &id_of(&theirs))]).await.refused(404, "invalid_id");
        two.post(&resend, &[("webhook_endpoint", &id_of(&theirs))]).await.refused(404, "invalid_id");
    })
    .await;
}

#[tokio::test]
async fn an_account_whose_receivers_hang_leaves_room_for_the_others() {
    with_a_server(async |post| {
        let (one, neighbour) = (post.test(), neighbour(post));
        let [slow, well] = [Receiver::that(|_, _| Reply::Hang).await, Receiver::start().await];
        for _ in 0..16 {
            one.endpoint(&slow, &[]).await;
        }
        neighbour.test.endpoint(&well, &[]).await;
        for _ in 0..20 {
            one.someone().await;
        }
        soon("its places are taken", async || (slow.all().len() >= 64).then_some(())).await;
        // Longer than it takes to take more.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(slow.all().len(), 64, "an account has 64 places");
        let asked = Instant::now();
        neighbour.test.someone().await;
        well.wait_for(1).await;
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        let made = one.get("/v1/webhook_endpoints?limit=16").await.ok();
        for endpoint in made["data"].as_array().unwrap() {
            one.delete(&format!("/v1/webhook_endpoints/{}", id_of(endpoint))).await.ok();
        }
    })
    .await;
}

#[tokio::test]
async fn a_history_is_not_put_behind_what_came_after_it() {
    with_its_server(PRIVATE, async |post, server| {
        let (client, receiver) = (post.test(), Receiver::start().await);
        let endpoint = client.endpoint(&receiver, &[]).await;
        let (id, secret) = (id_of(&endpoint), sealed_secret(&post.installation.db, &id_of(&endpoint)).await);
        // Nothing is sent while the secret does not open.
        post.set(&id, vec![("secret", Is::Bytes(vec![1; 80]))]).await;
        let first = client.someone().await;
        for _ in 0..4 {
            client.rename(&first).await;
        }
        for _ in 0..80 {
            client.someone().await;
        }
        assert_eq!(server.stop(), Some(0));
        assert_eq!(receiver.all().len(), 0);
        post.set(&id, vec![("secret", Is::Bytes(secret))]).await;
        let server = Server::start(&post.installation.place, PRIVATE);
        let all = receiver.wait_for(85).await;
        let is_of_first = |event: &Value| event["data"]["id"] == first.as_str();
        let last = all.iter().rposition(|sent| is_of_first(&sent.event())).unwrap();
        assert!(last < 84, "the fifth event of the oldest history came last");
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn what_waits_behind_another_one_is_not_looked_at_all_the_time() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::that(|_, _| Reply::With(503, "retry-after: 3000")).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        let customer = client.someone().await;
        client.rename(&customer).await;
        let behind = soon("the second waits", async || {
            let log = client.deliveries(&endpoint).await;
            let behind = log.iter().find(|it| it["type"] == "customer.updated")?;
            let wait = behind["next_attempt_at"].as_i64()? - behind["created"].as_i64()?;
            (wait > 0).then_some(wait)
        })
        .await;
        assert!(behind >= 600, "{behind}");
        receiver.wait_for(1).await;
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_read_stops_nobody() {
    with_a_server(async |post| {
        let client = post.test();
        let [broken, well] = [Receiver::start().await, Receiver::start().await];
        let [events, url, other] = [
            client.endpoint(&broken, &[]).await,
            client.endpoint(&broken, &[]).await,
            client.endpoint(&well, &[]).await,
        ];
        // As no version has written it; the second one only where something waits for it.
        post.set(&id_of(&events), vec![("enabled_events", "nonsense".into())]).await;
        post.set(&id_of(&url), vec![("disabled_reason", "nonsense".into())]).await;
        client.someone().await;
        well.wait_for(1).await;
        client.delivery(&other, "a delivery", |it| status_of(it) == "delivered").await;
        soon("the operator is told", async || {
            Server::log(&post.installation.place).contains("does not read").then_some(())
        })
        .await;
        client.someone().await;
        well.wait_for(2).await;
        assert_eq!(broken.all().len(), 0);
        for (endpoint, column) in [(&events, "enabled_events"), (&url, "disabled_reason")] {
            post.set(&id_of(endpoint), vec![(column, Is::NoText)]).await;
        }
        client.someone().await;
        well.wait_for(3).await;
        // The other one is looked at again after a minute.
        broken.wait_for(1).await;
    })
    .await;
}

/// What is said of an attempt that is answered so.
async fn answered(post: &Post<'_>, reply: Reply) -> Value {
    let receiver = Receiver::that(move |_, _| reply).await;
    let endpoint = post.test().endpoint(&receiver, &[]).await;
    post.test().someone().await;
    let is_over = |it: &Value| !it["last_duration_ms"].is_null();
    let delivery = post.test().delivery(&endpoint, &format!("{reply:?} is over"), is_over).await;
    post.test().delete(&format!("/v1/webhook_endpoints/{}", id_of(&endpoint))).await.ok();
    delivery
}

#[tokio::test]
async fn a_receiver_that_drips_or_floods_is_cut_off() {
    with_a_server(async |post| {
        for (reply, most_ms) in [(Reply::DripBody, 6_000), (Reply::Flood, 5_000)] {
            let delivery = answered(post, reply).await;
            assert_eq!(
                (status_of(&delivery), &delivery["last_error"]),
                ("delivered", &Value::Null),
                "{reply:?}"
            );
            assert!(delivery["last_duration_ms"].as_i64().unwrap() < most_ms, "{delivery}");
        }
        let flooded = answered(post, Reply::FloodHead).await;
        let error = flooded["last_error"].as_str().unwrap();
        assert!(error.starts_with("the connection was lost") && error.len() < 300, "{error}");
        let dripped = answered(post, Reply::DripHead).await;
        assert_eq!(dripped["last_error"], "no answer within 15 seconds");
    })
    .await;
}
