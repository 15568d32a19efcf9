//! The keeper of test clocks in a server: moves those that are on their way, and finds out what is not known on the others.
//!
//! One task for each visit to a clock; a clock that another process holds is left to it. At most [`AT_ONCE`] are visited at
//! once, and [`AT_ONCE_EACH`] of one account; who was visited last comes last, and who only waits for a charge that is not
//! known gives its place to others meanwhile. A way that a stop or a death interrupted is taken up again. A hold makes a clock
//! wait; anything else that fails ends its way as failed. A clock that stands stays as it is, whatever fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use billing::id::{AccountId, ClockId};
use billing::mode::Mode;
use db::Engine;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;

use super::bill::{lanes, lost};
use super::objects::{self, ClockRow, Status};
use super::{Journey, Progress, advance_a_while, store};
use crate::accounts::{self, TestClock};
use crate::app::App;
use crate::charges::resolve::{Pass, resolve};
use crate::clock;
use crate::failure::Failure;
use crate::leases;
use crate::line::Scope;
use crate::renewals::Lane;
use crate::renewals::work::Ended;
use crate::serve::sides::{Side, Sides};

/// Clocks that are visited at once: each keeps a connection to PostgreSQL for its lease.
const AT_ONCE: usize = 16;
/// The same of one account: what its cards make hang leaves places to others.
const AT_ONCE_EACH: usize = 4;
/// Between two looks, unless the bell rings, and at least between two visits to the same clock.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// Between two visits after one that failed: a database that is away is not asked, nor a log filled, without end.
const FAILURE_PAUSE: Duration = Duration::from_secs(10);

