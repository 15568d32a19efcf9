//! What goes wrong on the way: lost answers, requests that never arrived, refusals, guards, bad rows.

use std::collections::BTreeMap;

use billing::charge::Fact;
use billing::decline::DeclineClass;
use billing::event::History;
use billing::id::{ChargeId, SubscriptionId};
use billing::resolution::Idempotency;
use db::Error;

use teiki::actor::Actor;
use teiki::charges::send::send_and_settle;
use teiki::charges::settle::{Times, settle};
use teiki::charges::{News, Report};
use teiki::holds;
use teiki::leases::{Fence, Former};
use teiki::line::Line;
use teiki::renewals::work::Ended;

use super::world::{DUE, Does, Scripted, World, at, prepared, quick};
use crate::installation::on_both;

const FOR_EVER: Idempotency = Idempotency::Strong { window_ms: None };

fn one(name: &str) -> BTreeMap<String, usize> {
    BTreeMap::from([(format!("tok.{name}"), 1)])
}

#[tokio::test]
async fn a_lost_answer_is_found_out_and_not_charged_again() {
    on_both(async |installation| {
        for idempotency in [FOR_EVER, Idempotency::BestEffort, Idempotency::None] {
            let world = World::new(installation, &[("a", "monthly")]).await;
            let gateway = Scripted::new(quick(idempotency), |_, _| Does::SucceedSilently);
            let line = world.line(&gateway).await;
            world.bill(&line, DUE).await;
            assert_eq!(world.column("charges", "status"), ["unknown"]);
            // A second process comes up: whoever was sending is gone.
            let line = world.line(&gateway).await;
            assert_eq!(world.resolve(&line, DUE).await, 1);
            assert_eq!(world.column("charges", "status"), ["succeeded"], "{idempotency:?}");
            assert_eq!(gateway.successes(), one("a"));
            world.assert_healthy();
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_never_arrived_is_made_again_once_it_is_proven() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let script = |_: &str, request| if request == 1 { Does::Vanish } else { Does::Succeed };
        let gateway = Scripted::new(quick(Idempotency::None), script);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        world.resolve(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["unknown"], "one absence proves nothing");
        assert_eq!(world.bill(&line, DUE).await, Ended::Done);
        assert_eq!(gateway.keys().len(), 1, "nothing is charged while the first is unknown");
        world.resolve(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["void"]);
        world.bill(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["succeeded", "void"]);
        assert_eq!(gateway.successes(), one("a"));
        world.assert_healthy();
    })
    .await;
}

#[tokio::test]
async fn a_success_that_comes_after_all_is_written_as_surplus() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let script = |_: &str, request| if request == 1 { Does::Vanish } else { Does::Succeed };
        let gateway = Scripted::new(quick(Idempotency::None), script);
        let line = world.line(&gateway).await;
        for _ in 0..3 {
            world.bill(&line, DUE).await;
            world.resolve(&line, DUE).await;
        }
        world.bill(&line, DUE).await;
        let news = news_of(&world, "void", Fact::Succeeded);
        let report = tell(&line, vec![news.clone()]).await;
        assert_eq!(report, Report { succeeded: 1, ..Report::default() });
        assert_eq!(tell(&line, vec![news]).await, Report::default(), "the second caller changes nothing");
        assert_eq!(world.column("charges", "status"), ["succeeded", "succeeded"]);
        assert_eq!(world.column("charges", "surplus"), ["false", "true"]);
        let status = world.installation.run(&["status", "--json"]);
        assert!(status.text().contains("surplus"), "{status:?}");
    })
    .await;
}

/// News about the one charge with this status.
fn news_of(world: &World<'_>, status: &str, fact: Fact) -> News {
    let charges = world.export("charges");
    let charge = charges.iter().find(|charge| charge["status"] == status).expect("there is such a charge");
    let text = |column: &str| charge[column].as_str().expect("a text").to_owned();
    let id: ChargeId = text("charge_id").parse().expect("an id");
    let subscription: SubscriptionId = text("subscription_id").parse().expect("an id");
    News {
        gateway_charge_id: Some("gw_late".into()),
        ..News::of(id, History::Subscription(subscription), fact)
    }
}

async fn tell(line: &Line, news: Vec<News>) -> Report {
    settle(line, news, Times { billing: at(DUE), real: teiki::clock::now() })
        .await
        .expect("truth is writable")
}

