//! What is told of invoices to those who ask for it.

use super::super::client::Client;
use super::super::life::Life;
use super::super::shop::{DECLINED, GOOD, in_a_shop};
use super::*;

/// Types and invoices of the events about an invoice, oldest first.
async fn told(client: &Client, invoice: &str) -> Vec<(String, Value)> {
    let mut told = Vec::new();
    for kind in ["opened", "updated", "voided", "paid", "payment_failed"] {
        let path = format!("/v1/events?resource_id={invoice}&type=invoice.{kind}");
        for event in client.list(&path).await {
            assert_eq!(event["data"]["object"], "invoice", "{event}");
            assert_eq!(event["data"]["id"], invoice, "{event}");
            told.push((kind.to_owned(), event["data"]["status"].clone()));
        }
    }
    told
}

#[tokio::test]
async fn what_happens_to_an_invoice_is_told_with_the_invoice_as_it_was() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        let february = scheduled(client, &id).await;
        act(client, &february, "", &[("memo", "x")]).await.ok();
        client.pay_with(&customer, DECLINED).await;
        life.advance(FEBRUARY).await;
        let march = scheduled(client, &id).await;
        act(client, &march, "skip", &[("reason", "x")]).await.ok();
        act(client, &february, "mark_paid", &[("reason", "x")]).await.ok();
        let of = |rows: &[(&str, &str)]| -> Vec<(String, Value)> {
            rows.iter().map(|(kind, status)| ((*kind).to_owned(), json!(status))).collect()
        };
        let expected =
            of(&[("opened", "open"), ("updated", "scheduled"), ("paid", "paid"), ("payment_failed", "open")]);
        assert_eq!(told(client, &february).await, expected);
        assert_eq!(told(client, &march).await, of(&[("voided", "void")]));
        let failed = format!("/v1/events?resource_id={february}&type=invoice.payment_failed");
        let [failed] = <[Value; 1]>::try_from(client.list(&failed).await).unwrap();
        let [charge] = failed["data"]["charges"].as_array().unwrap().as_slice() else {
            panic!("one charge failed: {failed}");
        };
        assert_eq!((&charge["invoice"], &charge["state"]), (&json!(february), &json!("failed")));
        assert_eq!(charge["failure_code"], "card_declined");
        // Whoever asks for something that only teiki has is told of it.
        let types = async |query: &str| -> Vec<String> {
            let events = client.list(&format!("/v1/events?{query}")).await;
            events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
        };
        let of_february = ["invoice.updated", "invoice.opened", "invoice.payment_failed", "invoice.paid"];
        assert_eq!(types(&format!("resource_id={february}")).await, of_february);
        let all = types("object=invoice").await;
        assert_eq!(all.len(), of_february.len() + 1, "{all:?}");
        assert_eq!(types("type=invoice.*").await, all);
        assert_eq!(types("object=invoice&type=*").await, all);
        assert_eq!(types("object=test_clock").await[0], "test_clock.created");
        let everything = types("type=*").await;
        assert!(
            all.iter().all(|kind| everything.contains(kind))
                && everything.contains(&"plan.created".to_owned())
        );
        let unknown = client.get("/v1/events?type=invoice.nope").await.refused(400, "invalid_type");
        assert_eq!(
            (&unknown["param"], unknown["message"].as_str().unwrap().contains("invoice.nope")),
            (&json!("type"), true)
        );
        // Nobody who does not ask is told of what PAY.JP does not have.
        let all = client.list("/v1/events?").await;
        assert!(all.iter().all(|event| !event["type"].as_str().unwrap().starts_with("invoice.")));
    })
    .await;
}
