//! The yen table of 6.6, by real charges.

use super::super::client::Client;
use super::super::life::Life;
use super::super::shop::{GOOD, charged, in_a_shop, seconds};

/// Billing day, trial end, creation, and the first charges.
type Row = (&'static str, Option<&'static str>, &'static str, &'static [(&'static str, i64, &'static str)]);

/// Subscribes with `prorate` and looks at what is charged within 35 days.
async fn check(client: &Client, (day, trial_end, created, expected): Row) {
    let plan = format!("day{day}");
    if client.get(&format!("/v1/plans/{plan}")).await.status == 404 {
        client.plan(&plan, 1_000, &[("billing_day", day)]).await;
    }
    let life = Life::begin(client, created).await;
    let customer = life.customer(GOOD).await;
    let end = trial_end.map(|end| seconds(end).to_string());
    let mut more = vec![("prorate", "true")];
    more.extend(end.as_deref().map(|end| ("trial_end", end)));
    client.subscribe(&customer, &plan, &more).await;
    life.advance(&super::super::shop::instant(seconds(created) + 35 * 86_400)).await;
    let mut charges = client.charges(&customer).await;
    charges.truncate(expected.len());
    assert_eq!(charges, charged(expected), "created {created}");
}

#[tokio::test]
async fn the_yen_table_of_payjp_is_charged_to_the_yen() {
    const TABLE: [Row; 9] = [
        (
            "1",
            None,
            "2018-08-27T03:00:00Z",
            &[("2018-08-27T03:00:00Z", 161, "paid"), ("2018-09-01T00:00:00Z", 1_000, "paid")],
        ),
        ("1", None, "2015-11-17T03:00:00Z", &[("2015-11-17T03:00:00Z", 466, "paid")]),
        // The trap of the early morning.
        (
            "1",
            None,
            "2019-02-28T15:00:00Z",
            &[("2019-02-28T15:00:00Z", 35, "paid"), ("2019-03-01T00:00:00Z", 1_000, "paid")],
        ),
        (
            "1",
            Some("2019-03-01T15:00:00Z"),
            "2019-02-28T15:00:00Z",
            &[("2019-03-01T15:00:00Z", 1_000, "paid"), ("2019-04-01T00:00:00Z", 1_000, "paid")],
        ),
        (
            "1",
            None,
            "2019-03-01T00:00:00Z",
            &[("2019-03-01T00:00:00Z", 1_000, "paid"), ("2019-04-01T00:00:00Z", 1_000, "paid")],
        ),
        ("1", Some("2019-03-02T00:00:00Z"), "2019-03-01T23:59:59Z", &[("2019-03-02T00:00:00Z", 967, "paid")]),
        // The last second of the trap, with the advised midnight.
        (
            "1",
            Some("2019-03-01T15:00:00Z"),
            "2019-02-28T23:59:59Z",
            &[("2019-03-01T15:00:00Z", 1_000, "paid"), ("2019-04-01T00:00:00Z", 1_000, "paid")],
        ),
        (
            "31",
            None,
            "2026-02-10T03:00:00Z",
            &[("2026-02-10T03:00:00Z", 642, "paid"), ("2026-02-28T00:00:00Z", 1_000, "paid")],
        ),
        (
            "31",
            None,
            "2026-03-15T03:00:00Z",
            &[("2026-03-15T03:00:00Z", 516, "paid"), ("2026-03-31T00:00:00Z", 1_000, "paid")],
        ),
    ];
    in_a_shop(async |shop| {
        for row in TABLE {
            check(&shop.payjp.test, row).await;
        }
    })
    .await;
}

#[tokio::test]
async fn in_the_accounts_own_days_there_is_no_trap_in_the_morning() {
    const TABLE: [Row; 7] = [
        (
            "1",
            None,
            "2018-08-27T03:00:00Z",
            &[("2018-08-27T03:00:00Z", 161, "paid"), ("2018-09-01T00:00:00Z", 1_000, "paid")],
        ),
        (
            "1",
            None,
            "2019-02-28T15:00:00Z",
            &[("2019-02-28T15:00:00Z", 1_000, "paid"), ("2019-04-01T00:00:00Z", 1_000, "paid")],
        ),
        (
            "1",
            None,
            "2019-02-28T14:59:59Z",
            &[("2019-02-28T14:59:59Z", 35, "paid"), ("2019-03-01T00:00:00Z", 1_000, "paid")],
        ),
        ("1", Some("2019-03-01T15:00:00Z"), "2019-02-28T15:00:00Z", &[("2019-03-01T15:00:00Z", 967, "paid")]),
        ("1", Some("2019-03-01T15:00:00Z"), "2019-02-28T23:59:59Z", &[("2019-03-01T15:00:00Z", 967, "paid")]),
        (
            "31",
            None,
            "2026-02-10T03:00:00Z",
            &[("2026-02-10T03:00:00Z", 642, "paid"), ("2026-02-28T00:00:00Z", 1_000, "paid")],
        ),
        (
            "31",
            None,
            "2026-03-15T03:00:00Z",
            &[("2026-03-15T03:00:00Z", 516, "paid"), ("2026-03-31T00:00:00Z", 1_000, "paid")],
        ),
    ];
    in_a_shop(async |shop| {
        for row in TABLE {
            check(&shop.teiki.test, row).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_share_of_a_few_yen_is_charged_and_one_of_none_is_not() {
    // Price, months of a cycle, and what is charged for the one day before the billing day.
    const TABLE: [(i64, &str, Option<i64>); 4] =
        [(1_400, "1", Some(50)), (1_399, "1", Some(49)), (50, "1", Some(1)), (50, "3", None)];
    const LAST_DAY: &str = "2027-02-28T03:00:00Z";
    in_a_shop(async |shop| {
        for client in shop.both() {
            for (number, (price, months, share)) in TABLE.into_iter().enumerate() {
                let plan = format!("plan{number}");
                client.plan(&plan, price, &[("billing_day", "1"), ("interval_count", months)]).await;
                let life = Life::begin(client, LAST_DAY).await;
                let customer = life.customer(GOOD).await;
                let made = client.subscribe(&customer, &plan, &[("prorate", "true")]).await;
                assert_eq!((made.status.as_str(), made.current_period_start), ("active", seconds(LAST_DAY)));
                let first: Vec<_> = share.iter().map(|yen| (LAST_DAY, *yen, "paid")).collect();
                assert_eq!(client.charges(&customer).await, charged(&first), "{price} {months}");
                life.advance("2027-03-01T00:00:00Z").await;
                let all = [first, vec![("2027-03-01T00:00:00Z", price, "paid")]].concat();
                assert_eq!(client.charges(&customer).await, charged(&all), "{price} {months}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn by_the_day_means_nothing_without_a_billing_day() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let life = Life::begin(client, "2027-01-15T06:00:00Z").await;
            let customer = life.customer(GOOD).await;
            let made = client.subscribe(&customer, "basic", &[("prorate", "True")]).await;
            assert!(made.prorate);
            assert_eq!(client.charges(&customer).await, charged(&[("2027-01-15T06:00:00Z", 1_000, "paid")]));
        }
    })
    .await;
}
