//! Test clocks as things that requests make, move and delete.
//!
//! A clock stands (`ready`), is on its way (`advancing`), or could not go on (`failed`). Where it is going is stored, so that
//! whoever serves the database takes a way up again that a dead process had begun.

use billing::event::Kind;
use billing::id::{AccountId, ClockId, DerivationKey, Slot};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::store;
use crate::events::{self, NewEvent};
use crate::web::list::{Page, Place};
use crate::web::{ApiError, object};

/// A test clock as stored.
#[derive(Clone, Debug)]
pub struct ClockRow {
    /// Its id.
    pub id: ClockId,
    /// Whose.
    pub account: AccountId,
    /// What it is called.
    pub name: Option<String>,
    /// Where it began.
    pub started_at: Timestamp,
    /// Where it stands now.
    pub frozen_time: Timestamp,
    /// Where it stands or goes.
    pub status: Status,
    /// Where it is going, and where it set out from; of one that could not go on, where it was going.
    pub way: Option<(Timestamp, Timestamp)>,
    /// The number of the last event of its history.
    pub event_number: i64,
    /// Real time in microseconds.
    pub created_at: i64,
}

impl ClockRow {
    /// The way that it is on now.
    pub fn under_way(&self) -> Option<(Timestamp, Timestamp)> {
        self.way.filter(|_| self.status == Status::Advancing)
    }
}

/// Whether a clock stands. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It stands.
    Ready,
    /// It is on its way.
    Advancing,
    /// It could not go on; it may be advanced again.
    Failed,
}

impl Status {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Advancing => "advancing",
            Self::Failed => "failed",
        }
    }

    /// From the stored name.
    pub fn from_stored(name: &str) -> Option<Self> {
        [Self::Ready, Self::Advancing, Self::Failed].into_iter().find(|status| status.as_str() == name)
    }
}

/// A time for test customers that moves when it is told to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestClock")]
pub struct ClockView {
    #[schemars(extend("const" = "test_clock"))]
    object: &'static str,
    id: String,
    livemode: bool,
    /// In seconds since 1970, of real time.
    created: i64,
    name: Option<String>,
    /// Where it stands, in seconds since 1970.
    frozen_time: i64,
    /// `failed`: something on the way was refused; the log of the server says what. It stopped at `frozen_time` and may be
    /// advanced again.
    #[schemars(extend("enum" = ["ready", "advancing", "failed"]))]
    status: &'static str,
    /// Where it is going, or was going when it failed; null when it is ready.
    target_time: Option<i64>,
    /// How much of the way is done, in percent; 100 when it is ready.
    progress: i64,
    /// Charges whose outcome is not known.
    unresolved: i64,
}

/// Clocks with what is not known on each.
pub fn views(tx: &mut Tx<'_>, rows: &[ClockRow]) -> Result<Vec<ClockView>, db::Error> {
    rows.iter()
        .map(|row| {
            let unresolved = store::unresolved(tx, row)?;
            Ok(ClockView {
                object: "test_clock",
                id: row.id.to_string(),
                livemode: false,
                created: row.created_at.div_euclid(1_000_000),
                name: row.name.clone(),
                frozen_time: row.frozen_time.as_second(),
                status: row.status.as_str(),
                target_time: row.way.map(|way| way.1.as_second()),
                progress: progress(row),
                unresolved,
            })
        })
        .collect()
}

/// How much of its way a clock has behind it, in percent; all of it when it stands.
fn progress(row: &ClockRow) -> i64 {
    let Some((from, to)) = row.way else {
        return 100;
    };
    let (whole, done) = (to.as_second() - from.as_second(), row.frozen_time.as_second() - from.as_second());
    if whole <= 0 { 100 } else { (done.saturating_mul(100) / whole).clamp(0, 100) }
}

/// Makes a clock that stands at `frozen_time`.
pub fn create(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    mut row: ClockRow,
    now: Timestamp,
) -> Result<ClockView, ApiError> {
    store::insert(tx, &row)?;
    tell(tx, key, &mut row, Kind::TestClockCreated, now)
}

