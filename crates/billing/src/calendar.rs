//! Dates of recurring billing: cycle *k* is always computed from the anchor, never from the last date.
//!
//! Units, intervals, billing days, zones and the two calendars; [`Schedule`] puts them together. In a gap of
//! summer time the later instant counts, in a fold the first. Knows no holidays.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

mod schedule;

pub use schedule::{Anchor, Cycle, Period, Schedule};

/// How the boundaries of a subscription follow from its anchor. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calendar {
    /// Days of the account's zone; the anchor is kept, so month ends come back: 31 Jan → 28 Feb → 31 Mar.
    Anchor,
    /// As PAY.JP does it (specs/payjp-v1.md 6.4): UTC days; without a billing day each boundary is one interval
    /// after the former one, so the day drifts down and stays: 31 May → 30 June → 30 July.
    Payjp,
}

impl Calendar {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Payjp => "payjp",
        }
    }

    /// The civil date and time that `at` is in this calendar: in `zone`, or in UTC.
    pub fn civil(self, zone: &Zone, at: Timestamp) -> DateTime {
        match self {
            Self::Anchor => zone.zone.to_datetime(at),
            Self::Payjp => TimeZone::UTC.to_datetime(at),
        }
    }

    /// The instant of a civil date and time in this calendar. Error: beyond the calendar.
    pub fn instant(self, zone: &Zone, on: Date, at: Time) -> Result<Timestamp, CalendarError> {
        match self {
            Self::Anchor => zone.instant(on, at),
            Self::Payjp => TimeZone::UTC
                .to_timestamp(DateTime::from_parts(on, at))
                .map_err(|_| CalendarError::OutOfRange),
        }
    }
}

impl std::str::FromStr for Calendar {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        match text {
            "anchor" => Ok(Self::Anchor),
            "payjp" => Ok(Self::Payjp),
            other => Err(CalendarError::UnknownCalendar(other.to_owned())),
        }
    }
}

/// The unit of an interval. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Calendar days.
    Day,
    /// Seven calendar days.
    Week,
    /// Calendar months, clamped to the month's end.
    Month,
    /// Calendar years, 29 Feb clamped to 28 Feb.
    Year,
}

impl Unit {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

impl std::str::FromStr for Unit {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        match text {
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            "year" => Ok(Self::Year),
            other => Err(CalendarError::UnknownUnit(other.to_owned())),
        }
    }
}

/// Why a date could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not a unit of intervals.
    #[error("interval must be day, week, month or year, not {0:?}")]
    UnknownUnit(String),
    /// Not a calendar.
    #[error("calendar must be anchor or payjp, not {0:?}")]
    UnknownCalendar(String),
    /// A count outside of 1–[`COUNT_MAX`].
    #[error("interval_count must be 1 to {COUNT_MAX}, not {0}")]
    CountOutOfRange(i64),
    /// Not a name of the time zone database.
    #[error("{0:?} is not a time zone; use a name such as Asia/Tokyo")]
    UnknownZone(String),
    /// Beyond the year 9999.
    #[error("the date is beyond the calendar")]
    OutOfRange,
    /// A cycle of a time before the anchor was set; its dates are stored with its invoice.
    #[error("cycle {number} is before the anchor, which is cycle {anchor}")]
    BeforeAnchor {
        /// The number that was asked for.
        number: u32,
        /// The first one that the anchor knows.
        anchor: u32,
    },
}

/// The longest interval is 1,000 units: no merchant bills more rarely, and dates stay in range.
pub const COUNT_MAX: i64 = 1_000;

/// How far apart charges are: `count` times a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    unit: Unit,
    // 1 to COUNT_MAX.
    count: i64,
}

impl Interval {
    /// `count` times `unit`. Error: a count outside of 1–[`COUNT_MAX`].
    pub fn try_new(unit: Unit, count: i64) -> Result<Self, CalendarError> {
        if (1..=COUNT_MAX).contains(&count) {
            Ok(Self { unit, count })
        } else {
            Err(CalendarError::CountOutOfRange(count))
        }
    }

    /// The unit.
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// How many units: 1 to [`COUNT_MAX`].
    pub const fn count(self) -> i64 {
        self.count
    }

    /// The civil date `cycle` intervals after `anchor`. Error: beyond the year 9999.
    pub fn date_of(self, anchor: Date, cycle: u32) -> Result<Date, CalendarError> {
        self.shifted(anchor, i64::from(cycle))
    }

    /// The civil date after `steps` intervals, each counted from the date before it: the day of the month that a
    /// short month has clamped does not come back. Error: beyond the year 9999.
    pub fn drifting_date(self, from: Date, steps: u32) -> Result<Date, CalendarError> {
        let mut date = from;
        for done in 0..steps {
            // No month is shorter than 28 days: from there on nothing is clamped.
            if date.day() <= 28 {
                return self.date_of(date, steps - done);
            }
            date = self.date_of(date, 1)?;
        }
        Ok(date)
    }

    /// The billing day of `day` one interval before the one on `next`. Error: before the calendar.
    pub fn billing_day_before(self, next: Date, day: u8) -> Result<Date, CalendarError> {
        Ok(on_billing_day(self.shifted(next.first_of_month(), -1)?, day))
    }

