//! Updates: 6.5, 6.7 and 6.10.

use super::super::life::Life;
use super::super::shop::{ALSO_GOOD, DECLINED, GOOD, SMALL, charged, in_a_shop, instant, seconds};
use super::super::store::invoices;

const START: &str = "2027-01-15T06:00:00Z";
const FEBRUARY: &str = "2027-02-15T06:00:00Z";
const MARCH: &str = "2027-03-15T06:00:00Z";
const CHANGE: &str = "2027-01-20T01:02:03Z";

#[tokio::test]
async fn another_plan_is_paid_now_and_restarts_the_cycle() {
    in_a_shop(async |shop| {
        for (client, midnight) in
            [(&shop.teiki.test, "2027-01-31T15:00:00Z"), (&shop.payjp.test, "2027-02-01T00:00:00Z")]
        {
            client.plan("basic", 1_000, &[]).await;
            client.plan("plus", 1_500, &[("trial_days", "30")]).await;
            client.plan("first", 3_100, &[("billing_day", "1")]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            life.advance(CHANGE).await;
            // Neither its trial days nor its billing day delay the payment.
            client.act(&id, "", &[("plan", "plus")]).await.ok();
            let changed = client.subscription(&id).await;
            changed.stands("active", "plus", (CHANGE, "2027-02-20T01:02:03Z"));
            client.act(&id, "", &[("plan", "first")]).await.ok();
            client.subscription(&id).await.stands("active", "first", (CHANGE, midnight));
            // By the day: from the 20th to the 31st are 12 days of 31.
            client.act(&id, "", &[("plan", "basic")]).await.ok();
            client.act(&id, "", &[("plan", "first"), ("prorate", "true")]).await.ok();
            life.advance("2027-02-02T00:00:00Z").await;
            let all = [
                (START, 1_000, "paid"),
                (CHANGE, 1_500, "paid"),
                (CHANGE, 3_100, "paid"),
                (CHANGE, 1_000, "paid"),
                (CHANGE, 1_200, "paid"),
                ("2027-02-01T00:00:00Z", 3_100, "paid"),
            ];
            assert_eq!(client.charges(&customer).await, charged(&all));
        }
    })
    .await;
}

#[tokio::test]
async fn a_declined_change_leaves_everything_as_it_was() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("next", 1_100, &[]).await;
            client.plan("dear", 10_001, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(SMALL).await;
            let id = client.subscribe(&customer, "basic", &[("metadata[a]", "1")]).await.id;
            client.act(&id, "", &[("next_cycle_plan", "next")]).await.ok();
            life.advance(CHANGE).await;
            let before = client.subscription(&id).await;
            let change = [("plan", "dear"), ("quantity", "3"), ("metadata[a]", "2")];
            let error = client.act(&id, "", &change).await.refused(402, "card_declined");
            let charge = client.get(&format!("/v1/charges/{}", error["charge"].as_str().unwrap())).await.ok();
            assert_eq!((&charge["paid"], &charge["amount"]), (&false.into(), &30_003.into()));
            assert_eq!(client.subscription(&id).await, before);
            let shown = client.get(&format!("/v1/subscriptions/{id}")).await.ok();
            assert_eq!(shown["metadata"]["a"], "1");
            let rows = invoices(&shop.installation.db, &id).await;
            assert!(rows.contains(&("void".to_owned(), 30_003)), "{rows:?}");
            assert!(!rows.iter().any(|row| row.0 == "open"), "{rows:?}");
            // The schedule goes on, with the plan that was reserved.
            life.advance(FEBRUARY).await;
            let renewed = client.subscription(&id).await;
            renewed.stands("active", "next", (FEBRUARY, MARCH));
            let all = [(START, 1_000, "paid"), (CHANGE, 30_003, "card_declined"), (FEBRUARY, 1_100, "paid")];
            assert_eq!(client.charges(&customer).await, charged(&all));
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_that_makes_no_sense_is_refused_by_name() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            for plan in ["basic", "plus", "other"] {
                client.plan(plan, 1_000, &[]).await;
            }
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            client.subscribe(&customer, "other", &[]).await;
            let before = client.subscription(&id).await;
            let past = seconds(START).to_string();
            for ((name, value), status, code) in [
                (("prorate", "true"), 400, "cannot_change_prorate_status"),
                (("plan", "basic"), 400, "already_subscribed"),
                (("plan", "other"), 400, "already_subscribed"),
                (("next_cycle_plan", "basic"), 400, "already_subscribed"),
                (("next_cycle_plan", "other"), 400, "already_subscribed"),
                (("plan", "none"), 404, "invalid_plan"),
                (("next_cycle_plan", "none"), 404, "invalid_plan"),
                (("trial_end", past.as_str()), 400, "invalid_trial_end"),
                (("quantity", "0"), 400, "invalid_quantity"),
                (("customer", "x"), 400, "invalid_param_key"),
            ] {
                let error = client.act(&id, "", &[(name, value)]).await.refused(status, code);
                assert_eq!(error["param"], name);
            }
            // One plan is right, and the other is what it is to be by then.
            let both = [("plan", "plus"), ("next_cycle_plan", "plus")];
            let error = client.act(&id, "", &both).await.refused(400, "already_subscribed");
            assert_eq!(error["param"], "next_cycle_plan");
            assert_eq!(client.subscription(&id).await, before);
            assert_eq!(client.charges(&customer).await.len(), 2);
            // A plan that somebody has, or is to have, is not deleted.
            client.act(&id, "", &[("next_cycle_plan", "plus")]).await.ok();
            for plan in ["basic", "plus"] {
                client.delete(&format!("/v1/plans/{plan}")).await.refused(400, "exist_subscribers");
            }
            client.act(&id, "", &[("next_cycle_plan", "")]).await.ok();
            client.delete("/v1/plans/plus").await.ok();
        }
    })
    .await;
}

