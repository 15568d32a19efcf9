//! Charges that nobody asks for any more while it is not known whether their requests were executed: they are asked about, and
//! never sent again, whatever the gateway knows of keys.

use std::sync::Arc;

use billing::charge::Fact;
use billing::resolution::{Capabilities, Idempotency};
use teiki::charges::News;
use teiki::charges::send::send_and_settle;
use teiki::charges::settle::{Times, settle};
use teiki::line::Line;

use super::world::{DUE, Does, Scripted, World, at, prepared, quick};
use crate::installation::{Installation, Row, on_both};

const FOR_EVER: Idempotency = Idempotency::Strong { window_ms: None };

/// What happens to a subscription or to its invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Paused,
    Canceled,
    Deleted,
    GivenUp,
}

const ENDS: [End; 4] = [End::Paused, End::Canceled, End::Deleted, End::GivenUp];

impl End {
    async fn happens(self, world: &World<'_>) {
        let own =
            |status: &str| vec![("account_id", (&world.id().to_string()).into()), ("status", status.into())];
        let canceled = || vec![("status", "canceled".into()), ("cancel_reason", "requested".into())];
        let (table, after): (_, Row) = match self {
            Self::Paused => ("subscriptions", vec![("status", "paused".into())]),
            Self::Canceled => ("subscriptions", canceled()),
            Self::Deleted => ("subscriptions", [canceled(), vec![("deleted_at", 1.into())]].concat()),
            Self::GivenUp => ("invoices", vec![("status", "uncollectible".into())]),
        };
        let before = if table == "invoices" { "open" } else { "active" };
        world.installation.change(table, own(before), after).await;
    }
}

/// A process that was killed after its intent was stored and before any byte left.
async fn killed<'a>(
    installation: &'a Installation,
    (capabilities, script): (Capabilities, fn(&str, usize) -> Does),
) -> (World<'a>, Arc<Scripted>, Arc<Line>) {
    let world = World::new(installation, &[("a", "monthly")]).await;
    let gateway = Scripted::new(capabilities, script);
    prepared(&world, &*world.line(&gateway).await).await;
    let successor = world.line(&gateway).await;
    (world, gateway, successor)
}

#[tokio::test]
async fn what_a_killed_process_had_not_sent_is_not_sent_after_it_was_stopped() {
    on_both(async |installation| {
        for end in ENDS {
            let (world, gateway, line) = killed(installation, (quick(FOR_EVER), |_, _| Does::Succeed)).await;
            end.happens(&world).await;
            for _ in 0..3 {
                world.resolve(&line, DUE).await;
                world.bill(&line, DUE).await;
            }
            assert_eq!(gateway.keys().len(), 0, "{end:?}");
            assert_eq!(world.column("charges", "status"), ["void"], "{end:?}");
            let left = if end == End::GivenUp { "uncollectible" } else { "open" };
            assert!(world.column("invoices", "status").contains(&left.to_owned()), "{end:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_executed_before_it_was_stopped_is_found_out_by_asking() {
    on_both(async |installation| {
        for end in ENDS {
            let world = World::new(installation, &[("a", "monthly")]).await;
            let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::SucceedSilently);
            let line = world.line(&gateway).await;
            world.bill(&line, DUE).await;
            assert_eq!(world.column("charges", "status"), ["unknown"], "{end:?}");
            end.happens(&world).await;
            world.resolve(&line, DUE).await;
            assert_eq!(gateway.keys().len(), 1, "{end:?}");
            assert_eq!(world.column("charges", "status"), ["succeeded"], "{end:?}");
            assert!(world.column("invoices", "status").contains(&"paid".to_owned()), "{end:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_another_process_has_taken_to_send_it_is_not_given_up() {
    on_both(async |installation| {
        let world = World::new(installation, &[("a", "monthly")]).await;
        let gateway = Scripted::new(quick(FOR_EVER), |_, _| Does::Succeed);
        let line = world.line(&gateway).await;
        let outgoing = prepared(&world, &line).await;
        let given_up = News::of(outgoing[0].charge, outgoing[0].history, Fact::GivenUp);
        let times = Times { billing: at(DUE), real: teiki::clock::now() };
        settle(&line, vec![given_up], times).await.expect("writes");
        assert_eq!(world.column("charges", "status"), ["sending"]);
        send_and_settle(&line, outgoing, at(DUE)).await.expect("writes");
        assert_eq!(world.column("charges", "status"), ["succeeded"]);
    })
    .await;
}

/// Nobody but a person can find it out then.
#[tokio::test]
async fn where_a_gateway_cannot_be_asked_what_was_stopped_waits_for_a_person() {
    on_both(async |installation| {
        let blind = Capabilities { lookup_by_reference: false, ..quick(FOR_EVER) };
        let (world, gateway, line) = killed(installation, (blind, |_, _| Does::Succeed)).await;
        End::Canceled.happens(&world).await;
        for _ in 0..3 {
            world.resolve(&line, DUE).await;
        }
        assert_eq!(gateway.keys().len(), 0);
        assert_eq!(world.column("charges", "status"), ["unknown"]);
        let status = world.installation.run(&["status", "--json"]);
        assert!(status.text().contains("needs_review"), "{status:?}");
    })
    .await;
}
