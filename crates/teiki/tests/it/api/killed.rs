//! The server is killed while requests move money: after a restart each was paid once or never, and what it was for is so.
//! Whoever repeats a request with its key is told so, and is paid once.

use std::time::Duration;

use super::client::Client;
use super::gateway::Gateway;
use super::payer::{Payer, What, plans};
use super::shop::{Merchant, account, id_of, must_be_well, soon};
use super::store::{abandon, open_charges};
use crate::installation::{Installation, on_both};
use crate::serve::Server;

/// Starts a server on what its predecessor left, and waits until everything is settled.
async fn restarted(installation: &Installation, gateway: &Gateway) -> Server {
    let server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
    let settled = async || (open_charges(&installation.db).await == 0).then_some(());
    soon("everything is settled", settled).await;
    server
}

/// Kills the server while a request of each kind hangs at the gateway, before and after its execution.
async fn killed_while_hanging(faults: &str, is_paid: impl Fn(&str) -> bool) {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let gateway = Gateway::start(&installation.place, faults);
        let server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
        let client = Merchant::new(&created, &server.url()).test;
        plans(&client).await;
        let payers = Payer::all(&client, &What::ALL, &["sbx_timeout_after_1", "sbx_timeout_before_1"]).await;
        let under_way: Vec<_> = payers.iter().map(|payer| payer.1.begin(&client)).collect();
        soon("all hang", async || (gateway.hung() == payers.len()).then_some(())).await;
        server.signal("-KILL");
        for answer in under_way {
            assert!(answer.await.unwrap().is_err(), "a dead server does not answer");
        }
        drop(server);
        let server = restarted(installation, &gateway).await;
        let client = Merchant::new(&created, &server.url()).test;
        let mut paid = 0;
        for (rule, payer) in &payers {
            let what = payer.what;
            let again = payer.begin(&client).await.unwrap().unwrap();
            if is_paid(rule) {
                again.ok();
            } else {
                again.refused(500, "pg_wrong");
            }
            let outcome = payer.outcome(&client).await.unwrap();
            assert_eq!(outcome == "paid", is_paid(rule), "{what:?} {rule}: {outcome}");
            payer.must_stand(&client, is_paid(rule)).await;
            paid += usize::from(is_paid(rule));
        }
        let booked = gateway.successes();
        assert!(booked.values().all(|count| *count == 1), "{booked:?}");
        let hung = booked.keys().filter(|token| token.starts_with("sbx_timeout_")).count();
        assert_eq!(hung, paid, "{booked:?}");
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test]
async fn a_request_that_hung_when_the_server_was_killed_is_paid_once() {
    killed_while_hanging("", |_| true).await;
}

#[tokio::test]
async fn without_keys_what_was_not_executed_when_the_server_was_killed_is_never_paid() {
    killed_while_hanging("idempotency=none", |rule| rule == "sbx_timeout_after_1").await;
}

/// Where a card that was never charged may be charged anew: the repeat with the same key is the first one that pays.
#[tokio::test]
async fn whenever_the_server_is_killed_a_repeat_with_the_same_key_pays_once() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let gateway = Gateway::start(&installation.place, "latency=5-60");
        let mut server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
        plans(&Merchant::new(&created, &server.url()).test).await;
        let mut all = Vec::new();
        for after_ms in KILLED_AFTER_MS {
            let client = Merchant::new(&created, &server.url()).test;
            let payers = Payer::all(&client, &What::ALL, &["sbx_ok"]).await;
            let under_way: Vec<_> = payers.iter().map(|payer| payer.1.begin(&client)).collect();
            // Any instant is right: the outcome is read from the book.
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            server.signal("-KILL");
            for answer in under_way {
                // It may have been answered before.
                let _ = answer.await.unwrap();
            }
            drop(server);
            // Clients do not wait until everything is settled.
            server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
            let client = Merchant::new(&created, &server.url()).test;
            for (_, payer) in payers {
                let what = payer.what;
                let answer = soon("an answer", async || {
                    let answer = payer.begin(&client).await.unwrap().unwrap();
                    (answer.status < 409).then_some(answer)
                });
                let paid = answer.await.ok();
                assert_eq!(payer.outcome(&client).await.as_deref(), Some("paid"), "{what:?}: {paid}");
                payer.must_stand(&client, true).await;
                let again = payer.begin(&client).await.unwrap().unwrap();
                assert!(again.is_replay);
                assert_eq!(again.ok(), paid);
                all.push(what);
            }
        }
        let before: usize = all.iter().map(|what| what.paid_before()).sum();
        let booked = gateway.successes();
        assert_eq!(booked.len(), all.len() + before, "{booked:?}");
        assert!(booked.values().all(|count| *count == 1), "{booked:?}");
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

/// What is paid once, whoever asks for it how often.
const DEBTS: [What; 3] = [What::Finish, What::ResumePastDue, What::Pay];

