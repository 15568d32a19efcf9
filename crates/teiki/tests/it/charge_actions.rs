//! Capture, refund and reauthorization over HTTP, with a sandbox that fails and a server that is killed.
//!
//! What truly happened is read from the sandbox's own book.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::installation::{Installation, Is, on_both};
use crate::serve::{Server, account_with_key, answer, soon};

const CLOCK: &str = "clk_0001a1fec43d81417c558e2cd88aa";
/// Where the test clock begins: 2027-01-01T00:00:00Z.
const BEGINNING: i64 = 1_798_761_600;
const DAY: i64 = 86_400;
const GOOD: &str = "sbx_ok";

/// An account with its test key.
struct Merchant<'a> {
    installation: &'a Installation,
    account: String,
    key: String,
}

impl<'a> Merchant<'a> {
    fn new(installation: &'a Installation) -> Self {
        let created = installation.run(&["account", "create", "みどり農園", "--json"]).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { installation, account: text(&created["account"]), key: text(&created["test"]["secret_key"]) }
    }

    /// The same, on a test clock that stands at [`BEGINNING`].
    async fn on_a_clock(installation: &'a Installation) -> Self {
        let merchant = Self::new(installation);
        let micros = BEGINNING * 1_000_000;
        let clock = vec![
            ("id", CLOCK.into()),
            ("account_id", (&merchant.account).into()),
            ("name", Is::NoText),
            ("started_at", micros.into()),
            ("frozen_time", micros.into()),
            ("status", "ready".into()),
            ("created_at", micros.into()),
        ];
        installation.insert("test_clocks", clock).await;
        let keys = vec![("id", (&merchant.account).into())];
        installation.change("accounts", keys, vec![("test_clock_id", CLOCK.into())]).await;
        merchant
    }

    async fn set_clock(&self, seconds: i64) {
        let frozen = vec![("frozen_time", (seconds * 1_000_000).into())];
        self.installation.change("test_clocks", vec![("id", CLOCK.into())], frozen).await;
    }

    fn post(&self, server: &Server, path: &str, form: &str) -> (u16, Value) {
        server.call(&self.key, path, Some(form))
    }

    /// A charge with a card of the sandbox's `rule`.
    fn charge(&self, server: &Server, rule: &str, form: &str) -> String {
        let (status, token) = self.post(server, "/v1/tokens", &format!("sandbox_token={rule}"));
        assert_eq!(status, 200, "{token}");
        let form = format!("{form}&currency=jpy&card={}", token["id"].as_str().unwrap());
        let (status, charge) = self.post(server, "/v1/charges", &form);
        assert_eq!(status, 200, "{charge}");
        charge["id"].as_str().unwrap().to_owned()
    }

    fn act(&self, server: &Server, charge: &str, action: &str, form: &str) -> (u16, Value) {
        self.post(server, &format!("/v1/charges/{charge}/{action}"), form)
    }

    /// An action that succeeds.
    fn done(&self, server: &Server, charge: &str, action: &str, form: &str) -> Value {
        let (status, shown) = self.act(server, charge, action, form);
        assert_eq!(status, 200, "{action} {form}: {shown}");
        shown
    }

    fn shown(&self, server: &Server, charge: &str) -> Value {
        server.call(&self.key, &format!("/v1/charges/{charge}"), None).1
    }

    /// Asks for what must be refused.
    #[track_caller]
    fn refused(&self, server: &Server, charge: &str, (action, form): (&str, &str), expected: (u16, &str)) {
        let (status, body) = self.act(server, charge, action, form);
        let code = body["error"]["code"].as_str().unwrap_or_default();
        assert_eq!((status, code), expected, "{action} {form}: {body}");
        assert_eq!(body["error"]["status"], status);
    }

