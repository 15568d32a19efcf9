//! SQL of the plan and the run of the day.

use billing::calendar::{Anchor, Calendar, Interval, Unit};
use db::{Column, Error, OnConflict, Tx, Value};
use jiff::Timestamp;
use jiff::civil::Date;

use super::billing_day;
use crate::line::Scope;
use crate::renewals::Due;
use crate::stored::{count, parsed, slots, unreadable};

pub(in crate::renewals) fn day_plan(
    tx: &mut Tx<'_>,
    scope: &Scope,
    day: Date,
) -> Result<Option<(i64, i64)>, Error> {
    let day = day.to_string();
    tx.query_opt(
        "select planned_count, planned_amount from day_plans
         where account_id = $1 and mode = $2 and clock_id = $3 and day = $4",
        &day_key(scope, &day),
    )?
    .map(|row| Ok((row.i64(0)?, row.i64(1)?)))
    .transpose()
}

pub(in crate::renewals) fn insert_day_plan(
    tx: &mut Tx<'_>,
    scope: &Scope,
    day: Date,
    (count, amount): (i64, i64),
) -> Result<(), Error> {
    let day = day.to_string();
    let columns = [
        ("account_id", Column::Text(vec![scope.account.as_str()])),
        ("mode", Column::Text(vec![scope.mode.as_str()])),
        ("clock_id", Column::Text(vec![&scope.clock])),
        ("day", Column::Text(vec![&day])),
        ("planned_count", Column::I64(vec![count])),
        ("planned_amount", Column::I64(vec![amount])),
    ];
    tx.insert_many("day_plans", &columns, OnConflict::Nothing)?;
    Ok(())
}

/// What has been opened on a day so far, by all lanes.
pub(in crate::renewals) fn day_run(tx: &mut Tx<'_>, scope: &Scope, day: Date) -> Result<(i64, i64), Error> {
    let day = day.to_string();
    let row = tx.query_one(
        "select cast(coalesce(sum(opened_count), 0) as bigint), cast(coalesce(sum(opened_amount), 0) as bigint)
         from day_runs where account_id = $1 and mode = $2 and clock_id = $3 and day = $4",
        &day_key(scope, &day),
    )?;
    Ok((row.i64(0)?, row.i64(1)?))
}

/// Adds to what a lane has opened on a day.
pub(in crate::renewals) fn add_to_day_run(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (day, lane): (Date, i64),
    (count, amount): (i64, i64),
) -> Result<(), Error> {
    let day = day.to_string();
    let [account, mode, clock, day] = day_key(scope, &day);
    tx.execute(
        "insert into day_runs (account_id, mode, clock_id, day, lane, opened_count, opened_amount)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (account_id, mode, clock_id, day, lane) do update set
             opened_count = day_runs.opened_count + excluded.opened_count,
             opened_amount = day_runs.opened_amount + excluded.opened_amount",
        &[account, mode, clock, day, Value::I64(lane), Value::I64(count), Value::I64(amount)],
    )?;
    Ok(())
}

/// The last day that has a plan.
pub(in crate::renewals) fn last_day_plan(tx: &mut Tx<'_>, scope: &Scope) -> Result<Option<Date>, Error> {
    let row = tx.query_one(
        "select max(day) from day_plans where account_id = $1 and mode = $2 and clock_id = $3",
        &[Value::Text(scope.account.as_str()), Value::Text(scope.mode.as_str()), Value::Text(&scope.clock)],
    )?;
    let day = |day: &str| day.parse().map_err(|_| unreadable("day_plans.day", "a date", day));
    row.opt_str(0)?.map(day).transpose()
}

/// Adds to the plan of the last day that has one, unless `day` is after it.
pub(in crate::renewals) fn raise_day_plan(
    tx: &mut Tx<'_>,
    scope: &Scope,
    day: Date,
    (count, amount): (i64, i64),
) -> Result<(), Error> {
    let day = day.to_string();
    let [account, mode, clock, day] = day_key(scope, &day);
    tx.execute(
        "update day_plans set planned_count = planned_count + $5, planned_amount = planned_amount + $6
         where account_id = $1 and mode = $2 and clock_id = $3 and day >= $4
             and day = (select max(day) from day_plans where account_id = $1 and mode = $2 and clock_id = $3)",
        &[account, mode, clock, day, Value::I64(count), Value::I64(amount)],
    )?;
    Ok(())
}

