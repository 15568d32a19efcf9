//! A renewal whose request never arrived: it is made again, unless something happened to its subscription meanwhile, and
//! whatever happened nobody waits for ever.

use std::collections::BTreeMap;

use billing::resolution::Idempotency;
use teiki::renewals::work::Ended;

use super::world::{DUE, Does, Scripted, World, quick};
use crate::installation::{Installation, on_both};

/// The next due instant.
const NEXT: &str = "2027-02-28T09:00:00+09:00";

/// The first request of each card vanishes.
fn vanishing(_: &str, request: usize) -> Does {
    if request == 1 { Does::Vanish } else { Does::Succeed }
}

/// A subscriber whose renewal was sent and is not known.
struct Unknown<'a> {
    world: World<'a>,
    gateway: std::sync::Arc<Scripted>,
    line: std::sync::Arc<teiki::line::Line>,
}

impl<'a> Unknown<'a> {
    async fn begin(installation: &'a Installation, failure: &str) -> Self {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let all = vec![("status", "active".into())];
        installation.change_each("subscriptions", all, vec![("renewal_failure", failure.into())]).await;
        let gateway = Scripted::new(quick(Idempotency::None), vanishing);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["unknown"]);
        Self { world, gateway, line }
    }

    /// Changes a column of the subscription behind the back of everyone.
    async fn meanwhile(&self, column: &'static str, value: crate::installation::Is) {
        let own = vec![("account_id", (&self.world.id().to_string()).into())];
        self.world.installation.change("subscriptions", own, vec![(column, value)]).await;
    }

    async fn prove(&self) {
        self.world.resolve(&self.line, DUE).await;
        self.world.resolve(&self.line, DUE).await;
        assert_eq!(self.world.column("charges", "status"), ["void"]);
    }

    async fn bill(&self, now: &str) {
        assert_eq!(self.world.bill(&self.line, now).await, Ended::Done);
    }

    fn taken(&self) -> usize {
        self.gateway.successes().values().sum()
    }

    fn must_stand(&self, status: &str, invoices: &[&str]) {
        assert_eq!(self.world.column("subscriptions", "status"), [status]);
        assert_eq!(self.world.column("invoices", "status"), invoices);
        assert_eq!(self.world.column("subscriptions", "parked_reason"), ["null"]);
        self.world.assert_healthy();
    }
}

#[tokio::test]
async fn it_is_charged_again_whatever_a_failure_would_do() {
    on_both(async |installation| {
        for failure in ["open", "payjp"] {
            let unknown = Unknown::begin(installation, failure).await;
            unknown.prove().await;
            unknown.bill(DUE).await;
            assert_eq!(unknown.gateway.successes(), BTreeMap::from([("tok.a".to_owned(), 1)]), "{failure}");
            unknown.must_stand("active", &["paid", "scheduled"]);
            unknown.bill(NEXT).await;
            assert_eq!(unknown.taken(), 2, "{failure}: and the next period is billed");
            unknown.must_stand("active", &["paid", "paid", "scheduled"]);
        }
    })
    .await;
}

#[tokio::test]
async fn paused_or_canceled_meanwhile_it_stays_owed_and_is_not_charged() {
    on_both(async |installation| {
        for status in ["paused", "canceled"] {
            let unknown = Unknown::begin(installation, "open").await;
            unknown.meanwhile("status", status.into()).await;
            if status == "canceled" {
                unknown.meanwhile("cancel_reason", "requested".into()).await;
            }
            unknown.prove().await;
            unknown.bill(DUE).await;
            assert_eq!(unknown.gateway.keys().len(), 1, "{status}");
            unknown.must_stand(status, &["open", "scheduled"]);
        }
    })
    .await;
}

#[tokio::test]
async fn paused_after_it_was_proven_it_leaves_the_list() {
    on_both(async |installation| {
        let unknown = Unknown::begin(installation, "open").await;
        unknown.prove().await;
        unknown.meanwhile("status", "paused".into()).await;
        unknown.bill(DUE).await;
        assert_eq!(unknown.gateway.keys().len(), 1);
        unknown.must_stand("paused", &["open", "scheduled"]);
    })
    .await;
}

