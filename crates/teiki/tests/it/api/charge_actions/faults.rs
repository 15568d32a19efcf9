//! A sandbox that fails, a server that is killed, and several requests at once.

use std::io::{Read, Write};
use std::net::TcpStream;

use futures_util::future::join_all;
use reqwest::Method;
use tokio::task::JoinHandle;

use super::super::client::{Answer, Client, Form};
use super::super::shop::{must_be_well, soon};
use super::owner::{OK, Owner, booked, money};
use crate::installation::{Installation, on_both};
use crate::serve::Server;

/// A sandbox in this process, with the book of the installation.
async fn sandbox(installation: &Installation, faults: &str, port: u16) -> sandbox::Server {
    let config = sandbox::Config {
        listen: ([127, 0, 0, 1], port).into(),
        book: installation.file("sandbox-book.jsonl"),
        faults: faults.parse().unwrap(),
        seed: 7,
    };
    sandbox::start(config).await.unwrap()
}

/// A server that charges through a sandbox with these faults.
async fn with_faults(owner: &Owner<'_>, faults: &str) -> (Client, Server, sandbox::Server) {
    let sandbox = sandbox(owner.installation, faults, 0).await;
    let server = Server::start(&owner.installation.place, &["--sandbox", &sandbox.url()]);
    (owner.at(&server), server, sandbox)
}

/// Sends a request, and leaves its answer to the caller.
fn begin(client: &Client, charge: &str, action: &str, form: Form<'static>) -> Begun {
    let (client, path) = (client.clone(), format!("/v1/charges/{charge}/{action}"));
    tokio::spawn(async move { client.try_send(Method::POST, &path, form).await })
}

type Begun = JoinHandle<reqwest::Result<Answer>>;

