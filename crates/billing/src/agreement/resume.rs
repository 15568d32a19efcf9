//! Resuming what is paused, canceled or past due (specs/payjp-v1.md 6.8).

use jiff::Timestamp;

use super::draw::{draw, free_until, from_now, pay_now};
use super::{Agreement, COMPLETED, DueNow, Refused, Step, TrialEnd, Upcoming, valid_trial_end};
use crate::calendar::Cycle;
use crate::renewal::start::First;
use crate::renewal::{Next, Offer, Terms};
use crate::subscription::{CancelReason, Event, State};

/// What is asked for; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resumption {
    /// Free until then, or an end of the trial that runs.
    pub trial_end: Option<TrialEnd>,
    /// Whether a part of a period is charged by the day where the plan has a billing day; kept.
    pub prorate: Option<bool>,
}

/// Plans a resume. The first that fits:
///
/// 1. Invoices are open, past due included: the oldest is paid now, period and anchor are kept, and it is active when
///    none is open. Cycles that lay wholly in the pause are left out; the one that runs comes due.
/// 2. A trial end in the future: free until then, as in [`super::update`].
/// 3. Still in its trial: trialing again, nothing is paid; `now` ends the trial and is paid now.
/// 4. Its period still runs, or the one after it does and is only charged later: active, nothing is paid; of one that was
///    canceled the cancel is undone.
/// 5. Its period is over: paid now, and dates count from now; with a billing day up to the last one within its interval,
///    at the full price, or by the day up to the next one.
///
/// A reserved next plan is never applied by a resume, it stays for the next renewal; but one that is reserved for a day that
/// has come holds for what is paid now. A canceled one whose period is over
/// has ended and is not resumed. Errors: [`Refused::SubscriptionWorked`] when it runs and owes nothing;
/// [`Refused::AlreadyCanceled`]; [`Refused::InvalidTrialEnd`], also for a trial while an invoice is open, for the open
/// invoice is paid now and the period kept.
pub fn resume(
    terms: &Terms<'_>,
    agreement: &Agreement<'_>,
    resumption: &Resumption,
    now: Timestamp,
) -> Result<Step, Refused> {
    let is_over = agreement.period.end <= now;
    match agreement.state {
        State::Trialing | State::Active => return Err(Refused::SubscriptionWorked),
        State::PastDue if agreement.open_invoices == 0 => return Err(Refused::SubscriptionWorked),
        State::Canceled(CancelReason::Completed) => return Err(Refused::AlreadyCanceled),
        State::Canceled(CancelReason::Requested) if is_over => return Err(Refused::AlreadyCanceled),
        State::PastDue | State::Paused | State::Canceled(CancelReason::Requested) => {}
    }
    let then = Agreement { prorate: resumption.prorate.unwrap_or(agreement.prorate), ..*agreement };
    let trial_end = match resumption.trial_end {
        Some(TrialEnd::At(end)) => Some(valid_trial_end(end, now)?),
        Some(TrialEnd::Now) | None => None,
    };
    let in_trial = agreement.is_in_trial(now);
    let ends_trial = in_trial && resumption.trial_end == Some(TrialEnd::Now);
    if agreement.open_invoices > 0 {
        return if trial_end.is_some() || ends_trial {
            Err(Refused::InvalidTrialEnd)
        } else {
            pay_oldest(terms, &then, now)
        };
    }
    if agreement.has_completed() {
        return Ok(Step { due_now: DueNow::Nothing, then: then.course(COMPLETED, Upcoming::Void) });
    }
    if let Some(end) = trial_end {
        return free_until(terms, &then, end, then.state.after(Event::ResumedInTrial)?, now);
    }
    if in_trial && !ends_trial {
        return go_on_in_trial(terms, agreement, &then, now);
    }
    let state = then.state.after(Event::Resumed)?;
    // A person has moved its charge, or the charge window of the day is to come.
    let awaits_charge = agreement
        .scheduled
        .is_some_and(|next| next.period.start == agreement.period.end && next.charge_at > now);
    if (is_over && !awaits_charge) || ends_trial {
        let then = then.on_the_day(now);
        return pay_now(terms, &then, &from_now(terms, &then, now)?, state, now);
    }
    Ok(Step { due_now: DueNow::Nothing, then: then.course(state, Upcoming::Kept) })
}

/// As it was; only a change of `prorate` with a billing day draws its first charge up anew.
fn go_on_in_trial(
    terms: &Terms<'_>,
    before: &Agreement<'_>,
    then: &Agreement<'_>,
    now: Timestamp,
) -> Result<Step, Refused> {
    let state = then.state.after(Event::ResumedInTrial)?;
    match then.trial {
        Some(trial) if then.prorate != before.prorate && then.plan.billing_day.is_some() => {
            free_until(terms, then, trial.end, state, now)
        }
        Some(_) | None => Ok(Step { due_now: DueNow::Nothing, then: then.course(state, Upcoming::Kept) }),
    }
}

/// The oldest open invoice is paid; the schedule goes on from the cycle that runs.
fn pay_oldest(terms: &Terms<'_>, then: &Agreement<'_>, now: Timestamp) -> Result<Step, Refused> {
    let owes_more = then.open_invoices > 1;
    let event = match (owes_more, then.is_in_trial(now)) {
        (true, _) => Event::ResumedOwing,
        (false, true) => Event::ResumedInTrial,
        (false, false) => Event::Resumed,
    };
    let state = match then.state {
        // It runs: a resume makes of it what it would make of a paused one.
        State::PastDue => State::Paused.after(event)?,
        State::Trialing | State::Active | State::Paused | State::Canceled(_) => then.state.after(event)?,
    };
    let has_completed = !owes_more && then.remaining == Some(0);
    let state = if has_completed { COMPLETED } else { state };
    let upcoming = match then.scheduled {
        // What stood for the end after a cancel.
        Some(_) if then.remaining == Some(0) => Upcoming::Void,
        Some(missed) if missed.period.end <= now && then.state != State::PastDue => {
            Upcoming::Replaced(running(terms, then, &missed, now)?)
        }
        Some(_) | None => Upcoming::Kept,
    };
    Ok(Step { due_now: DueNow::OldestOpen, then: then.course(state, upcoming) })
}

/// The invoice of the cycle that runs at `now`, where `missed` and what followed were not opened.
fn running(terms: &Terms<'_>, then: &Agreement<'_>, missed: &Cycle, now: Timestamp) -> Result<Next, Refused> {
    let schedule = terms.schedule(then.anchor, &Offer::from(then.plan));
    let number = schedule.last_begun(missed.number.max(then.anchor.cycle), now);
    let cycle = schedule.cycle(number)?;
    Ok(draw(terms, then, &First { anchor: then.anchor, cycle, share: None })?.next)
}
