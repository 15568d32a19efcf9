//! A plan: the offer that subscriptions are made from.
//!
//! Checks that an offer makes sense. Does not price anything; that is [`crate::renewal`].

use serde::{Deserialize, Serialize};

use crate::calendar::{Interval, Unit};
use crate::money::Money;
use crate::tax::TaxCategory;

/// When the first invoice of a new subscription is charged. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstCharge {
    /// At the instant of the sign-up, or of the trial's end: the anchor has a time of day.
    Now,
    /// By the schedule, at the first instant of the charge window on the day of the sign-up: the anchor is a day.
    Scheduled,
}

impl FirstCharge {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Scheduled => "scheduled",
        }
    }
}

impl std::str::FromStr for FirstCharge {
    type Err = UnknownFirstCharge;

    fn from_str(text: &str) -> Result<Self, UnknownFirstCharge> {
        match text {
            "now" => Ok(Self::Now),
            "scheduled" => Ok(Self::Scheduled),
            other => Err(UnknownFirstCharge(other.to_owned())),
        }
    }
}

/// A first charge that is neither `now` nor `scheduled`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("first_charge must be now or scheduled, not {0:?}")]
pub struct UnknownFirstCharge(String);

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
    /// The day of the month (1–31) on which every period begins, clamped to the month's end; only with intervals of
    /// months. `None`: periods count from the sign-up.
    pub billing_day: Option<u8>,
    /// When the first invoice is charged.
    pub first_charge: FirstCharge,
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
            self.billing_day.and_then(|day| range("billing_day", 1, 31, day.into())),
            self.billing_day.and_then(|day| self.off_month(day)),
            range("trial_days", 0, TRIAL_DAYS_MAX.into(), self.trial_days.into()),
            range("setup_fee", 0, AMOUNT_MAX, self.setup_fee.minor),
            instalments,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// A billing day where the interval is not months (PAY.JP's `billing_day_for_non_monthly_plan`).
    fn off_month(&self, day: u8) -> Option<PlanRefused> {
        (self.interval.unit() != Unit::Month).then(|| PlanRefused {
            field: "billing_day",
            allowed: "left out where the interval is not months".to_owned(),
            found: day.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_out_of_range_is_named() {
        let plan = Plan {
            id: "p".into(),
            name: "P".into(),
            amount: Money::yen(0),
            tax_category: TaxCategory::Standard,
            interval: Interval::try_new(Unit::Month, 1).expect("a valid count"),
            billing_day: None,
            first_charge: FirstCharge::Now,
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
            billing_day: Some(32),
            ..plan.clone()
        };
        let fields: Vec<_> = wrong.refusals().into_iter().map(|refused| refused.field).collect();
        assert_eq!(fields, ["amount", "billing_day", "trial_days", "setup_fee", "instalments"]);
        let yearly = Plan {
            interval: Interval::try_new(Unit::Year, 1).expect("a valid count"),
            billing_day: Some(1),
            ..plan
        };
        let texts: Vec<_> = yearly.refusals().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["billing_day must be left out where the interval is not months, not 1"]);
    }

    #[test]
    fn stored_names_read_back() {
        for first_charge in [FirstCharge::Now, FirstCharge::Scheduled] {
            assert_eq!(first_charge.as_str().parse(), Ok(first_charge));
        }
        assert!("later".parse::<FirstCharge>().is_err());
    }
}
