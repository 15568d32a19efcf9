//! `teiki proof kill`: the proof, on the machine of whoever asks, that a killed teiki charges once.
//!
//! ```text
//! input files → account, import → [ teiki run … SIGKILL ] again and again → run ends → checker
//!                                      ↕ tap ↕ sandbox (a process of its own, never killed)
//! ```
//! Everything runs as processes of this binary ([`stage`]); the [`killer`] strikes while the [`tap`] sees
//! requests under way; the [`checker`] then reads the gateway's book and the tables by itself. A run in which
//! fewer kills counted than were asked for proves too little and fails. The broken protocols, which show that
//! the proof can fail, are in `charges::broken` and in a build of their own.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::Instant;

use crate::failure::Failure;

mod checker;
pub mod cli;
mod input;
mod killer;
mod stage;
mod store;
mod tap;
mod view;

use checker::{Evidence, Findings};
use killer::{Kills, Target};
use stage::Stage;
use tap::Tap;

/// What the gateway does wrong besides: answers after 5–20 ms, 1 % of its answers are lost after the charge,
/// and 2 % of the requests are cut off at once and executed late.
const FAULTS: &str = "latency=5-20,drop-after=0.01,late=0.02,late-ms=50-150,max-processing=300";

/// The database of a proof.
#[derive(Clone)]
enum Engine {
    /// A file in the proof's folder.
    Sqlite,
    /// A schema of its own in the database at this URL, which may hold a password.
    Postgres(String),
}

/// What the gateway does with an idempotency key that it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idempotency {
    /// Nothing: a second request is a second charge.
    None,
    /// It usually recognises it, without a promise.
    BestEffort,
    /// It always recognises it.
    Strong,
}

/// A protocol that charges twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Break {
    /// After a restart what is not settled is charged again under a new key.
    NewKey,
    /// The gateway is called before the intent to charge is stored.
    ChargeFirst,
}

impl Break {
    /// Its name on the command line and for the processes.
    const fn name(self) -> &'static str {
        match self {
            Self::NewKey => "new-key",
            Self::ChargeFirst => "charge-first",
        }
    }
}

/// What is to be proven.
struct Order {
    engine: Engine,
    idempotency: Idempotency,
    broken: Option<Break>,
    renewals: u64,
    kills_min: u64,
    seed: u64,
    /// Where the files go and stay; otherwise a temporary folder.
    folder: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    engine: &'static str,
    sandbox_idempotency: Idempotency,
    #[serde(rename = "break")]
    broken: Option<Break>,
    seed: u64,
    subscribers: u64,
    renewals: u64,
    kills_min: u64,
    /// Kills at which a request was under way.
    kills_counted: u64,
    /// All kills.
    kills: u64,
    /// Requests under way at the counted kills.
    charges_in_flight: u64,
    /// Restarts that came as far as a new charge before the next kill.
    recoveries: u64,
    /// From restart to first new charge, in milliseconds.
    recovery_median_ms: u64,
    recovery_p99_ms: u64,
    seconds: u64,
    #[serde(flatten)]
    findings: Findings,
    passed: bool,
}

/// Runs the proof. Error: it could not be carried out; what was found is in the report.
async fn prove(order: &Order, bar: &ProgressBar) -> Result<Report, Failure> {
    let started = Instant::now();
    let temporary = match &order.folder {
        Some(folder) => {
            stage::empty(folder)?;
            None
        }
        None => Some(
            tempfile::tempdir().map_err(|error| Failure::failed(format!("no temporary folder: {error}")))?,
        ),
    };
    let folder = temporary.as_ref().map(|folder| folder.path().to_owned()).or_else(|| order.folder.clone());
    let stage = Stage::set(order, folder.unwrap_or_default(), &schema_name(order.seed)).await?;
    let found = tokio::select! {
        found = play(order, &stage, bar) => found,
        () = crate::signals::wait() => Err(Failure {
            code: crate::failure::Code::Interrupted,
            message: "interrupted; nothing is proven".to_owned(),
        }),
    };
    stage.strike().await?;
    let (kills, findings) = found?;
    Ok(report(order, &kills, findings, started.elapsed()))
}

/// A schema that no other proof on the same server has.
fn schema_name(seed: u64) -> String {
    format!("teiki_proof_{}_{seed:x}", std::process::id())
}

async fn play(order: &Order, stage: &Stage, bar: &ProgressBar) -> Result<(Kills, Findings), Failure> {
    let account = stage.import(order.renewals / input::CYCLES).await?;
    let gateway = stage.gateway(&faults(order.idempotency), order.seed).await?;
    let tap = Tap::start(&gateway.url).await?;
    let target = Target { account, renewals: order.renewals, kills_min: order.kills_min, seed: order.seed };
    let kills = killer::until_done(stage, &tap, &target, bar).await?;
    let book = gateway.stop().await?;
    let (plans, subscribers) = (stage.path("plans.csv"), stage.path("subscribers.csv"));
    let evidence =
        Evidence { plans: &plans, subscribers: &subscribers, book: &book, last_day: input::LAST_DAY };
    let db = stage.open().await?;
    let findings = checker::check(&evidence, &db).await;
    db.close().await;
    let findings =
        findings.map_err(|reason| Failure::failed(format!("the checker cannot check: {reason}")))?;
    Ok((kills, findings))
}

fn faults(idempotency: Idempotency) -> String {
    let kept = match idempotency {
        Idempotency::None => "none",
        Idempotency::BestEffort => "best-effort",
        Idempotency::Strong => "forever",
    };
    format!("idempotency={kept},{FAULTS}")
}

fn report(order: &Order, kills: &Kills, findings: Findings, took: Duration) -> Report {
    let mut recoveries = kills.recoveries.clone();
    recoveries.sort();
    let passed = findings.is_clean() && findings.due == order.renewals && kills.counted >= order.kills_min;
    Report {
        engine: match order.engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres(_) => "postgres",
        },
        sandbox_idempotency: order.idempotency,
        broken: order.broken,
        seed: order.seed,
        subscribers: order.renewals / input::CYCLES,
        renewals: order.renewals,
        kills_min: order.kills_min,
        kills_counted: kills.counted,
        kills: kills.all,
        charges_in_flight: kills.in_flight,
        recoveries: u64::try_from(recoveries.len()).unwrap_or(u64::MAX),
        recovery_median_ms: percentile_ms(&recoveries, 50),
        recovery_p99_ms: percentile_ms(&recoveries, 99),
        seconds: took.as_secs(),
        findings,
        passed,
    }
}

/// The value below which `percent` of 100 are, of sorted values; 0 if there are none.
fn percentile_ms(sorted: &[Duration], percent: usize) -> u64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).map_or(0, |value| u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
}
