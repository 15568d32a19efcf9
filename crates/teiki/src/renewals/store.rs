//! SQL of the work list, of preparing and of the plan of the day.

use billing::calendar::{Anchor, Interval, Period, Unit};
use billing::id::{ConnectionId, InvoiceId, PaymentMethodId, SubscriptionId};
use billing::money::{Currency, Money};
use billing::renewal::Offer;
use billing::{invoice, subscription};
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;
use jiff::civil::Date;

use super::{Due, Lane};
use crate::line::Scope;
use crate::stored::{count, instant, opt_instant, parsed, slots, unreadable};

pub(super) fn due(
    tx: &mut Tx<'_>,
    scope: &Scope,
    lane: Lane,
    at: Timestamp,
    limit: i64,
) -> Result<Vec<Due>, Error> {
    let rows = tx.query(
        "select id, subscription_id from invoices
         where account_id = $1 and mode = $2 and clock_id = $3 and next_action_at <= $4 and slot >= $5 and slot <= $6
         order by next_action_at, slot, id limit $7",
        &[
            Value::Text(scope.account.as_str()),
            Value::Text(scope.mode.as_str()),
            Value::Text(&scope.clock),
            Value::I64(at.as_microsecond()),
            Value::I64(lane.first),
            Value::I64(lane.last),
            Value::I64(limit),
        ],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Due {
                invoice: parsed(row, 0, "invoices.id", "an id")?,
                subscription: parsed(row, 1, "invoices.subscription_id", "an id")?,
            })
        })
        .collect()
}

pub(super) fn next_action_at(tx: &mut Tx<'_>, scope: &Scope) -> Result<Option<Timestamp>, Error> {
    let row = tx.query_one(
        "select min(next_action_at) from invoices where account_id = $1 and mode = $2 and clock_id = $3
         and next_action_at is not null",
        &[Value::Text(scope.account.as_str()), Value::Text(scope.mode.as_str()), Value::Text(&scope.clock)],
    )?;
    opt_instant(&row, 0, "invoices.next_action_at")
}

/// The number of a lease; `None` if nobody ever held it. It stays so until the transaction ends: the next holder waits for
/// what was prepared under this number, even by a process that is dead, and so finds it all.
pub(super) fn fence(tx: &mut Tx<'_>, name: &str) -> Result<Option<i64>, Error> {
    let rows = tx.share_many("select fence from leases where name = $1", &[Column::Text(vec![name])])?;
    rows.first().map(|(_, row)| row.i64(0)).transpose()
}

/// A locked subscription.
pub(super) struct SubscriptionRow {
    pub(super) id: SubscriptionId,
    pub(super) state: subscription::State,
    pub(super) anchor: Anchor,
    pub(super) remaining: Option<u32>,
    pub(super) event_number: i64,
    pub(super) is_parked: bool,
}

pub(super) fn lock_subscriptions(
    tx: &mut Tx<'_>,
    ids: &[SubscriptionId],
) -> Result<Vec<SubscriptionRow>, Error> {
    let rows = tx.lock_many(
        "select id, status, cancel_reason, anchor_on, anchor_time, remaining, event_number, parked_reason
         from subscriptions where slot = $1 and id = $2",
        &[
            slots(ids.iter().map(SubscriptionId::slot)),
            Column::Text(ids.iter().map(SubscriptionId::as_str).collect()),
        ],
    )?;
    rows.iter().map(|(_, row)| subscription_of(row)).collect()
}

fn subscription_of(row: &Row) -> Result<SubscriptionRow, Error> {
    let time = row
        .opt_str(4)?
        .map(|time| time.parse().map_err(|_| unreadable("subscriptions.anchor_time", "a time", time)))
        .transpose()?;
    let remaining = row
        .opt_i64(5)?
        .map(|left| {
            u32::try_from(left)
                .map_err(|_| unreadable("subscriptions.remaining", "a count", &left.to_string()))
        })
        .transpose()?;
    Ok(SubscriptionRow {
        id: parsed(row, 0, "subscriptions.id", "an id")?,
        state: subscription::State::from_stored(row.str(1)?, row.opt_str(2)?)
            .ok_or_else(|| unreadable("subscriptions.status", "a status", row.str(1).unwrap_or_default()))?,
        anchor: Anchor { on: parsed(row, 3, "subscriptions.anchor_on", "a date")?, at: time, cycle: 0 },
        remaining,
        event_number: row.i64(6)?,
        is_parked: row.opt_str(7)?.is_some(),
    })
}

