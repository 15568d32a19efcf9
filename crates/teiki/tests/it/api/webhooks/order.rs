//! In which order events arrive: those of one history one after the other, and nobody waits for anybody else's.

use sha2::{Digest, Sha256};

use super::super::shop::{id_of, soon};
use super::receiver::{Received, Receiver, Reply};
use super::{is_to_be_retried, status_of, with_a_server};

/// Which customer an event is about.
fn of(sent: &Received) -> String {
    id_of(&sent.event()["data"])
}

#[tokio::test]
async fn a_later_event_of_a_history_does_not_overtake_one_that_failed() {
    with_a_server(async |post| {
        let client = post.test();
        // The first event fails once.
        let receiver = Receiver::that(|_, before| Reply::Status(if before == 0 { 500 } else { 200 })).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        let first = client.someone().await;
        receiver.wait_for(1).await;
        client.rename(&first).await;
        client.rename(&first).await;
        let other = client.someone().await;
        client.rename(&other).await;
        let all = receiver.wait_for(6).await;
        let of_one = |id: &str| -> Vec<String> {
            all.iter().filter(|sent| of(sent) == id).map(Received::kind).collect()
        };
        assert_eq!(
            of_one(&first),
            ["customer.created", "customer.created", "customer.updated", "customer.updated"]
        );
        assert_eq!(of_one(&other), ["customer.created", "customer.updated"]);
        assert_eq!(
            (all[0].id(), all[0].event()),
            (all[3].id(), all[3].event()),
            "the other history did not wait"
        );
        soon("all are delivered", async || {
            let log = client.deliveries(&endpoint).await;
            let of_first = log.iter().find(|it| it["attempts"] == 2);
            let is_done = log.len() == 5 && log.iter().all(|it| status_of(it) == "delivered");
            (is_done && of_first.is_some()).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn many_events_of_many_histories_arrive_in_order() {
    with_a_server(async |post| {
        let client = post.test();
        let receiver = Receiver::start().await;
        client.endpoint(&receiver, &[]).await;
        let mut people = Vec::new();
        for _ in 0..8 {
            people.push(client.someone().await);
        }
        for _ in 0..4 {
            for person in &people {
                client.rename(person).await;
            }
        }
        let all = receiver.wait_for(40).await;
        for person in &people {
            let events: Vec<String> =
                client.list(&format!("/v1/events?resource_id={person}")).await.iter().map(id_of).collect();
            let sent: Vec<String> =
                all.iter().filter(|sent| of(sent) == *person).map(|sent| sent.id().to_owned()).collect();
            assert_eq!(sent, events);
        }
    })
    .await;
}

/// Whether a receiver fails at what arrives as this one: more often than not, and always the same.
fn is_refused(sent: &Received, before: usize) -> bool {
    let digest = Sha256::digest(format!("{}:{before}", sent.id()));
    digest[0] < 150
}

#[tokio::test]
async fn whatever_fails_each_history_arrives_once_and_in_order() {
    with_a_server(async |post| {
        let client = post.test();
        let rule = |sent: &Received, before| Reply::Status(if is_refused(sent, before) { 500 } else { 200 });
        let receiver = Receiver::that(rule).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        let mut people = Vec::new();
        for _ in 0..6 {
            people.push(client.someone().await);
        }
        for person in people.iter().cycle().take(24) {
            client.rename(person).await;
        }
        soon("all are delivered", async || {
            let log = client.deliveries(&endpoint).await;
            for delivery in log.iter().filter(|delivery| is_to_be_retried(delivery)) {
                post.is_due(delivery).await;
            }
            log.iter().all(|delivery| status_of(delivery) != "waiting").then_some(())
        })
        .await;
        let all = receiver.all();
        let received = |person: &str| -> Vec<String> {
            let taken = all.iter().enumerate().filter(|(before, sent)| !is_refused(sent, *before));
            taken.filter(|(_, sent)| of(sent) == person).map(|(_, sent)| sent.id().to_owned()).collect()
        };
        let given_up = client.deliveries(&endpoint).await;
        let given_up: Vec<&str> = given_up
            .iter()
            .filter(|delivery| status_of(delivery) == "given_up")
            .map(|delivery| delivery["event"].as_str().unwrap())
            .collect();
        for person in &people {
            let events = client.list(&format!("/v1/events?resource_id={person}")).await;
            let expected: Vec<String> =
                events.iter().map(id_of).filter(|id| !given_up.contains(&id.as_str())).collect();
            assert_eq!(received(person), expected);
        }
        assert!(all.len() > 30, "too little failed: {}", all.len());
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_keeps_no_other_waiting() {
    with_a_server(async |post| {
        let client = post.test();
        let [slow, well] = [Receiver::that(|_, _| Reply::Hang).await, Receiver::start().await];
        let dead = client.endpoint(&slow, &[]).await;
        client.endpoint(&well, &[]).await;
        for _ in 0..40 {
            client.someone().await;
        }
        // Behind the slow one, 40 would take minutes. That one gets 16 at once, and later one at a time.
        well.wait_for(40).await;
        assert!(slow.all().len() <= 20, "{}", slow.all().len());
        // Once it is known to fail, it gets one at a time.
        let failed = soon("an attempt failed", async || {
            client.deliveries(&dead).await.into_iter().find(|it| !it["last_error"].is_null())
        })
        .await;
        assert_eq!(failed["last_error"], "no answer within 15 seconds");
        assert_eq!(status_of(&failed), "waiting");
        assert!(!client.shown(&dead).await["failing_since"].is_null());
        client.change_endpoint(&dead, &[("status", "disabled")]).await;
    })
    .await;
}
