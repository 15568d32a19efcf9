//! Deliveries: events on their way to endpoints, and the log of them.
//!
//! [`enqueue`] writes them in the transaction of the fact; [`job`] sends them: each round takes what is due ([`claim`]), sends it
//! without a transaction, and writes down what came of it ([`finish`]). [`request`] makes one that somebody asked for.
//!
//! Order: of one endpoint and one history the delivery with the lowest number goes first; the next one is looked at when that
//! has been received or given up. A row that waits behind another has a `next_attempt_at` too, so that nothing is ever
//! forgotten: it is looked at again then.

use std::collections::BTreeSet;

use billing::event::Kind;
use billing::id::{DerivationKey, EventId, WebhookDeliveryId, WebhookEndpointId};
use db::Tx;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{EndpointRow, Side, Status, store as endpoints};
use crate::events::{self, NewEvent};
use crate::web::list::{Page, Place, is_live};
use crate::web::{ApiError, object};

pub mod api;
mod claim;
mod finish;
pub(crate) mod job;
mod store;

/// When a delivery that waits behind another is looked at again, if nothing woke it.
const RECHECK_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A delivery as stored. Instants are real time.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// Its id.
    pub id: WebhookDeliveryId,
    /// Whose.
    pub side: Side,
    /// Where to.
    pub endpoint: WebhookEndpointId,
    /// What is sent.
    pub event: EventId,
    /// Its type.
    pub kind: String,
    /// What it is in order with: a history, or the delivery's own id.
    pub history: String,
    /// Its place there.
    pub number: i64,
    /// What has become of it.
    pub status: DeliveryStatus,
    /// How often it was sent; the one under way is counted, those that this server is to blame for are not.
    pub attempts: i64,
    /// How often it was claimed since somebody last said what came of it.
    pub claims: i64,
    /// When it is looked at next; while it waits.
    pub next_attempt_at: Option<Timestamp>,
    /// The last attempt.
    pub last: LastAttempt,
    /// In microseconds.
    pub created_at: i64,
    /// When it was received or given up.
    pub finished_at: Option<Timestamp>,
}

impl DeliveryRow {
    /// It is being sent. A process that ended over it has not made an attempt of its own.
    fn claim(&mut self) {
        if self.claims == 0 {
            self.attempts += 1;
        }
        self.claims += 1;
    }

    /// As if it had not been claimed: what was not the receiver's doing does not count.
    fn unclaim(&mut self) {
        self.claims -= 1;
        if self.claims == 0 {
            self.attempts -= 1;
        }
    }
}

/// What came of the last attempt.
#[derive(Clone, Debug, Default)]
pub struct LastAttempt {
    /// When it began.
    pub at: Option<Timestamp>,
    /// The HTTP status of the answer.
    pub status: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
}

/// What has become of a delivery. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It is tried, or waits for another one.
    Waiting,
    /// The receiver answered 2xx.
    Delivered,
    /// It is not tried any more.
    GivenUp,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::GivenUp];

    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }

    /// From the stored name.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Writes a delivery for each endpoint that takes an event, in the caller's transaction. Without endpoints it costs one read.
/// `now` is real time.
pub fn enqueue(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (ids, events): (&[EventId], &[NewEvent]),
    now: Timestamp,
) -> Result<(), db::Error> {
    let sides: BTreeSet<Side> = events.iter().map(|event| (event.account, event.mode)).collect();
    let sides: Vec<Side> = sides.into_iter().collect();
    let takers = endpoints::takers(tx, &sides)?;
    if takers.is_empty() {
        return Ok(());
    }
    let mut told: Vec<(&NewEvent, EventId)> = events.iter().zip(ids.iter().copied()).collect();
    told.sort_by_key(|(event, _)| event.number);
    let mut rows = Vec::new();
    // Of one history, the first is due; the others wait for it.
    let mut begun = BTreeSet::new();
    for (place, endpoint, filter) in &takers {
        let side = sides[*place];
        for (event, id) in &told {
            if (event.account, event.mode) != side || !filter.takes(event.kind) {
                continue;
            }
            let is_first = begun.insert((*endpoint, event.history.as_str()));
            let wait = if is_first { SignedDuration::ZERO } else { RECHECK_AFTER };
            let due = now.saturating_add(wait).unwrap_or(now);
            let delivery = delivery_id(key, *endpoint, *id, now);
            let ordered = (event.history.clone(), event.number);
            rows.push(new_row((side, *endpoint), (*id, event.kind), (delivery, ordered), (now, due)));
        }
    }
    store::insert(tx, &rows)
}

/// Derived, so that an event has one delivery to an endpoint that nobody asked for.
fn delivery_id(
    key: &DerivationKey,
    endpoint: WebhookEndpointId,
    event: EventId,
    now: Timestamp,
) -> WebhookDeliveryId {
    WebhookDeliveryId::derive(key, &format!("{endpoint}:{event}"), event.slot(), now, 0)
}

fn new_row(
    (side, endpoint): (Side, WebhookEndpointId),
    (event, kind): (EventId, Kind),
    (id, (history, number)): (WebhookDeliveryId, (String, i64)),
    (now, due): (Timestamp, Timestamp),
) -> DeliveryRow {
    DeliveryRow {
        id,
        side,
        endpoint,
        event,
        kind: kind.as_str().to_owned(),
        history,
        number,
        status: DeliveryStatus::Waiting,
        attempts: 0,
        claims: 0,
        next_attempt_at: Some(due),
        last: LastAttempt::default(),
        created_at: now.as_microsecond(),
        finished_at: None,
    }
}

