//! Creation: 6.3 and 6.5.

use super::super::client::Client;
use super::super::life::Life;
use super::super::shop::{DECLINED, GOOD, SMALL, Subscription, charged, in_a_shop, instant, seconds};

const START: &str = "2027-01-15T06:00:00Z";

#[tokio::test]
async fn the_first_period_is_paid_while_the_subscription_is_created() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let made = client.subscribe(&customer, "basic", &[]).await;
            made.stands("active", "basic", (START, "2027-02-15T06:00:00Z"));
            assert_eq!((made.created, made.start, made.prorate), (seconds(START), seconds(START), false));
            assert_eq!((made.trial_start, made.trial_end, &made.next_cycle_plan), (None, None, &None));
            assert_eq!((made.paused_at, made.canceled_at, made.resumed_at), (None, None, None));
            assert_eq!(client.charges(&customer).await, charged(&[(START, 1_000, "paid")]));
            let charges = client.list(&format!("/v1/charges?subscription={}", made.id)).await;
            assert_eq!(charges[0]["subscription"], made.id);
            // Nothing is charged before the period ends, and then at once.
            life.advance("2027-02-15T05:59:59Z").await;
            assert_eq!(client.charges(&customer).await.len(), 1);
            life.advance("2027-02-15T06:00:00Z").await;
            let renewed = charged(&[(START, 1_000, "paid"), ("2027-02-15T06:00:00Z", 1_000, "paid")]);
            assert_eq!(client.charges(&customer).await, renewed);
            let renewed = client.subscription(&made.id).await;
            renewed.stands("active", "basic", ("2027-02-15T06:00:00Z", "2027-03-15T06:00:00Z"));
            assert_eq!(renewed.start, seconds(START));
        }
    })
    .await;
}

#[tokio::test]
async fn a_trial_is_free_and_its_end_is_paid_in_full() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("trial", 1_000, &[("trial_days", "14")]).await;
            let life = Life::begin(client, START).await;
            let until = "2027-01-20T01:02:03Z";
            let end = seconds(until).to_string();
            // By the plan; by the request, which goes before the plan; and without one although the plan has one.
            let by_plan = subscribed(&life, "trial", &[]).await;
            by_plan.stands("trial", "trial", (START, "2027-01-29T06:00:00Z"));
            let by_request = subscribed(&life, "trial", &[("trial_end", &end)]).await;
            by_request.stands("trial", "trial", (START, until));
            let of_basic = subscribed(&life, "basic", &[("trial_end", &end)]).await;
            of_basic.stands("trial", "basic", (START, until));
            assert_eq!(
                (of_basic.trial_start, of_basic.trial_end),
                (Some(seconds(START)), Some(seconds(until)))
            );
            let at_once = subscribed(&life, "trial", &[("trial_end", "now")]).await;
            at_once.stands("active", "trial", (START, "2027-02-15T06:00:00Z"));
            assert_eq!((at_once.trial_start, at_once.trial_end), (None, None));
            assert_eq!(client.charges(&at_once.customer).await, charged(&[(START, 1_000, "paid")]));
            for trial in [&by_plan, &by_request, &of_basic] {
                assert_eq!(client.charges(&trial.customer).await, []);
            }
            life.advance("2027-02-01T00:00:00Z").await;
            for (trial, end, next) in [
                (by_plan, "2027-01-29T06:00:00Z", None),
                (by_request, until, Some("2027-02-20T01:02:03Z")),
                (of_basic, until, Some("2027-02-20T01:02:03Z")),
            ] {
                assert_eq!(client.charges(&trial.customer).await, charged(&[(end, 1_000, "paid")]));
                let paid = client.subscription(&trial.id).await;
                let plan = paid.plan.id.clone();
                // February has no 29th in 2027.
                paid.stands("active", &plan, (end, next.unwrap_or("2027-02-28T06:00:00Z")));
                assert_eq!(paid.trial_end, Some(seconds(end)));
            }
        }
    })
    .await;
}

async fn subscribed(life: &Life<'_>, plan: &str, more: super::super::client::Form<'_>) -> Subscription {
    let customer = life.customer(GOOD).await;
    life.client.subscribe(&customer, plan, more).await
}

