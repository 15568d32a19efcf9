//! Deleting a test clock: nothing more is billed, what was under way is found out, and the books agree.

use serde_json::{Value, json};

use super::super::client::{Answer, Client};
use super::super::exports::rows;
use super::super::life::Life;
use super::super::shop::{DECLINED, GOOD, id_of, in_a_shop, soon};
use super::super::store::{invoices, open_charges, standing};

const START: &str = "2027-01-15T06:00:00Z";
const FEBRUARY: &str = "2027-02-15T06:00:00Z";
/// The first request hangs, and is executed.
const HANGS: &str = "sbx_timeout_after_1";

/// Sends a request that hangs.
fn begin(
    client: &Client,
    path: &'static str,
    form: &[(&'static str, String)],
) -> tokio::task::JoinHandle<Answer> {
    let (client, form) = (client.clone(), form.to_vec());
    tokio::spawn(async move {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client.post(path, &form).await
    })
}

/// Waits until the only charge of a customer is there.
async fn the_charge(client: &Client, customer: &str) -> String {
    let path = format!("/v1/charges?customer={customer}");
    soon("the charge", async || client.list(&path).await.first().map(id_of)).await
}

async fn delete(life: &Life<'_>) {
    life.client.delete(&format!("/v1/test_clocks/{}", life.clock)).await.ok();
}

async fn invoice_of(client: &Client, charge: &str) -> Value {
    let charge = client.get(&format!("/v1/charges/{charge}")).await.ok();
    client.get(&format!("/v1/invoices/{}", charge["invoice"].as_str().unwrap())).await.ok()
}

#[tokio::test]
async fn what_is_not_known_when_its_clock_is_deleted_is_found_out() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("trial", 1_000, &[("trial_days", "10")]).await;
            let life = Life::begin(client, START).await;
            let [buyer, first, renewing] =
                [life.customer(HANGS).await, life.customer(HANGS).await, life.customer(HANGS).await];
            let renewed = client.subscribe(&renewing, "trial", &[]).await.id;
            let sale = [("customer", buyer.clone()), ("amount", "500".into()), ("currency", "jpy".into())];
            let sale = begin(client, "/v1/charges", &sale);
            let new = [("customer", first.clone()), ("plan", "basic".into())];
            let new = begin(client, "/v1/subscriptions", &new);
            let charges = [the_charge(client, &buyer).await, the_charge(client, &first).await];
            delete(&life).await;
            let all_known = async || (open_charges(&shop.installation.db).await == 0).then_some(());
            soon("everything is found out", all_known).await;
            for charge in charges {
                let invoice = invoice_of(client, &charge).await;
                assert_eq!(
                    (&invoice["status"], &invoice["charges"][0]["paid"]),
                    (&json!("paid"), &json!(true))
                );
            }
            // Nothing comes of the first payment: what it would have begun is gone, and nothing is scheduled.
            let subscription =
                invoice_of(client, &the_charge(client, &first).await).await["subscription"].clone();
            let db = &shop.installation.db;
            let subscription = subscription.as_str().unwrap();
            assert_eq!(standing(db, subscription).await, ("canceled".to_owned(), None, None));
            assert_eq!(invoices(db, subscription).await, [("paid".to_owned(), 1_000)]);
            assert_eq!(invoices(db, &renewed).await, [("void".to_owned(), 1_000)]);
            drop((sale.await, new.await));
        }
    })
    .await;
}

