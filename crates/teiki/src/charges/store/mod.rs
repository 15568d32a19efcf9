//! SQL of charges and of what settling them writes; [`checks`] has the list of those that are not final.

use billing::charge::State;
use billing::decline::DeclineClass;
use billing::dunning;
use billing::id::{AccountId, ChargeId, DerivationKey, DunningCaseId, InvoiceId, SubscriptionId};
use billing::mode::Mode;
use billing::money::{Currency, Money};
use billing::{invoice, subscription};
use db::{Column, Error, OnConflict, Row, Tx, Value};
use jiff::Timestamp;

use super::{NewCase, ResolvedBy};
use crate::actor::Actor;
use crate::stored::{opt_instant, parsed, slots, unreadable};

pub(super) mod checks;
pub(super) mod new;
pub(super) mod shown;
pub(super) mod three_d_secure;

/// A locked subscription, as far as settling needs it.
pub(super) struct SubscriptionRow {
    pub(super) id: SubscriptionId,
    pub(super) account: AccountId,
    pub(super) mode: Mode,
    pub(super) state: subscription::State,
    pub(super) failure_pauses: bool,
    pub(super) remaining: Option<i64>,
    pub(super) event_number: i64,
    pub(super) plan: String,
    pub(super) quantity: i64,
    pub(super) period: (i64, i64),
    pub(super) paused_at: Option<i64>,
    pub(super) resumed_at: Option<i64>,
}

pub(super) fn lock_subscriptions(
    tx: &mut Tx<'_>,
    ids: &[SubscriptionId],
) -> Result<Vec<SubscriptionRow>, Error> {
    let keys = [
        slots(ids.iter().map(SubscriptionId::slot)),
        Column::Text(ids.iter().map(SubscriptionId::as_str).collect()),
    ];
    let rows = tx.lock_many(
        "select id, account_id, mode, status, cancel_reason, remaining, event_number, renewal_failure,
                plan_id, period_start, period_end, quantity, paused_at, resumed_at
         from subscriptions where slot = $1 and id = $2",
        &keys,
    )?;
    rows.iter()
        .map(|(_, row)| {
            let state = subscription::State::from_stored(row.str(3)?, row.opt_str(4)?).ok_or_else(|| {
                unreadable("subscriptions.status", "a status", row.str(3).unwrap_or_default())
            })?;
            Ok(SubscriptionRow {
                id: parsed(row, 0, "subscriptions.id", "an id")?,
                account: parsed(row, 1, "subscriptions.account_id", "an id")?,
                mode: parsed(row, 2, "subscriptions.mode", "a mode")?,
                state,
                failure_pauses: row.str(7)? == "payjp",
                remaining: row.opt_i64(5)?,
                event_number: row.i64(6)?,
                plan: row.text(8)?,
                period: (row.i64(9)?, row.i64(10)?),
                quantity: row.i64(11)?,
                paused_at: row.opt_i64(12)?,
                resumed_at: row.opt_i64(13)?,
            })
        })
        .collect()
}

/// A locked invoice of a single sale, as far as settling needs it.
pub(super) struct SaleRow {
    pub(super) id: InvoiceId,
    pub(super) account: AccountId,
    pub(super) mode: Mode,
    pub(super) event_number: i64,
}

pub(super) fn lock_sales(tx: &mut Tx<'_>, ids: &[InvoiceId]) -> Result<Vec<SaleRow>, Error> {
    let keys =
        [slots(ids.iter().map(InvoiceId::slot)), Column::Text(ids.iter().map(InvoiceId::as_str).collect())];
    let rows = tx.lock_many(
        "select id, account_id, mode, event_number from invoices where slot = $1 and id = $2",
        &keys,
    )?;
    rows.iter()
        .map(|(_, row)| {
            Ok(SaleRow {
                id: parsed(row, 0, "invoices.id", "an id")?,
                account: parsed(row, 1, "invoices.account_id", "an id")?,
                mode: parsed(row, 2, "invoices.mode", "a mode")?,
                event_number: row.i64(3)?,
            })
        })
        .collect()
}