/// A due invoice with everything that planning and charging it needs.
pub(super) struct InvoiceRow {
    pub(super) id: InvoiceId,
    pub(super) subscription: SubscriptionId,
    pub(super) customer: String,
    pub(super) state: invoice::State,
    pub(super) cycle: u32,
    pub(super) period: Period,
    pub(super) amount: Money,
    pub(super) amount_settled: i64,
    pub(super) lines: String,
    pub(super) due_at: Timestamp,
    pub(super) next_action_at: Option<Timestamp>,
    pub(super) charge_count: u32,
    pub(super) offer: Offer,
    pub(super) payment_method: PaymentMethodId,
    pub(super) connection: ConnectionId,
    pub(super) gateway_token: String,
}

pub(super) fn invoices(tx: &mut Tx<'_>, due: &[Due]) -> Result<Vec<InvoiceRow>, Error> {
    let rows = tx.select_many(
        "select i.id, i.subscription_id, i.customer_id, i.status, i.cycle, i.amount, i.currency,
                i.amount_paid + i.amount_credited, i.lines, i.due_at, i.next_action_at, i.charge_count,
                p.id, p.amount, p.currency, p.tax_category, p.interval_unit, p.interval_count,
                m.id, m.connection_id, m.gateway_token, i.period_start, i.period_end
         from invoices i
         join subscriptions s on s.slot = i.slot and s.id = i.subscription_id
         join plans p on p.account_id = s.account_id and p.mode = s.mode and p.id = s.plan_id
         join payment_methods m on m.slot = s.slot and m.id = s.payment_method_id
         where i.slot = $1 and i.id = $2",
        &[
            slots(due.iter().map(|due| due.invoice.slot())),
            Column::Text(due.iter().map(|due| due.invoice.as_str()).collect()),
        ],
    )?;
    rows.iter().map(|(_, row)| invoice_of(row)).collect()
}

fn invoice_of(row: &Row) -> Result<InvoiceRow, Error> {
    let status = row.str(3)?;
    let currency: Currency = parsed(row, 6, "invoices.currency", "a currency")?;
    let plan_currency: Currency = parsed(row, 14, "plans.currency", "a currency")?;
    let unit: Unit = parsed(row, 16, "plans.interval_unit", "a unit")?;
    let interval = Interval::try_new(unit, row.i64(17)?).map_err(|_| {
        unreadable("plans.interval_count", "a count", &row.i64(17).unwrap_or_default().to_string())
    })?;
    Ok(InvoiceRow {
        id: parsed(row, 0, "invoices.id", "an id")?,
        subscription: parsed(row, 1, "invoices.subscription_id", "an id")?,
        customer: row.text(2)?,
        state: invoice::State::from_stored(status)
            .ok_or_else(|| unreadable("invoices.status", "a status", status))?,
        cycle: count(row, 4, "invoices.cycle")?,
        period: Period {
            start: instant(row, 21, "invoices.period_start")?,
            end: instant(row, 22, "invoices.period_end")?,
        },
        amount: Money::new(row.i64(5)?, currency),
        amount_settled: row.i64(7)?,
        lines: row.text(8)?,
        due_at: instant(row, 9, "invoices.due_at")?,
        next_action_at: opt_instant(row, 10, "invoices.next_action_at")?,
        charge_count: count(row, 11, "invoices.charge_count")?,
        offer: Offer {
            plan: row.text(12)?,
            amount: Money::new(row.i64(13)?, plan_currency),
            tax_category: parsed(row, 15, "plans.tax_category", "a tax category")?,
            interval,
            billing_day: None,
            instalments: None,
        },
        payment_method: parsed(row, 18, "payment_methods.id", "an id")?,
        connection: parsed(row, 19, "payment_methods.connection_id", "an id")?,
        gateway_token: row.text(20)?,
    })
}

/// An invoice that is opened now.
pub(super) struct OpenedInvoice {
    pub(super) id: InvoiceId,
    pub(super) state: invoice::State,
    pub(super) tax: String,
    pub(super) charge_count: i64,
    pub(super) paid_at: Option<i64>,
}

