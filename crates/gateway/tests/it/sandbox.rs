//! The adapter of the sandbox keeps the contract, and reads what each sandbox declares.

use std::path::PathBuf;

use billing::resolution::{Capabilities, Idempotency};
use gateway::ChargeReply;
use gateway::sandbox::Sandbox;
use sandbox::{Config, Server, read_book};
use tempfile::TempDir;

use crate::contract::{self, Card, Scene, Stage, request, truth_of};

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

impl Running {
    fn book(&self) -> PathBuf {
        self.folder.path().join("book.jsonl")
    }
}

async fn start(faults: &str) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        book: folder.path().join("book.jsonl"),
        faults: faults.parse().unwrap(),
        seed: 7,
    };
    let server = sandbox::start(config).await.unwrap();
    Running { folder, server }
}

async fn stage(faults: &str) -> Stage {
    let running = start(faults).await;
    let gateway = Box::new(Sandbox::connect(&running.server.url()).await.unwrap());
    let book =
        move || read_book(running.book()).unwrap().into_iter().filter_map(|line| line.reference).collect();
    Stage { gateway, token, decline_codes: &DECLINE_CODES, book: Box::new(book) }
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
    contract::check(&async |scene| stage(faults_of(scene)).await).await;
}

async fn declares(faults: &str, expected: Capabilities) {
    assert_eq!(*stage(faults).await.gateway.capabilities(), expected, "{faults}");
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
    let stage = stage("max-processing=0").await;
    let with = |token: &str, number| gateway::ChargeRequest {
        token: token.to_owned(),
        ..request(&stage, Card::Good, number)
    };
    for (number, token) in [(1, "sbx_timeout_before_1.x"), (2, "sbx_timeout_after_1.x")] {
        let request = with(token, number);
        let lost = stage.gateway.charge(&request).await;
        assert!(matches!(lost, ChargeReply::Unknown { alarm: None, .. }), "{lost:?}");
        truth_of(stage.gateway.charge(&request).await);
    }
    assert_eq!((stage.book)().len(), 2);
}
