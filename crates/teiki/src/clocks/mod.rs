//! Test clocks: moving simulated time, from due instant to due instant.
//!
//! At each instant everything due is opened, charged and settled, and the clock goes on only when every
//! charge of it is final, or has stayed unresolved for [`UNRESOLVED_MAX`] of real time. The same instants
//! give the same invoices whatever the distance and however often the process is killed on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use billing::id::AccountId;
use billing::mode::Mode;
use billing::renewal::AccountTerms;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use crate::accounts::{self, TestClock};
use crate::charges::resolve::{self, Pass};
use crate::line::{Line, Scope};
use crate::renewals::work::{Ended, until_done};
use crate::renewals::{self, Lane};
use crate::web::ApiError;

pub mod api;
pub(crate) mod bill;
pub mod cli;
mod deletion;
pub(crate) mod job;
pub mod objects;
mod store;

/// The billing time under a clock: where a test clock stands, or real time. Error: there is no such clock.
pub fn now(tx: &mut db::Tx<'_>, clock: Option<&str>, real: Timestamp) -> Result<Timestamp, db::Error> {
    match clock {
        None | Some(accounts::REAL_CLOCK) => Ok(real),
        Some(id) => store::frozen_time(tx, id),
    }
}

/// The billing time at which something of a customer may be changed. Error: its clock is on its way.
pub fn now_for_change(tx: &mut db::Tx<'_>, clock: &str, real: Timestamp) -> Result<Timestamp, ApiError> {
    if clock == accounts::REAL_CLOCK {
        return Ok(real);
    }
    match store::standing(tx, clock)? {
        (at, true) => Ok(at),
        (_, false) => {
            let message =
                format!("The test clock {clock} is being advanced; wait until its status is ready.");
            Err(ApiError::conflict("test_clock_advancing", message))
        }
    }
}

/// The billing time of these clocks, those that are on their way left out. They stay so until the transaction ends.
pub fn standing<'a>(
    tx: &mut db::Tx<'_>,
    clocks: impl Iterator<Item = &'a str>,
    real: Timestamp,
) -> Result<BTreeMap<String, Timestamp>, db::Error> {
    let clocks: BTreeSet<&str> = clocks.collect();
    let simulated: Vec<&str> =
        clocks.iter().copied().filter(|clock| *clock != accounts::REAL_CLOCK).collect();
    let mut times = store::standing_many(tx, &simulated)?;
    if clocks.contains(accounts::REAL_CLOCK) {
        times.insert(accounts::REAL_CLOCK.to_owned(), real);
    }
    Ok(times)
}

/// The clock that a new customer follows: the one asked for, or real time. Error: there is no such clock in the account.
pub fn to_follow(tx: &mut db::Tx<'_>, account: AccountId, clock: Option<&str>) -> Result<String, ApiError> {
    match clock {
        None => Ok(accounts::REAL_CLOCK.to_owned()),
        Some(id) if store::exists(tx, account, id)? => Ok(id.to_owned()),
        Some(id) => Err(ApiError::not_found("test clock", id).about_param("test_clock")),
    }
}

/// How long the clock waits for a charge whose outcome is not known.
const UNRESOLVED_MAX: Duration = Duration::from_secs(60);
/// How long a clock waits at a stretch; then others have their turn in its place.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pause between two looks at charges that are not final.
const LOOK_PAUSE: Duration = Duration::from_millis(25);

/// A clock on its way.
pub struct Journey<'a> {
    /// The charge line.
    pub line: &'a Arc<Line>,
    /// Whose time.
    pub scope: Scope,
    /// The merchant's terms.
    pub terms: &'a AccountTerms,
    /// The clock, where it stands at the start.
    pub clock: TestClock,
    /// Where it goes.
    pub until: Timestamp,
    /// How the work is cut.
    pub lanes: Vec<Lane>,
}

/// How far a clock has come on its way, and how long it waits there.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    now: Timestamp,
    /// How many charges that are not final have been waited for already, and in vain.
    in_vain: i64,
    /// When it goes on without what it waits for now.
    give_up_at: Option<Instant>,
}

impl Progress {
    /// Where a way begins, or is taken up again.
    pub(crate) const fn at(now: Timestamp) -> Self {
        Self { now, in_vain: 0, give_up_at: None }
    }

    /// The same, at least there: another process may have moved the clock meanwhile.
    pub(crate) fn not_before(self, at: Timestamp) -> Self {
        Self { now: self.now.max(at), ..self }
    }
}

