//! Pause, resume, cancel and delete: 6.8 and 6.11.

use serde_json::json;

use super::super::life::Life;
use super::super::shop::{ALSO_GOOD, DECLINED, GOOD, charged, id_of, in_a_shop, seconds};
use super::super::store::invoices;

const START: &str = "2027-01-15T06:00:00Z";
const FEBRUARY: &str = "2027-02-15T06:00:00Z";
const MARCH: &str = "2027-03-15T06:00:00Z";

#[tokio::test]
async fn a_pause_within_the_period_costs_nothing() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            client.act(&id, "resume", &[]).await.refused(400, "subscription_worked");
            life.advance("2027-01-20T00:00:00Z").await;
            client.act(&id, "pause", &[("prorate", "true")]).await.refused(400, "invalid_param_key");
            let paused = client.act(&id, "pause", &[]).await.ok();
            assert_eq!(
                (&paused["status"], &paused["paused_at"]),
                (&json!("paused"), &json!(seconds("2027-01-20T00:00:00Z")))
            );
            for (action, form) in [("pause", &[][..]), ("", &[("plan", "basic")])] {
                let error = client.act(&id, action, form).await.refused(400, "already_paused");
                assert_eq!(error["message"], format!("\"{id}\" has already been paused."));
            }
            life.advance("2027-01-25T00:00:00Z").await;
            client.act(&id, "resume", &[]).await.ok();
            let resumed = client.subscription(&id).await;
            resumed.stands("active", "basic", (START, FEBRUARY));
            assert_eq!(
                (resumed.paused_at, resumed.resumed_at),
                (None, Some(seconds("2027-01-25T00:00:00Z")))
            );
            let again = client.act(&id, "pause", &[]).await.ok();
            assert!(again["resumed_at"].is_null());
            client.act(&id, "resume", &[]).await.ok();
            life.advance(FEBRUARY).await;
            let all = [(START, 1_000, "paid"), (FEBRUARY, 1_000, "paid")];
            assert_eq!(client.charges(&customer).await, charged(&all));
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_is_told_that_a_canceled_subscription_is_charged_again() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let id = client.subscribe(&client.customer(GOOD).await, "basic", &[]).await.id;
        let scheduled = format!("/v1/invoices?status=scheduled&subscription={id}");
        let next = async || client.get(&scheduled).await.ok()["data"][0]["next_attempt_at"].clone();
        let status = || shop.installation.run(&["status", "--json"]).text().to_owned();
        let invoice = client.get(&scheduled).await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
        for canceled in [false, true, false] {
            if canceled {
                client.act(&id, "cancel", &[]).await.ok();
            } else if client.subscription(&id).await.status == "canceled" {
                client.act(&id, "resume", &[]).await.ok();
            }
            assert_eq!(next().await.is_null(), canceled);
            assert_eq!(status().contains(&invoice), !canceled);
        }
    })
    .await;
}

#[tokio::test]
async fn a_pause_while_a_renewal_is_put_off_costs_nothing_and_moves_nothing() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            let later = "2027-02-25T00:00:00Z";
            let path = format!("/v1/invoices?subscription={id}&status=scheduled");
            let path = format!("/v1/invoices/{}", id_of(&client.list(&path).await[0]));
            client.post(&path, &[("due_at", &seconds(later).to_string())]).await.ok();
            life.advance("2027-02-20T00:00:00Z").await;
            client.act(&id, "pause", &[]).await.ok();
            client.act(&id, "resume", &[]).await.ok();
            assert_eq!(client.charges(&customer).await, charged(&[(START, 1_000, "paid")]));
            life.advance(MARCH).await;
            let all = [(START, 1_000, "paid"), (later, 1_000, "paid"), (MARCH, 1_000, "paid")];
            assert_eq!(client.charges(&customer).await, charged(&all));
        }
    })
    .await;
}

