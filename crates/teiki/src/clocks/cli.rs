//! `teiki run`: bills a test account along its clock.

use std::sync::Arc;

use billing::mode::Mode;
use billing::renewal::AccountTerms;
use clap::Args;
use db::Engine;
use jiff::Timestamp;

use super::{Journey, Totals, advance, totals};
use crate::accounts::{self, Account, TestClock};
use crate::app::{self, App, Missing, Setting};
use crate::failure::{Code, Failure};
use crate::gateways::{self, SandboxAt};
use crate::leases::{self, Lease};
use crate::line::{Line, Scope};
use crate::output::Format;
use crate::renewals::Lane;
use crate::renewals::work::Ended;
use crate::{holds, outbox, output, progress, signals};

/// Lanes on PostgreSQL: enough connections to keep its processes busy.
const POSTGRES_LANES: i64 = 4;

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
        Failure::usage(format!("--until {:?} is not an instant; write it as 2027-12-31T23:59:59+09:00", args.until))
    })?;
    let app = App::open(setting, Missing::Refuse).await?;
    let _lock = app::charging_lock(setting)?;
    let account = accounts::get(&app.db, &args.account).await?;
    let clock = clock_of(&app, &account, until).await?;
    let lease = leases::take(&app.db, &format!("clock:{}", clock.id)).await?;
    let sandbox = SandboxAt::find(args.sandbox, &setting.data_dir).await?;
    let connection = gateways::sandbox_connection(&app, &account).await?;
    let line = Arc::new(Line::new(app.db.clone(), app.key.clone(), vec![(connection, sandbox.connect().await?)]));
    let scope = Scope {
        account: account.id,
        mode: app.mode,
        clock: clock.id.to_string(),
        lease: lease.as_ref().map(|lease| lease.fence.clone()),
    };
    let journey = Journey { line: &line, scope, terms: &account.terms, clock, until, lanes: lanes(app.db.engine()) };
    let ended = travel(&journey, lease.as_ref(), app.format).await;
    sandbox.stop().await;
    finish(&app, &journey, ended?).await
}

fn lanes(engine: Engine) -> Vec<Lane> {
    match engine {
        Engine::Sqlite => Lane::cut(1),
        Engine::Postgres => Lane::cut(POSTGRES_LANES),
    }
}

async fn clock_of(app: &App, account: &Account, until: Timestamp) -> Result<TestClock, Failure> {
    let id = account.id;
    let clock = app.db.read(move |tx| accounts::find_clock(tx, id)).await?.ok_or_else(|| {
        Failure::usage(format!("account {id} has no test clock; import its subscribers with --clock INSTANT first"))
    })?;
    if until < clock.frozen_time {
        return Err(Failure::usage(format!(
            "--until {until} is before the clock, which stands at {}; a clock only goes forward",
            clock.frozen_time
        )));
    }
    Ok(clock)
}

/// Advances the clock while the outbox, the hold switch and signals are looked after.
async fn travel(journey: &Journey<'_>, lease: Option<&Lease>, format: Format) -> Result<Ended, Failure> {
    let line = journey.line;
    let delivering = tokio::spawn(outbox::run(Arc::clone(line)));
    let watching = tokio::spawn(holds::job::watch(Arc::clone(line), journey.scope.account));
    let stopping = tokio::spawn(signals::stop_on_signal(Arc::clone(line)));
    output::ready();
    let total = day_count(journey.terms, journey.clock.frozen_time, journey.until);
    let bar = progress::bar("simulated days", Some(total), format == Format::Json);
    let start = journey.clock.frozen_time;
    let advanced = tokio::select! {
        advanced = advance(journey, |now| bar.set_position(day_count(journey.terms, start, now))) => advanced.map_err(Failure::from),
        () = lost(lease) => Err(Failure::failed("the database session that holds the clock was lost; run the same command again")),
    };
    bar.finish_and_clear();
    let was_asked = line.is_stopping();
    line.stop();
    watching.abort();
    stopping.abort();
    // It ends by itself now that the line stops.
    let _ = delivering.await;
    let ended = advanced?;
    outbox::drain(&line.db).await?;
    Ok(if was_asked { Ended::Stopped } else { ended })
}

/// Returns when the lease's database session is gone.
async fn lost(lease: Option<&Lease>) {
    let Some(lease) = lease else {
        return std::future::pending().await;
    };
    while lease.is_alive().await {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn day_count(terms: &AccountTerms, from: Timestamp, to: Timestamp) -> u64 {
    let days = (terms.zone.day_of(to) - terms.zone.day_of(from)).get_days();
    u64::try_from(days).unwrap_or(0)
}

/// Prints the totals and says what is left.
async fn finish(app: &App, journey: &Journey<'_>, ended: Ended) -> Result<(), Failure> {
    let totals = totals(journey.line, &journey.scope, journey.until).await?;
    let account = journey.scope.account;
    match ended {
        Ended::Held(reason) => {
            print(app.format, &totals)?;
            Err(Failure::unfinished(format!(
                "charging is held ({reason}); `teiki hold off --account {account}` releases it, then run the same command again"
            )))
        }
        Ended::Stopped if journey.line.is_held() => {
            print(app.format, &totals)?;
            Err(Failure::unfinished(format!(
                "charging is held; `teiki hold off --account {account}` releases it, then run the same command again"
            )))
        }
        Ended::Stopped => Err(Failure { code: Code::Interrupted, message: "interrupted; run the same command again to go on".into() }),
        Ended::Fenced => Err(Failure::failed("another process took over this clock")),
        Ended::Done if totals.unknown > 0 => {
            print(app.format, &totals)?;
            Err(Failure::unfinished(format!(
                "the outcome of {} charges is not known yet; run the same command again, or see `teiki status --account {account}`",
                totals.unknown
            )))
        }
        Ended::Done => print(app.format, &totals),
    }
}

fn print(format: Format, totals: &Totals) -> Result<(), Failure> {
    output::print(format, totals, |totals| {
        format!(
            "billed until {}\n  invoices            {}\n  charges succeeded   {}  (¥{})\n  charges failed      {}\n  unknown             {}",
            totals.until, totals.invoices, totals.charges_succeeded, totals.amount_succeeded, totals.charges_failed, totals.unknown
        )
    })
}
