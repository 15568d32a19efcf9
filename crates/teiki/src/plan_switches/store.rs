//! SQL of plan switches.

use billing::id::{AccountId, PlanSwitchId, SubscriptionId};
use billing::mode::Mode;
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::{Side, Status, SwitchRow};
use crate::stored::{instant, opt_instant, parsed, unreadable};
use crate::web::list::{Page, Place};

pub(super) fn insert(tx: &mut Tx<'_>, row: &SwitchRow) -> Result<(), Error> {
    let excluded = excluded_json(row)?;
    let columns = [
        ("id", Column::Text(vec![row.id.as_str()])),
        ("account_id", Column::Text(vec![row.side.0.as_str()])),
        ("mode", Column::Text(vec![row.side.1.as_str()])),
        ("plan_id", Column::Text(vec![&row.plan])),
        ("next_plan_id", Column::Text(vec![&row.next_plan])),
        ("effective_at", Column::I64(vec![row.effective_at.as_microsecond()])),
        ("status", Column::Text(vec![row.status.as_str()])),
        ("excluded", Column::Text(vec![&excluded])),
        ("actor", Column::Text(vec![&row.actor])),
        ("created_at", Column::I64(vec![row.created_at])),
    ];
    tx.insert_many("plan_switches", &columns, OnConflict::Fail)?;
    Ok(())
}

fn excluded_json(row: &SwitchRow) -> Result<String, Error> {
    let ids: Vec<&str> = row.excluded.iter().map(SubscriptionId::as_str).collect();
    serde_json::to_string(&ids).map_err(|error| Error::Assertion(format!("excluded subscriptions: {error}")))
}

/// Writes what changes of a locked switch.
pub(super) fn save(tx: &mut Tx<'_>, row: &SwitchRow) -> Result<(), Error> {
    let excluded = excluded_json(row)?;
    tx.execute(
        "update plan_switches set status = $2, excluded = $3, place = $4, passed_over = $5, member_count = $6,
                amount_before = $7, amount_after = $8, event_number = $9, undone_by = $10, undone_at = $11
         where id = $1",
        &[
            Value::Text(row.id.as_str()),
            Value::Text(row.status.as_str()),
            Value::Text(&excluded),
            Value::from(row.place.as_ref().map(SubscriptionId::as_str)),
            Value::I64(row.passed_over),
            Value::I64(row.members),
            Value::I64(row.amount_before),
            Value::I64(row.amount_after),
            Value::I64(row.event_number),
            Value::from(row.undone_by.as_deref()),
            Value::from(row.undone_at.map(|at| at.as_microsecond())),
        ],
    )?;
    Ok(())
}

pub(super) fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<SwitchRow>, Error> {
    let row = tx.query_opt(
        "select id, account_id, mode, plan_id, next_plan_id, effective_at, status, excluded, place, passed_over,
                member_count, amount_before, amount_after, event_number, actor, undone_by, undone_at, created_at
         from plan_switches where id = $1",
        &[Value::Text(id)],
    )?;
    row.as_ref().map(switch_of).transpose()
}

pub(super) fn lock(tx: &mut Tx<'_>, id: &str) -> Result<Option<SwitchRow>, Error> {
    Ok(lock_many(tx, &[id])?.pop())
}

pub(super) fn lock_many(tx: &mut Tx<'_>, ids: &[&str]) -> Result<Vec<SwitchRow>, Error> {
    let rows = tx.lock_many(
        "select id, account_id, mode, plan_id, next_plan_id, effective_at, status, excluded, place, passed_over,
                member_count, amount_before, amount_after, event_number, actor, undone_by, undone_at, created_at
         from plan_switches where id = $1",
        &[Column::Text(ids.to_vec())],
    )?;
    rows.iter().map(|(_, row)| switch_of(row)).collect()
}

