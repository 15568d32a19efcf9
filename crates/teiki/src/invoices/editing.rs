//! What a person does to an invoice without a charge: move and reprice a scheduled one, skip one, mark one as paid.
//!
//! One transaction each: hold the customer and the subscription, ask the rules, write. An invoice is closed only while
//! no charge of it is under way: a charge that turns out to have succeeded later is surplus and raises an alarm. One that was
//! given up with its subscription may still be marked as paid.

use billing::agreement;
use billing::event::Kind;
use billing::id::SubscriptionId;
use billing::invoice::{State, adjusted};
use billing::ledger::Entry;
use billing::money::Money;
use billing::renewal::{Next, Terms};
use billing::settlement::{self, ByHand, OfSubscription, Settled};
use db::Tx;
use jiff::Timestamp;

use super::{ShownRow, not_open, scheduled, store, view};
use crate::charges;
use crate::charges::settle::Times;
use crate::clocks;
use crate::customers::Held;
use crate::ledger::{self, NewEntry};
use crate::renewals::day_plan;
use crate::subscriptions::applying::{apply, scope_of, tell};
use crate::subscriptions::on_paid::Stamps;
use crate::subscriptions::present::Present;
use crate::subscriptions::requests::{Context, lock, refused, refused_of};
use crate::subscriptions::{self, SubscriptionRow, must_be_free};
use crate::web::ApiError;

/// The numbers of ledger entries that close an invoice begin here: those of its issue come before, at the same instant
/// under a clock that stands still.
const CLOSING_ENTRY: u64 = 1_000;

/// What is changed of a scheduled invoice.
#[derive(Clone, Debug, Default)]
pub(super) struct Edit {
    /// When it is charged.
    pub(super) due_at: Option<Timestamp>,
    /// In minor units.
    pub(super) amount: Option<i64>,
    /// The merchant's note; `Some(None)` clears it.
    pub(super) memo: Option<Option<String>>,
}

/// An invoice of a subscription, with everything held that it takes to change it.
struct Taken {
    invoice: ShownRow,
    customer: Held,
    row: SubscriptionRow,
    present: Present,
}

