//! Applying what a request asked for: at once where nothing is to be paid, else when it is paid, by whoever learns it.
//!
//! The caller holds the subscription's row, or settles a charge of it. A bill that is not paid leaves everything as it
//! was; a subscription whose first bill is not paid is gone.

use billing::agreement::{self, Course, Upcoming};
use billing::calendar::Period;
use billing::event::Kind;
use billing::guard::DayTotal;
use billing::id::{DerivationKey, SubscriptionId};
use billing::renewal::{Next, Renewed};
use billing::subscription::{Event, State};
use db::Tx;
use jiff::Timestamp;

use super::on_paid::{Asked, OnPaid, Stamps};
use super::{Side, SubscriptionRow, record, store, view};
use crate::accounts;
use crate::charges::settle::Times;
use crate::invoices::scheduled::{self, ScheduledRow};
use crate::invoices::{self, NewScheduled};
use crate::line::Scope;
use crate::renewals::day_plan;

/// A payment on which a subscription waited, now that its outcome is known.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whose.
    pub side: Side,
    /// Which subscription.
    pub subscription: SubscriptionId,
    /// What its payment does.
    pub on_paid: OnPaid,
    /// Whether it was paid.
    pub is_paid: bool,
}

/// Applies the outcomes in the transaction that settles their charges.
pub fn resolve(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    outcomes: &[Outcome],
    times: Times,
) -> Result<(), db::Error> {
    for outcome in outcomes {
        let Some(mut row) = super::lock(tx, outcome.side, outcome.subscription)? else {
            return Err(db::Error::Assertion(format!("subscription {} is gone", outcome.subscription)));
        };
        row.pending_invoice = None;
        if row.is_deleted {
            // Its test clock was deleted meanwhile: what was paid is written down, and nothing comes of it.
            store::save(tx, &row)?;
            continue;
        }
        match (&outcome.on_paid, outcome.is_paid) {
            (OnPaid::Renewed(renewed), true) => {
                renew(&mut row, renewed);
                complete(tx, key, outcome.side, &mut row, times)?;
            }
            (OnPaid::Asked(asked), true) => {
                let scope = scope_of(outcome.side, &row);
                row.is_billed = true;
                if let Some(metadata) = &asked.metadata {
                    row.metadata.clone_from(metadata);
                }
                apply(tx, key, &scope, (&mut row, &asked.course, asked.stamps), times.real)?;
                tell(tx, key, outcome.side, (&mut row, kind_of(asked)?), times)?;
            }
            (OnPaid::Asked(asked), false) if kind_of(asked)? == Kind::SubscriptionCreated => {
                row.state = agreement::deleted(row.state);
                store::delete(tx, &row, times.real)?;
            }
            (OnPaid::Renewed(_), false) if row.state == State::Paused => {
                (row.paused_at, row.resumed_at) = (Some(times.billing.as_microsecond()), None);
            }
            (OnPaid::Renewed(_) | OnPaid::Asked(_), false) | (OnPaid::Debt, _) => {}
        }
        put_back(tx, &scope_of(outcome.side, &row), &row)?;
        store::save(tx, &row)?;
    }
    Ok(())
}

/// A subscription that waits for a payment which will not come.
pub(crate) fn stop_waiting(tx: &mut Tx<'_>, side: Side, id: SubscriptionId) -> Result<(), db::Error> {
    let Some(mut row) = super::lock(tx, side, id)? else {
        return Err(db::Error::Assertion(format!("subscription {id} is gone")));
    };
    row.pending_invoice = None;
    put_back(tx, &scope_of(side, &row), &row)?;
    store::save(tx, &row)
}

fn kind_of(asked: &Asked) -> Result<Kind, db::Error> {
    asked.kind()
}

/// A renewal that was paid, where a failure would have paused.
fn renew(row: &mut SubscriptionRow, renewed: &Renewed) {
    row.is_billed = true;
    row.period = micros(renewed.period);
    row.anchor = renewed.anchor;
    row.remaining = renewed.remaining.map(i64::from);
    if let Some(plan) = &renewed.plan {
        row.plan.clone_from(plan);
        (row.next_plan, row.next_plan_from, row.switch_former) = (None, None, None);
    }
}

