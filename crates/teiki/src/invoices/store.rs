//! SQL of invoices.

use billing::id::{DerivationKey, InvoiceId, SubscriptionId};
use billing::invoice::State;
use db::{Column, Error, OnConflict, Tx};
use jiff::Timestamp;

use super::{NewRequested, NewScheduled};
use crate::charges::settle::Times;
use crate::line::Scope;

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

fn lines_json(lines: &[billing::invoice::Line]) -> Result<String, Error> {
    serde_json::to_string(lines).map_err(|error| Error::Assertion(format!("invoice lines: {error}")))
}
