//! What an invoice shows, and paying an open one.

use super::super::client::Client;
use super::super::life::Life;
use super::super::shop::{ALSO_GOOD, DECLINED, GOOD, in_a_shop, seconds};
use super::*;

/// The invoices of a customer's charges, oldest first, each once.
async fn billed(client: &Client, customer: &str) -> Vec<String> {
    let charges = client.list(&format!("/v1/charges?customer={customer}")).await;
    let mut ids: Vec<String> =
        charges.iter().map(|charge| charge["invoice"].as_str().unwrap().to_owned()).collect();
    ids.dedup();
    ids
}

async fn pay(client: &Client, invoice: &str) -> Answer {
    act(client, invoice, "pay", &[]).await
}

#[tokio::test]
async fn an_invoice_shows_its_lines_its_tax_and_its_charges() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_080, &[("setup_fee", "550"), ("tax_category", "reduced")]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let subscription = client.subscribe(&customer, "basic", &[("quantity", "2")]).await;
            let id = billed(client, &customer).await.remove(0);
            let mut invoice = shown(client, &id).await;
            let charges = invoice["charges"].take();
            let line = |kind, quantity, amount| {
                json!({"kind": kind, "plan": "basic", "quantity": quantity, "amount": amount, "tax_category": "reduced",
                       "days": null, "of_days": null})
            };
            let lines = invoice["lines"].take();
            assert_eq!(lines.as_array().unwrap().len(), 2, "{lines}");
            for expected in [line("plan", 2, 2_160), line("setup_fee", 1, 550)] {
                assert!(lines.as_array().unwrap().contains(&expected), "{lines}");
            }
            let at = seconds(START);
            let expected = json!({
                "object": "invoice", "id": id, "livemode": false, "status": "paid", "amount": 2_710, "amount_paid": 2_710,
                "amount_credited": 0, "amount_paid_outside": 0, "currency": "jpy", "due_at": at, "next_attempt_at": null,
                "memo": null, "reason": null, "issued_at": at, "paid_at": at, "period_start": at,
                "period_end": seconds(FEBRUARY), "customer": customer, "subscription": subscription.id, "plan": "basic",
                "lines": null, "tax": [{"percent": 8, "amount": 2_710, "tax": 200}], "charges": null,
            });
            assert_eq!(invoice, expected);
            let listed = client.list(&format!("/v1/charges?customer={customer}")).await;
            assert_eq!(charges, json!(listed));
            pay(client, &id).await.refused(400, "invoice_not_open");
            client.get("/v1/invoices/in_none").await.refused(404, "invalid_id");
            pay(client, "in_none").await.refused(404, "invalid_id");
        }
    })
    .await;
}

#[tokio::test]
async fn open_invoices_are_paid_from_the_oldest_on_and_the_period_stays() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        client.pay_with(&customer, DECLINED).await;
        life.advance("2027-03-20T00:00:00Z").await;
        let past_due = client.subscription(&id).await;
        past_due.stands("past_due", "basic", (MARCH, "2027-04-15T06:00:00Z"));
        let [_, february, march] = billed(client, &customer).await.try_into().unwrap();
        let error = pay(client, &march).await.refused(400, "older_invoice_open");
        assert!(error["message"].as_str().unwrap().contains(&february), "{error}");
        // Declined once more: nothing changes but the charge.
        let error = pay(client, &february).await.refused(402, "card_declined");
        let charges = shown(client, &february).await["charges"].take();
        assert_eq!((charges.as_array().unwrap().len(), &charges[0]["id"]), (2, &error["charge"]));
        assert_eq!(client.subscription(&id).await, past_due);
        client.pay_with(&customer, ALSO_GOOD).await;
        let paid = pay(client, &february).await.ok();
        let now = seconds("2027-03-20T00:00:00Z");
        assert_eq!(
            (&paid["status"], &paid["amount_paid"], &paid["paid_at"]),
            (&json!("paid"), &json!(1_000), &json!(now))
        );
        assert_eq!(client.subscription(&id).await, past_due);
        assert_eq!(pay(client, &march).await.ok()["status"], "paid");
        client.subscription(&id).await.stands("active", "basic", (MARCH, "2027-04-15T06:00:00Z"));
        pay(client, &march).await.refused(400, "invoice_not_open");
        // The anchor is kept, and nothing stands in the way of the next renewal.
        life.advance("2027-04-15T06:00:00Z").await;
        client.subscription(&id).await.stands(
            "active",
            "basic",
            ("2027-04-15T06:00:00Z", "2027-05-15T06:00:00Z"),
        );
        assert_eq!(client.charges(&customer).await.len(), 7);
    })
    .await;
}

#[tokio::test]
async fn of_requests_at_once_one_pays() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        client.subscribe(&customer, "basic", &[]).await;
        client.pay_with(&customer, DECLINED).await;
        life.advance(FEBRUARY).await;
        client.pay_with(&customer, ALSO_GOOD).await;
        let id = billed(client, &customer).await.remove(1);
        let at_once = futures_util::future::join_all((0..6).map(|_| pay(client, &id))).await;
        let ok = at_once.iter().filter(|answer| answer.status == 200).count();
        assert!(
            ok == 1 && at_once.iter().all(|answer| [200, 400, 409].contains(&answer.status)),
            "{at_once:?}"
        );
        let paid = client.charges(&customer).await.into_iter().filter(|charge| charge.2 == "paid").count();
        assert_eq!(paid, 2);
    })
    .await;
}