/// Keeps the clocks until asked to stop, and then waits for what is under way.
pub(crate) async fn keep(
    app: App,
    sides: Arc<Sides>,
    bell: Arc<Notify>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut keeper = Keeper { app, sides, busy: HashMap::new(), visited: BTreeMap::new() };
    let mut working: JoinSet<Visited> = JoinSet::new();
    while !*stopping.borrow() {
        if let Err(error) = keeper.look(&mut working).await {
            tracing::error!(%error, "the test clocks could not be looked at; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_PAUSE) => {}
            () = bell.notified() => {}
            Some(done) = working.join_next_with_id(), if !working.is_empty() => keeper.leave(done),
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
    // The lines stop sending, so that every way ends soon; it is taken up again at the next start.
    while working.join_next().await.is_some() {}
}

/// A clock that was visited, while there is still work on it.
struct Visited {
    /// The way that it was on; another one begins anew.
    way: Option<(Timestamp, Timestamp)>,
    progress: Progress,
    ended_at: Instant,
    rests_for: Duration,
}

impl Visited {
    fn now(row: &ClockRow, progress: Progress, rests_for: Duration) -> Self {
        Self { way: row.under_way(), progress, ended_at: Instant::now(), rests_for }
    }

    fn rests(&self) -> bool {
        self.ended_at.elapsed() < self.rests_for
    }
}

/// Who is visited, and who was.
struct Keeper {
    app: App,
    sides: Arc<Sides>,
    busy: HashMap<task::Id, ClockRow>,
    visited: BTreeMap<ClockId, Visited>,
}

impl Keeper {
    /// Begins as many visits as there are places, with those who have waited longest.
    async fn look(&mut self, working: &mut JoinSet<Visited>) -> Result<(), db::Error> {
        let now = clock::now();
        let found = self.app.db.read(move |tx| store::with_work(tx, now)).await?;
        let ways: BTreeMap<ClockId, _> = found.iter().map(|row| (row.id, row.under_way())).collect();
        self.visited.retain(|id, visited| ways.get(id) == Some(&visited.way));
        let busy: BTreeSet<ClockId> = self.busy.values().map(|row| row.id).collect();
        let mut waiting: Vec<ClockRow> = found
            .into_iter()
            .filter(|row| !busy.contains(&row.id) && !self.visited.get(&row.id).is_some_and(Visited::rests))
            .collect();
        waiting.sort_by_key(|row| self.visited.get(&row.id).map(|visited| visited.ended_at));
        for row in waiting {
            if self.busy.len() < AT_ONCE && self.visits_to(row.account) < AT_ONCE_EACH {
                self.begin(working, row);
            }
        }
        Ok(())
    }

    fn visits_to(&self, account: AccountId) -> usize {
        self.busy.values().filter(|row| row.account == account).count()
    }

    fn begin(&mut self, working: &mut JoinSet<Visited>, row: ClockRow) {
        let before = self.visited.remove(&row.id).map(|visited| visited.progress);
        let progress = before.unwrap_or(Progress::at(row.frozen_time)).not_before(row.frozen_time);
        let visit = visit(self.app.clone(), Arc::clone(&self.sides), row.clone(), progress);
        self.busy.insert(working.spawn(visit).id(), row);
    }

    fn leave(&mut self, done: Result<(task::Id, Visited), JoinError>) {
        let (id, visited) = match done {
            Ok((id, visited)) => (id, Some(visited)),
            Err(error) => (error.id(), None),
        };
        if let Some(row) = self.busy.remove(&id) {
            let panicked = || Visited::now(&row, Progress::at(row.frozen_time), FAILURE_PAUSE);
            self.visited.insert(row.id, visited.unwrap_or_else(panicked));
        }
    }
}

/// Works on a clock until it has arrived, or waits, or nothing more is known.
async fn visit(app: App, sides: Arc<Sides>, row: ClockRow, mut progress: Progress) -> Visited {
    let side = match side_of(&app, &sides, row.account).await {
        Ok(side) => side,
        Err(failure) => {
            tracing::error!(%failure, clock = %row.id, "a test clock could not be looked at; trying again");
            return Visited::now(&row, progress, FAILURE_PAUSE);
        }
    };
    match work(&app, &side, &row, &mut progress).await {
        Ok(()) => Visited::now(&row, progress, LOOK_PAUSE),
        Err(failure) => {
            match row.under_way() {
                Some(way) => {
                    tracing::error!(%failure, clock = %row.id, "a test clock could not go on");
                    end(&app, (row.id, way), Status::Failed).await;
                }
                None => {
                    tracing::error!(%failure, clock = %row.id, "what is not known on a test clock could not be found out; trying again");
                }
            }
            Visited::now(&row, progress, FAILURE_PAUSE)
        }
    }
}

async fn side_of(app: &App, sides: &Sides, account: AccountId) -> Result<Arc<Side>, Failure> {
    let account = app.db.read(move |tx| accounts::read(tx, account)).await?;
    sides.of(&account).await
}

/// Moves one clock, or finds out what is not known on it.
async fn work(app: &App, side: &Side, row: &ClockRow, progress: &mut Progress) -> Result<(), Failure> {
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
    let Some(way) = row.under_way() else {
        resolve(&side.work, &Pass { scope, lane: Lane::ALL, billing: row.frozen_time }).await?;
        return Ok(());
    };
    let clock = TestClock { id: row.id, started_at: row.started_at, frozen_time: row.frozen_time };
    let journey = Journey {
        line: &side.work,
        scope,
        terms: &side.account.terms,
        clock,
        until: way.1,
        lanes: lanes(app.db.engine()),
    };
    // The hold switch is looked after by the scheduler.
    let ended = tokio::select! {
        advanced = advance_a_while(&journey, progress, &|_| ()) => advanced?,
        // Whoever has it now goes on.
        () = lost(lease.as_ref()) => Some(Ended::Fenced),
    };
    if ended == Some(Ended::Done) {
        end(app, (row.id, way), Status::Ready).await;
    }
    Ok(())
}

/// Writes down how a way ended. A database that fails leaves it as it was, and a later look begins again.
async fn end(app: &App, (id, way): (ClockId, (Timestamp, Timestamp)), status: Status) {
    let (key, now) = (app.key.clone(), clock::now());
    let written = app.db.write(move |tx| objects::arrive(tx, &key, (id, way), status, now)).await;
    if let Err(error) = written {
        tracing::error!(%error, clock = %id, "the end of a test clock's way could not be written down");
    }
}
