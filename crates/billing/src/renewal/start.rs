//! Where the billing of a plan begins: the anchor, the first period and the part of it that is charged.
//!
//! Used by whatever makes a subscription, moves its anchor or switches its plan ([`crate::agreement`], [`super::open`]).
//!
//! | plan | begins | first period | charged |
//! |---|---|---|---|
//! | no billing day | at the instant | one interval | all |
//! | billing day, by the day (prorate) | at the instant | to the next billing day | its days, all of them in full |
//! | billing day, not by the day, may wait | on the billing day at or after the instant | one interval | all |
//! | billing day, not by the day, at once | at the instant | to the last billing day within one interval | all |
//!
//! Source: specs/payjp-v1.md 6.3–6.8.

use jiff::civil::Date;
use jiff::{Span, Timestamp};

use super::{Offer, Terms};
use crate::calendar::{Anchor, Calendar, CalendarError, Cycle, Period, billing_day_after, on_billing_day};
use crate::proration::{DayCount, Share, share_from};

/// From when and in what manner something is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The instant.
    pub from: Timestamp,
    /// The number of the first cycle: one that the subscription has not had.
    pub number: u32,
    /// Whether a part of a period is charged by the day where the plan has a billing day.
    pub prorate: bool,
    /// Whether all may wait for the billing day where it is not.
    pub may_wait: bool,
    /// Whether only the day counts: the anchor has no time of day.
    pub by_day: bool,
}

/// How it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// What all later dates count from. Its cycle is the first one, or the one after a part.
    pub anchor: Anchor,
    /// The first cycle, or part of one. It starts no earlier than was asked for.
    pub cycle: Cycle,
    /// The part of a period that is charged; `None` is all of it.
    pub share: Option<Share>,
}

/// The first period of `offer`. Error: beyond the calendar.
pub fn first(terms: &Terms<'_>, offer: &Offer, begin: &Begin) -> Result<First, CalendarError> {
    match offer.billing_day {
        None => at_the_instant(terms, offer, begin),
        Some(day) if begin.may_wait && !begin.prorate => on_the_billing_day(terms, offer, begin, day),
        Some(day) => until_the_billing_day(terms, offer, begin, day),
    }
}

/// The first period of `next`, which takes over at a boundary of a schedule that has `anchor`. A day stays a day; but
/// PAY.JP's calendar drifts from an instant. Where its billing day begins on the same day of the account, as the days of
/// PAY.JP's calendar may, the hours before it belong to the whole period that begins then: a day has one charge.
pub fn after_switch(
    terms: &Terms<'_>,
    anchor: Anchor,
    next: &Offer,
    (number, from, prorate): (u32, Timestamp, bool),
) -> Result<First, CalendarError> {
    let by_day = anchor.at.is_none() && terms.calendar == Calendar::Anchor;
    let begin = Begin { from, number, prorate, may_wait: false, by_day };
    let Some(day) = next.billing_day else {
        return first(terms, next, &begin);
    };
    let zone = &terms.account.zone;
    let billing = midnight(terms, billing_day_after(terms.calendar.civil(zone, from).date(), day)?)?;
    if zone.day_of(from) != zone.day_of(billing) {
        return first(terms, next, &begin);
    }
    let taken = first(terms, next, &Begin { from: billing, prorate: false, ..begin })?;
    let period = Period { start: from, ..taken.cycle.period };
    Ok(First { cycle: Cycle { period, ..taken.cycle }, ..taken })
}

/// The period `first` of `present`, taken over by `next`: the same where the rhythm is, else one that begins there. The charge
/// time stays.
pub fn switched(
    terms: &Terms<'_>,
    first: &First,
    (present, next): (&Offer, &Offer),
    prorate: bool,
) -> Result<First, CalendarError> {
    if has_same_rhythm(present, next) {
        return Ok(*first);
    }
    let begin = (first.cycle.number, first.cycle.period.start, prorate);
    let switched = after_switch(terms, first.anchor, next, begin)?;
    Ok(First { cycle: Cycle { charge_at: first.cycle.charge_at, ..switched.cycle }, ..switched })
}

/// Whether boundaries of one are boundaries of the other, so that the anchor is kept.
pub fn has_same_rhythm(one: &Offer, other: &Offer) -> bool {
    one.interval == other.interval && one.billing_day == other.billing_day
}

