//! Subscriptions: what requests do to them. The rules are `billing::agreement`; their schedule is run by `renewals`.
//!
//! Whoever changes a subscription holds its customer's row and then its own. While the payment of a request decides what
//! becomes of it (`pending_invoice_id`), nothing else may change it. A deleted subscription keeps its row: its charges,
//! invoices and events go on naming it.

use billing::event::Kind;
use billing::id::{AccountId, DerivationKey, SubscriptionId};
use billing::invoice::{change_obligation, cycle_obligation};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;
use serde_json::Value;

use crate::charges::settle::Times;
use crate::customers::Held;
use crate::events::{self, NewEvent};
use crate::web::list::{Page, Place};
use crate::web::{ApiError, deleted};

pub mod api;
pub mod applying;
pub(crate) mod deletion;
pub mod on_paid;
pub(crate) mod payment;
pub mod present;
pub mod requests;
mod store;
pub mod view;

pub use store::{Filter, SubscriptionRow};

/// Whose: account and mode.
pub type Side = (AccountId, Mode);

/// The subscription `id`. Error: there is none, or it was deleted.
pub fn get(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<SubscriptionRow, ApiError> {
    let row = get_any(tx, side, id)?;
    if row.is_deleted { Err(ApiError::not_found("subscription", id)) } else { Ok(row) }
}

/// The subscription `id`, deleted or not. Error: there never was one.
pub fn get_any(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<SubscriptionRow, ApiError> {
    let none = || ApiError::not_found("subscription", id);
    let parsed: SubscriptionId = id.parse().map_err(|_| none())?;
    find_any(tx, side, parsed)?.ok_or_else(none)
}

/// A page of subscriptions, newest first; of one customer or of all.
pub fn list(
    tx: &mut Tx<'_>,
    side: Side,
    (page, customer): (&Page, Option<&str>),
    filter: &Filter,
) -> Result<Vec<SubscriptionRow>, ApiError> {
    let from = page.last_seen(|id| get_any(tx, side, id))?.map_or_else(Place::newest, |row| row.place());
    Ok(match customer {
        Some(customer) => {
            let found = store::list_of(tx, side, &[customer], (page, &from), filter)?;
            found.into_iter().map(|(_, row)| row).collect()
        }
        None => store::list(tx, side, (page, &from), filter)?,
    })
}

/// Deletes all subscriptions of a held customer, which is deleted too.
pub fn delete_all_of(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    customer: &Held,
    now: Timestamp,
) -> Result<(), ApiError> {
    let all = Page { limit: i64::MAX - 1, ..Page::embedded() };
    let found =
        store::list_of(tx, customer.side, &[&customer.id], (&all, &Place::newest()), &Filter::default())?;
    for (_, row) in found {
        // Read again under its lock: a renewal may have been at work on it.
        if let Some(mut row) = lock(tx, customer.side, row.id)? {
            let answer = deleted(customer.side.1, row.id.as_str());
            deletion::delete(tx, key, customer, (&mut row, &answer), now)?;
        }
    }
    Ok(())
}

/// Error: the payment of a request decides what becomes of it, and is not known yet.
pub fn must_be_free(row: &SubscriptionRow) -> Result<(), ApiError> {
    match &row.pending_invoice {
        None => Ok(()),
        Some(_) => Err(payment_in_progress(row)),
    }
}

fn payment_in_progress(row: &SubscriptionRow) -> ApiError {
    let message = format!("A payment of subscription {} is being confirmed; try again later.", row.id);
    ApiError::conflict("payment_in_progress", message)
}

/// Appends an event to the history of a locked subscription: what happened, to which object, and what is told of that. The
/// caller saves the row.
pub fn record(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (account, mode): Side,
    (row, kind, object, data): (&mut SubscriptionRow, Kind, String, &Value),
    times: Times,
) -> Result<(), db::Error> {
    row.event_number += 1;
    let event = NewEvent {
        account,
        mode,
        history: row.id.to_string(),
        slot: row.id.slot(),
        number: row.event_number,
        kind,
        object,
        data: data.to_string(),
        billing_at: times.billing,
    };
    events::append(tx, key, &[event], times.real)
}

/// Writes what has become of a locked subscription.
pub fn save(tx: &mut Tx<'_>, row: &SubscriptionRow) -> Result<(), db::Error> {
    store::save(tx, row)
}

/// The subscription `id`, deleted or not.
pub fn find_any(
    tx: &mut Tx<'_>,
    side: Side,
    id: SubscriptionId,
) -> Result<Option<SubscriptionRow>, db::Error> {
    Ok(store::find_many(tx, side, &[id])?.pop())
}

/// The subscription `id`, locked, deleted or not.
pub fn lock(tx: &mut Tx<'_>, side: Side, id: SubscriptionId) -> Result<Option<SubscriptionRow>, db::Error> {
    Ok(store::lock_many(tx, side, &[id])?.pop())
}

/// The subscriptions with these ids, in the order of the ids; deleted ones too.
pub fn find_many(
    tx: &mut Tx<'_>,
    side: Side,
    ids: &[SubscriptionId],
) -> Result<Vec<SubscriptionRow>, db::Error> {
    store::find_many(tx, side, ids)
}

/// The same, and locked.
pub fn lock_many(
    tx: &mut Tx<'_>,
    side: Side,
    ids: &[SubscriptionId],
) -> Result<Vec<SubscriptionRow>, db::Error> {
    store::lock_many(tx, side, ids)
}

/// Writes the reservations and event numbers of locked subscriptions.
pub fn save_reserved(tx: &mut Tx<'_>, rows: &[SubscriptionRow]) -> Result<(), db::Error> {
    store::save_reserved(tx, rows).map(|_| ())
}

/// All subscriptions that a customer ever had.
pub fn all_of(tx: &mut Tx<'_>, side: Side, customer: &str) -> Result<Vec<SubscriptionRow>, db::Error> {
    store::all_of(tx, side, customer)
}

impl SubscriptionRow {
    /// The obligation of its scheduled invoice.
    pub fn scheduled_obligation(&self) -> String {
        cycle_obligation(self.id, u32::try_from(self.next_cycle - 1).unwrap_or(u32::MAX))
    }

    /// Everything that it may have been billed for: its cycles, and the bills of requests.
    pub fn obligations(&self) -> Vec<String> {
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        let cycles = (0..=count(self.next_cycle)).map(|cycle| cycle_obligation(self.id, cycle));
        let changes = (1..=count(self.change_count)).map(|number| change_obligation(self.id, number));
        cycles.chain(changes).collect()
    }

    /// Its place in lists.
    pub fn place(&self) -> Place {
        Place { created_at: self.created_at, sequence: self.sequence, id: self.id.to_string() }
    }
}