#[tokio::test]
async fn without_a_card_by_then_it_fails_by_name() {
    on_both(async |installation| {
        for (failure, status, invoice) in [("open", "past_due", "open"), ("payjp", "paused", "void")] {
            let unknown = Unknown::begin(installation, failure).await;
            unknown.meanwhile("payment_method_id", crate::installation::Is::NoText).await;
            unknown.prove().await;
            unknown.bill(DUE).await;
            assert_eq!(unknown.gateway.keys().len(), 1, "{failure}");
            let mut invoices = [invoice, "scheduled"];
            invoices.sort_unstable();
            unknown.must_stand(status, &invoices);
            assert_eq!(unknown.world.column("invoices", "reason"), ["missing_card", "null"], "{failure}");
            unknown.bill(DUE).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_parked_is_billed_again_when_a_person_says_so() {
    on_both(async |installation| {
        let unknown = Unknown::begin(installation, "open").await;
        unknown.prove().await;
        let (world, account) = (&unknown.world, unknown.world.id().to_string());
        // Parked at an open invoice: it has been charged too often.
        let open = vec![("status", "open".into()), ("account_id", (&account).into())];
        installation.change("invoices", open, vec![("charge_count", 100.into())]).await;
        unknown.bill(DUE).await;
        let id = world.column("subscriptions", "subscription_id").remove(0);
        assert!(world.column("subscriptions", "parked_reason")[0].contains("100 times"));
        let unpark = ["unpark", "--account", &account, "--subscription", &id, "--json"];
        assert_eq!(installation.run(&unpark).json()["unparked"], 1);
        let nothing = installation.run(&unpark);
        assert_eq!(nothing.code, 2, "{nothing:?}");
        let open = vec![("status", "open".into()), ("account_id", (&account).into())];
        installation.change("invoices", open, vec![("charge_count", 1.into())]).await;
        unknown.bill(DUE).await;
        unknown.must_stand("active", &["paid", "scheduled"]);
        unknown.bill(NEXT).await;
        unknown.must_stand("active", &["paid", "paid", "scheduled"]);
        assert_eq!(installation.run(&unpark[..3]).text().trim(), "no subscription is parked");
    })
    .await;
}

/// What was missed while it was parked belongs to the plan of the day on which it goes on: it is no runaway.
#[tokio::test]
async fn what_was_missed_while_parked_is_billed_on_a_day_that_has_its_plan() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "daily"), ("b", "daily")]).await;
        let gateway = Scripted::new(quick(Idempotency::None), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        let scheduled = || vec![("customer_id", "b".into()), ("status", "scheduled".into())];
        installation.change("invoices", scheduled(), vec![("currency", "xyz".into())]).await;
        let mut last = String::new();
        for day in ["01-31", "02-01", "02-02", "02-03"] {
            last = format!("2027-{day}T09:00:00+09:00");
            assert_eq!(world.bill(&line, &last).await, Ended::Done, "{day}");
        }
        assert_eq!(gateway.successes(), BTreeMap::from([("tok.a".to_owned(), 4)]));
        installation.change("invoices", scheduled(), vec![("currency", "jpy".into())]).await;
        let account = world.id().to_string();
        assert_eq!(installation.run(&["unpark", "--account", &account, "--json"]).json()["unparked"], 1);
        assert_eq!(world.bill(&line, &last).await, Ended::Done);
        let both = [("tok.a".to_owned(), 4), ("tok.b".to_owned(), 4)];
        assert_eq!(gateway.successes(), BTreeMap::from(both));
        world.assert_healthy();
    })
    .await;
}

#[tokio::test]
async fn the_doctor_finds_an_open_invoice_that_nobody_is_at() {
    on_both(async |installation| {
        let unknown = Unknown::begin(installation, "payjp").await;
        unknown.prove().await;
        let account = unknown.world.id().to_string();
        let open = vec![("status", "open".into()), ("account_id", (&account).into())];
        installation
            .change("invoices", open, vec![("next_action_at", crate::installation::Is::NoNumber)])
            .await;
        let ran = installation.run(&["doctor", "--json"]);
        let checks = ran.json()["checks"].as_array().cloned().unwrap_or_default();
        let waiting = checks.iter().find(|check| check["name"] == "waiting").expect("there is such a check");
        assert_eq!(waiting["level"], "problem", "{waiting}");
    })
    .await;
}
