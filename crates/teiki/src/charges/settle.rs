//! Settle: one transaction that writes down what is known about a batch of charges.
//!
//! The reply, a poll, a webhook, a report and a person all call [`settle`]. It only moves forward; the
//! second caller changes nothing; it is never fenced by a lease, for truth is always welcome. Steps and
//! round trips on PostgreSQL for a batch: lock subscriptions (1), read charges with invoices (1), count
//! open invoices where a subscription is past due or at its end (0–1), write charges, invoices, cases,
//! entries, events with outbox, subscriptions (6–7).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use billing::charge::{Fact, State};
use billing::event::Kind;
use billing::id::{ChargeId, DerivationKey, InvoiceId, SubscriptionId};
use billing::settlement::{self, OfSubscription, Settled, Standing};
use billing::{dunning, invoice, subscription};
use db::{Error, Tx};
use jiff::Timestamp;

use super::News;
use super::store::{self, ChargeRow, FinalCharge, NewCase, OpenCharge, PaidInvoice, SubscriptionRow};
use crate::alarms::{self, NewAlarm};
use crate::events::{self, NewEvent};
use crate::ledger::{self, NewEntry};
use crate::line::{Line, add};

/// When settling is tried again after the database failed, in milliseconds.
const RETRY_PAUSE_MS: u64 = 500;
/// How often; then the charges are left to be resolved as unknown, which is safe.
const RETRY_MAX: u32 = 60;

/// The two times of a settlement.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Billing time: what events and the books say.
    pub billing: Timestamp,
    /// Operating time: real.
    pub real: Timestamp,
}

/// What a batch of news changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Charges that became succeeded.
    pub succeeded: usize,
    /// Charges that became failed.
    pub failed: usize,
    /// Charges that became void.
    pub voided: usize,
    /// Charges that became unknown.
    pub unknown: usize,
}

/// Writes down `news`. A database that fails is tried again; a batch that it refuses is halved until the
/// bad row is alone, which is then frozen and shown to an operator.
pub async fn settle(line: &Line, news: Vec<News>, times: Times) -> Result<Report, Error> {
    let mut total = Report::default();
    let mut batches = vec![news];
    while let Some(batch) = batches.pop() {
        let charges: Vec<ChargeId> = batch.iter().map(|news| news.charge).collect();
        match write(line, Arc::new(batch.clone()), times).await {
            Ok(report) => {
                line.land(charges.into_iter());
                total = total.plus(report);
            }
            Err(refused @ (Error::UniqueViolation { .. } | Error::Check { .. } | Error::Assertion(_))) => {
                batches.extend(smaller(batch, &refused, times));
            }
            Err(error) => {
                line.land(charges.into_iter());
                return Err(error);
            }
        }
    }
    add(&line.counters.succeeded, total.succeeded);
    add(&line.counters.failed, total.failed);
    add(&line.counters.unknown, total.unknown);
    Ok(total)
}

/// Two halves of a refused batch; a single refused row as an unknown one with an alarm.
fn smaller(mut batch: Vec<News>, refused: &Error, times: Times) -> Vec<Vec<News>> {
    if batch.len() > 1 {
        let rest = batch.split_off(batch.len() / 2);
        return vec![batch, rest];
    }
    batch
        .into_iter()
        .filter(|news| news.alarm != Some(REFUSED))
        .map(|news| {
            let frozen = News::of(news.charge, news.subscription, Fact::Lost);
            vec![News {
                freeze: true,
                alarm: Some(REFUSED),
                note: Some(refused.to_string()),
                check_at: Some(billing::resolution::plus_ms(times.real, REVIEW_PAUSE_MS)),
                ..frozen
            }]
        })
        .collect()
}

/// The alarm for truth that the database refuses.
const REFUSED: &str = "charge_refused_by_database";
/// A frozen charge is looked at again after this long, in milliseconds: an hour.
const REVIEW_PAUSE_MS: i64 = 3_600_000;

