//! Plans: the offers that subscriptions are made from.
//!
//! A plan's price and interval never change; other terms are another plan. One that has subscribers cannot be deleted. A
//! deleted plan keeps its row, so that its id stays taken and old invoices can name it.

use billing::event::Kind;
use billing::id::{AccountId, DerivationKey, PlanId, Slot};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;
use serde_json::Value;

use crate::events::{self, NewEvent};
use crate::web::list::Page;
use crate::web::metadata::{self, Metadata, MetadataEdit};
use crate::web::params::Given;
use crate::web::{ApiError, object};

pub mod api;
mod store;
pub mod view;

pub use store::PlanRow;
use view::PlanView;

/// Whose plans: account and mode.
pub type Side = (AccountId, Mode);

/// Makes a plan. Error: its id is taken.
pub fn create(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: Side,
    plan: &PlanRow,
) -> Result<PlanView, ApiError> {
    store::insert(tx, side, plan).map_err(|error| {
        if error.violates("plans_pkey") {
            ApiError::param("already_exist_id", "id", format!("The id {} is already in use.", plan.id))
        } else {
            ApiError::from(error)
        }
    })?;
    let view = PlanView::of(side.1, plan)?;
    let made_at = Timestamp::from_microsecond(plan.created_at).unwrap_or(Timestamp::MIN);
    record(tx, key, side, plan, (Kind::PlanCreated, object(&view)?), made_at)?;
    Ok(view)
}

/// A new id.
pub fn new_id(now: Timestamp, random: &[u8; 32]) -> String {
    PlanId::random(Slot(random[31]), now, random).to_string()
}

/// The plan `id`. Error: there is none, or it was deleted.
pub fn get(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<PlanRow, ApiError> {
    store::find(tx, side, id)?.filter(|plan| !plan.is_deleted).ok_or_else(|| ApiError::not_found("plan", id))
}

/// The plan `id`, which stays as it is until the transaction ends. Error: there is none, or it was deleted.
pub fn hold(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<PlanRow, ApiError> {
    store::share(tx, side, id)?.filter(|plan| !plan.is_deleted).ok_or_else(|| ApiError::not_found("plan", id))
}

/// The plans with these ids, deleted ones too.
pub fn find_many(tx: &mut Tx<'_>, side: Side, ids: &[&str]) -> Result<Vec<PlanRow>, db::Error> {
    store::find_many(tx, side, ids)
}

/// A page of plans, newest first.
pub fn list(tx: &mut Tx<'_>, side: Side, page: &Page) -> Result<Vec<PlanRow>, ApiError> {
    let after = match &page.after {
        None => None,
        Some(id) => Some(get(tx, side, id)?),
    };
    Ok(store::list(tx, side, page, after.as_ref())?)
}

/// What an update changes.
pub struct Change {
    /// Its name.
    pub name: Given<String>,
    /// The merchant's texts.
    pub metadata: Option<MetadataEdit>,
}

/// Changes name and metadata.
pub fn update(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (side, id): (Side, &str),
    change: &Change,
    now: Timestamp,
) -> Result<PlanView, ApiError> {
    let mut plan = lock(tx, side, id)?;
    match &change.name {
        Given::Set(name) => plan.name = Some(name.clone()),
        Given::Cleared => plan.name = Some(String::new()),
        Given::Absent => {}
    }
    let merged: Metadata =
        metadata::merged(metadata::from_stored(&plan.metadata)?, change.metadata.as_ref())?;
    plan.metadata = metadata::to_stored(&merged);
    plan.event_number += 1;
    store::update(tx, side, &plan)?;
    let view = PlanView::of(side.1, &plan)?;
    record(tx, key, side, &plan, (Kind::PlanUpdated, object(&view)?), now)?;
    Ok(view)
}

/// Deletes a plan that nobody has.
pub fn delete(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (side, id): (Side, &str),
    answer: Value,
    now: Timestamp,
) -> Result<(), ApiError> {
    let mut plan = lock(tx, side, id)?;
    if store::has_subscribers(tx, side, id)? {
        return Err(ApiError::client("exist_subscribers", format!("The plan {id} has subscribers.")));
    }
    plan.event_number += 1;
    store::delete(tx, side, &plan, now)?;
    record(tx, key, side, &plan, (Kind::PlanDeleted, answer), now)
}

fn lock(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<PlanRow, ApiError> {
    store::lock(tx, side, id)?.filter(|plan| !plan.is_deleted).ok_or_else(|| ApiError::not_found("plan", id))
}

fn record(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (account, mode): Side,
    plan: &PlanRow,
    (kind, data): (Kind, Value),
    now: Timestamp,
) -> Result<(), ApiError> {
    let event = NewEvent {
        account,
        mode,
        // Merchants choose the ids of plans, so that those of two accounts may be the same.
        history: format!("plan:{mode}:{account}:{}", plan.id),
        slot: Slot::of_key(&plan.id),
        number: plan.event_number,
        kind,
        object: plan.id.clone(),
        data: data.to_string(),
        billing_at: now,
    };
    Ok(events::append(tx, key, &[event], now)?)
}