/// Moves the clock to its goal and bills everything due on the way, in time order. `on_instant` is told
/// each instant that it stops at.
pub async fn advance(journey: &Journey<'_>, on_instant: impl Fn(Timestamp)) -> Result<Ended, db::Error> {
    let mut progress = Progress::at(journey.clock.frozen_time);
    loop {
        if let Some(ended) = advance_a_while(journey, &mut progress, &on_instant).await? {
            return Ok(ended);
        }
    }
}

/// Moves the clock until it has to wait for longer than [`PATIENCE`]: then `None`, and it is to be called again.
pub(crate) async fn advance_a_while(
    journey: &Journey<'_>,
    progress: &mut Progress,
    on_instant: &impl Fn(Timestamp),
) -> Result<Option<Ended>, db::Error> {
    loop {
        // First what an earlier process left behind, then what the last instant left open.
        let ended = until_final(journey, progress).await?;
        if ended != Some(Ended::Done) {
            return Ok(ended);
        }
        if journey.line.is_stopping() {
            return Ok(Some(Ended::Stopped));
        }
        let next = renewals::next_action_at(&journey.line.db, &journey.scope).await?;
        let Some(next) = next.filter(|&next| next <= journey.until) else {
            break;
        };
        if next > progress.now {
            progress.now = next;
            set(journey, next).await?;
            on_instant(next);
        }
        let now = progress.now;
        let ended = until_done(journey.line, &journey.scope, journey.terms, now, &journey.lanes).await?;
        if ended != Ended::Done {
            return Ok(Some(ended));
        }
    }
    set(journey, journey.until).await?;
    Ok(Some(Ended::Done))
}

async fn set(journey: &Journey<'_>, to: Timestamp) -> Result<(), db::Error> {
    let clock = journey.clock.id;
    journey.line.db.write(move |tx| accounts::move_clock(tx, clock, to)).await
}

/// Resolves until every charge is final ([`Ended::Done`]), save those that were waited for before. `None`: it waits on.
async fn until_final(journey: &Journey<'_>, progress: &mut Progress) -> Result<Option<Ended>, db::Error> {
    let began = Instant::now();
    let give_up_at = *progress.give_up_at.get_or_insert(began + UNRESOLVED_MAX);
    loop {
        let (open, unsent) = resolve::count_open(journey.line, &journey.scope).await?;
        let is_final = open <= progress.in_vain;
        if !is_final && (journey.line.is_held() || journey.line.is_stopping()) {
            progress.give_up_at = None;
            return Ok(Some(Ended::Stopped));
        }
        if is_final || Instant::now() >= give_up_at {
            (progress.in_vain, progress.give_up_at) = (open, None);
            let goes_on = is_final || unsent == 0;
            return Ok(Some(if goes_on { Ended::Done } else { Ended::Unsent(unsent) }));
        }
        if began.elapsed() >= PATIENCE {
            return Ok(None);
        }
        let pass = Pass { scope: journey.scope.clone(), lane: Lane::ALL, billing: progress.now };
        if resolve::resolve(journey.line, &pass).await? == 0 {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}

/// What a clock has seen since its start; a repeat of a finished run prints the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Invoices opened.
    pub invoices: i64,
    /// Charges that took money.
    pub charges_succeeded: i64,
    /// Charges that were declined.
    pub charges_failed: i64,
    /// What was taken, in minor units.
    pub amount_succeeded: i64,
    /// Charges whose outcome is not known yet, unsent ones included.
    pub unknown: i64,
    /// Where the clock stands.
    pub until: String,
}

/// The totals of an account's clock.
pub async fn totals(line: &Line, scope: &Scope, until: Timestamp) -> Result<Totals, db::Error> {
    let scope = scope.clone();
    line.db.read(move |tx| store::totals(tx, &scope, until)).await
}

/// Why charges failed, most frequent first.
pub async fn failures(
    line: &Line,
    (account, mode): (AccountId, Mode),
) -> Result<Vec<(String, i64)>, db::Error> {
    line.db.read(move |tx| store::failures(tx, account, mode)).await
}

/// Money collected by local month (`2027-01`), in minor units.
pub async fn revenue_by_month(
    line: &Line,
    (account, mode): (AccountId, Mode),
) -> Result<BTreeMap<String, i64>, db::Error> {
    line.db.read(move |tx| store::revenue_by_day(tx, account, mode)).await.map(|days| {
        let mut months = BTreeMap::new();
        for (day, amount) in days {
            *months.entry(day.chars().take(7).collect()).or_default() += amount;
        }
        months
    })
}
