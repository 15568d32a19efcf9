//! The share of a period that a part of it is.
//!
//! Only the fraction; what it is worth is decided where it is used.

use jiff::civil::Date;

/// How the days of a full period are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayCount {
    /// As the calendar has them.
    Actual,
    /// Every month has 30 days.
    ThirtyDayMonth,
}

/// `days` of `of_days`. `of_days` is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Days of the part.
    pub days: i64,
    /// Days of the whole.
    pub of_days: i64,
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
