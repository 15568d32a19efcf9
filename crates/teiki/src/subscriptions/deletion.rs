//! Deleting a subscription at once, with the refund of what is left of its period.
//!
//! One transaction: nothing more is billed, what is open is given up, and the intent of the refund is written. The refund
//! is sent afterwards; the subscription stays deleted whatever becomes of it.

use billing::agreement::{self, Paid, Refund};
use billing::event::Kind;
use billing::id::{ChargeId, DerivationKey};
use billing::renewal::Terms;
use db::Tx;
use jiff::Timestamp;
use serde_json::Value;

use super::requests::{Context, lock, refused};
use super::{SubscriptionRow, must_be_free, payment_in_progress, record, store};
use crate::charges::actions::{self, Order};
use crate::charges::collected;
use crate::charges::settle::Times;
use crate::customers::Held;
use crate::invoices::scheduled;
use crate::web::ApiError;

/// Deletes the subscription `id`, and gives the refund that is to be sent: with `prorate`, and where something was paid for
/// the period that runs. `answer` is what the request shows.
pub(super) fn prepare(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    (id, prorate, answer): (&str, bool, &Value),
) -> Result<Option<Order>, ApiError> {
    let (customer, mut row) = lock(tx, context, id)?;
    let order = if prorate { refund(tx, context, &customer, &row)? } else { None };
    delete(tx, context.key, &customer, (&mut row, answer), context.now)?;
    Ok(order)
}

fn refund(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    customer: &Held,
    row: &SubscriptionRow,
) -> Result<Option<Order>, ApiError> {
    match left(tx, context, customer, row)? {
        None => Ok(None),
        Some((charge, refund)) => {
            let what = (context.side, charge, refund.amount);
            actions::prepare_refund(tx, (context.line, context.key), what, context.now).map(Some)
        }
    }
}

/// What a deletion now would give back of which charge. Writes nothing. Error: a payment is under way, of which something
/// might have to be given back.
pub(crate) fn left(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    customer: &Held,
    row: &SubscriptionRow,
) -> Result<Option<(ChargeId, Refund)>, ApiError> {
    if scheduled::is_being_charged(tx, row.id)? {
        return Err(payment_in_progress(row));
    }
    let Some(paid) = collected::of_period(tx, row, customer.billing)? else {
        return Ok(None);
    };
    let terms = Terms { account: &context.account.terms, calendar: row.calendar };
    let rule = Paid {
        period: paid.period,
        amount: paid.amount,
        setup_fee: paid.setup_fee,
        refunded: paid.refunded,
        collected_at: paid.collected_at,
    };
    let left = agreement::refund_left(&terms, &rule, customer.billing).map_err(refused)?;
    Ok(left.map(|refund| (paid.charge, refund)))
}

/// Ends a locked subscription for good. Error: a payment is under way.
pub(super) fn delete(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    customer: &Held,
    (row, answer): (&mut SubscriptionRow, &Value),
    now: Timestamp,
) -> Result<(), ApiError> {
    must_be_free(row)?;
    let times = Times { billing: customer.billing, real: now };
    row.state = agreement::deleted(row.state);
    if let Some(scheduled) = scheduled::find(tx, row)? {
        scheduled::void(tx, scheduled.id)?;
        let told = serde_json::json!({
            "cycle": scheduled.next.cycle.number,
            "amount": scheduled.next.amount.minor,
            "currency": scheduled.next.amount.currency.code(),
        });
        let about = scheduled.id.to_string();
        record(tx, key, customer.side, (row, Kind::InvoiceVoided, about, &told), times)?;
    }
    scheduled::give_up_open(tx, &[row.id], customer.billing)?;
    let about = row.id.to_string();
    record(tx, key, customer.side, (row, Kind::SubscriptionDeleted, about, answer), times)?;
    Ok(store::delete(tx, row, now)?)
}
