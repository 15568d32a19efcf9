//! SQL of the doctor. It looks at all accounts at once, so what it finds says whose it is.

use std::fmt;

use billing::id::Slot;
use db::{Engine, Error, Row, Tx, Value};
use jiff::Timestamp;

use super::NAMED_MAX;
use crate::stored::{instant, opt_instant};

/// One slot, and how many rows are read of it.
fn keys(slot: Slot) -> [Value<'static>; 2] {
    [Value::I64(slot.as_i64()), limit()]
}

/// Rows that are read of a list: one more than are named.
fn limit() -> Value<'static> {
    Value::I64(i64::try_from(NAMED_MAX).unwrap_or(i64::MAX).saturating_add(1))
}

/// The engines have no common word for their version.
pub(super) fn engine_version(tx: &mut Tx<'_>) -> Result<String, Error> {
    let sql = match tx.engine() {
        Engine::Sqlite => "select sqlite_version()",
        Engine::Postgres => "select current_setting('server_version')",
    };
    tx.query_one(sql, &[])?.text(0)
}

/// The newest instant of real time that any row was written at.
pub(super) fn newest_instant(tx: &mut Tx<'_>) -> Result<Option<i64>, Error> {
    tx.query_one(
        "select max(newest) from (
             select max(recorded_at) as newest from events
             union all select max(created_at) from charges
             union all select max(created_at) from accounts
         ) as instants",
        &[],
    )?
    .opt_i64(0)
}

/// Issued invoices whose receivable in the ledger is not what they still owe, which is nothing when they are void. A refund
/// credits the invoice and gives back what was paid: it changes nothing of what is owed. The issue of an invoice of a
/// request is posted when it is paid.
pub(super) fn ledger_mismatches(tx: &mut Tx<'_>, slot: Slot) -> Result<Vec<String>, Error> {
    let rows = tx.query(
        "select i.account_id, i.mode, i.id,
                case when i.status = 'void' then 0 else i.amount - i.amount_paid - i.amount_credited + coalesce(r.refunded, 0) end,
                coalesce(l.receivable, 0)
         from invoices i
         left join (
             select account_id, mode, invoice_id,
                    cast(sum(case when debit = 'receivable' then amount when credit = 'receivable' then -amount else 0 end)
                         as bigint) as receivable
             from ledger_entries where slot = $1
             group by invoice_id, account_id, mode
         ) l on l.account_id = i.account_id and l.mode = i.mode and l.invoice_id = i.id
         left join (
             select c.account_id, c.mode, c.invoice_id, cast(sum(a.amount) as bigint) as refunded
             from charge_actions a join charges c on c.slot = a.slot and c.id = a.charge_id
             where a.slot = $1 and a.kind = 'refund' and a.status = 'succeeded' and c.surplus = false
             group by c.invoice_id, c.account_id, c.mode
         ) r on r.account_id = i.account_id and r.mode = i.mode and r.invoice_id = i.id
         where i.slot = $1 and i.status <> 'scheduled' and not (i.in_request and i.status = 'open')
             and coalesce(l.receivable, 0)
                 <> case when i.status = 'void' then 0 else i.amount - i.amount_paid - i.amount_credited + coalesce(r.refunded, 0) end
         order by i.id limit $2",
        &keys(slot),
    )?;
    let line =
        |row: &Row| Ok(format!("{}: owes {}, the ledger says {}", whose(row)?, row.i64(3)?, row.i64(4)?));
    rows.iter().map(line).collect()
}

/// Invoices whose paid amount is not the sum of their successful charges and of what was paid outside; one that was only
/// reserved counts with what was captured of it.
pub(super) fn payment_mismatches(tx: &mut Tx<'_>, slot: Slot) -> Result<Vec<String>, Error> {
    let rows = tx.query(
        "select i.account_id, i.mode, i.id, i.amount_paid - i.amount_outside, coalesce(c.collected, 0)
         from invoices i
         left join (
             select h.account_id, h.mode, h.invoice_id, cast(sum(coalesce(a.amount, h.amount)) as bigint) as collected
             from charges h left join charge_actions a
                 on a.slot = h.slot and a.charge_id = h.id and a.kind = 'capture' and a.status = 'succeeded'
             where h.slot = $1 and h.status = 'succeeded' and h.surplus = false
             group by h.invoice_id, h.account_id, h.mode
         ) c on c.account_id = i.account_id and c.mode = i.mode and c.invoice_id = i.id
         where i.slot = $1 and coalesce(c.collected, 0) <> i.amount_paid - i.amount_outside
         order by i.id limit $2",
        &keys(slot),
    )?;
    let line =
        |row: &Row| Ok(format!("{}: paid {}, charges collected {}", whose(row)?, row.i64(3)?, row.i64(4)?));
    rows.iter().map(line).collect()
}

