//! A person changes the scheduled invoice before it is opened (課金予約の編集): its date, its amount, or that it is skipped.

use super::draw::{draw, scheduled};
use super::{Agreement, Course, Refused, Upcoming};
use crate::calendar::{CalendarError, Cycle, Period};
use crate::invoice::AMOUNT_MIN;
use crate::money::Money;
use crate::plan::AMOUNT_MAX;
use crate::renewal::start::{self, First};
use crate::renewal::{Offer, Terms};
use crate::subscription::State;

/// When the scheduled invoice may be charged: from the start of its period on, and before the day in the account's zone on
/// which the cycle after it is charged, so that neither a cycle nor a day has two charges. Of the last instalment, before
/// the day on which its period ends. Errors: nothing is scheduled, the schedule does not run.
pub fn charge_window(terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<Period, Refused> {
    let first = running(terms, agreement)?;
    draw(terms, agreement, &first)?.window(terms, agreement)
}

/// An amount that a person gives an invoice: nothing, or what gateways take. Error: anything else.
pub const fn valid_amount(amount: Money) -> Result<Money, Refused> {
    match amount.minor {
        0 | AMOUNT_MIN..=AMOUNT_MAX => Ok(amount),
        _ => Err(Refused::InvalidAmount),
    }
}

/// Plans that the scheduled invoice is skipped (スキップ): it becomes void, the cycle after it is scheduled at its own time,
/// and the current period, or the trial that still runs, lasts until then. Instalments, a set-up fee and a reserved plan
/// are not forgone: that plan begins with the cycle after it. Errors: nothing is scheduled, the schedule does not run.
pub fn skip(terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<Course, Refused> {
    let first = running(terms, agreement)?;
    let skipped = draw(terms, agreement, &first)?;
    let (present, offer) = (Offer::from(agreement.plan), Offer::from(skipped.plan));
    let cycle = following(terms, &First { anchor: skipped.anchor, ..first }, &offer)?;
    let anchor = if start::has_same_rhythm(&present, &offer) {
        first.anchor
    } else {
        // Where the reservation is taken back, the present plan goes on from there.
        let begin = (cycle.number, cycle.period.start, agreement.prorate);
        start::after_switch(terms, first.anchor, &present, begin)?.anchor
    };
    let then = Agreement { anchor, ..*agreement };
    let drawn = draw(terms, &then, &First { anchor, cycle, share: None })?;
    let until = |period: Period| Period { end: drawn.next.cycle.period.start, ..period };
    let trial = agreement.trial.map(|trial| match agreement.state {
        State::Trialing => until(trial),
        State::Active | State::PastDue | State::Paused | State::Canceled(_) => trial,
    });
    let period = until(agreement.period);
    Ok(Course { period, trial, ..then.course(agreement.state, Upcoming::Replaced(drawn.next)) })
}

/// The period that is scheduled, of a subscription that runs.
fn running(terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<First, Refused> {
    match agreement.state {
        State::Trialing | State::Active | State::PastDue => {}
        State::Paused => return Err(Refused::AlreadyPaused),
        State::Canceled(_) => return Err(Refused::AlreadyCanceled),
    }
    scheduled(terms, agreement)?.ok_or(Refused::NothingScheduled)
}

/// The cycle after `first`.
pub(super) fn following(terms: &Terms<'_>, first: &First, offer: &Offer) -> Result<Cycle, Refused> {
    let number = first.cycle.number.checked_add(1).ok_or(CalendarError::OutOfRange)?;
    Ok(terms.schedule(first.anchor, offer).cycle(number)?)
}
