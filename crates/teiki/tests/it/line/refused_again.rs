//! A request that is sent again under its key and is refused now: that says nothing of the first one, which is asked for, and
//! nothing is left hanging for ever.

use billing::resolution::Idempotency;

use super::world::{DUE, Does, Scripted, World, prepared, quick};
use crate::installation::on_both;

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
