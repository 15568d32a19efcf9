//! Plan switches (プラン切り替え予約): all subscriptions of a plan go over to another one from an instant on.
//!
//! 1. [`create`] writes the switch down; who has the plan at that moment belongs to it, but for those that are left out.
//! 2. [`job`] reserves it for them batch by batch ([`batches`]): each is given the next plan with its first day, and its
//!    scheduled invoice is drawn anew if that day has come for it. What it replaces is kept.
//! 3. The renewals do the switch, each at its own time: the first one whose period starts at the instant or later.
//! 4. Until the first of them has, [`undo`] gives all of them back what they had; [`exclude`] does so for one. From the
//!    moment it is asked for no renewal does the switch any more ([`renewing`]).
//!
//! Who joins the plan after 1 does not belong to it, and is listed. A later reservation for a subscription, by another
//! switch or by a request, takes it out of this one.

use billing::agreement::quantity_max;
use billing::event::Kind;
use billing::id::{AccountId, DerivationKey, PlanSwitchId, Slot, SubscriptionId};
use billing::mode::Mode;
use billing::plan::Plan;
use db::Tx;
use jiff::Timestamp;

use crate::events::{self, NewEvent};
use crate::plans::{self, PlanRow};
use crate::web::list::Page;
use crate::web::{ApiError, object};

pub mod api;
mod batches;
mod former;
pub mod job;
pub mod members;
pub mod renewing;
mod store;
pub mod view;

use view::SwitchView;

/// Whose: account and mode.
pub type Side = (AccountId, Mode);

/// The most subscriptions that are left out of one switch: what fits a request.
pub const EXCLUDED_MAX: usize = 1_000;

/// Where a switch stands. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is being reserved for those who have the plan.
    Reserving,
    /// It is reserved for all of them, and may have begun.
    Scheduled,
    /// It is being undone.
    Undoing,
    /// Nothing of it is left.
    Undone,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Reserving, Self::Scheduled, Self::Undoing, Self::Undone];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserving => "reserving",
            Self::Scheduled => "scheduled",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
        }
    }

    /// From the stored name.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// A switch as stored.
#[derive(Clone, Debug)]
pub struct SwitchRow {
    /// Its id.
    pub id: PlanSwitchId,
    /// Whose.
    pub side: Side,
    /// The plan that is left.
    pub plan: String,
    /// The plan that takes over.
    pub next_plan: String,
    /// The first start of a period that has it.
    pub effective_at: Timestamp,
    /// Where it stands.
    pub status: Status,
    /// The subscriptions that are left out.
    pub excluded: Vec<SubscriptionId>,
    /// The id of the last subscription that this round has looked at.
    place: Option<SubscriptionId>,
    /// How many of this round were busy.
    passed_over: i64,
    /// For how many it was reserved; who left it by a later order, or is deleted, is still counted.
    pub members: i64,
    /// What one cycle of all of them comes to with the old plan.
    pub amount_before: i64,
    /// The same with the new one.
    pub amount_after: i64,
    /// The number of the last event of its history.
    pub event_number: i64,
    /// The API key that asked for it.
    pub actor: String,
    /// The API key that undid it.
    pub undone_by: Option<String>,
    /// When it was undone, in real time.
    pub undone_at: Option<Timestamp>,
    /// Real time in microseconds.
    pub created_at: i64,
}

/// What a switch is asked to be.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The plan that is left.
    pub plan: String,
    /// The plan that takes over.
    pub next_plan: String,
    /// The first start of a period that has it.
    pub effective_at: Timestamp,
    /// The subscriptions that are left out.
    pub excluded: Vec<SubscriptionId>,
}

