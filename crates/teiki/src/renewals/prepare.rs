//! Prepare: one transaction that opens a batch of due invoices and writes the intent to charge them.
//!
//! Everything is committed before any byte leaves. Planning answers for each subscription: one that is
//! refused is parked with its reason and the others go on. A batch that the database refuses is halved
//! until the bad row is alone. Steps and round trips on PostgreSQL for a batch: hold (1), fence (0–1), plan of
//! the day (2), lock subscriptions (1), read invoices with plans and payment methods (1), then write
//! invoices, next invoices, charges, entries, events with outbox, subscriptions, run of the day (8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use billing::event::Kind;
use billing::guard::{self, DayTotal};
use billing::id::{ChargeId, DerivationKey, InvoiceId, SubscriptionId};
use billing::invoice;
use billing::money::Money;
use billing::renewal::{self, AccountTerms, Opening, Running, Scheduled};
use billing::resolution::Capabilities;
use billing::subscription::{self, State};
use billing::tax::TaxedSum;
use db::{Error, Tx};
use gateway::ChargeRequest;
use jiff::Timestamp;

use super::store::{self, InvoiceRow, NewCharge, OpenedInvoice, SubscriptionAfter, SubscriptionRow, Times};
use super::{Due, Lane, day_plan};
use crate::actor::Actor;
use crate::alarms::{self, NewAlarm};
use crate::charges::Outgoing;
use crate::charges::send::check_after_send;
use crate::events::{self, NewEvent};
use crate::holds;
use crate::invoices::{self, NewScheduled};
use crate::ledger::{self, NewEntry};
use crate::line::{Line, Scope, add};

/// The most charges that one invoice may have: far above every retry policy, and an end to any loop.
const CHARGES_MAX: u32 = 100;

/// What a batch is prepared with.
#[derive(Clone)]
pub struct Task {
    /// Whose, in which time, under which lease.
    pub scope: Scope,
    /// The merchant's terms.
    pub terms: AccountTerms,
    /// The part of the key space.
    pub lane: Lane,
    /// Billing time.
    pub billing: Timestamp,
    /// Operating time.
    pub real: Timestamp,
}

/// The outcome of preparing a batch.
#[derive(Debug)]
pub enum Prepared {
    /// Committed: these may now be sent.
    Ready(Vec<Outgoing>),
    /// Nothing was done: charging is held.
    Held(String),
    /// Nothing was done: the lease has gone to another worker.
    Fenced,
}

