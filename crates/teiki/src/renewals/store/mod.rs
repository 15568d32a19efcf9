//! SQL of the work list and of preparing; [`day`] has the plan of the day.

use billing::calendar::{Anchor, Calendar, Interval, Period, Unit};
use billing::id::{AccountId, ConnectionId, InvoiceId, PaymentMethodId, SubscriptionId};
use billing::mode::Mode;
use billing::money::{Currency, Money};
use billing::renewal::Offer;
use billing::subscription::RenewalFailure;
use billing::{invoice, subscription};
use db::{Column, Error, Row, Tx, Value};
use jiff::Timestamp;

use super::{Due, Lane};
use crate::line::Scope;
use crate::stored::{count, instant, opt_instant, parsed, slots, unreadable};

pub(super) mod day;

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
    pub(super) calendar: Calendar,
    pub(super) failure: RenewalFailure,
    pub(super) quantity: u32,
    pub(super) prorate: bool,
    pub(super) anchor: Anchor,
    pub(super) period: Period,
    pub(super) remaining: Option<u32>,
    pub(super) next_cycle: i64,
    pub(super) event_number: i64,
    pub(super) is_parked: bool,
    /// Whether the payment of a request, or a renewal that pauses when it fails, is not known yet.
    pub(super) is_pending: bool,
    pub(super) is_deleted: bool,
    /// Whether a bill of it was issued, so that the next one is without the set-up fee.
    pub(super) is_billed: bool,
    /// When it was stopped and when it went on, in microseconds of billing time: for what is told of it.
    pub(super) moves: (Option<i64>, Option<i64>),
}