/// Charges whose refunded amount is not the sum of what was done to them.
pub(super) fn refund_mismatches(tx: &mut Tx<'_>, slot: Slot) -> Result<Vec<String>, Error> {
    let rows = tx.query(
        "select c.account_id, c.mode, c.id, c.amount_refunded, coalesce(d.given_back, 0)
         from charges c
         left join (
             select a.charge_id, cast(sum(case a.kind when 'capture' then h.amount - a.amount when 'reauthorize' then 0
                                                      else a.amount end) as bigint) as given_back
             from charge_actions a join charges h on h.slot = a.slot and h.id = a.charge_id
             where a.slot = $1 and a.status = 'succeeded'
             group by a.charge_id
         ) d on d.charge_id = c.id
         where c.slot = $1 and coalesce(d.given_back, 0) <> c.amount_refunded
         order by c.id limit $2",
        &keys(slot),
    )?;
    let line = |row: &Row| {
        Ok(format!("{}: refunded {}, what was done to it {}", whose(row)?, row.i64(3)?, row.i64(4)?))
    };
    rows.iter().map(line).collect()
}

/// Live subscriptions, with invoices still to issue, that have more than one scheduled invoice, or none and do not wait for
/// the payment that they begin with.
pub(super) fn schedule_mismatches(tx: &mut Tx<'_>, slot: Slot) -> Result<Vec<String>, Error> {
    let rows = tx.query(
        "select s.account_id, s.mode, s.id, coalesce(i.scheduled, 0)
         from subscriptions s
         left join (
             select account_id, mode, subscription_id, count(*) as scheduled
             from invoices where slot = $1 and status = 'scheduled' and subscription_id is not null
             group by subscription_id, account_id, mode
         ) i on i.account_id = s.account_id and i.mode = s.mode and i.subscription_id = s.id
         where s.slot = $1 and s.status in ('active', 'trialing', 'past_due') and s.deleted_at is null
             and (s.remaining is null or s.remaining > 0)
             and (i.scheduled > 1 or (i.scheduled is null and s.pending_invoice_id is null))
         order by s.id limit $2",
        &keys(slot),
    )?;
    let line = |row: &Row| Ok(format!("{}: {} scheduled invoices", whose(row)?, row.i64(3)?));
    rows.iter().map(line).collect()
}

/// Open invoices that a subscription waits for, or that the schedule has not come to an end with, while no charge of them is
/// under way and none is to be made.
pub(super) fn stuck(tx: &mut Tx<'_>, slot: Slot) -> Result<Vec<String>, Error> {
    let rows = tx.query(
        "select s.account_id, s.mode, s.id, i.id
         from invoices i join subscriptions s on s.slot = i.slot and s.id = i.subscription_id
         where i.slot = $1 and i.status = 'open' and i.next_action_at is null and s.deleted_at is null
             and (s.pending_invoice_id = i.id or (s.status in ('active', 'trialing') and s.parked_reason is null))
             and not exists (select 1 from charges c where c.slot = i.slot and c.invoice_id = i.id and c.status in
                             ('prepared', 'sending', 'unknown', 'pending', 'requires_customer', 'authorized'))
         order by s.id, i.id limit $2",
        &keys(slot),
    )?;
    rows.iter().map(|row| Ok(format!("{}: invoice {}", whose(row)?, row.str(3)?))).collect()
}

/// Subscriptions that are canceled without a reason, or have one and are not: they cannot be read.
pub(super) fn unreadable_states(tx: &mut Tx<'_>, slot: Slot) -> Result<Vec<String>, Error> {
    let rows = tx.query(
        "select account_id, mode, id, status, cancel_reason from subscriptions
         where slot = $1 and (status = 'canceled') <> (cancel_reason is not null)
         order by id limit $2",
        &keys(slot),
    )?;
    let line = |row: &Row| {
        let reason = row.opt_str(4)?.unwrap_or("without a reason");
        Ok(format!("{}: {}, {reason}", whose(row)?, row.str(3)?))
    };
    rows.iter().map(line).collect()
}

/// Subscriptions whose events are not numbered from 1 to their last number.
pub(super) fn event_gaps(tx: &mut Tx<'_>, slot: Slot) -> Result<Vec<String>, Error> {
    let rows = tx.query(
        "select s.account_id, s.mode, s.id, s.event_number, coalesce(e.events, 0), coalesce(e.last_number, 0)
         from subscriptions s
         left join (
             select history_id, count(*) as events, max(number) as last_number
             from events where slot = $1
             group by history_id
         ) e on e.history_id = s.id
         where s.slot = $1
             and (coalesce(e.events, 0) <> s.event_number or coalesce(e.last_number, 0) <> s.event_number)
         order by s.id limit $2",
        &keys(slot),
    )?;
    let line = |row: &Row| {
        let (number, events, last) = (row.i64(3)?, row.i64(4)?, row.i64(5)?);
        Ok(format!("{}: counts {number} events, has {events}, the last is number {last}", whose(row)?))
    };
    rows.iter().map(line).collect()
}

/// The first three columns: account, mode, id.
fn whose(row: &Row) -> Result<String, Error> {
    Ok(format!("{} ({} {})", row.str(2)?, row.str(0)?, row.str(1)?))
}

/// A charge and since when it waits.
pub(super) struct Aged {
    row: String,
    status: String,
    pub(super) since: Timestamp,
}

impl fmt::Display for Aged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} since {}", self.row, self.status, self.since)
    }
}

