//! The adapter of the sandbox keeps the contract, and reads what each sandbox declares.

use std::path::PathBuf;

use billing::Timestamp;
use billing::decline::DeclineClass;
use billing::resolution::{Capabilities, Idempotency};
use gateway::sandbox::Sandbox;
use gateway::{Action, ActionOutcome, ActionRequest, ChargeReply, ChargeRequest, Gateway, Lookup, Outcome};
use sandbox::{Config, Server, read_book};
use tempfile::TempDir;

use crate::contract::{self, Card, Given, Scene, Stage, charge, truth_of};

const DECLINE_CODES: [&str; 10] = [
    "insufficient_funds",
    "card_declined",
    "do_not_honor",
    "expired_card",
    "incorrect_card_data",
    "stolen_card",
    "lost_card",
    "processing_error",
    "limit_exceeded",
    "authentication_required",
];

struct Running {
    folder: TempDir,
    server: Server,
}

async fn start(folder: TempDir, faults: &str) -> Running {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        book: book_in(&folder),
        faults: faults.parse().unwrap(),
        seed: 7,
    };
    let server = sandbox::start(config).await.unwrap();
    Running { folder, server }
}

fn book_in(folder: &TempDir) -> PathBuf {
    folder.path().join("book.jsonl")
}

/// A sandbox without faults whose book begins with charge 0, then on the same book one with faults.
async fn stage(faults: &str, given: Given) -> Stage {
    let mut folder = tempfile::tempdir().unwrap();
    let mut charged = None;
    if given != Given::Nothing {
        let running = start(folder, "").await;
        let gateway = Sandbox::connect(&running.server.url()).await.unwrap();
        let request = ChargeRequest { capture: given == Given::Taken, ..charge(token(Card::Good), 0) };
        charged = Some(truth_of(gateway.charge(&request).await));
        running.server.stop().await;
        folder = running.folder;
    }
    let running = start(folder, faults).await;
    let gateway = Box::new(Sandbox::connect(&running.server.url()).await.unwrap());
    let book = move || {
        let lines = read_book(book_in(&running.folder)).unwrap();
        // The sandbox runs as long as the stage holds this.
        let _ = &running.server;
        lines.into_iter().filter_map(|line| line.reference).collect()
    };
    Stage { gateway, given: charged, token, decline_codes: &DECLINE_CODES, book: Box::new(book) }
}

fn token(card: Card) -> String {
    match card {
        Card::Good => "sbx_ok.contract".to_owned(),
        Card::Declining(code) => format!("sbx_decline_{code}.contract"),
    }
}

/// A short time to execute makes for short time-outs.
fn faults_of(scene: Scene) -> &'static str {
    match scene {
        Scene::Honest => "",
        Scene::Keyless => "idempotency=none",
        Scene::Slow => "latency=200-200",
        Scene::Lagging => "lookup-lag=60000",
        Scene::DropsBefore => "drop-before=1",
        Scene::DropsAfter => "drop-after=1",
        Scene::HangsBefore => "timeout-before=1,max-processing=0",
        Scene::HangsAfter => "timeout-after=1,max-processing=0",
        Scene::FailsBefore => "500-before=1",
        Scene::FailsAfter => "500-after=1",
        Scene::AnswersBroken => "malformed=1",
        Scene::AnswersWrongAmount => "wrong-amount=1",
        Scene::Firewalled => "html=1",
        Scene::Busy => "429=1",
        Scene::Locked => "401=1",
    }
}

#[tokio::test]
async fn the_sandbox_keeps_the_contract() {
    contract::check(&async |scene, given| stage(faults_of(scene), given).await).await;
}

async fn declares(faults: &str, expected: Capabilities) {
    assert_eq!(*stage(faults, Given::Nothing).await.gateway.capabilities(), expected, "{faults}");
}

#[tokio::test]
async fn capabilities_are_those_of_the_switches() {
    let plain = Capabilities {
        idempotency: Idempotency::Strong { window_ms: None },
        lookup_by_reference: true,
        lookup_lag_ms: 0,
        max_processing_ms: 1_000,
        request_timeout_ms: 2_200,
        lookup_spacing_ms: 1_000,
        rate_per_second: None,
    };
    let keys = |idempotency| Capabilities { idempotency, ..plain };
    declares("", plain).await;
    declares("idempotency=forever", plain).await;
    declares("idempotency=24h", keys(Idempotency::Strong { window_ms: Some(86_400_000) })).await;
    declares("idempotency=500ms", keys(Idempotency::Strong { window_ms: Some(500) })).await;
    declares("idempotency=best-effort", keys(Idempotency::BestEffort)).await;
    declares("idempotency=none", keys(Idempotency::None)).await;
    declares("rate=25", Capabilities { rate_per_second: Some(25), ..plain }).await;
    declares("lookup-lag=4000", Capabilities { lookup_lag_ms: 4_000, lookup_spacing_ms: 5_000, ..plain })
        .await;
    let slow = Capabilities {
        max_processing_ms: 20_000,
        request_timeout_ms: 30_000,
        lookup_spacing_ms: 20_000,
        ..plain
    };
    declares("max-processing=20000", slow).await;
    let quick =
        Capabilities { max_processing_ms: 0, request_timeout_ms: 500, lookup_spacing_ms: 50, ..plain };
    declares("max-processing=0", quick).await;
}

#[tokio::test]
async fn a_hung_charge_is_resent_under_its_key_and_executed_once() {
    let stage = stage("max-processing=0", Given::Nothing).await;
    for (number, token) in [(1, "sbx_timeout_before_1.x"), (2, "sbx_timeout_after_1.x")] {
        let request = charge(token.to_owned(), number);
        let lost = stage.gateway.charge(&request).await;
        assert!(matches!(lost, ChargeReply::Unknown { alarm: None, .. }), "{lost:?}");
        truth_of(stage.gateway.charge(&request).await);
    }
    assert_eq!((stage.book)().len(), 2);
}

#[tokio::test]
async fn a_declined_renewal_is_known_and_leaves_the_reservation() {
    let stage = stage("", Given::Nothing).await;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let reserve = ChargeRequest {
        capture: false,
        billing_time: at("2026-04-02T00:00:00Z"),
        ..charge("sbx_decline_expired_card_until_20260401".into(), 1)
    };
    let charged = truth_of(stage.gateway.charge(&reserve).await);
    let renew = ActionRequest {
        gateway_charge_id: charged.gateway_charge_id.clone(),
        reference: "ra_1".into(),
        idempotency_key: "ra1".into(),
        action: Action::Reauthorize,
        amount: reserve.amount,
        billing_time: at("2026-03-30T00:00:00Z"),
    };
    let truth = truth_of(stage.gateway.act(&renew).await);
    let code = "expired_card";
    let class = DeclineClass::of(code);
    assert_eq!(truth.outcome, ActionOutcome::Declined { code: code.into(), class });
    assert_eq!(truth_of(stage.gateway.act(&renew).await), truth);
    assert_eq!(stage.gateway.find_action(&charged.gateway_charge_id, "ra_1").await, Lookup::Found(truth));
    assert_eq!(charged.outcome, Outcome::Authorized);
    assert_eq!(stage.gateway.find_by_id(&charged.gateway_charge_id).await, Lookup::Found(charged));
}
