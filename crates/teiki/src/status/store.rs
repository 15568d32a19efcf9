//! SQL of the status page. Every statement names account and mode; the conditions repeat those of the
//! partial indexes, so that what is small stays quick beside millions of finished rows.

use std::collections::BTreeMap;

use billing::subscription::State;
use db::{Error, Tx, Value};

use super::{Alarm, NextDue, OpenInvoices, Outbox, Parked, Side, UnderWay};
use crate::stored::{instant, opt_instant, unreadable};

fn keys(side: &Side) -> [Value<'_>; 2] {
    [Value::Text(side.account.as_str()), Value::Text(side.mode.as_str())]
}

pub(super) fn subscriptions_by_status(tx: &mut Tx<'_>, side: Side) -> Result<BTreeMap<String, i64>, Error> {
    let rows = tx.query(
        "select status, count(*) from subscriptions where account_id = $1 and mode = $2 and deleted_at is null
         group by status order by status",
        &keys(&side),
    )?;
    rows.iter().map(|row| Ok((shown_status(row.str(0)?)?.to_owned(), row.i64(1)?))).collect()
}

/// A subscription before its first charge is `trial` in PAY.JP's dialect.
fn shown_status(stored: &str) -> Result<&str, Error> {
    match State::ALL.into_iter().find(|state| state.as_str() == stored) {
        Some(State::Trialing) => Ok("trial"),
        Some(State::Active | State::PastDue | State::Paused | State::Canceled(_)) => Ok(stored),
        None => Err(unreadable("subscriptions.status", "a status", stored)),
    }
}

/// What is charged next. At the turn of a canceled subscription's invoice nothing is: it ends.
pub(super) fn next_due(tx: &mut Tx<'_>, side: Side, clock: &str) -> Result<Option<NextDue>, Error> {
    tx.query_opt(
        "select id, subscription_id, amount - amount_paid - amount_credited, currency, next_action_at from invoices
         where account_id = $1 and mode = $2 and clock_id = $3 and next_action_at is not null
             and not exists (select 1 from subscriptions s
                             where s.slot = invoices.slot and s.id = invoices.subscription_id and s.status = 'canceled')
         order by next_action_at, slot, id limit 1",
        &[Value::Text(side.account.as_str()), Value::Text(side.mode.as_str()), Value::Text(clock)],
    )?
    .map(|row| {
        Ok(NextDue {
            invoice: row.text(0)?,
            subscription: row.text(1)?,
            amount: row.i64(2)?,
            currency: row.text(3)?,
            at: instant(&row, 4, "invoices.next_action_at")?,
        })
    })
    .transpose()
}

pub(super) fn count_parked(tx: &mut Tx<'_>, side: Side) -> Result<i64, Error> {
    tx.query_one(
        "select count(*) from subscriptions where account_id = $1 and mode = $2 and parked_reason is not null
             and deleted_at is null",
        &keys(&side),
    )?
    .i64(0)
}

pub(super) fn first_parked(tx: &mut Tx<'_>, side: Side, limit: i64) -> Result<Vec<Parked>, Error> {
    let rows = tx.query(
        "select id, parked_reason from subscriptions
         where account_id = $1 and mode = $2 and parked_reason is not null and deleted_at is null order by slot, id limit $3",
        &[Value::Text(side.account.as_str()), Value::Text(side.mode.as_str()), Value::I64(limit)],
    )?;
    rows.iter().map(|row| Ok(Parked { subscription: row.text(0)?, reason: row.text(1)? })).collect()
}

/// The list of states is the condition of the index of charges that are not final.
pub(super) fn charges_under_way(tx: &mut Tx<'_>, side: Side) -> Result<BTreeMap<String, UnderWay>, Error> {
    let rows = tx.query(
        "select status, count(*), min(created_at), min(check_at) from charges
         where status in ('prepared', 'sending', 'unknown', 'pending', 'requires_customer', 'authorized')
             and account_id = $1 and mode = $2
         group by status order by status",
        &keys(&side),
    )?;
    rows.iter()
        .map(|row| {
            let under_way = UnderWay {
                count: row.i64(1)?,
                oldest_at: instant(row, 2, "charges.created_at")?,
                next_check_at: opt_instant(row, 3, "charges.check_at")?,
            };
            Ok((row.text(0)?, under_way))
        })
        .collect()
}

pub(super) fn open_invoices(tx: &mut Tx<'_>, side: Side) -> Result<Vec<OpenInvoices>, Error> {
    let rows = tx.query(
        "select currency, count(*), cast(sum(amount - amount_paid - amount_credited) as bigint) from invoices
         where status = 'open' and account_id = $1 and mode = $2 group by currency order by currency",
        &keys(&side),
    )?;
    rows.iter()
        .map(|row| Ok(OpenInvoices { currency: row.text(0)?, count: row.i64(1)?, owed: row.i64(2)? }))
        .collect()
}

pub(super) fn open_cases_by_class(tx: &mut Tx<'_>, side: Side) -> Result<BTreeMap<String, i64>, Error> {
    let rows = tx.query(
        "select failure_class, count(*) from dunning_cases
         where account_id = $1 and mode = $2 and status = 'open' group by failure_class order by failure_class",
        &keys(&side),
    )?;
    rows.iter().map(|row| Ok((row.text(0)?, row.i64(1)?))).collect()
}

pub(super) fn count_alarms(tx: &mut Tx<'_>, side: Side) -> Result<i64, Error> {
    tx.query_one(
        "select count(*) from alarms where account_id = $1 and mode = $2 and closed_at is null",
        &keys(&side),
    )?
    .i64(0)
}

pub(super) fn first_alarms(tx: &mut Tx<'_>, side: Side, limit: i64) -> Result<Vec<Alarm>, Error> {
    let rows = tx.query(
        "select kind, subject, message, raised_at from alarms
         where account_id = $1 and mode = $2 and closed_at is null order by raised_at, slot, id limit $3",
        &[Value::Text(side.account.as_str()), Value::Text(side.mode.as_str()), Value::I64(limit)],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Alarm {
                kind: row.text(0)?,
                subject: row.text(1)?,
                message: row.text(2)?,
                raised_at: instant(row, 3, "alarms.raised_at")?,
            })
        })
        .collect()
}

pub(super) fn outbox(tx: &mut Tx<'_>, side: Side) -> Result<Outbox, Error> {
    let row = tx.query_one(
        "select count(*), min(o.deliver_at) from outbox o
         join events e on e.slot = o.slot and e.id = o.event_id
         where e.account_id = $1 and e.mode = $2",
        &keys(&side),
    )?;
    Ok(Outbox { count: row.i64(0)?, oldest_at: opt_instant(&row, 1, "outbox.deliver_at")? })
}
