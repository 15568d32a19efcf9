//! Histories: appended facts, each with an outbox row for every sink.
//!
//! A history is that of a subscription, a customer, a plan, a token or a sale. An event's number is gapless within it:
//! the caller holds the row that it is the history of, counts on from its `event_number` and stores the last one there.
//! Ids are derived from history and number.

use billing::event::Kind;
use billing::id::{AccountId, DerivationKey, EventId, Slot};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;

mod store;

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

/// Appends `events` and their outbox rows in the caller's transaction. `now` is real time.
pub fn append(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    events: &[NewEvent],
    now: Timestamp,
) -> Result<(), db::Error> {
    let ids: Vec<EventId> = events
        .iter()
        .map(|event| {
            let number = u64::try_from(event.number).unwrap_or_default();
            EventId::derive(key, &event.history, event.slot, event.billing_at, number)
        })
        .collect();
    store::insert_events(tx, &ids, events, now)?;
    store::insert_outbox(tx, &ids, now)
}
