//! A plan: the offer that subscriptions are made from.
//!
//! Checks that an offer makes sense. Does not price anything; that is [`crate::renewal`].

use serde::{Deserialize, Serialize};

use crate::calendar::Interval;
use crate::money::Money;
use crate::tax::TaxCategory;

/// When the first invoice of a new subscription is charged. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstCharge {
    /// At the instant of the sign-up.
    Now,
    /// At the first instant of the charge window on the day of the sign-up.
    Scheduled,
}

/// The terms of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The merchant's id of it, unique in (account, mode).
    pub id: String,
    /// What it is called on invoices.
    pub name: String,
    /// Price of one period, with tax. Zero is a free plan; never negative.
    pub amount: Money,
    /// The tax inside the price.
    pub tax_category: TaxCategory,
    /// From one charge to the next.
    pub interval: Interval,
    /// Days before the first charge; 0 is no trial.
    pub trial_days: u32,
    /// Charged once with the first invoice, with tax; 0 is none.
    pub setup_fee: Money,
    /// How many invoices it has in all; `None` goes on until canceled.
    pub instalments: Option<u32>,
}

/// The highest price of one period in minor units: what fits the gateways, and a typing error does not.
pub const AMOUNT_MAX: i64 = 99_999_999;
/// The longest trial, in days.
pub const TRIAL_DAYS_MAX: u32 = 3_650;
/// The most instalments of one plan.
pub const INSTALMENTS_MAX: u32 = 1_200;

/// Why a plan is refused: the field as users name it, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {allowed}, not {found}")]
pub struct PlanRefused {
    /// Column of an import file, parameter of the API.
    pub field: &'static str,
    /// What would be right.
    pub allowed: String,
    /// What was given.
    pub found: i64,
}

impl Plan {
    /// Every field of it that is out of range.
    pub fn refusals(&self) -> Vec<PlanRefused> {
        let range = |field, least: i64, most: i64, found: i64| {
            (!(least..=most).contains(&found)).then(|| PlanRefused {
                field,
                allowed: format!("{least} to {most}"),
                found,
            })
        };
        let instalments =
            self.instalments.and_then(|count| range("instalments", 1, INSTALMENTS_MAX.into(), count.into()));
        [
            range("amount", 0, AMOUNT_MAX, self.amount.minor),
            range("trial_days", 0, TRIAL_DAYS_MAX.into(), self.trial_days.into()),
            range("setup_fee", 0, AMOUNT_MAX, self.setup_fee.minor),
            instalments,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Unit;

    #[test]
    fn each_field_out_of_range_is_named() {
        let plan = Plan {
            id: "p".into(),
            name: "P".into(),
            amount: Money::yen(0),
            tax_category: TaxCategory::Standard,
            interval: Interval::try_new(Unit::Month, 1).expect("a valid count"),
            trial_days: 0,
            setup_fee: Money::yen(0),
            instalments: None,
        };
        assert_eq!(plan.refusals(), []);
        let wrong = Plan {
            amount: Money::yen(-1),
            trial_days: TRIAL_DAYS_MAX + 1,
            setup_fee: Money::yen(AMOUNT_MAX + 1),
            instalments: Some(0),
            ..plan
        };
        let fields: Vec<_> = wrong.refusals().into_iter().map(|refused| refused.field).collect();
        assert_eq!(fields, ["amount", "trial_days", "setup_fee", "instalments"]);
    }
}
