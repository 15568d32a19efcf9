//! The plan of the day: how many invoices the schedule has for today, and their sum, computed before the
//! first of them is opened. Runs are compared with it (`billing::guard`), never with history.

use billing::calendar::Schedule;
use billing::guard::DayTotal;
use billing::renewal::{AccountTerms, Next};
use db::Tx;
use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp};

use super::Lane;
use super::store;
use super::store::day::{self, OverdueRow};
use crate::line::Scope;
use crate::plans;
use crate::subscriptions::SubscriptionRow;

/// The day at `now` in the account's zone, with its plan written down. A day that has a plan keeps it.
pub fn ensure(
    tx: &mut Tx<'_>,
    scope: &Scope,
    terms: &AccountTerms,
    now: Timestamp,
) -> Result<DayTotal, db::Error> {
    let day = terms.zone.day_of(now);
    let plan = find(tx, scope, terms, day)?;
    if !plan.is_stored {
        day::insert_day_plan(tx, scope, day, (plan.total.count, plan.total.amount))?;
    }
    Ok(plan.total)
}

/// The plan of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Count and sum.
    pub total: DayTotal,
    /// Whether the day has begun to be worked on with it; else it is what the schedule says now.
    pub is_stored: bool,
}

/// The plan of `day` as it was written down, or else as the schedule stands now.
pub fn find(tx: &mut Tx<'_>, scope: &Scope, terms: &AccountTerms, day: Date) -> Result<Plan, db::Error> {
    match day::day_plan(tx, scope, day)? {
        Some((count, amount)) => Ok(Plan { total: DayTotal { count, amount }, is_stored: true }),
        None => Ok(Plan { total: compute(tx, scope, terms, day)?, is_stored: false }),
    }
}

/// The plan of `day` as the schedule stands now: what falls on it, and what was missed before.
pub fn compute(
    tx: &mut Tx<'_>,
    scope: &Scope,
    terms: &AccountTerms,
    day: Date,
) -> Result<DayTotal, db::Error> {
    let out_of_range = |error: billing::calendar::CalendarError| db::Error::Assertion(error.to_string());
    let start = terms.zone.instant(day, Time::midnight()).map_err(out_of_range)?;
    let end = terms.zone.end_of(day).map_err(out_of_range)?;
    let (count, amount) = day::planned(tx, scope, start, end)?;
    let before = start.checked_sub(SignedDuration::from_micros(1)).unwrap_or(start);
    let due = store::due(tx, scope, Lane::ALL, before, i64::MAX)?;
    let missed = day::overdue(tx, &due)?;
    Ok(missed.iter().fold(DayTotal { count, amount }, |sum, row| sum.plus(missed_cycles(terms, row, end))))
}

/// The cycles of an overdue invoice and those after it that have come due before `end`: each becomes its
/// own invoice.
fn missed_cycles(terms: &AccountTerms, row: &OverdueRow, end: Timestamp) -> DayTotal {
    let schedule = Schedule {
        zone: &terms.zone,
        charge_window: terms.charge_window,
        calendar: row.calendar,
        anchor: row.anchor,
        interval: row.interval,
        billing_day: row.billing_day,
    };
    let next = schedule.first_not_charged_before(row.cycle.saturating_add(1), end);
    let cycles = i64::from(next.saturating_sub(row.cycle));
    // The invoice itself counts, also one of nothing that only ends its subscription, after the last instalment.
    let count = row.remaining.map_or(cycles, |left| cycles.min(left)).max(1);
    DayTotal { count, amount: row.amount.saturating_add(row.plan_amount.saturating_mul(count - 1)) }
}

/// This much has been scheduled for `at`: the day that is worked on gets it into its plan, if it has one already and `at` is
/// not after it.
pub fn raise(
    tx: &mut Tx<'_>,
    scope: &Scope,
    terms: &AccountTerms,
    (at, added): (Timestamp, DayTotal),
) -> Result<(), db::Error> {
    if added == DayTotal::default() {
        return Ok(());
    }
    day::raise_day_plan(tx, scope, terms.zone.day_of(at), (added.count, added.amount))
}

/// The scheduled invoice of `row` was off the work list and is due at `at` again: [`raise`] with it and with the cycles after it
/// that came due meanwhile, as in a plan that is computed now.
pub(crate) fn raise_again(
    tx: &mut Tx<'_>,
    scope: &Scope,
    terms: &AccountTerms,
    (at, row, next): (Timestamp, &SubscriptionRow, &Next),
) -> Result<(), db::Error> {
    let Some(day) = day::last_day_plan(tx, scope)? else {
        return Ok(());
    };
    let end = terms.zone.end_of(day).map_err(|error| db::Error::Assertion(error.to_string()))?;
    let (side, ids) = ((scope.account, scope.mode), [row.plan.as_str()]);
    let ids: Vec<&str> = ids.into_iter().chain(row.next_plan.as_deref()).collect();
    let plans = plans::find_many(tx, side, &ids)?;
    let plan = plans.iter().find(|plan| plan.id == row.plan);
    let gone = || db::Error::Assertion(format!("plan {} of subscription {} is gone", row.plan, row.id));
    let plan = plan.ok_or_else(gone)?.terms()?;
    let dearest = plans.iter().map(|plan| plan.amount).max().unwrap_or_default();
    let overdue = OverdueRow {
        calendar: row.calendar,
        anchor: row.anchor,
        interval: plan.interval,
        billing_day: plan.billing_day,
        cycle: next.cycle.number,
        amount: next.amount.minor,
        plan_amount: dearest.saturating_mul(row.quantity),
        remaining: row.remaining,
    };
    raise(tx, scope, terms, (at, missed_cycles(terms, &overdue, end)))
}

/// What a scheduled invoice that is another one now adds to the day on which that is charged.
pub fn added(terms: &AccountTerms, before: &Next, after: &Next) -> DayTotal {
    let day = |next: &Next| terms.zone.day_of(next.cycle.charge_at);
    if day(before) == day(after) {
        DayTotal { count: 0, amount: (after.amount.minor - before.amount.minor).max(0) }
    } else {
        DayTotal { count: 1, amount: after.amount.minor }
    }
}

/// What has been opened on `day` so far.
pub fn opened(tx: &mut Tx<'_>, scope: &Scope, day: Date) -> Result<DayTotal, db::Error> {
    let (count, amount) = day::day_run(tx, scope, day)?;
    Ok(DayTotal { count, amount })
}

/// Adds to what a lane has opened on a day.
pub fn add(tx: &mut Tx<'_>, scope: &Scope, lane_on: (Date, i64), total: DayTotal) -> Result<(), db::Error> {
    day::add_to_day_run(tx, scope, lane_on, (total.count, total.amount))
}