/// The last instalment is known to be the last only now: with nothing open the subscription has completed.
fn complete(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: Side,
    row: &mut SubscriptionRow,
    times: Times,
) -> Result<(), db::Error> {
    if row.remaining != Some(0) || scheduled::count_open(tx, row.id)? > 0 {
        return Ok(());
    }
    // One that was paused or canceled meanwhile stays so.
    match row.state.after(Event::LastCollected) {
        Ok(completed) if completed != row.state => {
            row.state = completed;
            tell(tx, key, side, (row, Kind::SubscriptionCanceled), times)
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The scheduled invoice comes due again as the state has it. One that was off the work list may be due on a day that has
/// its plan already.
pub(crate) fn put_back(tx: &mut Tx<'_>, scope: &Scope, row: &SubscriptionRow) -> Result<(), db::Error> {
    let Some(found) = scheduled::find(tx, row)? else {
        return Ok(());
    };
    let due = due_of(row, found.next.cycle.charge_at);
    if found.next_action_at == due {
        return Ok(());
    }
    if let (None, Some(at)) = (found.next_action_at, due) {
        let terms = accounts::read(tx, scope.account)?.terms;
        day_plan::raise_again(tx, scope, &terms, (at, row, &found.next))?;
    }
    scheduled::set_action(tx, found.id, due)
}

/// When a scheduled invoice is acted on: at its charge time while the schedule runs, at the end of the period after a cancel.
fn due_of(row: &SubscriptionRow, charge_at: Timestamp) -> Option<Timestamp> {
    if row.pending_invoice.is_some() {
        return None;
    }
    let period_end = || Timestamp::from_microsecond(row.period.1).ok();
    match row.state {
        State::Trialing | State::Active | State::PastDue => Some(charge_at),
        State::Canceled(billing::subscription::CancelReason::Requested) => period_end(),
        State::Paused | State::Canceled(billing::subscription::CancelReason::Completed) => None,
    }
}

/// Makes a course hold: the row and its scheduled invoice. The caller saves the row. `now` is real time.
pub(crate) fn apply(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    scope: &Scope,
    (row, course, stamps): (&mut SubscriptionRow, &Course, Stamps),
    now: Timestamp,
) -> Result<(), db::Error> {
    let next_cycle = u32::try_from(row.next_cycle).unwrap_or(u32::MAX);
    let course = course.clone().renumbered(next_cycle);
    let former = scheduled::find(tx, row)?;
    row.state = course.state;
    let next_plan_from = course.next_plan_from.map(Timestamp::as_microsecond);
    if carries_out_a_switch(row, &course) {
        row.switch_former = None;
    } else if row.plan != course.plan
        || (&row.next_plan, row.next_plan_from) != (&course.next_plan, next_plan_from)
    {
        (row.plan_switch, row.switch_former) = (None, None);
    }
    row.plan = course.plan;
    (row.next_plan, row.next_plan_from) = (course.next_plan, next_plan_from);
    row.quantity = course.quantity.into();
    row.prorate = course.prorate;
    row.anchor = course.anchor;
    row.period = micros(course.period);
    row.trial = course.trial.map(micros);
    row.remaining = course.remaining.map(i64::from);
    (row.paused_at, row.canceled_at, row.resumed_at) =
        (stamps.paused_at, stamps.canceled_at, stamps.resumed_at);
    owes(tx, row)?;
    match (course.upcoming, former) {
        (Upcoming::Edited(next), Some(former)) => redraw(tx, scope, &former, &next),
        (Upcoming::Replaced(next), former) => {
            if let Some(former) = former {
                scheduled::void(tx, former.id)?;
            }
            schedule(tx, key, scope, (row, next), now)
        }
        (Upcoming::Void, Some(former)) => scheduled::void(tx, former.id),
        (Upcoming::Kept | Upcoming::Off | Upcoming::Void | Upcoming::Edited(_), _) => Ok(()),
    }?;
    put_back(tx, scope, row)
}

/// Whether a course does what a plan switch has reserved, as a renewal would have: a resume, or the end of a trial, after its time.
fn carries_out_a_switch(row: &SubscriptionRow, course: &Course) -> bool {
    let has_come = |from: i64| from <= course.period.start.as_microsecond();
    row.next_plan.as_ref() == Some(&course.plan)
        && course.next_plan.is_none()
        && row.next_plan_from.is_some_and(has_come)
}

/// Gives the scheduled invoice other dates and lines. A day that has its plan already gets what that adds in there.
fn redraw(tx: &mut Tx<'_>, scope: &Scope, former: &ScheduledRow, next: &Next) -> Result<(), db::Error> {
    let terms = accounts::read(tx, scope.account)?.terms;
    let added = day_plan::added(&terms, &former.next, next);
    day_plan::raise(tx, scope, &terms, (next.cycle.charge_at, added))?;
    scheduled::edit(tx, former, next)
}

/// While an invoice is open a running subscription is past due, and active when none is.
fn owes(tx: &mut Tx<'_>, row: &mut SubscriptionRow) -> Result<(), db::Error> {
    let is_running = matches!(row.state, State::Active | State::PastDue);
    if is_running {
        let open = scheduled::count_open(tx, row.id)?;
        row.state = if open > 0 { State::PastDue } else { State::Active };
    }
    Ok(())
}

/// Writes the next scheduled invoice. A day that has its plan already gets it in there.
fn schedule(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    scope: &Scope,
    (row, next): (&mut SubscriptionRow, Next),
    now: Timestamp,
) -> Result<(), db::Error> {
    let terms = accounts::read(tx, scope.account)?.terms;
    let added = DayTotal { count: 1, amount: next.amount.minor };
    day_plan::raise(tx, scope, &terms, (next.cycle.charge_at, added))?;
    row.next_cycle = i64::from(next.cycle.number) + 1;
    let new = NewScheduled {
        account: scope.account,
        mode: scope.mode,
        clock: scope.clock.clone(),
        customer: row.customer.clone(),
        subscription: row.id,
        plan: next.plan().to_owned(),
        next,
    };
    invoices::insert_scheduled(tx, key, &[new], now)
}

/// Appends an event with the subscription as it is now. The caller saves the row.
pub(crate) fn tell(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: Side,
    (row, kind): (&mut SubscriptionRow, Kind),
    times: Times,
) -> Result<(), db::Error> {
    let view = serde_json::to_value(view::of_row(tx, side, row)?)
        .map_err(|error| db::Error::Assertion(format!("a subscription is not JSON: {error}")))?;
    let about = row.id.to_string();
    record(tx, key, side, (row, kind, about, &view), times)
}

/// The time and side that a subscription's invoices are written in.
pub(crate) fn scope_of(side: Side, row: &SubscriptionRow) -> Scope {
    Scope { account: side.0, mode: side.1, clock: row.clock.clone(), lease: None }
}

/// A period as it is stored.
pub(crate) fn micros(period: Period) -> (i64, i64) {
    (period.start.as_microsecond(), period.end.as_microsecond())
}