/// Charges, and what is done to them, that may have been sent before `since` and whose outcome is not known, oldest first.
/// The lists of states are the conditions of the indexes of what is not final.
pub(super) fn unknown_charges(tx: &mut Tx<'_>, since: Timestamp) -> Result<Vec<Aged>, Error> {
    let rows = tx.query(
        "select account_id, mode, id, status, coalesce(sent_at, created_at) as since from charges
         where status in ('prepared', 'sending', 'unknown', 'pending', 'requires_customer', 'authorized')
             and status in ('sending', 'unknown') and coalesce(sent_at, created_at) < $1
         union all
         select account_id, mode, id, status, coalesce(sent_at, created_at) as since from charge_actions
         where status in ('prepared', 'sending', 'unknown', 'pending') and coalesce(sent_at, created_at) < $1
         order by since, id limit $2",
        &[Value::I64(since.as_microsecond()), limit()],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Aged { row: whose(row)?, status: row.text(3)?, since: instant(row, 4, "charges.sent_at")? })
        })
        .collect()
}

/// Charges that took money which no invoice asks for, and that is not given back.
pub(super) fn surplus_charges(tx: &mut Tx<'_>) -> Result<Vec<String>, Error> {
    let rows = tx.query(
        "select account_id, mode, id, amount - amount_refunded, currency, gateway_charge_id from charges
         where status = 'succeeded' and surplus = true and amount_refunded < amount order by slot, id limit $1",
        &[limit()],
    )?;
    let line = |row: &Row| {
        let gateway = row.opt_str(5)?.unwrap_or("no gateway id");
        Ok(format!("{}: {} {}, at the gateway {gateway}", whose(row)?, row.i64(3)?, row.str(4)?))
    };
    rows.iter().map(line).collect()
}

/// One side of an account, and how many of its rows wait.
pub(super) struct Side {
    pub(super) account: String,
    mode: String,
    pub(super) count: i64,
    oldest: Option<Timestamp>,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.account, self.mode, self.count)?;
        self.oldest.map_or(Ok(()), |oldest| write!(f, ", the oldest since {oldest}"))
    }
}

/// Invoices in real time whose turn was before `late`, and those with a charge that was made before it and never left.
pub(super) fn overdue(tx: &mut Tx<'_>, late: Timestamp) -> Result<Vec<Side>, Error> {
    let rows = tx.query(
        "select account_id, mode, count(*), min(since) from (
             select account_id, mode, next_action_at as since from invoices where clock_id = 'real' and next_action_at < $1
             union all
             select account_id, mode, created_at from charges
             where clock_id = 'real' and check_at is not null and status = 'prepared' and created_at < $1
         ) waiting group by account_id, mode order by account_id, mode",
        &[Value::I64(late.as_microsecond())],
    )?;
    rows.iter().map(|row| side_of(row, opt_instant(row, 3, "invoices.next_action_at")?)).collect()
}

/// Parked subscriptions.
pub(super) fn parked(tx: &mut Tx<'_>) -> Result<Vec<Side>, Error> {
    let rows = tx.query(
        "select account_id, mode, count(*) from subscriptions
         where parked_reason is not null and deleted_at is null group by account_id, mode order by account_id, mode",
        &[],
    )?;
    rows.iter().map(|row| side_of(row, None)).collect()
}

fn side_of(row: &Row, oldest: Option<Timestamp>) -> Result<Side, Error> {
    Ok(Side { account: row.text(0)?, mode: row.text(1)?, count: row.i64(2)?, oldest })
}

/// Deliveries that should have been made before `late`, and since when the oldest waits.
pub(super) fn late_deliveries(tx: &mut Tx<'_>, late: Timestamp) -> Result<(i64, Option<Timestamp>), Error> {
    let row = tx.query_one(
        "select count(*), min(deliver_at) from outbox where deliver_at < $1",
        &[Value::I64(late.as_microsecond())],
    )?;
    Ok((row.i64(0)?, opt_instant(&row, 1, "outbox.deliver_at")?))
}

/// A webhook endpoint that does not receive what it should.
pub(super) struct Endpoint {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) mode: String,
    /// `None`: it is enabled, and something has been due since before.
    pub(super) disabled_reason: Option<String>,
}

/// Endpoints that teiki disabled, and those that something waits for that should have been sent before `late`.
pub(super) fn unwell_endpoints(tx: &mut Tx<'_>, late: Timestamp) -> Result<Vec<Endpoint>, Error> {
    let rows = tx.query(
        "select w.id, w.account_id, w.mode, w.disabled_reason from webhook_endpoints w
         where w.deleted_at is null
               and (w.disabled_reason in ('failing', 'gone')
                    or (w.status = 'enabled'
                        and exists (select 1 from webhook_deliveries d
                                    where d.endpoint_id = w.id and d.next_attempt_at < $1 and d.next_attempt_at is not null)))
         order by w.account_id, w.mode, w.id",
        &[Value::I64(late.as_microsecond())],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Endpoint {
                id: row.text(0)?,
                account: row.text(1)?,
                mode: row.text(2)?,
                disabled_reason: row.opt_text(3)?,
            })
        })
        .collect()
}
