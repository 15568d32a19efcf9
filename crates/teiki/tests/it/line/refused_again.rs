//! A request that is sent again under its key and is refused now: that says nothing of the first one, which is asked for, and
//! nothing is left hanging for ever.

use billing::id::ChargeActionId;
use billing::resolution::Idempotency;
use teiki::charges::actions;
use teiki::renewals::Lane;

use super::world::{DUE, Does, Scripted, World, prepared, quick};
use crate::installation::{Is, on_both};

const FOR_EVER: Idempotency = Idempotency::Strong { window_ms: None };

/// The time for which its last request could still have been on its way is over.
async fn time_goes_by(world: &World<'_>) {
    let own = vec![("account_id", (&world.id().to_string()).into())];
    let long_ago = vec![("last_sent_at", 1.into())];
    assert_eq!(world.installation.change_each("charges", own, long_ago).await, 1);
}

#[tokio::test]
async fn what_was_never_executed_and_is_refused_when_sent_again_has_failed() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Reject);
        prepared(&world, &*world.line(&gateway).await).await;
        let line = world.line(&gateway).await;
        world.resolve(&line, DUE).await;
        assert_eq!(world.column("charges", "status"), ["unknown"], "the first one may have been executed");
        for _ in 0..3 {
            time_goes_by(&world).await;
            world.resolve(&line, DUE).await;
        }
        assert_eq!(gateway.keys().len(), 1, "it is only asked for");
        assert_eq!(world.column("charges", "status"), ["failed"]);
        assert_eq!(world.column("charges", "failure_code"), ["unknown_token"]);
        assert_eq!(world.column("charges", "failure_class"), ["merchant_fault"]);
        assert_eq!(world.column("invoices", "status"), ["open", "scheduled"]);
        assert_eq!(world.column("subscriptions", "status"), ["past_due"]);
        world.assert_healthy();
    })
    .await;
}

/// Only the first time.
fn executed_at_first(_: &str, request: usize) -> Does {
    if request == 1 { Does::SucceedSilently } else { Does::Reject }
}

#[tokio::test]
async fn what_was_executed_and_is_refused_when_sent_again_has_succeeded() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), executed_at_first);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        for _ in 0..2 {
            assert_eq!(world.column("charges", "status"), ["unknown"]);
            world.resolve(&line, DUE).await;
        }
        assert_eq!(world.column("charges", "status"), ["succeeded"]);
        assert_eq!(world.column("charges", "failure_code"), ["null"]);
        world.assert_healthy();
    })
    .await;
}

#[tokio::test]
async fn absence_proves_nothing_while_what_was_sent_again_may_still_leave() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Vanish);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        world.resolve(&line, DUE).await;
        assert_eq!(gateway.keys().len(), 2);
        // From now on it is asked, by a process that does not know what became of the other one.
        let asking = world.line(&Scripted::new(quick(Idempotency::None), |_, _| Does::Vanish)).await;
        for _ in 0..3 {
            world.resolve(&asking, DUE).await;
        }
        assert_eq!(world.column("charges", "status"), ["unknown"]);
        for _ in 0..2 {
            time_goes_by(&world).await;
            world.resolve(&asking, DUE).await;
        }
        assert_eq!(world.column("charges", "status"), ["void"]);
    })
    .await;
}

/// A refund whose sender may live and is still waiting for its turn.
async fn refund_under_way(world: &World<'_>) {
    let charges = world.export("charges");
    let text = |column: &str| charges[0][column].as_str().expect("a text").to_owned();
    let charge = text("charge_id");
    let id: billing::id::ChargeId = charge.parse().expect("an id");
    let now = teiki::clock::now();
    let action = ChargeActionId::random(id.slot(), now, &[7; 32]).to_string();
    let row = vec![
        ("slot", id.slot().as_i64().into()),
        ("id", (&action).into()),
        ("account_id", (&world.id().to_string()).into()),
        ("mode", "test".into()),
        ("clock_id", (&world.scope.clock).into()),
        ("charge_id", (&charge).into()),
        ("number", 1.into()),
        ("kind", "refund".into()),
        ("status", "sending".into()),
        ("amount", 980.into()),
        ("currency", "jpy".into()),
        ("idempotency_key", "refund".into()),
        ("actor", "api".into()),
        ("frozen", Is::Flag(false)),
        ("billing_at", now.as_microsecond().into()),
        ("sent_at", now.as_microsecond().into()),
        ("last_sent_at", now.as_microsecond().into()),
        ("tries", 0.into()),
        ("check_at", 1.into()),
        ("created_at", now.as_microsecond().into()),
    ];
    world.installation.insert("charge_actions", row).await;
    world
        .installation
        .change("charges", vec![("id", (&charge).into())], vec![("action_count", 1.into())])
        .await;
}

#[tokio::test]
async fn absence_proves_nothing_while_a_refund_may_still_be_sent_by_its_former_holder() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let repeating = world.line(&Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed)).await;
        world.bill(&repeating, DUE).await;
        refund_under_way(&world).await;
        let asking = world.line(&Scripted::new(quick(Idempotency::None), |_, _| Does::Succeed)).await;
        let rounding = world.account.terms.tax_rounding;
        let pass = || actions::resolve::Pass {
            side: (world.id(), world.scope.mode),
            lane: Lane::ALL,
            has_leases: true,
            rounding,
        };
        for line in [&repeating, &asking, &asking, &asking] {
            world.take_over(line).await;
            actions::resolve::resolve(line, &pass()).await.expect("the line works");
        }
        assert_eq!(world.column("charge_actions", "status"), ["unknown"]);
    })
    .await;
}
