//! Consumption tax: dated rates, computed once per invoice and rate.
//!
//! Prices contain the tax. The lines of one rate are added up first and the tax is rounded once on the
//! sum; rounding line by line is not allowed (specs/japan-law.md 1.2). 0 %, exempt and out of scope
//! differ: the last two have no rate at all. Rates of the category are those of the day on which the
//! period starts (design.md 6).

use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use crate::money::{Money, MoneyError, Rounding};

/// What kind of supply a line is. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxCategory {
    /// The general rate.
    Standard,
    /// Food and drink, newspapers by subscription.
    Reduced,
    /// Exempt from the tax by law (非課税).
    Exempt,
}

impl TaxCategory {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Reduced => "reduced",
            Self::Exempt => "exempt",
        }
    }
}

impl std::str::FromStr for TaxCategory {
    type Err = TaxError;

    fn from_str(text: &str) -> Result<Self, TaxError> {
        match text {
            "standard" => Ok(Self::Standard),
            "reduced" => Ok(Self::Reduced),
            "exempt" => Ok(Self::Exempt),
            other => Err(TaxError::UnknownCategory(other.to_owned())),
        }
    }
}

/// Why a tax could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaxError {
    /// Not a category.
    #[error("tax_category must be standard, reduced or exempt, not {0:?}")]
    UnknownCategory(String),
    /// The sum of the lines does not fit or mixes currencies.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// A rate in percent; `None` is no rate at all (exempt), which is not 0 %.
pub type Percent = Option<i64>;

/// From this day on, this rate.
struct DatedRate {
    category: TaxCategory,
    from: Date,
    percent: i64,
}

const fn rate(category: TaxCategory, from: Date, percent: i64) -> DatedRate {
    DatedRate { category, from, percent }
}

/// Rates of Japanese consumption tax (national and local together), the newest of a category last.
/// Before 2019-10-01 there was no reduced rate. Source: specs/japan-law.md 2.1.
const RATES: [DatedRate; 6] = [
    rate(TaxCategory::Standard, date(1989, 4, 1), 3),
    rate(TaxCategory::Standard, date(1997, 4, 1), 5),
    rate(TaxCategory::Standard, date(2014, 4, 1), 8),
    rate(TaxCategory::Standard, date(2019, 10, 1), 10),
    rate(TaxCategory::Reduced, date(2014, 4, 1), 8),
    rate(TaxCategory::Reduced, date(2019, 10, 1), 8),
];

/// The rate of a category on a day; `None` for exempt supplies and for days before the tax.
pub fn percent_on(category: TaxCategory, on: Date) -> Percent {
    RATES.iter().rfind(|rate| rate.category == category && rate.from <= on).map(|rate| rate.percent)
}

/// The part of an invoice that has one rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaxedSum {
    /// The rate; `None` is exempt.
    pub percent: Percent,
    /// What is paid, with the tax.
    pub gross: Money,
    /// The tax inside `gross`.
    pub tax: Money,
}

/// Adds up gross line amounts by rate and takes the tax out of each sum, rounded once by `rounding`.
/// Sums come highest rate first, exempt last. Errors: overflow, mixed currencies.
pub fn tax_of(lines: &[(Percent, Money)], rounding: Rounding) -> Result<Vec<TaxedSum>, TaxError> {
    let mut sums: Vec<(Percent, Money)> = Vec::new();
    for &(percent, gross) in lines {
        match sums.iter_mut().find(|sum| sum.0 == percent) {
            Some(sum) => sum.1 = sum.1.plus(gross)?,
            None => sums.push((percent, gross)),
        }
    }
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.0));
    sums.into_iter()
        .map(|(percent, gross)| {
            let rate = percent.unwrap_or(0);
            let tax = rounding.ratio(gross.minor, rate, 100 + rate).ok_or(MoneyError::Overflow)?;
            Ok(TaxedSum { percent, gross, tax: Money::new(tax, gross.currency) })
        })
        .collect()
}

/// The part `amount` of these sums, rate by rate in proportion. It grows with `amount` in every rate, net and tax, and all
/// of the amount gives the sums themselves: so the parts between 0, any amounts in between and the whole add up to it.
/// Errors: more than the sums, a negative amount, mixed currencies.
pub fn part_of(sums: &[TaxedSum], amount: Money) -> Result<Vec<TaxedSum>, TaxError> {
    let zero = Money::new(0, amount.currency);
    let mut left = sums.iter().try_fold(zero, |sum, taxed| sum.plus(taxed.gross))?;
    if amount.minor < 0 || amount > left {
        return Err(MoneyError::Overflow.into());
    }
    let mut rest = amount;
    sums.iter()
        .map(|sum| {
            // Of what is left for this rate and those after it: a share that rises by at most one with each unit.
            let gross = share(rest, sum.gross, left)?;
            rest = rest.minus(gross)?;
            left = left.minus(sum.gross)?;
            Ok(TaxedSum { percent: sum.percent, gross, tax: share(gross, sum.tax, sum.gross)? })
        })
        .collect()
}

