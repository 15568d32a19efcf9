//! Bill: moves a test clock with everything that a charging process needs around it.
//!
//! First the lease and the gateway ([`set_out`]), then the way itself while the outbox, the hold switch and
//! signals are looked after ([`Departure::travel`]), last the totals. `teiki run` and `teiki demo` bill alike.

use std::path::Path;
use std::sync::Arc;

use db::Engine;
use jiff::Timestamp;

use super::{Journey, Totals, advance, totals};
use crate::accounts::{self, Account, TestClock};
use crate::app::App;
use crate::charges::resolve;
use crate::failure::Failure;
use crate::gateways::{self, SandboxAt};
use crate::leases::{self, Lease};
use crate::line::{Line, Scope};
use crate::renewals::Lane;
use crate::renewals::work::Ended;
use crate::{clock, holds, outbox, signals};

/// Lanes on PostgreSQL: enough connections to keep its processes busy.
const POSTGRES_LANES: i64 = 4;

/// A clock that can be moved now: its lease is held and its gateway answers.
pub(crate) struct Departure<'a> {
    app: &'a App,
    account: &'a Account,
    clock: TestClock,
    line: Arc<Line>,
    scope: Scope,
    lease: Option<Lease>,
    sandbox: SandboxAt,
}

/// What became of a way.
pub(crate) struct Billed {
    /// How it ended.
    pub(crate) ended: Ended,
    /// What the clock has seen since its start.
    pub(crate) totals: Totals,
    /// The line that was charged through, with its counters.
    pub(crate) line: Arc<Line>,
}

/// The clock of an account, which may go to `until`. Error: there is none, or it stands later.
pub(crate) async fn clock_of(app: &App, account: &Account, until: Timestamp) -> Result<TestClock, Failure> {
    let id = account.id;
    let clock = app.db.read(move |tx| accounts::find_clock(tx, id)).await?.ok_or_else(|| {
        Failure::usage(format!(
            "account {id} has no test clock; import its subscribers with --clock INSTANT first"
        ))
    })?;
    if until < clock.frozen_time {
        return Err(Failure::usage(format!(
            "--until {until} is before the clock, which stands at {}; a clock only goes forward",
            clock.frozen_time
        )));
    }
    Ok(clock)
}

/// Takes the clock's lease and connects to the sandbox at `url`, or to one inside this process with its book
/// in `data_dir`. The lease comes first: its last holder may have had the book.
pub(crate) async fn set_out<'a>(
    app: &'a App,
    account: &'a Account,
    clock: TestClock,
    (url, data_dir): (Option<String>, &Path),
) -> Result<Departure<'a>, Failure> {
    let lease = leases::take(&app.db, &format!("clock:{}", clock.id)).await?;
    let sandbox = SandboxAt::find(url, data_dir).await?;
    let connection = gateways::sandbox_connection(app, account.id).await?;
    let gateway = sandbox.connect().await?;
    let line = Arc::new(Line::new(app.db.clone(), app.key.clone(), app.mode, vec![(connection, gateway)]));
    let scope = Scope {
        account: account.id,
        mode: app.mode,
        clock: clock.id.to_string(),
        lease: lease.as_ref().map(|lease| lease.fence.clone()),
    };
    Ok(Departure { app, account, clock, line, scope, lease, sandbox })
}

impl Departure<'_> {
    /// Moves the clock to `until`. `on_instant` is told each instant that it stops at.
    pub(crate) async fn travel(
        self,
        until: Timestamp,
        on_instant: impl Fn(&Line, Timestamp),
    ) -> Result<Billed, Failure> {
        let Self { app, account, clock, line, scope, lease, sandbox } = self;
        let journey = Journey {
            line: &line,
            scope,
            terms: &account.terms,
            clock,
            until,
            lanes: lanes(app.db.engine()),
        };
        let (id, from) = (journey.clock.id, journey.clock.frozen_time);
        let (mode, now) = (app.mode, clock::now());
        let set_out = move |tx: &mut db::Tx<'_>| {
            resolve::take_over(tx, mode, Lane::ALL, now)?;
            super::store::mark_way(tx, id, Some((from, until)))
        };
        app.db.write(set_out).await?;
        let ended = attended(&journey, lease.as_ref(), |now| on_instant(&line, now)).await;
        app.db.write(move |tx| super::store::mark_way(tx, id, None)).await?;
        sandbox.stop().await;
        let ended = ended?;
        let totals = totals(&line, &journey.scope, until).await?;
        Ok(Billed { ended, totals, line: Arc::clone(&line) })
    }
}

pub(super) fn lanes(engine: Engine) -> Vec<Lane> {
    match engine {
        Engine::Sqlite => Lane::cut(1),
        Engine::Postgres => Lane::cut(POSTGRES_LANES),
    }
}

/// Advances the clock while the outbox, the hold switch and signals are looked after.
async fn attended(
    journey: &Journey<'_>,
    lease: Option<&Lease>,
    on_instant: impl Fn(Timestamp),
) -> Result<Ended, Failure> {
    let line = journey.line;
    let delivering = tokio::spawn(outbox::run(Arc::clone(line)));
    let watching = tokio::spawn(holds::job::watch(Arc::clone(line), journey.scope.account));
    let stopping = tokio::spawn(signals::stop_on_signal(Arc::clone(line)));
    let advanced = tokio::select! {
        advanced = advance(journey, on_instant) => advanced.map_err(Failure::from),
        () = lost(lease) => Err(Failure::failed("the database session that holds the clock was lost; run the same command again")),
    };
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
pub(super) async fn lost(lease: Option<&Lease>) {
    let Some(lease) = lease else {
        return std::future::pending().await;
    };
    while lease.is_alive().await {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
