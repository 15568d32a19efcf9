//! Renewals that fail: 6.9, with an invoice that stays open, and in PAY.JP's way.

use serde_json::Value;

use super::super::life::Life;
use super::super::shop::{ALSO_GOOD, DECLINED, GOOD, SMALL, charged, id_of, in_a_shop, instant, seconds};
use super::super::store::invoices;

const START: &str = "2027-01-15T06:00:00Z";
const FEBRUARY: &str = "2027-02-15T06:00:00Z";
const MARCH: &str = "2027-03-15T06:00:00Z";
const APRIL: &str = "2027-04-15T06:00:00Z";

#[tokio::test]
async fn an_open_invoice_is_past_due_until_a_resume_pays_it_and_the_period_stays() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        client.pay_with(&customer, DECLINED).await;
        life.advance("2027-02-20T00:00:00Z").await;
        let past_due = client.subscription(&id).await;
        past_due.stands("past_due", "basic", (FEBRUARY, MARCH));
        let failed = charged(&[(START, 1_000, "paid"), (FEBRUARY, 1_000, "card_declined")]);
        assert_eq!(client.charges(&customer).await, failed);
        let listed = client.list("/v1/subscriptions?status=past_due").await;
        assert_eq!((listed.len(), id_of(&listed[0])), (1, id.clone()));
        // A resume with the same card is declined, and nothing changes.
        let error = client.act(&id, "resume", &[]).await.refused(402, "card_declined");
        assert!(error["charge"].as_str().unwrap().starts_with("ch_"), "{error}");
        assert_eq!(client.subscription(&id).await, past_due);
        let open = |amount| ("open".to_owned(), amount);
        let [paid, scheduled] = ["paid", "scheduled"].map(|status| (status.to_owned(), 1_000));
        let rows = invoices(&shop.installation.db, &id).await;
        assert_eq!(rows, [paid.clone(), open(1_000), scheduled.clone()]);
        // A new default card charges nothing yet.
        client.pay_with(&customer, ALSO_GOOD).await;
        assert_eq!(client.charges(&customer).await.len(), 3);
        client.act(&id, "resume", &[("trial_end", "1900000000")]).await.refused(400, "invalid_trial_end");
        let resumed = client.act(&id, "resume", &[]).await.ok();
        assert_eq!(resumed["status"], "active");
        client.subscription(&id).await.stands("active", "basic", (FEBRUARY, MARCH));
        let rows = invoices(&shop.installation.db, &id).await;
        assert_eq!(rows, [paid.clone(), paid, scheduled]);
        client.act(&id, "resume", &[]).await.refused(400, "subscription_worked");
        // The anchor is kept.
        life.advance(MARCH).await;
        let now = "2027-02-20T00:00:00Z";
        let all = [
            (START, 1_000, "paid"),
            (FEBRUARY, 1_000, "card_declined"),
            (now, 1_000, "card_declined"),
            (now, 1_000, "paid"),
            (MARCH, 1_000, "paid"),
        ];
        assert_eq!(client.charges(&customer).await, charged(&all));
        client.subscription(&id).await.stands("active", "basic", (MARCH, APRIL));
    })
    .await;
}

#[tokio::test]
async fn a_resume_pays_the_oldest_of_several_open_invoices() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        client.plan("plus", 1_500, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        client.pay_with(&customer, DECLINED).await;
        client.act(&id, "", &[("next_cycle_plan", "plus")]).await.ok();
        life.advance("2027-03-20T00:00:00Z").await;
        // The switch was made with the first bill that failed: 1,500 twice is owed.
        client.subscription(&id).await.stands("past_due", "plus", (MARCH, APRIL));
        client.pay_with(&customer, ALSO_GOOD).await;
        assert_eq!(client.act(&id, "resume", &[]).await.ok()["status"], "past_due");
        let states: Vec<_> =
            invoices(&shop.installation.db, &id).await.into_iter().map(|row| row.0).collect();
        assert_eq!(states, ["paid", "paid", "open", "scheduled"]);
        assert_eq!(client.act(&id, "resume", &[]).await.ok()["status"], "active");
        client.subscription(&id).await.stands("active", "plus", (MARCH, APRIL));
        let paid: i64 =
            client.charges(&customer).await.iter().filter(|charge| charge.2 == "paid").map(|it| it.1).sum();
        assert_eq!(paid, 1_000 + 2 * 1_500);
    })
    .await;
}