async fn write(line: &Line, news: Arc<Vec<News>>, times: Times) -> Result<Report, Error> {
    let mut tries = 0;
    loop {
        let (news, key) = (Arc::clone(&news), line.key.clone());
        let written = line.db.write(move |tx| write_batch(tx, &key, &news, times)).await;
        match written {
            // Settling again after a commit whose outcome is not known changes nothing that was written.
            Err(Error::ConnectionLost { .. } | Error::CommitUnknown { .. } | Error::Busy { .. })
                if tries < RETRY_MAX =>
            {
                tries += 1;
                tokio::time::sleep(std::time::Duration::from_millis(RETRY_PAUSE_MS)).await;
            }
            other => return other,
        }
    }
}

/// Everything that one batch writes.
#[derive(Default)]
struct Writes {
    finals: Vec<FinalCharge>,
    opens: Vec<OpenCharge>,
    paid: Vec<PaidInvoice>,
    again: Vec<InvoiceId>,
    entries: Vec<NewEntry>,
    events: Vec<NewEvent>,
    cases: Vec<NewCase>,
    recovered: Vec<InvoiceId>,
    alarms: Vec<NewAlarm>,
    changed: BTreeSet<SubscriptionId>,
    report: Report,
}

/// A subscription while a batch goes over it.
struct Current {
    row: SubscriptionRow,
    open_invoices: i64,
}

fn write_batch(tx: &mut Tx<'_>, key: &DerivationKey, news: &[News], times: Times) -> Result<Report, Error> {
    let ids: BTreeSet<SubscriptionId> = news.iter().map(|news| news.subscription).collect();
    let ids: Vec<SubscriptionId> = ids.into_iter().collect();
    let mut current = read_subscriptions(tx, &ids, news)?;
    let charges: Vec<ChargeId> = news.iter().map(|news| news.charge).collect();
    let rows = store::charges_with_invoices(tx, &charges)?;
    let mut writes = Writes::default();
    for (index, charge) in &rows {
        let item = &news[*index];
        let Some(subscription) = current.get_mut(&item.subscription) else {
            return Err(Error::Assertion(format!(
                "charge {} has no subscription {}",
                charge.id, item.subscription
            )));
        };
        take(item, charge, subscription, times, &mut writes);
    }
    let after =
        writes.changed.iter().filter_map(|id| current.get(id)).map(|current| store::SubscriptionAfter {
            id: current.row.id,
            state: current.row.state,
            event_number: current.row.event_number,
        });
    let after: Vec<_> = after.collect();
    write_all(tx, key, &writes, &after, times)?;
    Ok(writes.report)
}

/// Locks the subscriptions and counts open invoices of those where the count decides.
fn read_subscriptions(
    tx: &mut Tx<'_>,
    ids: &[SubscriptionId],
    news: &[News],
) -> Result<BTreeMap<SubscriptionId, Current>, Error> {
    let rows = store::lock_subscriptions(tx, ids)?;
    let brings_success: BTreeSet<SubscriptionId> =
        news.iter().filter(|news| news.fact == Fact::Succeeded).map(|news| news.subscription).collect();
    let needs_count = |row: &&SubscriptionRow| {
        brings_success.contains(&row.id)
            && (row.state == subscription::State::PastDue || row.remaining == Some(0))
    };
    let counted: Vec<SubscriptionId> = rows.iter().filter(needs_count).map(|row| row.id).collect();
    let counts: BTreeMap<SubscriptionId, i64> = if counted.is_empty() {
        BTreeMap::new()
    } else {
        counted.iter().copied().zip(store::open_invoices(tx, &counted)?).collect()
    };
    Ok(rows
        .into_iter()
        .map(|row| {
            // Where the count does not decide, only the charge's own invoice matters.
            let open_invoices = counts.get(&row.id).copied().unwrap_or(1);
            (row.id, Current { row, open_invoices })
        })
        .collect())
}

