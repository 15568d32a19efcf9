//! A plan as the API shows it.

use billing::mode::Mode;
use schemars::JsonSchema;
use serde::Serialize;

use super::PlanRow;
use crate::web::list::is_live;
use crate::web::metadata::{self, Metadata};

/// The units of a period.
pub(super) const INTERVALS: &[&str] = &["day", "week", "month", "year"];
/// The kinds of tax.
pub const TAX_CATEGORIES: &[&str] = &["standard", "reduced", "exempt"];
/// When first payments are made.
pub(super) const FIRST_CHARGES: &[&str] = &["now", "scheduled"];

/// What is sold: amount, interval, tax, trial. PAY.JP's object; what teiki adds begins with `interval_count`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Plan")]
pub struct PlanView {
    #[schemars(extend("const" = "plan"))]
    object: &'static str,
    id: String,
    livemode: bool,
    /// In seconds since 1970.
    created: i64,
    /// The price of one period in yen, tax included.
    amount: i64,
    #[schemars(extend("const" = "jpy"))]
    currency: String,
    #[schemars(extend("enum" = INTERVALS))]
    interval: String,
    name: Option<String>,
    /// Days before the first payment; 0 is none.
    trial_days: i64,
    /// The day of the month on which everyone pays, 1 to 31; null is the day of the subscription.
    billing_day: Option<i64>,
    metadata: Metadata,
    /// How many `interval`s are one period.
    interval_count: i64,
    /// Paid once with the first payment, in yen; 0 is none.
    setup_fee: i64,
    /// Payments in all; null is without end.
    instalments: Option<i64>,
    /// The tax inside the price.
    #[schemars(extend("enum" = TAX_CATEGORIES))]
    tax_category: String,
    /// When the first payment is made: with the request, or by the schedule.
    #[schemars(extend("enum" = FIRST_CHARGES))]
    first_charge: String,
}

impl PlanView {
    /// From its row.
    pub fn of(mode: Mode, plan: &PlanRow) -> Result<Self, db::Error> {
        Ok(Self {
            object: "plan",
            id: plan.id.clone(),
            livemode: is_live(mode),
            created: plan.created_at.div_euclid(1_000_000),
            amount: plan.amount,
            currency: plan.currency.clone(),
            interval: plan.interval_unit.clone(),
            name: plan.name.clone(),
            trial_days: plan.trial_days,
            billing_day: plan.billing_day,
            metadata: metadata::from_stored(&plan.metadata)?,
            interval_count: plan.interval_count,
            setup_fee: plan.setup_fee,
            instalments: plan.instalments,
            tax_category: plan.tax_category.clone(),
            first_charge: plan.first_charge.clone(),
        })
    }
}
