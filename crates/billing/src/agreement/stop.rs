//! Pausing, canceling, and the end after a cancel (specs/payjp-v1.md 6.8).

use jiff::Timestamp;

use super::draw::draw;
use super::{Agreement, Course, Refused, Upcoming};
use crate::calendar::Period;
use crate::invoice::Line;
use crate::money::Money;
use crate::renewal::start::First;
use crate::renewal::{Next, Offer, Terms};
use crate::subscription::{CancelReason, Event, State};

/// Plans a pause of a trialing, active or past-due subscription: nothing of it is charged until it is resumed. Open
/// invoices stay open. Errors: [`Refused::AlreadyPaused`], [`Refused::AlreadyCanceled`].
pub fn pause(agreement: &Agreement<'_>) -> Result<Course, Refused> {
    let state = agreement.state.after(Event::Paused)?;
    Ok(agreement.course(state, Upcoming::Off))
}

/// Plans a cancel: it is not renewed, and is deleted when its current period or trial ends, at once if that is over.
/// Until then resuming undoes it. A paused one may be canceled too. Open invoices stay open; a reserved next plan stays,
/// and has an effect only if the cancel is undone. Error: [`Refused::AlreadyCanceled`].
pub fn cancel(terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<Course, Refused> {
    let state = agreement.state.after(Event::Canceled)?;
    let upcoming = match agreement.scheduled {
        Some(_) => Upcoming::Off,
        None => Upcoming::Replaced(end(terms, agreement)?),
    };
    Ok(agreement.course(state, upcoming))
}

/// The invoice that comes due when the period ends, where none is scheduled: that of the cycle after it, of nothing when the
/// last instalment is issued. Like any other of a canceled one it is not charged, but becomes void then.
fn end(terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<Next, Refused> {
    let schedule = terms.schedule(agreement.anchor, &Offer::from(agreement.plan));
    let number = schedule.last_begun(agreement.anchor.cycle, agreement.period.end);
    let first = First { anchor: agreement.anchor, cycle: schedule.cycle(number)?, share: None };
    let next = draw(terms, agreement, &first)?.next;
    if agreement.remaining != Some(0) {
        return Ok(next);
    }
    let lines = next.lines.into_iter().map(|line| Line { amount: 0, ..line }).collect();
    Ok(Next { amount: Money { minor: 0, ..next.amount }, lines, ..next })
}

/// When a subscription is deleted by itself: at the end of its period after a cancel by request. One that has completed
/// stays to be looked at.
pub const fn ends_at(state: State, period: Period) -> Option<Timestamp> {
    match state {
        State::Canceled(CancelReason::Requested) => Some(period.end),
        State::Trialing
        | State::Active
        | State::PastDue
        | State::Paused
        | State::Canceled(CancelReason::Completed) => None,
    }
}