#[tokio::test]
async fn a_deleted_clock_leaves_no_debt_no_recovery_and_nothing_scheduled() {
    in_a_shop(async |shop| {
        let (client, db) = (&shop.teiki.test, &shop.installation.db);
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let [good, debtor] = [life.customer(GOOD).await, life.customer(GOOD).await];
        let paying = client.subscribe(&good, "basic", &[]).await.id;
        let owing = client.subscribe(&debtor, "basic", &[]).await.id;
        let elsewhere = client.customer(GOOD).await;
        let elsewhere = client.subscribe(&elsewhere, "basic", &[]).await.id;
        client.pay_with(&debtor, DECLINED).await;
        life.advance(FEBRUARY).await;
        let reserved =
            [("customer", good.as_str()), ("amount", "555"), ("currency", "jpy"), ("capture", "false")];
        let reserved = id_of(&client.post("/v1/charges", &reserved).await.ok());
        assert_eq!(standing(db, &owing).await, ("past_due".to_owned(), None, Some("open".to_owned())));
        delete(&life).await;
        let of = |rows: &[&str]| -> Vec<(String, i64)> {
            rows.iter().map(|row| ((*row).to_owned(), 1_000)).collect()
        };
        assert_eq!(invoices(db, &paying).await, of(&["paid", "paid", "void"]));
        assert_eq!(invoices(db, &owing).await, of(&["paid", "uncollectible", "void"]));
        assert_eq!(invoices(db, &elsewhere).await, of(&["paid", "scheduled"]));
        let canceled = |case: Option<&str>| ("canceled".to_owned(), None, case.map(str::to_owned));
        assert_eq!(standing(db, &owing).await, canceled(Some("given_up")));
        assert_eq!(standing(db, &paying).await, canceled(None));
        // What became void is told to those who ask, and is the last that happened to it.
        for id in [&paying, &owing] {
            let told = client.list("/v1/events?type=invoice.voided").await;
            let of_it: Vec<&Value> =
                told.iter().filter(|event| event["data"]["subscription"] == id.as_str()).collect();
            assert_eq!(of_it.len(), 1, "{told:?}");
            assert_eq!(
                (&of_it[0]["data"]["status"], &of_it[0]["data"]["amount"]),
                (&json!("void"), &json!(1_000))
            );
            let last = client.get(&format!("/v1/events?resource_id={id}&limit=1")).await.ok();
            assert_eq!(last["data"][0]["data"]["plan"]["id"], "basic");
        }
        must_be_marked(client, &life.clock, &good).await;
        // What a request reserved is still there to be taken.
        assert_eq!(invoice_of(client, &reserved).await["status"], "open");
        client.post(&format!("/v1/charges/{reserved}/capture"), &[]).await.ok();
        assert_eq!(invoice_of(client, &reserved).await["status"], "paid");
        let status = shop.installation.place.run(&["status"]);
        assert!(status.text().contains("no case is open"), "{status:?}");
    })
    .await;
}

/// Events and ledger rows of a deleted clock say so, and others do not.
async fn must_be_marked(client: &Client, clock: &str, customer: &str) {
    let of_customer = client.list(&format!("/v1/events?resource_id={customer}")).await;
    assert!(!of_customer.is_empty());
    let mut marked = 0;
    for event in client.list("/v1/events?").await {
        let is_deleted = event["test_clock_deleted"].as_bool().unwrap();
        assert_eq!(event["test_clock"].as_str(), is_deleted.then_some(clock), "{event}");
        marked += usize::from(is_deleted);
        if of_customer.contains(&event) || event["data"]["customer"] == customer {
            assert!(is_deleted, "{event}");
        }
    }
    let elsewhere = ["plan.created", "token.created"];
    let events = client.list("/v1/events?").await;
    assert!(marked < events.len() && marked > 8, "{marked} of {}", events.len());
    assert!(
        events.iter().all(|event| !elsewhere.contains(&event["type"].as_str().unwrap())
            || event["test_clock"] == Value::Null)
    );
    for subject in ["ledger", "events"] {
        let rows = rows(client, subject).await;
        let of_clock = rows.iter().filter(|row| row["test_clock_id"] == clock);
        assert!(of_clock.clone().count() >= 4, "{subject}: {rows:?}");
        assert!(of_clock.clone().all(|row| row["test_clock_deleted_at"].is_string()), "{subject}: {rows:?}");
        assert!(rows.iter().any(|row| row["test_clock_id"].is_null()), "{subject}: {rows:?}");
    }
}