pub(super) fn open_invoices(tx: &mut Tx<'_>, opened: &[OpenedInvoice], at: Timestamp) -> Result<u64, Error> {
    let set = [
        ("status", Column::Text(opened.iter().map(|invoice| invoice.state.as_str()).collect())),
        ("tax", Column::Text(opened.iter().map(|invoice| invoice.tax.as_str()).collect())),
        ("charge_count", Column::I64(opened.iter().map(|invoice| invoice.charge_count).collect())),
        ("opened_at", Column::I64(opened.iter().map(|_| at.as_microsecond()).collect())),
        ("paid_at", Column::OptI64(opened.iter().map(|invoice| invoice.paid_at).collect())),
        ("next_action_at", Column::OptI64(opened.iter().map(|_| None).collect())),
    ];
    let ids: Vec<InvoiceId> = opened.iter().map(|invoice| invoice.id).collect();
    tx.update_many("invoices", &invoice_keys(&ids), &set, "status = 'scheduled'")
}

/// Takes invoices off the work list.
pub(super) fn take_off_list(tx: &mut Tx<'_>, invoices: &[InvoiceId]) -> Result<u64, Error> {
    let set = [("next_action_at", Column::OptI64(invoices.iter().map(|_| None).collect()))];
    tx.update_many("invoices", &invoice_keys(invoices), &set, "")
}

/// Takes open invoices off the work list and sets how often they have been charged.
pub(super) fn count_charges(tx: &mut Tx<'_>, invoices: &[(InvoiceId, i64)]) -> Result<u64, Error> {
    let set = [
        ("charge_count", Column::I64(invoices.iter().map(|invoice| invoice.1).collect())),
        ("next_action_at", Column::OptI64(invoices.iter().map(|_| None).collect())),
    ];
    let ids: Vec<InvoiceId> = invoices.iter().map(|invoice| invoice.0).collect();
    tx.update_many("invoices", &invoice_keys(&ids), &set, "status = 'open'")
}

fn invoice_keys(ids: &[InvoiceId]) -> [(&'static str, Column<'_>); 2] {
    [
        ("slot", slots(ids.iter().map(InvoiceId::slot))),
        ("id", Column::Text(ids.iter().map(InvoiceId::as_str).collect())),
    ]
}

/// A charge that is about to be sent.
pub(super) struct NewCharge {
    pub(super) id: billing::id::ChargeId,
    pub(super) customer: String,
    pub(super) subscription: SubscriptionId,
    pub(super) invoice: InvoiceId,
    pub(super) payment_method: PaymentMethodId,
    pub(super) connection: ConnectionId,
    pub(super) number: i64,
    pub(super) amount: Money,
    pub(super) idempotency_key: String,
    pub(super) actor: &'static str,
    pub(super) check_at: Timestamp,
}

/// The two times of preparing.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) billing: Timestamp,
    pub(super) real: Timestamp,
}

pub(super) fn insert_charges(
    tx: &mut Tx<'_>,
    scope: &Scope,
    charges: &[NewCharge],
    times: Times,
) -> Result<(), Error> {
    let each = |value: fn(&NewCharge) -> i64| Column::I64(charges.iter().map(value).collect());
    let same = |value: i64| Column::I64(charges.iter().map(|_| value).collect());
    let columns = [
        ("slot", slots(charges.iter().map(|charge| charge.id.slot()))),
        ("id", Column::Text(charges.iter().map(|charge| charge.id.as_str()).collect())),
        ("account_id", Column::Text(charges.iter().map(|_| scope.account.as_str()).collect())),
        ("mode", Column::Text(charges.iter().map(|_| scope.mode.as_str()).collect())),
        ("clock_id", Column::Text(charges.iter().map(|_| scope.clock.as_str()).collect())),
        ("customer_id", Column::Text(charges.iter().map(|charge| charge.customer.as_str()).collect())),
        (
            "subscription_id",
            Column::Text(charges.iter().map(|charge| charge.subscription.as_str()).collect()),
        ),
        ("invoice_id", Column::Text(charges.iter().map(|charge| charge.invoice.as_str()).collect())),
        (
            "payment_method_id",
            Column::Text(charges.iter().map(|charge| charge.payment_method.as_str()).collect()),
        ),
        ("connection_id", Column::Text(charges.iter().map(|charge| charge.connection.as_str()).collect())),
        ("number", each(|charge| charge.number)),
        ("status", Column::Text(charges.iter().map(|_| billing::charge::State::Sending.as_str()).collect())),
        ("amount", each(|charge| charge.amount.minor)),
        ("currency", Column::Text(charges.iter().map(|charge| charge.amount.currency.code()).collect())),
        (
            "idempotency_key",
            Column::Text(charges.iter().map(|charge| charge.idempotency_key.as_str()).collect()),
        ),
        ("actor", Column::Text(charges.iter().map(|charge| charge.actor).collect())),
        ("surplus", Column::Bool(charges.iter().map(|_| false).collect())),
        ("frozen", Column::Bool(charges.iter().map(|_| false).collect())),
        ("billing_at", same(times.billing.as_microsecond())),
        ("sent_at", same(times.real.as_microsecond())),
        ("last_sent_at", same(times.real.as_microsecond())),
        ("tries", same(0)),
        ("check_at", each(|charge| charge.check_at.as_microsecond())),
        ("created_at", same(times.real.as_microsecond())),
    ];
    tx.insert_many("charges", &columns, OnConflict::Fail)?;
    Ok(())
}