#[tokio::test]
async fn in_payjps_way_a_failed_renewal_pauses_and_a_resume_makes_the_only_new_payment() {
    in_a_shop(async |shop| {
        let client = &shop.payjp.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        client.pay_with(&customer, DECLINED).await;
        life.advance("2027-04-20T00:00:00Z").await;
        // No retry, and nothing in the months after; the end of the period stays where it failed.
        let paused = client.subscription(&id).await;
        paused.stands("paused", "basic", (START, FEBRUARY));
        assert_eq!((paused.paused_at, paused.resumed_at), (Some(seconds(FEBRUARY)), None));
        let failed = charged(&[(START, 1_000, "paid"), (FEBRUARY, 1_000, "card_declined")]);
        assert_eq!(client.charges(&customer).await, failed);
        let rows = invoices(&shop.installation.db, &id).await;
        let states: Vec<&str> =
            rows.iter().map(|row| row.0.as_str()).filter(|it| *it != "scheduled").collect();
        assert_eq!(states, ["paid", "void"], "{rows:?}");
        client.act(&id, "", &[("metadata[a]", "b")]).await.refused(400, "already_paused");
        client.act(&id, "pause", &[]).await.refused(400, "already_paused");
        client.act(&id, "resume", &[]).await.refused(402, "card_declined");
        assert_eq!(client.subscription(&id).await, paused);
        client.pay_with(&customer, ALSO_GOOD).await;
        assert_eq!(client.charges(&customer).await.len(), 3);
        client.act(&id, "resume", &[]).await.ok();
        // Dates count from the resume.
        let now = "2027-04-20T00:00:00Z";
        let resumed = client.subscription(&id).await;
        resumed.stands("active", "basic", (now, "2027-05-20T00:00:00Z"));
        assert_eq!((resumed.paused_at, resumed.resumed_at), (None, Some(seconds(now))));
        life.advance("2027-05-21T00:00:00Z").await;
        let all = [
            (START, 1_000, "paid"),
            (FEBRUARY, 1_000, "card_declined"),
            (now, 1_000, "card_declined"),
            (now, 1_000, "paid"),
            ("2027-05-20T00:00:00Z", 1_000, "paid"),
        ];
        assert_eq!(client.charges(&customer).await, charged(&all));
    })
    .await;
}

