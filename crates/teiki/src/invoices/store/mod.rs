//! SQL of invoices.

use billing::calendar::{Cycle, Period};
use billing::id::{DerivationKey, InvoiceId, SubscriptionId};
use billing::invoice::{Line, State};
use billing::money::Money;
use billing::renewal::Next;
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::scheduled::{OpenRow, ScheduledRow};
use super::{NewRequested, NewScheduled};
use crate::charges::settle::Times;
use crate::line::Scope;
use crate::stored::{count, instant, opt_instant, parsed, slots, unreadable};
use crate::subscriptions::SubscriptionRow;

pub(super) mod shown;

pub(super) fn insert_scheduled(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    invoices: &[NewScheduled],
    now: Timestamp,
) -> Result<(), Error> {
    let obligations: Vec<String> = invoices.iter().map(NewScheduled::obligation).collect();
    let ids: Vec<InvoiceId> =
        invoices.iter().zip(&obligations).map(|(invoice, of)| invoice.id(key, of)).collect();
    let lines =
        invoices.iter().map(|invoice| lines_json(&invoice.next.lines)).collect::<Result<Vec<_>, _>>()?;
    let days: Vec<String> = invoices.iter().map(|invoice| invoice.next.cycle.on.to_string()).collect();
    let each = |value: fn(&NewScheduled) -> i64| Column::I64(invoices.iter().map(value).collect());
    let zero = || Column::I64(invoices.iter().map(|_| 0).collect());
    let columns = [
        ("slot", Column::I64(ids.iter().map(|id| id.slot().as_i64()).collect())),
        ("id", Column::Text(ids.iter().map(InvoiceId::as_str).collect())),
        ("account_id", Column::Text(invoices.iter().map(|invoice| invoice.account.as_str()).collect())),
        ("mode", Column::Text(invoices.iter().map(|invoice| invoice.mode.as_str()).collect())),
        ("clock_id", Column::Text(invoices.iter().map(|invoice| invoice.clock.as_str()).collect())),
        ("customer_id", Column::Text(invoices.iter().map(|invoice| invoice.customer.as_str()).collect())),
        (
            "subscription_id",
            Column::Text(invoices.iter().map(|invoice| invoice.subscription.as_str()).collect()),
        ),
        ("plan_id", Column::Text(invoices.iter().map(|invoice| invoice.plan.as_str()).collect())),
        ("obligation", Column::Text(obligations.iter().map(String::as_str).collect())),
        ("cycle", each(|invoice| invoice.next.cycle.number.into())),
        ("status", Column::Text(invoices.iter().map(|_| State::Scheduled.as_str()).collect())),
        (
            "currency",
            Column::Text(invoices.iter().map(|invoice| invoice.next.amount.currency.code()).collect()),
        ),
        ("amount", each(|invoice| invoice.next.amount.minor)),
        ("amount_paid", zero()),
        ("amount_credited", zero()),
        ("lines", Column::Text(lines.iter().map(String::as_str).collect())),
        ("due_on", Column::Text(days.iter().map(String::as_str).collect())),
        ("due_at", each(|invoice| invoice.next.cycle.charge_at.as_microsecond())),
        ("period_start", each(|invoice| invoice.next.cycle.period.start.as_microsecond())),
        ("period_end", each(|invoice| invoice.next.cycle.period.end.as_microsecond())),
        ("next_action_at", each(|invoice| invoice.next.cycle.charge_at.as_microsecond())),
        ("charge_count", zero()),
        ("created_at", Column::I64(invoices.iter().map(|_| now.as_microsecond()).collect())),
    ];
    tx.insert_many("invoices", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn insert_requested(
    tx: &mut Tx<'_>,
    scope: &Scope,
    invoice: &NewRequested,
    times: Times,
) -> Result<(), Error> {
    let (lines, tax, due_on) =
        (lines_json(&invoice.lines)?, super::tax_json(&invoice.tax), invoice.due_on.to_string());
    let number = |value: i64| Column::I64(vec![value]);
    let columns = [
        ("slot", number(invoice.id.slot().as_i64())),
        ("id", Column::Text(vec![invoice.id.as_str()])),
        ("account_id", Column::Text(vec![scope.account.as_str()])),
        ("mode", Column::Text(vec![scope.mode.as_str()])),
        ("clock_id", Column::Text(vec![&scope.clock])),
        ("customer_id", Column::OptText(vec![invoice.customer.as_deref()])),
        ("subscription_id", Column::OptText(vec![invoice.subscription.as_ref().map(SubscriptionId::as_str)])),
        ("plan_id", Column::OptText(vec![invoice.plan.as_deref()])),
        ("obligation", Column::Text(vec![&invoice.obligation])),
        ("cycle", number(invoice.cycle.into())),
        ("status", Column::Text(vec![State::Open.as_str()])),
        ("currency", Column::Text(vec![invoice.amount.currency.code()])),
        ("amount", number(invoice.amount.minor)),
        ("amount_paid", number(0)),
        ("amount_credited", number(0)),
        ("lines", Column::Text(vec![&lines])),
        ("tax", Column::Text(vec![&tax])),
        ("due_on", Column::Text(vec![&due_on])),
        ("due_at", number(times.billing.as_microsecond())),
        ("period_start", number(invoice.period.0.as_microsecond())),
        ("period_end", number(invoice.period.1.as_microsecond())),
        ("charge_count", number(1)),
        ("in_request", Column::Bool(vec![true])),
        ("on_paid", Column::OptText(vec![invoice.on_paid.as_deref()])),
        ("opened_at", number(times.billing.as_microsecond())),
        ("created_at", number(times.real.as_microsecond())),
    ];
    tx.insert_many("invoices", &columns, OnConflict::Fail)?;
    Ok(())
}

/// The scheduled invoices of subscriptions, in their order.
pub(super) fn find_scheduled(
    tx: &mut Tx<'_>,
    subscriptions: &[SubscriptionRow],
) -> Result<Vec<Option<ScheduledRow>>, Error> {
    let obligations: Vec<String> = subscriptions.iter().map(SubscriptionRow::scheduled_obligation).collect();
    let rows = tx.select_many(
        "select id, cycle, due_on, period_start, period_end, due_at, next_action_at, amount, currency, lines from invoices
         where slot = $1 and obligation = $2 and status = 'scheduled'",
        &[
            slots(subscriptions.iter().map(|row| row.id.slot())),
            Column::Text(obligations.iter().map(String::as_str).collect()),
        ],
    )?;
    let mut found: Vec<Option<ScheduledRow>> = subscriptions.iter().map(|_| None).collect();
    for (place, row) in &rows {
        found[*place] = Some(scheduled_of(row)?);
    }
    Ok(found)
}

fn scheduled_of(row: &Row) -> Result<ScheduledRow, Error> {
    let cycle = Cycle {
        number: count(row, 1, "invoices.cycle")?,
        on: parsed(row, 2, "invoices.due_on", "a date")?,
        period: Period {
            start: instant(row, 3, "invoices.period_start")?,
            end: instant(row, 4, "invoices.period_end")?,
        },
        charge_at: instant(row, 5, "invoices.due_at")?,
    };
    let amount = Money::new(row.i64(7)?, parsed(row, 8, "invoices.currency", "a currency")?);
    Ok(ScheduledRow {
        id: parsed(row, 0, "invoices.id", "an id")?,
        next: Next { cycle, amount, lines: lines_from(row.str(9)?)? },
        next_action_at: opt_instant(row, 6, "invoices.next_action_at")?,
    })
}

pub(super) fn set_action(tx: &mut Tx<'_>, id: InvoiceId, at: Option<Timestamp>) -> Result<(), Error> {
    tx.execute(
        "update invoices set next_action_at = $3 where slot = $1 and id = $2 and status = 'scheduled'",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::from(at.map(Timestamp::as_microsecond)),
        ],
    )?;
    Ok(())
}

/// A scheduled invoice drawn anew, and when it is acted on then.
pub(super) type Edited<'a> = (InvoiceId, &'a Next, Option<Timestamp>);