#[tokio::test]
async fn a_trial_on_a_running_one_is_free_until_then_and_now_ends_it() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            client.plan("plus", 1_500, &[]).await;
            let life = Life::begin(client, START).await;
            let [one, two, three] =
                [life.customer(GOOD).await, life.customer(GOOD).await, life.customer(GOOD).await];
            let ids = [
                client.subscribe(&one, "basic", &[]).await.id,
                client.subscribe(&two, "basic", &[]).await.id,
                client.subscribe(&three, "basic", &[]).await.id,
            ];
            life.advance(CHANGE).await;
            let end = seconds("2027-01-25T00:00:10Z").to_string();
            client.act(&ids[0], "", &[("trial_end", &end)]).await.ok();
            let trial = client.subscription(&ids[0]).await;
            trial.stands("trial", "basic", (CHANGE, "2027-01-25T00:00:10Z"));
            // With another plan: a switch at the end of the period that is not paid now.
            let switch = seconds(FEBRUARY).to_string();
            client.act(&ids[1], "", &[("plan", "plus"), ("trial_end", &switch)]).await.ok();
            client.subscription(&ids[1]).await.stands("trial", "plus", (CHANGE, FEBRUARY));
            // `now` without a trial does nothing; with one it is paid now.
            let before = client.subscription(&ids[2]).await;
            client.act(&ids[2], "", &[("trial_end", "now")]).await.ok();
            assert_eq!(client.subscription(&ids[2]).await, before);
            client.act(&ids[2], "", &[("trial_end", &end)]).await.ok();
            client.act(&ids[2], "", &[("trial_end", "now")]).await.ok();
            client.subscription(&ids[2]).await.stands("active", "basic", (CHANGE, "2027-02-20T01:02:03Z"));
            life.advance(FEBRUARY).await;
            let first = (START, 1_000, "paid");
            let free = charged(&[first, ("2027-01-25T00:00:10Z", 1_000, "paid")]);
            assert_eq!(client.charges(&one).await, free);
            assert_eq!(client.charges(&two).await, charged(&[first, (FEBRUARY, 1_500, "paid")]));
            assert_eq!(client.charges(&three).await, charged(&[first, (CHANGE, 1_000, "paid")]));
        }
    })
    .await;
}

