//! Creating a subscription (specs/payjp-v1.md 6.3, 6.5, 6.6).

use jiff::Timestamp;

use super::draw::{draw, in_trial, pay_now};
use super::{
    Agreement, DueNow, Refused, Step, TrialEnd, Upcoming, valid_quantity, valid_trial_end, whole_second,
};
use crate::calendar::Period;
use crate::plan::{FirstCharge, Plan};
use crate::renewal::start::{self, Begin};
use crate::renewal::{Offer, Terms};
use crate::subscription::State;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct New<'a> {
    /// What it is for.
    pub plan: &'a Plan,
    /// How many of the plan: 1 to [`super::quantity_max`].
    pub quantity: u32,
    /// Instead of the plan's trial; `None` is the plan's.
    pub trial_end: Option<TrialEnd>,
    /// Whether a part of a period is charged by the day where the plan has a billing day; kept.
    pub prorate: bool,
}

/// Plans a new subscription. Its first period is
/// - free until the end of a trial, which the plan's billing day moves to itself unless `prorate`;
/// - without a trial, free until the plan's billing day unless `prorate`: it is active, and waits;
/// - else paid now, or, if the plan charges first by schedule, from the start of the day in the charge window.
///
/// A plan that charges first by schedule counts trials in days: `trial_days` end with the start of their last day, and a
/// named end is moved to the midnight at or after it. `trial_days` are of 24 hours in PAY.JP's calendar, of local days in
/// teiki's. A declined first payment leaves no subscription. Errors: [`Refused::InvalidTrialEnd`],
/// [`Refused::InvalidQuantity`].
pub fn create(terms: &Terms<'_>, new: &New<'_>, now: Timestamp) -> Result<Step, Refused> {
    let quantity = valid_quantity(new.plan, new.quantity)?;
    let created = whole_second(now)?;
    let trial_end = match (new.trial_end, new.plan.trial_days) {
        (Some(TrialEnd::Now), _) | (None, 0) => None,
        (Some(TrialEnd::At(end)), _) => Some(valid_trial_end(end, now)?),
        (None, days) => Some(start::days_after(terms, created, days)?),
    };
    let from = match (new.plan.first_charge, trial_end, new.trial_end) {
        (FirstCharge::Now, end, _) => end.unwrap_or(created),
        (FirstCharge::Scheduled, None, _) => start::day_start(terms, created)?,
        (FirstCharge::Scheduled, Some(end), None) => start::day_start(terms, end)?,
        (FirstCharge::Scheduled, Some(end), Some(_)) => start::midnight_from(terms, end)?,
    };
    let by_day = new.plan.first_charge == FirstCharge::Scheduled;
    let begin = Begin { from, number: 0, prorate: new.prorate, may_wait: true, by_day };
    let first = start::first(terms, &Offer::from(new.plan), &begin)?;
    let starts = first.cycle.period.start;
    let agreement = Agreement {
        state: State::Active,
        plan: new.plan,
        next_plan: None,
        next_plan_from: None,
        quantity,
        prorate: new.prorate,
        anchor: first.anchor,
        period: if starts > created { Period { start: created, end: starts } } else { first.cycle.period },
        trial: None,
        remaining: new.plan.instalments,
        scheduled: None,
        next_cycle: 0,
        open_invoices: 0,
        is_first_bill: true,
    };
    if trial_end.is_some() && starts > created {
        return in_trial(terms, &agreement, &first, State::Trialing, created);
    }
    if starts <= created && !by_day {
        return pay_now(terms, &agreement, &first, State::Active, now);
    }
    let upcoming = Upcoming::Replaced(draw(terms, &agreement, &first)?.next);
    Ok(Step { due_now: DueNow::Nothing, then: agreement.course(State::Active, upcoming) })
}