#[tokio::test]
async fn who_clicks_once_more_after_the_server_was_killed_makes_no_second_payment() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let gateway = Gateway::start(&installation.place, "");
        let server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
        let client = Merchant::new(&created, &server.url()).test;
        plans(&client).await;
        let payers = Payer::all(&client, &DEBTS, &["sbx_timeout_after_1", "sbx_timeout_before_1"]).await;
        let under_way: Vec<_> = payers.iter().map(|payer| payer.1.begin(&client)).collect();
        soon("all hang", async || (gateway.hung() == payers.len()).then_some(())).await;
        server.signal("-KILL");
        for answer in under_way {
            assert!(answer.await.unwrap().is_err(), "a dead server does not answer");
        }
        drop(server);
        // Nobody waits until everything is settled.
        let server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
        let client = Merchant::new(&created, &server.url()).test;
        let clicks: Vec<_> =
            payers.iter().flat_map(|payer| [payer.1.begin_anew(&client), payer.1.begin(&client)]).collect();
        for click in clicks {
            let answer = click.await.unwrap().unwrap();
            // Nothing else is true before everything is settled.
            match answer.status {
                200 | 400 | 409 => {}
                _ => drop(answer.refused(500, "payment_unknown")),
            }
        }
        for (_, payer) in &payers {
            let paid = async || {
                let answer = payer.begin(&client).await.unwrap().unwrap();
                (answer.status == 200).then_some(())
            };
            soon("the answer", paid).await;
            assert_eq!(payer.outcome(&client).await.as_deref(), Some("paid"), "{:?}", payer.what);
            payer.must_stand(&client, true).await;
            let again = payer.begin_anew(&client).await.unwrap().unwrap();
            // What is done stays done: a charge is shown as it is, a debt is none any more.
            assert_eq!(again.status, if payer.what == What::Finish { 200 } else { 400 }, "{again:?}");
        }
        let before: usize = payers.iter().map(|payer| payer.1.what.paid_before()).sum();
        let booked = gateway.successes();
        assert_eq!(booked.len(), payers.len() + before, "{booked:?}");
        assert!(booked.values().all(|count| *count == 1), "{booked:?}");
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

/// How long after the requests the server is killed, in milliseconds: before the first transaction, while requests are at the
/// gateway, while answers are settled, and after all is done.
const KILLED_AFTER_MS: [u64; 6] = [2, 8, 20, 45, 90, 200];

#[tokio::test]
async fn whenever_the_server_is_killed_the_book_and_the_subscriptions_agree() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let gateway = Gateway::start(&installation.place, "latency=5-60");
        let mut server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
        plans(&Merchant::new(&created, &server.url()).test).await;
        let mut all = Vec::new();
        for after_ms in KILLED_AFTER_MS {
            let client = Merchant::new(&created, &server.url()).test;
            // Two of each kind.
            let payers = Payer::all(&client, &What::ALL, &["sbx_ok"; 2]).await;
            let under_way: Vec<_> = payers.iter().map(|payer| payer.1.begin(&client)).collect();
            // Any instant is right: the outcome is read from the book.
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            server.signal("-KILL");
            for ((_, payer), answer) in payers.into_iter().zip(under_way) {
                let was_told_paid = answer.await.unwrap().is_ok_and(|answer| answer.status == 200);
                all.push((payer, was_told_paid));
            }
            drop(server);
            server = restarted(installation, &gateway).await;
        }
        let client = Merchant::new(&created, &server.url()).test;
        must_agree(&client, &gateway, &all).await;
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

async fn must_agree(client: &Client, gateway: &Gateway, all: &[(Payer, bool)]) {
    // The first payments of those who had a subscription.
    let mut paid: usize = all.iter().map(|payer| payer.0.what.paid_before()).sum();
    for (payer, was_told_paid) in all {
        let what = payer.what;
        let outcome = payer.outcome(client).await;
        let is_paid = outcome.as_deref() == Some("paid");
        assert!(is_paid || !was_told_paid, "{what:?}: {outcome:?}");
        payer.must_stand(client, is_paid).await;
        paid += usize::from(is_paid);
    }
    let booked = gateway.successes();
    assert_eq!(booked.len(), paid, "{booked:?}");
    assert!(booked.values().all(|count| *count == 1), "{booked:?}");
}

/// What was begun stands in the database; the gateway is away when the server comes back.
#[tokio::test]
async fn a_repeat_is_answered_without_the_gateway() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let gateway = Gateway::start(&installation.place, "");
        let server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
        let client = Merchant::new(&created, &server.url()).test;
        plans(&client).await;
        let payers = Payer::all(&client, &What::ALL, &["sbx_ok"]).await;
        let mut paid = Vec::new();
        for (_, payer) in &payers {
            paid.push(payer.begin(&client).await.unwrap().unwrap().ok());
        }
        let refund = format!("/v1/charges/{}/refund", id_of(&paid[0]));
        client.keyed("refund").post(&refund, &[]).await.ok();
        let hanging = Payer::of(&client, What::Sale, "sbx_timeout_after_1").await;
        let under_way = hanging.begin(&client);
        soon("it hangs", async || (gateway.hung() == 1).then_some(())).await;
        server.signal("-KILL");
        assert!(under_way.await.unwrap().is_err(), "a dead server does not answer");
        drop((server, gateway));
        // As if it had been killed before any answer was kept.
        abandon(&installation.db).await;
        let server = Server::start(&installation.place, &["--sandbox", "http://127.0.0.1:9"]);
        let client = Merchant::new(&created, &server.url()).test;
        let unknown = hanging.begin(&client);
        for (_, payer) in &payers {
            payer.begin(&client).await.unwrap().unwrap().ok();
            if payer.what == What::Finish {
                payer.begin_anew(&client).await.unwrap().unwrap().ok();
            }
        }
        client.keyed("refund").post(&refund, &[]).await.ok();
        let error = unknown.await.unwrap().unwrap().refused(500, "payment_unknown");
        assert!(error["charge"].is_string(), "{error}");
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
