//! Events: which, in which order, and that their data is the object itself (6.12 and 7).

use serde_json::{Value, json};

use super::super::client::Client;
use super::super::life::Life;
use super::super::shop::{ALSO_GOOD, DECLINED, GOOD, id_of, in_a_shop, instant, seconds};

const START: &str = "2027-01-15T06:00:00Z";
const FEBRUARY: &str = "2027-02-15T06:00:00Z";
const MARCH: &str = "2027-03-15T06:00:00Z";

/// The charges and the subscription of one customer, as events tell of them.
struct Told<'a> {
    client: &'a Client,
    customer: String,
    /// How many have been looked at.
    seen: usize,
}

impl Told<'_> {
    /// The events since the last look. Each must be what its own address shows.
    async fn news(&mut self) -> Vec<Value> {
        let mut events = self.client.list("/v1/events?").await;
        let about_it = |event: &Value| {
            let kind = event["type"].as_str().unwrap();
            let data = &event["data"];
            (kind.starts_with("charge.") || kind.starts_with("subscription."))
                && (data["customer"] == self.customer.as_str() || data["deleted"] == true)
        };
        events.retain(about_it);
        let news = events.split_off(self.seen);
        self.seen += news.len();
        for event in &news {
            let path = format!("/v1/events/{}", event["id"].as_str().unwrap());
            assert_eq!(&self.client.get(&path).await.ok(), event);
            assert_eq!((&event["object"], &event["livemode"]), (&json!("event"), &json!(false)));
            assert!(event["pending_webhooks"].is_i64(), "{event}");
        }
        news
    }

    /// Compares the types of the events since the last look, all of which happened at `at`.
    async fn tell(&mut self, at: &str, expected: &[&str]) -> Vec<Value> {
        let news = self.news().await;
        let types: Vec<&str> = news.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types, expected);
        for event in &news {
            assert_eq!(instant(event["created"].as_i64().unwrap()), at, "{event}");
        }
        news
    }
}

#[tokio::test]
async fn each_step_of_a_life_is_told_in_order_with_the_object_itself() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("plus", 1_500, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let mut told = Told { client, customer, seen: 0 };
            let id = client.subscribe(&told.customer, "basic", &[("metadata[a]", "b")]).await.id;
            let path = format!("/v1/subscriptions/{id}");
            let created = told.tell(START, &["charge.succeeded", "subscription.created"]).await;
            let of_charge = format!("/v1/charges/{}", created[0]["data"]["id"].as_str().unwrap());
            assert_eq!(created[0]["data"], client.get(&of_charge).await.ok());
            assert_eq!(created[1]["data"], client.get(&path).await.ok());
            client.act(&id, "", &[("next_cycle_plan", "plus")]).await.ok();
            let updated = told.tell(START, &["subscription.updated"]).await;
            assert_eq!(updated[0]["data"]["next_cycle_plan"]["id"], "plus");
            life.advance(FEBRUARY).await;
            let renewed = told.tell(FEBRUARY, &["charge.succeeded", "subscription.renewed"]).await;
            assert_eq!(renewed[1]["data"], client.get(&path).await.ok());
            client.act(&id, "", &[("plan", "basic")]).await.ok();
            let changed = told.tell(FEBRUARY, &["charge.succeeded", "subscription.updated"]).await;
            assert_eq!(changed[1]["data"], client.get(&path).await.ok());
            client.act(&id, "pause", &[]).await.ok();
            told.tell(FEBRUARY, &["subscription.paused"]).await;
            client.act(&id, "resume", &[]).await.ok();
            told.tell(FEBRUARY, &["subscription.resumed"]).await;
            client.act(&id, "pause", &[]).await.ok();
            told.tell(FEBRUARY, &["subscription.paused"]).await;
            life.advance(MARCH).await;
            client.act(&id, "resume", &[]).await.ok();
            let resumed = told.tell(MARCH, &["charge.succeeded", "subscription.resumed"]).await;
            assert_eq!(resumed[1]["data"], client.get(&path).await.ok());
            client.act(&id, "cancel", &[]).await.ok();
            told.tell(MARCH, &["subscription.canceled"]).await;
            // What was told does not change with what came later.
            assert_eq!(told_again(client, &created[1]).await, created[1]);
            let end = "2027-04-15T06:00:00Z";
            life.advance(end).await;
            let deleted = told.tell(end, &["subscription.deleted"]).await;
            assert_eq!(deleted[0]["data"], json!({"deleted": true, "id": id, "livemode": false}));
            let of_it = client.list(&format!("/v1/events?resource_id={id}")).await;
            assert_eq!(of_it.len(), 10);
            assert_eq!(told_again(client, &created[0]).await, created[0]);
        }
    })
    .await;
}

async fn told_again(client: &Client, event: &Value) -> Value {
    client.get(&format!("/v1/events/{}", event["id"].as_str().unwrap())).await.ok()
}

#[tokio::test]
async fn without_a_card_there_is_no_charge_that_could_fail() {
    in_a_shop(async |shop| {
        for (client, stops) in
            [(&shop.teiki.test, "subscription.updated"), (&shop.payjp.test, "subscription.paused")]
        {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let mut told = Told { client, customer, seen: 0 };
            client.subscribe(&told.customer, "basic", &[]).await;
            told.tell(START, &["charge.succeeded", "subscription.created"]).await;
            let shown = client.get(&format!("/v1/customers/{}", told.customer)).await.ok();
            let card = shown["default_card"].as_str().unwrap();
            client.delete(&format!("/v1/customers/{}/cards/{card}", told.customer)).await.ok();
            life.advance(FEBRUARY).await;
            told.tell(FEBRUARY, &[stops]).await;
            let own = client.list("/v1/events?type=invoice.payment_failed").await;
            assert_eq!(own.len(), usize::from(stops == "subscription.updated"));
        }
    })
    .await;
}