/// The switches of a side whose time has come at `at` and that no renewal has begun; those that are undone, or for nobody, left
/// out.
pub(super) fn to_begin(tx: &mut Tx<'_>, (account, mode): Side, at: Timestamp) -> Result<Vec<String>, Error> {
    let rows = tx.query(
        "select id from plan_switches
         where account_id = $1 and mode = $2 and effective_at <= $3 and begun_at is null and status <> 'undone'
               and member_count > 0
         order by id",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str()), Value::I64(at.as_microsecond())],
    )?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// A renewal has opened the first invoice with the next plan of a held switch.
pub(super) fn begin(tx: &mut Tx<'_>, id: &PlanSwitchId, at: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update plan_switches set begun_at = $2 where id = $1 and begun_at is null",
        &[Value::Text(id.as_str()), Value::I64(at.as_microsecond())],
    )?;
    Ok(())
}

pub(super) fn list(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    (page, from): (&Page, &(i64, String)),
) -> Result<Vec<SwitchRow>, Error> {
    let rows = tx.query(
        "select id, account_id, mode, plan_id, next_plan_id, effective_at, status, excluded, place, passed_over,
                member_count, amount_before, amount_after, event_number, actor, undone_by, undone_at, created_at
         from plan_switches
         where account_id = $1 and mode = $2 and (created_at, id) < ($3, $4) and created_at >= $5 and created_at <= $6
         order by created_at desc, id desc limit $7 offset $8",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::I64(from.0),
            Value::Text(&from.1),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::I64(page.rows()),
            Value::I64(page.offset),
        ],
    )?;
    rows.iter().map(switch_of).collect()
}

/// The switches that are being reserved or undone, oldest first.
pub(super) fn at_work(tx: &mut Tx<'_>) -> Result<Vec<PlanSwitchId>, Error> {
    let rows = tx.query(
        "select id from plan_switches where status in ('reserving', 'undoing') order by created_at, id",
        &[],
    )?;
    rows.iter().map(|row| parsed(row, 0, "plan_switches.id", "an id")).collect()
}

/// Whether a switch to this plan is still being reserved.
pub(super) fn leads_to(tx: &mut Tx<'_>, (account, mode): Side, plan: &str) -> Result<bool, Error> {
    let found = tx.query_opt(
        "select 1 from plan_switches
         where status in ('reserving', 'undoing') and account_id = $1 and mode = $2 and next_plan_id = $3 limit 1",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str()), Value::Text(plan)],
    )?;
    Ok(found.is_some())
}

fn switch_of(row: &Row) -> Result<SwitchRow, Error> {
    let (status, excluded) = (row.str(6)?, row.str(7)?);
    let ids: Vec<String> = serde_json::from_str(excluded)
        .map_err(|_| unreadable("plan_switches.excluded", "a list of ids", excluded))?;
    let id_of = |id: &String| id.parse().map_err(|_| unreadable("plan_switches.excluded", "an id", id));
    let account: AccountId = parsed(row, 1, "plan_switches.account_id", "an id")?;
    let mode: Mode = parsed(row, 2, "plan_switches.mode", "test or live")?;
    Ok(SwitchRow {
        id: parsed(row, 0, "plan_switches.id", "an id")?,
        side: (account, mode),
        plan: row.text(3)?,
        next_plan: row.text(4)?,
        effective_at: instant(row, 5, "plan_switches.effective_at")?,
        status: Status::from_stored(status)
            .ok_or_else(|| unreadable("plan_switches.status", "a status", status))?,
        excluded: ids.iter().map(id_of).collect::<Result<_, _>>()?,
        place: match row.opt_str(8)? {
            Some(_) => Some(parsed(row, 8, "plan_switches.place", "an id")?),
            None => None,
        },
        passed_over: row.i64(9)?,
        members: row.i64(10)?,
        amount_before: row.i64(11)?,
        amount_after: row.i64(12)?,
        event_number: row.i64(13)?,
        actor: row.text(14)?,
        undone_by: row.opt_text(15)?,
        undone_at: opt_instant(row, 16, "plan_switches.undone_at")?,
        created_at: row.i64(17)?,
    })
}