/// Applies one piece of news to what has been read.
fn take(news: &News, charge: &ChargeRow, current: &mut Current, times: Times, writes: &mut Writes) {
    let own_is_open = i64::from(charge.invoice_state == invoice::State::Open);
    let standing = Standing {
        charge: charge.state,
        amount: charge.amount,
        invoice: charge.invoice_state,
        subscription: OfSubscription {
            state: current.row.state,
            other_open_invoices: (current.open_invoices - own_is_open).max(0),
            has_next: current.row.remaining != Some(0),
        },
    };
    let settled = match settlement::settle(&standing, news.fact) {
        Ok(settled) => settled,
        Err(refused) => {
            let message = format!("charge {}: {refused}", charge.id);
            alarm(news, charge, current, ("impossible_news", message), writes);
            return;
        }
    };
    if let Some(kind) = news.alarm {
        let message = news.note.clone().unwrap_or_else(|| kind.to_owned());
        alarm(news, charge, current, (kind, message), writes);
    }
    match settled.charge {
        Some(next) if next.is_final() => finish(news, charge, next, &settled, writes),
        Some(_) | None if charge.state.is_final() => {}
        next => still_open(news, charge, next.unwrap_or(charge.state), times, writes),
    }
    follow(news, charge, &settled, (current, times), writes);
}

fn finish(news: &News, charge: &ChargeRow, next: State, settled: &Settled, writes: &mut Writes) {
    match next {
        State::Succeeded => writes.report.succeeded += 1,
        State::Failed => writes.report.failed += 1,
        State::Void => writes.report.voided += 1,
        State::Prepared
        | State::Sending
        | State::Unknown
        | State::Pending
        | State::RequiresCustomer
        | State::Authorized => {}
    }
    writes.finals.push(FinalCharge {
        id: charge.id,
        from: charge.state,
        to: next,
        surplus: charge.surplus || settled.is_surplus,
        gateway_charge_id: news.gateway_charge_id.clone().or_else(|| charge.gateway_charge_id.clone()),
        decline: news.decline.clone(),
        resolved_by: news.resolved_by,
    });
}

fn still_open(news: &News, charge: &ChargeRow, next: State, times: Times, writes: &mut Writes) {
    if next == State::Unknown && charge.state == State::Sending {
        writes.report.unknown += 1;
    }
    let is_fresh = charge.state == State::Sending;
    writes.opens.push(OpenCharge {
        id: charge.id,
        from: charge.state,
        to: next,
        frozen: charge.frozen || news.freeze,
        gateway_charge_id: news.gateway_charge_id.clone().or_else(|| charge.gateway_charge_id.clone()),
        note: news.note.clone(),
        absent_at: news.absent_at.or(charge.absent_at),
        last_sent_at: news.sent_at.or(charge.last_sent_at),
        tries: if is_fresh { 0 } else { charge.tries + 1 },
        check_at: news.check_at.unwrap_or(times.real),
    });
}

/// What the settled charge does to everything around it.
fn follow(
    news: &News,
    charge: &ChargeRow,
    settled: &Settled,
    (current, times): (&mut Current, Times),
    writes: &mut Writes,
) {
    if settled.invoice == Some(invoice::State::Paid) {
        current.open_invoices -= i64::from(charge.invoice_state == invoice::State::Open);
        writes.paid.push(PaidInvoice {
            id: charge.invoice,
            amount_paid: charge.invoice_amount_paid + charge.amount.minor,
        });
    }
    if settled.charge_again {
        writes.again.push(charge.invoice);
    }
    if settled.is_surplus {
        let message = format!(
            "charge {} took {} that no open invoice asks for: refund it",
            charge.id, charge.amount.minor
        );
        alarm(news, charge, current, ("surplus", message), writes);
    }
    match settled.dunning {
        Some(dunning::State::Open) => writes.cases.extend(news.decline.clone().map(|decline| NewCase {
            account: current.row.account,
            mode: current.row.mode,
            subscription: current.row.id,
            invoice: charge.invoice,
            decline,
        })),
        Some(dunning::State::Recovered) if may_have_case(current.row.state) => {
            writes.recovered.push(charge.invoice)
        }
        Some(dunning::State::Recovered) => {}
        None => {}
    }
    if let Some(state) = settled.subscription {
        current.row.state = state;
    }
    let entries = settled.entries.iter().zip(0_u64..).map(|(entry, number)| NewEntry {
        account: current.row.account,
        mode: current.row.mode,
        invoice: charge.invoice,
        charge: Some(charge.id),
        number,
        entry: *entry,
        at: times.billing,
    });
    writes.entries.extend(entries);
    for &kind in &settled.events {
        current.row.event_number += 1;
        writes.events.push(event(kind, news, charge, current, times));
        writes.changed.insert(current.row.id);
    }
}