#[tokio::test]
async fn truth_told_by_many_at_once_is_written_once() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(Idempotency::None), |_, _| Does::Vanish);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        let news = news_of(&world, "unknown", Fact::Succeeded);
        let same = vec![news.clone(), news.clone()];
        let told = tokio::join!(tell(&line, same), tell(&line, vec![news.clone()]), tell(&line, vec![news]));
        assert_eq!(told.0.succeeded + told.1.succeeded + told.2.succeeded, 1);
        assert_eq!(world.column("invoices", "status"), ["paid", "scheduled"]);
        world.assert_healthy();
    })
    .await;
}

/// Charges of one subscription, the older one first.
fn both_news(world: &World<'_>, facts: [Fact; 2]) -> Vec<News> {
    let mut charges = world.export("charges");
    charges.sort_by_key(|charge| charge["billing_at"].as_str().map(str::to_owned));
    let text = |charge: &serde_json::Value, column: &str| charge[column].as_str().expect("a text").to_owned();
    let news = charges.iter().zip(facts).map(|(charge, fact)| {
        let id: ChargeId = text(charge, "charge_id").parse().expect("an id");
        let subscription: SubscriptionId = text(charge, "subscription_id").parse().expect("an id");
        let decline =
            (fact == Fact::Declined).then(|| ("insufficient_funds".to_owned(), DeclineClass::Funds));
        let gateway_charge_id = Some(format!("gw_{id}"));
        News { gateway_charge_id, decline, ..News::of(id, History::Subscription(subscription), fact) }
    });
    news.collect()
}

#[tokio::test]
async fn a_debt_is_seen_also_when_the_next_payment_is_found_out_at_the_same_moment() {
    on_both(async |installation| {
        for (facts, is_turned) in [
            ([Fact::Declined, Fact::Succeeded], false),
            ([Fact::Declined, Fact::Succeeded], true),
            ([Fact::Succeeded, Fact::Declined], false),
        ] {
            let world = World::new(installation, &[("a", "monthly")]).await;
            let gateway = Scripted::new(quick(Idempotency::None), |_, _| Does::Vanish);
            let line = world.line(&gateway).await;
            world.bill(&line, DUE).await;
            world.bill(&line, "2027-02-28T09:00:00+09:00").await;
            assert_eq!(world.column("charges", "status"), ["unknown", "unknown"]);
            let mut news = both_news(&world, facts);
            if is_turned {
                news.reverse();
            }
            tell(&line, news).await;
            assert_eq!(world.column("subscriptions", "status"), ["past_due"], "{facts:?} {is_turned}");
            assert_eq!(world.column("invoices", "status"), ["open", "paid", "scheduled"], "{facts:?}");
            world.assert_healthy();
        }
    })
    .await;
}

/// The first request does not get through.
fn away_at_first(_: &str, request: usize) -> Does {
    if request == 1 { Does::Refuse } else { Does::Succeed }
}

#[tokio::test]
async fn what_was_never_sent_is_not_sent_after_it_was_stopped() {
    on_both(async |installation| {
        for (status, invoice) in [("paused", "open"), ("canceled", "open"), ("active", "uncollectible")] {
            let world = World::new(installation, &[("a", "monthly")]).await;
            let gateway = Scripted::new(quick(Idempotency::None), away_at_first);
            let line = world.line(&gateway).await;
            world.bill(&line, DUE).await;
            assert_eq!(world.column("charges", "status"), ["prepared"]);
            let own = || vec![("account_id", (&world.id().to_string()).into())];
            let mut after = vec![("status", status.into())];
            if status == "canceled" {
                after.push(("cancel_reason", "requested".into()));
            }
            installation.change("subscriptions", own(), after).await;
            let open = vec![("account_id", (&world.id().to_string()).into()), ("status", "open".into())];
            installation.change("invoices", open, vec![("status", invoice.into())]).await;
            world.take_over(&line).await;
            world.resolve(&line, DUE).await;
            world.bill(&line, DUE).await;
            assert_eq!(world.column("charges", "status"), ["void"], "{status}");
            assert_eq!(gateway.successes(), BTreeMap::new(), "{status}");
            let mut invoices = [invoice, "scheduled"];
            invoices.sort_unstable();
            assert_eq!(world.column("invoices", "status"), invoices, "{status}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_not_sent_is_sent_later_under_the_same_key() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let script = |_: &str, request| if request == 1 { Does::Refuse } else { Does::Succeed };
        let gateway = Scripted::new(quick(Idempotency::None), script);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["prepared"]);
        world.resolve(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["succeeded"]);
        let keys = gateway.keys();
        assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
        world.assert_healthy();
    })
    .await;
}

#[tokio::test]
async fn a_key_with_other_parameters_freezes_the_charge() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Mismatch);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        for _ in 0..3 {
            world.resolve(&line, DUE).await;
        }
        assert_eq!(gateway.keys().len(), 1, "it is never sent again");
        assert_eq!(world.column("charges", "status"), ["unknown"], "and never declared void");
        let status = world.installation.run(&["status", "--json"]);
        assert!(status.text().contains("key_mismatch"), "{status:?}");
    })
    .await;
}

