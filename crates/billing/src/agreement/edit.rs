//! A person changes the scheduled invoice before it is opened (課金予約の編集): its date, its amount, or that it is skipped.

use jiff::civil::Time;

use super::draw::{draw, scheduled};
use super::{Agreement, Course, Refused, Upcoming};
use crate::calendar::{CalendarError, Cycle, Period};
use crate::invoice::AMOUNT_MIN;
use crate::money::Money;
use crate::plan::AMOUNT_MAX;
use crate::renewal::start::First;
use crate::renewal::{Offer, Terms};
use crate::subscription::State;

/// When the scheduled invoice may be charged: from the start of its period on, and before the day in the account's zone on
/// which the cycle after it is charged, so that neither a cycle nor a day has two charges. Of the last instalment, before
/// the day on which its period ends. Errors: nothing is scheduled, the schedule does not run.
pub fn charge_window(terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<Period, Refused> {
    let first = running(terms, agreement)?;
    let drawn = draw(terms, agreement, &first)?;
    let offer = Offer::from(drawn.plan);
    let left = drawn.left(agreement);
    let start = first.cycle.period.start;
    let next = if left == Some(1) {
        drawn.next.cycle.period.end
    } else {
        following(terms, &First { anchor: drawn.anchor, ..first }, &offer)?.charge_at
    };
    let zone = &terms.account.zone;
    Ok(Period { start, end: zone.instant(zone.day_of(next), Time::midnight())? })
}

/// An amount that a person gives an invoice: nothing, or what gateways take. Error: anything else.
pub const fn valid_amount(amount: Money) -> Result<Money, Refused> {
    match amount.minor {
        0 | AMOUNT_MIN..=AMOUNT_MAX => Ok(amount),
        _ => Err(Refused::InvalidAmount),
    }
}

/// Plans that the scheduled invoice is skipped (スキップ): it becomes void, the cycle after it is scheduled at its own time,
/// and the current period, or the trial that still runs, lasts until then. Instalments and a set-up fee are not forgone.
/// Errors: nothing is scheduled, the schedule does not run.
pub fn skip(terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<Course, Refused> {
    let first = running(terms, agreement)?;
    let offer = Offer::from(agreement.plan);
    let cycle = following(terms, &first, &offer)?;
    let drawn = draw(terms, agreement, &First { cycle, share: None, ..first })?;
    let until = |period: Period| Period { end: drawn.next.cycle.period.start, ..period };
    let trial = agreement.trial.map(|trial| match agreement.state {
        State::Trialing => until(trial),
        State::Active | State::PastDue | State::Paused | State::Canceled(_) => trial,
    });
    let period = until(agreement.period);
    Ok(Course { period, trial, ..agreement.course(agreement.state, Upcoming::Replaced(drawn.next)) })
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
fn following(terms: &Terms<'_>, first: &First, offer: &Offer) -> Result<Cycle, Refused> {
    let number = first.cycle.number.checked_add(1).ok_or(CalendarError::OutOfRange)?;
    Ok(terms.schedule(first.anchor, offer).cycle(number)?)
}
