//! Customers: who pays. Their cards, their default card, and the clock that they live by.
//!
//! Whoever changes a customer or its cards holds the customer's row. A deleted customer keeps its row: its id stays taken,
//! its charges, invoices and events go on naming it.

use billing::event::Kind;
use billing::id::{AccountId, CustomerId, DerivationKey, PaymentMethodId, Slot};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;
use serde_json::Value;

use crate::events::{self, NewEvent};
use crate::web::ApiError;
use crate::web::list::{Page, Place};
use crate::{clocks, subscriptions};

pub mod api;
pub mod cards;
mod store;
pub mod view;

pub use store::{CustomerRow, Filter};

/// Whose: account and mode.
pub type Side = (AccountId, Mode);

/// A customer whose row is held, with the billing time that it lives in.
pub struct Held {
    row: CustomerRow,
    /// Whose.
    pub side: Side,
    /// Its billing time now.
    pub billing: Timestamp,
}

impl std::ops::Deref for Held {
    type Target = CustomerRow;

    fn deref(&self) -> &CustomerRow {
        &self.row
    }
}

impl std::ops::DerefMut for Held {
    fn deref_mut(&mut self) -> &mut CustomerRow {
        &mut self.row
    }
}

/// A new id, and its slot.
pub fn new_id(now: Timestamp, random: &[u8; 32]) -> String {
    CustomerId::random(Slot(random[31]), now, random).to_string()
}

/// Makes a customer. Error: its id is taken.
pub fn create(tx: &mut Tx<'_>, side: Side, row: CustomerRow, now: Timestamp) -> Result<Held, ApiError> {
    store::insert(tx, side, &row).map_err(|error| {
        if error.violates("customers_pkey") {
            ApiError::param("already_exist_id", "id", format!("The id {} is already in use.", row.id))
        } else {
            ApiError::from(error)
        }
    })?;
    let billing = clocks::now(tx, Some(&row.clock), now)?;
    Ok(Held { row, side, billing })
}

/// The customer `id`. Error: there is none, or it was deleted.
pub fn get(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<CustomerRow, ApiError> {
    store::find(tx, side, id)?
        .filter(|customer| !customer.is_deleted)
        .ok_or_else(|| ApiError::not_found("customer", id))
}

/// The customer `id`, deleted or not.
pub fn find_any(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<Option<CustomerRow>, db::Error> {
    store::find(tx, side, id)
}

/// The customer `id`, held until the transaction ends; `now` is real time. Errors: there is none, it was deleted, its test
/// clock is being advanced.
pub fn lock(tx: &mut Tx<'_>, side: Side, id: &str, now: Timestamp) -> Result<Held, ApiError> {
    let row = store::lock(tx, side, id)?
        .filter(|customer| !customer.is_deleted)
        .ok_or_else(|| ApiError::not_found("customer", id))?;
    let billing = clocks::now_for_change(tx, &row.clock, now)?;
    Ok(Held { row, side, billing })
}

/// The customer `id`, held, at the time where its clock stands now: to look at what a change would do while the clock may be
/// on its way. Errors: there is none, it was deleted.
pub fn look(tx: &mut Tx<'_>, side: Side, id: &str, now: Timestamp) -> Result<Held, ApiError> {
    let row = store::lock(tx, side, id)?
        .filter(|customer| !customer.is_deleted)
        .ok_or_else(|| ApiError::not_found("customer", id))?;
    let billing = clocks::now(tx, Some(&row.clock), now)?;
    Ok(Held { row, side, billing })
}

/// Writes what has become of a held customer.
pub fn save(tx: &mut Tx<'_>, customer: &Held) -> Result<(), db::Error> {
    store::update(tx, customer.side, &customer.row)
}

/// A page of customers, newest first.
pub fn list(tx: &mut Tx<'_>, side: Side, page: &Page, filter: &Filter) -> Result<Vec<CustomerRow>, ApiError> {
    let after =
        page.last_seen(|id| find_any(tx, side, id)?.ok_or_else(|| ApiError::not_found("customer", id)))?;
    let from = after.map_or_else(Place::newest, |row| row.place());
    Ok(store::list(tx, side, (page, &from), filter)?)
}

/// Deletes a customer with its subscriptions. `answer` is what its event tells.
pub fn delete(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    customer: &mut Held,
    answer: &Value,
    now: Timestamp,
) -> Result<(), ApiError> {
    subscriptions::delete_all_of(tx, key, customer, now)?;
    record(tx, key, customer, Kind::CustomerDeleted, (customer.id.clone(), answer), now)?;
    Ok(store::delete(tx, customer.side, &customer.row, now)?)
}

/// Appends an event to the history of a held customer. `now` is real time.
pub fn record(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    customer: &mut Held,
    kind: Kind,
    (object, data): (String, &Value),
    now: Timestamp,
) -> Result<(), db::Error> {
    customer.event_number += 1;
    let (account, mode) = customer.side;
    let event = NewEvent {
        account,
        mode,
        history: history(customer.side, &customer.id),
        slot: Slot::of_key(&customer.id),
        number: customer.event_number,
        kind,
        object,
        data: data.to_string(),
        billing_at: customer.billing,
    };
    events::append(tx, key, &[event], now)
}

/// The name of a customer's history: merchants choose ids, so that those of two accounts may be the same.
pub fn history((account, mode): Side, id: &str) -> String {
    format!("customer:{mode}:{account}:{id}")
}

impl CustomerRow {
    /// Its place in lists.
    pub fn place(&self) -> Place {
        Place { created_at: self.created_at, sequence: self.sequence, id: self.id.clone() }
    }

    /// Its default card, when it has one.
    pub fn default_card(&self) -> Option<PaymentMethodId> {
        self.default_payment_method
    }
}
