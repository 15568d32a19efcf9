//! Pausing, canceling, and the end after a cancel (specs/payjp-v1.md 6.8).

use jiff::Timestamp;

use super::{Agreement, Course, Refused, Upcoming};
use crate::calendar::Period;
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
pub fn cancel(agreement: &Agreement<'_>) -> Result<Course, Refused> {
    let state = agreement.state.after(Event::Canceled)?;
    Ok(agreement.course(state, Upcoming::Off))
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
