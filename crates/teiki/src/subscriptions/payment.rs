//! The payment that a request about a subscription needs: a bill of its own, or the oldest open invoice.
//!
//! Writes the intent; `charges::request` sends it. Until it is known the subscription waits.

use billing::agreement::Bill;
use billing::event::History;
use billing::id::{ChargeId, InvoiceId};
use billing::invoice::change_obligation;
use billing::money::Money;
use db::Tx;
use gateway::ChargeRequest;
use jiff::Timestamp;

use super::applying::scope_of;
use super::requests::{Context, Prepared};
use super::{SubscriptionRow, store};
use crate::actor::Actor;
use crate::charges::settle::Times;
use crate::charges::{self, NewCharge, Outgoing, request};
use crate::customers::Held;
use crate::holds;
use crate::invoices::{self, NewRequested, scheduled};
use crate::payment_methods::{self, MethodRow};
use crate::web::ApiError;

/// The card that a subscription is paid with. Error: its customer has none.
pub(crate) fn card_of(tx: &mut Tx<'_>, customer: &Held) -> Result<MethodRow, ApiError> {
    let message = || format!("The customer {} has no default card: add one first.", customer.id);
    let none = || ApiError::client("doesnt_have_card", message());
    let id = customer.default_card().ok_or_else(none)?;
    payment_methods::find(tx, customer.side, id)?.filter(|method| !method.is_deleted).ok_or_else(none)
}

/// Charges a bill that the request makes.
pub(super) fn pay_bill(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    customer: &Held,
    (row, bill, on_paid): (&mut SubscriptionRow, &Bill, String),
) -> Result<Prepared, ApiError> {
    row.change_count += 1;
    let times = Times { billing: customer.billing, real: context.now };
    let invoice = requested(context, customer, row, (bill, step_plan(bill), on_paid));
    invoices::insert_requested(tx, &scope_of(context.side, row), &invoice, times)?;
    let due = Due { invoice: invoice.id, number: 1, amount: bill.amount, due_at: customer.billing };
    wait_for(tx, context, customer, (row, due))
}

fn step_plan(bill: &Bill) -> String {
    bill.lines.first().map(|line| line.plan.clone()).unwrap_or_default()
}

fn requested(
    context: &Context<'_>,
    customer: &Held,
    row: &SubscriptionRow,
    (bill, plan, on_paid): (&Bill, String, String),
) -> NewRequested {
    let obligation = change_obligation(row.id, u32::try_from(row.change_count).unwrap_or(u32::MAX));
    NewRequested {
        id: InvoiceId::derive(context.key, &obligation, row.id.slot(), customer.billing, 0),
        customer: Some(row.customer.clone()),
        subscription: Some(row.id),
        plan: Some(plan),
        obligation,
        cycle: bill.cycle.number,
        amount: bill.amount,
        lines: bill.lines.clone(),
        tax: bill.tax.clone(),
        due_on: bill.cycle.on,
        period: (bill.cycle.period.start, bill.cycle.period.end),
        on_paid: Some(on_paid),
    }
}

/// Charges the open invoice that was due first, once more. Error: its last charge is not known yet.
pub(super) fn pay_oldest(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    customer: &Held,
    (row, on_paid): (&mut SubscriptionRow, String),
) -> Result<Prepared, ApiError> {
    let Some(open) = scheduled::oldest_open(tx, row.id)? else {
        return Err(ApiError::client("invoice_not_open", "The subscription has no open invoice."));
    };
    let number = open.charge_count + 1;
    scheduled::charge_open(tx, open.id, number, &on_paid)?;
    let due = Due { invoice: open.id, number, amount: open.owed, due_at: open.due_at };
    wait_for(tx, context, customer, (row, due))
}

/// What is to be charged.
struct Due {
    invoice: InvoiceId,
    number: u32,
    amount: Money,
    due_at: Timestamp,
}

/// Writes the charge; the subscription waits for it.
fn wait_for(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    customer: &Held,
    (row, due): (&mut SubscriptionRow, Due),
) -> Result<Prepared, ApiError> {
    if let Some(hold) = holds::active(tx, context.side.0)? {
        return Err(ApiError::held(&hold.reason));
    }
    let method = card_of(tx, customer)?;
    row.pending_invoice = Some(due.invoice.to_string());
    if let Some(scheduled) = scheduled::find(tx, row)? {
        scheduled::set_action(tx, scheduled.id, None)?;
    }
    store::save(tx, row)?;
    let charge = new_charge(context, row, &due, &method)?;
    let times = Times { billing: customer.billing, real: context.now };
    charges::insert(tx, &scope_of(context.side, row), std::slice::from_ref(&charge), times).map_err(
        |error| {
            if error.violates("charges_open") {
                let message =
                    format!("A payment of invoice {} is being confirmed; try again later.", due.invoice);
                ApiError::conflict("payment_in_progress", message)
            } else {
                ApiError::from(error)
            }
        },
    )?;
    let outgoing = Outgoing {
        charge: charge.id,
        history: History::Subscription(row.id),
        connection: charge.connection,
        is_late: false,
        not_after: request::not_after(context.now),
        request: ChargeRequest {
            reference: charge.id,
            idempotency_key: charge.idempotency_key,
            token: method.gateway_token.expose().to_owned(),
            amount: due.amount,
            capture: true,
            billing_time: customer.billing,
        },
        aloft: context.line.flights().take_off(charge.id),
    };
    Ok(Prepared::Charge(row.id, Box::new(outgoing), customer.billing))
}

fn new_charge(
    context: &Context<'_>,
    row: &SubscriptionRow,
    due: &Due,
    method: &MethodRow,
) -> Result<NewCharge, ApiError> {
    let id =
        ChargeId::derive(context.key, due.invoice.as_str(), row.id.slot(), due.due_at, due.number.into());
    Ok(NewCharge {
        id,
        customer: Some(row.customer.clone()),
        subscription: Some(row.id),
        invoice: due.invoice,
        payment_method: method.id,
        connection: method.connection,
        number: due.number.into(),
        amount: due.amount,
        idempotency_key: context.key.idempotency_key(method.connection.as_str(), id),
        actor: Actor::Api.as_str(),
        check_at: request::check_at(context.line, (method.connection, context.side.1), context.now)?,
    })
}
