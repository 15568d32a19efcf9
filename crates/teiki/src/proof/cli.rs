//! `teiki proof`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Break, Engine, Idempotency, Order, Report, input, prove, view};
use crate::app::Setting;
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::{clock, progress};

/// Where a server for tests is named, if `--database` is not given.
const TEST_SERVER: &str = "TEIKI_TEST_POSTGRES";
/// How a build with the broken protocols is made.
const BROKEN_BUILD: &str = "cargo build --release -p teiki --features broken --target-dir target/broken";

/// Prove on this machine that teiki charges once, whatever happens to it.
#[derive(Debug, Args)]
pub struct ProofArgs {
    #[command(subcommand)]
    proof: Proof,
}

#[derive(Debug, Subcommand)]
enum Proof {
    Kill(KillArgs),
}

/// Kill the charging process at random moments and check the gateway's book.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki proof kill --engine sqlite --renewals 5000 --kills-min 50
  teiki proof kill --engine sqlite --renewals 100000 --sandbox-idempotency none
  teiki proof kill --engine postgres --renewals 100000 --database postgres://me@localhost/scratch

Ends with 0 only if nothing was charged twice, missed or early, the books are in order, nothing is left,
and enough kills counted. docs/proof.md says what is done and what the figures mean.")]
struct KillArgs {
    /// Which database.
    #[arg(long, value_name = "ENGINE")]
    engine: EngineName,
    /// How many renewals: a tenth of it as subscribers, each with ten monthly cycles.
    #[arg(long, value_name = "N")]
    renewals: u64,
    /// Fewer kills with a request under way than this prove too little.
    #[arg(long, value_name = "COUNT", default_value_t = 300)]
    kills_min: u64,
    /// What the gateway does with a key that it has seen.
    #[arg(long, value_name = "KIND", default_value = "strong")]
    sandbox_idempotency: Idempotency,
    /// Run a deliberately broken protocol, to see that the proof finds it.
    #[arg(long = "break", value_name = "HOW")]
    broken: Option<Break>,
    /// Repeats the kills and faults of another run as far as timing allows [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Keep all files in this new folder [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineName {
    Sqlite,
    Postgres,
}

/// Runs `teiki proof …`. `database` is what `--database` says, as it was written.
pub async fn run(setting: &Setting, database: Option<String>, args: ProofArgs) -> Result<(), Failure> {
    let Proof::Kill(args) = args.proof;
    let order = order(args, database)?;
    let bar = progress::bar("charging", Some(order.renewals), setting.format == Format::Json);
    let proven = prove(&order, &bar).await;
    bar.finish_and_clear();
    let report = proven?;
    output::print(setting.format, &report, view::text)?;
    verdict(&report)
}

fn order(args: KillArgs, database: Option<String>) -> Result<Order, Failure> {
    if args.renewals == 0 || !args.renewals.is_multiple_of(input::CYCLES) {
        return Err(Failure::usage(format!(
            "--renewals: each subscriber has {0} cycles, so take a multiple of {0}",
            input::CYCLES
        )));
    }
    if let Some(broken) = args.broken
        && cfg!(not(feature = "broken"))
    {
        return Err(Failure::usage(format!(
            "--break: this program has no broken protocol in it. Build one that has, with\n  {BROKEN_BUILD}\n\
             and run target/broken/release/teiki proof kill --break {} …",
            broken.name()
        )));
    }
    Ok(Order {
        engine: engine(args.engine, database)?,
        idempotency: args.sandbox_idempotency,
        broken: args.broken,
        renewals: args.renewals,
        kills_min: args.kills_min,
        seed: args.seed.unwrap_or_else(|| clock::now().as_microsecond().unsigned_abs()),
        folder: args.dir,
    })
}

fn engine(engine: EngineName, database: Option<String>) -> Result<Engine, Failure> {
    match engine {
        EngineName::Sqlite => Ok(Engine::Sqlite),
        EngineName::Postgres => database
            .filter(|url| url.starts_with("postgres"))
            .or_else(|| std::env::var(TEST_SERVER).ok())
            .map(Engine::Postgres)
            .ok_or_else(|| {
                Failure::usage(format!(
                    "--engine postgres needs a database in which the proof may make a schema of its own: name it by \
                     --database postgres://… (or {TEST_SERVER})"
                ))
            }),
    }
}

/// The exit code is 0 for a proof alone.
fn verdict(report: &Report) -> Result<(), Failure> {
    if report.passed {
        return match report.broken {
            None => Ok(()),
            Some(_) => {
                Err(Failure::failed("the broken protocol was not found out; take more renewals and kills"))
            }
        };
    }
    if !report.findings.is_clean() {
        return Err(Failure::failed(match report.broken {
            None => {
                format!("the proof failed; --seed {} --dir DIR repeats it and keeps its files", report.seed)
            }
            Some(broken) => format!("the broken protocol {} was found out", broken.name()),
        }));
    }
    Err(Failure::failed(format!(
        "only {} of {} kills counted, which proves too little; take more renewals or fewer --kills-min",
        report.kills_counted, report.kills_min
    )))
}
