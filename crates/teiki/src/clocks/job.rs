//! The keeper of test clocks in a server: moves those that are on their way, and finds out what is not known on the others.
//!
//! One task for each clock, at most [`AT_ONCE`]; a clock that another process holds is left to it. A way that a stop or a
//! death interrupted is taken up again. A hold makes a clock wait; anything else that fails ends its way as failed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use billing::id::ClockId;
use billing::mode::Mode;
use db::Engine;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::bill::{lanes, lost};
use super::objects::{self, ClockRow, Status};
use super::{Journey, advance, store};
use crate::accounts::{self, TestClock};
use crate::app::App;
use crate::charges::resolve::{Pass, resolve};
use crate::clock;
use crate::failure::Failure;
use crate::holds;
use crate::leases::{self, Lease};
use crate::line::Scope;
use crate::renewals::Lane;
use crate::renewals::work::Ended;
use crate::serve::sides::{Side, Sides};

/// Clocks that are worked on at once: one more does not make the others slower than the database is.
const AT_ONCE: usize = 8;
/// Between two looks, unless the bell rings.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Keeps the clocks until asked to stop, and then waits for what is under way.
pub(crate) async fn keep(
    app: App,
    sides: Arc<Sides>,
    bell: Arc<Notify>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut busy: BTreeSet<ClockId> = BTreeSet::new();
    let mut working: JoinSet<ClockId> = JoinSet::new();
    while !*stopping.borrow() {
        if let Err(failure) = look(&app, &sides, (&mut busy, &mut working)).await {
            tracing::error!(%failure, "the test clocks could not be looked at; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_PAUSE) => {}
            () = bell.notified() => {}
            Some(done) = working.join_next(), if !working.is_empty() => {
                if let Ok(id) = done {
                    busy.remove(&id);
                }
            }
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
    // The lines stop sending, so that every way ends soon; it is taken up again at the next start.
    while working.join_next().await.is_some() {}
}

async fn look(
    app: &App,
    sides: &Arc<Sides>,
    (busy, working): (&mut BTreeSet<ClockId>, &mut JoinSet<ClockId>),
) -> Result<(), Failure> {
    let now = clock::now();
    let found = app.db.read(move |tx| store::with_work(tx, now)).await?;
    for row in found {
        if working.len() >= AT_ONCE || busy.contains(&row.id) {
            continue;
        }
        let id = row.account;
        let account = app.db.read(move |tx| accounts::read(tx, id)).await?;
        let side = sides.of(&account).await?;
        let app = app.clone();
        busy.insert(row.id);
        working.spawn(async move {
            let id = row.id;
            if let Err(failure) = work(&app, &side, &row).await {
                tracing::error!(%failure, clock = %id, "a test clock could not go on");
                end(&app, id, Status::Failed).await;
            }
            id
        });
    }
    Ok(())
}

/// Moves one clock, or finds out what is not known on it.
async fn work(app: &App, side: &Side, row: &ClockRow) -> Result<(), Failure> {
    let lease = match app.db.engine() {
        Engine::Sqlite => None,
        Engine::Postgres => match leases::try_take(&app.db, &format!("clock:{}", row.id)).await? {
            Some(lease) => Some(lease),
            None => return Ok(()),
        },
    };
    let scope = Scope {
        account: row.account,
        mode: Mode::Test,
        clock: row.id.to_string(),
        lease: lease.as_ref().map(|lease| lease.fence.clone()),
    };
    let Some((_, until)) = row.way else {
        resolve(&side.work, &Pass { scope, lane: Lane::ALL, billing: row.frozen_time }).await?;
        return Ok(());
    };
    let clock = TestClock { id: row.id, started_at: row.started_at, frozen_time: row.frozen_time };
    let journey = Journey {
        line: &side.work,
        scope,
        terms: &side.account.terms,
        clock,
        until,
        lanes: lanes(app.db.engine()),
    };
    if attended(&journey, lease.as_ref()).await? == Ended::Done {
        end(app, row.id, Status::Ready).await;
    }
    Ok(())
}

/// Advances while the hold switch is looked after.
async fn attended(journey: &Journey<'_>, lease: Option<&Lease>) -> Result<Ended, Failure> {
    let watching = tokio::spawn(holds::job::watch(Arc::clone(journey.line), journey.scope.account));
    let advanced = tokio::select! {
        advanced = advance(journey, |_| ()) => advanced.map_err(Failure::from),
        // Whoever has it now goes on.
        () = lost(lease) => Ok(Ended::Fenced),
    };
    watching.abort();
    advanced
}

/// Writes down how a way ended. A database that fails leaves it as it was, and the next look begins again.
async fn end(app: &App, id: ClockId, status: Status) {
    let (key, now) = (app.key.clone(), clock::now());
    let written = app.db.write(move |tx| objects::arrive(tx, &key, id, status, now)).await;
    if let Err(error) = written {
        tracing::error!(%error, clock = %id, "the end of a test clock's way could not be written down");
    }
}