    /// The last billing day of `day` that is within one interval of a day whose first one after it is `nearest`. An interval
    /// of one month has no other. Error: beyond the calendar.
    pub fn last_billing_day(self, nearest: Date, day: u8) -> Result<Date, CalendarError> {
        let former = nearest.first_of_month().checked_sub(Span::new().months(1));
        let former = former.map_err(|_| CalendarError::OutOfRange)?;
        Ok(on_billing_day(self.shifted(former, 1)?, day))
    }

    /// `anchor` moved by `steps` intervals, which may be negative.
    fn shifted(self, anchor: Date, steps: i64) -> Result<Date, CalendarError> {
        let units = self.count * steps;
        let span = match self.unit {
            Unit::Day => Span::new().try_days(units),
            Unit::Week => Span::new().try_weeks(units),
            Unit::Month => Span::new().try_months(units),
            Unit::Year => Span::new().try_years(units),
        };
        span.and_then(|span| anchor.checked_add(span)).map_err(|_| CalendarError::OutOfRange)
    }

    /// The cycle whose date is `on`, or the neighbours when no cycle is.
    pub fn cycle_on(self, anchor: Date, on: Date) -> Result<u32, NearestDates> {
        let first_not_before = self.first_cycle_not_before(anchor, on);
        let at = |cycle: u32| self.date_of(anchor, cycle).ok();
        match at(first_not_before) {
            Some(date) if date == on => Ok(first_not_before),
            after => Err(NearestDates { before: first_not_before.checked_sub(1).and_then(at), after }),
        }
    }

    /// How many whole cycles have passed on the day `on`: 0 before the first one has.
    pub fn elapsed_cycles(self, anchor: Date, on: Date) -> u32 {
        match self.cycle_on(anchor, on) {
            Ok(cycle) => cycle,
            Err(_) => self.first_cycle_not_before(anchor, on).saturating_sub(1),
        }
    }

    /// The least cycle whose date is not before `on`.
    fn first_cycle_not_before(self, anchor: Date, on: Date) -> u32 {
        let days = (anchor.duration_until(on).as_hours() / 24).max(0);
        let shortest_days = match self.unit {
            Unit::Day => 1,
            Unit::Week => 7,
            Unit::Month => 28,
            Unit::Year => 365,
        };
        let longest_days = match self.unit {
            Unit::Day => 1,
            Unit::Week => 7,
            Unit::Month => 31,
            Unit::Year => 366,
        };
        let mut low = days / (longest_days * self.count);
        let mut high = days / (shortest_days * self.count) + 1;
        while low < high {
            let middle = (low + high) / 2;
            let is_before = u32::try_from(middle)
                .ok()
                .and_then(|cycle| self.date_of(anchor, cycle).ok())
                .is_some_and(|date| date < on);
            if is_before { low = middle + 1 } else { high = middle }
        }
        u32::try_from(low).unwrap_or(u32::MAX)
    }
}

/// The billing day `day` (1–31) in the month of `month`: its last day where the month is shorter.
pub fn on_billing_day(month: Date, day: u8) -> Date {
    let first = month.first_of_month();
    let day = i8::try_from(day).unwrap_or(i8::MAX).clamp(1, first.days_in_month());
    first.with().day(day).build().unwrap_or(first)
}

/// The first billing day of `day` after `date`, never `date` itself. Error: beyond the calendar.
pub fn billing_day_after(date: Date, day: u8) -> Result<Date, CalendarError> {
    let here = on_billing_day(date, day);
    if here > date {
        return Ok(here);
    }
    let next = date.first_of_month().checked_add(Span::new().months(1));
    Ok(on_billing_day(next.map_err(|_| CalendarError::OutOfRange)?, day))
}

/// The dates of a schedule around a day that is not on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearestDates {
    /// The last date before; `None` before the anchor.
    pub before: Option<Date>,
    /// The first date after; `None` beyond the calendar.
    pub after: Option<Date>,
}

/// A time zone by its IANA name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// From a name of the time zone database that is built in, in any case. Error: unknown.
    pub fn try_new(name: &str) -> Result<Self, CalendarError> {
        let zone = TimeZone::get(name).map_err(|_| CalendarError::UnknownZone(name.to_owned()))?;
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Ok(Self { name, zone })
    }

    /// The IANA name, as the database writes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The civil day that `at` falls on here.
    pub fn day_of(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }

    /// The instant of a civil date and time here: the later side of a gap, the first of a fold.
    pub fn instant(&self, on: Date, at: Time) -> Result<Timestamp, CalendarError> {
        self.zone
            .to_ambiguous_timestamp(DateTime::from_parts(on, at))
            .compatible()
            .map_err(|_| CalendarError::OutOfRange)
    }

    /// The first instant of the day after `on`.
    pub fn end_of(&self, on: Date) -> Result<Timestamp, CalendarError> {
        self.instant(on.tomorrow().map_err(|_| CalendarError::OutOfRange)?, Time::midnight())
    }
}

#[cfg(test)]
mod tests;
