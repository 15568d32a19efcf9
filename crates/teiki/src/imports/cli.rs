//! `teiki import`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::{Encoding, Files, Report, Request, local};
use crate::accounts;
use crate::actor::Actor;
use crate::app::{App, Missing, Setting};
use crate::failure::{Code, Failure};
use crate::output::{self, Format};
use crate::{clock, progress, signals};

const EXAMPLES: &str = "Examples:
  teiki import --account acct_… --plans plans.csv --subscribers subscribers.csv --dry-run
  teiki import --account acct_… --plans plans.csv --subscribers subscribers.csv \\
    --clock 2027-01-01T00:00:00+09:00

Each row of the subscribers is a running subscription: it gets no trial and no set-up fee,
and is charged next on its next_charge_on. All of both files is imported or nothing, and
every error is named with its line. The same files again change nothing. The columns are
described in docs/import.md.";

/// Take over running subscriptions from CSV files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArgs {
    /// The account to import into.
    #[arg(long, value_name = "ACCOUNT")]
    account: String,
    /// CSV file of the plans.
    #[arg(long, value_name = "FILE")]
    plans: PathBuf,
    /// CSV file of the running subscriptions.
    #[arg(long, value_name = "FILE")]
    subscribers: PathBuf,
    /// Start the account's test clock at this instant, such as 2027-01-01T00:00:00+09:00; once for an account.
    #[arg(long, value_name = "INSTANT")]
    clock: Option<String>,
    /// Encoding of both files [default: found out]
    #[arg(long, value_name = "ENCODING", ignore_case = true)]
    encoding: Option<Encoding>,
    /// Check everything and say what would be imported, but store nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Runs `teiki import`. A signal ends it; what is stored then is everything or nothing.
pub async fn run(setting: &Setting, args: ImportArgs) -> Result<(), Failure> {
    let clock = args.clock.as_deref().map(instant).transpose()?;
    let files = Files { plans: args.plans, subscribers: args.subscribers };
    let request =
        Request { account: args.account, files, encoding: args.encoding, clock, is_dry_run: args.dry_run };
    tokio::select! {
        result = import(setting, &request) => result,
        () = signals::wait() => Err(Failure {
            code: Code::Interrupted,
            message: "interrupted; all of the import is stored or nothing. Run the same command again, \
                      it stores only what is missing"
                .to_owned(),
        }),
    }
}

async fn import(setting: &Setting, request: &Request) -> Result<(), Failure> {
    App::with(setting, Missing::Refuse, async |app| {
        let is_quiet = app.format == Format::Json;
        let progress = |total| progress::bar("importing", Some(total), is_quiet);
        let report = super::import(app, request, Actor::Operator, clock::now(), progress).await?;
        let account = accounts::get(&app.db, &report.account).await?;
        let stands = report.clock.map(|at| local(&account, at));
        output::print(app.format, &report, |report| text(report, stands.as_deref()))
    })
    .await
}

fn instant(text: &str) -> Result<Timestamp, Failure> {
    let at: Timestamp = text.parse().map_err(|_| {
        Failure::usage(format!(
            "--clock: {text} is not an instant with an offset; write it as 2027-01-01T00:00:00+09:00"
        ))
    })?;
    // Stored in microseconds.
    Ok(Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at))
}

fn text(report: &Report, stands: Option<&str>) -> String {
    let done =
        if report.dry_run { "nothing was stored; this would be imported into" } else { "imported into" };
    let plans = format!("  plans        {} new, {} unchanged", report.plans.new, report.plans.unchanged);
    let subscribers =
        format!("  subscribers  {} new, {} unchanged", report.subscribers.new, report.subscribers.unchanged);
    let customers = format!("  customers    {} new", report.customers.new);
    let clock = match stands {
        Some(at) => format!("  clock        a test clock that stands at {at}"),
        None => "  clock        real time".to_owned(),
    };
    format!("{done} {} ({}):\n{plans}\n{subscribers}\n{customers}\n{clock}", report.account, report.mode)
}
