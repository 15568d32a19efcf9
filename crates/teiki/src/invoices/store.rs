//! SQL of invoices.

use billing::calendar::{Cycle, Period};
use billing::id::{AccountId, DerivationKey, InvoiceId, Slot, SubscriptionId};
use billing::invoice::{Line, State};
use billing::mode::Mode;
use billing::money::Money;
use billing::renewal::Next;
use billing::tax::TaxedSum;
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::scheduled::{OpenRow, ScheduledRow};
use super::{NewRequested, NewScheduled, tax_from_json};
use crate::charges::settle::Times;
use crate::line::Scope;
use crate::stored::{count, instant, opt_instant, parsed, unreadable};

/// An invoice as it is shown.
#[derive(Clone, Debug)]
pub struct ShownRow {
    /// Its id.
    pub id: InvoiceId,
    /// Where it stands.
    pub state: State,
    /// Who pays, when it is a customer.
    pub customer: Option<String>,
    /// The agreement that it belongs to; a single sale has none.
    pub subscription: Option<SubscriptionId>,
    pub(super) plan: Option<String>,
    pub(super) amount: Money,
    pub(super) amount_paid: i64,
    pub(super) amount_credited: i64,
    pub(super) lines: Vec<Line>,
    pub(super) tax: Vec<TaxedSum>,
    pub(super) due_at: Timestamp,
    pub(super) period: Period,
    pub(super) charge_count: u64,
    pub(super) opened_at: Option<Timestamp>,
    pub(super) paid_at: Option<Timestamp>,
}

pub(super) fn find(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    id: InvoiceId,
) -> Result<Option<ShownRow>, Error> {
    tx.query_opt(
        "select status, customer_id, subscription_id, plan_id, currency, amount, amount_paid, amount_credited, lines, tax, due_at,
                period_start, period_end, charge_count, opened_at, paid_at
         from invoices where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
        ],
    )?
    .map(|row| shown_of(&row, id))
    .transpose()
}

fn shown_of(row: &Row, id: InvoiceId) -> Result<ShownRow, Error> {
    let currency = parsed(row, 4, "invoices.currency", "a currency")?;
    let subscription = match row.opt_str(2)? {
        Some(_) => Some(parsed(row, 2, "invoices.subscription_id", "an id")?),
        None => None,
    };
    let lines = row.str(8)?;
    Ok(ShownRow {
        id,
        state: State::from_stored(row.str(0)?)
            .ok_or_else(|| unreadable("invoices.status", "a status", row.str(0).unwrap_or_default()))?,
        customer: row.opt_text(1)?,
        subscription,
        plan: row.opt_text(3)?,
        amount: Money::new(row.i64(5)?, currency),
        amount_paid: row.i64(6)?,
        amount_credited: row.i64(7)?,
        lines: serde_json::from_str(lines).map_err(|_| unreadable("invoices.lines", "lines", lines))?,
        tax: match row.opt_str(9)? {
            Some(tax) => tax_from_json(tax, currency)?,
            None => Vec::new(),
        },
        due_at: instant(row, 10, "invoices.due_at")?,
        period: Period {
            start: instant(row, 11, "invoices.period_start")?,
            end: instant(row, 12, "invoices.period_end")?,
        },
        charge_count: count(row, 13, "invoices.charge_count")?.into(),
        opened_at: opt_instant(row, 14, "invoices.opened_at")?,
        paid_at: opt_instant(row, 15, "invoices.paid_at")?,
    })
}

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

pub(super) fn find_scheduled(
    tx: &mut Tx<'_>,
    slot: Slot,
    obligation: &str,
) -> Result<Option<ScheduledRow>, Error> {
    tx.query_opt(
        "select id, cycle, due_on, period_start, period_end, due_at, next_action_at from invoices
         where slot = $1 and obligation = $2 and status = 'scheduled'",
        &[Value::I64(slot.as_i64()), Value::Text(obligation)],
    )?
    .map(|row| {
        Ok(ScheduledRow {
            id: parsed(&row, 0, "invoices.id", "an id")?,
            cycle: Cycle {
                number: count(&row, 1, "invoices.cycle")?,
                on: parsed(&row, 2, "invoices.due_on", "a date")?,
                period: Period {
                    start: instant(&row, 3, "invoices.period_start")?,
                    end: instant(&row, 4, "invoices.period_end")?,
                },
                charge_at: instant(&row, 5, "invoices.due_at")?,
            },
            next_action_at: opt_instant(&row, 6, "invoices.next_action_at")?,
        })
    })
    .transpose()
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

pub(super) fn edit_scheduled(tx: &mut Tx<'_>, id: InvoiceId, next: &Next, plan: &str) -> Result<(), Error> {
    let lines = lines_json(&next.lines)?;
    tx.execute(
        "update invoices set plan_id = $3, amount = $4, lines = $5, period_start = $6, period_end = $7
         where slot = $1 and id = $2 and status = 'scheduled'",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::Text(plan),
            Value::I64(next.amount.minor),
            Value::Text(&lines),
            Value::I64(next.cycle.period.start.as_microsecond()),
            Value::I64(next.cycle.period.end.as_microsecond()),
        ],
    )?;
    Ok(())
}

pub(super) fn void_scheduled(tx: &mut Tx<'_>, id: InvoiceId) -> Result<(), Error> {
    tx.execute(
        "update invoices set status = 'void', next_action_at = null where slot = $1 and id = $2 and status = 'scheduled'",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )?;
    Ok(())
}

pub(super) fn give_up_open(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<(), Error> {
    tx.execute(
        "update invoices set status = 'uncollectible', next_action_at = null
         where slot = $1 and subscription_id = $2 and status = 'open'",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )?;
    Ok(())
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
        "select id, due_at, amount - amount_paid - amount_credited, currency, charge_count, period_start, period_end
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
            period: Period {
                start: instant(&row, 5, "invoices.period_start")?,
                end: instant(&row, 6, "invoices.period_end")?,
            },
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
        "update invoices set charge_count = $3, on_paid = $4, next_action_at = null
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