/// A new delivery that somebody asked for. It stands alone: it waits for no other, and no other waits for it.
fn requested(
    endpoint: &EndpointRow,
    (event, kind): (EventId, Kind),
    random: &[u8; 32],
    now: Timestamp,
) -> Result<DeliveryRow, ApiError> {
    if endpoint.status != Status::Enabled {
        let message = format!("The webhook endpoint {} is disabled; enable it first.", endpoint.id);
        return Err(ApiError::client("webhook_endpoint_disabled", message));
    }
    let id = WebhookDeliveryId::random(event.slot(), now, random);
    let side = (endpoint.account, endpoint.mode);
    Ok(new_row((side, endpoint.id), (event, kind), (id, (id.to_string(), 1)), (now, now)))
}

/// Sends an event again, or for the first time, to an endpoint, whatever the endpoint takes. Errors: the side has no such
/// event or endpoint, or the endpoint is disabled.
pub fn resend(
    tx: &mut Tx<'_>,
    side: Side,
    (event, endpoint): (&str, &str),
    random: &[u8; 32],
    now: Timestamp,
) -> Result<DeliveryRow, ApiError> {
    let event = events::find(tx, side, event)?;
    let endpoint = super::get(tx, side, endpoint).map_err(|error| error.about_param("webhook_endpoint"))?;
    let kind =
        event.kind.parse().map_err(|_| ApiError::inside(format!("{} is of no known type", event.id)))?;
    let row = requested(&endpoint, (event.id, kind), random, now)?;
    store::insert(tx, std::slice::from_ref(&row))?;
    Ok(row)
}

/// Makes an event that says that somebody tries the endpoint, and sends it to this one alone. Errors as of [`resend`].
pub fn test(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (side, endpoint): (Side, &str),
    random: &[u8; 32],
    now: Timestamp,
) -> Result<DeliveryRow, ApiError> {
    let mut endpoint = super::lock(tx, side, endpoint)?;
    endpoint.event_number += 1;
    endpoints::save(tx, &endpoint)?;
    let event = NewEvent {
        account: side.0,
        mode: side.1,
        history: endpoint.id.to_string(),
        slot: endpoint.id.slot(),
        number: endpoint.event_number,
        kind: Kind::WebhookEndpointTested,
        object: endpoint.id.to_string(),
        data: object(&super::view::EndpointView::of(side.1, &endpoint))?.to_string(),
        billing_at: now,
    };
    let id = events::append_untold(tx, key, &event, now)?;
    let row = requested(&endpoint, (id, event.kind), random, now)?;
    store::insert(tx, std::slice::from_ref(&row))?;
    Ok(row)
}

/// A page of an endpoint's log, newest first; of one status, if one is given. Errors: there is no such endpoint, or no such
/// delivery to begin after.
pub fn list(
    tx: &mut Tx<'_>,
    (side, endpoint): (Side, &str),
    page: &Page,
    status: Option<DeliveryStatus>,
) -> Result<Vec<DeliveryRow>, ApiError> {
    let endpoint = super::get(tx, side, endpoint)?.id;
    let after = page.last_seen(|id| {
        let none = || ApiError::not_found("webhook delivery", id);
        let parsed: WebhookDeliveryId = id.parse().map_err(|_| none())?;
        store::find(tx, side, parsed)?.filter(|row| row.endpoint == endpoint).ok_or_else(none)
    });
    let place = |row: DeliveryRow| Place { created_at: row.created_at, sequence: 0, id: row.id.to_string() };
    let from = after?.map_or_else(Place::newest, place);
    Ok(match status {
        None => store::list(tx, endpoint, (page, &from))?,
        Some(status) => store::list_of_status(tx, endpoint, (page, &from), status)?,
    })
}

/// How many deliveries of each of these events wait.
pub fn pending(tx: &mut Tx<'_>, events: &[EventId]) -> Result<Vec<i64>, db::Error> {
    store::pending(tx, events)
}

/// An event on its way to an endpoint, and what came of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
pub struct DeliveryView {
    #[schemars(extend("const" = "webhook_delivery"))]
    object: &'static str,
    id: String,
    livemode: bool,
    created: i64,
    webhook_endpoint: String,
    event: String,
    #[serde(rename = "type")]
    kind: String,
    #[schemars(extend("enum" = ["waiting", "delivered", "given_up"]))]
    status: &'static str,
    /// The attempts that count, the one under way with them; 0 while it waits behind another one.
    attempts: i64,
    /// When it is sent at the latest. Null when it is finished.
    next_attempt_at: Option<i64>,
    last_attempt_at: Option<i64>,
    /// This, the error and the duration are of the last attempt that ended.
    last_response_status: Option<i64>,
    /// Why the last attempt failed, or why it was given up without another one.
    last_error: Option<String>,
    last_duration_ms: Option<i64>,
    /// When it was received or given up.
    finished_at: Option<i64>,
}

impl DeliveryView {
    /// Of a stored one.
    pub fn of(row: &DeliveryRow) -> Self {
        let seconds = |at: Option<Timestamp>| at.map(|at| at.as_second());
        Self {
            object: "webhook_delivery",
            id: row.id.to_string(),
            livemode: is_live(row.side.1),
            created: row.created_at.div_euclid(1_000_000),
            webhook_endpoint: row.endpoint.to_string(),
            event: row.event.to_string(),
            kind: row.kind.clone(),
            status: row.status.as_str(),
            attempts: row.attempts,
            next_attempt_at: seconds(row.next_attempt_at),
            last_attempt_at: seconds(row.last.at),
            last_response_status: row.last.status,
            last_error: row.last.error.clone(),
            last_duration_ms: row.last.duration_ms,
            finished_at: seconds(row.finished_at),
        }
    }
}