pub(super) fn last_of_sale(tx: &mut Tx<'_>, invoice: InvoiceId) -> Result<i64, Error> {
    let row = tx.query_opt(
        "select event_number from invoices where slot = $1 and id = $2",
        &[Value::I64(invoice.slot().as_i64()), Value::Text(invoice.as_str())],
    )?;
    row.map_or(Ok(0), |row| row.i64(0))
}

/// Numbers the histories of sales on: each invoice with the number of its last event.
pub(super) fn number_sales(tx: &mut Tx<'_>, sales: &[(InvoiceId, i64)]) -> Result<u64, Error> {
    let ids: Vec<InvoiceId> = sales.iter().map(|sale| sale.0).collect();
    let set = [("event_number", Column::I64(sales.iter().map(|sale| sale.1).collect()))];
    tx.update_many("invoices", &invoice_keys(&ids), &set, "")
}

/// Numbers the history of one subscription on.
pub(super) fn number_subscription(tx: &mut Tx<'_>, id: SubscriptionId, number: i64) -> Result<u64, Error> {
    tx.execute(
        "update subscriptions set event_number = $3 where slot = $1 and id = $2",
        &[Value::I64(id.slot().as_i64()), Value::Text(id.as_str()), Value::I64(number)],
    )
}

/// A charge with its invoice, as far as settling needs them.
pub(super) struct ChargeRow {
    pub(super) id: ChargeId,
    pub(super) state: State,
    pub(super) amount: Money,
    pub(super) surplus: bool,
    pub(super) frozen: bool,
    pub(super) tries: i64,
    pub(super) gateway_charge_id: Option<String>,
    /// Why it failed; of one that is unknown, what the gateway said to a repeat of its request.
    pub(super) decline: Option<(String, DeclineClass)>,
    pub(super) absent_at: Option<Timestamp>,
    pub(super) last_sent_at: Option<Timestamp>,
    pub(super) invoice: InvoiceId,
    pub(super) invoice_state: invoice::State,
    pub(super) invoice_amount_paid: i64,
    /// Tax of an invoice whose issue or end posts something now: one that was made inside a request is posted when it is
    /// paid, one on which a subscription waits is taken back when it becomes void.
    pub(super) invoice_tax: Option<String>,
    /// Whether the invoice was made inside a request.
    pub(super) in_request: bool,
    /// Whether a request made the charge.
    pub(super) by_request: bool,
    /// What the payment of the invoice does to its subscription, which waits for it.
    pub(super) on_paid: Option<String>,
}

pub(super) fn charges_with_invoices(
    tx: &mut Tx<'_>,
    ids: &[ChargeId],
) -> Result<Vec<(usize, ChargeRow)>, Error> {
    let keys =
        [slots(ids.iter().map(ChargeId::slot)), Column::Text(ids.iter().map(ChargeId::as_str).collect())];
    let rows = tx.select_many(
        "select c.id, c.status, c.amount, c.currency, c.surplus, c.frozen, c.tries, c.gateway_charge_id, c.absent_at,
                i.id, i.status, i.amount_paid, c.last_sent_at, i.in_request,
                case when i.in_request or i.on_paid is not null then i.tax end, i.on_paid, c.actor,
                c.failure_code, c.failure_class
         from charges c join invoices i on i.slot = c.slot and i.id = c.invoice_id
         where c.slot = $1 and c.id = $2",
        &keys,
    )?;
    rows.iter().map(|(key, row)| Ok((*key, charge_of(row)?))).collect()
}

