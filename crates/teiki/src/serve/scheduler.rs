//! The real-time scheduler: one tick for all accounts.
//!
//! A tick reads the clock, the holds and which accounts have anything to do, in one read. Only accounts
//! with work get a pass of the charge line. A database that fails makes the server unwell, not dead: the
//! next tick tries again.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use billing::id::AccountId;
use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::clock_guard::ClockGuard;
use super::lanes::Lanes;
use super::sides::{Side, Sides};
use super::{Shared, store};
use crate::accounts::{self, Account, REAL_CLOCK};
use crate::actor::Actor;
use crate::app::App;
use crate::charges::actions;
use crate::charges::resolve::{Pass, resolve};
use crate::charges::three_d_secure;
use crate::failure::Failure;
use crate::line::{Line, Scope};
use crate::renewals::Lane;
use crate::renewals::work::until_done;
use crate::{clock, holds};

/// Between two ticks: a hold is seen within a second, and what is due is charged within one.
const TICK: Duration = Duration::from_millis(500);
/// Between two looks for what is not known while other work is under way.
const ASK_PAUSE: Duration = Duration::from_secs(1);
/// Ticks between two looks for new accounts and free lanes.
const LOOK_EVERY: u64 = 4;

/// What has been done since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    ticks: AtomicU64,
    failed_ticks: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    pub(super) delivered: Arc<AtomicU64>,
    parked: AtomicU64,
    held_accounts: AtomicU64,
    lanes: AtomicU64,
}

impl Metrics {
    /// Name, type, help and value of each.
    pub(crate) fn rows(&self) -> Vec<(&'static str, &'static str, &'static str, u64)> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        vec![
            ("teiki_scheduler_ticks_total", "counter", "Ticks of the scheduler.", of(&self.ticks)),
            ("teiki_scheduler_failed_ticks_total", "counter", "Ticks that failed.", of(&self.failed_ticks)),
            ("teiki_charges_succeeded_total", "counter", "Charges that took money.", of(&self.succeeded)),
            ("teiki_charges_failed_total", "counter", "Charges that were declined.", of(&self.failed)),
            (
                "teiki_charges_unknown_total",
                "counter",
                "Charges whose outcome was not known at first.",
                of(&self.unknown),
            ),
            (
                "teiki_events_delivered_total",
                "counter",
                "Events delivered from the outbox.",
                of(&self.delivered),
            ),
            ("teiki_subscriptions_parked_total", "counter", "Subscriptions parked.", of(&self.parked)),
            (
                "teiki_held_accounts",
                "gauge",
                "Sides of accounts on which charging is held.",
                of(&self.held_accounts),
            ),
            ("teiki_lanes", "gauge", "Lanes of the key space that this process works in.", of(&self.lanes)),
        ]
    }
}

struct Scheduler {
    app: App,
    shared: Arc<Shared>,
    // Rung when something waits in the outbox.
    outbox: Arc<Notify>,
    stopping: watch::Receiver<bool>,
    clock: ClockGuard,
    lanes: Lanes,
    accounts: Vec<Account>,
    sides: Arc<Sides>,
    // Accounts whose work is under way: side by side, so that a large one does not keep others waiting.
    busy: BTreeSet<AccountId>,
    working: JoinSet<(AccountId, Result<(), db::Error>)>,
}

