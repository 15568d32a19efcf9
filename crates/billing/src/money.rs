//! Amounts of money: whole minor units and a currency, never floats.
//!
//! Arithmetic is checked: what does not fit or mixes currencies is an error, never a wrap.

use serde::{Deserialize, Serialize};

/// A currency that teiki can bill in. Persisted as its lower-case ISO 4217 code; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Currency {
    /// Japanese yen: the minor unit is the yen itself.
    Jpy,
    /// US dollar: the minor unit is the cent.
    Usd,
}

impl Currency {
    /// The lower-case ISO 4217 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Jpy => "jpy",
            Self::Usd => "usd",
        }
    }
}

impl std::str::FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match text {
            "jpy" => Ok(Self::Jpy),
            "usd" => Ok(Self::Usd),
            other => Err(MoneyError::UnknownCurrency(other.to_owned())),
        }
    }
}

/// Why an amount could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a currency that teiki bills in.
    #[error("currency must be jpy or usd, not {0:?}")]
    UnknownCurrency(String),
    /// Two currencies in one sum.
    #[error("{0:?} and {1:?} cannot be added")]
    MixedCurrencies(Currency, Currency),
    /// Outside of the range of 64 bits.
    #[error("the amount is too large")]
    Overflow,
}

/// An amount in minor units (yen, cents). May be negative or zero; callers that need more say so.
/// Persisted inside JSON; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Whole minor units.
    pub minor: i64,
    /// What they are units of.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Yen, which most tests speak of.
    pub const fn yen(minor: i64) -> Self {
        Self::new(minor, Currency::Jpy)
    }

    /// Sum. Errors: mixed currencies, overflow.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// Difference. Errors: mixed currencies, overflow.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// `self` times a whole number. Error: overflow.
    pub fn times(self, count: i64) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_mul(count).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// Splits into parts in proportion to `weights` and loses nothing: the parts add up to `self`.
    /// What does not divide goes, one unit each, to the parts with the largest remainders, the earlier
    /// first. Empty weights or a zero total of them give `None`.
    pub fn allocate(self, weights: &[u32]) -> Option<Vec<Self>> {
        let total: i128 = weights.iter().map(|&weight| i128::from(weight)).sum();
        if total == 0 {
            return None;
        }
        let amount = i128::from(self.minor);
        let mut shares: Vec<(i128, i128)> = weights
            .iter()
            .map(|&weight| {
                let exact = amount * i128::from(weight);
                (exact.div_euclid(total), exact.rem_euclid(total))
            })
            .collect();
        let given: i128 = shares.iter().map(|share| share.0).sum();
        let mut order: Vec<usize> = (0..shares.len()).collect();
        order.sort_by_key(|&part| std::cmp::Reverse(shares[part].1));
        let missing = usize::try_from(amount - given).ok()?;
        for &part in order.iter().take(missing) {
            shares[part].0 += 1;
        }
        shares
            .into_iter()
            .map(|share| i64::try_from(share.0).ok().map(|minor| Self::new(minor, self.currency)))
            .collect()
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::MixedCurrencies(self.currency, other.currency))
        }
    }
}

/// How a fraction of a minor unit is rounded. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Towards zero (切り捨て).
    Floor,
    /// Half away from zero (四捨五入).
    HalfUp,
    /// Away from zero (切り上げ).
    Ceil,
}

impl Rounding {
    /// `amount × numerator ÷ denominator`, rounded by this mode on the absolute value.
    /// `None` if the denominator is not positive or the result does not fit.
    pub fn ratio(self, amount: i64, numerator: i64, denominator: i64) -> Option<i64> {
        if denominator <= 0 {
            return None;
        }
        let exact = i128::from(amount) * i128::from(numerator);
        let denominator = i128::from(denominator);
        let (whole, rest) = (exact.abs() / denominator, exact.abs() % denominator);
        let up = match self {
            Self::Floor => false,
            Self::HalfUp => rest * 2 >= denominator,
            Self::Ceil => rest > 0,
        };
        i64::try_from((whole + i128::from(up)) * exact.signum()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_with_the_largest_remainder_get_the_odd_yen() {
        let parts = Money::yen(100).allocate(&[1, 1, 1]).expect("weights are given");
        assert_eq!(parts, [Money::yen(34), Money::yen(33), Money::yen(33)]);
        assert_eq!(Money::yen(100).allocate(&[]), None);
        assert_eq!(Money::yen(100).allocate(&[0, 0]), None);
    }

    #[test]
    fn rounding_follows_its_mode_on_the_absolute_value() {
        for (mode, plus, minus) in
            [(Rounding::Floor, 2, -2), (Rounding::HalfUp, 3, -3), (Rounding::Ceil, 3, -3)]
        {
            assert_eq!(mode.ratio(5, 1, 2), Some(plus));
            assert_eq!(mode.ratio(-5, 1, 2), Some(minus));
        }
        assert_eq!(Rounding::HalfUp.ratio(7, 1, 3), Some(2));
        assert_eq!(Rounding::Ceil.ratio(7, 1, 0), None);
    }

    #[test]
    fn sums_refuse_mixed_currencies_and_overflow() {
        let dollars = Money::new(1, Currency::Usd);
        assert_eq!(
            Money::yen(1).plus(dollars),
            Err(MoneyError::MixedCurrencies(Currency::Jpy, Currency::Usd))
        );
        assert_eq!(Money::yen(i64::MAX).plus(Money::yen(1)), Err(MoneyError::Overflow));
        assert_eq!(Money::yen(i64::MIN).minus(Money::yen(1)), Err(MoneyError::Overflow));
        assert_eq!(Money::yen(i64::MAX).times(2), Err(MoneyError::Overflow));
    }

    proptest! {
        #[test]
        fn allocation_loses_no_yen(amount in -1_000_000_000_i64..1_000_000_000, weights in prop::collection::vec(0_u32..10_000, 1..20)) {
            if let Some(parts) = Money::yen(amount).allocate(&weights) {
                prop_assert_eq!(parts.iter().map(|part| part.minor).sum::<i64>(), amount);
                prop_assert_eq!(parts.len(), weights.len());
            } else {
                prop_assert!(weights.iter().all(|&weight| weight == 0));
            }
        }
    }
}
