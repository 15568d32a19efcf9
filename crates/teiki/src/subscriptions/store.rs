//! SQL of subscriptions.

use billing::calendar::{Anchor, Calendar};
use billing::id::{AccountId, PaymentMethodId, Slot, SubscriptionId};
use billing::mode::Mode;
use billing::subscription::{CancelReason, RenewalFailure, State};
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::Side;
use crate::stored::{count, parsed, slots, unreadable};
use crate::web::list::{Page, Place};

/// A subscription as stored. Instants in microseconds of billing time.
#[derive(Clone, Debug)]
pub struct SubscriptionRow {
    /// Its id.
    pub id: SubscriptionId,
    /// Who pays.
    pub customer: String,
    /// The time it lives in.
    pub clock: String,
    /// What is paid for.
    pub plan: String,
    /// The plan that is reserved for a later renewal.
    pub next_plan: Option<String>,
    /// The first start of a period that it is reserved for; none is the next renewal.
    pub next_plan_from: Option<i64>,
    /// The plan switch that reserved it, or that the plan came from.
    pub plan_switch: Option<String>,
    /// What that replaced, as JSON.
    pub switch_former: Option<String>,
    /// How many of it.
    pub quantity: i64,
    /// The card that pays.
    pub payment_method: Option<PaymentMethodId>,
    /// Where it stands.
    pub state: State,
    /// How its boundaries follow.
    pub calendar: Calendar,
    /// What a failed renewal does.
    pub renewal_failure: RenewalFailure,
    /// What its dates count from.
    pub anchor: Anchor,
    /// Whether any bill of it was issued, here or before an import.
    pub is_billed: bool,
    /// The first number that no invoice of it has had; its scheduled invoice has the one before.
    pub next_cycle: i64,
    /// The current period.
    pub period: (i64, i64),
    /// Invoices still to issue.
    pub remaining: Option<i64>,
    /// Whether a part of a period is charged in part.
    pub prorate: bool,
    /// Begin and end of its trial.
    pub trial: Option<(i64, i64)>,
    /// When it was stopped.
    pub paused_at: Option<i64>,
    /// When it was canceled.
    pub canceled_at: Option<i64>,
    /// When it went on.
    pub resumed_at: Option<i64>,
    /// The invoice of a request that decides what becomes of it.
    pub pending_invoice: Option<String>,
    /// How many requests have charged for it.
    pub change_count: i64,
    /// The number of the last event of its history.
    pub event_number: i64,
    /// The merchant's texts, as JSON.
    pub metadata: String,
    /// When it began.
    pub started_at: i64,
    /// When it was made.
    pub created_at: i64,
    /// Its place among those made at the same instant.
    pub sequence: i64,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

/// Which subscriptions.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of this plan.
    pub plan: Option<String>,
    /// Those in this stored state.
    pub status: Option<String>,
}

/// The subscriptions with these ids that the side has, deleted ones too, in the order of the ids.
pub(super) fn find_many(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    ids: &[SubscriptionId],
) -> Result<Vec<SubscriptionRow>, Error> {
    let rows = tx.select_many(
        "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason, calendar,
                renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining, prorate,
                trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count, event_number,
                metadata, started_at, created_at, sequence, deleted_at, next_cycle, billed, next_plan_from,
                plan_switch_id, switch_former
         from subscriptions where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &keys(&account, mode, ids),
    )?;
    rows.iter().map(|(_, row)| subscription_of(row)).collect()
}

/// The same, and locked.
pub(super) fn lock_many(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    ids: &[SubscriptionId],
) -> Result<Vec<SubscriptionRow>, Error> {
    let rows = tx.lock_many(
        "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason, calendar,
                renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining, prorate,
                trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count, event_number,
                metadata, started_at, created_at, sequence, deleted_at, next_cycle, billed, next_plan_from,
                plan_switch_id, switch_former
         from subscriptions where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &keys(&account, mode, ids),
    )?;
    rows.iter().map(|(_, row)| subscription_of(row)).collect()
}

fn keys<'a>(account: &'a AccountId, mode: Mode, ids: &'a [SubscriptionId]) -> [Column<'a>; 4] {
    [
        slots(ids.iter().map(SubscriptionId::slot)),
        Column::Text(ids.iter().map(SubscriptionId::as_str).collect()),
        Column::Text(vec![account.as_str(); ids.len()]),
        Column::Text(vec![mode.as_str(); ids.len()]),
    ]
}

