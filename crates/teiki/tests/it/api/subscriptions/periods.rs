//! Period arithmetic: 6.4.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::super::client::Client;
use super::super::life::Life;
use super::super::shop::{GOOD, in_a_shop, soon};

/// Subscribes at `created` and looks at when it is charged until `until`.
async fn check(client: &Client, plan: &str, (created, until): (&str, &str), expected: &[&str]) {
    let life = Life::begin(client, created).await;
    let customer = life.customer(GOOD).await;
    let made = client.subscribe(&customer, plan, &[]).await;
    life.advance(until).await;
    let charges = client.charges(&customer).await;
    let times: Vec<&str> = charges.iter().map(|charge| charge.0.as_str()).collect();
    assert_eq!(times, expected, "{plan} created {created}");
    assert!(charges.iter().all(|charge| charge.2 == "paid"), "{charges:?}");
    let stands = client.subscription(&made.id).await;
    assert_eq!(stands.status, "active");
}

#[tokio::test]
async fn month_ends_come_back() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("month", 1_000, &[]).await;
        client.plan("year", 1_000, &[("interval", "year")]).await;
        client.plan("quarter", 1_000, &[("interval_count", "3")]).await;
        client.plan("last", 1_000, &[("billing_day", "31")]).await;
        let days =
            ["2027-01-31T06:00:00Z", "2027-02-28T06:00:00Z", "2027-03-31T06:00:00Z", "2027-04-30T06:00:00Z"];
        check(client, "month", (days[0], "2027-05-30T00:00:00Z"), &days).await;
        // The table of 6.4: midnight of the first of June in Tokyo, and so of every month.
        let firsts =
            ["2019-05-31T15:00:00Z", "2019-06-30T15:00:00Z", "2019-07-31T15:00:00Z", "2019-08-31T15:00:00Z"];
        check(client, "month", (firsts[0], "2019-09-01T00:00:00Z"), &firsts).await;
        let leap = [
            "2028-02-29T06:00:00Z",
            "2029-02-28T06:00:00Z",
            "2030-02-28T06:00:00Z",
            "2031-02-28T06:00:00Z",
            "2032-02-29T06:00:00Z",
        ];
        check(client, "year", (leap[0], "2032-12-31T00:00:00Z"), &leap).await;
        let quarters = ["2027-11-30T06:00:00Z", "2028-02-29T06:00:00Z", "2028-05-30T06:00:00Z"];
        check(client, "quarter", (quarters[0], "2028-06-30T00:00:00Z"), &quarters).await;
        let lasts =
            ["2027-01-31T00:00:00Z", "2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z", "2027-04-30T00:00:00Z"];
        check(client, "last", ("2027-01-15T06:00:00Z", "2027-05-30T00:00:00Z"), &lasts).await;
    })
    .await;
}

#[tokio::test]
async fn in_payjps_calendar_days_drift_down_and_stay() {
    in_a_shop(async |shop| {
        let client = &shop.payjp.test;
        client.plan("month", 1_000, &[]).await;
        client.plan("year", 1_000, &[("interval", "year")]).await;
        client.plan("last", 1_000, &[("billing_day", "31")]).await;
        let table =
            ["2019-05-31T15:00:00Z", "2019-06-30T15:00:00Z", "2019-07-30T15:00:00Z", "2019-08-30T15:00:00Z"];
        check(client, "month", (table[0], "2019-09-01T00:00:00Z"), &table).await;
        let ends =
            ["2027-01-31T06:00:00Z", "2027-02-28T06:00:00Z", "2027-03-28T06:00:00Z", "2027-04-28T06:00:00Z"];
        check(client, "month", (ends[0], "2027-05-28T05:59:59Z"), &ends).await;
        let leap = ["2028-02-29T06:00:00Z", "2029-02-28T06:00:00Z", "2032-02-28T06:00:00Z"];
        let years = [leap[0], leap[1], "2030-02-28T06:00:00Z", "2031-02-28T06:00:00Z", leap[2]];
        check(client, "year", (leap[0], "2032-12-31T00:00:00Z"), &years).await;
        let lasts =
            ["2027-01-31T00:00:00Z", "2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z", "2027-04-30T00:00:00Z"];
        check(client, "last", ("2027-01-15T06:00:00Z", "2027-05-30T00:00:00Z"), &lasts).await;
    })
    .await;
}

