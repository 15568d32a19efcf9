//! A plan as the API shows it.

use billing::mode::Mode;
use serde::Serialize;

use super::PlanRow;
use crate::web::list::is_live;
use crate::web::metadata::{self, Metadata};

/// PAY.JP's plan object; what teiki adds comes last.
#[derive(Clone, Debug, Serialize)]
pub struct PlanView {
    object: &'static str,
    id: String,
    livemode: bool,
    created: i64,
    amount: i64,
    currency: String,
    interval: String,
    name: Option<String>,
    trial_days: i64,
    billing_day: Option<i64>,
    metadata: Metadata,
    interval_count: i64,
    setup_fee: i64,
    instalments: Option<i64>,
    tax_category: String,
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