#[tokio::test]
async fn a_resume_after_the_period_is_paid_now_and_dates_count_from_it() {
    in_a_shop(async |shop| {
        for (client, first) in
            [(&shop.teiki.test, "2027-06-30T15:00:00Z"), (&shop.payjp.test, "2027-07-01T00:00:00Z")]
        {
            client.plan("basic", 1_000, &[]).await;
            client.plan("first", 1_000, &[("billing_day", "1")]).await;
            let life = Life::begin(client, START).await;
            let [one, two] = [life.customer(GOOD).await, life.customer(GOOD).await];
            let ids = [
                client.subscribe(&one, "basic", &[]).await.id,
                client.subscribe(&two, "first", &[("prorate", "true")]).await.id,
            ];
            for id in &ids {
                client.act(id, "pause", &[]).await.ok();
            }
            life.advance("2027-06-10T00:00:00Z").await;
            assert_eq!(client.charges(&one).await.len(), 1);
            client.act(&ids[0], "resume", &[]).await.ok();
            client.act(&ids[1], "resume", &[("prorate", "true")]).await.ok();
            let now = "2027-06-10T00:00:00Z";
            client.subscription(&ids[0]).await.stands("active", "basic", (now, "2027-07-10T00:00:00Z"));
            client.subscription(&ids[1]).await.stands("active", "first", (now, first));
            life.advance("2027-07-10T00:00:00Z").await;
            let whole =
                [(START, 1_000, "paid"), (now, 1_000, "paid"), ("2027-07-10T00:00:00Z", 1_000, "paid")];
            assert_eq!(client.charges(&one).await, charged(&whole));
            // 17 days of 31 are left of January from the 15th on, 21 of 30 of June from the 10th on.
            let parts = [(START, 548, "paid"), (now, 700, "paid"), ("2027-07-01T00:00:00Z", 1_000, "paid")];
            assert_eq!(client.charges(&two).await, charged(&parts));
        }
    })
    .await;
}

