//! A sandbox that fails, a server that is killed, and several requests at once.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::merchant::{GOOD, Merchant, assert_well, booked, money};
use crate::installation::{Installation, on_both};
use crate::serve::{Server, answer, soon};

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
async fn with_faults(installation: &Installation, faults: &str) -> (Server, sandbox::Server) {
    let sandbox = sandbox(installation, faults, 0).await;
    (Server::start(&installation.place, &["--sandbox", &sandbox.url()]), sandbox)
}

/// A charge made while nothing goes wrong.
async fn charged(merchant: &Merchant<'_>, form: &str) -> String {
    let (server, sandbox) = with_faults(merchant.installation, "").await;
    let charge = merchant.charge(&server, GOOD, form);
    assert_eq!(server.stop(), Some(0));
    sandbox.stop().await;
    charge
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_refunds_at_once_one_wins() {
    on_both(async |installation| {
        let merchant = Merchant::new(installation);
        let (server, sandbox) = with_faults(installation, "latency=100").await;
        for _ in 0..3 {
            let charge = merchant.charge(&server, GOOD, "amount=500");
            let statuses: Vec<u16> = std::thread::scope(|scope| {
                let refunds =
                    [(); 4].map(|()| scope.spawn(|| merchant.act(&server, &charge, "refund", "").0));
                refunds.into_iter().map(|refund| refund.join().unwrap()).collect()
            });
            let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
            assert!(count(200) == 1 && count(409) + count(400) == 3, "{statuses:?}");
        }
        assert_eq!(booked(installation, "refunded"), [500, 500, 500]);
        assert_eq!(server.stop(), Some(0));
        sandbox.stop().await;
        assert_well(installation);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_answer_is_lost_is_found_out_once() {
    on_both(async |installation| {
        let merchant = Merchant::on_a_clock(installation).await;
        let taken = charged(&merchant, "amount=500").await;
        let reserved = charged(&merchant, "amount=500&capture=false").await;
        // Executed, and found by our reference: this gateway knows no keys.
        let (server, lossy) = with_faults(installation, "idempotency=none,drop-after=1").await;
        let refunded = merchant.done(&server, &taken, "refund", "amount=200");
        assert_eq!(money(&refunded), (true, true, true, 200, "succeeded"));
        let captured = merchant.done(&server, &reserved, "capture", "amount=400");
        assert_eq!(money(&captured), (true, true, true, 100, "succeeded"));
        assert_eq!(server.stop(), Some(0));
        lossy.stop().await;
        assert_eq!(
            (booked(installation, "refunded"), booked(installation, "captured")),
            (vec![200], vec![400])
        );
        // Never executed, which two look-ups prove.
        let (server, deaf) =
            with_faults(installation, "idempotency=none,drop-before=1,max-processing=100").await;
        let (status, body) = merchant.act(&server, &taken, "refund", "");
        assert_eq!((status, &body["error"]["code"]), (500, &"pg_wrong".into()), "{body}");
        assert_eq!(merchant.shown(&server, &taken)["amount_refunded"], 200);
        assert_eq!(server.stop(), Some(0));
        deaf.stop().await;
        // Answered at the second or third time, under one key.
        let (server, shaky) = with_faults(installation, "drop-after=0.5,500-before=0.3").await;
        for amount in [10, 20, 30] {
            let form = format!("amount={amount}");
            // While the breaker is open nothing is sent, and it says so.
            soon("it is refunded", || match merchant.act(&server, &taken, "refund", &form) {
                (200, _) => true,
                (500, body) if body["error"]["code"] == "pg_wrong" => false,
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(merchant.shown(&server, &taken)["amount_refunded"], 260);
        assert_eq!(server.stop(), Some(0));
        shaky.stop().await;
        assert_eq!(booked(installation, "refunded"), [200, 10, 20, 30]);
        assert_well(installation);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_in_time_is_no_success_and_is_settled_later() {
    on_both(async |installation| {
        let merchant = Merchant::on_a_clock(installation).await;
        let charge = charged(&merchant, "amount=500").await;
        // Executed, but neither an answer nor a look-up says so.
        let faults = "idempotency=none,drop-after=1,lookup-lag=600000";
        let (server, mute) = with_faults(installation, faults).await;
        let (status, body) = merchant.act(&server, &charge, "refund", "");
        assert_eq!((status, &body["error"]["code"]), (500, &"payment_unknown".into()), "{body}");
        assert_eq!(
            (&body["error"]["type"], &body["error"]["charge"]),
            (&"server_error".into(), &charge.as_str().into())
        );
        assert_eq!(money(&merchant.shown(&server, &charge)), (true, true, false, 0, "succeeded"));
        merchant.refused(&server, &charge, ("refund", "amount=1"), (409, "payment_in_progress"));
        server.signal("-KILL");
        drop(server);
        mute.stop().await;
        let (server, healthy) = with_faults(installation, "").await;
        soon("the refund is found out", || merchant.shown(&server, &charge)["amount_refunded"] == 500);
        merchant.refused(&server, &charge, ("refund", ""), (400, "already_refunded"));
        assert_eq!(booked(installation, "refunded"), [500]);
        assert_eq!(server.stop(), Some(0));
        healthy.stop().await;
        assert_eq!(merchant.events().iter().filter(|kind| *kind == "charge.refunded").count(), 1);
        assert_well(installation);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_goes_on_when_its_client_leaves_or_the_server_is_killed() {
    on_both(async |installation| {
        let merchant = Merchant::on_a_clock(installation).await;
        let (server, sandbox) = with_faults(installation, "latency=700").await;
        let charge = merchant.charge(&server, GOOD, "amount=500");
        let path = format!("/v1/charges/{charge}/refund");
        let is_under_way = |server: &Server| {
            // More than is there: refused for that only when nothing else is under way.
            merchant.act(server, &charge, "refund", "amount=9999999").0 == 409
        };
        let client = server.begin(&merchant.key, &path, Some("amount=100"));
        soon("the refund is under way", || is_under_way(&server));
        drop(client);
        soon("it is done", || merchant.shown(&server, &charge)["amount_refunded"] == 100);
        let client = server.begin(&merchant.key, &path, Some("amount=200"));
        soon("the refund is under way", || is_under_way(&server));
        server.signal("-KILL");
        drop((client, server));
        let server = Server::start(&installation.place, &["--sandbox", &sandbox.url()]);
        soon("it is found out", || merchant.shown(&server, &charge)["amount_refunded"] == 300);
        assert_eq!(booked(installation, "refunded"), [100, 200]);
        merchant.done(&server, &charge, "refund", "");
        assert_eq!(server.stop(), Some(0));
        sandbox.stop().await;
        assert_eq!(booked(installation, "refunded"), [100, 200, 200]);
        assert_well(installation);
    })
    .await;
}

/// Releases the only reservation of a book, as a person may do at the gateway.
async fn released_at_the_gateway(installation: &Installation) {
    let sandbox = sandbox(installation, "", 0).await;
    let mut stream = TcpStream::connect(sandbox.addr()).unwrap();
    let id = "sch_000000000001";
    write!(
        stream,
        "POST /charges/{id}/void HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
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
        let merchant = Merchant::new(installation);
        let charge = charged(&merchant, "amount=500&capture=false").await;
        released_at_the_gateway(installation).await;
        let (server, sandbox) = with_faults(installation, "").await;
        let code = (400, "cant_capture_refunded_charge");
        merchant.refused(&server, &charge, ("capture", ""), code);
        assert_eq!(merchant.shown(&server, &charge)["state"], "authorized");
        let status = merchant.installation.run(&["status", "--json"]).json();
        assert!(status.to_string().contains("gateway_refused_request"), "{status}");
        assert_eq!(server.stop(), Some(0));
        sandbox.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_is_refused_does_not_prove_that_the_first_request_was_not_executed() {
    on_both(async |installation| {
        let merchant = Merchant::new(installation);
        let charge = charged(&merchant, "amount=500&capture=false").await;
        let (server, deaf) = with_faults(installation, "drop-before=1").await;
        let port = deaf.addr().port();
        let client = server.begin(&merchant.key, &format!("/v1/charges/{charge}/capture"), Some(""));
        while !is_unknown(installation).await {
            tokio::task::yield_now().await;
        }
        deaf.stop().await;
        released_at_the_gateway(installation).await;
        let sandbox = sandbox(installation, "", port).await;
        let (status, body) = answer(client);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["error"]["code"]), (400, &"cant_capture_refunded_charge".into()), "{body}");
        assert_eq!(merchant.shown(&server, &charge)["state"], "authorized");
        assert!(booked(installation, "captured").is_empty());
        assert_eq!(server.stop(), Some(0));
        sandbox.stop().await;
    })
    .await;
}
