//! Planning one due invoice inside prepare: what is opened, charged and scheduled next.
//!
//! Gathers into [`Writes`]; touches no database. The rules are `billing::renewal`; here their answer becomes
//! rows. `Err` of a step is the reason to park the subscription.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use billing::decline::DeclineClass;
use billing::event::{History, Kind};
use billing::guard::{self, DayTotal};
use billing::id::{ChargeId, ConnectionId, DerivationKey, InvoiceId, SubscriptionId};
use billing::invoice;
use billing::ledger::invoice_voided;
use billing::money::Money;
use billing::renewal::{self, Opening, Running, Scheduled, Terms};
use billing::resolution::Capabilities;
use billing::subscription::{self, CancelReason, RenewalFailure, State};
use gateway::ChargeRequest;
use jiff::{SignedDuration, Timestamp};

use super::prepare::Task;
use super::store::{InvoiceRow, Method, OpenedInvoice, SubscriptionRow, Switched};
use crate::actor::Actor;
use crate::charges::send::{check_after_send, send_until};
use crate::charges::{NewCase, NewCharge, Outgoing};
use crate::events::{self, Moment, NewEvent};
use crate::invoices::{self, NewScheduled};
use crate::ledger::NewEntry;
use crate::line::{Flights, Line};
use crate::subscriptions::applying::micros;
use crate::subscriptions::on_paid::OnPaid;
use crate::web::deleted;

/// The most charges that one invoice may have: far above every retry policy, and an end to any loop.
const CHARGES_MAX: u32 = 100;
/// What is charged so much later than planned makes good for an outage.
const LATE_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// What this process knows of its gateways.
pub(super) struct Known {
    capabilities: BTreeMap<ConnectionId, Capabilities>,
    flights: Flights,
}

impl Known {
    pub(super) fn of(line: &Line) -> Arc<Self> {
        let each = line.connections.iter();
        Arc::new(Self {
            capabilities: each.map(|(id, connection)| (*id, *connection.gateway.capabilities())).collect(),
            flights: line.flights().clone(),
        })
    }
}

/// Everything that one batch writes.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) opened: Vec<OpenedInvoice>,
    pub(super) again: Vec<(InvoiceId, i64)>,
    pub(super) next: Vec<NewScheduled>,
    pub(super) charges: Vec<NewCharge>,
    pub(super) entries: Vec<NewEntry>,
    pub(super) events: Vec<NewEvent>,
    pub(super) voided: Vec<InvoiceId>,
    /// Open invoices of renewals that failed where a failure pauses.
    pub(super) given_up: Vec<(SubscriptionId, InvoiceId)>,
    /// Invoices that there was no card for.
    pub(super) without_card: Vec<InvoiceId>,
    pub(super) waiting: Vec<(SubscriptionId, InvoiceId, String)>,
    pub(super) switched: Vec<Switched>,
    /// Those whose invoice was opened with the plan that was reserved.
    pub(super) with_next_plan: Vec<SubscriptionId>,
    pub(super) paused: Vec<SubscriptionId>,
    pub(super) ended: Vec<SubscriptionId>,
    pub(super) cases: Vec<NewCase>,
    pub(super) parked: Vec<(SubscriptionId, InvoiceId, String)>,
    pub(super) off: Vec<InvoiceId>,
    pub(super) changed: BTreeSet<SubscriptionId>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) day: DayTotal,
}

/// Plans one due invoice. What is no longer due (someone else was here first) is passed over.
pub(super) fn plan(
    key: &DerivationKey,
    task: &Task,
    known: &Known,
    (row, subscription): (&InvoiceRow, &mut SubscriptionRow),
    writes: &mut Writes,
) {
    let is_due = row.next_action_at.is_some_and(|at| at <= task.billing);
    if !is_due {
        return;
    }
    // While a payment is not known no further period begins; then it is put back on the list.
    let must_wait = subscription.is_pending && row.state == invoice::State::Scheduled;
    if subscription.is_parked || subscription.is_deleted || must_wait {
        writes.off.push(row.id);
        return;
    }
    let planned = match row.state {
        invoice::State::Scheduled if has_ended(subscription.state) => {
            end(task, (row, subscription), writes);
            Ok(())
        }
        invoice::State::Scheduled => open(key, task, known, (row, subscription), writes),
        invoice::State::Open => charge_again(key, task, known, (row, subscription), writes),
        invoice::State::Paid | invoice::State::Void | invoice::State::Uncollectible => {
            Err(format!("a {} invoice is on the work list", row.state.as_str()))
        }
    };
    if let Err(reason) = planned {
        subscription.is_parked = true;
        writes.parked.push((row.subscription, row.id, reason));
    }
}