/// A subscription as it is after preparing.
pub(super) struct SubscriptionAfter {
    pub(super) id: SubscriptionId,
    pub(super) state: subscription::State,
    pub(super) remaining: Option<u32>,
    pub(super) event_number: i64,
}

pub(super) fn update_subscriptions(tx: &mut Tx<'_>, after: &[SubscriptionAfter]) -> Result<u64, Error> {
    let set = [
        ("status", Column::Text(after.iter().map(|subscription| subscription.state.as_str()).collect())),
        (
            "remaining",
            Column::OptI64(after.iter().map(|subscription| subscription.remaining.map(i64::from)).collect()),
        ),
        ("event_number", Column::I64(after.iter().map(|subscription| subscription.event_number).collect())),
    ];
    let ids: Vec<SubscriptionId> = after.iter().map(|subscription| subscription.id).collect();
    tx.update_many("subscriptions", &subscription_keys(&ids), &set, "")
}

/// Parks subscriptions with the reasons why.
pub(super) fn park(tx: &mut Tx<'_>, parked: &[(SubscriptionId, String)]) -> Result<u64, Error> {
    let set = [("parked_reason", Column::Text(parked.iter().map(|parked| parked.1.as_str()).collect()))];
    let ids: Vec<SubscriptionId> = parked.iter().map(|parked| parked.0).collect();
    tx.update_many("subscriptions", &subscription_keys(&ids), &set, "")
}

fn subscription_keys(ids: &[SubscriptionId]) -> [(&'static str, Column<'_>); 2] {
    [
        ("slot", slots(ids.iter().map(SubscriptionId::slot))),
        ("id", Column::Text(ids.iter().map(SubscriptionId::as_str).collect())),
    ]
}

pub(super) fn day_plan(tx: &mut Tx<'_>, scope: &Scope, day: Date) -> Result<Option<(i64, i64)>, Error> {
    let day = day.to_string();
    tx.query_opt(
        "select planned_count, planned_amount from day_plans
         where account_id = $1 and mode = $2 and clock_id = $3 and day = $4",
        &day_key(scope, &day),
    )?
    .map(|row| Ok((row.i64(0)?, row.i64(1)?)))
    .transpose()
}

pub(super) fn insert_day_plan(
    tx: &mut Tx<'_>,
    scope: &Scope,
    day: Date,
    (count, amount): (i64, i64),
) -> Result<(), Error> {
    let day = day.to_string();
    let columns = [
        ("account_id", Column::Text(vec![scope.account.as_str()])),
        ("mode", Column::Text(vec![scope.mode.as_str()])),
        ("clock_id", Column::Text(vec![&scope.clock])),
        ("day", Column::Text(vec![&day])),
        ("planned_count", Column::I64(vec![count])),
        ("planned_amount", Column::I64(vec![amount])),
    ];
    tx.insert_many("day_plans", &columns, OnConflict::Nothing)?;
    Ok(())
}