fn ids_of(rows: &[Row]) -> Result<Vec<SubscriptionId>, Error> {
    rows.iter().map(|row| parsed(row, 0, "subscriptions.id", "an id")).collect()
}

/// The next ones that had the plan when the switch was made and do not belong to it yet, newest first.
pub(super) fn to_reserve(tx: &mut Tx<'_>, row: &SwitchRow, limit: i64) -> Result<Vec<SubscriptionId>, Error> {
    let from = place_of(tx, row)?;
    let rows = tx.query(
        "select id from subscriptions
         where account_id = $1 and mode = $2 and plan_id = $3 and deleted_at is null and (created_at, sequence, id) < ($4, $5, $6)
               and sequence <= $7 and (plan_switch_id is null or plan_switch_id <> $8)
         order by created_at desc, sequence desc, id desc limit $9",
        &[
            Value::Text(row.side.0.as_str()),
            Value::Text(row.side.1.as_str()),
            Value::Text(&row.plan),
            Value::I64(from.created_at),
            Value::I64(from.sequence),
            Value::Text(&from.id),
            Value::I64(row.created_at),
            Value::Text(row.id.as_str()),
            Value::I64(limit),
        ],
    )?;
    ids_of(&rows)
}

/// The next ones for which the switch is reserved, newest first.
pub(super) fn to_undo(tx: &mut Tx<'_>, row: &SwitchRow, limit: i64) -> Result<Vec<SubscriptionId>, Error> {
    let from = place_of(tx, row)?;
    let page = Page { limit: limit - 1, ..Page::embedded() };
    reserved(tx, row, (&page, &from))
}

/// Where the round of a switch goes on.
fn place_of(tx: &mut Tx<'_>, row: &SwitchRow) -> Result<Place, Error> {
    let Some(id) = row.place else {
        return Ok(Place::newest());
    };
    let found = tx.query_one(
        "select created_at, sequence from subscriptions where slot = $1 and id = $2",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )?;
    Ok(Place { created_at: found.i64(0)?, sequence: found.i64(1)?, id: id.to_string() })
}

/// What a page of a switch's subscriptions is read with.
fn range<'a>(row: &'a SwitchRow, page: &Page, from: &'a Place) -> [Value<'a>; 10] {
    [
        Value::Text(row.side.0.as_str()),
        Value::Text(row.side.1.as_str()),
        Value::Text(row.id.as_str()),
        Value::I64(from.created_at),
        Value::I64(from.sequence),
        Value::Text(&from.id),
        Value::I64(page.since),
        Value::I64(page.until),
        Value::I64(page.rows()),
        Value::I64(page.offset),
    ]
}

/// Those for which the switch is reserved.
pub(super) fn reserved(
    tx: &mut Tx<'_>,
    row: &SwitchRow,
    (page, from): (&Page, &Place),
) -> Result<Vec<SubscriptionId>, Error> {
    let rows = tx.query(
        "select id from subscriptions
         where account_id = $1 and mode = $2 and plan_switch_id = $3 and (created_at, sequence, id) < ($4, $5, $6)
               and created_at >= $7 and created_at <= $8 and next_plan_id is not null and deleted_at is null
         order by created_at desc, sequence desc, id desc limit $9 offset $10",
        &range(row, page, from),
    )?;
    ids_of(&rows)
}

/// Those that a renewal has switched.
pub(super) fn switched(
    tx: &mut Tx<'_>,
    row: &SwitchRow,
    (page, from): (&Page, &Place),
) -> Result<Vec<SubscriptionId>, Error> {
    let rows = tx.query(
        "select id from subscriptions
         where account_id = $1 and mode = $2 and plan_switch_id = $3 and (created_at, sequence, id) < ($4, $5, $6)
               and created_at >= $7 and created_at <= $8 and next_plan_id is null and deleted_at is null
         order by created_at desc, sequence desc, id desc limit $9 offset $10",
        &range(row, page, from),
    )?;
    ids_of(&rows)
}