/// Canceled by request: it is deleted when its period is over, which is now.
const fn has_ended(state: State) -> bool {
    matches!(state, State::Canceled(CancelReason::Requested))
}

/// The end after a cancel: nothing more is billed.
fn end(task: &Task, (row, subscription): (&InvoiceRow, &mut SubscriptionRow), writes: &mut Writes) {
    writes.voided.push(row.id);
    writes.ended.push(subscription.id);
    subscription.is_deleted = true;
    append(task, row, subscription, Kind::SubscriptionDeleted, writes);
}

/// Opens a scheduled invoice: the bill, its charge, the next invoice. `Err` is the reason to park.
fn open(
    key: &DerivationKey,
    task: &Task,
    known: &Known,
    (row, subscription): (&InvoiceRow, &mut SubscriptionRow),
    writes: &mut Writes,
) -> Result<(), String> {
    let opening = opening(task, row, subscription)?;
    if opening.needs_charge && row.method.is_none() && subscription.failure == RenewalFailure::Payjp {
        writes.voided.push(row.id);
        pause_without_card(task, (row, subscription), writes);
        return Ok(());
    }
    let charge = match (&row.method, opening.needs_charge) {
        (Some(method), true) => Some(new_charge(key, known, (row, method), 1, row.amount, task)?),
        (None, true) | (_, false) => None,
    };
    writes.day = writes.day.plus(DayTotal { count: 1, amount: row.amount.minor });
    writes.opened.push(OpenedInvoice {
        id: row.id,
        state: if opening.needs_charge { invoice::State::Open } else { invoice::State::Paid },
        tax: invoices::tax_json(&opening.tax),
        charge_count: i64::from(charge.is_some()),
        paid_at: (!opening.needs_charge).then(|| task.billing.as_microsecond()),
    });
    subscription.state = opening.state;
    append(task, row, subscription, Kind::InvoiceOpened, writes);
    go_on(task, (row, subscription), &opening, writes)?;
    if opening.needs_charge && charge.is_none() {
        owe_without_card(task, (row, subscription), writes);
    }
    let entries = opening.entries.iter().zip(0_u64..).map(|(entry, number)| NewEntry {
        account: task.scope.account,
        mode: task.scope.mode,
        invoice: row.id,
        charge: None,
        number,
        entry: *entry,
        at: task.billing,
    });
    writes.entries.extend(entries);
    if let Some(next) = &opening.next {
        subscription.next_cycle = i64::from(next.cycle.number) + 1;
    }
    writes.next.extend(next_invoice(task, row, opening));
    push_charge(known, row, charge, task, writes);
    Ok(())
}

/// What the rules say of a due invoice.
fn opening(task: &Task, row: &InvoiceRow, subscription: &SubscriptionRow) -> Result<Opening, String> {
    let lines =
        serde_json::from_str(&row.lines).map_err(|error| format!("its lines do not read: {error}"))?;
    let terms = Terms { account: &task.terms, calendar: subscription.calendar };
    let running = Running {
        state: subscription.state,
        anchor: subscription.anchor,
        offer: &row.offer,
        quantity: subscription.quantity,
        next_offer: row.next_offer.as_ref(),
        next_offer_from: row.next_offer_from,
        prorate: subscription.prorate,
        remaining: subscription.remaining,
    };
    let scheduled = Scheduled { cycle: row.cycle, period: row.period, amount: row.amount, lines };
    renewal::open(&terms, &running, &scheduled, task.billing).map_err(|refused| refused.to_string())
}

/// What holds of the subscription from now on, or, where a failure would pause it, when the invoice is paid.
fn go_on(
    task: &Task,
    (row, subscription): (&InvoiceRow, &mut SubscriptionRow),
    opening: &Opening,
    writes: &mut Writes,
) -> Result<(), String> {
    let then = &opening.then;
    if then.plan.is_some() {
        writes.with_next_plan.push(subscription.id);
    }
    if opening.needs_charge && subscription.failure == RenewalFailure::Payjp {
        let on_paid = OnPaid::Renewed(then.clone()).to_json().map_err(|error| error.to_string())?;
        writes.waiting.push((subscription.id, row.id, on_paid));
        subscription.is_pending = true;
        return Ok(());
    }
    if then.plan.is_some() || then.anchor != subscription.anchor {
        let plan = then.plan.clone().unwrap_or_else(|| row.offer.plan.clone());
        writes.switched.push(Switched { id: subscription.id, plan, anchor: then.anchor });
    }
    subscription.is_billed = true;
    subscription.remaining = then.remaining;
    subscription.period = then.period;
    subscription.anchor = then.anchor;
    if !opening.needs_charge {
        append(task, row, subscription, Kind::InvoicePaid, writes);
        complete_without_charge(task, row, subscription, writes);
    }
    Ok(())
}

