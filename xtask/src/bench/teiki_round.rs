//! One round of teiki: everything that is due at one instant, from due to outbox delivery, through a gateway inside the
//! process that says yes. Also the making of a history, which is such rounds month after month.
//!
//! What is timed is the line as `teiki run` drives it (`renewals::work::until_done`, lanes and lease as there), the outbox
//! beside it, and then the delivery of what is left there. Opening the database is not.

use std::sync::Arc;
use std::time::Instant;

use billing::mode::Mode;
use clap::Args;
use db::{DatabaseUrl, Db, Engine, Options};
use jiff::Timestamp;
use postgres::{Client, NoTls};
use teiki::accounts::{self, Account, TestClock};
use teiki::clocks::{self, Journey};
use teiki::leases::{self, Lease};
use teiki::line::{Line, Scope};
use teiki::renewals::work::{Ended, until_done};
use teiki::renewals::{self, Lane};
use teiki::{clock, gateways, outbox, progress};

use super::always_yes::AlwaysYes;
use super::measure::Round;
use super::{Failed, process};

/// As `teiki run` cuts the work.
const POSTGRES_LANES: i64 = 4;

#[derive(Args)]
pub(crate) struct TeikiArguments {
    #[arg(long)]
    database: String,
    #[arg(long)]
    account: String,
    /// How many renewals must come of it.
    #[arg(long)]
    count: u64,
}

#[derive(Args)]
pub(crate) struct HistoryArguments {
    #[arg(long)]
    database: String,
    #[arg(long)]
    account: String,
    #[arg(long)]
    until: Timestamp,
    #[arg(long)]
    quiet: bool,
}

/// An account whose work this process does.
struct Work {
    line: Arc<Line>,
    scope: Scope,
    account: Account,
    clock: TestClock,
    lanes: Vec<Lane>,
    /// Held as long as the work goes on.
    _lease: Option<Lease>,
}

/// Runs one round and prints it.
pub(crate) fn run(arguments: &TeikiArguments) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let work = runtime.block_on(open(&arguments.database, &arguments.account))?;
    let at = runtime
        .block_on(renewals::next_action_at(&work.line.db, &work.scope))?
        .ok_or("nothing is scheduled")?;
    let mut log = LogMeter::start(&arguments.database)?;
    let before = work.line.db.stats();
    let started = Instant::now();
    let ended = runtime.block_on(async {
        let delivering = tokio::spawn(outbox::run(Arc::clone(&work.line)));
        let ended = until_done(&work.line, &work.scope, &work.account.terms, at, &work.lanes).await?;
        // It may be in its pause; what is left is delivered here.
        delivering.abort();
        outbox::drain(&work.line.db).await?;
        Ok::<_, db::Error>(ended)
    })?;
    let micros = u64::try_from(started.elapsed().as_micros())?;
    let log_bytes = log.stop()?;
    let after = work.line.db.stats();
    let succeeded = work.line.counters.succeeded.load(std::sync::atomic::Ordering::Relaxed);
    if ended != Ended::Done || succeeded != arguments.count {
        return Err(format!("{succeeded} of {} renewals were charged: {ended:?}", arguments.count).into());
    }
    let round = Round {
        count: succeeded,
        micros,
        transactions: after.transactions - before.transactions,
        syncs: after.syncs - before.syncs,
        round_trips: after.round_trips - before.round_trips,
        rows: after.rows_written - before.rows_written,
        log_bytes,
        peak_kib: process::peak_kib("self")?,
    };
    runtime.block_on(work.line.db.close());
    println!("{}", serde_json::to_string(&round)?);
    Ok(())
}

/// Bills an account along its clock and prints `null`: every renewal of a history is one that teiki has made.
pub(crate) fn make_history(arguments: &HistoryArguments) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let work = open(&arguments.database, &arguments.account).await?;
        let delivering = tokio::spawn(outbox::run(Arc::clone(&work.line)));
        let start = work.clock.frozen_time;
        let days = |at: Timestamp| u64::try_from((at.as_second() - start.as_second()) / 86_400).unwrap_or(0);
        let bar = progress::bar("days of history", Some(days(arguments.until)), arguments.quiet);
        let journey = Journey {
            line: &work.line,
            scope: work.scope.clone(),
            terms: &work.account.terms,
            clock: work.clock,
            until: arguments.until,
            lanes: work.lanes.clone(),
        };
        let ended = clocks::advance(&journey, |now| bar.set_position(days(now))).await?;
        bar.finish_and_clear();
        work.line.stop();
        delivering.await?;
        outbox::drain(&work.line.db).await?;
        work.line.db.close().await;
        if ended == Ended::Done {
            println!("null");
            Ok(())
        } else {
            Err(format!("the history was not finished: {ended:?}").into())
        }
    })
}

async fn open(url: &str, account: &str) -> Result<Work, Failed> {
    let url: DatabaseUrl = url.parse()?;
    let db = Db::open(&url, &Options::default()).await?;
    let key = accounts::derivation_key(&db).await?;
    let account = accounts::get(&db, account).await?;
    let id = account.id;
    let clock =
        db.read(move |tx| accounts::find_clock(tx, id)).await?.ok_or("the account has no test clock")?;
    let lease = leases::take(&db, &format!("clock:{}", clock.id)).await?;
    let (connection_key, side) = (key.clone(), (account.id, Mode::Test));
    let connection = db
        .write(move |tx| {
            accounts::ensure_connection(tx, &connection_key, side, gateways::SANDBOX, clock::now())
        })
        .await?;
    let lanes = match db.engine() {
        Engine::Sqlite => Lane::cut(1),
        Engine::Postgres => Lane::cut(POSTGRES_LANES),
    };
    let scope = Scope {
        account: account.id,
        mode: Mode::Test,
        clock: clock.id.to_string(),
        lease: lease.as_ref().map(|lease| lease.fence.clone()),
    };
    let line = Arc::new(Line::new(db, key, Mode::Test, vec![(connection, Arc::new(AlwaysYes::default()))]));
    Ok(Work { line, scope, account, clock, lanes, _lease: lease })
}

/// Counts the bytes of the write-ahead log. On PostgreSQL it asks the server how far the log has come; for SQLite it
/// takes all that this process writes, for it writes nothing else: each page once to the log and, by checkpoints, to the file.
pub(crate) enum LogMeter {
    Sqlite(u64),
    Postgres(Box<Client>, u64),
}

impl LogMeter {
    pub(crate) fn start(url: &str) -> Result<Self, Failed> {
        if url.starts_with("sqlite:") {
            return Ok(Self::Sqlite(process::bytes_written()?));
        }
        let mut client = Client::connect(url, NoTls)?;
        let from = log_position(&mut client)?;
        Ok(Self::Postgres(Box::new(client), from))
    }

    pub(crate) fn stop(&mut self) -> Result<u64, Failed> {
        match self {
            Self::Sqlite(from) => Ok(process::bytes_written()? - *from),
            Self::Postgres(client, from) => Ok(log_position(client)? - *from),
        }
    }
}

fn log_position(client: &mut Client) -> Result<u64, Failed> {
    let row = client
        .query_one("select cast(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as bigint)", &[])?;
    Ok(u64::try_from(row.try_get::<_, i64>(0)?)?)
}