/// Moves and reprices a scheduled invoice.
pub(super) fn edit(tx: &mut Tx<'_>, context: &Context<'_>, id: &str, edit: &Edit) -> Result<(), ApiError> {
    let Taken { invoice, customer, mut row, present } = take(tx, context, id, not_scheduled)?;
    let stored = present.scheduled.as_ref().filter(|scheduled| scheduled.id == invoice.id);
    let Some(stored) = stored else {
        return Err(not_scheduled(id, invoice.state));
    };
    let terms = Terms { account: &context.account.terms, calendar: row.calendar };
    let mut next = stored.next.clone();
    if let Some(at) = edit.due_at {
        let window =
            agreement::charge_window(&terms, &present.agreement(&row)?).map_err(refused_of(row.id))?;
        let from = window.start.max(whole_second(customer.billing));
        if !(from..window.end).contains(&at) {
            return Err(outside((from, window.end)));
        }
        next.cycle.charge_at = at;
        next.cycle.on = context.account.terms.zone.day_of(at);
    }
    if let Some(amount) = edit.amount {
        next = repriced(next, amount)?;
    }
    let memo = edit.memo.clone().unwrap_or_else(|| invoice.memo.clone());
    store::move_scheduled(tx, invoice.id, &next, memo.as_deref())?;
    let scope = scope_of(context.side, &row);
    let added = day_plan::added(&context.account.terms, &stored.next, &next);
    day_plan::raise(tx, &scope, &context.account.terms, (next.cycle.charge_at, added))?;
    subscriptions::applying::put_back(tx, &scope, &row)?;
    let times = Times { billing: customer.billing, real: context.now };
    tell_invoice(tx, context, (&mut row, &invoice), Kind::InvoiceUpdated, times)?;
    Ok(subscriptions::save(tx, &row)?)
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn repriced(next: Next, amount: i64) -> Result<Next, ApiError> {
    let amount = agreement::valid_amount(Money::new(amount, next.amount.currency)).map_err(refused)?;
    let lines = adjusted(&next.lines, amount)
        .ok_or_else(|| ApiError::inside("the lines of an invoice do not add up"))?;
    Ok(Next { amount, lines, ..next })
}

fn outside((from, until): (Timestamp, Timestamp)) -> ApiError {
    let message = format!(
        "Invalid due_at: this invoice is charged from {from} on and before {until}, so that its cycle has one charge."
    );
    ApiError::param("invalid_due_at", "due_at", message)
}

/// Skips an invoice: a scheduled one, so that the next cycle is the next to be charged; or an open one, which nobody owes
/// any longer.
pub(super) fn skip(tx: &mut Tx<'_>, context: &Context<'_>, id: &str, reason: &str) -> Result<(), ApiError> {
    let mut taken = take(tx, context, id, not_open)?;
    match taken.invoice.state {
        State::Scheduled => skip_scheduled(tx, context, &mut taken, reason),
        State::Open => close_open(tx, context, &mut taken, (ByHand::Waived, reason, None)),
        State::Paid | State::Void | State::Uncollectible => Err(not_open(id, taken.invoice.state)),
    }
}

fn skip_scheduled(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    taken: &mut Taken,
    reason: &str,
) -> Result<(), ApiError> {
    let Taken { invoice, customer, row, present } = taken;
    if present.scheduled.as_ref().is_none_or(|scheduled| scheduled.id != invoice.id) {
        return Err(not_scheduled(invoice.id.as_str(), invoice.state));
    }
    let terms = Terms { account: &context.account.terms, calendar: row.calendar };
    let course = agreement::skip(&terms, &present.agreement(row)?).map_err(refused_of(row.id))?;
    let stamps =
        Stamps { paused_at: row.paused_at, canceled_at: row.canceled_at, resumed_at: row.resumed_at };
    let scope = scope_of(context.side, row);
    apply(tx, context.key, &scope, (row, &course, stamps), context.now)?;
    store::set_reason(tx, invoice.id, reason)?;
    let times = Times { billing: customer.billing, real: context.now };
    tell_invoice(tx, context, (row, invoice), Kind::InvoiceVoided, times)?;
    tell(tx, context.key, context.side, (row, Kind::SubscriptionUpdated), times)?;
    Ok(subscriptions::save(tx, row)?)
}

/// Marks an open invoice, or one that was given up, as paid by other means, at `paid_at` if that is not now. Error: in the
/// future.
pub(super) fn mark_paid(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    id: &str,
    (reason, paid_at): (&str, Option<Timestamp>),
) -> Result<(), ApiError> {
    let how = (ByHand::PaidOutside, reason, paid_at);
    let found = super::find(tx, context.side, id)?;
    if let (State::Uncollectible, Some(subscription)) = (found.state, found.subscription) {
        return recover(tx, context, (id, subscription), how);
    }
    let mut taken = take(tx, context, id, not_open)?;
    if taken.invoice.state != State::Open {
        return Err(not_open(id, taken.invoice.state));
    }
    close_open(tx, context, &mut taken, how)
}

/// How an invoice is closed, why, and when it was paid.
type How<'a> = (ByHand, &'a str, Option<Timestamp>);

/// Closes an open invoice, and the subscription follows.
fn close_open(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    taken: &mut Taken,
    how: How<'_>,
) -> Result<(), ApiError> {
    let Taken { invoice, customer, row, present } = taken;
    let of = OfSubscription {
        state: row.state,
        other_open_invoices: present.open_invoices - 1,
        has_next: row.remaining != Some(0),
        failure_pauses: false,
    };
    close(tx, context, (row, &of, customer.billing), invoice, how)
}

/// A debt that was given up with its subscription is paid after all. The subscription stays as it is, ended.
fn recover(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    (id, subscription): (&str, SubscriptionId),
    how: How<'_>,
) -> Result<(), ApiError> {
    let gone = || ApiError::inside(format!("subscription {subscription} is gone"));
    // The clock first, as everyone who holds both.
    let seen = subscriptions::find_any(tx, context.side, subscription)?.ok_or_else(gone)?;
    let billing = clocks::now_for_change(tx, &seen.clock, context.now)?;
    let mut row = subscriptions::lock(tx, context.side, subscription)?.ok_or_else(gone)?;
    let invoice = super::find(tx, context.side, id)?;
    if invoice.state != State::Uncollectible {
        return Err(not_open(id, invoice.state));
    }
    let of = OfSubscription {
        state: row.state,
        other_open_invoices: scheduled::count_open(tx, row.id)?,
        has_next: false,
        failure_pauses: false,
    };
    close(tx, context, (&mut row, &of, billing), &invoice, how)
}

