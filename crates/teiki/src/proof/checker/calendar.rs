//! Days by plain arithmetic, so that the checker shares no calendar with what it checks.

use std::fmt;

/// Seconds of a day; the zone of the proof (Tokyo) has no other days.
const DAY: i64 = 86_400;
/// Tokyo is this far ahead of UTC.
const TOKYO: i64 = 9 * 3_600;
/// Charging begins at this time of a day in Tokyo.
const OPENING: i64 = 9 * 3_600;

/// A day of the civil calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Day {
    /// Reads `2027-12-31`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-').map(|part| part.parse().ok());
        let day = Self { year: parts.next()??, month: parts.next()??, day: parts.next()?? };
        let exists = (1..=12).contains(&day.month) && (1..=length(day.year, day.month)).contains(&day.day);
        exists.then_some(day)
    }

    /// The same day `count` months later, or the last of that month if it is shorter. `wanted` is the day of
    /// the month that is meant.
    pub(super) fn months_later(self, count: i64, wanted: i64) -> Self {
        let months = self.year * 12 + self.month - 1 + count;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        Self { year, month, day: wanted.min(length(year, month)) }
    }

    /// The instant at which charging begins on this day in Tokyo, in seconds since 1970.
    pub(super) fn opening(self) -> i64 {
        self.number() * DAY + OPENING - TOKYO
    }

    /// Days since 1 January 1970.
    fn number(self) -> i64 {
        let before = self.year - 1;
        let leap_days = |years: i64| years / 4 - years / 100 + years / 400;
        let years = (self.year - 1970) * 365 + leap_days(before) - leap_days(1969);
        let months: i64 = (1..self.month).map(|month| length(self.year, month)).sum();
        years + months + self.day - 1
    }
}

fn length(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads `2027-12-31T00:00:00Z`, with or without a fraction, as seconds since 1970. The fraction is cut off.
pub(super) fn instant(text: &str) -> Option<i64> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let day = Day::parse(day)?;
    let whole = time.split('.').next()?;
    let mut parts = whole.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(day.number() * DAY + hours * 3_600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).expect(text)
    }

    #[test]
    fn months_end_where_they_end_and_the_wanted_day_comes_back() {
        let anchor = day("2027-12-31");
        let days: Vec<String> = (0..5).map(|k| anchor.months_later(k, 31).to_string()).collect();
        assert_eq!(days, ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]);
        assert_eq!(day("2026-12-30").months_later(2, 30).to_string(), "2027-02-28");
        assert!(Day::parse("2027-02-29").is_none() && Day::parse("2027-13-01").is_none());
    }

    #[test]
    fn instants_are_seconds_since_1970() {
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant("2001-09-09T01:46:40.25Z"), Some(1_000_000_000));
        assert_eq!(instant("2028-02-29T00:00:00Z"), Some(day("2028-02-29").opening()));
        assert_eq!(instant("2028-02-29T00:00:00+09:00"), None);
    }
}
