//! The schedule of one subscription: an anchor, an interval, and the cycles that follow from them.
//!
//! | calendar | anchor | boundaries | charged at |
//! |---|---|---|---|
//! | anchor | with a time of day | that local time, the anchor's day comes back | the boundary |
//! | anchor | a day, or a billing day | local midnight, the day comes back | the account's charge window of that day |
//! | payjp | with a time of day | that UTC time, the day drifts | the boundary |
//! | payjp | a day, or a billing day | 00:00 UTC, the day comes back | the boundary |

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use super::{Calendar, CalendarError, Interval, Unit, Zone, on_billing_day};

/// What all dates of a subscription count from. Persisted; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The civil day: of the account's zone, or of UTC in PAY.JP's calendar. Where the plan has a billing day, the
    /// first boundary, which a short month may have clamped; the day itself is the plan's.
    pub on: Date,
    /// The time of day there; `None` when only the day counts (imports, first charge on schedule, billing days).
    pub at: Option<Time>,
    /// The number of the cycle that begins here. Numbers of a subscription never restart: when its anchor moves
    /// (resume, change of plan), the cycles after it have later numbers.
    pub cycle: u32,
}

/// `[start, end)` of service. Persisted; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// First instant.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
}

/// Everything the dates of one subscription follow from.
#[derive(Clone, Copy, Debug)]
pub struct Schedule<'a> {
    /// Where the account's days begin.
    pub zone: &'a Zone,
    /// The local time from which an account charges (default 09:00).
    pub charge_window: Time,
    /// How boundaries follow.
    pub calendar: Calendar,
    /// Where they begin.
    pub anchor: Anchor,
    /// From one cycle to the next.
    pub interval: Interval,
    /// The day of the month (1–31) of a plan that has one; only with intervals of months.
    pub billing_day: Option<u8>,
}

/// One cycle of a schedule. Persisted; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// Its number in the subscription.
    pub number: u32,
    /// The civil day in the account's zone on which it begins.
    pub on: Date,
    /// The service it pays for.
    pub period: Period,
    /// When it is charged: never before the period starts.
    pub charge_at: Timestamp,
}

impl Schedule<'_> {
    /// Cycle `number`. Errors: before the anchor, beyond the year 9999.
    pub fn cycle(&self, number: u32) -> Result<Cycle, CalendarError> {
        let anchor = self.anchor.cycle;
        let steps = number.checked_sub(anchor).ok_or(CalendarError::BeforeAnchor { number, anchor })?;
        let (on, next) = self.boundaries(steps)?;
        let period = Period { start: self.instant(on)?, end: self.instant(next)? };
        match self.calendar {
            Calendar::Anchor => {
                Ok(Cycle { number, on, period, charge_at: self.charge_at(on, period.start)? })
            }
            Calendar::Payjp => {
                Ok(Cycle { number, on: self.zone.day_of(period.start), period, charge_at: period.start })
            }
        }
    }

    /// When what starts at `start`, on the day `on` of this calendar, is charged. Error: beyond the calendar.
    pub fn charge_at(&self, on: Date, start: Timestamp) -> Result<Timestamp, CalendarError> {
        match (self.calendar, self.anchor.at) {
            (Calendar::Anchor, None) => Ok(self.zone.instant(on, self.charge_window)?.max(start)),
            (Calendar::Anchor, Some(_)) | (Calendar::Payjp, _) => Ok(start),
        }
    }

    /// The first number from `first` on that is not charged before `until`. Numbers before the anchor count as
    /// charged.
    pub fn first_not_charged_before(&self, first: u32, until: Timestamp) -> u32 {
        first_without(first, |number| self.holds(number, |cycle| cycle.charge_at < until))
    }

    /// The last number from `first` on whose period has begun at `now`; `first` if none has.
    pub fn last_begun(&self, first: u32, now: Timestamp) -> u32 {
        let next = first_without(first, |number| self.holds(number, |cycle| cycle.period.start <= now));
        next.saturating_sub(1).max(first)
    }

    fn holds(&self, number: u32, is_so: impl Fn(&Cycle) -> bool) -> bool {
        number < self.anchor.cycle || self.cycle(number).is_ok_and(|cycle| is_so(&cycle))
    }

    /// The civil days on which the step and the one after it begin.
    fn boundaries(&self, steps: u32) -> Result<(Date, Date), CalendarError> {
        let following = steps.checked_add(1).ok_or(CalendarError::OutOfRange)?;
        if let (Some(day), Unit::Month) = (self.billing_day, self.interval.unit()) {
            let month = self.anchor.on.first_of_month();
            let boundary =
                |steps| self.interval.date_of(month, steps).map(|month| on_billing_day(month, day));
            return Ok((boundary(steps)?, boundary(following)?));
        }
        match (self.calendar, self.anchor.at) {
            (Calendar::Payjp, Some(_)) => {
                let on = self.interval.drifting_date(self.anchor.on, steps)?;
                Ok((on, self.interval.date_of(on, 1)?))
            }
            (Calendar::Payjp, None) | (Calendar::Anchor, _) => {
                let boundary = |steps| self.interval.date_of(self.anchor.on, steps);
                Ok((boundary(steps)?, boundary(following)?))
            }
        }
    }

    fn instant(&self, on: Date) -> Result<Timestamp, CalendarError> {
        self.calendar.instant(self.zone, on, self.anchor.at.unwrap_or(Time::midnight()))
    }
}

/// The first number from `first` on for which `holds`, which never comes back, is over: found by doubling the
/// stride, then by halving.
fn first_without(first: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let mut stride = 1_u32;
    let mut low = first;
    let mut high = first;
    while holds(high) {
        low = high.saturating_add(1);
        high = high.saturating_add(stride);
        stride = stride.saturating_mul(2);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
