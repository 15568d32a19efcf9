//! SQL of what a clock has seen.

use std::collections::BTreeMap;

use billing::id::{AccountId, ClockId, InvoiceId, SubscriptionId};
use billing::mode::Mode;
use billing::money::Money;
use db::{Column, Error, Row, Tx, Value};
use jiff::Timestamp;

use super::Totals;
use super::deletion::Voided;
use super::objects::{ClockRow, Status};
use crate::line::Scope;
use crate::stored::{instant, opt_instant, parsed, slots, unreadable};
use crate::web::list::{Page, Place};

pub(super) fn frozen_time(tx: &mut Tx<'_>, clock: &str) -> Result<Timestamp, Error> {
    let row = tx.query_one("select frozen_time from test_clocks where id = $1", &[Value::Text(clock)])?;
    instant(&row, 0, "test_clocks.frozen_time")
}

/// Where a clock stands, and whether it does. It stays so until the transaction ends.
pub(super) fn standing(tx: &mut Tx<'_>, clock: &str) -> Result<(Timestamp, bool), Error> {
    let rows = tx.share_many(
        "select frozen_time, status from test_clocks where id = $1",
        &[Column::Text(vec![clock])],
    )?;
    let Some((_, row)) = rows.first() else {
        return Err(Error::Assertion(format!("there is no test clock {clock}")));
    };
    Ok((instant(row, 0, "test_clocks.frozen_time")?, row.str(1)? != "advancing"))
}

/// Where those of these clocks stand that do. They stay so until the transaction ends.
pub(super) fn standing_many(tx: &mut Tx<'_>, clocks: &[&str]) -> Result<BTreeMap<String, Timestamp>, Error> {
    let rows = tx.share_many(
        "select id, frozen_time, status from test_clocks where id = $1",
        &[Column::Text(clocks.to_vec())],
    )?;
    let standing = rows.iter().filter(|(_, row)| row.str(2).is_ok_and(|status| status != "advancing"));
    standing.map(|(_, row)| Ok((row.text(0)?, instant(row, 1, "test_clocks.frozen_time")?))).collect()
}

pub(super) fn insert(tx: &mut Tx<'_>, row: &ClockRow) -> Result<(), Error> {
    tx.execute(
        "insert into test_clocks (id, account_id, name, started_at, frozen_time, status, event_number, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            Value::Text(row.id.as_str()),
            Value::Text(row.account.as_str()),
            Value::from(row.name.as_deref()),
            Value::I64(row.started_at.as_microsecond()),
            Value::I64(row.frozen_time.as_microsecond()),
            Value::Text(row.status.as_str()),
            Value::I64(row.event_number),
            Value::I64(row.created_at),
        ],
    )?;
    Ok(())
}

pub(super) fn find(tx: &mut Tx<'_>, account: AccountId, id: ClockId) -> Result<Option<ClockRow>, Error> {
    tx.query_opt(
        "select id, account_id, name, started_at, frozen_time, status, from_time, target_time, event_number, created_at
         from test_clocks where id = $1 and account_id = $2 and deleted_at is null",
        &[Value::Text(id.as_str()), Value::Text(account.as_str())],
    )?
    .map(|row| clock_of(&row))
    .transpose()
}

/// Of deleted ones too.
pub(super) fn last_event(tx: &mut Tx<'_>, account: AccountId, id: ClockId) -> Result<Option<i64>, Error> {
    tx.query_opt(
        "select event_number from test_clocks where id = $1 and account_id = $2",
        &[Value::Text(id.as_str()), Value::Text(account.as_str())],
    )?
    .map(|row| row.i64(0))
    .transpose()
}

/// Of deleted ones too; in microseconds.
pub(super) fn created_at(tx: &mut Tx<'_>, account: AccountId, id: ClockId) -> Result<Option<i64>, Error> {
    tx.query_opt(
        "select created_at from test_clocks where id = $1 and account_id = $2",
        &[Value::Text(id.as_str()), Value::Text(account.as_str())],
    )?
    .map(|row| row.i64(0))
    .transpose()
}