fn day_key<'a>(scope: &'a Scope, day: &'a str) -> [Value<'a>; 4] {
    [
        Value::Text(scope.account.as_str()),
        Value::Text(scope.mode.as_str()),
        Value::Text(&scope.clock),
        Value::Text(day),
    ]
}

/// Count and sum of what is on the work list in `[from, until)`.
pub(in crate::renewals) fn planned(
    tx: &mut Tx<'_>,
    scope: &Scope,
    from: Timestamp,
    until: Timestamp,
) -> Result<(i64, i64), Error> {
    let row = tx.query_one(
        "select count(*), cast(coalesce(sum(amount), 0) as bigint) from invoices
         where account_id = $1 and mode = $2 and clock_id = $3 and next_action_at >= $4 and next_action_at < $5",
        &[
            Value::Text(scope.account.as_str()),
            Value::Text(scope.mode.as_str()),
            Value::Text(&scope.clock),
            Value::I64(from.as_microsecond()),
            Value::I64(until.as_microsecond()),
        ],
    )?;
    Ok((row.i64(0)?, row.i64(1)?))
}

/// An overdue scheduled invoice, as far as counting its missed cycles needs it.
pub(in crate::renewals) struct OverdueRow {
    pub(in crate::renewals) calendar: Calendar,
    pub(in crate::renewals) anchor: Anchor,
    pub(in crate::renewals) interval: Interval,
    pub(in crate::renewals) billing_day: Option<u8>,
    pub(in crate::renewals) cycle: u32,
    pub(in crate::renewals) amount: i64,
    /// Of one further cycle; the dearer plan where a switch is reserved.
    pub(in crate::renewals) plan_amount: i64,
    pub(in crate::renewals) remaining: Option<i64>,
}

/// The due invoices that are scheduled ones, with what counting their missed cycles needs.
pub(in crate::renewals) fn overdue(tx: &mut Tx<'_>, due: &[Due]) -> Result<Vec<OverdueRow>, Error> {
    let rows = tx.select_many(
        "select s.anchor_on, s.anchor_time, p.interval_unit, p.interval_count, i.cycle, i.amount,
                s.quantity * case when n.amount > p.amount then n.amount else p.amount end, s.remaining,
                s.calendar, s.anchor_cycle, p.billing_day
         from invoices i
         join subscriptions s on s.slot = i.slot and s.id = i.subscription_id
         join plans p on p.account_id = s.account_id and p.mode = s.mode and p.id = s.plan_id
         left join plans n on n.account_id = s.account_id and n.mode = s.mode and n.id = s.next_plan_id
         where i.slot = $1 and i.id = $2 and i.status = 'scheduled'",
        &[
            slots(due.iter().map(|due| due.invoice.slot())),
            Column::Text(due.iter().map(|due| due.invoice.as_str()).collect()),
        ],
    )?;
    rows.iter()
        .map(|(_, row)| {
            let time = row
                .opt_str(1)?
                .map(|time| time.parse().map_err(|_| unreadable("subscriptions.anchor_time", "a time", time)))
                .transpose()?;
            let unit: Unit = parsed(row, 2, "plans.interval_unit", "a unit")?;
            Ok(OverdueRow {
                calendar: parsed(row, 8, "subscriptions.calendar", "a calendar")?,
                anchor: Anchor {
                    on: parsed(row, 0, "subscriptions.anchor_on", "a date")?,
                    at: time,
                    cycle: count(row, 9, "subscriptions.anchor_cycle")?,
                },
                billing_day: billing_day(row, 10)?,
                interval: Interval::try_new(unit, row.i64(3)?)
                    .map_err(|_| unreadable("plans.interval_count", "a count", "another number"))?,
                cycle: count(row, 4, "invoices.cycle")?,
                amount: row.i64(5)?,
                plan_amount: row.i64(6)?,
                remaining: row.opt_i64(7)?,
            })
        })
        .collect()
}