/// Whether a renewal has switched anyone, who may have left the switch since.
pub(super) fn has_begun(tx: &mut Tx<'_>, row: &SwitchRow) -> Result<bool, Error> {
    let found = tx.query_one(
        "select count(*) from (
             select 1 from plan_switches where id = $3 and begun_at is not null
             union all
             select 1 from subscriptions
             where account_id = $1 and mode = $2 and plan_switch_id = $3 and next_plan_id is null
             limit 1
         ) found",
        &[Value::Text(row.side.0.as_str()), Value::Text(row.side.1.as_str()), Value::Text(row.id.as_str())],
    )?;
    Ok(found.i64(0)? > 0)
}

/// Those of the plan that do not belong to the switch.
pub(super) fn joined(
    tx: &mut Tx<'_>,
    row: &SwitchRow,
    (page, from): (&Page, &Place),
) -> Result<Vec<SubscriptionId>, Error> {
    let [account, mode, switch, created_at, sequence, id, since, until, rows, offset] =
        range(row, page, from);
    let values =
        [account, mode, switch, created_at, sequence, id, since, until, rows, offset, Value::Text(&row.plan)];
    let rows = tx.query(
        "select id from subscriptions
         where account_id = $1 and mode = $2 and plan_id = $11 and (created_at, sequence, id) < ($4, $5, $6)
               and created_at >= $7 and created_at <= $8 and (plan_switch_id is null or plan_switch_id <> $3)
               and deleted_at is null and (cancel_reason is null or cancel_reason <> 'completed')
         order by created_at desc, sequence desc, id desc limit $9 offset $10",
        &values,
    )?;
    ids_of(&rows)
}

/// The newest subscriptions of a plan that a switch would be for.
pub(super) fn of_plan(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    plan: &str,
    (page, from): (&Page, &Place),
) -> Result<Vec<SubscriptionId>, Error> {
    let rows = tx.query(
        "select id from subscriptions
         where account_id = $1 and mode = $2 and plan_id = $3 and (created_at, sequence, id) < ($4, $5, $6)
               and deleted_at is null and (cancel_reason is null or cancel_reason <> 'completed')
         order by created_at desc, sequence desc, id desc limit $7",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(plan),
            Value::I64(from.created_at),
            Value::I64(from.sequence),
            Value::Text(&from.id),
            Value::I64(page.limit),
        ],
    )?;
    ids_of(&rows)
}

/// Those that a switch would be for and that are for more than `most` of the plan, with how many: one more than `except`,
/// which may all be left out.
pub(super) fn with_more_than(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    (plan, most): (&str, i64),
    except: usize,
) -> Result<Vec<(SubscriptionId, i64)>, Error> {
    let rows = tx.query(
        "select id, quantity from subscriptions
         where account_id = $1 and mode = $2 and plan_id = $3 and deleted_at is null and quantity > $4
               and (cancel_reason is null or cancel_reason <> 'completed')
         order by created_at desc, sequence desc, id desc limit $5",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(plan),
            Value::I64(most),
            Value::I64(i64::try_from(except).unwrap_or(i64::MAX).saturating_add(1)),
        ],
    )?;
    rows.iter().map(|row| Ok((parsed(row, 0, "subscriptions.id", "an id")?, row.i64(1)?))).collect()
}

/// How many subscriptions of a plan a switch would be for, and of how many of the plan they are.
pub(super) fn count_of_plan(tx: &mut Tx<'_>, (account, mode): Side, plan: &str) -> Result<(i64, i64), Error> {
    let row = tx.query_one(
        "select count(*), cast(coalesce(sum(quantity), 0) as bigint) from subscriptions
         where account_id = $1 and mode = $2 and plan_id = $3 and deleted_at is null
               and (cancel_reason is null or cancel_reason <> 'completed')",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str()), Value::Text(plan)],
    )?;
    Ok((row.i64(0)?, row.i64(1)?))
}