pub(super) fn edit_scheduled(tx: &mut Tx<'_>, edited: &[Edited<'_>]) -> Result<u64, Error> {
    let lines = edited.iter().map(|(_, next, _)| lines_json(&next.lines)).collect::<Result<Vec<_>, _>>()?;
    let days: Vec<String> = edited.iter().map(|(_, next, _)| next.cycle.on.to_string()).collect();
    let keys = [
        ("slot", slots(edited.iter().map(|(id, ..)| id.slot()))),
        ("id", Column::Text(edited.iter().map(|(id, ..)| id.as_str()).collect())),
    ];
    let instants = |of: fn(&Cycle) -> Timestamp| {
        Column::I64(edited.iter().map(|(_, next, _)| of(&next.cycle).as_microsecond()).collect())
    };
    let actions = edited.iter().map(|(.., action)| action.map(Timestamp::as_microsecond)).collect();
    let set = [
        ("plan_id", Column::Text(edited.iter().map(|(_, next, _)| next.plan()).collect())),
        ("amount", Column::I64(edited.iter().map(|(_, next, _)| next.amount.minor).collect())),
        ("lines", Column::Text(lines.iter().map(String::as_str).collect())),
        ("due_on", Column::Text(days.iter().map(String::as_str).collect())),
        ("due_at", instants(|cycle| cycle.charge_at)),
        ("period_start", instants(|cycle| cycle.period.start)),
        ("period_end", instants(|cycle| cycle.period.end)),
        ("next_action_at", Column::OptI64(actions)),
    ];
    tx.update_many("invoices", &keys, &set, "status = 'scheduled'")
}