    fn exported(&self, subject: &str) -> Vec<Value> {
        let arguments = ["export", subject, "--account", &self.account, "--format", "jsonl"];
        let ran = self.installation.run(&arguments);
        ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the accounts of the ledger hold.
    fn balances(&self) -> BTreeMap<String, i64> {
        let mut balances = BTreeMap::new();
        for entry in self.exported("ledger") {
            let amount = entry["amount"].as_i64().unwrap();
            for (side, sign) in [("debit", 1), ("credit", -1)] {
                *balances.entry(entry[side].as_str().unwrap().to_owned()).or_default() += sign * amount;
            }
        }
        balances
    }

    /// Types of the events, in the order of their history.
    fn events(&self) -> Vec<String> {
        let mut events = self.exported("events");
        events.sort_by_key(|event| event["number"].as_i64());
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

/// Amounts of the lines of the sandbox's book with this outcome.
fn booked(installation: &Installation, outcome: &str) -> Vec<i64> {
    let book = std::fs::read_to_string(installation.file("sandbox-book.jsonl")).unwrap_or_default();
    // A line that is being written is none yet.
    let whole = book.rsplit_once('\n').map_or("", |whole| whole.0);
    let lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["outcome"] == outcome).map(|line| line["amount"].as_i64().unwrap()).collect()
}

fn assert_well(installation: &Installation) {
    let doctor = installation.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
}

/// What a charge shows of its money.
fn money(charge: &Value) -> (bool, bool, bool, i64, &str) {
    let is = |name: &str| charge[name].as_bool().unwrap();
    let refunded = charge["amount_refunded"].as_i64().unwrap();
    (is("paid"), is("captured"), is("refunded"), refunded, charge["state"].as_str().unwrap())
}

#[tokio::test]
async fn a_part_of_a_reservation_is_captured_and_then_refunded_in_parts() {
    on_both(async |installation| {
        let merchant = Merchant::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let charge = merchant.charge(&server, GOOD, "amount=500&capture=false");
        merchant.set_clock(BEGINNING + 3 * DAY).await;
        let captured = merchant.done(&server, &charge, "capture", "amount=401");
        assert_eq!(money(&captured), (true, true, true, 99, "succeeded"));
        assert_eq!(captured["captured_at"], BEGINNING + 3 * DAY);
        assert_eq!((&captured["expired_at"], &captured["amount"]), (&Value::Null, &500.into()));
        merchant.refused(&server, &charge, ("refund", "amount=402"), (400, "refund_amount_gt_net"));
        let reasoned = merchant.done(&server, &charge, "refund", "amount=7&refund_reason=%E8%BF%94%E5%93%81");
        assert_eq!(money(&reasoned), (true, true, true, 106, "succeeded"));
        assert_eq!(reasoned["refund_reason"], "返品");
        assert_eq!(merchant.done(&server, &charge, "refund", "amount=1")["refund_reason"], "返品");
        let rest = merchant.done(&server, &charge, "refund", "refund_reason=");
        assert_eq!(money(&rest), (true, true, true, 500, "succeeded"));
        assert_eq!(rest["refund_reason"], "");
        merchant.refused(&server, &charge, ("refund", ""), (400, "already_refunded"));
        assert_eq!(merchant.shown(&server, &charge), rest);
        assert_eq!(server.stop(), Some(0));
        assert_eq!(booked(installation, "captured"), [401]);
        assert_eq!(booked(installation, "refunded"), [7, 1, 393]);
        let charges =
            ["charge.succeeded", "charge.captured", "charge.refunded", "charge.refunded", "charge.refunded"];
        let events: Vec<String> =
            merchant.events().into_iter().filter(|kind| kind.starts_with("charge.")).collect();
        assert_eq!(events, charges);
        let told = merchant.exported("events").into_iter().find(|event| event["type"] == "charge.captured");
        assert_eq!(told.unwrap()["data"]["amount_refunded"], 99);
        let invoice = &merchant.exported("invoices")[0];
        assert_eq!((&invoice["amount_paid"], &invoice["amount_credited"]), (&401.into(), &500.into()));
        let balances = merchant.balances();
        assert!(balances.len() == 4 && balances.values().all(|&balance| balance == 0), "{balances:?}");
        assert_well(installation);
    })
    .await;
}

/// Asks for what must be refused with these statuses and codes, and looks whether the charge is as it was.
fn check(merchant: &Merchant<'_>, server: &Server, charge: &str, cases: &[(&str, &str, u16, &str)]) {
    for &(action, form, status, code) in cases {
        let before = merchant.shown(server, charge);
        merchant.refused(server, charge, (action, form), (status, code));
        assert_eq!(merchant.shown(server, charge), before, "{action} {form}");
    }
}

#[tokio::test]
async fn every_refusal_has_its_code_and_changes_nothing() {
    on_both(async |installation| {
        let merchant = Merchant::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let reserved = merchant.charge(&server, GOOD, "amount=500&capture=false");
        let taken = merchant.charge(&server, GOOD, "amount=500");
        wrong_amounts_and_states(&merchant, &server, &reserved, &taken);
        check_none(&merchant, &server, &reserved);
        merchant.set_clock(BEGINNING + 7 * DAY).await;
        let cases = [
            ("capture", "", 400, "charge_expired"),
            ("reauth", "", 400, "operation_not_allowed_on_no_authorized_charge"),
        ];
        check(&merchant, &server, &reserved, &cases);
        merchant.set_clock(BEGINNING + 180 * DAY + 1).await;
        check(&merchant, &server, &taken, &[("refund", "", 400, "refund_limit_exceeded")]);
        merchant.set_clock(BEGINNING + 180 * DAY).await;
        merchant.done(&server, &taken, "refund", "");
        assert_eq!(server.stop(), Some(0));
        assert_eq!(
            (booked(installation, "refunded"), booked(installation, "voided")),
            (vec![500], vec![500])
        );
        assert!(booked(installation, "captured").is_empty());
        assert_well(installation);
    })
    .await;
}

fn wrong_amounts_and_states(merchant: &Merchant<'_>, server: &Server, reserved: &str, taken: &str) {
    let reason = format!("refund_reason={}", "a".repeat(256));
    let cases = [
        ("capture", "amount=49", 400, "invalid_amount"),
        ("capture", "amount=10000000", 400, "invalid_amount"),
        ("capture", "amount=x", 400, "invalid_amount"),
        ("capture", "amount=501", 400, "capture_amount_gt_net"),
        ("capture", "refund_reason=a", 400, "invalid_param_key"),
        ("refund", "amount=0", 400, "invalid_refund_amount"),
        ("refund", &reason, 400, "invalid_refund_reason"),
        ("refund", "amount=499", 400, "invalid_amount_to_not_captured"),
        ("refund", "amount=501", 400, "refund_amount_gt_net"),
        ("reauth", "expiry_days=0", 400, "invalid_expiry_days"),
        ("reauth", "expiry_days=61", 400, "invalid_expiry_days"),
    ];
    check(merchant, server, reserved, &cases);
    let cases = [("capture", "", 400, "already_captured"), ("reauth", "", 400, "already_captured")];
    check(merchant, server, taken, &cases);
    let released = merchant.charge(server, GOOD, "amount=500&capture=false");
    let shown = merchant.done(server, &released, "refund", "amount=500");
    assert_eq!(money(&shown), (true, false, true, 500, "void"));
    let cases = [
        ("capture", "", 400, "cant_capture_refunded_charge"),
        ("refund", "", 400, "already_refunded"),
        ("reauth", "", 400, "cant_reauth_refunded_charge"),
    ];
    check(merchant, server, &released, &cases);
    let (_, token) = merchant.post(server, "/v1/tokens", "sandbox_token=sbx_decline_card_declined");
    let form = format!("amount=500&currency=jpy&card={}", token["id"].as_str().unwrap());
    let (status, declined) = merchant.post(server, "/v1/charges", &form);
    assert_eq!(status, 402, "{declined}");
    let cases = ["capture", "refund", "reauth"].map(|action| (action, "", 400, "failed_payment"));
    check(merchant, server, declined["error"]["charge"].as_str().unwrap(), &cases);
}

/// A charge that the account does not have.
fn check_none(merchant: &Merchant<'_>, server: &Server, charge: &str) {
    merchant.refused(server, "ch_none", ("refund", ""), (404, "invalid_id"));
    let other = Merchant::new(merchant.installation);
    for action in ["capture", "refund", "reauth"] {
        other.refused(server, charge, (action, ""), (404, "invalid_id"));
    }
}

#[tokio::test]
async fn a_reservation_is_renewed_from_now_on_or_stays_as_it_was() {
    on_both(async |installation| {
        let merchant = Merchant::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let rule = "sbx_decline_insufficient_funds_from_20270104";
        let charge = merchant.charge(&server, rule, "amount=500&capture=false&expiry_days=3");
        // The last second of the third day in Japan.
        let end = |days: i64| BEGINNING + days * DAY - 9 * 3_600 - 1;
        assert_eq!(merchant.shown(&server, &charge)["expired_at"], end(3));
        merchant.set_clock(BEGINNING + DAY).await;
        let renewed = merchant.done(&server, &charge, "reauth", "expiry_days=60");
        assert_eq!(renewed["expired_at"], end(61));
        assert_eq!(money(&renewed), (true, false, false, 0, "authorized"));
        merchant.set_clock(BEGINNING + 4 * DAY).await;
        let (status, declined) = merchant.act(&server, &charge, "reauth", "");
        assert_eq!((status, &declined["error"]["charge"]), (402, &charge.as_str().into()), "{declined}");
        assert_eq!(declined["error"]["type"], "card_error");
        assert_eq!(merchant.shown(&server, &charge), renewed);
        let captured = merchant.done(&server, &charge, "capture", "");
        assert_eq!(money(&captured), (true, true, false, 0, "succeeded"));
        assert_eq!(server.stop(), Some(0));
        assert_eq!(booked(installation, "captured"), [500]);
        let events = merchant.events();
        assert_eq!(events.iter().filter(|kind| *kind == "charge.updated").count(), 1, "{events:?}");
        assert_well(installation);
    })
    .await;
}

#[tokio::test]
async fn a_hold_stops_what_takes_money_and_not_what_gives_it_back() {
    on_both(async |installation| {
        let merchant = Merchant::new(installation);
        let server = Server::start(&installation.place, &[]);
        let reserved = merchant.charge(&server, GOOD, "amount=500&capture=false");
        let taken = merchant.charge(&server, GOOD, "amount=500");
        installation.run(&["hold", "on", "--reason", "a rehearsal"]).text();
        for action in ["capture", "reauth"] {
            merchant.refused(&server, &reserved, (action, ""), (503, "charging_held"));
        }
        merchant.done(&server, &taken, "refund", "amount=100");
        merchant.done(&server, &reserved, "refund", "");
        assert_eq!(
            (booked(installation, "refunded"), booked(installation, "voided")),
            (vec![100], vec![500])
        );
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_renewal_is_refunded_in_the_books_of_its_subscription() {
    on_both(async |installation| {
        let (account, key) = account_with_key(installation, 1);
        let merchant = Merchant { installation, account, key };
        let server = Server::start(&installation.place, &[]);
        soon("it is charged", || booked(installation, "succeeded") == [980]);
        let charge = || merchant.exported("charges")[0].clone();
        soon("it is settled", || charge()["status"] == "succeeded");
        let id = charge()["charge_id"].as_str().unwrap().to_owned();
        for amount in [333, 1] {
            merchant.done(&server, &id, "refund", &format!("amount={amount}"));
        }
        let shown = merchant.done(&server, &id, "refund", "");
        assert_eq!(money(&shown), (true, true, true, 980, "succeeded"));
        assert!(shown["subscription"].as_str().is_some());
        assert_eq!(server.stop(), Some(0));
        let balances = merchant.balances();
        assert!(balances.len() == 4 && balances.values().all(|&balance| balance == 0), "{balances:?}");
        assert_eq!(merchant.events().iter().filter(|kind| *kind == "charge.refunded").count(), 3);
        assert_well(installation);
    })
    .await;
}

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