fn charge_of(row: &Row) -> Result<ChargeRow, Error> {
    let state = |i, column| row.str(i).map(|name: &str| (name.to_owned(), column));
    let (status, column) = state(1, "charges.status")?;
    let (invoice_status, invoice_column) = state(10, "invoices.status")?;
    let currency: Currency = parsed(row, 3, "charges.currency", "a currency")?;
    Ok(ChargeRow {
        id: parsed(row, 0, "charges.id", "an id")?,
        state: State::from_stored(&status).ok_or_else(|| unreadable(column, "a status", &status))?,
        amount: Money::new(row.i64(2)?, currency),
        surplus: row.bool(4)?,
        frozen: row.bool(5)?,
        tries: row.i64(6)?,
        gateway_charge_id: row.opt_text(7)?,
        decline: decline_of(row, 17, 18)?,
        absent_at: opt_instant(row, 8, "charges.absent_at")?,
        last_sent_at: opt_instant(row, 12, "charges.last_sent_at")?,
        invoice: parsed(row, 9, "invoices.id", "an id")?,
        invoice_state: invoice::State::from_stored(&invoice_status)
            .ok_or_else(|| unreadable(invoice_column, "a status", &invoice_status))?,
        invoice_amount_paid: row.i64(11)?,
        in_request: row.bool(13)?,
        invoice_tax: row.opt_text(14)?,
        on_paid: row.opt_text(15)?,
        by_request: row.str(16)? == Actor::Api.as_str(),
    })
}

/// A code and its class; column `code` is null where nothing was declined.
fn decline_of(row: &Row, code: usize, class: usize) -> Result<Option<(String, DeclineClass)>, Error> {
    let (Some(code), Some(class)) = (row.opt_text(code)?, row.opt_str(class)?) else {
        return Ok(None);
    };
    let unreadable = || unreadable("charges.failure_class", "a class", class);
    DeclineClass::from_stored(class).map(|class| Some((code, class))).ok_or_else(unreadable)
}

/// Open invoices of each subscription, in the order of `ids`.
pub(super) fn open_invoices(tx: &mut Tx<'_>, ids: &[SubscriptionId]) -> Result<Vec<i64>, Error> {
    let keys = [
        slots(ids.iter().map(SubscriptionId::slot)),
        Column::Text(ids.iter().map(SubscriptionId::as_str).collect()),
    ];
    let rows = tx.select_many(
        "select count(*) from invoices where slot = $1 and subscription_id = $2 and status = 'open'",
        &keys,
    )?;
    rows.iter().map(|(_, row)| row.i64(0)).collect()
}

/// A charge that has become final.
pub(super) struct FinalCharge {
    pub(super) id: ChargeId,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) surplus: bool,
    pub(super) gateway_charge_id: Option<String>,
    pub(super) decline: Option<(String, DeclineClass)>,
    pub(super) resolved_by: Option<ResolvedBy>,
}

/// Writes final states. The number of rows changed tells whether all were still in the state that was read.
pub(super) fn finish_charges(tx: &mut Tx<'_>, charges: &[FinalCharge], now: Timestamp) -> Result<u64, Error> {
    let keys = [
        ("slot", slots(charges.iter().map(|charge| charge.id.slot()))),
        ("id", Column::Text(charges.iter().map(|charge| charge.id.as_str()).collect())),
        ("status", Column::Text(charges.iter().map(|charge| charge.from.as_str()).collect())),
    ];
    let declines: Vec<_> = charges.iter().map(|charge| charge.decline.as_ref()).collect();
    let [failure_code, failure_class] = failure(&declines);
    let set = [
        ("status", Column::Text(charges.iter().map(|charge| charge.to.as_str()).collect())),
        ("surplus", Column::Bool(charges.iter().map(|charge| charge.surplus).collect())),
        (
            "gateway_charge_id",
            Column::OptText(charges.iter().map(|charge| charge.gateway_charge_id.as_deref()).collect()),
        ),
        failure_code,
        failure_class,
        ("check_at", Column::OptI64(charges.iter().map(|_| None).collect())),
        ("settled_at", Column::I64(charges.iter().map(|_| now.as_microsecond()).collect())),
        (
            "resolved_by",
            Column::OptText(
                charges.iter().map(|charge| charge.resolved_by.map(ResolvedBy::as_str)).collect(),
            ),
        ),
    ];
    tx.update_many("charges", &keys, &set, "")
}

/// The two columns of what was declined.
fn failure<'a>(declines: &[Option<&'a (String, DeclineClass)>]) -> [(&'static str, Column<'a>); 2] {
    let codes = declines.iter().map(|decline| decline.map(|decline| decline.0.as_str()));
    let classes = declines.iter().map(|decline| decline.map(|decline| decline.1.as_str()));
    [
        ("failure_code", Column::OptText(codes.collect())),
        ("failure_class", Column::OptText(classes.collect())),
    ]
}