/// `days` after `from`: whole days of 24 hours in PAY.JP's calendar, else the same local time. Error: beyond the calendar.
pub fn days_after(terms: &Terms<'_>, from: Timestamp, days: u32) -> Result<Timestamp, CalendarError> {
    let here = terms.calendar.civil(&terms.account.zone, from);
    let there = here.checked_add(Span::new().days(i64::from(days))).map_err(|_| CalendarError::OutOfRange)?;
    Ok(terms.calendar.instant(&terms.account.zone, there.date(), there.time())?.max(from))
}

/// The first instant of the calendar's day that `at` falls on.
pub fn day_start(terms: &Terms<'_>, at: Timestamp) -> Result<Timestamp, CalendarError> {
    midnight(terms, terms.calendar.civil(&terms.account.zone, at).date())
}

/// The first midnight of the calendar that is not before `at`.
pub fn midnight_from(terms: &Terms<'_>, at: Timestamp) -> Result<Timestamp, CalendarError> {
    let day = terms.calendar.civil(&terms.account.zone, at).date();
    let start = midnight(terms, day)?;
    if start == at { Ok(at) } else { midnight(terms, day.tomorrow().map_err(|_| CalendarError::OutOfRange)?) }
}

/// The share of a period of `offer` that runs from the day of `start` to the billing day `next_on`; `None` is all of it.
pub fn share_until(
    terms: &Terms<'_>,
    offer: &Offer,
    start: Timestamp,
    next_on: Date,
) -> Result<Option<Share>, CalendarError> {
    let Some(day) = offer.billing_day else {
        return Ok(None);
    };
    let from = terms.calendar.civil(&terms.account.zone, start).date();
    let former = offer.interval.billing_day_before(next_on, day)?;
    if from < former {
        return Ok(None);
    }
    let share = share_from(from, (former, next_on), offer.interval.count(), DayCount::Actual)
        .ok_or(CalendarError::OutOfRange)?;
    Ok(Some(share).filter(|share| share.days < share.of_days))
}

fn midnight(terms: &Terms<'_>, on: Date) -> Result<Timestamp, CalendarError> {
    terms.calendar.instant(&terms.account.zone, on, jiff::civil::Time::midnight())
}

fn at_the_instant(terms: &Terms<'_>, offer: &Offer, begin: &Begin) -> Result<First, CalendarError> {
    let here = terms.calendar.civil(&terms.account.zone, begin.from);
    let at = if begin.by_day { None } else { Some(here.time()) };
    let anchor = Anchor { on: here.date(), at, cycle: begin.number };
    let mut cycle = terms.schedule(anchor, offer).cycle(begin.number)?;
    if !begin.by_day {
        // The second pass of a fold: the local time names the first, which is earlier.
        cycle.period.start = cycle.period.start.max(begin.from);
        cycle.charge_at = cycle.charge_at.max(begin.from);
    }
    Ok(First { anchor, cycle, share: None })
}

fn on_the_billing_day(
    terms: &Terms<'_>,
    offer: &Offer,
    begin: &Begin,
    day: u8,
) -> Result<First, CalendarError> {
    let here = terms.calendar.civil(&terms.account.zone, begin.from).date();
    let this_month = on_billing_day(here, day);
    let on = if this_month >= here && midnight(terms, this_month)? >= begin.from {
        this_month
    } else {
        billing_day_after(here, day)?
    };
    let anchor = Anchor { on, at: None, cycle: begin.number };
    let cycle = terms.schedule(anchor, offer).cycle(begin.number)?;
    Ok(First { anchor, cycle, share: None })
}

fn until_the_billing_day(
    terms: &Terms<'_>,
    offer: &Offer,
    begin: &Begin,
    day: u8,
) -> Result<First, CalendarError> {
    let here = terms.calendar.civil(&terms.account.zone, begin.from).date();
    let nearest = billing_day_after(here, day)?;
    let next_on = if begin.prorate { nearest } else { offer.interval.last_billing_day(nearest, day)? };
    let number = begin.number.checked_add(1).ok_or(CalendarError::OutOfRange)?;
    let anchor = Anchor { on: next_on, at: None, cycle: number };
    let schedule = terms.schedule(anchor, offer);
    let period = Period { start: begin.from, end: schedule.cycle(number)?.period.start };
    let charge_at = if begin.by_day { schedule.charge_at(here, begin.from)? } else { begin.from };
    let on = terms.account.zone.day_of(begin.from);
    let share = if begin.prorate { share_until(terms, offer, begin.from, next_on)? } else { None };
    Ok(First { anchor, cycle: Cycle { number: begin.number, on, period, charge_at }, share })
}