#[tokio::test]
async fn trials_failures_and_deletions_are_told() {
    in_a_shop(async |shop| {
        for (client, stops) in
            [(&shop.teiki.test, "subscription.updated"), (&shop.payjp.test, "subscription.paused")]
        {
            client.plan("basic", 1_000, &[]).await;
            client.plan("trial", 1_000, &[("trial_days", "10")]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(DECLINED).await;
            let mut told = Told { client, customer, seen: 0 };
            let form = [("customer", told.customer.as_str()), ("plan", "basic")];
            client.post("/v1/subscriptions", &form).await.refused(402, "card_declined");
            told.tell(START, &["charge.failed"]).await;
            let id = client.subscribe(&told.customer, "trial", &[]).await.id;
            told.tell(START, &["subscription.created"]).await;
            let end = "2027-01-25T06:00:00Z";
            life.advance(end).await;
            let failed = told.tell(end, &["charge.failed", stops]).await;
            assert_eq!(failed[0]["data"]["failure_code"], "card_declined");
            assert_eq!(failed[1]["data"], client.get(&format!("/v1/subscriptions/{id}")).await.ok());
            // Teiki's own come to those who ask.
            let own = client.list("/v1/events?type=invoice.payment_failed").await;
            assert_eq!(own.len(), usize::from(stops == "subscription.updated"));
            client.pay_with(&told.customer, ALSO_GOOD).await;
            told.tell(end, &[]).await;
            client.act(&id, "resume", &[]).await.ok();
            if stops == "subscription.paused" {
                told.tell(end, &["charge.succeeded", "subscription.resumed"]).await;
            } else {
                // More than 6.12 has: the open invoice is one of the schedule, so its payment is a renewal, and the resume
                // tells a second time that it is active.
                let paid = ["charge.succeeded", "subscription.renewed"];
                told.tell(end, &[paid[0], paid[1], "subscription.updated", "subscription.resumed"]).await;
            }
            client.delete(&format!("/v1/customers/{}", told.customer)).await.ok();
            told.tell(end, &["subscription.deleted"]).await;
            let customers = client.list("/v1/events?object=customer").await;
            assert_eq!(customers.last().unwrap()["type"], "customer.deleted");
        }
    })
    .await;
}

#[tokio::test]
async fn what_decides_is_told_as_it_was_then_however_late_it_is_read() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[("quantity", "2")]).await.id;
            let pause_and_resume = async || {
                client.act(&id, "pause", &[]).await.ok();
                client.act(&id, "resume", &[]).await.ok();
            };
            pause_and_resume().await;
            life.advance(FEBRUARY).await;
            client.pay_with(&customer, DECLINED).await;
            life.advance(MARCH).await;
            let told = async || {
                let events = client.list(&format!("/v1/events?resource_id={id}")).await;
                events.into_iter().filter(|event| event["created"] != seconds(START)).collect::<Vec<_>>()
            };
            let before = told().await;
            client.pay_with(&customer, ALSO_GOOD).await;
            life.advance("2027-03-20T00:00:00Z").await;
            client.act(&id, "resume", &[]).await.ok();
            client.act(&id, "", &[("quantity", "5")]).await.ok();
            pause_and_resume().await;
            let after = told().await;
            assert_eq!(after[..before.len()], before);
            let [renewed, failed] = &before[..] else { panic!("{before:?}") };
            let of = |event: &Value| {
                let data = &event["data"];
                (data["quantity"].clone(), data["paused_at"].clone(), data["resumed_at"].clone())
            };
            assert_eq!(of(renewed), (json!(2), Value::Null, json!(seconds(START))));
            let is_paused = failed["type"] == "subscription.paused";
            let [paused, resumed] = if is_paused {
                [json!(seconds(MARCH)), Value::Null]
            } else {
                [Value::Null, json!(seconds(START))]
            };
            assert_eq!(of(failed), (json!(2), paused, resumed));
        }
    })
    .await;
}

#[tokio::test]
async fn an_invoice_marked_as_paid_later_is_told_as_it_was_when_it_was_opened() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        client.subscribe(&customer, "basic", &[]).await;
        client.pay_with(&customer, DECLINED).await;
        life.advance(FEBRUARY).await;
        let kinds = ["invoice.opened", "invoice.payment_failed"];
        let open = id_of(&client.list("/v1/invoices?status=open").await[0]);
        client.post(&format!("/v1/invoices/{open}/mark_paid"), &[("reason", "cash")]).await.ok();
        for kind in kinds {
            let told = client.list(&format!("/v1/events?type={kind}")).await;
            let data = &told[0]["data"];
            assert_eq!((&data["id"], &data["status"]), (&json!(open), &json!("open")));
            assert_eq!((&data["amount_paid"], &data["amount_paid_outside"]), (&json!(0), &json!(0)));
        }
        let paid = client.list("/v1/events?type=invoice.paid").await;
        assert_eq!(paid[0]["data"]["amount_paid_outside"], 1_000);
    })
    .await;
}

#[tokio::test]
async fn a_deletion_tells_that_what_was_scheduled_is_void() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let customer = client.customer(GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        client.delete(&format!("/v1/subscriptions/{id}")).await.ok();
        let told = client.list("/v1/events?type=invoice.voided").await;
        let data: Vec<_> =
            told.iter().map(|event| (&event["data"]["subscription"], &event["data"]["status"])).collect();
        assert_eq!(data, [(&json!(id), &json!("void"))]);
    })
    .await;
}