/// Pages of subscriptions of these customers, newest first, in the order of the customers. An absent filter is the empty text.
pub(super) fn list_of(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    customers: &[&str],
    (page, from): (&Page, &Place),
    filter: &Filter,
) -> Result<Vec<(usize, SubscriptionRow)>, Error> {
    let each = |value: i64| Column::I64(vec![value; customers.len()]);
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (plan, status) = (text(&filter.plan), text(&filter.status));
    let rows = tx.select_many(
        "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason, calendar,
                renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining, prorate,
                trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count, event_number,
                metadata, started_at, created_at, sequence, deleted_at, next_cycle, billed, next_plan_from,
                plan_switch_id, switch_former
         from subscriptions
         where slot = $1 and account_id = $2 and mode = $3 and customer_id = $4 and deleted_at is null
               and created_at >= $5 and created_at <= $6 and (created_at, sequence, id) < ($7, $8, $9)
               and ($10 = '' or plan_id = $10) and ($11 = '' or status = $11)
         order by created_at desc, sequence desc, id desc limit $12 offset $13",
        &[
            slots(customers.iter().map(|customer| Slot::of_key(customer))),
            Column::Text(vec![account.as_str(); customers.len()]),
            Column::Text(vec![mode.as_str(); customers.len()]),
            Column::Text(customers.to_vec()),
            each(page.since),
            each(page.until),
            each(from.created_at),
            each(from.sequence),
            Column::Text(vec![&from.id; customers.len()]),
            Column::Text(vec![&plan; customers.len()]),
            Column::Text(vec![&status; customers.len()]),
            each(page.rows()),
            each(page.offset),
        ],
    )?;
    rows.iter().map(|(place, row)| Ok((*place, subscription_of(row)?))).collect()
}

