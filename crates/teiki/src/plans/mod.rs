//! Plans: the offers that subscriptions are made from.
//!
//! A plan's price and interval never change; other terms are another plan. One that has subscribers cannot be deleted. A
//! deleted plan keeps its row, so that its id stays taken and old invoices can name it.

use billing::calendar::{Interval, Unit};
use billing::event::Kind;
use billing::id::{AccountId, DerivationKey, PlanId, Slot};
use billing::mode::Mode;
use billing::money::{Currency, Money};
use db::Tx;
use jiff::Timestamp;
use serde_json::Value;

use crate::events::{self, NewEvent};
use crate::plan_switches;
use crate::stored::unreadable;
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

impl PlanRow {
    /// Its terms, as the rules read them.
    pub fn terms(&self) -> Result<billing::plan::Plan, db::Error> {
        let unfit = |column, found: String| unreadable(column, "what a plan may have", &found);
        let currency: Currency =
            self.currency.parse().map_err(|_| unfit("plans.currency", self.currency.clone()))?;
        let unit: Unit = self
            .interval_unit
            .parse()
            .map_err(|_| unfit("plans.interval_unit", self.interval_unit.clone()))?;
        let number = |column, value: i64| u32::try_from(value).map_err(|_| unfit(column, value.to_string()));
        Ok(billing::plan::Plan {
            id: self.id.clone(),
            name: self.name.clone().unwrap_or_default(),
            amount: Money::new(self.amount, currency),
            tax_category: self
                .tax_category
                .parse()
                .map_err(|_| unfit("plans.tax_category", self.tax_category.clone()))?,
            interval: Interval::try_new(unit, self.interval_count)
                .map_err(|_| unfit("plans.interval_count", self.interval_count.to_string()))?,
            billing_day: self
                .billing_day
                .map(|day| u8::try_from(day).map_err(|_| unfit("plans.billing_day", day.to_string())))
                .transpose()?,
            first_charge: self
                .first_charge
                .parse()
                .map_err(|_| unfit("plans.first_charge", self.first_charge.clone()))?,
            trial_days: number("plans.trial_days", self.trial_days)?,
            setup_fee: Money::new(self.setup_fee, currency),
            instalments: self.instalments.map(|count| number("plans.instalments", count)).transpose()?,
        })
    }
}

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
    hold_many(tx, side, &[id])?.pop().ok_or_else(|| ApiError::not_found("plan", id))
}

/// Those of these plans that are not deleted; they stay as they are until the transaction ends.
pub fn hold_many(tx: &mut Tx<'_>, side: Side, ids: &[&str]) -> Result<Vec<PlanRow>, db::Error> {
    let found = store::share_many(tx, side, ids)?;
    Ok(found.into_iter().filter(|plan| !plan.is_deleted).collect())
}

/// The plans with these ids, deleted ones too.
pub fn find_many(tx: &mut Tx<'_>, side: Side, ids: &[&str]) -> Result<Vec<PlanRow>, db::Error> {
    store::find_many(tx, side, ids)
}

/// A page of plans, newest first.
pub fn list(tx: &mut Tx<'_>, side: Side, page: &Page) -> Result<Vec<PlanRow>, ApiError> {
    let after = page
        .last_seen(|id| find_many(tx, side, &[id])?.pop().ok_or_else(|| ApiError::not_found("plan", id)))?;
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
    if store::has_subscribers(tx, side, id)? || plan_switches::leads_to(tx, side, id)? {
        return Err(ApiError::client("exist_subscribers", format!("The plan {id} has subscribers.")));
    }
    plan.event_number += 1;
    store::delete(tx, side, &plan, now)?;
    record(tx, key, side, &plan, (Kind::PlanDeleted, answer), now)
}

fn lock(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<PlanRow, ApiError> {
    store::lock(tx, side, id)?.filter(|plan| !plan.is_deleted).ok_or_else(|| ApiError::not_found("plan", id))
}

/// The name of a plan's history: merchants choose ids, so that those of two accounts may be the same.
pub fn history((account, mode): Side, id: &str) -> String {
    format!("plan:{mode}:{account}:{id}")
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
        history: history((account, mode), &plan.id),
        slot: Slot::of_key(&plan.id),
        number: plan.event_number,
        kind,
        object: plan.id.clone(),
        data: data.to_string(),
        billing_at: now,
    };
    Ok(events::append(tx, key, &[event], now)?)
}