#[tokio::test]
async fn a_hold_stops_charging_and_its_release_lets_it_go_on() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        let (id, now) = (world.id(), at(DUE));
        let place = move |tx: &mut db::Tx<'_>| holds::place(tx, id.as_str(), "prices", Actor::Operator, now);
        installation.db.write::<_, Error, _>(place).await.expect("the hold is written");
        assert_eq!(world.bill(&line, DUE).await, Ended::Held("prices".into()));
        assert_eq!(gateway.keys().len(), 0);
        holds::release(&installation.db, id.to_string()).await.expect("the hold is released");
        world.bill(&line, DUE).await;
        assert_eq!(gateway.successes(), one("a"));
    })
    .await;
}

#[tokio::test]
async fn a_run_beyond_the_plan_of_the_day_holds_the_account() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly"), ("b", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        let account = world.id().to_string();
        let plan = vec![
            ("account_id", (&account).into()),
            ("mode", "test".into()),
            ("clock_id", (&world.scope.clock).into()),
            ("day", "2027-01-31".into()),
            ("planned_count", 1.into()),
            ("planned_amount", 980.into()),
        ];
        installation.insert("day_plans", plan).await;
        let Ended::Held(reason) = world.bill(&line, DUE).await else {
            panic!("two invoices passed a plan of one");
        };
        assert!(reason.contains("2 invoices would be charged today, the plan of the day has 1"), "{reason}");
        assert_eq!(gateway.keys().len(), 0);
        let status = installation.run(&["status", "--json"]);
        assert!(status.text().contains("plan of the day has 1"), "{status:?}");
    })
    .await;
}

#[tokio::test]
async fn a_bad_row_is_parked_with_its_reason_and_the_others_go_on() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly"), ("b", "monthly"), ("c", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        let invoices = world.export("invoices");
        let spoil = |customer: &str| {
            let invoice =
                invoices.iter().find(|invoice| invoice["customer_id"] == customer).expect("has an invoice");
            vec![("id", invoice["invoice_id"].as_str().expect("an id").into())]
        };
        installation.change("invoices", spoil("a"), vec![("lines", "[]".into())]).await;
        installation.change("invoices", spoil("b"), vec![("currency", "xyz".into())]).await;
        assert_eq!(world.bill(&line, DUE).await, Ended::Done);
        assert_eq!(gateway.successes(), one("c"));
        let reasons = world.column("subscriptions", "parked_reason");
        assert!(reasons.iter().any(|reason| reason.contains("lines that add up to")), "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.contains("invoices.currency")), "{reasons:?}");
        assert_eq!(world.bill(&line, "2027-02-28T09:00:00+09:00").await, Ended::Done);
    })
    .await;
}

#[tokio::test]
async fn an_invoice_that_is_due_before_its_period_is_parked_and_not_charged() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        let invoice = world.column("invoices", "invoice_id").remove(0);
        let early = at("2027-01-05T09:00:00+09:00").as_microsecond();
        let set = vec![("next_action_at", early.into())];
        installation.change("invoices", vec![("id", (&invoice).into())], set).await;
        world.bill(&line, "2027-01-05T09:00:00+09:00").await;
        assert_eq!(gateway.keys().len(), 0);
        let reasons = world.column("subscriptions", "parked_reason");
        assert!(reasons[0].contains("which is after"), "{reasons:?}");
    })
    .await;
}

