//! What became of a charge is written down again, because the database failed or refused it.

use billing::charge::Fact;
use billing::resolution::Idempotency;
use teiki::charges::News;
use teiki::charges::settle::{Times, settle};

use super::store::lose_first_commit;
use super::world::{DUE, Does, Scripted, World, at, prepared, quick};
use crate::installation::{on_both, on_postgres};
use crate::place::with_client;

const FOR_EVER: Idempotency = Idempotency::Strong { window_ms: None };

/// Another server may have marked it as being sent meanwhile: going back to `prepared` it would be sent twice.
#[tokio::test]
async fn what_was_not_sent_is_not_told_again_after_a_commit_whose_outcome_is_not_known() {
    on_postgres(async |installation| {
        let world = World::new(installation, &[("a", "monthly"), ("b", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        let outgoing = prepared(&world, &line).await;
        let facts = [Fact::NotSent, Fact::Succeeded];
        let news = outgoing.iter().zip(facts).map(|(outgoing, fact)| {
            let gateway_charge_id = Some(format!("gw_{}", outgoing.charge));
            News { gateway_charge_id, ..News::of(outgoing.charge, outgoing.history, fact) }
        });
        with_client(&installation.place.url, lose_first_commit);
        let times = Times { billing: at(DUE), real: teiki::clock::now() };
        let report = settle(&line, news.collect(), times).await.expect("truth is writable");
        assert_eq!(report.succeeded, 1);
        assert_eq!(world.column("charges", "status"), ["sending", "succeeded"]);
        // It is found out as everything is whose sender is gone.
        drop(outgoing);
        world.resolve(&world.line(&gateway).await, DUE).await;
        assert_eq!(world.column("charges", "status"), ["succeeded", "succeeded"]);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_written_down_at_all_is_left_for_an_hour() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly"), ("b", "monthly")]).await;
        let gateway = Scripted::new(quick(Idempotency::None), |_, _| Does::SucceedSilently);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        let strange = vec![("status", "of another version".into())];
        installation.change("subscriptions", vec![("customer_id", "b".into())], strange).await;
        assert_eq!(world.resolve(&line, DUE).await, 2);
        assert_eq!(world.column("charges", "status"), ["succeeded", "unknown"]);
        assert_eq!(world.look(&line, DUE).await, 0, "nobody is asked about it again at once");
        assert_eq!(world.resolve(&line, DUE).await, 1, "but whoever takes over does so");
    })
    .await;
}

#[tokio::test]
async fn what_was_never_sent_and_cannot_be_given_up_is_left_for_an_hour() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Refuse);
        let line = world.line(&gateway).await;
        world.bill(&line, DUE).await;
        let own = || vec![("customer_id", "a".into())];
        installation.change("subscriptions", own(), vec![("status", "paused".into())]).await;
        let strange = vec![("on_paid", "of another version".into())];
        installation.change("invoices", [own(), vec![("status", "open".into())]].concat(), strange).await;
        assert_eq!(world.resolve(&line, DUE).await, 1);
        assert_eq!(world.look(&line, DUE).await, 0);
        assert_eq!(gateway.keys().len(), 1, "it is not sent");
        assert_eq!(world.column("charges", "status"), ["prepared"]);
        let status = installation.run(&["status", "--json"]);
        assert!(status.text().contains("charge_refused_by_database"), "{status:?}");
    })
    .await;
}