/// A charge that is still not final.
pub(super) struct OpenCharge {
    pub(super) id: ChargeId,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) frozen: bool,
    pub(super) gateway_charge_id: Option<String>,
    pub(super) decline: Option<(String, DeclineClass)>,
    pub(super) note: Option<String>,
    pub(super) last_sent_at: Option<Timestamp>,
    pub(super) absent_at: Option<Timestamp>,
    pub(super) tries: i64,
    /// When to look again; a reserved amount waits for a person.
    pub(super) check_at: Option<Timestamp>,
}

pub(super) fn update_open_charges(tx: &mut Tx<'_>, charges: &[OpenCharge]) -> Result<u64, Error> {
    let keys = [
        ("slot", slots(charges.iter().map(|charge| charge.id.slot()))),
        ("id", Column::Text(charges.iter().map(|charge| charge.id.as_str()).collect())),
        ("status", Column::Text(charges.iter().map(|charge| charge.from.as_str()).collect())),
    ];
    let declines: Vec<_> = charges.iter().map(|charge| charge.decline.as_ref()).collect();
    let [failure_code, failure_class] = failure(&declines);
    let set = [
        ("status", Column::Text(charges.iter().map(|charge| charge.to.as_str()).collect())),
        ("frozen", Column::Bool(charges.iter().map(|charge| charge.frozen).collect())),
        (
            "gateway_charge_id",
            Column::OptText(charges.iter().map(|charge| charge.gateway_charge_id.as_deref()).collect()),
        ),
        failure_code,
        failure_class,
        ("note", Column::OptText(charges.iter().map(|charge| charge.note.as_deref()).collect())),
        (
            "absent_at",
            Column::OptI64(
                charges.iter().map(|charge| charge.absent_at.map(Timestamp::as_microsecond)).collect(),
            ),
        ),
        (
            "last_sent_at",
            Column::OptI64(
                charges.iter().map(|charge| charge.last_sent_at.map(Timestamp::as_microsecond)).collect(),
            ),
        ),
        ("tries", Column::I64(charges.iter().map(|charge| charge.tries).collect())),
        (
            "check_at",
            Column::OptI64(
                charges.iter().map(|charge| charge.check_at.map(Timestamp::as_microsecond)).collect(),
            ),
        ),
    ];
    tx.update_many("charges", &keys, &set, "")
}

/// An invoice that its charge has collected.
pub(super) struct PaidInvoice {
    pub(super) id: InvoiceId,
    pub(super) amount_paid: i64,
}

pub(super) fn pay_invoices(tx: &mut Tx<'_>, invoices: &[PaidInvoice], at: Timestamp) -> Result<u64, Error> {
    let set = [
        ("status", Column::Text(invoices.iter().map(|_| invoice::State::Paid.as_str()).collect())),
        ("amount_paid", Column::I64(invoices.iter().map(|invoice| invoice.amount_paid).collect())),
        ("paid_at", Column::I64(invoices.iter().map(|_| at.as_microsecond()).collect())),
        ("next_action_at", Column::OptI64(invoices.iter().map(|_| None).collect())),
    ];
    let ids: Vec<InvoiceId> = invoices.iter().map(|invoice| invoice.id).collect();
    tx.update_many("invoices", &invoice_keys(&ids), &set, "status in ('open', 'uncollectible')")
}

/// Gives up open invoices: nothing is owed any more.
pub(super) fn void_invoices(tx: &mut Tx<'_>, invoices: &[InvoiceId]) -> Result<u64, Error> {
    let set = [
        ("status", Column::Text(invoices.iter().map(|_| invoice::State::Void.as_str()).collect())),
        ("next_action_at", Column::OptI64(invoices.iter().map(|_| None).collect())),
    ];
    tx.update_many("invoices", &invoice_keys(invoices), &set, "status = 'open'")
}

/// Nothing waits for the payment of these invoices any more.
pub(super) fn forget_on_paid(tx: &mut Tx<'_>, invoices: &[InvoiceId]) -> Result<u64, Error> {
    let set = [("on_paid", Column::OptText(invoices.iter().map(|_| None).collect()))];
    tx.update_many("invoices", &invoice_keys(invoices), &set, "")
}