/// How a plan is looked up: [`plans::hold`], or [`plans::get`] where nothing is written.
type LookUp = fn(&mut Tx<'_>, Side, &str) -> Result<PlanRow, ApiError>;

/// Checks what is asked for: both plans are there and differ, the excluded ones have the plan, the others fit an invoice of
/// the next one, and in real time the instant is to come. Gives the two plans.
fn check(
    tx: &mut Tx<'_>,
    side: Side,
    asked: &Asked,
    (look_up, now): (LookUp, Timestamp),
) -> Result<(PlanRow, PlanRow), ApiError> {
    let named = |tx: &mut Tx<'_>, param: &'static str, id: &str| {
        look_up(tx, side, id).map_err(|error| error.about_param(param).coded("invalid_plan"))
    };
    let plan = named(tx, "plan", &asked.plan)?;
    let next = named(tx, "next_plan", &asked.next_plan)?;
    if plan.id == next.id || plan.currency != next.currency {
        let message = "Invalid next_plan: it must be another plan of the same currency.";
        return Err(ApiError::param("invalid_plan", "next_plan", message));
    }
    if side.1 == Mode::Live && asked.effective_at <= now {
        let message = "Invalid effective_at: it must be in the future.";
        return Err(ApiError::param("invalid_effective_at", "effective_at", message));
    }
    let found = crate::subscriptions::find_many(tx, side, &asked.excluded)?;
    let has_plan = |id: &&SubscriptionId| {
        !found.iter().any(|row| row.id == **id && row.plan == asked.plan && !row.is_deleted)
    };
    if let Some(id) = asked.excluded.iter().find(has_plan) {
        let message = format!("Invalid exclude: {id} is no subscription of the plan {}.", asked.plan);
        return Err(ApiError::param("invalid_subscription", "exclude", message));
    }
    must_fit_invoices(tx, side, asked, &next.terms()?)?;
    Ok((plan, next))
}

/// Error: someone who is not left out has more of the plan than an invoice of the next one holds.
fn must_fit_invoices(tx: &mut Tx<'_>, side: Side, asked: &Asked, next: &Plan) -> Result<(), ApiError> {
    let most = quantity_max(next);
    let too_many = store::with_more_than(tx, side, (&asked.plan, most.into()), EXCLUDED_MAX)?;
    match too_many.iter().find(|(id, _)| !asked.excluded.contains(id)) {
        None => Ok(()),
        Some((id, quantity)) => {
            let message = format!(
                "Invalid next_plan: the subscription {id} is for {quantity}, and an invoice holds at most {most} of the plan {}. \
                 Exclude it, or change its quantity.",
                next.id
            );
            Err(ApiError::param("invalid_quantity", "next_plan", message))
        }
    }
}

/// Writes a switch down. It is reserved by the server, soon. `random` makes its id.
pub fn create(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (side, asked): (Side, &Asked),
    (actor, random): (&str, &[u8; 32]),
    now: Timestamp,
) -> Result<SwitchView, ApiError> {
    check(tx, side, asked, (plans::hold, now))?;
    let mut row = SwitchRow {
        id: PlanSwitchId::random(Slot(0), now, random),
        side,
        plan: asked.plan.clone(),
        next_plan: asked.next_plan.clone(),
        effective_at: asked.effective_at,
        status: Status::Reserving,
        excluded: asked.excluded.clone(),
        place: None,
        passed_over: 0,
        members: 0,
        amount_before: 0,
        amount_after: 0,
        event_number: 0,
        actor: actor.to_owned(),
        undone_by: None,
        undone_at: None,
        created_at: now.as_microsecond(),
    };
    store::insert(tx, &row)?;
    tell(tx, key, &mut row, Kind::PlanSwitchCreated, now)?;
    store::save(tx, &row)?;
    Ok(SwitchView::of(&row))
}

/// The switch `id`. Error: there is none.
pub fn get(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<SwitchRow, ApiError> {
    find(tx, side, id)?.ok_or_else(|| ApiError::not_found("plan switch", id))
}

/// The switch `id`, if the side has it.
pub fn find(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<Option<SwitchRow>, db::Error> {
    Ok(store::find(tx, id)?.filter(|row| row.side == side))
}

/// A page of switches, newest first.
pub fn list(tx: &mut Tx<'_>, side: Side, page: &Page) -> Result<Vec<SwitchRow>, ApiError> {
    let after = page.last_seen(|id| get(tx, side, id))?;
    let newest = || (i64::MAX, "\u{10ffff}".to_owned());
    let from = after.map_or_else(newest, |row| (row.created_at, row.id.to_string()));
    Ok(store::list(tx, side, (page, &from))?)
}

/// Whether a switch that is still being reserved leads to this plan: it cannot be deleted.
pub fn leads_to(tx: &mut Tx<'_>, side: Side, plan: &str) -> Result<bool, db::Error> {
    store::leads_to(tx, side, plan)
}

/// Begins to undo a switch that has not begun. Errors: it has, or is being undone.
pub fn undo(
    tx: &mut Tx<'_>,
    (side, id): (Side, &str),
    actor: &str,
    now: Timestamp,
) -> Result<SwitchView, ApiError> {
    let mut row = lock(tx, side, id)?;
    must_not_have_begun(tx, &row, now)?;
    row.status = Status::Undoing;
    (row.place, row.passed_over) = (None, 0);
    (row.undone_by, row.undone_at) = (Some(actor.to_owned()), Some(now));
    store::save(tx, &row)?;
    Ok(SwitchView::of(&row))
}

/// Leaves one subscription out of a switch that it has not been switched by: it has again what it had before.
pub fn exclude(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (side, id): (Side, &str),
    subscription: &str,
    now: Timestamp,
) -> Result<SwitchView, ApiError> {
    let mut row = lock(tx, side, id)?;
    if !matches!(row.status, Status::Reserving | Status::Scheduled) {
        return Err(ApiError::client("already_undone", format!("The plan switch {id} is undone.")));
    }
    let missing = || {
        let message = format!("The subscription {subscription} does not belong to the plan switch {id}.");
        ApiError::param("invalid_subscription", "subscription", message)
    };
    let parsed: SubscriptionId = subscription.parse().map_err(|_| missing())?;
    if row.excluded.contains(&parsed) {
        return Ok(SwitchView::of(&row));
    }
    if row.excluded.len() >= EXCLUDED_MAX {
        let message = format!("A plan switch leaves out at most {EXCLUDED_MAX} subscriptions.");
        return Err(ApiError::client("too_many_excluded", message));
    }
    batches::leave_out(tx, key, &mut row, parsed, now)?.then_some(()).ok_or_else(missing)?;
    row.excluded.push(parsed);
    store::save(tx, &row)?;
    Ok(SwitchView::of(&row))
}

fn lock(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<SwitchRow, ApiError> {
    store::lock(tx, id)?.filter(|row| row.side == side).ok_or_else(|| ApiError::not_found("plan switch", id))
}

/// Error: a renewal has switched someone already, its time has come, or it is being undone.
fn must_not_have_begun(tx: &mut Tx<'_>, row: &SwitchRow, now: Timestamp) -> Result<(), ApiError> {
    let id = row.id;
    if !matches!(row.status, Status::Reserving | Status::Scheduled) {
        return Err(ApiError::client("already_undone", format!("The plan switch {id} is undone.")));
    }
    let is_over = row.side.1 == Mode::Live && row.effective_at <= now;
    if is_over || store::has_begun(tx, row)? {
        let message = format!("The plan switch {id} is effective: it cannot be undone any more.");
        return Err(ApiError::client("already_effective", message));
    }
    Ok(())
}

/// Appends an event with the switch as it is now. The caller saves the row. `now` is real time.
fn tell(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    row: &mut SwitchRow,
    kind: Kind,
    now: Timestamp,
) -> Result<(), ApiError> {
    row.event_number += 1;
    let (account, mode) = row.side;
    let event = NewEvent {
        account,
        mode,
        history: row.id.to_string(),
        slot: row.id.slot(),
        number: row.event_number,
        kind,
        object: row.id.to_string(),
        data: object(&SwitchView::of(row))?.to_string(),
        billing_at: now,
    };
    Ok(events::append(tx, key, &[event], now)?)
}