/// What has been opened on a day so far, by all lanes.
pub(super) fn day_run(tx: &mut Tx<'_>, scope: &Scope, day: Date) -> Result<(i64, i64), Error> {
    let day = day.to_string();
    let row = tx.query_one(
        "select cast(coalesce(sum(opened_count), 0) as bigint), cast(coalesce(sum(opened_amount), 0) as bigint)
         from day_runs where account_id = $1 and mode = $2 and clock_id = $3 and day = $4",
        &day_key(scope, &day),
    )?;
    Ok((row.i64(0)?, row.i64(1)?))
}

/// Adds to what a lane has opened on a day.
pub(super) fn add_to_day_run(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (day, lane): (Date, i64),
    (count, amount): (i64, i64),
) -> Result<(), Error> {
    let day = day.to_string();
    let [account, mode, clock, day] = day_key(scope, &day);
    tx.execute(
        "insert into day_runs (account_id, mode, clock_id, day, lane, opened_count, opened_amount)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (account_id, mode, clock_id, day, lane) do update set
             opened_count = day_runs.opened_count + excluded.opened_count,
             opened_amount = day_runs.opened_amount + excluded.opened_amount",
        &[account, mode, clock, day, Value::I64(lane), Value::I64(count), Value::I64(amount)],
    )?;
    Ok(())
}

fn day_key<'a>(scope: &'a Scope, day: &'a str) -> [Value<'a>; 4] {
    [
        Value::Text(scope.account.as_str()),
        Value::Text(scope.mode.as_str()),
        Value::Text(&scope.clock),
        Value::Text(day),
    ]
}

/// Count and sum of what is on the work list in `[from, until)`.
pub(super) fn planned(
    tx: &mut Tx<'_>,
    scope: &Scope,
    from: Timestamp,
    until: Timestamp,
) -> Result<(i64, i64), Error> {
    let row = tx.query_one(
        "select count(*), cast(coalesce(sum(amount), 0) as bigint) from invoices
         where account_id = $1 and mode = $2 and clock_id = $3 and next_action_at >= $4 and next_action_at < $5",
        &[
            Value::Text(scope.account.as_str()),
            Value::Text(scope.mode.as_str()),
            Value::Text(&scope.clock),
            Value::I64(from.as_microsecond()),
            Value::I64(until.as_microsecond()),
        ],
    )?;
    Ok((row.i64(0)?, row.i64(1)?))
}

/// An overdue scheduled invoice, as far as counting its missed cycles needs it.
pub(super) struct OverdueRow {
    pub(super) anchor: Anchor,
    pub(super) interval: Interval,
    pub(super) cycle: u32,
    pub(super) amount: i64,
    pub(super) plan_amount: i64,
    pub(super) remaining: Option<i64>,
}

/// The due invoices that are scheduled ones, with what counting their missed cycles needs.
pub(super) fn overdue(tx: &mut Tx<'_>, due: &[Due]) -> Result<Vec<OverdueRow>, Error> {
    let rows = tx.select_many(
        "select s.anchor_on, s.anchor_time, p.interval_unit, p.interval_count, i.cycle, i.amount, p.amount, s.remaining
         from invoices i
         join subscriptions s on s.slot = i.slot and s.id = i.subscription_id
         join plans p on p.account_id = s.account_id and p.mode = s.mode and p.id = s.plan_id
         where i.slot = $1 and i.id = $2 and i.status = 'scheduled'",
        &[
            slots(due.iter().map(|due| due.invoice.slot())),
            Column::Text(due.iter().map(|due| due.invoice.as_str()).collect()),
        ],
    )?;
    rows.iter()
        .map(|(_, row)| {
            let time = row
                .opt_str(1)?
                .map(|time| time.parse().map_err(|_| unreadable("subscriptions.anchor_time", "a time", time)))
                .transpose()?;
            let unit: Unit = parsed(row, 2, "plans.interval_unit", "a unit")?;
            Ok(OverdueRow {
                anchor: Anchor {
                    on: parsed(row, 0, "subscriptions.anchor_on", "a date")?,
                    at: time,
                    cycle: 0,
                },
                interval: Interval::try_new(unit, row.i64(3)?)
                    .map_err(|_| unreadable("plans.interval_count", "a count", "another number"))?,
                cycle: count(row, 4, "invoices.cycle")?,
                amount: row.i64(5)?,
                plan_amount: row.i64(6)?,
                remaining: row.opt_i64(7)?,
            })
        })
        .collect()
}
