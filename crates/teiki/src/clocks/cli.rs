//! `teiki run`: bills a test account along its clock.

use billing::id::AccountId;
use billing::mode::Mode;
use billing::renewal::AccountTerms;
use clap::Args;
use jiff::Timestamp;

use super::Totals;
use super::bill::{Billed, clock_of, set_out};
use crate::app::{self, App, Missing, Setting};
use crate::failure::{Code, Failure};
use crate::output::Format;
use crate::renewals::work::Ended;
use crate::{accounts, output, progress};

/// Move an account's test clock and bill everything due on the way.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki run --account acct_… --until 2027-12-31T23:59:59+09:00
  teiki run --account acct_… --until 2027-02-01T00:00:00+09:00 --sandbox http://127.0.0.1:9000 --json

Interrupted (also by kill -9), the same command goes on where it stopped. Repeated, it prints the same totals.")]
pub struct RunArgs {
    /// The account.
    #[arg(long, value_name = "ID")]
    account: String,
    /// Where the clock goes: an instant such as 2027-12-31T23:59:59+09:00
    #[arg(long, value_name = "INSTANT")]
    until: String,
    /// The sandbox to charge through [default: one inside this process, its book in --data-dir]
    #[arg(long, value_name = "URL")]
    sandbox: Option<String>,
}

/// Runs `teiki run`.
pub async fn run(setting: &Setting, args: RunArgs) -> Result<(), Failure> {
    if setting.mode != Mode::Test {
        return Err(Failure::usage("run moves a test clock, so it works with --mode test only"));
    }
    let until: Timestamp = args.until.parse().map_err(|_| {
        Failure::usage(format!(
            "--until {:?} is not an instant; write it as 2027-12-31T23:59:59+09:00",
            args.until
        ))
    })?;
    App::with(setting, Missing::Refuse, async |app| go(app, setting, args, until).await).await
}

async fn go(app: &App, setting: &Setting, args: RunArgs, until: Timestamp) -> Result<(), Failure> {
    let _lock = app::charging_lock(setting)?;
    let account = accounts::get(&app.db, &args.account).await?;
    let clock = clock_of(app, &account, until).await?;
    let departure = set_out(app, &account, clock, (args.sandbox, &setting.data_dir)).await?;
    output::ready();
    let (terms, start) = (&account.terms, clock.frozen_time);
    let bar =
        progress::bar("simulated days", Some(day_count(terms, start, until)), app.format == Format::Json);
    let billed = departure.travel(until, |_, now| bar.set_position(day_count(terms, start, now))).await;
    bar.finish_and_clear();
    finish(app.format, account.id, &billed?)
}

fn day_count(terms: &AccountTerms, from: Timestamp, to: Timestamp) -> u64 {
    let days = (terms.zone.day_of(to) - terms.zone.day_of(from)).get_days();
    u64::try_from(days).unwrap_or(0)
}

/// Prints the totals and says what is left.
fn finish(format: Format, account: AccountId, billed: &Billed) -> Result<(), Failure> {
    let totals = &billed.totals;
    match &billed.ended {
        Ended::Held(reason) => {
            print(format, totals)?;
            Err(Failure::unfinished(format!(
                "charging is held ({reason}); `teiki hold off --account {account}` releases it, then run the same command again"
            )))
        }
        Ended::Stopped if billed.line.is_held() => {
            print(format, totals)?;
            Err(Failure::unfinished(format!(
                "charging is held; `teiki hold off --account {account}` releases it, then run the same command again"
            )))
        }
        Ended::Stopped => Err(Failure {
            code: Code::Interrupted,
            message: "interrupted; run the same command again to go on".into(),
        }),
        Ended::Unsent(count) => {
            print(format, totals)?;
            Err(Failure::unfinished(format!(
                "the gateway does not take requests: {count} charges were not sent, and are under the same keys when the same command runs again"
            )))
        }
        Ended::Fenced => Err(Failure::failed("another process took over this clock")),
        Ended::Done if totals.unknown > 0 => {
            print(format, totals)?;
            Err(Failure::unfinished(format!(
                "the outcome of {} charges is not known yet; run the same command again, or see `teiki status --account {account}`",
                totals.unknown
            )))
        }
        Ended::Done => print(format, totals),
    }
}

fn print(format: Format, totals: &Totals) -> Result<(), Failure> {
    output::print(format, totals, |totals| {
        format!(
            "billed until {}\n  invoices            {}\n  charges succeeded   {}  (¥{})\n  charges failed      {}\n  unknown             {}",
            totals.until,
            totals.invoices,
            totals.charges_succeeded,
            totals.amount_succeeded,
            totals.charges_failed,
            totals.unknown
        )
    })
}
