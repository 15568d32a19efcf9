//! Histories: appended facts, each with an outbox row for the log and a delivery for every webhook endpoint that takes it.
//!
//! A history is that of a subscription, a customer, a plan, a token or a sale. An event's number is gapless within it:
//! the caller holds the row that it is the history of, counts on from its `event_number` and stores the last one there.
//! Ids are derived from history and number.

use billing::event::Kind;
use billing::id::{AccountId, DerivationKey, EventId, Slot};
use billing::mode::Mode;
use billing::subscription::State;
use db::Tx;
use jiff::Timestamp;
use serde_json::Value;

use crate::web::list::Page;
use crate::web::{ApiError, object};
use crate::webhooks::deliveries;

pub mod api;
mod sources;
mod store;
pub mod view;

pub use store::{EventRow, Filter};

/// A fact to append.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Whose.
    pub account: AccountId,
    /// Test or live.
    pub mode: Mode,
    /// The history that it belongs to: the id of the row whose history it is.
    pub history: String,
    /// Where that row is.
    pub slot: Slot,
    /// Its place there: the former number plus one.
    pub number: i64,
    /// What happened.
    pub kind: Kind,
    /// The id of the thing it happened to.
    pub object: String,
    /// Its details as a JSON object; small.
    pub data: String,
    /// Billing time.
    pub billing_at: Timestamp,
}

impl NewEvent {
    fn id(&self, key: &DerivationKey) -> EventId {
        let number = u64::try_from(self.number).unwrap_or_default();
        EventId::derive(key, &self.history, self.slot, self.billing_at, number)
    }
}

/// A subscription at the moment of an event of the schedule: what may be otherwise when the event is read. The rest is shown as
/// it is then. Instants in microseconds of billing time.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Where it stands.
    pub state: State,
    /// Its plan.
    pub plan: &'a str,
    /// How many of it.
    pub quantity: i64,
    /// Its current period.
    pub period: (i64, i64),
    /// When it was stopped.
    pub paused_at: Option<i64>,
    /// When it went on.
    pub resumed_at: Option<i64>,
}

/// What an event of the schedule holds of its subscription. Persisted; only ever add fields.
pub fn of_subscription(moment: &Moment<'_>) -> Value {
    let (start, end) = moment.period;
    serde_json::json!({
        "status": moment.state.as_str(),
        "plan": moment.plan,
        "quantity": moment.quantity,
        "period": [start, end],
        "paused_at": moment.paused_at,
        "resumed_at": moment.resumed_at,
    })
}

/// Events with what the API shows of each; a page of an account's, newest first.
pub fn list(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    page: &Page,
    filter: &Filter,
) -> Result<Vec<view::EventView>, ApiError> {
    let after = page.last_seen(|id| find(tx, side, id))?;
    let rows = match &filter.resource {
        None => store::list(tx, side, (page, after.as_ref()), filter)?,
        Some(resource) => of_resource(tx, side, resource, (page, after.as_ref()), filter)?,
    };
    Ok(view::of_rows(tx, side, rows)?)
}

/// The event `id`. Error: the account has none.
pub fn find(tx: &mut Tx<'_>, side: (AccountId, Mode), id: &str) -> Result<EventRow, ApiError> {
    let none = || ApiError::not_found("event", id);
    let parsed: EventId = id.parse().map_err(|_| none())?;
    store::find(tx, side, parsed)?.ok_or_else(none)
}

/// The event as its address shows it, as JSON text: what webhooks send.
pub fn shown(tx: &mut Tx<'_>, side: (AccountId, Mode), id: EventId) -> Result<String, ApiError> {
    let row = find(tx, side, id.as_str())?;
    let view = view::of_rows(tx, side, vec![row])?.pop();
    let view = view.ok_or_else(|| ApiError::inside("an event has one view"))?;
    Ok(object(&view)?.to_string())
}

/// The events about one object: its history is read from its numbers, so that it costs what that object has.
fn of_resource(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    resource: &str,
    (page, after): (&Page, Option<&EventRow>),
    filter: &Filter,
) -> Result<Vec<EventRow>, db::Error> {
    let mut rows = Vec::new();
    for source in sources::of(tx, side, resource)? {
        rows.extend(store::of_history(tx, side, &source)?);
    }
    rows.retain(|row| {
        row.object == resource
            && filter.takes(&row.kind)
            && (page.since..=page.until).contains(&row.billing_at)
            && after.is_none_or(|after| row.order() < after.order())
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row.order()));
    let count = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(rows.into_iter().skip(count(page.offset)).take(count(page.rows())).collect())
}

/// Appends `events` in the caller's transaction, with what tells of them: their outbox rows, and their deliveries to webhook
/// endpoints. `now` is real time.
pub fn append(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    events: &[NewEvent],
    now: Timestamp,
) -> Result<(), db::Error> {
    let ids: Vec<EventId> = events.iter().map(|event| event.id(key)).collect();
    store::insert_events(tx, &ids, events, now)?;
    store::insert_outbox(tx, &ids, now)?;
    deliveries::enqueue(tx, key, (&ids, events), now)
}

/// Appends an event that no webhook endpoint is told of. Returns its id. `now` is real time.
pub fn append_untold(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    event: &NewEvent,
    now: Timestamp,
) -> Result<EventId, db::Error> {
    let id = event.id(key);
    store::insert_events(tx, &[id], std::slice::from_ref(event), now)?;
    store::insert_outbox(tx, &[id], now)?;
    Ok(id)
}
