//! SQL of plans.

use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::Side;
use crate::web::list::{Page, Place};

/// A plan as stored.
#[derive(Clone, Debug)]
pub struct PlanRow {
    /// The merchant's id of it.
    pub id: String,
    /// What it is called.
    pub name: Option<String>,
    /// Price of one period in minor units, with tax.
    pub amount: i64,
    /// Three letters.
    pub currency: String,
    /// The tax inside the price: standard, reduced or exempt.
    pub tax_category: String,
    /// day, week, month or year.
    pub interval_unit: String,
    /// How many of it are one period.
    pub interval_count: i64,
    /// The day of the month on which all of its subscriptions are charged.
    pub billing_day: Option<i64>,
    /// Days before the first charge.
    pub trial_days: i64,
    /// Charged once, with the first invoice, in minor units.
    pub setup_fee: i64,
    /// How many invoices it has in all.
    pub instalments: Option<i64>,
    /// `now` or `scheduled`.
    pub first_charge: String,
    /// The merchant's texts, as JSON.
    pub metadata: String,
    /// The number of the last event of its history.
    pub event_number: i64,
    /// When it was made, in microseconds.
    pub created_at: i64,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

pub(super) fn insert(tx: &mut Tx<'_>, (account, mode): Side, plan: &PlanRow) -> Result<(), Error> {
    let columns = [
        ("account_id", Column::Text(vec![account.as_str()])),
        ("mode", Column::Text(vec![mode.as_str()])),
        ("id", Column::Text(vec![&plan.id])),
        ("name", Column::OptText(vec![plan.name.as_deref()])),
        ("amount", Column::I64(vec![plan.amount])),
        ("currency", Column::Text(vec![&plan.currency])),
        ("tax_category", Column::Text(vec![&plan.tax_category])),
        ("interval_unit", Column::Text(vec![&plan.interval_unit])),
        ("interval_count", Column::I64(vec![plan.interval_count])),
        ("billing_day", Column::OptI64(vec![plan.billing_day])),
        ("trial_days", Column::I64(vec![plan.trial_days])),
        ("setup_fee", Column::I64(vec![plan.setup_fee])),
        ("instalments", Column::OptI64(vec![plan.instalments])),
        ("first_charge", Column::Text(vec![&plan.first_charge])),
        ("metadata", Column::Text(vec![&plan.metadata])),
        ("event_number", Column::I64(vec![plan.event_number])),
        ("created_at", Column::I64(vec![plan.created_at])),
    ];
    tx.insert_many("plans", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn find(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<Option<PlanRow>, Error> {
    Ok(find_many(tx, side, &[id])?.pop())
}

pub(super) fn find_many(tx: &mut Tx<'_>, (account, mode): Side, ids: &[&str]) -> Result<Vec<PlanRow>, Error> {
    let rows = tx.select_many(
        "select id, name, amount, currency, tax_category, interval_unit, interval_count, billing_day, trial_days, setup_fee,
                instalments, first_charge, metadata, event_number, created_at, deleted_at
         from plans where account_id = $1 and mode = $2 and id = $3",
        &[
            Column::Text(vec![account.as_str(); ids.len()]),
            Column::Text(vec![mode.as_str(); ids.len()]),
            Column::Text(ids.to_vec()),
        ],
    )?;
    rows.iter().map(|(_, row)| plan_of(row)).collect()
}

pub(super) fn lock(tx: &mut Tx<'_>, (account, mode): Side, id: &str) -> Result<Option<PlanRow>, Error> {
    let rows = tx.lock_many(
        "select id, name, amount, currency, tax_category, interval_unit, interval_count, billing_day, trial_days, setup_fee,
                instalments, first_charge, metadata, event_number, created_at, deleted_at
         from plans where account_id = $1 and mode = $2 and id = $3",
        &[Column::Text(vec![account.as_str()]), Column::Text(vec![mode.as_str()]), Column::Text(vec![id])],
    )?;
    rows.first().map(|(_, row)| plan_of(row)).transpose()
}

pub(super) fn share_many(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    ids: &[&str],
) -> Result<Vec<PlanRow>, Error> {
    let rows = tx.share_many(
        "select id, name, amount, currency, tax_category, interval_unit, interval_count, billing_day, trial_days, setup_fee,
                instalments, first_charge, metadata, event_number, created_at, deleted_at
         from plans where account_id = $1 and mode = $2 and id = $3",
        &[
            Column::Text(vec![account.as_str(); ids.len()]),
            Column::Text(vec![mode.as_str(); ids.len()]),
            Column::Text(ids.to_vec()),
        ],
    )?;
    rows.iter().map(|(_, row)| plan_of(row)).collect()
}

pub(super) fn list(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    page: &Page,
    after: Option<&PlanRow>,
) -> Result<Vec<PlanRow>, Error> {
    let from = after.map_or_else(Place::newest, |plan| Place {
        created_at: plan.created_at,
        sequence: 0,
        id: plan.id.clone(),
    });
    let rows = tx.query(
        "select id, name, amount, currency, tax_category, interval_unit, interval_count, billing_day, trial_days, setup_fee,
                instalments, first_charge, metadata, event_number, created_at, deleted_at
         from plans
         where account_id = $1 and mode = $2 and (created_at, id) < ($3, $4) and created_at >= $5 and created_at <= $6
               and deleted_at is null
         order by created_at desc, id desc limit $7 offset $8",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::I64(from.created_at),
            Value::Text(&from.id),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::I64(page.rows()),
            Value::I64(page.offset),
        ],
    )?;
    rows.iter().map(plan_of).collect()
}

fn plan_of(row: &Row) -> Result<PlanRow, Error> {
    Ok(PlanRow {
        id: row.text(0)?,
        name: row.opt_text(1)?,
        amount: row.i64(2)?,
        currency: row.text(3)?,
        tax_category: row.text(4)?,
        interval_unit: row.text(5)?,
        interval_count: row.i64(6)?,
        billing_day: row.opt_i64(7)?,
        trial_days: row.i64(8)?,
        setup_fee: row.i64(9)?,
        instalments: row.opt_i64(10)?,
        first_charge: row.text(11)?,
        metadata: row.text(12)?,
        event_number: row.i64(13)?,
        created_at: row.i64(14)?,
        is_deleted: row.opt_i64(15)?.is_some(),
    })
}

pub(super) fn update(tx: &mut Tx<'_>, (account, mode): Side, plan: &PlanRow) -> Result<(), Error> {
    tx.execute(
        "update plans set name = $4, metadata = $5, event_number = $6 where account_id = $1 and mode = $2 and id = $3",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(&plan.id),
            Value::from(plan.name.as_deref()),
            Value::Text(&plan.metadata),
            Value::I64(plan.event_number),
        ],
    )?;
    Ok(())
}

pub(super) fn delete(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    plan: &PlanRow,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "update plans set deleted_at = $4, event_number = $5 where account_id = $1 and mode = $2 and id = $3",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(&plan.id),
            Value::I64(now.as_microsecond()),
            Value::I64(plan.event_number),
        ],
    )?;
    Ok(())
}

/// Whether a subscription that is not over has it, or is to be switched to it.
pub(super) fn has_subscribers(tx: &mut Tx<'_>, (account, mode): Side, id: &str) -> Result<bool, Error> {
    let row = tx.query_one(
        "select count(*) from (
             select 1 from subscriptions
             where account_id = $1 and mode = $2 and plan_id = $3 and deleted_at is null
                   and (cancel_reason is null or cancel_reason <> 'completed')
             union all
             select 1 from subscriptions
             where account_id = $1 and mode = $2 and next_plan_id = $3 and next_plan_id is not null and deleted_at is null
             limit 1
         ) found",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str()), Value::Text(id)],
    )?;
    Ok(row.i64(0)? > 0)
}
