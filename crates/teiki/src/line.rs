//! The charge line of one process: what preparing, sending, settling and resolving share.
//!
//! ```text
//! due → prepare → (commit) → charge → settle → notify
//! ```
//! `renewals` has the first half, `charges` the second, `outbox` the last step. Nothing here survives the
//! process; truth is in the database.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use billing::id::{AccountId, ChargeActionId, ChargeId, ConnectionId, DerivationKey};
use billing::mode::Mode;
use db::Db;
use gateway::Gateway;
use jiff::Timestamp;

use crate::charges::breaker::Breaker;
use crate::charges::pace::Pace;
use crate::leases::Fence;

/// A gateway account that this process can charge through.
pub struct Connection {
    /// Its adapter.
    pub gateway: Arc<dyn Gateway>,
    /// Its health.
    pub breaker: Arc<Breaker>,
    /// Its rate.
    pub pace: Pace,
}

/// Whose time a piece of work runs in, and what it may touch.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The merchant.
    pub account: AccountId,
    /// Test or live.
    pub mode: Mode,
    /// [`crate::accounts::REAL_CLOCK`] or a test clock's id.
    pub clock: String,
    /// The lease that fences this work; `None` where a lock file does (SQLite).
    pub lease: Option<Fence>,
}

/// What has been done since the start, for progress bars and metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Charges settled as succeeded.
    pub succeeded: AtomicU64,
    /// Charges settled as failed.
    pub failed: AtomicU64,
    /// Outcomes that were not known at first.
    pub unknown: AtomicU64,
    /// Unknown outcomes found out by resending the same key.
    pub resolved_by_replay: AtomicU64,
    /// Unknown outcomes found out by looking up.
    pub resolved_by_lookup: AtomicU64,
    /// Events delivered from the outbox.
    pub delivered: AtomicU64,
    /// Subscriptions parked.
    pub parked: AtomicU64,
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// A request that this process may be sending right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flight {
    /// That of a charge.
    Charge(ChargeId),
    /// That of something done to a charge.
    Action(ChargeActionId),
}

impl From<ChargeId> for Flight {
    fn from(charge: ChargeId) -> Self {
        Self::Charge(charge)
    }
}

impl From<ChargeActionId> for Flight {
    fn from(action: ChargeActionId) -> Self {
        Self::Action(action)
    }
}

/// The shared state of a charging process.
pub struct Line {
    /// The database.
    pub db: Db,
    /// What ids and idempotency keys are derived from.
    pub key: DerivationKey,
    /// Which side it charges.
    pub mode: Mode,
    /// Gateways by connection.
    pub connections: BTreeMap<ConnectionId, Connection>,
    /// What has been done.
    pub counters: Arc<Counters>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_held: AtomicBool,
    is_stopping: AtomicBool,
    flights: Flights,
}

impl Line {
    /// A line that charges the side `mode` through these gateways.
    pub fn new(
        db: Db,
        key: DerivationKey,
        mode: Mode,
        gateways: Vec<(ConnectionId, Arc<dyn Gateway>)>,
    ) -> Self {
        let connections = gateways
            .into_iter()
            .map(|(id, gateway)| {
                let pace = Pace::new(gateway.capabilities().rate_per_second);
                (id, Connection { gateway, breaker: Arc::default(), pace })
            })
            .collect();
        Self { db, key, mode, connections, counters: Arc::default(), state: Arc::default() }
    }

    /// The same line over another handle of the database and other adapters for the same gateways; a connection without one
    /// is not charged through. What was done, what is under way, health, rate, hold and stop are shared.
    pub fn beside(&self, db: Db, gateways: Vec<(ConnectionId, Arc<dyn Gateway>)>) -> Self {
        let connections = gateways.into_iter().filter_map(|(id, gateway)| {
            let known = self.connections.get(&id)?;
            let pace = known.pace.beside();
            Some((id, Connection { gateway, breaker: Arc::clone(&known.breaker), pace }))
        });
        Self {
            db,
            key: self.key.clone(),
            mode: self.mode,
            connections: connections.collect(),
            counters: Arc::clone(&self.counters),
            state: Arc::clone(&self.state),
        }
    }

    /// Whether a request may be sent through `connection` at the operating time `now`. `takes` as for [`Self::is_free`].
    pub fn may_send(&self, connection: &Connection, takes: bool, now: Timestamp) -> bool {
        self.is_free(takes) && connection.breaker.allows(now)
    }

    /// Whether nobody has stopped sending. `takes`: money is taken or reserved, which a hold stops.
    pub fn is_free(&self, takes: bool) -> bool {
        let is_stopped = self.is_stopping() || (takes && self.is_held());
        !is_stopped
    }

    /// Whether charging is held, as of the last look (at most [`crate::holds::WATCH_MS`] ago).
    pub fn is_held(&self) -> bool {
        self.state.is_held.load(Ordering::Relaxed)
    }

    /// Sets what [`Self::is_held`] answers.
    pub fn set_held(&self, is_held: bool) {
        self.state.is_held.store(is_held, Ordering::Relaxed);
    }

    /// Whether the process has been asked to stop: nothing new is sent, what is in flight is settled.
    pub fn is_stopping(&self) -> bool {
        self.state.is_stopping.load(Ordering::Relaxed)
    }

    /// Asks for a stop.
    pub fn stop(&self) {
        self.state.is_stopping.store(true, Ordering::Relaxed);
    }

    /// What this process may be sending right now.
    pub fn flights(&self) -> &Flights {
        &self.state.flights
    }
}

/// What this process may be sending right now: nobody else in it asks about it, or takes its sender for dead.
#[derive(Clone, Debug, Default)]
pub struct Flights(Arc<Mutex<BTreeMap<Flight, usize>>>);

impl Flights {
    /// Marks a request as being sent, until what is returned is dropped, with all its clones: when its outcome is settled,
    /// or its sender is no more. To be called before the intent is committed, for from then on others can see it.
    pub fn take_off(&self, request: impl Into<Flight>) -> Aloft {
        let flight = request.into();
        *self.all().entry(flight).or_default() += 1;
        Aloft { _landing: Arc::new(Landing { flight, flights: self.clone() }) }
    }

    /// Whether this process may be sending it right now.
    pub fn has(&self, request: impl Into<Flight>) -> bool {
        self.all().contains_key(&request.into())
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<Flight, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that may be under way.
#[derive(Clone, Debug)]
pub struct Aloft {
    _landing: Arc<Landing>,
}

#[derive(Debug)]
struct Landing {
    flight: Flight,
    flights: Flights,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut all = self.flights.all();
        if let Some(count) = all.get_mut(&self.flight) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.flight);
            }
        }
    }
}
