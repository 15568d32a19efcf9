//! Webhooks: where a merchant wants events to be sent, and sending them.
//!
//! An endpoint belongs to one side of an account and says what it takes ([`filter`]). `events::append` writes a delivery for each
//! endpoint that takes an event, in the transaction of the fact ([`deliveries`]); a runner sends them, signed ([`signature`]), at
//! least once under the event's id, in order within a history, to public addresses only ([`guard`], [`sender`]), again and again
//! for days ([`retry`]). Secrets are sealed ([`keys`]). An endpoint that receives nothing for long, or says that it is gone, is
//! disabled; what waits for it is given up, and can be sent again by a request. All instants are real time: a test clock moves
//! what is told, not when.

use billing::id::{AccountId, WebhookEndpointId};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;

use crate::web::ApiError;
use crate::web::list::{Page, Place};

pub mod api;
pub mod deliveries;
pub mod filter;
pub mod guard;
pub mod keys;
pub mod retry;
pub mod sender;
pub mod signature;
mod store;
pub mod view;

use filter::Filter;
use keys::Sealed;
use retry::Health;

/// Whose: account and mode.
pub type Side = (AccountId, Mode);

/// Most endpoints of one side: each gets every event of the types it takes.
pub const ENDPOINTS_MAX: i64 = 16;

/// An endpoint as stored.
#[derive(Clone, Debug)]
pub struct EndpointRow {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Whose.
    pub account: AccountId,
    /// Test or live.
    pub mode: Mode,
    /// Where events go.
    pub url: String,
    /// The merchant's words.
    pub description: Option<String>,
    /// What it takes.
    pub filter: Filter,
    /// Whether anything is sent.
    pub status: Status,
    /// Its secrets.
    pub sealed: Sealed,
    /// How it is doing.
    pub health: Health,
    /// The number of the last event of its history.
    pub event_number: i64,
    /// Real time in microseconds.
    pub created_at: i64,
}

/// Whether anything is sent to an endpoint. Persisted as its name and its reason; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Enabled,
    /// It is not.
    Disabled(Reason),
}

/// Why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A request said so.
    Requested,
    /// Nothing was received for too long.
    Failing,
    /// It answered 410.
    Gone,
}

impl Status {
    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled(_) => "disabled",
        }
    }

    /// The stored and shown reason.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Enabled => None,
            Self::Disabled(Reason::Requested) => Some("requested"),
            Self::Disabled(Reason::Failing) => Some("failing"),
            Self::Disabled(Reason::Gone) => Some("gone"),
        }
    }

    /// From the stored name and reason.
    pub fn from_stored(name: &str, reason: Option<&str>) -> Option<Self> {
        let disabled = [Reason::Requested, Reason::Failing, Reason::Gone].map(Self::Disabled);
        let mut all = std::iter::once(Self::Enabled).chain(disabled);
        all.find(|status| (status.as_str(), status.reason()) == (name, reason))
    }
}

/// Makes an endpoint. Error: the side has as many as it may.
pub fn create(tx: &mut Tx<'_>, row: &EndpointRow) -> Result<(), ApiError> {
    store::lock_account(tx, row.account)?;
    if store::count(tx, (row.account, row.mode))? >= ENDPOINTS_MAX {
        let message = format!("There are {ENDPOINTS_MAX} webhook endpoints already; delete one first.");
        return Err(ApiError::client("webhook_endpoints_over", message));
    }
    Ok(store::insert(tx, row)?)
}

/// The endpoint `id`. Error: the side has none.
pub fn get(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<EndpointRow, ApiError> {
    let none = || ApiError::not_found("webhook endpoint", id);
    let parsed: WebhookEndpointId = id.parse().map_err(|_| none())?;
    store::find(tx, side, parsed)?.ok_or_else(none)
}

/// The same, to be changed: it stays as it is until the transaction ends.
pub fn lock(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<EndpointRow, ApiError> {
    let found = get(tx, side, id)?;
    store::lock(tx, found.id)?.ok_or_else(|| ApiError::not_found("webhook endpoint", id))
}

/// The number of the last event of an endpoint, also of one that was deleted; `None` if the side has none of this id.
pub fn last_event(tx: &mut Tx<'_>, side: Side, id: WebhookEndpointId) -> Result<Option<i64>, db::Error> {
    store::last_event(tx, side, id)
}

/// A page of endpoints, newest first.
pub fn list(tx: &mut Tx<'_>, side: Side, page: &Page) -> Result<Vec<EndpointRow>, ApiError> {
    let after = page.last_seen(|id| {
        let created_at = match id.parse() {
            Ok(parsed) => store::created_at(tx, side, parsed)?,
            Err(_) => None,
        };
        let created_at = created_at.ok_or_else(|| ApiError::not_found("webhook endpoint", id))?;
        Ok(Place { created_at, sequence: 0, id: id.to_owned() })
    });
    let from = after?.unwrap_or_else(Place::newest);
    Ok(store::list(tx, side, (page, &from))?)
}

/// What an update changes.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Where events go from now on.
    pub url: Option<String>,
    /// Other words; `Some(None)` for none.
    pub description: Option<Option<String>>,
    /// What it takes from now on.
    pub filter: Option<Filter>,
    /// Whether anything is sent.
    pub is_enabled: Option<bool>,
}

/// Changes an endpoint. What waits goes to the new URL; enabling it begins anew.
pub fn change(tx: &mut Tx<'_>, side: Side, id: &str, change: Change) -> Result<EndpointRow, ApiError> {
    let mut row = lock(tx, side, id)?;
    row.url = change.url.unwrap_or(row.url);
    row.description = change.description.unwrap_or(row.description);
    row.filter = change.filter.unwrap_or(row.filter);
    match (change.is_enabled, row.status) {
        (Some(true), Status::Disabled(_)) => {
            row.status = Status::Enabled;
            row.health = Health { failing_since: None, failed_at: None };
        }
        (Some(false), Status::Enabled) => row.status = Status::Disabled(Reason::Requested),
        (None | Some(true), Status::Enabled) | (None | Some(false), Status::Disabled(_)) => {}
    }
    store::save(tx, &row)?;
    Ok(row)
}

/// Gives an endpoint other secrets. Errors: somebody else has meanwhile, or the secret before the present one still signs, as was
/// promised when it was replaced.
pub fn reseal(
    tx: &mut Tx<'_>,
    side: Side,
    (former, sealed): (&EndpointRow, &Sealed),
    now: Timestamp,
) -> Result<(), ApiError> {
    let refused = |message: String| Err(ApiError::conflict("secret_rotated", message));
    let row = lock(tx, side, former.id.as_str())?;
    if row.sealed != former.sealed {
        return refused("The secret was rotated by another request at the same time; try again.".to_owned());
    }
    if let Some((_, until)) = row.sealed.former
        && now < until
    {
        let until = Timestamp::from_second(until.as_second()).unwrap_or(until);
        return refused(format!(
            "The secret was rotated less than 24 hours ago, and the former one signs until {until}; rotate again then, or make \
             another endpoint."
        ));
    }
    Ok(store::save(tx, &EndpointRow { sealed: sealed.clone(), ..row })?)
}

/// Deletes an endpoint with its secrets. What waits for it is given up.
pub fn delete(tx: &mut Tx<'_>, side: Side, id: &str, now: Timestamp) -> Result<(), ApiError> {
    let row = lock(tx, side, id)?;
    let disabled = Status::Disabled(Reason::Requested);
    store::save(tx, &EndpointRow { status: disabled, sealed: Sealed::default(), ..row.clone() })?;
    Ok(store::mark_deleted(tx, row.id, now)?)
}