#[tokio::test]
async fn a_process_that_slept_before_sending_sends_no_more() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(Idempotency::None), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        let mut outgoing = prepared(&world, &line).await;
        outgoing[0].not_after = teiki::clock::now() - jiff::SignedDuration::from_millis(1);
        send_and_settle(&line, outgoing, at(DUE)).await.expect("writes");
        assert_eq!(gateway.keys().len(), 0);
        assert_eq!(world.column("charges", "status"), ["prepared"]);
        world.resolve(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["succeeded"]);
    })
    .await;
}

#[tokio::test]
async fn absence_proves_nothing_while_a_former_holder_may_still_send() {
    on_both(async |installation| {
        for (former, after) in [(Former::Gone, "void"), (Former::MaySend, "unknown")] {
            let mut world = World::new(installation, &[("a", "monthly")]).await;
            let gateway = Scripted::new(quick(Idempotency::None), |_, _| Does::Succeed);
            prepared(&world, &*world.line(&gateway).await).await;
            let lease = Fence { name: "clock".into(), number: 1, former };
            world.scope.lease = Some(lease);
            let successor = world.line(&gateway).await;
            for _ in 0..3 {
                world.resolve(&successor, DUE).await;
            }
            assert_eq!(world.column("charges", "status"), [after], "{former:?}");
            assert_eq!(gateway.keys().len(), 0);
        }
    })
    .await;
}

/// More than are looked at together.
fn many() -> Vec<String> {
    (0..600).map(|number| format!("c{number:03}")).collect()
}

#[tokio::test]
async fn what_two_dead_processes_left_behind_is_all_taken_up_at_once() {
    on_both(async |installation| {
        let names = many();
        let people: Vec<_> = names.iter().map(|name| (name.as_str(), "monthly")).collect();
        let world = World::new(installation, &people).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        prepared(&world, &*world.line(&gateway).await).await;
        // The first successor marked each as sent again, to be looked at when that would be over, and is gone too.
        let marked = vec![
            ("status", "unknown".into()),
            ("check_at", at("2200-01-01T00:00:00Z").as_microsecond().into()),
        ];
        assert_eq!(
            installation.change_each("charges", vec![("status", "sending".into())], marked).await,
            600
        );
        let line = world.line(&gateway).await;
        assert_eq!(world.resolve(&line, DUE).await, names.len());
        assert!(world.column("charges", "status").iter().all(|status| status == "succeeded"));
        assert!(gateway.successes().values().all(|&count| count == 1));
        world.assert_healthy();
    })
    .await;
}

#[tokio::test]
async fn what_must_not_be_sent_is_not_in_the_way_of_what_is_asked() {
    on_both(async |installation| {
        let names = many();
        let people: Vec<_> = names.iter().map(|name| (name.as_str(), "monthly")).collect();
        let world = World::new(installation, &people).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        let asked = prepared(&world, &line).await.pop().expect("600 of them").charge;
        let unsent = vec![("status", "prepared".into()), ("check_at", 1.into())];
        installation.change_each("charges", vec![("status", "sending".into())], unsent).await;
        let unknown = vec![("status", "unknown".into()), ("check_at", 2.into())];
        installation.change("charges", vec![("id", asked.as_str().into())], unknown).await;
        let successor = world.line(&gateway).await;
        successor.set_held(true);
        assert_eq!(world.resolve(&successor, DUE).await, 1);
        assert_eq!(gateway.keys().len(), 0, "what is held is only asked about");
        successor.set_held(false);
        assert_eq!(world.resolve(&successor, DUE).await, names.len());
        assert_eq!(gateway.successes().len(), names.len());
    })
    .await;
}

#[tokio::test]
async fn one_payment_that_cannot_be_read_keeps_no_other_one_unknown() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly"), ("b", "monthly"), ("c", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::SucceedSilently);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["unknown", "unknown", "unknown"]);
        let of = |customer: &str| vec![("customer_id", customer.into()), ("status", "open".into())];
        installation.change("invoices", of("b"), vec![("on_paid", "of another version".into())]).await;
        let line = world.line(&gateway).await;
        world.resolve(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["succeeded", "succeeded", "unknown"]);
        let status = installation.run(&["status", "--json"]);
        assert!(status.text().contains("charge_refused_by_database"), "{status:?}");
    })
    .await;
}