/// Runs until asked to stop.
pub(super) async fn run(
    app: App,
    sides: Arc<Sides>,
    shared: Arc<Shared>,
    outbox: Arc<Notify>,
    stopping: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut scheduler = Scheduler {
        clock: ClockGuard::start(clock::now()),
        app,
        shared,
        outbox,
        stopping,
        lanes: Lanes::default(),
        accounts: Vec::new(),
        sides,
        busy: BTreeSet::new(),
        working: JoinSet::new(),
    };
    while !scheduler.is_stopping() {
        let ticked = scheduler.tick().await;
        scheduler.record(&ticked);
        let mut stopping = scheduler.stopping.clone();
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
    scheduler.settle_all().await;
    Ok(())
}

impl Scheduler {
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    fn record(&self, ticked: &Result<(), Failure>) {
        let metrics = &self.shared.metrics;
        metrics.ticks.fetch_add(1, Ordering::Relaxed);
        if let Err(failure) = ticked {
            metrics.failed_ticks.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%failure, "a tick of the scheduler failed; trying again");
        }
        self.shared.ticked(ticked.is_ok());
        let sides = self.sides.all();
        let sum = |of: fn(&Line) -> &AtomicU64| -> u64 {
            sides.iter().map(|side| of(&side.work).load(Ordering::Relaxed)).sum()
        };
        metrics.succeeded.store(sum(|line| &line.counters.succeeded), Ordering::Relaxed);
        metrics.failed.store(sum(|line| &line.counters.failed), Ordering::Relaxed);
        metrics.unknown.store(sum(|line| &line.counters.unknown), Ordering::Relaxed);
        metrics.parked.store(sum(|line| &line.counters.parked), Ordering::Relaxed);
        metrics.lanes.store(u64::try_from(self.lanes.held.len()).unwrap_or(0), Ordering::Relaxed);
    }

    async fn tick(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        if let Some(jump) = self.clock.jump(now) {
            self.distrust_clock(jump, now).await?;
        }
        if self.shared.metrics.ticks.load(Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
            if self.lanes.drop_lost().await {
                self.stop_sending();
            }
            self.lanes.look((&self.app.db, self.app.mode), &self.busy).await?;
            self.accounts = accounts::list(&self.app.db).await?;
        }
        // One whose work failed is no reason to leave the others alone.
        let mut ended = Ok(());
        while let Some(worked) = self.working.try_join_next() {
            ended = ended.and(self.finished(worked));
        }
        let looked = self.look(now).await;
        // Who cannot see the switch must not charge.
        let is_held = |account| looked.as_ref().map_or(true, |look| look.is_held(account));
        for side in self.sides.all() {
            side.line.set_held(is_held(side.account.id));
        }
        let look = looked?;
        let held = self.accounts.iter().filter(|account| look.is_held(account.id)).count();
        self.shared.metrics.held_accounts.store(u64::try_from(held).unwrap_or(0), Ordering::Relaxed);
        for account in look.with_work {
            ended = ended.and(self.start_work(account, now).await);
        }
        if look.has_outbox {
            self.outbox.notify_one();
        }
        ended
    }

    /// A clock that jumped stops everything until a person has looked.
    async fn distrust_clock(&self, jump: jiff::SignedDuration, now: Timestamp) -> Result<(), Failure> {
        let reason = format!("guard: the clock of this machine jumped by {} s", jump.as_secs());
        tracing::error!(%reason, "charging is held");
        self.app.db.write(move |tx| holds::place(tx, holds::ALL, &reason, Actor::Guard, now)).await?;
        Ok(())
    }

    /// One read for all accounts.
    async fn look(&self, now: Timestamp) -> Result<Look, Failure> {
        let ids: Vec<AccountId> = self.accounts.iter().map(|account| account.id).collect();
        let mode = self.app.mode;
        let look = self.app.db.read(move |tx| {
            let holds = holds::list(tx)?.into_iter().map(|hold| hold.scope).collect();
            let mut look = Look { has_outbox: store::has_outbox(tx, now)?, holds, ..Look::default() };
            for &id in &ids {
                if store::has_work(tx, (id, mode), now, three_d_secure::waiting_until(now))? {
                    look.with_work.push(id);
                }
            }
            Ok::<_, db::Error>(look)
        });
        Ok(look.await?)
    }

    /// Starts a pass of the charge line for one account, in every lane of this process, unless one is under way.
    async fn start_work(&mut self, account: AccountId, now: Timestamp) -> Result<(), Failure> {
        let Some(account) = self.accounts.iter().find(|known| known.id == account) else {
            return Ok(());
        };
        let side = self.sides.of(account).await?;
        let account = side.account.id;
        if !self.busy.insert(account) {
            return Ok(());
        }
        let mode = self.app.mode;
        let lanes: Vec<_> = self.lanes.held.iter().map(|held| (held.lane, held.fence())).collect();
        self.working.spawn(async move {
            let passes = lanes.into_iter().map(|(lane, lease)| {
                let scope = Scope { account, mode, clock: REAL_CLOCK.to_owned(), lease };
                pass(&side, scope, lane, now)
            });
            let waiting = three_d_secure::give_up(&side.work, (account, mode), now);
            let work = async { tokio::join!(waiting, join_all(passes)) };
            // A lane that fails does not cut the others off, and after a panic the account gets its turn again.
            let worked = AssertUnwindSafe(work).catch_unwind().await;
            let panicked =
                || db::Error::Panicked { message: format!("the work of account {account} panicked") };
            let worked = worked.map_err(|_| panicked());
            (account, worked.and_then(|(given_up, lanes)| given_up.and(lanes.into_iter().collect())))
        });
        Ok(())
    }

    fn finished(
        &mut self,
        worked: Result<(AccountId, Result<(), db::Error>), tokio::task::JoinError>,
    ) -> Result<(), Failure> {
        let (account, worked) = worked.map_err(|error| Failure::failed(error.to_string()))?;
        self.busy.remove(&account);
        self.lanes.finished(account);
        Ok(worked?)
    }

    /// A lost lease may be another process's by now: what is under way sends nothing more, and goes back to
    /// prepared. The next work begins with lines of its own.
    fn stop_sending(&mut self) {
        self.sides.stop_sending();
    }

    /// Stops sending everywhere and waits until what is in flight is settled.
    async fn settle_all(&mut self) {
        self.sides.stop_sending();
        while let Some(worked) = self.working.join_next().await {
            if let Err(failure) = self.finished(worked) {
                tracing::error!(%failure, "work under way failed; it is taken up again at the next start");
            }
        }
    }
}

/// What a tick found.
#[derive(Default)]
struct Look {
    with_work: Vec<AccountId>,
    /// The scopes on which charging is held.
    holds: BTreeSet<String>,
    has_outbox: bool,
}

impl Look {
    fn is_held(&self, account: AccountId) -> bool {
        self.holds.contains(holds::ALL) || self.holds.contains(account.as_str())
    }
}

/// What is not known is asked about first, and every now and then while the rest takes long.
async fn pass(side: &Side, scope: Scope, lane: Lane, now: Timestamp) -> Result<(), db::Error> {
    find_out(side, &scope, lane, now).await?;
    let (working, mut at_work) = watch::channel(());
    let work = async {
        let ended = until_done(&side.work, &scope, &side.account.terms, now, &[lane]).await;
        drop(working);
        ended
    };
    let asking = async {
        while tokio::time::timeout(ASK_PAUSE, at_work.changed()).await.is_err() {
            find_out(side, &scope, lane, now).await?;
        }
        Ok(())
    };
    let (ended, asked) = tokio::join!(work, asking);
    ended.and(asked)
}

async fn find_out(side: &Side, scope: &Scope, lane: Lane, now: Timestamp) -> Result<(), db::Error> {
    resolve(&side.work, &Pass { scope: scope.clone(), lane, billing: now }).await?;
    let actions = actions::resolve::Pass {
        side: (scope.account, scope.mode),
        lane,
        has_leases: scope.lease.is_some(),
        rounding: side.account.terms.tax_rounding,
    };
    actions::resolve::resolve(&side.work, &actions).await
}