/// Moves a scheduled invoice, and gives it another amount and note.
pub(super) fn move_scheduled(
    tx: &mut Tx<'_>,
    id: InvoiceId,
    next: &Next,
    memo: Option<&str>,
) -> Result<(), Error> {
    let (lines, on) = (lines_json(&next.lines)?, next.cycle.on.to_string());
    tx.execute(
        "update invoices set due_on = $3, due_at = $4, amount = $5, lines = $6, memo = $7
         where slot = $1 and id = $2 and status = 'scheduled'",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(&on),
            Value::I64(next.cycle.charge_at.as_microsecond()),
            Value::I64(next.amount.minor),
            Value::Text(&lines),
            Value::from(memo),
        ],
    )?;
    Ok(())
}

/// Says why a person did what was done to an invoice.
pub(super) fn set_reason(tx: &mut Tx<'_>, id: InvoiceId, reason: &str) -> Result<(), Error> {
    tx.execute(
        "update invoices set reason = $3 where slot = $1 and id = $2",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str()), Value::Text(reason)],
    )?;
    Ok(())
}

/// Closes an invoice without a charge: `outside` was paid by other means, at `paid_at` if it was.
pub(super) fn close(
    tx: &mut Tx<'_>,
    id: InvoiceId,
    (from, to): (State, State),
    (outside, paid_at): (i64, Option<Timestamp>),
) -> Result<u64, Error> {
    tx.execute(
        "update invoices set status = $3, amount_paid = amount_paid + $4, amount_outside = amount_outside + $4,
                paid_at = $5, next_action_at = null
         where slot = $1 and id = $2 and status = $6",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(to.as_str()),
            Value::I64(outside),
            Value::from(paid_at.map(Timestamp::as_microsecond)),
            Value::Text(from.as_str()),
        ],
    )
}