/// The code of a renewal that nobody's card could pay.
pub(super) const MISSING_CARD: &str = "missing_card";

/// Without a card the renewal fails: the invoice stays open, and a card and a payment by a person are needed.
fn owe_without_card(
    task: &Task,
    (row, subscription): (&InvoiceRow, &mut SubscriptionRow),
    writes: &mut Writes,
) {
    if let Ok(next) = subscription.state.after(subscription.failure.event()) {
        subscription.state = next;
    }
    append(task, row, subscription, Kind::SubscriptionUpdated, writes);
    append(task, row, subscription, Kind::InvoicePaymentFailed, writes);
    writes.without_card.push(row.id);
    writes.cases.push(NewCase {
        account: task.scope.account,
        mode: task.scope.mode,
        subscription: subscription.id,
        invoice: row.id,
        decline: (MISSING_CARD.to_owned(), DeclineClass::CardData),
    });
}

/// The card has gone since the invoice was opened. `Err` is the reason to park.
fn fail_without_card(
    key: &DerivationKey,
    task: &Task,
    (row, subscription): (&InvoiceRow, &mut SubscriptionRow),
    writes: &mut Writes,
) -> Result<(), String> {
    if subscription.failure == RenewalFailure::Open {
        owe_without_card(task, (row, subscription), writes);
        return Ok(());
    }
    let tax = row.tax.as_deref().ok_or("it is open and has no tax")?;
    let tax = invoices::tax_from_json(tax, row.amount.currency).map_err(|error| error.to_string())?;
    let last = ChargeId::derive(key, row.id.as_str(), row.id.slot(), row.due_at, row.charge_count.into());
    let entries = invoice_voided::entries(&tax);
    writes.entries.extend(entries.iter().zip(0_u64..).map(|(entry, number)| NewEntry {
        account: task.scope.account,
        mode: task.scope.mode,
        invoice: row.id,
        charge: Some(last),
        number,
        entry: *entry,
        at: task.billing,
    }));
    writes.given_up.push((subscription.id, row.id));
    pause_without_card(task, (row, subscription), writes);
    Ok(())
}

/// Without a card the renewal fails: the invoice is void and the subscription paused, as in PAY.JP.
fn pause_without_card(
    task: &Task,
    (row, subscription): (&InvoiceRow, &mut SubscriptionRow),
    writes: &mut Writes,
) {
    if let Ok(next) = subscription.state.after(subscription.failure.event()) {
        subscription.state = next;
    }
    writes.without_card.push(row.id);
    writes.paused.push(subscription.id);
    append(task, row, subscription, Kind::SubscriptionPaused, writes);
    append(task, row, subscription, Kind::InvoiceVoided, writes);
}

/// A last instalment of zero ends its subscription here, for no charge will.
fn complete_without_charge(
    task: &Task,
    row: &InvoiceRow,
    subscription: &mut SubscriptionRow,
    writes: &mut Writes,
) {
    if subscription.remaining == Some(0)
        && subscription.state == State::Active
        && let Ok(next) = subscription.state.after(subscription::Event::LastCollected)
    {
        subscription.state = next;
        append(task, row, subscription, Kind::SubscriptionCanceled, writes);
    }
}

fn next_invoice(task: &Task, row: &InvoiceRow, opening: Opening) -> Option<NewScheduled> {
    opening.next.map(|next| NewScheduled {
        account: task.scope.account,
        mode: task.scope.mode,
        clock: task.scope.clock.clone(),
        customer: row.customer.clone(),
        subscription: row.subscription,
        plan: next.plan().to_owned(),
        next,
    })
}

