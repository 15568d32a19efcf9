//! Previews: what comes, and what a change would make of it; then the change, and the same.

use super::super::client::{Client, Form};
use super::super::life::Life;
use super::super::shop::{DECLINED, GOOD, in_a_shop, instant, seconds};
use super::*;

async fn preview(client: &Client, subscription: &str, form: Form<'_>) -> Value {
    let form = [&[("subscription", subscription)], form].concat();
    client.send(reqwest::Method::GET, "/v1/invoices/preview", &form).await.ok()
}

/// When and how much.
fn coming(preview: &Value) -> Vec<(String, i64)> {
    let rows = preview["invoices"].as_array().unwrap();
    rows.iter()
        .map(|row| (instant(row["due_at"].as_i64().unwrap()), row["amount"].as_i64().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_preview_is_what_is_charged_and_changes_nothing() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("plus", 1_500, &[("tax_category", "reduced")]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            let moved = seconds("2027-02-17T00:00:00Z").to_string();
            act(client, &scheduled(client, &id).await, "", &[("due_at", &moved), ("amount", "700")])
                .await
                .ok();
            let before = (client.subscription(&id).await, of(client, &id).await);
            let plain = preview(client, &id, &[("count", "3")]).await;
            assert_eq!(plain["object"], "invoice_preview");
            assert_eq!((&plain["due_now"], &plain["refund"]), (&Value::Null, &Value::Null));
            let expected = [("2027-02-17T00:00:00Z", 700), (MARCH, 1_000), (APRIL, 1_000)];
            assert_eq!(coming(&plain), expected.map(|(at, amount)| (at.to_owned(), amount)));
            assert_eq!(plain["invoices"][1]["tax"], json!([{"percent": 10, "amount": 1_000, "tax": 90}]));
            assert_eq!(preview(client, &id, &[]).await["invoices"].as_array().unwrap().len(), 12);
            let reserved =
                preview(client, &id, &[("next_cycle_plan", "plus"), ("quantity", "2"), ("count", "2")]).await;
            assert_eq!(coming(&reserved).iter().map(|row| row.1).collect::<Vec<_>>(), [3_000, 3_000]);
            assert_eq!(reserved["invoices"][0]["tax"], json!([{"percent": 8, "amount": 3_000, "tax": 222}]));
            assert_eq!(
                (client.subscription(&id).await, of(client, &id).await),
                before,
                "nothing has changed"
            );
            life.advance("2027-05-01T00:00:00Z").await;
            let charges = client.charges(&customer).await;
            let charged: Vec<_> = charges[1..].iter().map(|charge| (charge.0.clone(), charge.1)).collect();
            assert_eq!(charged, coming(&plain));
        }
    })
    .await;
}

#[tokio::test]
async fn a_plan_of_centuries_ends_with_the_calendar_and_is_no_fault() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            let interval = [("interval", "year"), ("interval_count", "1000")];
            client.plan("millennium", 1_000, &interval).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "millennium", &[]).await.id;
            let mut left = coming(&preview(client, &id, &[]).await).len();
            assert!((2..12).contains(&left), "{left}");
            while left > 1 {
                act(client, &scheduled(client, &id).await, "skip", &[("reason", "x")]).await.ok();
                left -= 1;
                assert_eq!(coming(&preview(client, &id, &[]).await).len(), left);
            }
            let last = act(client, &scheduled(client, &id).await, "skip", &[("reason", "x")]).await;
            last.refused(400, "beyond_calendar");
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_now_shows_what_is_paid_at_once() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("plus", 1_500, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            life.advance("2027-01-20T00:00:00Z").await;
            let seen = preview(client, &id, &[("plan", "plus"), ("count", "2")]).await;
            assert_eq!(
                (&seen["due_now"]["amount"], &seen["due_now"]["invoice"]),
                (&json!(1_500), &Value::Null)
            );
            let after = client.act(&id, "", &[("plan", "plus")]).await.ok();
            for name in ["status", "current_period_start", "current_period_end"] {
                assert_eq!(seen[name], after[name], "{name}");
            }
            life.advance("2027-03-25T00:00:00Z").await;
            let charges = client.charges(&customer).await;
            assert_eq!(charges[1].1, 1_500);
            let charged: Vec<_> = charges[2..].iter().map(|charge| (charge.0.clone(), charge.1)).collect();
            assert_eq!(charged, coming(&seen));
        }
    })
    .await;
}