/// Only a failed payment opens a case, and that makes a running subscription past due.
const fn may_have_case(state: subscription::State) -> bool {
    match state {
        subscription::State::Trialing | subscription::State::Active => false,
        subscription::State::PastDue | subscription::State::Paused | subscription::State::Canceled(_) => true,
    }
}

fn event(kind: Kind, news: &News, charge: &ChargeRow, current: &Current, times: Times) -> NewEvent {
    let is_about_charge = kind.as_str().starts_with("charge.");
    let data = if is_about_charge {
        let code = news.decline.as_ref().map(|decline| decline.0.as_str());
        serde_json::json!({
            "invoice": charge.invoice.as_str(),
            "amount": charge.amount.minor,
            "currency": charge.amount.currency.code(),
            "failure_code": code,
        })
    } else {
        serde_json::json!({"status": current.row.state.as_str()})
    };
    NewEvent {
        account: current.row.account,
        mode: current.row.mode,
        subscription: current.row.id,
        number: current.row.event_number,
        kind,
        object: if is_about_charge { charge.id.to_string() } else { current.row.id.to_string() },
        data: data.to_string(),
        billing_at: times.billing,
    }
}

fn alarm(
    news: &News,
    charge: &ChargeRow,
    current: &Current,
    (kind, message): (&'static str, String),
    writes: &mut Writes,
) {
    writes.alarms.push(NewAlarm {
        account: current.row.account,
        mode: current.row.mode,
        slot: news.slot(),
        kind,
        subject: charge.id.to_string(),
        message,
    });
}

/// Writes everything. Rows that are not in the state that was read under the lock are a fault of ours.
fn write_all(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    writes: &Writes,
    after: &[store::SubscriptionAfter],
    times: Times,
) -> Result<(), Error> {
    let must_all = |changed: u64, asked: usize, what: &str| {
        if usize::try_from(changed) == Ok(asked) {
            Ok(())
        } else {
            Err(Error::Assertion(format!("{changed} of {asked} {what} were as they had been read")))
        }
    };
    must_all(store::finish_charges(tx, &writes.finals, times.real)?, writes.finals.len(), "charges")?;
    must_all(store::update_open_charges(tx, &writes.opens)?, writes.opens.len(), "open charges")?;
    must_all(store::pay_invoices(tx, &writes.paid, times.billing)?, writes.paid.len(), "invoices")?;
    must_all(store::charge_again(tx, &writes.again, times.billing)?, writes.again.len(), "invoices")?;
    ledger::insert(tx, key, &writes.entries)?;
    store::open_cases(tx, key, &writes.cases, times.billing)?;
    store::close_cases(tx, &writes.recovered, times.billing)?;
    alarms::raise(tx, key, &writes.alarms, times.real)?;
    events::append(tx, key, &writes.events, times.real)?;
    must_all(store::update_subscriptions(tx, after)?, after.len(), "subscriptions")
}

impl Report {
    /// Both counts.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            voided: self.voided + other.voided,
            unknown: self.unknown + other.unknown,
        }
    }
}
