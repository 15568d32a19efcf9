//! Charging on time: before, at and after the instant; missed for days; twice; two workers.

use std::collections::BTreeMap;

use billing::resolution::Idempotency;
use teiki::renewals::work::Ended;

use super::world::{DUE, Does, Scripted, World, quick};
use crate::installation::on_both;

const FOR_EVER: Idempotency = Idempotency::Strong { window_ms: None };

fn once(names: &[&str]) -> BTreeMap<String, usize> {
    times(1, names)
}

fn times(count: usize, names: &[&str]) -> BTreeMap<String, usize> {
    names.iter().map(|name| (format!("tok.{name}"), count)).collect()
}

#[tokio::test]
async fn a_cycle_is_charged_at_its_instant_and_once() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly"), ("b", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        assert_eq!(world.bill(&line, "2027-01-31T08:59:59.999999+09:00").await, Ended::Done);
        assert_eq!(gateway.successes(), BTreeMap::new());
        for now in [DUE, DUE, "2027-02-28T08:59:59+09:00"] {
            world.bill(&line, now).await;
            assert_eq!(gateway.successes(), once(&["a", "b"]), "{now}");
        }
        world.bill(&line, "2027-02-28T09:00:00+09:00").await;
        assert_eq!(gateway.successes(), times(2, &["a", "b"]));
        assert_eq!(
            world.column("invoices", "due_on"),
            ["2027-01-31", "2027-01-31", "2027-02-28", "2027-02-28", "2027-03-31", "2027-03-31"]
        );
        world.assert_healthy();
    })
    .await;
}

#[tokio::test]
async fn e27_missed_days_become_invoices_of_their_own() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "daily")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        world.bill(&line, "2027-02-02T12:00:00+09:00").await;
        assert_eq!(gateway.successes(), times(3, &["a"]));
        assert_eq!(world.column("charges", "due_on"), ["2027-01-31", "2027-02-01", "2027-02-02"]);
        world.assert_healthy();
    })
    .await;
}

#[tokio::test]
async fn two_workers_at_once_charge_each_cycle_once() {
    on_both(async |installation| {
        let names: Vec<String> = (0..60).map(|number| format!("c{number}")).collect();
        let subscribers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "monthly")).collect();
        let world = World::new(installation, &subscribers).await;
        let gateway = Scripted::new(quick(Idempotency::None), |_, _| Does::Succeed);
        let (one, other) = (world.line(&gateway).await, world.line(&gateway).await);
        tokio::join!(world.bill(&one, DUE), world.bill(&other, DUE));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(gateway.successes(), once(&names));
        world.assert_healthy();
    })
    .await;
}

#[tokio::test]
async fn the_last_instalment_ends_the_subscription_as_completed() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "twice")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        world.bill(&line, "2027-06-30T09:00:00+09:00").await;
        assert_eq!(gateway.successes(), times(2, &["a"]));
        assert_eq!(world.column("subscriptions", "status"), ["canceled"]);
        assert_eq!(world.column("subscriptions", "cancel_reason"), ["completed"]);
        assert_eq!(
            world.column("events", "type"),
            [
                "charge.succeeded",
                "charge.succeeded",
                "invoice.opened",
                "invoice.opened",
                "subscription.canceled",
                "subscription.created",
                "subscription.renewed",
                "subscription.renewed"
            ]
        );
        world.assert_healthy();
    })
    .await;
}

#[tokio::test]
async fn a_decline_leaves_the_debt_open_and_later_cycles_go_on() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway =
            Scripted::new(
                quick(FOR_EVER),
                |_, request| {
                    if request == 1 { Does::Decline } else { Does::Succeed }
                },
            );
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        assert_eq!(world.column("subscriptions", "status"), ["past_due"]);
        assert_eq!(world.column("invoices", "status"), ["open", "scheduled"]);
        assert_eq!(world.column("charges", "failure_class"), ["funds"]);
        world.bill(&line, "2027-02-28T09:00:00+09:00").await;
        assert_eq!(world.column("invoices", "status"), ["open", "paid", "scheduled"]);
        assert_eq!(world.column("subscriptions", "status"), ["past_due"]);
        world.assert_healthy();
    })
    .await;
}