#[tokio::test]
async fn a_next_plan_waits_for_the_renewal() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("a", 1_080, &[]).await;
            client.plan("b", 1_100, &[]).await;
            let life = Life::begin(client, "2019-08-20T01:00:00Z").await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "a", &[]).await.id;
            life.advance("2019-09-25T00:00:00Z").await;
            let reserved = client.act(&id, "", &[("next_cycle_plan", "b")]).await.ok();
            assert_eq!(
                (&reserved["next_cycle_plan"]["id"], &reserved["plan"]["id"]),
                (&"b".into(), &"a".into())
            );
            assert_eq!(reserved["next_cycle_plan"]["amount"], 1_100);
            for clears in ["", "null"] {
                let cleared = client.act(&id, "", &[("next_cycle_plan", clears)]).await.ok();
                assert!(cleared["next_cycle_plan"].is_null());
                client.act(&id, "", &[("next_cycle_plan", "b")]).await.ok();
            }
            life.advance("2019-11-21T00:00:00Z").await;
            let all = [
                ("2019-08-20T01:00:00Z", 1_080, "paid"),
                ("2019-09-20T01:00:00Z", 1_080, "paid"),
                ("2019-10-20T01:00:00Z", 1_100, "paid"),
                ("2019-11-20T01:00:00Z", 1_100, "paid"),
            ];
            assert_eq!(client.charges(&customer).await, charged(&all));
            let switched = client.subscription(&id).await;
            switched.stands("active", "b", ("2019-11-20T01:00:00Z", "2019-12-20T01:00:00Z"));
            assert_eq!(switched.next_cycle_plan, None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_next_plan_whose_payment_fails_is_owed_or_stays_reserved() {
    in_a_shop(async |shop| {
        for (client, plan, status) in
            [(&shop.teiki.test, "dear", "past_due"), (&shop.payjp.test, "basic", "paused")]
        {
            client.plan("basic", 1_000, &[]).await;
            client.plan("dear", 10_001, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(SMALL).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            client.act(&id, "", &[("next_cycle_plan", "dear")]).await.ok();
            life.advance("2027-02-16T00:00:00Z").await;
            let failed = client.subscription(&id).await;
            assert_eq!((failed.status.as_str(), failed.plan.id.as_str()), (status, plan));
            let reserved = failed.next_cycle_plan.map(|plan| plan.id);
            assert_eq!(reserved.as_deref(), (plan == "basic").then_some("dear"));
            // A resume never applies it; it pays what is open, or the plan that it has.
            client.pay_with(&customer, GOOD).await;
            client.act(&id, "resume", &[]).await.ok();
            let paid = client.charges(&customer).await.pop().unwrap();
            let yen = if plan == "basic" { 1_000 } else { 10_001 };
            assert_eq!(paid, ("2027-02-16T00:00:00Z".to_owned(), yen, "paid".to_owned()));
            life.advance("2027-03-17T00:00:00Z").await;
            let renewed = client.subscription(&id).await;
            assert_eq!((renewed.status.as_str(), renewed.plan.id.as_str()), ("active", "dear"));
            assert_eq!(client.charges(&customer).await.pop().unwrap().1, 10_001);
        }
    })
    .await;
}

#[tokio::test]
async fn now_ends_a_trial_before_the_billing_day_in_full_or_by_the_day() {
    in_a_shop(async |shop| {
        for (client, midnight) in
            [(&shop.teiki.test, "2027-01-31T15:00:00Z"), (&shop.payjp.test, "2027-02-01T00:00:00Z")]
        {
            client.plan("first", 3_100, &[("billing_day", "1")]).await;
            let life = Life::begin(client, START).await;
            let end = seconds("2027-01-25T00:00:00Z").to_string();
            let mut ids = Vec::new();
            // From the 20th to the 31st are 12 days of 31. The trial of the first is moved to the billing day.
            for (prorate, until, yen) in [("false", midnight, 3_100), ("true", "2027-01-25T00:00:00Z", 1_200)]
            {
                let customer = life.customer(GOOD).await;
                let form = [("trial_end", end.as_str()), ("prorate", prorate)];
                let made = client.subscribe(&customer, "first", &form).await;
                made.stands("trial", "first", (START, until));
                ids.push((made.id, customer, yen));
            }
            life.advance(CHANGE).await;
            for (id, customer, yen) in &ids {
                client.act(id, "", &[("trial_end", "now")]).await.ok();
                let paid = client.subscription(id).await;
                paid.stands("active", "first", (CHANGE, midnight));
                assert_eq!(paid.trial_end, Some(seconds(CHANGE)));
                assert_eq!(client.charges(customer).await, charged(&[(CHANGE, *yen, "paid")]));
            }
            life.advance("2027-02-02T00:00:00Z").await;
            for (_, customer, yen) in &ids {
                let all = [(CHANGE, *yen, "paid"), ("2027-02-01T00:00:00Z", 3_100, "paid")];
                assert_eq!(client.charges(customer).await, charged(&all));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_next_plan_with_a_billing_day_is_paid_at_the_boundary_and_again_on_the_day() {
    in_a_shop(async |shop| {
        for (client, midnight) in
            [(&shop.teiki.test, "2027-02-19T15:00:00Z"), (&shop.payjp.test, "2027-02-20T00:00:00Z")]
        {
            client.plan("basic", 1_000, &[]).await;
            client.plan("twentieth", 3_100, &[("billing_day", "20")]).await;
            let life = Life::begin(client, START).await;
            let mut ids = Vec::new();
            // In full although the day is near, or by the day: from the 15th to the 19th are 5 days of 31.
            for (prorate, yen) in [("false", 3_100), ("true", 500)] {
                let customer = life.customer(GOOD).await;
                let id = client.subscribe(&customer, "basic", &[("prorate", prorate)]).await.id;
                client.act(&id, "", &[("next_cycle_plan", "twentieth")]).await.ok();
                let preview = format!("/v1/invoices/preview?count=2&subscription={id}");
                let preview = client.get(&preview).await.ok();
                let next = |number: usize| preview["invoices"][number]["amount"].as_i64();
                assert_eq!((next(0), next(1)), (Some(yen), Some(3_100)), "{preview}");
                ids.push((id, customer, yen));
            }
            life.advance(FEBRUARY).await;
            for (id, _, _) in &ids {
                let switched = client.subscription(id).await;
                switched.stands("active", "twentieth", (FEBRUARY, midnight));
                assert!(switched.next_cycle_plan.is_none());
            }
            life.advance("2027-03-20T00:00:00Z").await;
            for (_, customer, yen) in &ids {
                let all = [
                    (START, 1_000, "paid"),
                    (FEBRUARY, *yen, "paid"),
                    ("2027-02-20T00:00:00Z", 3_100, "paid"),
                    ("2027-03-20T00:00:00Z", 3_100, "paid"),
                ];
                assert_eq!(client.charges(customer).await, charged(&all));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_quantity_is_for_the_next_invoice_on() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            assert_eq!(client.act(&id, "", &[("quantity", "4")]).await.ok()["quantity"], 4);
            life.advance(FEBRUARY).await;
            let all = [(START, 1_000, "paid"), (FEBRUARY, 4_000, "paid")];
            assert_eq!(client.charges(&customer).await, charged(&all));
        }
    })
    .await;
}

#[tokio::test]
async fn a_quantity_is_as_much_as_an_invoice_holds() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            for (plan, amount) in [("basic", 1_000), ("dear", 9_999_999), ("half", 5_000_000)] {
                client.plan(plan, amount, &[]).await;
            }
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let too_many = |error: serde_json::Value, most: &str| {
                assert_eq!(error["param"], "quantity");
                let message = error["message"].as_str().unwrap();
                assert!(message.starts_with("Invalid quantity") && message.contains(most), "{message}");
            };
            let form = [("customer", customer.as_str()), ("plan", "dear"), ("quantity", "11")];
            let refused = client.post("/v1/subscriptions", &form).await.refused(400, "invalid_quantity");
            too_many(refused, "1 to 10,");
            let id = client.subscribe(&customer, "basic", &[("quantity", "11")]).await.id;
            let before = client.subscription(&id).await;
            for (form, most) in [
                (&[("plan", "dear")][..], "1 to 10,"),
                (&[("next_cycle_plan", "dear")], "1 to 10,"),
                (&[("plan", "half"), ("quantity", "20")], "1 to 19,"),
            ] {
                too_many(client.act(&id, "", form).await.refused(400, "invalid_quantity"), most);
                let preview = [&[("subscription", id.as_str())], form].concat();
                let preview = client.send(reqwest::Method::GET, "/v1/invoices/preview", &preview).await;
                too_many(preview.refused(400, "invalid_quantity"), most);
            }
            assert_eq!(client.subscription(&id).await, before);
            // A switch of all of the plan would be the same; who is left out does not stand in its way.
            let at = seconds("2030-01-01T00:00:00Z").to_string();
            let switch = [("plan", "basic"), ("next_plan", "dear"), ("effective_at", at.as_str())];
            for path in ["/v1/plan_switches/preview", "/v1/plan_switches"] {
                let error = client.post(path, &switch).await.refused(400, "invalid_quantity");
                assert_eq!(error["param"], "next_plan");
                assert!(error["message"].as_str().unwrap().contains(&id), "{error}");
            }
            let besides = [&switch[..], &[("exclude[]", id.as_str())]].concat();
            client.post("/v1/plan_switches", &besides).await.ok();
            // As many as fit are paid, and more of it only after it is no longer reserved.
            client.act(&id, "", &[("next_cycle_plan", "dear"), ("quantity", "10")]).await.ok();
            too_many(client.act(&id, "", &[("quantity", "11")]).await.refused(400, "invalid_quantity"), "10");
            life.advance(FEBRUARY).await;
            let all = [(START, 11_000, "paid"), (FEBRUARY, 99_999_990, "paid")];
            assert_eq!(client.charges(&customer).await, charged(&all));
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_past_due_is_changed_as_what_is_active() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        client.plan("plus", 1_500, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        client.pay_with(&customer, DECLINED).await;
        life.advance(FEBRUARY).await;
        client.act(&id, "", &[("plan", "plus")]).await.refused(402, "card_declined");
        client.subscription(&id).await.stands("past_due", "basic", (FEBRUARY, MARCH));
        client.pay_with(&customer, ALSO_GOOD).await;
        client.act(&id, "", &[("plan", "plus")]).await.ok();
        // The new plan is paid, the old month is still owed.
        client.subscription(&id).await.stands("past_due", "plus", (FEBRUARY, MARCH));
        assert_eq!(client.act(&id, "resume", &[]).await.ok()["status"], "active");
        let all = [
            (START, 1_000, "paid"),
            (FEBRUARY, 1_000, "card_declined"),
            (FEBRUARY, 1_500, "card_declined"),
            (FEBRUARY, 1_500, "paid"),
            (FEBRUARY, 1_000, "paid"),
        ];
        assert_eq!(client.charges(&customer).await, charged(&all));
        assert_eq!(instant(client.subscription(&id).await.start), START);
    })
    .await;
}