pub(super) fn lock(tx: &mut Tx<'_>, id: ClockId) -> Result<Option<ClockRow>, Error> {
    let rows = tx.lock_many(
        "select id, account_id, name, started_at, frozen_time, status, from_time, target_time, event_number, created_at
         from test_clocks where id = $1 and deleted_at is null",
        &[Column::Text(vec![id.as_str()])],
    )?;
    rows.first().map(|(_, row)| clock_of(row)).transpose()
}

pub(super) fn list(
    tx: &mut Tx<'_>,
    account: AccountId,
    (page, from): (&Page, &Place),
) -> Result<Vec<ClockRow>, Error> {
    let rows = tx.query(
        "select id, account_id, name, started_at, frozen_time, status, from_time, target_time, event_number, created_at
         from test_clocks
         where account_id = $1 and deleted_at is null and (created_at, id) < ($2, $3) and created_at >= $4 and created_at <= $5
         order by created_at desc, id desc limit $6 offset $7",
        &[
            Value::Text(account.as_str()),
            Value::I64(from.created_at),
            Value::Text(&from.id),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::I64(page.rows()),
            Value::I64(page.offset),
        ],
    )?;
    rows.iter().map(clock_of).collect()
}

/// Clocks that are on their way, and those that stand with a charge whose time to be looked at has come. What is not known on
/// a deleted one is found out too.
pub(super) fn with_work(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<ClockRow>, Error> {
    let rows = tx.query(
        "select id, account_id, name, started_at, frozen_time, status, from_time, target_time, event_number, created_at
         from test_clocks
         where (target_time is not null and status = 'advancing' and deleted_at is null)
               or id in (select clock_id from charges where check_at <= $1 and clock_id <> 'real')
         order by id",
        &[Value::I64(now.as_microsecond())],
    )?;
    rows.iter().map(clock_of).collect()
}

fn clock_of(row: &Row) -> Result<ClockRow, Error> {
    let status = row.str(5)?;
    let from = opt_instant(row, 6, "test_clocks.from_time")?;
    Ok(ClockRow {
        id: parsed(row, 0, "test_clocks.id", "an id")?,
        account: parsed(row, 1, "test_clocks.account_id", "an id")?,
        name: row.opt_text(2)?,
        started_at: instant(row, 3, "test_clocks.started_at")?,
        frozen_time: instant(row, 4, "test_clocks.frozen_time")?,
        status: Status::from_stored(status)
            .ok_or_else(|| unreadable("test_clocks.status", "a status", status))?,
        way: from.zip(opt_instant(row, 7, "test_clocks.target_time")?),
        event_number: row.i64(8)?,
        created_at: row.i64(9)?,
    })
}

/// Writes whether it stands, where it goes, and the number of its last event.
pub(super) fn save(tx: &mut Tx<'_>, row: &ClockRow) -> Result<(), Error> {
    tx.execute(
        "update test_clocks set status = $2, from_time = $3, target_time = $4, event_number = $5 where id = $1",
        &[
            Value::Text(row.id.as_str()),
            Value::Text(row.status.as_str()),
            Value::from(row.way.map(|way| way.0.as_microsecond())),
            Value::from(row.way.map(|way| way.1.as_microsecond())),
            Value::I64(row.event_number),
        ],
    )?;
    Ok(())
}

/// A clock that a command moves is on its way while it does, so that nothing else changes its customers.
pub(super) fn mark_way(
    tx: &mut Tx<'_>,
    id: ClockId,
    way: Option<(Timestamp, Timestamp)>,
) -> Result<(), Error> {
    let status = if way.is_some() { Status::Advancing } else { Status::Ready };
    tx.execute(
        "update test_clocks set status = $2, from_time = $3, target_time = $4 where id = $1",
        &[
            Value::Text(id.as_str()),
            Value::Text(status.as_str()),
            Value::from(way.map(|way| way.0.as_microsecond())),
            Value::from(way.map(|way| way.1.as_microsecond())),
        ],
    )?;
    Ok(())
}

/// How many charges on it are not final.
pub(super) fn unresolved(tx: &mut Tx<'_>, row: &ClockRow) -> Result<i64, Error> {
    tx.query_one(
        "select count(*) from charges where check_at is not null and account_id = $1 and clock_id = $2",
        &[Value::Text(row.account.as_str()), Value::Text(row.id.as_str())],
    )?
    .i64(0)
}

/// Marks the clock as deleted; the account's new test customers do not follow it any more.
pub(super) fn end_clock(tx: &mut Tx<'_>, row: &ClockRow, now: Timestamp) -> Result<(), Error> {
    let (account, clock) = (Value::Text(row.account.as_str()), Value::Text(row.id.as_str()));
    tx.execute(
        "update test_clocks set deleted_at = $2 where id = $1",
        &[clock, Value::I64(now.as_microsecond())],
    )?;
    tx.execute(
        "update accounts set test_clock_id = null where id = $1 and test_clock_id = $2",
        &[account, clock],
    )?;
    Ok(())
}

/// Account and clock, which lives in test mode only.
fn side(scope: &Scope) -> [Value<'_>; 2] {
    [Value::Text(scope.account.as_str()), Value::Text(&scope.clock)]
}

pub(super) fn end_customers(tx: &mut Tx<'_>, scope: &Scope, now: Timestamp) -> Result<u64, Error> {
    let [account, clock] = side(scope);
    tx.execute(
        "update customers set deleted_at = $3
         where account_id = $1 and clock_id = $2 and clock_id <> 'real' and deleted_at is null",
        &[account, clock, Value::I64(now.as_microsecond())],
    )
}

/// As a deletion of each would leave it.
pub(super) fn end_subscriptions(tx: &mut Tx<'_>, scope: &Scope, now: Timestamp) -> Result<u64, Error> {
    let [account, clock] = side(scope);
    tx.execute(
        "update subscriptions
         set deleted_at = $3, status = 'canceled', cancel_reason = coalesce(cancel_reason, 'requested')
         where account_id = $1 and mode = 'test' and clock_id = $2 and deleted_at is null",
        &[account, clock, Value::I64(now.as_microsecond())],
    )
}

/// What subscriptions owe. The invoice of a request is decided by its charge, which is under way, and not issued before.
pub(super) fn owed(tx: &mut Tx<'_>, scope: &Scope) -> Result<Vec<InvoiceId>, Error> {
    let rows = tx.query(
        "select id from invoices
         where account_id = $1 and mode = 'test' and clock_id = $2 and status = 'open' and not in_request
         order by slot, id",
        &side(scope),
    )?;
    rows.iter().map(|row| parsed(row, 0, "invoices.id", "an id")).collect()
}

pub(super) fn give_up_owed(tx: &mut Tx<'_>, scope: &Scope) -> Result<u64, Error> {
    tx.execute(
        "update invoices set status = 'uncollectible', next_action_at = null
         where account_id = $1 and mode = 'test' and clock_id = $2 and status = 'open' and not in_request",
        &side(scope),
    )
}

/// What was still to come, each subscription's together.
pub(super) fn scheduled(tx: &mut Tx<'_>, scope: &Scope) -> Result<Vec<Voided>, Error> {
    let rows = tx.query(
        "select i.id, s.id, s.event_number, i.cycle, i.amount, i.currency
         from invoices i join subscriptions s on s.slot = i.slot and s.id = i.subscription_id
         where i.account_id = $1 and i.mode = 'test' and i.clock_id = $2 and i.status = 'scheduled'
         order by s.slot, s.id, i.due_at, i.id",
        &side(scope),
    )?;
    rows.iter()
        .map(|row| {
            Ok(Voided {
                id: parsed(row, 0, "invoices.id", "an id")?,
                subscription: parsed(row, 1, "subscriptions.id", "an id")?,
                event_number: row.i64(2)?,
                cycle: row.i64(3)?,
                amount: Money::new(row.i64(4)?, parsed(row, 5, "invoices.currency", "a currency")?),
            })
        })
        .collect()
}

pub(super) fn void_scheduled(tx: &mut Tx<'_>, scope: &Scope) -> Result<u64, Error> {
    tx.execute(
        "update invoices set status = 'void', next_action_at = null
         where account_id = $1 and mode = 'test' and clock_id = $2 and status = 'scheduled'",
        &side(scope),
    )
}

/// Writes the number of the last event of each subscription.
pub(super) fn number_subscriptions(
    tx: &mut Tx<'_>,
    numbers: &BTreeMap<SubscriptionId, i64>,
) -> Result<u64, Error> {
    let keys = [
        ("slot", slots(numbers.keys().map(SubscriptionId::slot))),
        ("id", Column::Text(numbers.keys().map(SubscriptionId::as_str).collect())),
    ];
    tx.update_many(
        "subscriptions",
        &keys,
        &[("event_number", Column::I64(numbers.values().copied().collect()))],
        "",
    )
}

pub(super) fn exists(tx: &mut Tx<'_>, account: AccountId, clock: &str) -> Result<bool, Error> {
    let row = tx.query_one(
        "select count(*) from test_clocks where id = $1 and account_id = $2 and deleted_at is null",
        &[Value::Text(clock), Value::Text(account.as_str())],
    )?;
    Ok(row.i64(0)? > 0)
}

pub(super) fn totals(tx: &mut Tx<'_>, scope: &Scope, until: Timestamp) -> Result<Totals, Error> {
    let side =
        [Value::Text(scope.account.as_str()), Value::Text(scope.mode.as_str()), Value::Text(&scope.clock)];
    let invoices = tx
        .query_one(
            "select count(*) from invoices
             where account_id = $1 and mode = $2 and clock_id = $3 and opened_at is not null",
            &side,
        )?
        .i64(0)?;
    let charges = tx.query_one(
        "select count(case when status = 'succeeded' then 1 end),
                count(case when status = 'failed' then 1 end),
                cast(coalesce(sum(case when status = 'succeeded' then amount end), 0) as bigint),
                count(check_at)
         from charges where account_id = $1 and mode = $2 and clock_id = $3",
        &side,
    )?;
    Ok(Totals {
        invoices,
        charges_succeeded: charges.i64(0)?,
        charges_failed: charges.i64(1)?,
        amount_succeeded: charges.i64(2)?,
        unknown: charges.i64(3)?,
        until: until.to_string(),
    })
}

pub(super) fn failures(tx: &mut Tx<'_>, account: AccountId, mode: Mode) -> Result<Vec<(String, i64)>, Error> {
    let rows = tx.query(
        "select failure_code, count(*) from charges
         where account_id = $1 and mode = $2 and status = 'failed' and failure_code is not null
         group by failure_code order by count(*) desc, failure_code",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?;
    rows.iter().map(|row| Ok((row.text(0)?, row.i64(1)?))).collect()
}

pub(super) fn revenue_by_day(
    tx: &mut Tx<'_>,
    account: AccountId,
    mode: Mode,
) -> Result<Vec<(String, i64)>, Error> {
    let rows = tx.query(
        "select i.due_on, cast(sum(c.amount) as bigint)
         from charges c join invoices i on i.slot = c.slot and i.id = c.invoice_id
         where c.account_id = $1 and c.mode = $2 and c.status = 'succeeded'
         group by i.due_on order by i.due_on",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?;
    rows.iter().map(|row| Ok((row.text(0)?, row.i64(1)?))).collect()
}
