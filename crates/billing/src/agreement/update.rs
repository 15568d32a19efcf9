//! Changing plan, quantity, trial or the plan of the next cycle of a running one (specs/payjp-v1.md 6.5, 6.7, 6.10).

use jiff::Timestamp;

use super::draw::{draw, free_until, from_now, pay_now, scheduled};
use super::{
    Agreement, Course, DueNow, Named, Refused, Step, TrialEnd, Upcoming, valid_quantity, valid_trial_end,
};
use crate::plan::Plan;
use crate::renewal::{Next, Terms};
use crate::subscription::{self, State};

/// What is asked for; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// Another plan from now on.
    pub plan: Option<&'a Plan>,
    /// How many of the plan.
    pub quantity: Option<u32>,
    /// Free until then, or an end of the trial that runs.
    pub trial_end: Option<TrialEnd>,
    /// Whether a part of a period is charged by the day; only with `plan`.
    pub prorate: Option<bool>,
    /// The plan that the next scheduled invoice switches to; `Some(None)` clears it.
    pub next_plan: Option<Option<&'a Plan>>,
}

/// Plans a change of a trialing, active or past-due subscription.
///
/// - Another plan is paid now at its full price, and the cycle restarts; its trial days and its billing day do not delay
///   that, but the next renewal is on the last billing day within its interval. Kept `prorate`, or given with the change,
///   charges the days up to the next billing day only. The rest of the old plan is not credited. Its instalments count anew; a set-up fee is charged
///   only if nothing has been billed before. A reserved next plan is dropped (specs/billing-cases.md E25).
/// - A trial end in the future makes it free until then, whatever it has paid for; the first full payment is made there
///   (moved to the billing day, as in [`super::create`]), and dates count from it. The end of a trial counts as a renewal
///   for a reserved next plan. Refused when the last instalment has been issued, for nothing would follow.
/// - `now` ends a trial that runs and is paid now, at the present plan's price; without one it does nothing.
/// - Quantity alone is for the next invoice on; nothing is paid or credited for the current period. What an invoice of any
///   of its plans cannot hold is refused, also where another plan is too dear for the quantity that it has.
/// - A next plan changes the scheduled invoice; one with another interval or billing day re-anchors there. It replaces a
///   reservation for a day. Refused when the last instalment has been issued.
///
/// Open invoices stay open, and while there is one it is past due, in a trial too. Errors:
/// [`Refused::AlreadyPaused`], [`Refused::AlreadyCanceled`], [`Refused::CannotChangeProrateStatus`],
/// [`Refused::AlreadySubscribed`], [`Refused::InvalidPlan`], [`Refused::InvalidQuantity`], [`Refused::InvalidTrialEnd`],
/// [`Refused::NothingScheduled`].
pub fn update(
    terms: &Terms<'_>,
    agreement: &Agreement<'_>,
    change: &Change<'_>,
    now: Timestamp,
) -> Result<Step, Refused> {
    match agreement.state {
        State::Trialing | State::Active | State::PastDue => {}
        State::Paused => return Err(Refused::AlreadyPaused),
        State::Canceled(_) => return Err(Refused::AlreadyCanceled),
    }
    let then = changed(agreement, change)?;
    let ends_trial = change.trial_end == Some(TrialEnd::Now)
        && (agreement.is_in_trial(now) || agreement.state == State::Trialing);
    if let Some(TrialEnd::At(end)) = change.trial_end {
        let end = valid_trial_end(end, now)?;
        if then.remaining == Some(0) {
            return Err(Refused::InvalidTrialEnd);
        }
        let state = agreement.state.after(subscription::Event::TrialSet)?;
        return free_until(terms, &then, end, state, now);
    }
    if change.plan.is_some() || ends_trial {
        let state = agreement.state.after(subscription::Event::InvoiceOpened)?;
        let then = then.on_the_day(now);
        return pay_now(terms, &then, &from_now(terms, &then, now)?, state, now);
    }
    let is_same = then.quantity == agreement.quantity
        && (then.next_plan, then.next_plan_from) == (agreement.next_plan, agreement.next_plan_from);
    let then = if is_same { then.course(then.state, Upcoming::Kept) } else { edited(terms, &then)? };
    Ok(Step { due_now: DueNow::Nothing, then })
}

/// The agreement with what was asked for.
fn changed<'a>(agreement: &Agreement<'a>, change: &Change<'a>) -> Result<Agreement<'a>, Refused> {
    if change.prorate.is_some() && change.plan.is_none() {
        return Err(Refused::CannotChangeProrateStatus);
    }
    let quantity = change.quantity.unwrap_or(agreement.quantity);
    let then = match change.plan {
        None => Agreement { quantity, ..*agreement },
        Some(plan) => Agreement {
            plan: another(agreement.plan, (plan, Named::Plan))?,
            next_plan: None,
            next_plan_from: None,
            quantity,
            prorate: change.prorate.unwrap_or(agreement.prorate),
            remaining: plan.instalments,
            ..*agreement
        },
    };
    let then = match change.next_plan {
        None => then,
        Some(None) => Agreement { next_plan: None, next_plan_from: None, ..then },
        // A renewal would do it, and none is to come.
        Some(Some(_)) if then.remaining == Some(0) => return Err(Refused::NothingScheduled),
        Some(Some(next)) => {
            let next = another(then.plan, (next, Named::NextPlan))?;
            Agreement { next_plan: Some(next), next_plan_from: None, ..then }
        }
    };
    // What it has already is not called into question by a change of something else.
    if change.plan.is_some() || change.quantity.is_some() {
        valid_quantity(then.plan, quantity)?;
    }
    if let Some(next) = then.next_plan
        && (change.next_plan.is_some() || change.quantity.is_some())
    {
        valid_quantity(next, quantity)?;
    }
    Ok(then)
}

fn another<'a>(present: &Plan, (plan, named): (&'a Plan, Named)) -> Result<&'a Plan, Refused> {
    if plan.id == present.id {
        Err(Refused::AlreadySubscribed(named))
    } else if plan.amount.currency != present.amount.currency {
        Err(Refused::InvalidPlan(named))
    } else {
        Ok(plan)
    }
}

/// The scheduled invoice as the agreement has it, if `stored` is for another plan; else `stored` stays, with what a person
/// has set. `None` also where nothing is scheduled.
pub fn redrawn(terms: &Terms<'_>, agreement: &Agreement<'_>, stored: &Next) -> Result<Option<Next>, Refused> {
    let drawn = drawn(terms, agreement)?;
    Ok(drawn.filter(|drawn| drawn.plan() != stored.plan()))
}

/// The scheduled invoice as the agreement draws it; `None` if nothing is scheduled.
pub fn drawn(terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<Option<Next>, Refused> {
    match scheduled(terms, agreement)? {
        None => Ok(None),
        Some(first) => Ok(Some(draw(terms, agreement, &first)?.next)),
    }
}

/// With another scheduled invoice of the same number.
fn edited(terms: &Terms<'_>, then: &Agreement<'_>) -> Result<Course, Refused> {
    let upcoming = drawn(terms, then)?.map_or(Upcoming::Kept, Upcoming::Edited);
    Ok(then.course(then.state, upcoming))
}
