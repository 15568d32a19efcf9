//! A subscription as the rules see it: its row with its plans, its scheduled invoice and its debts.

use billing::agreement::Agreement;
use billing::calendar::Period;
use billing::plan::Plan;
use db::Tx;
use jiff::Timestamp;

use super::SubscriptionRow;
use super::requests::Context;
use crate::invoices::scheduled::{self, ScheduledRow};
use crate::plans;
use crate::web::ApiError;

/// What the rules must know of a subscription besides its row.
pub struct Present {
    /// Its plan.
    pub plan: Plan,
    /// The plan of its next cycle, if one is reserved.
    pub next_plan: Option<Plan>,
    /// Its scheduled invoice as it is stored.
    pub scheduled: Option<ScheduledRow>,
    /// How many of its invoices are open.
    pub open_invoices: i64,
}

impl Present {
    /// Reads it. The caller holds the subscription.
    pub fn read(tx: &mut Tx<'_>, context: &Context<'_>, row: &SubscriptionRow) -> Result<Self, ApiError> {
        let mut ids = vec![row.plan.as_str()];
        ids.extend(row.next_plan.as_deref());
        let found = plans::find_many(tx, context.side, &ids)?;
        let of = |id: &str| match found.iter().find(|plan| plan.id == id) {
            Some(plan) => Ok(plan.terms()?),
            None => Err(ApiError::inside(format!("the plan {id} of subscription {} is missing", row.id))),
        };
        Ok(Self {
            plan: of(&row.plan)?,
            next_plan: row.next_plan.as_deref().map(of).transpose()?,
            scheduled: scheduled::find(tx, row)?,
            open_invoices: scheduled::count_open(tx, row.id)?,
        })
    }

    /// The subscription as the rules see it.
    pub fn agreement(&self, row: &SubscriptionRow) -> Result<Agreement<'_>, ApiError> {
        let plans = (&self.plan, self.next_plan.as_ref());
        agreement_of(row, plans, (self.scheduled.as_ref(), self.open_invoices))
    }
}

/// A subscription as the rules see it, with its plan and the reserved one, its scheduled invoice and how many are open.
pub fn agreement_of<'a>(
    row: &SubscriptionRow,
    (plan, next_plan): (&'a Plan, Option<&'a Plan>),
    (scheduled, open_invoices): (Option<&ScheduledRow>, i64),
) -> Result<Agreement<'a>, ApiError> {
    let number = |value: i64| u32::try_from(value).map_err(|_| ApiError::inside("a count is out of range"));
    Ok(Agreement {
        state: row.state,
        plan,
        next_plan,
        next_plan_from: row.next_plan_from.map(instant_of).transpose()?,
        quantity: number(row.quantity)?,
        prorate: row.prorate,
        anchor: row.anchor,
        period: period_of(row.period)?,
        trial: row.trial.map(period_of).transpose()?,
        remaining: row.remaining.map(number).transpose()?,
        scheduled: scheduled.map(|scheduled| scheduled.next.cycle),
        next_cycle: number(row.next_cycle)?,
        open_invoices,
        is_first_bill: !row.is_billed,
    })
}

fn period_of((start, end): (i64, i64)) -> Result<Period, ApiError> {
    Ok(Period { start: instant_of(start)?, end: instant_of(end)? })
}

fn instant_of(micros: i64) -> Result<Timestamp, ApiError> {
    Timestamp::from_microsecond(micros).map_err(|error| ApiError::inside(error.to_string()))
}
