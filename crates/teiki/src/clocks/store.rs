//! SQL of what a clock has seen.

use billing::id::AccountId;
use billing::mode::Mode;
use db::{Column, Error, Tx, Value};
use jiff::Timestamp;

use super::Totals;
use crate::line::Scope;
use crate::stored::instant;

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