/// Closes an invoice without a charge. Errors: a charge of it is under way; paid in the future.
fn close(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    (row, of, billing): (&mut SubscriptionRow, &OfSubscription, Timestamp),
    invoice: &ShownRow,
    (how, reason, paid_at): How<'_>,
) -> Result<(), ApiError> {
    if paid_at.is_some_and(|at| at > billing) {
        let message = "Invalid paid_at: it must not be after now.";
        return Err(ApiError::param("invalid_paid_at", "paid_at", message));
    }
    if store::is_being_charged(tx, invoice.id)? {
        let message = format!("A payment of invoice {} is being confirmed; try again later.", invoice.id);
        return Err(ApiError::conflict("payment_in_progress", message));
    }
    let owed = invoice.owed();
    let closed = settlement::close(of, how, (owed, &invoice.tax));
    let (outside, paid_at) = match how {
        ByHand::PaidOutside => (owed.minor, Some(paid_at.unwrap_or(billing))),
        ByHand::Waived => (0, None),
    };
    let times = Times { billing, real: context.now };
    let states = (invoice.state, closed.invoice.unwrap_or(invoice.state));
    if store::close(tx, invoice.id, states, (outside, paid_at))? != 1 {
        let state = invoice.state.as_str();
        return Err(ApiError::inside(format!("invoice {} was {state} a moment ago", invoice.id)));
    }
    store::set_reason(tx, invoice.id, reason)?;
    if let Some(state) = closed.dunning {
        charges::close_cases(tx, (&[invoice.id], state), times.billing)?;
    }
    post(tx, context, invoice, (&closed.entries, times))?;
    follow(tx, context, (row, invoice), &closed, times)
}

fn post(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    invoice: &ShownRow,
    (entries, times): (&[Entry], Times),
) -> Result<(), db::Error> {
    let entries: Vec<NewEntry> = entries
        .iter()
        .zip(CLOSING_ENTRY..)
        .map(|(entry, number)| NewEntry {
            account: context.side.0,
            mode: context.side.1,
            invoice: invoice.id,
            charge: None,
            number,
            entry: *entry,
            at: times.billing,
        })
        .collect();
    ledger::insert(tx, context.key, &entries)
}

/// What the closing does to the subscription, and what is told of it.
fn follow(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    (row, invoice): (&mut SubscriptionRow, &ShownRow),
    closed: &Settled,
    times: Times,
) -> Result<(), ApiError> {
    row.state = closed.subscription.unwrap_or(row.state);
    for &kind in &closed.events {
        if kind.is_about_invoice() {
            tell_invoice(tx, context, (row, invoice), kind, times)?;
        } else {
            tell(tx, context.key, context.side, (row, kind), times)?;
        }
    }
    Ok(subscriptions::save(tx, row)?)
}

/// Holds an invoice's customer and subscription, and reads the invoice again. Errors: there is none, a payment is under way;
/// `refusal` where it is closed, or of a single sale.
fn take(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    id: &str,
    refusal: fn(&str, State) -> ApiError,
) -> Result<Taken, ApiError> {
    let found = super::find(tx, context.side, id)?;
    let subscription = match (found.state, found.subscription) {
        (State::Scheduled | State::Open, Some(subscription)) => subscription,
        (State::Scheduled | State::Open | State::Paid | State::Void | State::Uncollectible, _) => {
            return Err(refusal(id, found.state));
        }
    };
    let (customer, row) = lock(tx, context, subscription.as_str())?;
    must_be_free(&row)?;
    let invoice = super::find(tx, context.side, id)?;
    let present = Present::read(tx, context, &row)?;
    Ok(Taken { invoice, customer, row, present })
}

fn not_scheduled(id: &str, state: State) -> ApiError {
    ApiError::client(
        "invoice_not_scheduled",
        format!("The invoice {id} is {}, not scheduled: it can no longer be changed.", state.as_str()),
    )
}

/// Appends an event about an invoice, with the invoice as it is now. The caller saves the subscription.
fn tell_invoice(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    (row, invoice): (&mut SubscriptionRow, &ShownRow),
    kind: Kind,
    times: Times,
) -> Result<(), ApiError> {
    let shown = view::get(tx, context.key, context.side, invoice.id.as_str())?;
    let data = serde_json::to_value(&shown)
        .map_err(|error| ApiError::inside(format!("an invoice is not JSON: {error}")))?;
    let about = invoice.id.to_string();
    Ok(subscriptions::record(tx, context.key, context.side, (row, kind, about, &data), times)?)
}