#[tokio::test]
async fn the_end_of_a_subscription_shows_what_would_be_given_back() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            life.advance("2027-01-25T06:00:00Z").await;
            let canceled = preview(client, &id, &[("change", "cancel")]).await;
            assert_eq!(
                (&canceled["status"], &canceled["ends_at"]),
                (&json!("canceled"), &json!(seconds(FEBRUARY)))
            );
            assert_eq!(coming(&canceled), []);
            let paused = preview(client, &id, &[("change", "pause")]).await;
            assert_eq!((&paused["status"], coming(&paused).len()), (&json!("paused"), 0));
            let kept = preview(client, &id, &[("change", "delete")]).await;
            assert_eq!((&kept["status"], &kept["refund"]), (&json!("deleted"), &Value::Null));
            let given_back = preview(client, &id, &[("change", "delete"), ("prorate", "true")]).await;
            client.delete(&format!("/v1/subscriptions/{id}?prorate=true")).await.ok();
            let charge = client.list(&format!("/v1/charges?customer={customer}")).await.remove(0);
            let expected =
                json!({"charge": charge["id"], "amount": charge["amount_refunded"], "currency": "jpy"});
            assert_eq!((&given_back["refund"], charge["amount_refunded"].as_i64()), (&expected, Some(645)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_preview_is_refused_as_the_change_would_be() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        let path = |query: &str| format!("/v1/invoices/preview?subscription={id}&{query}");
        client.get(&path("plan=none")).await.refused(404, "invalid_plan");
        client.get(&path("plan=basic")).await.refused(400, "already_subscribed");
        client.get(&path("change=resume")).await.refused(400, "subscription_worked");
        client.get(&path("change=stop")).await.refused(400, "invalid_change");
        client.get(&path("count=61")).await.refused(400, "invalid_numerical_value");
        client.get("/v1/invoices/preview").await.refused(400, "missing_param");
        client.get("/v1/invoices/preview?subscription=sub_none").await.refused(404, "invalid_id");
        // One that owes: a resume pays the oldest.
        client.pay_with(&customer, DECLINED).await;
        life.advance(FEBRUARY).await;
        let open = of(client, &id).await.into_iter().find(|row| row["status"] == "open").unwrap();
        let resumed = client.get(&path("change=resume")).await.ok();
        assert_eq!(
            (&resumed["due_now"]["invoice"], &resumed["due_now"]["amount"]),
            (&open["id"], &json!(1_000))
        );
        for part in ["lines", "tax"] {
            assert_eq!(resumed["due_now"][part], open[part]);
            assert!(!open[part].as_array().unwrap().is_empty(), "{part}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_preview_takes_what_its_change_takes_and_says_when_one_that_was_canceled_ends() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        client.plan("plus", 1_500, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        for (change, name, value) in [
            ("cancel", "plan", "plus"),
            ("pause", "trial_end", "now"),
            ("delete", "next_cycle_plan", ""),
            ("resume", "quantity", "2"),
        ] {
            let form = [("subscription", id.as_str()), ("change", change), (name, value)];
            let answer = client.send(reqwest::Method::GET, "/v1/invoices/preview", &form).await;
            assert_eq!(answer.refused(400, "invalid_param_key")["param"], name, "{change}");
        }
        let planned = preview(client, &id, &[("change", "cancel")]).await;
        client.act(&id, "cancel", &[]).await.ok();
        let seen = preview(client, &id, &[]).await;
        assert_eq!((&seen["ends_at"], &planned["ends_at"]), (&json!(seconds(FEBRUARY)), &seen["ends_at"]));
        assert_eq!(preview(client, &id, &[("change", "delete")]).await["ends_at"], Value::Null);
    })
    .await;
}
