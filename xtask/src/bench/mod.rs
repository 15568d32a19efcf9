//! `cargo xtask bench`: how fast teiki is, always beside what the same machine can do at best.
//!
//! | command | what it compares |
//! |---|---|
//! | `renewals` | teiki's line from due to delivered with [`always_yes`], and the [`floor`]: the same rows by hand-batched SQL |
//! | `renewals --growth` | the same renewals with a year of history and without ([`growth`]) |
//! | `http` | `teiki run` against a sandbox, and a bare client that sends the same requests ([`floor_http`]) |
//! | `api` | the HTTP API idle and while many renewals are charged, and a bare handler ([`floor_api`]) |
//! | `idle` | what `teiki serve` costs while nobody is due |
//!
//! Sides take turns within one run, for only numbers of one run can be compared. Each timed round is a process of its own
//! (`bench round …`, hidden), so that its peak memory is its own, and works on a fresh copy of one prepared database. All
//! numbers are integers: rates a second, thousandths for ratios. docs/benchmarks.md explains how to read them.

mod always_yes;
mod api;
mod floor;
mod floor_api;
mod floor_http;
mod floor_postgres;
mod floor_rows;
mod floor_sqlite;
mod growth;
mod http;
mod idle;
mod load;
mod measure;
mod process;
mod renewals;
mod scratch;
mod subscribers;
mod teiki_round;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, Subcommand, ValueEnum};

/// What stops a benchmark: one sentence.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

#[derive(Args)]
pub(crate) struct BenchArguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Renewals a second, from due to outbox delivery, beside the same rows written by hand-batched SQL.
    Renewals(renewals::RenewalsArguments),
    /// Charges a second of `teiki run` over HTTP, beside a bare client that sends the same requests.
    Http(http::HttpArguments),
    /// Requests a second of the HTTP API, idle and while many renewals are charged, beside a bare handler.
    Api(api::ApiArguments),
    /// What `teiki serve` costs while nobody is due.
    Idle(idle::IdleArguments),
    /// One timed round in a process of its own.
    #[command(hide = true)]
    Round(Round),
}

#[derive(Args)]
struct Round {
    #[command(subcommand)]
    side: Side,
}

#[derive(Subcommand)]
enum Side {
    Teiki(teiki_round::TeikiArguments),
    History(teiki_round::HistoryArguments),
    Floor(floor::FloorArguments),
    Bare(floor_api::BareArguments),
}

/// Where the scratch databases are made.
#[derive(Args, Clone)]
pub(crate) struct Where {
    /// The database engine.
    #[arg(long, value_enum, default_value = "sqlite")]
    engine: EngineName,
    /// The PostgreSQL server: any database of it; scratch databases are made beside that one and dropped.
    #[arg(long, env = "TEIKI_TEST_POSTGRES", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// Where scratch files go [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Answer with one line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    Sqlite,
    Postgres,
}

/// Runs a benchmark, in the release profile: a debug build makes one and hands over to it.
pub(crate) fn run(root: &Path, arguments: &BenchArguments) -> ExitCode {
    let done =
        if cfg!(debug_assertions) { in_release(root) } else { here(arguments).map(|()| ExitCode::SUCCESS) };
    done.unwrap_or_else(|failed| {
        eprintln!("bench: {failed}");
        ExitCode::FAILURE
    })
}

fn here(arguments: &BenchArguments) -> Result<(), Failed> {
    match &arguments.bench {
        Bench::Renewals(arguments) if arguments.growth => growth::run(arguments),
        Bench::Renewals(arguments) => renewals::run(arguments),
        Bench::Http(arguments) => http::run(arguments),
        Bench::Api(arguments) => api::run(arguments),
        Bench::Idle(arguments) => idle::run(arguments),
        Bench::Round(round) => match &round.side {
            Side::Teiki(arguments) => teiki_round::run(arguments),
            Side::History(arguments) => teiki_round::make_history(arguments),
            Side::Floor(arguments) => floor::run(arguments),
            Side::Bare(arguments) => floor_api::serve(arguments),
        },
    }
}

/// Builds this program and `teiki` in the release profile and runs it with the same arguments.
fn in_release(root: &Path) -> Result<ExitCode, Failed> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--package", "xtask", "--package", "teiki"])
        .current_dir(root)
        .status()?;
    if !built.success() {
        return Err("the release build failed".into());
    }
    let program = std::env::current_exe()?;
    let release = program
        .parent()
        .and_then(Path::parent)
        .ok_or("this program is not in a target folder")?
        .join("release")
        .join("xtask");
    let ended = Command::new(&release).args(std::env::args_os().skip(1)).status()?;
    Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The `teiki` program that was built with this one.
fn teiki_program() -> Result<PathBuf, Failed> {
    let program = std::env::current_exe()?.with_file_name("teiki");
    if program.exists() {
        Ok(program)
    } else {
        Err("`teiki` is not built beside this program; run `cargo xtask bench`, which builds both".into())
    }
}
