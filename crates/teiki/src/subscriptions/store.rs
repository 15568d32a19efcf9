//! SQL of subscriptions.

use billing::id::{PaymentMethodId, Slot, SubscriptionId};
use billing::subscription::State;
use db::{Column, Error, Row, Tx, Value};
use jiff::Timestamp;

use super::Side;
use crate::stored::{parsed, slots, unreadable};
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
    /// What will be paid for from the next cycle on.
    pub next_plan: Option<String>,
    /// How many of it.
    pub quantity: i64,
    /// The card that pays.
    pub payment_method: Option<PaymentMethodId>,
    /// Where it stands.
    pub state: State,
    /// `anchor` or `payjp`.
    pub calendar: String,
    /// `open` or `payjp`.
    pub renewal_failure: String,
    /// The civil day that its dates count from.
    pub anchor_on: String,
    /// The time of that day; none when only the day counts.
    pub anchor_time: Option<String>,
    /// The number of the cycle that begins there.
    pub anchor_cycle: i64,
    /// The number of its scheduled invoice.
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

pub(super) fn find(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    id: SubscriptionId,
) -> Result<Option<SubscriptionRow>, Error> {
    let rows = tx.select_many(
        "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason, calendar,
                renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining, prorate,
                trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count, event_number,
                metadata, started_at, created_at, sequence, deleted_at, next_cycle
         from subscriptions where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            slots([id.slot()].into_iter()),
            Column::Text(vec![id.as_str()]),
            Column::Text(vec![account.as_str()]),
            Column::Text(vec![mode.as_str()]),
        ],
    )?;
    rows.first().map(|(_, row)| subscription_of(row)).transpose()
}

pub(super) fn lock(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    id: SubscriptionId,
) -> Result<Option<SubscriptionRow>, Error> {
    let rows = tx.lock_many(
        "select id, customer_id, clock_id, plan_id, next_plan_id, quantity, payment_method_id, status, cancel_reason, calendar,
                renewal_failure, anchor_on, anchor_time, anchor_cycle, period_start, period_end, remaining, prorate,
                trial_start, trial_end, paused_at, canceled_at, resumed_at, pending_invoice_id, change_count, event_number,
                metadata, started_at, created_at, sequence, deleted_at, next_cycle
         from subscriptions where slot = $1 and id = $2 and account_id = $3 and mode = $4",
        &[
            slots([id.slot()].into_iter()),
            Column::Text(vec![id.as_str()]),
            Column::Text(vec![account.as_str()]),
            Column::Text(vec![mode.as_str()]),
        ],
    )?;
    rows.first().map(|(_, row)| subscription_of(row)).transpose()
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
                metadata, started_at, created_at, sequence, deleted_at, next_cycle
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
                metadata, started_at, created_at, sequence, deleted_at, next_cycle
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
                    event_number, metadata, started_at, created_at, sequence, deleted_at, next_cycle
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
                    event_number, metadata, started_at, created_at, sequence, deleted_at, next_cycle
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
                    event_number, metadata, started_at, created_at, sequence, deleted_at, next_cycle
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
                    event_number, metadata, started_at, created_at, sequence, deleted_at, next_cycle
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
        quantity: row.i64(5)?,
        payment_method,
        state: State::from_stored(status, row.opt_str(8)?)
            .ok_or_else(|| unreadable("subscriptions.status", "a status", status))?,
        calendar: row.text(9)?,
        renewal_failure: row.text(10)?,
        anchor_on: row.text(11)?,
        anchor_time: row.opt_text(12)?,
        anchor_cycle: row.i64(13)?,
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

/// Marks a subscription as deleted.
pub(super) fn delete(tx: &mut Tx<'_>, subscription: &SubscriptionRow, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update subscriptions set deleted_at = $3, event_number = $4 where slot = $1 and id = $2",
        &[
            Value::I64(subscription.id.slot().as_i64()),
            Value::Text(subscription.id.as_str()),
            Value::I64(now.as_microsecond()),
            Value::I64(subscription.event_number),
        ],
    )?;
    Ok(())
}

/// Nothing more is billed: the scheduled invoice is void.
pub(super) fn void_scheduled(tx: &mut Tx<'_>, id: SubscriptionId, obligation: &str) -> Result<(), Error> {
    tx.execute(
        "update invoices set status = 'void', next_action_at = null
         where slot = $1 and obligation = $2 and status = 'scheduled'",
        &[Value::I64(id.slot().as_i64()), Value::Text(obligation)],
    )?;
    Ok(())
}

/// What is still open is given up.
pub(super) fn give_up_open(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<(), Error> {
    tx.execute(
        "update invoices set status = 'uncollectible', next_action_at = null
         where slot = $1 and subscription_id = $2 and status = 'open'",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )?;
    Ok(())
}