/// Charges an open invoice by a new charge: the former one is proven never to have happened, or a retry
/// has come due. `Err` is the reason to park.
fn charge_again(
    key: &DerivationKey,
    task: &Task,
    known: &Known,
    (row, subscription): (&InvoiceRow, &mut SubscriptionRow),
    writes: &mut Writes,
) -> Result<(), String> {
    // Paused or canceled since: the debt stays, and a person decides.
    if !subscription.state.is_live() {
        writes.off.push(row.id);
        return Ok(());
    }
    let Some(method) = &row.method else {
        writes.off.push(row.id);
        return fail_without_card(key, task, (row, subscription), writes);
    };
    let number = row.charge_count + 1;
    if number > CHARGES_MAX {
        return Err(format!("invoice {} has been charged {CHARGES_MAX} times", row.id));
    }
    let owed = Money::new(row.amount.minor - row.amount_settled, row.amount.currency);
    let charge = new_charge(key, known, (row, method), number, owed, task)?;
    writes.again.push((row.id, i64::from(number)));
    push_charge(known, row, Some(charge), task, writes);
    Ok(())
}

/// Charge `number` of an invoice. Its id, and so its key, follow from the invoice and the number alone:
/// after a restored backup the same are made again.
fn new_charge(
    key: &DerivationKey,
    known: &Known,
    (row, method): (&InvoiceRow, &Method),
    number: u32,
    amount: Money,
    task: &Task,
) -> Result<NewCharge, String> {
    let owed = Money::new(row.amount.minor - row.amount_settled, row.amount.currency);
    if !guard::charge_fits_invoice(amount, owed) {
        return Err(format!("a charge of {} does not fit the {} owed", amount.minor, owed.minor));
    }
    let Some(capabilities) = known.capabilities.get(&method.connection) else {
        return Err(format!("gateway connection {} is not set up in this process", method.connection));
    };
    let id = ChargeId::derive(key, row.id.as_str(), row.id.slot(), row.due_at, u64::from(number));
    Ok(NewCharge {
        id,
        customer: Some(row.customer.clone()),
        subscription: Some(row.subscription),
        invoice: row.id,
        payment_method: method.id,
        connection: method.connection,
        number: i64::from(number),
        amount,
        idempotency_key: key.idempotency_key(method.connection.as_str(), id),
        actor: Actor::Schedule.as_str(),
        check_at: check_after_send(capabilities, task.real),
    })
}

fn push_charge(known: &Known, row: &InvoiceRow, charge: Option<NewCharge>, task: &Task, writes: &mut Writes) {
    let (Some(charge), Some(method)) = (charge, &row.method) else {
        return;
    };
    writes.outgoing.push(Outgoing {
        charge: charge.id,
        history: History::Subscription(row.subscription),
        connection: charge.connection,
        is_late: is_late(row, task.billing),
        not_after: send_until(task.real),
        request: ChargeRequest {
            reference: charge.id,
            idempotency_key: charge.idempotency_key.clone(),
            token: method.gateway_token.clone(),
            amount: charge.amount,
            capture: true,
            billing_time: task.billing,
        },
        aloft: known.flights.take_off(charge.id),
    });
    writes.charges.push(charge);
}

/// Whether its time to be charged is long over: the server, or the gateway, was away.
fn is_late(row: &InvoiceRow, now: Timestamp) -> bool {
    row.next_action_at.is_some_and(|planned| now.duration_since(planned) >= LATE_AFTER)
}

fn append(
    task: &Task,
    row: &InvoiceRow,
    subscription: &mut SubscriptionRow,
    kind: Kind,
    writes: &mut Writes,
) {
    subscription.event_number += 1;
    writes.changed.insert(subscription.id);
    let is_about_invoice = kind.is_about_invoice();
    let data = if is_about_invoice {
        format!(
            "{{\"cycle\":{},\"amount\":{},\"currency\":\"{}\"}}",
            row.cycle,
            row.amount.minor,
            row.amount.currency.code()
        )
    } else if kind == Kind::SubscriptionDeleted {
        deleted(task.scope.mode, subscription.id.as_str()).to_string()
    } else {
        let moment = Moment {
            state: subscription.state,
            plan: &row.offer.plan,
            quantity: subscription.quantity.into(),
            period: micros(subscription.period),
            paused_at: subscription.moves.0,
            resumed_at: subscription.moves.1,
        };
        events::of_subscription(&moment).to_string()
    };
    writes.events.push(NewEvent {
        account: task.scope.account,
        mode: task.scope.mode,
        history: subscription.id.to_string(),
        slot: subscription.id.slot(),
        number: subscription.event_number,
        kind,
        object: if is_about_invoice { row.id.to_string() } else { subscription.id.to_string() },
        data,
        billing_at: task.billing,
    });
}