/// Prepares `due` in one transaction, or in smaller ones where the database refuses.
pub async fn prepare(line: &Line, task: &Task, due: Vec<Due>) -> Result<Prepared, Error> {
    let mut ready = Vec::new();
    let mut batches = vec![due];
    while let Some(batch) = batches.pop() {
        match write(line, task, batch.clone(), None).await {
            Ok(Prepared::Ready(outgoing)) => ready.extend(outgoing),
            Ok(stopped @ (Prepared::Held(_) | Prepared::Fenced)) => {
                return Ok(if ready.is_empty() {
                    stopped
                } else {
                    Prepared::Ready(ready)
                });
            }
            Err(
                refused @ (Error::UniqueViolation { .. }
                | Error::Check { .. }
                | Error::Decode { .. }
                | Error::Assertion(_)),
            ) => {
                if batch.len() > 1 {
                    let (first, rest) = batch.split_at(batch.len() / 2);
                    batches.extend([first.to_vec(), rest.to_vec()]);
                } else {
                    write(line, task, batch, Some(refused.to_string())).await?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Prepared::Ready(ready))
}

/// One transaction. With `refusal` its subscriptions are parked for that reason and nothing else is done.
async fn write(line: &Line, task: &Task, due: Vec<Due>, refusal: Option<String>) -> Result<Prepared, Error> {
    let (task, key, known) = (task.clone(), line.key.clone(), Known::of(line));
    let (prepared, parked) = line
        .db
        .write(move |tx| match &refusal {
            None => write_batch(tx, &key, &task, &known, &due),
            Some(reason) => park_unread(tx, &key, &task, &due, reason),
        })
        .await?;
    if let Prepared::Ready(outgoing) = &prepared {
        line.take_off(outgoing.iter().map(|outgoing| outgoing.charge));
    }
    add(&line.counters.parked, parked);
    Ok(prepared)
}

/// What this process knows of its gateways.
struct Known {
    capabilities: BTreeMap<billing::id::ConnectionId, Capabilities>,
}

impl Known {
    fn of(line: &Line) -> Arc<Self> {
        let each = line.connections.iter();
        Arc::new(Self {
            capabilities: each
                .map(|(id, connection)| (*id, *connection.gateway.capabilities()))
                .collect(),
        })
    }
}

/// What [`prepare`] would have sent; nothing is written. For the broken protocols alone.
#[cfg(feature = "broken")]
pub(crate) async fn rehearse(line: &Line, task: &Task, due: Vec<Due>) -> Result<Vec<Outgoing>, Error> {
    #[derive(Debug)]
    enum Undone {
        Rehearsed(Vec<Outgoing>),
        Failed(Error),
    }
    impl From<Error> for Undone {
        fn from(error: Error) -> Self {
            Self::Failed(error)
        }
    }
    let (task, key, known) = (task.clone(), line.key.clone(), Known::of(line));
    let undone = line
        .db
        .write(move |tx| match write_batch(tx, &key, &task, &known, &due)?.0 {
            Prepared::Ready(outgoing) => Err::<(), _>(Undone::Rehearsed(outgoing)),
            Prepared::Held(_) | Prepared::Fenced => Ok(()),
        });
    match undone.await {
        Ok(()) => Ok(Vec::new()),
        Err(Undone::Rehearsed(outgoing)) => Ok(outgoing),
        Err(Undone::Failed(error)) => Err(error),
    }
}

/// Everything that one batch writes.
#[derive(Default)]
struct Writes {
    opened: Vec<OpenedInvoice>,
    again: Vec<(InvoiceId, i64)>,
    next: Vec<NewScheduled>,
    charges: Vec<NewCharge>,
    entries: Vec<NewEntry>,
    events: Vec<NewEvent>,
    parked: Vec<(SubscriptionId, InvoiceId, String)>,
    off: Vec<InvoiceId>,
    changed: BTreeSet<SubscriptionId>,
    outgoing: Vec<Outgoing>,
    day: DayTotal,
}

fn write_batch(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    task: &Task,
    known: &Known,
    due: &[Due],
) -> Result<(Prepared, usize), Error> {
    let scope = &task.scope;
    if let Some(hold) = holds::active(tx, scope.account)? {
        return Ok((Prepared::Held(hold.reason), 0));
    }
    if let Some((name, number)) = &scope.lease
        && store::fence(tx, name)? != Some(*number)
    {
        return Ok((Prepared::Fenced, 0));
    }
    let today = task.terms.zone.day_of(task.billing);
    let planned = day_plan::ensure(tx, scope, &task.terms, task.billing)?;
    let ids: BTreeSet<SubscriptionId> = due.iter().map(|due| due.subscription).collect();
    let ids: Vec<SubscriptionId> = ids.into_iter().collect();
    let rows = store::lock_subscriptions(tx, &ids)?;
    let mut subscriptions: BTreeMap<SubscriptionId, SubscriptionRow> =
        rows.into_iter().map(|row| (row.id, row)).collect();
    let mut writes = Writes::default();
    let invoices = store::invoices(tx, due)?;
    for row in &invoices {
        if let Some(subscription) = subscriptions.get_mut(&row.subscription) {
            plan(key, task, known, (row, subscription), &mut writes);
        }
    }
    let read: BTreeSet<InvoiceId> = invoices.iter().map(|row| row.id).collect();
    let unread = due.iter().filter(|due| !read.contains(&due.invoice));
    writes.parked.extend(unread.map(|due| {
        (
            due.subscription,
            due.invoice,
            "its plan or payment method is missing".into(),
        )
    }));
    let before = day_plan::opened(tx, scope, today)?;
    if let Err(tripped) = guard::check_day(planned, before.plus(writes.day)) {
        let reason = format!("guard: {tripped}");
        holds::place(tx, scope.account.as_str(), &reason, Actor::Guard, task.real)?;
        return Ok((Prepared::Held(reason), 0));
    }
    let after: Vec<SubscriptionAfter> = writes
        .changed
        .iter()
        .filter_map(|id| subscriptions.get(id))
        .map(|row| SubscriptionAfter {
            id: row.id,
            state: row.state,
            remaining: row.remaining,
            event_number: row.event_number,
        })
        .collect();
    write_all(tx, key, task, &writes, &after)?;
    if writes.day != DayTotal::default() {
        day_plan::add(tx, scope, (today, task.lane.number), writes.day)?;
    }
    Ok((Prepared::Ready(writes.outgoing), writes.parked.len()))
}

/// Plans one due invoice. What is no longer due (someone else was here first) is passed over.
fn plan(
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
    if subscription.is_parked {
        writes.off.push(row.id);
        return;
    }
    let planned = match row.state {
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

/// Opens a scheduled invoice: the bill, its charge, the next invoice. `Err` is the reason to park.
fn open(
    key: &DerivationKey,
    task: &Task,
    known: &Known,
    (row, subscription): (&InvoiceRow, &mut SubscriptionRow),
    writes: &mut Writes,
) -> Result<(), String> {
    let lines =
        serde_json::from_str(&row.lines).map_err(|error| format!("its lines do not read: {error}"))?;
    let running = Running {
        state: subscription.state,
        anchor: subscription.anchor,
        remaining: subscription.remaining,
    };
    let scheduled = Scheduled {
        cycle: row.cycle,
        amount: row.amount,
        lines,
    };
    let opening = renewal::open(&task.terms, &row.offer, &running, &scheduled, task.billing)
        .map_err(|refused| refused.to_string())?;
    let charge = if opening.needs_charge {
        Some(new_charge(key, known, row, 1, row.amount, task)?)
    } else {
        None
    };
    subscription.remaining = opening.remaining;
    subscription.state = opening.state;
    writes.day = writes.day.plus(DayTotal {
        count: 1,
        amount: row.amount.minor,
    });
    writes.opened.push(OpenedInvoice {
        id: row.id,
        state: if opening.needs_charge {
            invoice::State::Open
        } else {
            invoice::State::Paid
        },
        tax: tax_json(&opening.tax),
        charge_count: i64::from(opening.needs_charge),
        paid_at: (!opening.needs_charge).then(|| task.billing.as_microsecond()),
    });
    append(task, row, subscription, Kind::InvoiceOpened, writes);
    if !opening.needs_charge {
        append(task, row, subscription, Kind::InvoicePaid, writes);
        complete_without_charge(task, row, subscription, writes);
    }
    let entries = opening
        .entries
        .iter()
        .zip(0_u64..)
        .map(|(entry, number)| NewEntry {
            account: task.scope.account,
            mode: task.scope.mode,
            invoice: row.id,
            charge: None,
            number,
            entry: *entry,
            at: task.billing,
        });
    writes.entries.extend(entries);
    writes.next.extend(next_invoice(task, row, opening));
    push_charge(row, charge, task, writes);
    Ok(())
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
        plan: row.offer.plan.clone(),
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
    let number = row.charge_count + 1;
    if number > CHARGES_MAX {
        return Err(format!("invoice {} has been charged {CHARGES_MAX} times", row.id));
    }
    if !subscription.state.is_live() {
        return Err(format!(
            "a {} subscription is not charged by the schedule",
            subscription.state.as_str()
        ));
    }
    let owed = Money::new(row.amount.minor - row.amount_settled, row.amount.currency);
    let charge = new_charge(key, known, row, number, owed, task)?;
    writes.again.push((row.id, i64::from(number)));
    push_charge(row, Some(charge), task, writes);
    Ok(())
}

/// Charge `number` of an invoice. Its id, and so its key, follow from the invoice and the number alone:
/// after a restored backup the same are made again.
fn new_charge(
    key: &DerivationKey,
    known: &Known,
    row: &InvoiceRow,
    number: u32,
    amount: Money,
    task: &Task,
) -> Result<NewCharge, String> {
    let owed = Money::new(row.amount.minor - row.amount_settled, row.amount.currency);
    if !guard::charge_fits_invoice(amount, owed) {
        return Err(format!(
            "a charge of {} does not fit the {} owed",
            amount.minor, owed.minor
        ));
    }
    let Some(capabilities) = known.capabilities.get(&row.connection) else {
        return Err(format!(
            "gateway connection {} is not set up in this process",
            row.connection
        ));
    };
    let id = ChargeId::derive(key, row.id.as_str(), row.id.slot(), row.due_at, u64::from(number));
    Ok(NewCharge {
        id,
        customer: row.customer.clone(),
        subscription: row.subscription,
        invoice: row.id,
        payment_method: row.payment_method,
        connection: row.connection,
        number: i64::from(number),
        amount,
        idempotency_key: key.idempotency_key(row.connection.as_str(), id),
        actor: Actor::Schedule.as_str(),
        check_at: check_after_send(capabilities, task.real),
    })
}

fn push_charge(row: &InvoiceRow, charge: Option<NewCharge>, task: &Task, writes: &mut Writes) {
    let Some(charge) = charge else {
        return;
    };
    writes.outgoing.push(Outgoing {
        charge: charge.id,
        subscription: charge.subscription,
        connection: charge.connection,
        request: ChargeRequest {
            reference: charge.id,
            idempotency_key: charge.idempotency_key.clone(),
            token: row.gateway_token.clone(),
            amount: charge.amount,
            billing_time: task.billing,
        },
    });
    writes.charges.push(charge);
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
    let is_about_invoice = kind != Kind::SubscriptionCanceled;
    let data = format!(
        "{{\"cycle\":{},\"amount\":{},\"currency\":\"{}\"}}",
        row.cycle,
        row.amount.minor,
        row.amount.currency.code()
    );
    writes.events.push(NewEvent {
        account: task.scope.account,
        mode: task.scope.mode,
        subscription: subscription.id,
        number: subscription.event_number,
        kind,
        object: if is_about_invoice {
            row.id.to_string()
        } else {
            subscription.id.to_string()
        },
        data: if is_about_invoice {
            data
        } else {
            "{\"status\":\"canceled\"}".to_owned()
        },
        billing_at: task.billing,
    });
}

/// Tax per rate as stored: `[{"percent":10,"gross":980,"tax":89}]`; percent is null for exempt.
fn tax_json(sums: &[TaxedSum]) -> String {
    let percent = |sum: &TaxedSum| {
        sum.percent
            .map_or("null".to_owned(), |percent| percent.to_string())
    };
    let rows: Vec<String> = sums
        .iter()
        .map(|sum| {
            format!(
                "{{\"percent\":{},\"gross\":{},\"tax\":{}}}",
                percent(sum),
                sum.gross.minor,
                sum.tax.minor
            )
        })
        .collect();
    format!("[{}]", rows.join(","))
}

fn write_all(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    task: &Task,
    writes: &Writes,
    after: &[SubscriptionAfter],
) -> Result<(), Error> {
    let must_all = |changed: u64, asked: usize, what: &str| {
        if usize::try_from(changed) == Ok(asked) {
            Ok(())
        } else {
            Err(Error::Assertion(format!(
                "{changed} of {asked} {what} were as they had been read"
            )))
        }
    };
    let times = Times {
        billing: task.billing,
        real: task.real,
    };
    must_all(
        store::open_invoices(tx, &writes.opened, task.billing)?,
        writes.opened.len(),
        "scheduled invoices",
    )?;
    must_all(
        store::count_charges(tx, &writes.again)?,
        writes.again.len(),
        "open invoices",
    )?;
    store::take_off_list(tx, &writes.off)?;
    invoices::insert_scheduled(tx, key, &writes.next, task.real)?;
    store::insert_charges(tx, &task.scope, &writes.charges, times)?;
    ledger::insert(tx, key, &writes.entries)?;
    events::append(tx, key, &writes.events, task.real)?;
    must_all(
        store::update_subscriptions(tx, after)?,
        after.len(),
        "subscriptions",
    )?;
    park(tx, key, task, &writes.parked)
}

/// Parks subscriptions: their invoice leaves the work list, an operator is told why.
fn park(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    task: &Task,
    parked: &[(SubscriptionId, InvoiceId, String)],
) -> Result<(), Error> {
    if parked.is_empty() {
        return Ok(());
    }
    let reasons: Vec<_> = parked.iter().map(|parked| (parked.0, parked.2.clone())).collect();
    let off: Vec<_> = parked.iter().map(|parked| parked.1).collect();
    store::park(tx, &reasons)?;
    store::take_off_list(tx, &off)?;
    let alarms: Vec<NewAlarm> = parked
        .iter()
        .map(|(subscription, invoice, reason)| NewAlarm {
            account: task.scope.account,
            mode: task.scope.mode,
            slot: subscription.slot(),
            kind: "parked",
            subject: subscription.to_string(),
            message: format!("invoice {invoice} was not charged: {reason}"),
        })
        .collect();
    alarms::raise(tx, key, &alarms, task.real)
}

/// Parks what cannot even be read or written, without reading it.
fn park_unread(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    task: &Task,
    due: &[Due],
    reason: &str,
) -> Result<(Prepared, usize), Error> {
    let parked: Vec<_> = due
        .iter()
        .map(|due| (due.subscription, due.invoice, reason.to_owned()))
        .collect();
    park(tx, key, task, &parked)?;
    Ok((Prepared::Ready(Vec::new()), parked.len()))
}