/// A charge made while nothing goes wrong.
async fn charged(owner: &Owner<'_>, form: Form<'_>) -> String {
    let (client, server, sandbox) = with_faults(owner, "").await;
    let charge = client.charge(OK, form).await;
    assert_eq!(server.stop(), Some(0));
    sandbox.stop().await;
    charge
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_refunds_at_once_one_wins() {
    on_both(async |installation| {
        let owner = Owner::new(installation);
        let (client, server, sandbox) = with_faults(&owner, "latency=100").await;
        for _ in 0..3 {
            let charge = client.charge(OK, &[("amount", "500")]).await;
            let refunds = join_all([(); 4].map(|()| client.ask(&charge, "refund", &[]))).await;
            let count = |wanted| refunds.iter().filter(|refund| refund.status == wanted).count();
            assert!(count(200) == 1 && count(409) + count(400) == 3, "{refunds:?}");
        }
        assert_eq!(booked(installation, "refunded"), [500, 500, 500]);
        assert_eq!(server.stop(), Some(0));
        sandbox.stop().await;
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_answer_is_lost_is_found_out_once() {
    on_both(async |installation| {
        let owner = Owner::on_a_clock(installation).await;
        let taken = charged(&owner, &[("amount", "500")]).await;
        let reserved = charged(&owner, &[("amount", "500"), ("capture", "false")]).await;
        // Executed, and found by our reference: this gateway knows no keys.
        let (client, server, lossy) = with_faults(&owner, "idempotency=none,drop-after=1").await;
        let refunded = client.done(&taken, "refund", &[("amount", "200")]).await;
        assert_eq!(money(&refunded), (true, true, true, 200, "succeeded"));
        let captured = client.done(&reserved, "capture", &[("amount", "400")]).await;
        assert_eq!(money(&captured), (true, true, true, 100, "succeeded"));
        assert_eq!(server.stop(), Some(0));
        lossy.stop().await;
        assert_eq!(
            (booked(installation, "refunded"), booked(installation, "captured")),
            (vec![200], vec![400])
        );
        // Never executed, which two look-ups prove.
        let (client, server, deaf) =
            with_faults(&owner, "idempotency=none,drop-before=1,max-processing=100").await;
        client.ask(&taken, "refund", &[]).await.refused(500, "pg_wrong");
        assert_eq!(client.charge_shown(&taken).await["amount_refunded"], 200);
        assert_eq!(server.stop(), Some(0));
        deaf.stop().await;
        // Answered at the second or third time, under one key.
        let (client, server, shaky) = with_faults(&owner, "drop-after=0.5,500-before=0.3").await;
        for amount in ["10", "20", "30"] {
            // While the breaker is open nothing is sent, and it says so.
            soon("it is refunded", async || {
                let answer = client.ask(&taken, "refund", &[("amount", amount)]).await;
                if answer.status == 200 {
                    return Some(());
                }
                answer.refused(500, "pg_wrong");
                None
            })
            .await;
        }
        assert_eq!(client.charge_shown(&taken).await["amount_refunded"], 260);
        assert_eq!(server.stop(), Some(0));
        shaky.stop().await;
        assert_eq!(booked(installation, "refunded"), [200, 10, 20, 30]);
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_in_time_is_no_success_and_is_settled_later() {
    on_both(async |installation| {
        let owner = Owner::on_a_clock(installation).await;
        let charge = charged(&owner, &[("amount", "500")]).await;
        // Executed, but neither an answer nor a look-up says so.
        let faults = "idempotency=none,drop-after=1,lookup-lag=600000";
        let (client, server, mute) = with_faults(&owner, faults).await;
        let error = client.ask(&charge, "refund", &[]).await.refused(500, "payment_unknown");
        assert_eq!((&error["type"], &error["charge"]), (&"server_error".into(), &charge.as_str().into()));
        // The charge tells nothing of it yet, so the message does not send there.
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("same Idempotency-Key") && message.contains("answer 409"), "{message}");
        assert_eq!(money(&client.charge_shown(&charge).await), (true, true, false, 0, "succeeded"));
        client.ask(&charge, "refund", &[("amount", "1")]).await.refused(409, "payment_in_progress");
        server.signal("-KILL");
        drop(server);
        mute.stop().await;
        let (client, server, healthy) = with_faults(&owner, "").await;
        refunded(&client, &charge, 500).await;
        client.ask(&charge, "refund", &[]).await.refused(400, "already_refunded");
        assert_eq!(booked(installation, "refunded"), [500]);
        assert_eq!(server.stop(), Some(0));
        healthy.stop().await;
        assert_eq!(owner.events().iter().filter(|kind| *kind == "charge.refunded").count(), 1);
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_goes_on_when_its_client_leaves_or_the_server_is_killed() {
    on_both(async |installation| {
        let owner = Owner::on_a_clock(installation).await;
        let (client, server, sandbox) = with_faults(&owner, "latency=700").await;
        let charge = client.charge(OK, &[("amount", "500")]).await;
        let leaving = begin(&client, &charge, "refund", &[("amount", "100")]);
        under_way(&client, &charge).await;
        leaving.abort();
        refunded(&client, &charge, 100).await;
        let cut_off = begin(&client, &charge, "refund", &[("amount", "200")]);
        under_way(&client, &charge).await;
        server.signal("-KILL");
        assert!(cut_off.await.unwrap().is_err());
        drop(server);
        let server = Server::start(&installation.place, &["--sandbox", &sandbox.url()]);
        let client = owner.at(&server);
        refunded(&client, &charge, 300).await;
        assert_eq!(booked(installation, "refunded"), [100, 200]);
        client.done(&charge, "refund", &[]).await;
        assert_eq!(server.stop(), Some(0));
        sandbox.stop().await;
        assert_eq!(booked(installation, "refunded"), [100, 200, 200]);
        must_be_well(&installation.place);
    })
    .await;
}

/// Waits until a refund is under way.
async fn under_way(client: &Client, charge: &str) {
    soon("the refund is under way", async || {
        // More than is there: refused for that only when nothing else is under way.
        let answer = client.ask(charge, "refund", &[("amount", "9999999")]).await;
        (answer.status == 409).then_some(())
    })
    .await;
}

/// Waits until so much of a charge was given back.
async fn refunded(client: &Client, charge: &str, amount: i64) {
    soon("the refund is settled", async || {
        (client.charge_shown(charge).await["amount_refunded"] == amount).then_some(())
    })
    .await;
}

/// Does something to the only charge of a book, as a person may at the gateway: `void` or `refund`.
async fn done_at_the_gateway(installation: &Installation, what: &str) {
    let sandbox = sandbox(installation, "", 0).await;
    let mut stream = TcpStream::connect(sandbox.addr()).unwrap();
    let id = "sch_000000000001";
    write!(
        stream,
        "POST /charges/{id}/{what} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    sandbox.stop().await;
}

/// Whether the only action was sent and its outcome is not known.
async fn is_unknown(installation: &Installation) -> bool {
    let status = || [("status", db::Column::Text(vec!["unknown"]))];
    let found: Result<u64, db::Error> =
        installation.db.write(move |tx| tx.update_many("charge_actions", &status(), &status(), "")).await;
    found.unwrap() == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_at_the_gateway_itself_stands_in_the_way() {
    on_both(async |installation| {
        let owner = Owner::new(installation);
        let charge = charged(&owner, &[("amount", "500"), ("capture", "false")]).await;
        done_at_the_gateway(installation, "void").await;
        let (client, server, sandbox) = with_faults(&owner, "").await;
        client.ask(&charge, "capture", &[]).await.refused(400, "cant_capture_refunded_charge");
        assert_eq!(client.charge_shown(&charge).await["state"], "authorized");
        let status = owner.installation.run(&["status", "--json"]).json();
        assert!(status.to_string().contains("gateway_refused_request"), "{status}");
        assert_eq!(server.stop(), Some(0));
        sandbox.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_is_refused_does_not_prove_that_the_first_request_was_not_executed() {
    on_both(async |installation| {
        let owner = Owner::new(installation);
        let charge = charged(&owner, &[("amount", "500"), ("capture", "false")]).await;
        let (client, server, deaf) = with_faults(&owner, "drop-before=1").await;
        let port = deaf.addr().port();
        let begun = begin(&client, &charge, "capture", &[]);
        while !is_unknown(installation).await {
            tokio::task::yield_now().await;
        }
        deaf.stop().await;
        done_at_the_gateway(installation, "void").await;
        let sandbox = sandbox(installation, "", port).await;
        begun.await.unwrap().unwrap().refused(400, "cant_capture_refunded_charge");
        assert_eq!(client.charge_shown(&charge).await["state"], "authorized");
        assert!(booked(installation, "captured").is_empty());
        assert_eq!(server.stop(), Some(0));
        sandbox.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_may_have_been_promised_and_was_not_made_raises_an_alarm() {
    on_both(async |installation| {
        let owner = Owner::new(installation);
        let charge = charged(&owner, &[("amount", "500")]).await;
        let (client, server, deaf) = with_faults(&owner, "drop-before=1").await;
        let port = deaf.addr().port();
        let begun = begin(&client, &charge, "refund", &[("amount", "200")]);
        while !is_unknown(installation).await {
            tokio::task::yield_now().await;
        }
        deaf.stop().await;
        done_at_the_gateway(installation, "refund").await;
        let sandbox = sandbox(installation, "", port).await;
        begun.await.unwrap().unwrap().refused(400, "already_refunded");
        let status = installation.run(&["status", "--json"]).json();
        let alarm = &status["accounts"][0]["alarms"]["first"][0];
        assert_eq!(alarm["kind"], "refund_not_made", "{status}");
        assert!(alarm["message"].as_str().unwrap().contains("200 jpy"), "{alarm}");
        assert_eq!(server.stop(), Some(0));
        sandbox.stop().await;
    })
    .await;
}