#[tokio::test]
async fn a_resume_before_a_billing_day_is_paid_in_full_or_free_until_the_day() {
    const NOW: &str = "2027-06-05T03:00:00Z";
    in_a_shop(async |shop| {
        // The billing day after the resume, and that after the end of the trial.
        for (client, june, july) in [
            (&shop.teiki.test, "2027-06-14T15:00:00Z", "2027-07-14T15:00:00Z"),
            (&shop.payjp.test, "2027-06-15T00:00:00Z", "2027-07-15T00:00:00Z"),
        ] {
            client.plan("middle", 1_000, &[("billing_day", "15")]).await;
            let life = Life::begin(client, START).await;
            let trial_end = seconds("2027-06-20T00:00:00Z").to_string();
            let (first, paid) = (("2027-02-15T00:00:00Z", 1_000, "paid"), "paid");
            let table: [(super::super::client::Form<'_>, _, _, Vec<_>); 2] = [
                (&[], "active", june, vec![first, (NOW, 1_000, paid), ("2027-06-15T00:00:00Z", 1_000, paid)]),
                (&[("trial_end", &trial_end)], "trial", july, vec![first]),
            ];
            let mut ids = Vec::new();
            for _ in &table {
                let customer = life.customer(GOOD).await;
                ids.push((client.subscribe(&customer, "middle", &[]).await.id, customer));
            }
            life.advance("2027-02-20T00:00:00Z").await;
            for (id, _) in &ids {
                client.act(id, "pause", &[]).await.ok();
            }
            life.advance(NOW).await;
            for ((id, _), (form, status, until, _)) in ids.iter().zip(&table) {
                client.act(id, "resume", form).await.ok();
                client.subscription(id).await.stands(status, "middle", (NOW, until));
            }
            life.advance("2027-07-14T23:59:59Z").await;
            for ((_, customer), (_, _, _, by_then)) in ids.iter().zip(&table) {
                assert_eq!(client.charges(customer).await, charged(by_then));
            }
            life.advance("2027-07-15T00:00:00Z").await;
            for ((_, customer), (_, _, _, by_then)) in ids.iter().zip(table) {
                let all = [by_then, vec![("2027-07-15T00:00:00Z", 1_000, "paid")]].concat();
                assert_eq!(client.charges(customer).await, charged(&all));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_declined_resume_stays_paused() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            client.act(&id, "pause", &[]).await.ok();
            client.pay_with(&customer, DECLINED).await;
            life.advance(MARCH).await;
            let before = client.subscription(&id).await;
            client.act(&id, "resume", &[]).await.refused(402, "card_declined");
            assert_eq!(client.subscription(&id).await, before);
            // With a trial there is nothing to be paid yet.
            let end = seconds("2027-03-20T00:00:01Z").to_string();
            client.act(&id, "resume", &[("trial_end", &end)]).await.ok();
            let trial = client.subscription(&id).await;
            trial.stands("trial", "basic", (MARCH, "2027-03-20T00:00:01Z"));
            assert_eq!(trial.trial_end, Some(seconds("2027-03-20T00:00:01Z")));
        }
    })
    .await;
}

#[tokio::test]
async fn in_a_trial_pause_resume_and_cancel_keep_it() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("trial", 1_000, &[("trial_days", "10")]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "trial", &[]).await.id;
            let end = "2027-01-25T06:00:00Z";
            client.act(&id, "pause", &[]).await.ok();
            client.act(&id, "resume", &[]).await.ok();
            client.subscription(&id).await.stands("trial", "trial", (START, end));
            client.act(&id, "cancel", &[]).await.ok();
            client.act(&id, "resume", &[]).await.ok();
            client.subscription(&id).await.stands("trial", "trial", (START, end));
            // A trial that was slept through is over: the resume is paid.
            client.act(&id, "pause", &[]).await.ok();
            life.advance("2027-02-01T00:00:00Z").await;
            client.act(&id, "resume", &[]).await.ok();
            let now = "2027-02-01T00:00:00Z";
            assert_eq!(client.charges(&customer).await, charged(&[(now, 1_000, "paid")]));
            client.subscription(&id).await.stands("active", "trial", (now, "2027-03-01T00:00:00Z"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_canceled_one_runs_to_the_end_of_its_period_and_is_deleted_then() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            life.advance("2027-01-20T00:00:00Z").await;
            let strange =
                client.act(&id, "cancel", &[("reason", "x")]).await.refused(400, "invalid_param_key");
            assert_eq!(strange["message"], "Invalid param key to subscription");
            client.act(&id, "cancel", &[]).await.ok();
            let canceled = client.subscription(&id).await;
            canceled.stands("canceled", "basic", (START, FEBRUARY));
            assert_eq!(canceled.canceled_at, Some(seconds("2027-01-20T00:00:00Z")));
            client.act(&id, "cancel", &[]).await.refused(400, "already_canceled");
            client.act(&id, "pause", &[]).await.refused(400, "already_canceled");
            client.act(&id, "", &[("metadata[a]", "b")]).await.refused(400, "already_canceled");
            // A resume undoes it.
            client.act(&id, "resume", &[]).await.ok();
            let running = client.subscription(&id).await;
            running.stands("active", "basic", (START, FEBRUARY));
            assert_eq!(running.canceled_at, None);
            life.advance("2027-02-20T00:00:00Z").await;
            client.act(&id, "cancel", &[]).await.ok();
            life.advance("2027-03-15T05:59:59Z").await;
            assert_eq!(client.subscription(&id).await.status, "canceled");
            life.advance(MARCH).await;
            client.get(&format!("/v1/subscriptions/{id}")).await.refused(404, "invalid_id");
            client.act(&id, "resume", &[]).await.refused(404, "invalid_id");
            life.advance("2028-01-01T00:00:00Z").await;
            let all = [(START, 1_000, "paid"), (FEBRUARY, 1_000, "paid")];
            assert_eq!(client.charges(&customer).await, charged(&all));
            // It is gone, so the plan can be taken again.
            client.subscribe(&customer, "basic", &[]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_cancel_after_the_last_instalment_ends_too() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("twice", 1_000, &[("instalments", "2")]).await;
            let life = Life::begin(client, START).await;
            let [owing, paying] = [life.customer(GOOD).await, life.customer(GOOD).await];
            let mut ids = Vec::new();
            for customer in [&owing, &paying] {
                ids.push(client.subscribe(customer, "twice", &[]).await.id);
                client.pay_with(customer, DECLINED).await;
            }
            life.advance("2027-02-20T00:00:00Z").await;
            for id in &ids {
                client.act(id, "cancel", &[]).await.ok();
                assert_eq!(client.subscription(id).await.status, "canceled");
            }
            // Where the failure has paused, the period was over: it ends with the next second.
            let is_open = client.list(&format!("/v1/invoices?subscription={}&status=open", ids[1])).await;
            if let Some(open) = is_open.first() {
                client.pay_with(&paying, ALSO_GOOD).await;
                let path = format!("/v1/invoices/{}/pay", id_of(open));
                client.post(&path, &[]).await.ok();
                assert_eq!(client.subscription(&ids[1]).await.status, "canceled");
                life.advance("2027-03-15T05:59:59Z").await;
                assert_eq!(client.subscription(&ids[0]).await.status, "canceled");
            }
            life.advance(MARCH).await;
            for (id, customer) in ids.iter().zip([&owing, &paying]) {
                client.get(&format!("/v1/subscriptions/{id}")).await.refused(404, "invalid_id");
                let left = client.list(&format!("/v1/invoices?subscription={id}")).await;
                let states: Vec<_> = left.iter().map(|invoice| invoice["status"].as_str().unwrap()).collect();
                assert!(!states.contains(&"scheduled") && !states.contains(&"open"), "{states:?}");
                client.pay_with(customer, "5105105105105100").await;
                client.subscribe(customer, "twice", &[]).await;
            }
        }
    })
    .await;
}

/// Nothing of it is in the plan of that day, and the guard must not take its end for too much.
#[tokio::test]
async fn a_cancel_long_after_the_last_instalment_ends_at_once_and_holds_nobody() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("twice", 1_000, &[("instalments", "2")]).await;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let [owing, other] = [life.customer(GOOD).await, life.customer(GOOD).await];
        let id = client.subscribe(&owing, "twice", &[]).await.id;
        client.pay_with(&owing, DECLINED).await;
        life.advance("2027-03-20T00:00:00Z").await;
        assert_eq!(client.subscription(&id).await.status, "past_due");
        client.act(&id, "cancel", &[]).await.ok();
        life.advance("2027-03-20T00:01:00Z").await;
        client.get(&format!("/v1/subscriptions/{id}")).await.refused(404, "invalid_id");
        // The account goes on.
        client.subscribe(&other, "basic", &[]).await;
        life.advance("2027-05-01T00:00:00Z").await;
        assert_eq!(client.charges(&other).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn deleted_is_gone_for_ever_and_its_charges_stay() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let [one, two] = [life.customer(GOOD).await, life.customer(GOOD).await];
            let id = client.subscribe(&one, "basic", &[]).await.id;
            let of_two = client.subscribe(&two, "basic", &[]).await.id;
            let path = format!("/v1/subscriptions/{id}");
            let answer = client.delete(&path).await.ok();
            assert_eq!(answer, json!({"deleted": true, "id": id, "livemode": false}));
            client.get(&path).await.refused(404, "invalid_id");
            client.delete(&path).await.refused(404, "invalid_id");
            for action in ["pause", "resume", "cancel", ""] {
                client.act(&id, action, &[]).await.refused(404, "invalid_id");
            }
            // A customer takes its subscriptions along.
            client.delete(&format!("/v1/customers/{two}")).await.ok();
            client.get(&format!("/v1/subscriptions/{of_two}")).await.refused(404, "invalid_id");
            life.advance(MARCH).await;
            for (customer, id) in [(&one, &id), (&two, &of_two)] {
                assert_eq!(client.charges(customer).await, charged(&[(START, 1_000, "paid")]));
                let left = client.list(&format!("/v1/charges?subscription={id}")).await;
                assert_eq!(left[0]["subscription"], id.as_str());
            }
            client.delete("/v1/plans/basic").await.ok();
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_past_due_is_paused_canceled_and_deleted_as_what_is_active() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let customer = life.customer(GOOD).await;
            ids.push(client.subscribe(&customer, "basic", &[]).await.id);
            client.pay_with(&customer, DECLINED).await;
        }
        life.advance(FEBRUARY).await;
        for (id, action) in ids.iter().zip(["pause", "cancel"]) {
            client.act(id, action, &[]).await.ok();
        }
        client.delete(&format!("/v1/subscriptions/{}", ids[2])).await.ok();
        let shown = async |id: &str| client.subscription(id).await.status;
        assert_eq!((shown(&ids[0]).await.as_str(), shown(&ids[1]).await.as_str()), ("paused", "canceled"));
        life.advance("2027-05-01T00:00:00Z").await;
        // Paused: the one month stays owed, no other is added. Ended: what was owed is given up.
        let open = async |id: &str| {
            let rows = invoices(&shop.installation.db, id).await;
            rows.into_iter().map(|row| row.0).filter(|status| status != "scheduled").collect::<Vec<_>>()
        };
        assert_eq!(open(&ids[0]).await, ["paid", "open"]);
        assert_eq!(open(&ids[1]).await, ["paid", "uncollectible", "void"]);
        assert_eq!(open(&ids[2]).await, ["paid", "uncollectible", "void"]);
        let customer = client.subscription(&ids[0]).await.customer;
        client.pay_with(&customer, "5105105105105100").await;
        client.act(&ids[0], "resume", &[]).await.ok();
        // The oldest open invoice is paid, the anchor is kept, and the month that runs comes due.
        life.advance("2027-05-01T00:00:01Z").await;
        client.subscription(&ids[0]).await.stands(
            "active",
            "basic",
            ("2027-04-15T06:00:00Z", "2027-05-15T06:00:00Z"),
        );
        let paid = client.charges(&customer).await;
        let paid: Vec<_> = paid.iter().filter(|charge| charge.2 == "paid").map(|it| it.0.as_str()).collect();
        assert_eq!(paid.len(), 3, "{paid:?}");
    })
    .await;
}