#[tokio::test]
async fn with_a_billing_day_it_waits_for_the_day_unless_by_the_day() {
    in_a_shop(async |shop| {
        // Teiki's days begin at midnight in Tokyo and are charged from nine; PAY.JP's begin at nine.
        for (client, midnight) in
            [(&shop.teiki.test, "2027-01-31T15:00:00Z"), (&shop.payjp.test, "2027-02-01T00:00:00Z")]
        {
            client.plan("first", 1_000, &[("billing_day", "1")]).await;
            client.plan("trial", 1_000, &[("billing_day", "1"), ("trial_days", "5")]).await;
            let life = Life::begin(client, START).await;
            let waiting = subscribed(&life, "first", &[]).await;
            waiting.stands("active", "first", (START, midnight));
            let trial = subscribed(&life, "trial", &[]).await;
            trial.stands("trial", "trial", (START, midnight));
            let by_day = subscribed(&life, "trial", &[("prorate", "true")]).await;
            by_day.stands("trial", "trial", (START, "2027-01-20T06:00:00Z"));
            assert!(by_day.prorate && !waiting.prorate);
            life.advance("2027-02-01T00:00:00Z").await;
            let full = ("2027-02-01T00:00:00Z", 1_000, "paid");
            assert_eq!(client.charges(&waiting.customer).await, charged(&[full]));
            assert_eq!(client.charges(&trial.customer).await, charged(&[full]));
            // From the 20th to the 31st are 12 days of 31.
            let part = ("2027-01-20T06:00:00Z", 1_000 * 12 / 31, "paid");
            assert_eq!(client.charges(&by_day.customer).await, charged(&[part, full]));
            assert_eq!(client.subscription(&waiting.id).await.status, "active");
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_by_name_and_leaves_nothing() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let (past, far) = (seconds(START).to_string(), seconds("2032-01-15T06:00:01Z").to_string());
            let create = async |form: &[(&str, &str)]| client.post("/v1/subscriptions", form).await;
            let ours = ("customer", customer.as_str());
            let basic = ("plan", "basic");
            create(&[basic]).await.refused(400, "missing_param");
            create(&[ours]).await.refused(400, "missing_param");
            create(&[ours, ("plan", "none")]).await.refused(404, "invalid_plan");
            create(&[("customer", "none"), basic]).await.refused(404, "invalid_id");
            create(&[ours, basic, ("next_cycle_plan", "basic")]).await.refused(400, "invalid_param_key");
            create(&[ours, basic, ("trial_end", &past)]).await.refused(400, "invalid_trial_end");
            create(&[ours, basic, ("trial_end", &far)]).await.refused(400, "invalid_trial_end");
            create(&[ours, basic, ("trial_end", "soon")]).await.refused(400, "invalid_trial_end");
            let nobody = life.customer("").await;
            create(&[("customer", &nobody), basic]).await.refused(400, "doesnt_have_card");
            assert_eq!(client.list("/v1/subscriptions?").await, [] as [serde_json::Value; 0]);
            assert_eq!(client.charges(&customer).await, []);
            create(&[ours, basic]).await.ok();
            create(&[ours, basic]).await.refused(400, "already_subscribed");
            client.plan("other", 500, &[]).await;
            create(&[ours, ("plan", "other")]).await.ok();
        }
    })
    .await;
}

#[tokio::test]
async fn a_declined_first_payment_leaves_its_charge_and_no_subscription() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("dear", 10_001, &[]).await;
            let life = Life::begin(client, START).await;
            declined(&life, (DECLINED, "basic"), "card_declined").await;
            declined(&life, ("4000000000004012", "basic"), "expired_card").await;
            declined(&life, ("4000000000000077", "basic"), "incorrect_card_data").await;
            declined(&life, (SMALL, "dear"), "card_declined").await;
            let customer = life.customer(SMALL).await;
            client.subscribe(&customer, "basic", &[]).await;
        }
        let status = shop.installation.run(&["status", "--json"]).json();
        for account in status["accounts"].as_array().unwrap() {
            assert_eq!(account["subscriptions"], serde_json::json!({"active": 5}), "{status}");
        }
    })
    .await;
}

async fn declined(life: &Life<'_>, (card, plan): (&str, &str), code: &str) {
    let client: &Client = life.client;
    let customer = life.customer(card).await;
    let form = [("customer", customer.as_str()), ("plan", plan)];
    let error = client.post("/v1/subscriptions", &form).await.refused(402, code);
    let charge = client.get(&format!("/v1/charges/{}", error["charge"].as_str().unwrap())).await.ok();
    assert_eq!((&charge["paid"], &charge["failure_code"]), (&false.into(), &code.into()));
    assert_eq!(instant(charge["created"].as_i64().unwrap()), START);
    let gone = charge["subscription"].as_str().unwrap();
    client.get(&format!("/v1/subscriptions/{gone}")).await.refused(404, "invalid_id");
    let left = client.get(&format!("/v1/customers/{customer}/subscriptions")).await.ok();
    assert_eq!(left["count"], 0);
    let events = client.list(&format!("/v1/events?resource_id={}", charge["id"].as_str().unwrap())).await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["type"], &events[0]["data"]), (&"charge.failed".into(), &charge));
    // The plan is free for another try.
    client.pay_with(&customer, GOOD).await;
    client.subscribe(&customer, plan, &[]).await;
}

#[tokio::test]
async fn set_up_fee_quantity_and_instalments_run_to_the_end() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("course", 1_000, &[("setup_fee", "300"), ("instalments", "3")]).await;
            let life = Life::begin(client, START).await;
            let made = subscribed(&life, "course", &[("quantity", "2")]).await;
            assert_eq!((made.quantity, made.remaining_instalments), (2, Some(2)));
            life.advance("2028-01-01T00:00:00Z").await;
            let all = [
                (START, 2_300, "paid"),
                ("2027-02-15T06:00:00Z", 2_000, "paid"),
                ("2027-03-15T06:00:00Z", 2_000, "paid"),
            ];
            assert_eq!(client.charges(&made.customer).await, charged(&all));
            // It has completed; it stays to be looked at.
            let completed = client.subscription(&made.id).await;
            assert_eq!((completed.status.as_str(), completed.remaining_instalments), ("canceled", Some(0)));
            client.act(&made.id, "resume", &[]).await.refused(400, "already_canceled");
        }
    })
    .await;
}