/// `amount × part ÷ whole`, rounded down; nothing of nothing.
fn share(amount: Money, part: Money, whole: Money) -> Result<Money, MoneyError> {
    if whole.minor == 0 {
        return Ok(Money::new(0, amount.currency));
    }
    let minor = Rounding::Floor.ratio(amount.minor, part.minor, whole.minor).ok_or(MoneyError::Overflow)?;
    Ok(Money::new(minor, amount.currency))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_change_on_their_day() {
        for (category, on, percent) in [
            (TaxCategory::Standard, date(2019, 9, 30), Some(8)),
            (TaxCategory::Standard, date(2019, 10, 1), Some(10)),
            (TaxCategory::Reduced, date(2027, 1, 1), Some(8)),
            (TaxCategory::Exempt, date(2027, 1, 1), None),
            (TaxCategory::Standard, date(1989, 3, 31), None),
        ] {
            assert_eq!(percent_on(category, on), percent, "{category:?} {on}");
        }
    }

    #[test]
    fn inclusive_tax_is_taken_out_by_each_mode() {
        // Vectors of specs/japan-law.md 1.2, in the order floor, half-up, ceil.
        for (gross, percent, expected) in
            [(980, 10, [89, 89, 90]), (1_080, 8, [80, 80, 80]), (999, 8, [74, 74, 74])]
        {
            let modes = [Rounding::Floor, Rounding::HalfUp, Rounding::Ceil];
            let taxes = modes
                .map(|mode| tax_of(&[(Some(percent), Money::yen(gross))], mode).expect("fits")[0].tax.minor);
            assert_eq!(taxes, expected, "{gross} at {percent} %");
        }
    }

    #[test]
    fn each_rate_is_rounded_once_and_exempt_is_not_zero_percent() {
        let line = |percent, yen| (percent, Money::yen(yen));
        let lines =
            [line(Some(10), 55), line(None, 300), line(Some(8), 108), line(Some(10), 60), line(Some(0), 40)];
        let sums = tax_of(&lines, Rounding::Floor).expect("fits");
        let seen: Vec<_> = sums.iter().map(|sum| (sum.percent, sum.gross.minor, sum.tax.minor)).collect();
        // 115 at 10 % contain 10.45; line by line the floor would have given 5 + 5.
        assert_eq!(seen, [(Some(10), 115, 10), (Some(8), 108, 8), (Some(0), 40, 0), (None, 300, 0)]);
    }

    #[test]
    fn a_part_is_shared_out_in_proportion() {
        let lines = [(Some(10), Money::yen(980)), (Some(8), Money::yen(1_080)), (None, Money::yen(500))];
        let sums = tax_of(&lines, Rounding::Floor).expect("fits");
        let part = |yen| part_of(&sums, Money::yen(yen));
        for (yen, expected) in [
            (0, [(0, 0), (0, 0), (0, 0)]),
            (1, [(0, 0), (0, 0), (1, 0)]),
            (1_280, [(490, 44), (540, 40), (250, 0)]),
            (2_559, [(979, 88), (1_080, 80), (500, 0)]),
            (2_560, [(980, 89), (1_080, 80), (500, 0)]),
        ] {
            let seen: Vec<_> =
                part(yen).expect("fits").iter().map(|sum| (sum.gross.minor, sum.tax.minor)).collect();
            assert_eq!(seen, expected, "{yen}");
        }
        assert!(part(2_561).is_err() && part(-1).is_err());
    }

    proptest! {
        #[test]
        fn parts_grow_and_end_with_the_whole(amounts in prop::collection::vec((0_i64..50, prop_oneof![Just(Some(10)), Just(Some(8)), Just(Some(0)), Just(None)]), 1..5)) {
            let lines: Vec<_> = amounts.iter().map(|&(yen, percent)| (percent, Money::yen(yen))).collect();
            let sums = tax_of(&lines, Rounding::HalfUp).expect("fits");
            let whole: i64 = sums.iter().map(|sum| sum.gross.minor).sum();
            let mut last: Vec<(i64, i64)> = sums.iter().map(|_| (0, 0)).collect();
            for yen in 0..=whole {
                let part = part_of(&sums, Money::yen(yen)).expect("fits");
                prop_assert_eq!(part.iter().map(|sum| sum.gross.minor).sum::<i64>(), yen);
                let now: Vec<(i64, i64)> = part.iter().map(|sum| (sum.gross.minor - sum.tax.minor, sum.tax.minor)).collect();
                prop_assert!(now.iter().zip(&last).all(|(now, last)| now.0 >= last.0 && now.1 >= last.1), "{} {:?}", yen, part);
                last = now;
            }
            prop_assert_eq!(part_of(&sums, Money::yen(whole)).expect("fits"), sums);
        }

        #[test]
        fn no_yen_is_lost_between_net_and_tax(amounts in prop::collection::vec((0_i64..5_000_000, prop_oneof![Just(Some(10)), Just(Some(8)), Just(None)]), 1..20)) {
            let lines: Vec<_> = amounts.iter().map(|&(yen, percent)| (percent, Money::yen(yen))).collect();
            for mode in [Rounding::Floor, Rounding::HalfUp, Rounding::Ceil] {
                let sums = tax_of(&lines, mode).expect("fits");
                prop_assert_eq!(sums.iter().map(|sum| sum.gross.minor).sum::<i64>(), amounts.iter().map(|a| a.0).sum::<i64>());
                prop_assert!(sums.iter().all(|sum| sum.tax.minor >= 0 && sum.tax.minor <= sum.gross.minor));
            }
        }
    }
}
