//! The share of a period that a part of it is, and what it is worth.
//!
//! Days are whole days of a calendar: UTC days in PAY.JP's, local days in teiki's own. The divisor is the days of the
//! period that the part belongs to. A fraction of a minor unit is dropped, once, on the amount for all of a quantity
//! (specs/payjp-v1.md 6.6). Amounts below a gateway's least charge come out as they are; 0 means that nothing is paid.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::money::{Money, MoneyError, Rounding};

/// How the days of a full period are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayCount {
    /// As the calendar has them.
    Actual,
    /// Every month has 30 days.
    ThirtyDayMonth,
}

/// `days` of `of_days`. `of_days` is positive. Persisted inside JSON; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Days of the part: 0 to `of_days`.
    pub days: i64,
    /// Days of the whole.
    pub of_days: i64,
}

impl Share {
    /// What this share of `amount` is worth, rounded towards zero. Error: overflow.
    pub fn of(self, amount: Money) -> Result<Money, MoneyError> {
        let minor = Rounding::Floor.ratio(amount.minor, self.days, self.of_days);
        Ok(Money::new(minor.ok_or(MoneyError::Overflow)?, amount.currency))
    }
}

/// The share of the period `[start, end)` that is left after the day `today`, which counts as used. A last day that is
/// only begun counts as a day of the period only if it is the only one. Nothing is left of a period that is over;
/// before its start all of it is left. Source: specs/payjp-v1.md 6.8 (rec).
pub fn share_after(today: Date, (start, end): (Date, Date)) -> Share {
    let days = |from: Date, to: Date| i64::from((to - from).get_days());
    let of_days = days(start, end).max(1);
    Share { days: (days(today, end) - 1).clamp(0, of_days), of_days }
}

/// The share of the full period `[start, end)` of `months` months that begins with `from`.
/// `None` if the dates are not in the order start ≤ from ≤ end, or the period is empty.
pub fn share_from(from: Date, (start, end): (Date, Date), months: i64, count: DayCount) -> Option<Share> {
    if start > from || from > end || start >= end {
        return None;
    }
    let days = |a: Date, b: Date| i64::from((b - a).get_days());
    let of_days = match count {
        DayCount::Actual => days(start, end),
        DayCount::ThirtyDayMonth => 30 * months,
    };
    Some(Share { days: days(from, end).min(of_days), of_days })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e7_the_divisor_is_the_month_that_the_period_spans() {
        for (from, start, end, share) in [
            ("2023-02-23", "2023-02-15", "2023-03-15", (20, 28)),
            ("2024-02-23", "2024-02-15", "2024-03-15", (21, 29)),
            ("2023-05-23", "2023-05-15", "2023-06-15", (23, 31)),
            ("2023-06-23", "2023-06-15", "2023-07-15", (22, 30)),
        ] {
            let date = |text: &str| text.parse::<Date>().expect("a valid date");
            let of = |count| share_from(date(from), (date(start), date(end)), 1, count).expect("in order");
            assert_eq!(of(DayCount::Actual), Share { days: share.0, of_days: share.1 }, "{from}");
            assert_eq!(of(DayCount::ThirtyDayMonth), Share { days: share.0, of_days: 30 }, "{from}");
        }
        let share = share_from(
            "2023-02-23".parse().expect("a valid date"),
            ("2023-02-15".parse().expect("a valid date"), "2023-03-15".parse().expect("a valid date")),
            1,
            DayCount::Actual,
        )
        .expect("in order");
        assert_eq!(share.days * 1_000_000_000 / share.of_days, 714_285_714);
    }
}