/// Puts open invoices back on the work list.
pub(super) fn charge_again(tx: &mut Tx<'_>, invoices: &[InvoiceId], at: Timestamp) -> Result<u64, Error> {
    let set = [("next_action_at", Column::I64(invoices.iter().map(|_| at.as_microsecond()).collect()))];
    tx.update_many("invoices", &invoice_keys(invoices), &set, "status = 'open'")
}

fn invoice_keys(ids: &[InvoiceId]) -> [(&'static str, Column<'_>); 2] {
    [
        ("slot", slots(ids.iter().map(InvoiceId::slot))),
        ("id", Column::Text(ids.iter().map(InvoiceId::as_str).collect())),
    ]
}

/// A subscription as it is after settling.
pub(super) struct SubscriptionAfter {
    pub(super) id: SubscriptionId,
    pub(super) state: subscription::State,
    pub(super) event_number: i64,
}

pub(super) fn update_subscriptions(tx: &mut Tx<'_>, after: &[SubscriptionAfter]) -> Result<u64, Error> {
    let keys = [
        ("slot", slots(after.iter().map(|subscription| subscription.id.slot()))),
        ("id", Column::Text(after.iter().map(|subscription| subscription.id.as_str()).collect())),
    ];
    let reason = |subscription: &SubscriptionAfter| {
        subscription.state.cancel_reason().map(subscription::CancelReason::as_str)
    };
    let set = [
        ("status", Column::Text(after.iter().map(|subscription| subscription.state.as_str()).collect())),
        ("cancel_reason", Column::OptText(after.iter().map(reason).collect())),
        ("event_number", Column::I64(after.iter().map(|subscription| subscription.event_number).collect())),
    ];
    tx.update_many("subscriptions", &keys, &set, "")
}

/// Opens cases; an invoice that has one already keeps it.
pub(super) fn open_cases(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    cases: &[NewCase],
    at: Timestamp,
) -> Result<(), Error> {
    let ids: Vec<_> = cases
        .iter()
        .map(|case| DunningCaseId::derive(key, case.invoice.as_str(), case.invoice.slot(), at, 0))
        .collect();
    let columns = [
        ("slot", slots(ids.iter().map(DunningCaseId::slot))),
        ("id", Column::Text(ids.iter().map(DunningCaseId::as_str).collect())),
        ("account_id", Column::Text(cases.iter().map(|case| case.account.as_str()).collect())),
        ("mode", Column::Text(cases.iter().map(|case| case.mode.as_str()).collect())),
        ("subscription_id", Column::Text(cases.iter().map(|case| case.subscription.as_str()).collect())),
        ("invoice_id", Column::Text(cases.iter().map(|case| case.invoice.as_str()).collect())),
        ("status", Column::Text(cases.iter().map(|_| dunning::State::Open.as_str()).collect())),
        ("failure_code", Column::Text(cases.iter().map(|case| case.decline.0.as_str()).collect())),
        ("failure_class", Column::Text(cases.iter().map(|case| case.decline.1.as_str()).collect())),
        ("opened_at", Column::I64(cases.iter().map(|_| at.as_microsecond()).collect())),
    ];
    tx.insert_many("dunning_cases", &columns, OnConflict::Nothing)?;
    Ok(())
}

/// Closes the open cases of these invoices; most have none.
pub(super) fn close_cases(
    tx: &mut Tx<'_>,
    (invoices, state): (&[InvoiceId], dunning::State),
    at: Timestamp,
) -> Result<u64, Error> {
    let keys = [
        ("slot", slots(invoices.iter().map(InvoiceId::slot))),
        ("invoice_id", Column::Text(invoices.iter().map(InvoiceId::as_str).collect())),
    ];
    let set = [
        ("status", Column::Text(invoices.iter().map(|_| state.as_str()).collect())),
        ("closed_at", Column::I64(invoices.iter().map(|_| at.as_microsecond()).collect())),
    ];
    tx.update_many("dunning_cases", &keys, &set, "status = 'open'")
}
