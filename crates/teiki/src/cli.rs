//! The command line: global options, the list of commands, exit codes.

use std::path::PathBuf;
use std::process::ExitCode;

use billing::mode::Mode;
use clap::{Args, Parser, Subcommand};
use db::DatabaseUrl;

use crate::app::Setting;
use crate::failure::Failure;
use crate::imports;
use crate::logs;
use crate::output::{self, Format};
use crate::{accounts, clocks, demo, doctor, exports, holds, proof, renewals, sandboxes, serve, status};

/// Recurring payments: charge subscribers on time, once, and know where each payment stands.
#[derive(Debug, Parser)]
#[command(name = "teiki", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    done
  1    something outside went wrong: database, network, disk
  2    what was asked for is wrong: an argument, a file, a row
  3    stopped with work left: charging is held, or the outcome of a charge is unknown
  130  interrupted; run the same command again to go on";

#[derive(Debug, Args)]
struct Global {
    /// Where the database is: sqlite:PATH or postgres://USER@HOST/NAME [default: a file in --data-dir]
    #[arg(long, global = true, env = "TEIKI_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// Where files are kept.
    #[arg(long, global = true, env = "TEIKI_DATA", value_name = "DIR", default_value = "./teiki-data")]
    data_dir: PathBuf,
    /// Which side of the account: test or live.
    #[arg(long, global = true, default_value = "test")]
    mode: Mode,
    /// Answer with one line of JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Account(accounts::cli::AccountArgs),
    Demo(demo::cli::DemoArgs),
    Doctor(doctor::cli::DoctorArgs),
    Export(exports::cli::ExportArgs),
    Hold(holds::cli::HoldArgs),
    Import(imports::cli::ImportArgs),
    Proof(proof::cli::ProofArgs),
    Run(clocks::cli::RunArgs),
    Sandbox(sandboxes::SandboxArgs),
    Serve(serve::cli::ServeArgs),
    Status(status::cli::StatusArgs),
    Unpark(renewals::cli::UnparkArgs),
}

/// Reads the command line, runs the command and reports its outcome.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let is_json = cli.global.json;
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure, is_json);
            ExitCode::from(failure.code as u8)
        }
    }
}

fn start(cli: Cli) -> Result<(), Failure> {
    // A proof makes other URLs of it; a setting shows no password, so it does not hold the text.
    let database = cli.global.database.clone();
    logs::start(matches!(cli.command, Command::Serve(_)))?;
    let setting = setting(cli.global)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::failed(format!("the system gives no threads: {error}")))?;
    runtime.block_on(dispatch(setting, database, cli.command))
}

async fn dispatch(setting: Setting, database: Option<String>, command: Command) -> Result<(), Failure> {
    match command {
        Command::Account(args) => accounts::cli::run(&setting, args).await,
        Command::Demo(args) => demo::cli::run(&setting, args).await,
        Command::Doctor(args) => doctor::cli::run(&setting, args).await,
        Command::Export(args) => exports::cli::run(&setting, args).await,
        Command::Hold(args) => holds::cli::run(&setting, args).await,
        Command::Import(args) => imports::cli::run(&setting, args).await,
        Command::Proof(args) => proof::cli::run(&setting, database, args).await,
        Command::Run(args) => clocks::cli::run(&setting, args).await,
        Command::Sandbox(args) => sandboxes::run(&setting, args).await,
        Command::Serve(args) => serve::cli::run(&setting, args).await,
        Command::Status(args) => status::cli::run(&setting, args).await,
        Command::Unpark(args) => renewals::cli::run(&setting, args).await,
    }
}

fn setting(global: Global) -> Result<Setting, Failure> {
    let url = match global.database {
        Some(url) => url,
        None => format!("sqlite:{}", global.data_dir.join("teiki.db").display()),
    };
    let database: DatabaseUrl =
        url.parse().map_err(|error: db::UrlError| Failure::usage(format!("--database: {error}")))?;
    let format = if global.json { Format::Json } else { Format::Text };
    Ok(Setting { database, data_dir: global.data_dir, mode: global.mode, format })
}

/// Errors go to standard error: a sentence, or with `--json` an object.
fn report(failure: &Failure, is_json: bool) {
    if is_json {
        let error =
            serde_json::json!({"error": {"message": failure.message, "exit_code": failure.code as u8}});
        output::tell(&error.to_string());
    } else {
        output::tell(&format!("teiki: {}", failure.message));
    }
}