/// Whether a charge of the invoice is under way.
pub(super) fn is_being_charged(tx: &mut Tx<'_>, id: InvoiceId) -> Result<bool, Error> {
    let found = tx.query_opt(
        "select 1 from charges where slot = $1 and invoice_id = $2
             and status in ('prepared', 'sending', 'unknown', 'pending', 'requires_customer', 'authorized')",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )?;
    Ok(found.is_some())
}

/// Whether a charge of an open invoice of the subscription is under way.
pub(super) fn is_any_being_charged(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<bool, Error> {
    let found = tx.query_opt(
        "select 1 from invoices i join charges c on c.slot = i.slot and c.invoice_id = i.id
         where i.slot = $1 and i.subscription_id = $2 and i.status = 'open'
             and c.status in ('prepared', 'sending', 'unknown', 'pending', 'requires_customer', 'authorized') limit 1",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )?;
    Ok(found.is_some())
}

/// The open invoices of these subscriptions.
pub(super) fn open_of(tx: &mut Tx<'_>, ids: &[SubscriptionId]) -> Result<Vec<InvoiceId>, Error> {
    let rows = tx.select_many(
        "select id from invoices where slot = $1 and subscription_id = $2 and status = 'open'",
        &[
            slots(ids.iter().map(SubscriptionId::slot)),
            Column::Text(ids.iter().map(SubscriptionId::as_str).collect()),
        ],
    )?;
    rows.iter().map(|(_, row)| parsed(row, 0, "invoices.id", "an id")).collect()
}

pub(super) fn void_scheduled(tx: &mut Tx<'_>, id: InvoiceId) -> Result<(), Error> {
    tx.execute(
        "update invoices set status = 'void', next_action_at = null where slot = $1 and id = $2 and status = 'scheduled'",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )?;
    Ok(())
}

/// Open invoices are given up.
pub(super) fn give_up(tx: &mut Tx<'_>, ids: &[InvoiceId]) -> Result<u64, Error> {
    let keys = [
        ("slot", slots(ids.iter().map(InvoiceId::slot))),
        ("id", Column::Text(ids.iter().map(InvoiceId::as_str).collect())),
    ];
    let set = [
        ("status", Column::Text(ids.iter().map(|_| State::Uncollectible.as_str()).collect())),
        ("next_action_at", Column::OptI64(vec![None; ids.len()])),
    ];
    tx.update_many("invoices", &keys, &set, "status = 'open'")
}

pub(super) fn count_open(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<i64, Error> {
    tx.query_one(
        "select count(*) from invoices where slot = $1 and subscription_id = $2 and status = 'open'",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )?
    .i64(0)
}

pub(super) fn oldest_open(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<Option<OpenRow>, Error> {
    tx.query_opt(
        "select id, due_at, amount - amount_paid - amount_credited, currency, charge_count
         from invoices where slot = $1 and subscription_id = $2 and status = 'open'
         order by due_at, id limit 1",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )?
    .map(|row| {
        Ok(OpenRow {
            id: parsed(&row, 0, "invoices.id", "an id")?,
            due_at: instant(&row, 1, "invoices.due_at")?,
            owed: Money::new(row.i64(2)?, parsed(&row, 3, "invoices.currency", "a currency")?),
            charge_count: count(&row, 4, "invoices.charge_count")?,
        })
    })
    .transpose()
}

pub(super) fn charge_open(
    tx: &mut Tx<'_>,
    id: InvoiceId,
    charge_count: u32,
    on_paid: &str,
) -> Result<(), Error> {
    tx.execute(
        "update invoices set charge_count = $3, on_paid = $4, next_action_at = null, reason = null
         where slot = $1 and id = $2 and status = 'open'",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::I64(charge_count.into()),
            Value::Text(on_paid),
        ],
    )?;
    Ok(())
}

fn lines_json(lines: &[Line]) -> Result<String, Error> {
    serde_json::to_string(lines).map_err(|error| Error::Assertion(format!("invoice lines: {error}")))
}

fn lines_from(text: &str) -> Result<Vec<Line>, Error> {
    serde_json::from_str(text).map_err(|_| unreadable("invoices.lines", "lines", text))
}
