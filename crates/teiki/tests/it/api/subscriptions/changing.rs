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
            for (form, status, code) in [
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
                client.act(&id, "", &[form]).await.refused(status, code);
            }
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
