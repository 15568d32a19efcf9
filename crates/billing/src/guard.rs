//! Runaway guards: what is done on a day is compared with the plan of that day, which is computed from
//! the schedule before the run and never from history.

use crate::money::Money;

/// How many invoices the schedule has for a day, and their sum in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayTotal {
    /// Invoices.
    pub count: i64,
    /// Minor units of all currencies added up: a yardstick, not an amount of money.
    pub amount: i64,
}

impl DayTotal {
    /// Both sums; saturating, for a yardstick must not fail.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            amount: self.amount.saturating_add(other.amount),
        }
    }
}

/// A run may exceed the plan of the day by a fifth: sign-ups and edits during the day.
const TOLERANCE_PERCENT: i128 = 120;

/// Why an account is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Tripped {
    /// More invoices than 1.2 × the plan.
    #[error("{done} invoices would be charged today, the plan of the day has {planned}")]
    Count {
        /// With what was about to be done.
        done: i64,
        /// By the plan.
        planned: i64,
    },
    /// More money than 1.2 × the plan.
    #[error("{done} would be charged today, the plan of the day has {planned}")]
    Amount {
        /// With what was about to be done, in minor units.
        done: i64,
        /// By the plan, in minor units.
        planned: i64,
    },
}

/// Whether a day may grow to `done`. Exactly 1.2 × the plan is allowed; a plan below nothing is as one of nothing.
pub fn check_day(planned: DayTotal, done: DayTotal) -> Result<(), Tripped> {
    let exceeds =
        |done: i64, planned: i64| i128::from(done) * 100 > i128::from(planned.max(0)) * TOLERANCE_PERCENT;
    if exceeds(done.count, planned.count) {
        return Err(Tripped::Count { done: done.count, planned: planned.count });
    }
    if exceeds(done.amount, planned.amount) {
        return Err(Tripped::Amount { done: done.amount, planned: planned.amount });
    }
    Ok(())
}

/// Whether a charge asks for no more than its invoice still owes.
pub fn charge_fits_invoice(charge: Money, owed: Money) -> bool {
    charge.currency == owed.currency && charge.minor > 0 && charge.minor <= owed.minor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_may_exceed_its_plan_by_a_fifth_and_no_more() {
        let planned = DayTotal { count: 10, amount: 1_000 };
        let day = |count, amount| check_day(planned, DayTotal { count, amount });
        assert_eq!(day(12, 1_200), Ok(()));
        assert_eq!(day(13, 1_200), Err(Tripped::Count { done: 13, planned: 10 }));
        assert_eq!(day(12, 1_201), Err(Tripped::Amount { done: 1_201, planned: 1_000 }));
        assert_eq!(
            check_day(DayTotal::default(), DayTotal { count: 1, amount: 0 }),
            Err(Tripped::Count { done: 1, planned: 0 })
        );
    }

    #[test]
    fn a_plan_below_nothing_is_as_one_of_nothing() {
        let planned = DayTotal { count: 1, amount: -1_000 };
        assert_eq!(check_day(planned, DayTotal { count: 1, amount: 0 }), Ok(()));
        assert!(check_day(planned, DayTotal { count: 1, amount: 1 }).is_err());
    }

    #[test]
    fn a_charge_is_at_most_what_is_owed_and_never_nothing() {
        assert!(charge_fits_invoice(Money::yen(980), Money::yen(980)));
        assert!(!charge_fits_invoice(Money::yen(981), Money::yen(980)));
        assert!(!charge_fits_invoice(Money::yen(0), Money::yen(980)));
    }
}