pub(super) fn lock_subscriptions(
    tx: &mut Tx<'_>,
    ids: &[SubscriptionId],
) -> Result<Vec<SubscriptionRow>, Error> {
    let rows = tx.lock_many(
        "select id, status, cancel_reason, anchor_on, anchor_time, remaining, event_number, parked_reason, next_cycle,
                calendar, renewal_failure, quantity, prorate, anchor_cycle, period_start, period_end, pending_invoice_id,
                deleted_at, billed, paused_at, resumed_at
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
        calendar: parsed(row, 9, "subscriptions.calendar", "a calendar")?,
        failure: parsed(row, 10, "subscriptions.renewal_failure", "open or payjp")?,
        quantity: count(row, 11, "subscriptions.quantity")?,
        prorate: row.bool(12)?,
        anchor: Anchor {
            on: parsed(row, 3, "subscriptions.anchor_on", "a date")?,
            at: time,
            cycle: count(row, 13, "subscriptions.anchor_cycle")?,
        },
        period: Period {
            start: instant(row, 14, "subscriptions.period_start")?,
            end: instant(row, 15, "subscriptions.period_end")?,
        },
        is_pending: row.opt_str(16)?.is_some(),
        is_deleted: row.opt_i64(17)?.is_some(),
        is_billed: row.bool(18)?,
        moves: (row.opt_i64(19)?, row.opt_i64(20)?),
        remaining,
        event_number: row.i64(6)?,
        is_parked: row.opt_str(7)?.is_some(),
        next_cycle: row.i64(8)?,
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
    /// Once it is open.
    pub(super) tax: Option<String>,
    pub(super) due_at: Timestamp,
    pub(super) next_action_at: Option<Timestamp>,
    pub(super) charge_count: u32,
    pub(super) offer: Offer,
    /// The plan that a reserved switch leads to.
    pub(super) next_offer: Option<Offer>,
    /// The first start of a period that it is reserved for; none is the next renewal.
    pub(super) next_offer_from: Option<Timestamp>,
    /// What it is paid with; none when the customer has no card.
    pub(super) method: Option<Method>,
}

/// What an invoice is paid with.
pub(super) struct Method {
    pub(super) id: PaymentMethodId,
    pub(super) connection: ConnectionId,
    pub(super) gateway_token: String,
}

pub(super) fn invoices(tx: &mut Tx<'_>, due: &[Due]) -> Result<Vec<InvoiceRow>, Error> {
    let rows = tx.select_many(
        "select i.id, i.subscription_id, i.customer_id, i.status, i.cycle, i.amount, i.currency,
                i.amount_paid + i.amount_credited, i.lines, i.due_at, i.next_action_at, i.charge_count,
                m.id, m.connection_id, m.gateway_token, i.period_start, i.period_end,
                p.id, p.amount, p.currency, p.tax_category, p.interval_unit, p.interval_count, p.billing_day, p.instalments,
                n.id, n.amount, n.currency, n.tax_category, n.interval_unit, n.interval_count, n.billing_day, n.instalments,
                s.next_plan_from, i.tax
         from invoices i
         join subscriptions s on s.slot = i.slot and s.id = i.subscription_id
         join plans p on p.account_id = s.account_id and p.mode = s.mode and p.id = s.plan_id
         left join plans n on n.account_id = s.account_id and n.mode = s.mode and n.id = s.next_plan_id
         left join payment_methods m on m.slot = s.slot and m.id = s.payment_method_id
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
    Ok(InvoiceRow {
        id: parsed(row, 0, "invoices.id", "an id")?,
        subscription: parsed(row, 1, "invoices.subscription_id", "an id")?,
        customer: row.text(2)?,
        state: invoice::State::from_stored(status)
            .ok_or_else(|| unreadable("invoices.status", "a status", status))?,
        cycle: count(row, 4, "invoices.cycle")?,
        period: Period {
            start: instant(row, 15, "invoices.period_start")?,
            end: instant(row, 16, "invoices.period_end")?,
        },
        amount: Money::new(row.i64(5)?, currency),
        amount_settled: row.i64(7)?,
        lines: row.text(8)?,
        tax: row.opt_text(34)?,
        due_at: instant(row, 9, "invoices.due_at")?,
        next_action_at: opt_instant(row, 10, "invoices.next_action_at")?,
        charge_count: count(row, 11, "invoices.charge_count")?,
        offer: offer_of(row, 17)?,
        next_offer_from: opt_instant(row, 33, "subscriptions.next_plan_from")?,
        next_offer: if row.opt_str(25)?.is_some() { Some(offer_of(row, 25)?) } else { None },
        method: match row.opt_str(12)? {
            Some(_) => Some(Method {
                id: parsed(row, 12, "payment_methods.id", "an id")?,
                connection: parsed(row, 13, "payment_methods.connection_id", "an id")?,
                gateway_token: row.text(14)?,
            }),
            None => None,
        },
    })
}

/// A plan whose eight columns begin at `first`.
fn offer_of(row: &Row, first: usize) -> Result<Offer, Error> {
    let currency: Currency = parsed(row, first + 2, "plans.currency", "a currency")?;
    let unit: Unit = parsed(row, first + 4, "plans.interval_unit", "a unit")?;
    let number = row.i64(first + 5)?;
    let instalments = match row.opt_i64(first + 7)? {
        Some(_) => Some(count(row, first + 7, "plans.instalments")?),
        None => None,
    };
    Ok(Offer {
        plan: row.text(first)?,
        amount: Money::new(row.i64(first + 1)?, currency),
        tax_category: parsed(row, first + 3, "plans.tax_category", "a tax category")?,
        interval: Interval::try_new(unit, number)
            .map_err(|_| unreadable("plans.interval_count", "a count", &number.to_string()))?,
        billing_day: billing_day(row, first + 6)?,
        instalments,
    })
}

fn billing_day(row: &Row, column: usize) -> Result<Option<u8>, Error> {
    let unfit = |day: i64| unreadable("plans.billing_day", "a day of the month", &day.to_string());
    row.opt_i64(column)?.map(|day| u8::try_from(day).map_err(|_| unfit(day))).transpose()
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

/// Voids scheduled invoices that will not be opened.
pub(super) fn void_scheduled(tx: &mut Tx<'_>, invoices: &[InvoiceId]) -> Result<u64, Error> {
    let set = [
        ("status", Column::Text(invoices.iter().map(|_| invoice::State::Void.as_str()).collect())),
        ("next_action_at", Column::OptI64(invoices.iter().map(|_| None).collect())),
    ];
    tx.update_many("invoices", &invoice_keys(invoices), &set, "status = 'scheduled'")
}

/// Says why nobody could be charged for them.
pub(super) fn set_reason(tx: &mut Tx<'_>, invoices: &[InvoiceId], reason: &str) -> Result<u64, Error> {
    tx.update_many(
        "invoices",
        &invoice_keys(invoices),
        &[("reason", Column::Text(vec![reason; invoices.len()]))],
        "",
    )
}

/// Writes down what the payment of invoices does to their subscriptions, which wait for it.
pub(super) fn wait_for(
    tx: &mut Tx<'_>,
    waiting: &[(SubscriptionId, InvoiceId, String)],
) -> Result<(), Error> {
    let ids: Vec<InvoiceId> = waiting.iter().map(|waiting| waiting.1).collect();
    let set = [("on_paid", Column::Text(waiting.iter().map(|waiting| waiting.2.as_str()).collect()))];
    tx.update_many("invoices", &invoice_keys(&ids), &set, "")?;
    let subscriptions: Vec<SubscriptionId> = waiting.iter().map(|waiting| waiting.0).collect();
    let set =
        [("pending_invoice_id", Column::Text(waiting.iter().map(|waiting| waiting.1.as_str()).collect()))];
    tx.update_many("subscriptions", &subscription_keys(&subscriptions), &set, "")?;
    Ok(())
}

/// A subscription that a renewal has switched to another plan, or given another anchor.
pub(super) struct Switched {
    pub(super) id: SubscriptionId,
    pub(super) plan: String,
    pub(super) anchor: Anchor,
}

pub(super) fn switch(tx: &mut Tx<'_>, switched: &[Switched]) -> Result<u64, Error> {
    let days: Vec<String> = switched.iter().map(|switched| switched.anchor.on.to_string()).collect();
    let times: Vec<Option<String>> =
        switched.iter().map(|switched| switched.anchor.at.map(|time| time.to_string())).collect();
    let set = [
        ("plan_id", Column::Text(switched.iter().map(|switched| switched.plan.as_str()).collect())),
        ("next_plan_id", Column::OptText(vec![None; switched.len()])),
        ("next_plan_from", Column::OptI64(vec![None; switched.len()])),
        ("switch_former", Column::OptText(vec![None; switched.len()])),
        ("anchor_on", Column::Text(days.iter().map(String::as_str).collect())),
        ("anchor_time", Column::OptText(times.iter().map(Option::as_deref).collect())),
        ("anchor_cycle", Column::I64(switched.iter().map(|switched| switched.anchor.cycle.into()).collect())),
    ];
    let ids: Vec<SubscriptionId> = switched.iter().map(|switched| switched.id).collect();
    tx.update_many("subscriptions", &subscription_keys(&ids), &set, "")
}

/// Subscriptions show that they stopped at the billing time `now`.
pub(super) fn pause(tx: &mut Tx<'_>, ids: &[SubscriptionId], now: Timestamp) -> Result<u64, Error> {
    let set = [
        ("paused_at", Column::I64(vec![now.as_microsecond(); ids.len()])),
        ("resumed_at", Column::OptI64(vec![None; ids.len()])),
    ];
    tx.update_many("subscriptions", &subscription_keys(ids), &set, "")
}

/// Marks subscriptions as deleted whose time after a cancel is over.
pub(super) fn delete(tx: &mut Tx<'_>, ids: &[SubscriptionId], now: Timestamp) -> Result<u64, Error> {
    let set = [("deleted_at", Column::I64(vec![now.as_microsecond(); ids.len()]))];
    tx.update_many("subscriptions", &subscription_keys(ids), &set, "")
}

/// A subscription as it is after preparing.
pub(super) struct SubscriptionAfter {
    pub(super) id: SubscriptionId,
    pub(super) state: subscription::State,
    pub(super) period: Period,
    pub(super) remaining: Option<u32>,
    pub(super) next_cycle: i64,
    pub(super) event_number: i64,
    pub(super) is_billed: bool,
}

pub(super) fn update_subscriptions(tx: &mut Tx<'_>, after: &[SubscriptionAfter]) -> Result<u64, Error> {
    let reason = |subscription: &SubscriptionAfter| {
        subscription.state.cancel_reason().map(subscription::CancelReason::as_str)
    };
    let set = [
        ("status", Column::Text(after.iter().map(|subscription| subscription.state.as_str()).collect())),
        ("cancel_reason", Column::OptText(after.iter().map(reason).collect())),
        (
            "remaining",
            Column::OptI64(after.iter().map(|subscription| subscription.remaining.map(i64::from)).collect()),
        ),
        (
            "period_start",
            Column::I64(
                after.iter().map(|subscription| subscription.period.start.as_microsecond()).collect(),
            ),
        ),
        (
            "period_end",
            Column::I64(after.iter().map(|subscription| subscription.period.end.as_microsecond()).collect()),
        ),
        ("billed", Column::Bool(after.iter().map(|subscription| subscription.is_billed).collect())),
        ("next_cycle", Column::I64(after.iter().map(|subscription| subscription.next_cycle).collect())),
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

/// Parked subscriptions of a side that are not deleted, or the one of them that is asked for.
pub(super) fn parked(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    only: Option<&str>,
    limit: i64,
) -> Result<Vec<SubscriptionId>, Error> {
    let rows = tx.query(
        "select id from subscriptions
         where account_id = $1 and mode = $2 and parked_reason is not null and deleted_at is null and id = coalesce($3, id)
         order by slot, id limit $4",
        &[
            Value::Text(side.0.as_str()),
            Value::Text(side.1.as_str()),
            only.map_or(Value::Null, Value::Text),
            Value::I64(limit),
        ],
    )?;
    rows.iter().map(|row| parsed(row, 0, "subscriptions.id", "an id")).collect()
}

/// A subscription is billed again.
pub(super) fn unpark(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<(), Error> {
    tx.execute(
        "update subscriptions set parked_reason = null where slot = $1 and id = $2",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str())],
    )
    .map(|_| ())
}

/// What the schedule was at when it parked a subscription is due at `at`: open invoices whose payment has not failed, and of
/// which no charge is under way.
pub(super) fn put_open_back(tx: &mut Tx<'_>, id: SubscriptionId, at: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update invoices set next_action_at = $3
         where slot = $1 and subscription_id = $2 and status = 'open' and not in_request and next_action_at is null
           and exists (select 1 from subscriptions s where s.slot = $1 and s.id = $2 and s.status in ('active', 'trialing'))
           and not exists (select 1 from charges c where c.slot = $1 and c.invoice_id = invoices.id and c.status in
                           ('prepared', 'sending', 'unknown', 'pending', 'requires_customer', 'authorized'))",
        &[
            Value::I64(id.slot().as_i64()),
            Value::Text(id.as_str()),
            Value::I64(at.as_microsecond()),
        ],
    )
    .map(|_| ())
}

fn subscription_keys(ids: &[SubscriptionId]) -> [(&'static str, Column<'_>); 2] {
    [
        ("slot", slots(ids.iter().map(SubscriptionId::slot))),
        ("id", Column::Text(ids.iter().map(SubscriptionId::as_str).collect())),
    ]
}