/// The clock `id`. Error: the account has none.
pub fn get(tx: &mut Tx<'_>, account: AccountId, id: &str) -> Result<ClockRow, ApiError> {
    let none = || ApiError::not_found("test clock", id);
    let parsed: ClockId = id.parse().map_err(|_| none())?;
    store::find(tx, account, parsed)?.ok_or_else(none)
}

/// The number of the last event of a clock, also of one that was deleted; `None` if the side has none of this id.
pub fn last_event(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    id: ClockId,
) -> Result<Option<i64>, db::Error> {
    match mode {
        Mode::Test => store::last_event(tx, account, id),
        Mode::Live => Ok(None),
    }
}

/// A page of clocks, newest first.
pub fn list(tx: &mut Tx<'_>, account: AccountId, page: &Page) -> Result<Vec<ClockRow>, ApiError> {
    let after = page.last_seen(|id| {
        let created_at = match id.parse() {
            Ok(parsed) => store::created_at(tx, account, parsed)?,
            Err(_) => None,
        };
        let created_at = created_at.ok_or_else(|| ApiError::not_found("test clock", id))?;
        Ok(Place { created_at, sequence: 0, id: id.to_owned() })
    });
    let from = after?.unwrap_or_else(Place::newest);
    Ok(store::list(tx, account, (page, &from))?)
}

/// Sends a clock on its way. Errors: it is on its way already, or `to` is not later than it stands.
pub fn set_out(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (account, id): (AccountId, &str),
    to: Timestamp,
    now: Timestamp,
) -> Result<ClockView, ApiError> {
    let found = get(tx, account, id)?;
    let mut row = store::lock(tx, found.id)?.ok_or_else(|| ApiError::not_found("test clock", id))?;
    if row.status == Status::Advancing {
        return Err(advancing(id));
    }
    if to <= row.frozen_time {
        let message = "A test clock only goes forward: frozen_time must be later than it stands.";
        return Err(ApiError::param("invalid_timestamp", "frozen_time", message));
    }
    row.status = Status::Advancing;
    row.way = Some((row.frozen_time, to));
    tell(tx, key, &mut row, Kind::TestClockAdvancing, now)
}

/// Writes down how a way ended, unless the clock is on another one meanwhile. One that could not go on keeps its way: where
/// it stopped is where it stands.
pub fn arrive(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (id, way): (ClockId, (Timestamp, Timestamp)),
    status: Status,
    now: Timestamp,
) -> Result<(), ApiError> {
    let Some(mut row) = store::lock(tx, id)?.filter(|row| row.under_way() == Some(way)) else {
        return Ok(());
    };
    row.status = status;
    row.way = row.way.filter(|_| status != Status::Ready);
    let kind = if status == Status::Ready { Kind::TestClockReady } else { Kind::TestClockFailed };
    tell(tx, key, &mut row, kind, now).map(|_| ())
}

/// Error: the clock is on its way.
pub(super) fn advancing(id: &str) -> ApiError {
    let message = format!("The test clock {id} is being advanced; wait until its status is ready.");
    ApiError::conflict("test_clock_advancing", message)
}

/// Writes the row, appends the event and gives the view.
pub(super) fn tell(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    row: &mut ClockRow,
    kind: Kind,
    now: Timestamp,
) -> Result<ClockView, ApiError> {
    row.event_number += 1;
    store::save(tx, row)?;
    let view = views(tx, std::slice::from_ref(row))?.pop();
    let view = view.ok_or_else(|| ApiError::inside("a clock has one view"))?;
    let event = NewEvent {
        account: row.account,
        mode: Mode::Test,
        history: row.id.to_string(),
        slot: Slot(0),
        number: row.event_number,
        kind,
        object: row.id.to_string(),
        data: object(&view)?.to_string(),
        billing_at: row.frozen_time,
    };
    events::append(tx, key, &[event], now)?;
    Ok(view)
}