/// All subscriptions that a customer ever had, deleted ones too.
pub(super) fn all_of(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    customer: &str,
) -> Result<Vec<SubscriptionRow>, Error> {
    let rows = tx.query(
        "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason, calendar,
                renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining, prorate,
                trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count, event_number,
                metadata, started_at, created_at, sequence, deleted_at, next_cycle, billed, next_plan_from,
                plan_switch_id, switch_former
         from subscriptions where slot = $1 and account_id = $2 and mode = $3 and customer_id = $4
         order by created_at, sequence, id",
        &[
            Value::I64(Slot::of_key(customer).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(customer),
        ],
    )?;
    rows.iter().map(subscription_of).collect()
}

/// A page of all subscriptions of an account. Each filter has its own statement, so that each has its index.
pub(super) fn list(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    (page, from): (&Page, &Place),
    filter: &Filter,
) -> Result<Vec<SubscriptionRow>, Error> {
    let values = [
        Value::Text(account.as_str()),
        Value::Text(mode.as_str()),
        Value::I64(from.created_at),
        Value::I64(from.sequence),
        Value::I64(page.since),
        Value::I64(page.until),
        Value::I64(page.rows()),
        Value::I64(page.offset),
        Value::Text(&from.id),
    ];
    let rows = match (&filter.plan, &filter.status) {
        (None, None) => tx.query(
            "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason,
                    calendar, renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining,
                    prorate, trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count,
                    event_number, metadata, started_at, created_at, sequence, deleted_at, next_cycle, billed, next_plan_from,
                plan_switch_id, switch_former
             from subscriptions
             where account_id = $1 and mode = $2 and deleted_at is null and created_at >= $5 and created_at <= $6
                   and (created_at, sequence, id) < ($3, $4, $9)
             order by created_at desc, sequence desc, id desc limit $7 offset $8",
            &values,
        )?,
        (Some(plan), None) => tx.query(
            "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason,
                    calendar, renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining,
                    prorate, trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count,
                    event_number, metadata, started_at, created_at, sequence, deleted_at, next_cycle, billed, next_plan_from,
                plan_switch_id, switch_former
             from subscriptions
             where account_id = $1 and mode = $2 and deleted_at is null and created_at >= $5 and created_at <= $6
                   and (created_at, sequence, id) < ($3, $4, $9) and plan_id = $10
             order by created_at desc, sequence desc, id desc limit $7 offset $8",
            &[values.as_slice(), &[Value::Text(plan)]].concat(),
        )?,
        (None, Some(status)) => tx.query(
            "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason,
                    calendar, renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining,
                    prorate, trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count,
                    event_number, metadata, started_at, created_at, sequence, deleted_at, next_cycle, billed, next_plan_from,
                plan_switch_id, switch_former
             from subscriptions
             where account_id = $1 and mode = $2 and deleted_at is null and created_at >= $5 and created_at <= $6
                   and (created_at, sequence, id) < ($3, $4, $9) and status = $10
             order by created_at desc, sequence desc, id desc limit $7 offset $8",
            &[values.as_slice(), &[Value::Text(status)]].concat(),
        )?,
        (Some(plan), Some(status)) => tx.query(
            "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason,
                    calendar, renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining,
                    prorate, trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count,
                    event_number, metadata, started_at, created_at, sequence, deleted_at, next_cycle, billed, next_plan_from,
                plan_switch_id, switch_former
             from subscriptions
             where account_id = $1 and mode = $2 and deleted_at is null and created_at >= $5 and created_at <= $6
                   and (created_at, sequence, id) < ($3, $4, $9) and plan_id = $10 and status = $11
             order by created_at desc, sequence desc, id desc limit $7 offset $8",
            &[values.as_slice(), &[Value::Text(plan), Value::Text(status)]].concat(),
        )?,
    };
    rows.iter().map(subscription_of).collect()
}

fn subscription_of(row: &Row) -> Result<SubscriptionRow, Error> {
    let status = row.str(7)?;
    let payment_method = match row.opt_str(6)? {
        Some(_) => Some(parsed(row, 6, "subscriptions.payment_method_id", "an id")?),
        None => None,
    };
    Ok(SubscriptionRow {
        id: parsed(row, 0, "subscriptions.id", "an id")?,
        customer: row.text(1)?,
        clock: row.text(2)?,
        plan: row.text(3)?,
        next_plan: row.opt_text(4)?,
        next_plan_from: row.opt_i64(33)?,
        plan_switch: row.opt_text(34)?,
        switch_former: row.opt_text(35)?,
        quantity: row.i64(5)?,
        payment_method,
        state: State::from_stored(status, row.opt_str(8)?)
            .ok_or_else(|| unreadable("subscriptions.status", "a status", status))?,
        calendar: parsed(row, 9, "subscriptions.calendar", "a calendar")?,
        renewal_failure: parsed(row, 10, "subscriptions.renewal_failure", "open or payjp")?,
        anchor: Anchor {
            on: parsed(row, 11, "subscriptions.anchor_on", "a date")?,
            at: match row.opt_str(12)? {
                Some(_) => Some(parsed(row, 12, "subscriptions.anchor_time", "a time")?),
                None => None,
            },
            cycle: count(row, 13, "subscriptions.anchor_cycle")?,
        },
        is_billed: row.bool(32)?,
        period: (row.i64(14)?, row.i64(15)?),
        remaining: row.opt_i64(16)?,
        prorate: row.bool(17)?,
        trial: row.opt_i64(18)?.zip(row.opt_i64(19)?),
        paused_at: row.opt_i64(20)?,
        canceled_at: row.opt_i64(21)?,
        resumed_at: row.opt_i64(22)?,
        pending_invoice: row.opt_text(23)?,
        change_count: row.i64(24)?,
        event_number: row.i64(25)?,
        metadata: row.text(26)?,
        started_at: row.i64(27)?,
        created_at: row.i64(28)?,
        sequence: row.i64(29)?,
        is_deleted: row.opt_i64(30)?.is_some(),
        next_cycle: row.i64(31)?,
    })
}

pub(super) fn insert(tx: &mut Tx<'_>, (account, mode): Side, row: &SubscriptionRow) -> Result<(), Error> {
    let anchor_on = row.anchor.on.to_string();
    let anchor_time = row.anchor.at.map(|time| time.to_string());
    let number = |value: i64| Column::I64(vec![value]);
    let columns = [
        ("slot", number(row.id.slot().as_i64())),
        ("id", Column::Text(vec![row.id.as_str()])),
        ("account_id", Column::Text(vec![account.as_str()])),
        ("mode", Column::Text(vec![mode.as_str()])),
        ("clock_id", Column::Text(vec![&row.clock])),
        ("customer_id", Column::Text(vec![&row.customer])),
        ("plan_id", Column::Text(vec![&row.plan])),
        ("quantity", number(row.quantity)),
        (
            "payment_method_id",
            Column::OptText(vec![row.payment_method.as_ref().map(PaymentMethodId::as_str)]),
        ),
        ("status", Column::Text(vec![row.state.as_str()])),
        ("calendar", Column::Text(vec![row.calendar.as_str()])),
        ("renewal_failure", Column::Text(vec![row.renewal_failure.as_str()])),
        ("anchor_on", Column::Text(vec![&anchor_on])),
        ("anchor_time", Column::OptText(vec![anchor_time.as_deref()])),
        ("anchor_cycle", number(row.anchor.cycle.into())),
        ("next_cycle", number(row.next_cycle)),
        ("period_start", number(row.period.0)),
        ("period_end", number(row.period.1)),
        ("prorate", Column::Bool(vec![row.prorate])),
        ("event_number", number(row.event_number)),
        ("metadata", Column::Text(vec![&row.metadata])),
        ("started_at", number(row.started_at)),
        ("created_at", number(row.created_at)),
        ("sequence", number(row.sequence)),
    ];
    tx.insert_many("subscriptions", &columns, OnConflict::Fail)?;
    Ok(())
}

/// Writes everything that may change. The row is locked, or was made in this transaction.
pub(super) fn save(tx: &mut Tx<'_>, row: &SubscriptionRow) -> Result<(), Error> {
    let anchor_on = row.anchor.on.to_string();
    let anchor_time = row.anchor.at.map(|time| time.to_string());
    let reason = row.state.cancel_reason().map(CancelReason::as_str);
    tx.execute(
        "update subscriptions
         set plan_id = $3, next_plan_id = $4, quantity = $5, status = $6, cancel_reason = $7, anchor_on = $8,
             anchor_time = $9, anchor_cycle = $10, next_cycle = $11, billed = $12, period_start = $13, period_end = $14,
             remaining = $15, prorate = $16, trial_start = $17, trial_end = $18, paused_at = $19, canceled_at = $20,
             resumed_at = $21, pending_invoice_id = $22, change_count = $23, event_number = $24, metadata = $25,
             next_plan_from = $26, plan_switch_id = $27, switch_former = $28
         where slot = $1 and id = $2",
        &[
            Value::I64(row.id.slot().as_i64()),
            Value::Text(row.id.as_str()),
            Value::Text(&row.plan),
            Value::from(row.next_plan.as_deref()),
            Value::I64(row.quantity),
            Value::Text(row.state.as_str()),
            Value::from(reason),
            Value::Text(&anchor_on),
            Value::from(anchor_time.as_deref()),
            Value::I64(row.anchor.cycle.into()),
            Value::I64(row.next_cycle),
            Value::Bool(row.is_billed),
            Value::I64(row.period.0),
            Value::I64(row.period.1),
            Value::from(row.remaining),
            Value::Bool(row.prorate),
            Value::from(row.trial.map(|trial| trial.0)),
            Value::from(row.trial.map(|trial| trial.1)),
            Value::from(row.paused_at),
            Value::from(row.canceled_at),
            Value::from(row.resumed_at),
            Value::from(row.pending_invoice.as_deref()),
            Value::I64(row.change_count),
            Value::I64(row.event_number),
            Value::Text(&row.metadata),
            Value::from(row.next_plan_from),
            Value::from(row.plan_switch.as_deref()),
            Value::from(row.switch_former.as_deref()),
        ],
    )?;
    Ok(())
}

/// Whether the customer has another subscription to this plan that is neither deleted nor completed, or that is to be
/// switched to it.
pub(super) fn has_plan(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    customer: &str,
    (plan, besides): (&str, Option<SubscriptionId>),
) -> Result<bool, Error> {
    let row = tx.query_one(
        "select count(*) from subscriptions
         where slot = $1 and account_id = $2 and mode = $3 and customer_id = $4 and (plan_id = $5 or next_plan_id = $5)
               and id <> $6 and deleted_at is null and (cancel_reason is null or cancel_reason <> 'completed')",
        &[
            Value::I64(Slot::of_key(customer).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(customer),
            Value::Text(plan),
            Value::Text(besides.as_ref().map_or("", SubscriptionId::as_str)),
        ],
    )?;
    Ok(row.i64(0)? > 0)
}

/// Marks a subscription as deleted.
pub(super) fn delete(tx: &mut Tx<'_>, subscription: &SubscriptionRow, now: Timestamp) -> Result<(), Error> {
    let reason = subscription.state.cancel_reason().map(CancelReason::as_str);
    tx.execute(
        "update subscriptions set deleted_at = $3, event_number = $4, status = $5, cancel_reason = $6
         where slot = $1 and id = $2",
        &[
            Value::I64(subscription.id.slot().as_i64()),
            Value::Text(subscription.id.as_str()),
            Value::I64(now.as_microsecond()),
            Value::I64(subscription.event_number),
            Value::Text(subscription.state.as_str()),
            Value::from(reason),
        ],
    )?;
    Ok(())
}

/// Writes the reservations of locked subscriptions.
pub(super) fn save_reserved(tx: &mut Tx<'_>, rows: &[SubscriptionRow]) -> Result<u64, Error> {
    let ids: Vec<SubscriptionId> = rows.iter().map(|row| row.id).collect();
    let key = [
        ("slot", slots(ids.iter().map(SubscriptionId::slot))),
        ("id", Column::Text(ids.iter().map(SubscriptionId::as_str).collect())),
    ];
    let set = [
        ("next_plan_id", Column::OptText(rows.iter().map(|row| row.next_plan.as_deref()).collect())),
        ("next_plan_from", Column::OptI64(rows.iter().map(|row| row.next_plan_from).collect())),
        ("plan_switch_id", Column::OptText(rows.iter().map(|row| row.plan_switch.as_deref()).collect())),
        ("switch_former", Column::OptText(rows.iter().map(|row| row.switch_former.as_deref()).collect())),
        ("event_number", Column::I64(rows.iter().map(|row| row.event_number).collect())),
    ];
    tx.update_many("subscriptions", &key, &set, "")
}
