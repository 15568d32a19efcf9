//! Prepare: one transaction that opens a batch of due invoices and writes the intent to charge them.
//!
//! Everything is committed before any byte leaves. Planning answers for each subscription: one that is
//! refused is parked with its reason and the others go on. A batch that the database refuses is halved
//! until the bad row is alone. Steps and round trips on PostgreSQL for a batch: hold (1), fence (0–1), plan switches
//! (1), plan of the day (2), lock subscriptions (1), read invoices with plans and payment methods (1), then write
//! invoices, next invoices, charges, entries, events with outbox and a look for webhook endpoints (deliveries, if there are
//! any), subscriptions, run of the day (9–10).

use std::collections::{BTreeMap, BTreeSet};

use billing::guard::{self, DayTotal};
use billing::id::{DerivationKey, InvoiceId, SubscriptionId};
use billing::renewal::AccountTerms;
use db::{Error, Tx};
use jiff::Timestamp;

use super::planning::{Known, MISSING_CARD, Writes, plan};
use super::store::{self, SubscriptionAfter, SubscriptionRow};
use super::{Due, Lane, day_plan};
use crate::actor::Actor;
use crate::alarms::{self, NewAlarm};
use crate::charges::settle::Times;
use crate::charges::{self, Outgoing};
use crate::events;
use crate::holds;
use crate::invoices::{self, scheduled};
use crate::ledger;
use crate::line::{Line, Scope, add};
use crate::plan_switches::renewing;

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
                return Ok(if ready.is_empty() { stopped } else { Prepared::Ready(ready) });
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
    add(&line.counters.parked, parked);
    Ok(prepared)
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
    let undone = line.db.write(move |tx| match write_batch(tx, &key, &task, &known, &due)?.0 {
        Prepared::Ready(outgoing) => Err::<(), _>(Undone::Rehearsed(outgoing)),
        Prepared::Held(_) | Prepared::Fenced => Ok(()),
    });
    match undone.await {
        Ok(()) => Ok(Vec::new()),
        Err(Undone::Rehearsed(outgoing)) => Ok(outgoing),
        Err(Undone::Failed(error)) => Err(error),
    }
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
    if let Some(lease) = &scope.lease
        && store::fence(tx, &lease.name)? != Some(lease.number)
    {
        return Ok((Prepared::Fenced, 0));
    }
    let ids: BTreeSet<SubscriptionId> = due.iter().map(|due| due.subscription).collect();
    let ids: Vec<SubscriptionId> = ids.into_iter().collect();
    let (side, times) = ((scope.account, scope.mode), (task.billing, task.real));
    let beginning = renewing::prepare(tx, key, side, &ids, times)?;
    let today = task.terms.zone.day_of(task.billing);
    let planned = day_plan::ensure(tx, scope, &task.terms, task.billing)?;
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
    writes.parked.extend(
        unread.map(|due| (due.subscription, due.invoice, "its plan or payment method is missing".into())),
    );
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
            period: row.period,
            remaining: row.remaining,
            next_cycle: row.next_cycle,
            event_number: row.event_number,
            is_billed: row.is_billed,
        })
        .collect();
    write_all(tx, key, task, &writes, &after)?;
    beginning.begin(tx, &writes.with_next_plan, task.billing)?;
    if writes.day != DayTotal::default() {
        day_plan::add(tx, scope, (today, task.lane.number), writes.day)?;
    }
    Ok((Prepared::Ready(writes.outgoing), writes.parked.len()))
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
            Err(Error::Assertion(format!("{changed} of {asked} {what} were as they had been read")))
        }
    };
    let (scope, times) = (&task.scope, Times { billing: task.billing, real: task.real });
    must_all(
        store::open_invoices(tx, &writes.opened, task.billing)?,
        writes.opened.len(),
        "scheduled invoices",
    )?;
    must_all(store::count_charges(tx, &writes.again)?, writes.again.len(), "open invoices")?;
    must_all(store::void_scheduled(tx, &writes.voided)?, writes.voided.len(), "scheduled invoices")?;
    store::wait_for(tx, &writes.waiting)?;
    store::switch(tx, &writes.switched)?;
    store::pause(tx, &writes.paused, task.billing)?;
    store::delete(tx, &writes.ended, task.real)?;
    scheduled::give_up_open(tx, &writes.ended, task.billing)?;
    store::take_off_list(tx, &writes.off)?;
    store::set_reason(tx, &writes.without_card, MISSING_CARD)?;
    charges::open_cases(tx, key, &writes.cases, task.billing)?;
    invoices::insert_scheduled(tx, key, &writes.next, task.real)?;
    charges::insert(tx, &task.scope, &writes.charges, times)?;
    ledger::insert(tx, key, &writes.entries)?;
    events::append(tx, key, &writes.events, task.real)?;
    must_all(store::update_subscriptions(tx, after)?, after.len(), "subscriptions")?;
    charges::give_up_renewals(tx, (scope.account, scope.mode), &writes.given_up)?;
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
    let parked: Vec<_> = due.iter().map(|due| (due.subscription, due.invoice, reason.to_owned())).collect();
    park(tx, key, task, &parked)?;
    Ok((Prepared::Ready(Vec::new()), parked.len()))
}