/// A renewal that comes late, because charging is held when it is due.
#[tokio::test]
async fn a_late_renewal_does_not_move_the_next_boundary() {
    in_a_shop(async |shop| {
        for (client, zone) in [(&shop.teiki.test, "Asia/Tokyo"), (&shop.payjp.test, "UTC")] {
            client.plan("month", 1_000, &[]).await;
            // Real time: no clock goes past what is due.
            let now = async || {
                let made = client.post("/v1/customers", &[]).await.ok();
                made["created"].as_i64().unwrap()
            };
            let hold = |switch: &str| assert_eq!(shop.installation.run(&["hold", switch]).code, 0);
            let customer = client.customer(GOOD).await;
            hold("on");
            let end = now().await + 5;
            let form = [("trial_end", end.to_string())];
            let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
            let id = client.subscribe(&customer, "month", &form).await.id;
            soon("it is late", async || (now().await > end + 1).then_some(())).await;
            assert_eq!(client.charges(&customer).await, [], "it is held");
            hold("off");
            soon("the renewal", async || {
                let charges = client.charges(&customer).await;
                charges.first().is_some_and(|charge| charge.2 == "paid").then_some(())
            })
            .await;
            let renewed = client.subscription(&id).await;
            let start = Timestamp::from_second(end).unwrap().to_zoned(TimeZone::get(zone).unwrap());
            let next = start.checked_add(Span::new().months(1)).unwrap().timestamp().as_second();
            assert_eq!(
                (renewed.status.as_str(), renewed.current_period_start, renewed.current_period_end),
                ("active", end, next)
            );
        }
    })
    .await;
}

#[tokio::test]
async fn years_in_one_go_are_billed_as_month_by_month() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("month", 1_000, &[]).await;
            client
                .plan("trial", 700, &[("trial_days", "40"), ("billing_day", "31"), ("instalments", "20")])
                .await;
            client.plan("next", 1_200, &[("interval", "week"), ("interval_count", "3")]).await;
            let whole = lives(client, &["2029-06-30T12:00:00Z"]).await;
            let mut steps = Vec::new();
            for month in 0..29 {
                let (year, month) = (2027 + (1 + month) / 12, (1 + month) % 12 + 1);
                steps.push(format!("{year}-{month:02}-28T00:00:00Z"));
            }
            steps.push("2029-06-30T12:00:00Z".to_owned());
            let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
            assert_eq!(lives(client, &steps).await, whole);
        }
    })
    .await;
}

/// What has been charged, and what is told, of three subscriptions whose clock goes these ways.
async fn lives(client: &Client, ways: &[&str]) -> Vec<String> {
    let life = Life::begin(client, "2027-01-31T06:00:00Z").await;
    let mut ids = Vec::new();
    for (card, plan) in
        [(GOOD, "month"), ("sbx_decline_insufficient_funds_until_20280101", "trial"), (GOOD, "month")]
    {
        let customer = life.customer(card).await;
        ids.push((client.subscribe(&customer, plan, &[]).await.id, customer));
    }
    client.act(&ids[2].0, "", &[("next_cycle_plan", "next")]).await.ok();
    for way in ways {
        life.advance(way).await;
    }
    let mut told = Vec::new();
    for (id, customer) in ids {
        told.push(format!("{:?}", client.charges(&customer).await));
        told.push(format!("{:?}", client.subscription(&id).await.standing()));
        let events = client.list(&format!("/v1/events?resource_id={id}")).await;
        told.extend(events.iter().map(|event| format!("{} {}", event["created"], event["type"])));
    }
    told
}