#[tokio::test]
async fn a_failed_end_of_trial_is_past_due_or_paused() {
    in_a_shop(async |shop| {
        for (client, status) in [(&shop.teiki.test, "past_due"), (&shop.payjp.test, "paused")] {
            client.plan("trial", 1_000, &[("trial_days", "10"), ("setup_fee", "300")]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(DECLINED).await;
            let id = client.subscribe(&customer, "trial", &[]).await.id;
            let end = "2027-01-25T06:00:00Z";
            life.advance("2027-01-26T00:00:00Z").await;
            assert_eq!(client.subscription(&id).await.status, status);
            assert_eq!(client.charges(&customer).await, charged(&[(end, 1_300, "card_declined")]));
            client.pay_with(&customer, GOOD).await;
            assert_eq!(client.act(&id, "resume", &[]).await.ok()["status"], "active");
            // The set-up fee was never paid, so it is part of what is paid now.
            let charges = client.charges(&customer).await;
            assert_eq!(charges[1], ("2027-01-26T00:00:00Z".to_owned(), 1_300, "paid".to_owned()));
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_card_a_renewal_fails_by_name() {
    in_a_shop(async |shop| {
        for (client, status) in [(&shop.teiki.test, "past_due"), (&shop.payjp.test, "paused")] {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            let card = client.get(&format!("/v1/customers/{customer}")).await.ok()["default_card"].clone();
            let path = format!("/v1/customers/{customer}/cards/{}", card.as_str().unwrap());
            client.delete(&path).await.ok();
            let cardless = client.get(&format!("/v1/customers/{customer}")).await.ok();
            assert_eq!((&cardless["default_card"], &cardless["cards"]["count"]), (&Value::Null, &0.into()));
            life.advance(FEBRUARY).await;
            let failed = client.subscription(&id).await;
            let paused_at = (status == "paused").then(|| seconds(FEBRUARY));
            assert_eq!((failed.status.as_str(), failed.paused_at), (status, paused_at));
            client.act(&id, "resume", &[]).await.refused(400, "doesnt_have_card");
            let preview = format!("/v1/invoices/preview?subscription={id}&change=resume");
            client.get(&preview).await.refused(400, "doesnt_have_card");
            client.pay_with(&customer, ALSO_GOOD).await;
            assert_eq!(client.act(&id, "resume", &[]).await.ok()["status"], "active");
            let paid = client.charges(&customer).await;
            let paid: Vec<_> = paid.iter().filter(|charge| charge.2 == "paid").collect();
            assert_eq!(paid.len(), 2, "{paid:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_set_up_fee_is_paid_once_however_often_the_first_bill_fails() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("trial", 1_000, &[("trial_days", "10"), ("setup_fee", "300")]).await;
            let life = Life::begin(client, START).await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "trial", &[]).await.id;
            let card = client.get(&format!("/v1/customers/{customer}")).await.ok()["default_card"].clone();
            let path = format!("/v1/customers/{customer}/cards/{}", card.as_str().unwrap());
            client.delete(&path).await.ok();
            life.advance("2027-01-26T00:00:00Z").await;
            client.pay_with(&customer, DECLINED).await;
            client.act(&id, "resume", &[]).await.refused(402, "card_declined");
            client.pay_with(&customer, GOOD).await;
            client.act(&id, "resume", &[]).await.ok();
            life.advance("2027-03-01T00:00:00Z").await;
            let charges = client.charges(&customer).await;
            let paid: Vec<i64> = charges.iter().filter(|it| it.2 == "paid").map(|it| it.1).collect();
            assert_eq!(paid, [1_300, 1_000]);
        }
    })
    .await;
}

#[tokio::test]
async fn every_test_card_expires_whatever_it_does_before() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let life = Life::begin(client, "2088-12-31T00:00:00Z").await;
        let mut customers = Vec::new();
        for (number, amount, before) in [
            (GOOD, "500", None),
            (SMALL, "500", None),
            (SMALL, "10001", Some("card_declined")),
            (DECLINED, "500", Some("card_declined")),
            ("4000000000000077", "500", Some("incorrect_card_data")),
            ("4000000000000101", "500", None),
            ("4000000900000003", "500", None),
        ] {
            let card = [("card[number]", number), ("card[exp_month]", "12"), ("card[exp_year]", "2088")];
            let token = id_of(&client.post("/v1/tokens", &card).await.ok());
            let form = [("card", token.as_str()), ("test_clock", &life.clock)];
            let customer = id_of(&client.post("/v1/customers", &form).await.ok());
            let sale = [("amount", amount), ("currency", "jpy"), ("customer", &customer)];
            let answer = client.post("/v1/charges", &sale).await;
            match before {
                None => drop(answer.ok()),
                Some(code) => drop(answer.refused(402, code)),
            }
            customers.push((customer, amount));
        }
        life.advance("2089-01-15T06:00:00Z").await;
        for (customer, amount) in &customers {
            let sale = [("amount", *amount), ("currency", "jpy"), ("customer", customer)];
            client.post("/v1/charges", &sale).await.refused(402, "expired_card");
        }
    })
    .await;
}

#[tokio::test]
async fn a_card_expires_by_the_clock() {
    in_a_shop(async |shop| {
        for (client, status) in [(&shop.teiki.test, "past_due"), (&shop.payjp.test, "paused")] {
            client.plan("basic", 1_000, &[]).await;
            // The card is good in real time, and its month ends on the way.
            let life = Life::begin(client, "2088-11-15T06:00:00Z").await;
            let customer = life.customer("").await;
            let card = [("card[number]", GOOD), ("card[exp_month]", "12"), ("card[exp_year]", "2088")];
            let token = id_of(&client.post("/v1/tokens", &card).await.ok());
            client.post(&format!("/v1/customers/{customer}"), &[("card", &token)]).await.ok();
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            life.advance("2088-12-31T00:00:00Z").await;
            assert_eq!(client.subscription(&id).await.status, "active");
            life.advance("2089-01-15T06:00:00Z").await;
            let charges = client.charges(&customer).await;
            assert_eq!(charges.last().unwrap().2, "expired_card");
            assert_eq!(client.subscription(&id).await.status, status);
            let newest = client.get(&format!("/v1/charges?customer={customer}&limit=1")).await.ok();
            let created = newest["data"][0]["created"].as_i64().unwrap();
            assert_eq!(instant(created), "2089-01-15T06:00:00Z");
        }
    })
    .await;
}
