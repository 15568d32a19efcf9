//! Settle: one transaction that writes down what is known about a batch of charges.
//!
//! The reply, a poll, a webhook, a report and a person all call [`settle`]. It only moves forward; the
//! second caller changes nothing; it is never fenced by a lease, for truth is always welcome. Steps and
//! round trips on PostgreSQL for a batch: lock subscriptions (1), read charges with invoices (1), count
//! open invoices where a subscription is past due or at its end (0–1), write charges, invoices, cases,
//! entries, events with outbox and a look for webhook endpoints (deliveries, if there are any), subscriptions (7–9).

use std::collections::BTreeSet;

use billing::charge::{Fact, State};
use billing::event::{History, Kind};
use billing::id::{ChargeId, DerivationKey, InvoiceId};
use billing::ledger::{Entry, invoice_issued, invoice_voided};
use billing::resolution::plus_ms;
use billing::settlement::{self, OfSubscription, Settled};
use billing::{dunning, invoice, subscription};
use db::{Error, Tx};
use jiff::Timestamp;

use super::histories::{Current, lock, must_all, renumber};
use super::insist::insist;
use super::store::{self, ChargeRow, FinalCharge, OpenCharge, PaidInvoice};
use super::{NewCase, News, Report, view};
use crate::alarms::{self, NewAlarm};
use crate::events::{self, NewEvent};
use crate::invoices;
use crate::ledger::{self, NewEntry};
use crate::line::{Line, add};
use crate::subscriptions::applying::{self, Outcome};
use crate::subscriptions::on_paid::OnPaid;
use crate::tokens;

/// The two times of a settlement.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Billing time: what events and the books say.
    pub billing: Timestamp,
    /// Operating time: real.
    pub real: Timestamp,
}

/// Writes down `news`. A database that fails is tried again; a batch that it refuses, or of which something cannot be read, is
/// halved until the bad row is alone, which is then frozen and shown to an operator; what cannot even be frozen is left for an
/// hour, so that it is not sent or asked about in every pass.
pub async fn settle(line: &Line, news: Vec<News>, times: Times) -> Result<Report, Error> {
    let mut total = Report::default();
    let mut batches = vec![news];
    while let Some(mut batch) = batches.pop() {
        match write(line, &mut batch, times).await {
            Ok(report) => total = total.plus(report),
            Err(
                refused @ (Error::UniqueViolation { .. }
                | Error::Check { .. }
                | Error::Assertion(_)
                | Error::Decode { .. }),
            ) => {
                if let [news] = batch.as_slice() {
                    tracing::error!(error = %refused, charge = %news.charge, "what became of a charge is refused");
                    if news.alarm == Some(REFUSED) {
                        let (charge, until) = (news.charge, plus_ms(times.real, REVIEW_PAUSE_MS));
                        line.db.write(move |tx| store::checks::postpone(tx, charge, until)).await?;
                    }
                }
                batches.extend(smaller(batch, &refused, times));
            }
            Err(error) => return Err(error),
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
            let frozen = News::of(news.charge, news.history, Fact::Lost);
            vec![News {
                freeze: true,
                alarm: Some(REFUSED),
                note: Some(refused.to_string()),
                check_at: Some(plus_ms(times.real, REVIEW_PAUSE_MS)),
                ..frozen
            }]
        })
        .collect()
}

/// The alarm for truth that the database refuses.
const REFUSED: &str = "charge_refused_by_database";
/// A frozen charge is looked at again after this long, in milliseconds: an hour.
const REVIEW_PAUSE_MS: i64 = 3_600_000;

/// Writes a batch. Settling again after a commit whose outcome is not known changes nothing that was written, but for what was
/// not sent: that is `prepared` since, and another server may be sending it, or it is still `sending` and is found out. So it is
/// left out then.
async fn write(line: &Line, batch: &mut Vec<News>, times: Times) -> Result<Report, Error> {
    insist(|may_be_there| {
        if may_be_there {
            batch.retain(|news| news.fact != Fact::NotSent);
        }
        let (news, key) = (batch.clone(), line.key.clone());
        line.db.write(move |tx| write_batch(tx, &key, &news, times))
    })
    .await
}

/// Everything that one batch writes.
#[derive(Default)]
struct Writes {
    finals: Vec<FinalCharge>,
    opens: Vec<OpenCharge>,
    paid: Vec<PaidInvoice>,
    voided: Vec<InvoiceId>,
    again: Vec<InvoiceId>,
    entries: Vec<NewEntry>,
    events: Vec<NewEvent>,
    cases: Vec<NewCase>,
    recovered: Vec<InvoiceId>,
    alarms: Vec<NewAlarm>,
    changed: BTreeSet<History>,
    outcomes: Vec<Outcome>,
    forgotten: Vec<InvoiceId>,
    unused: Vec<ChargeId>,
    report: Report,
}

/// Writes down `news` in the caller's transaction.
pub(super) fn write_batch(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    news: &[News],
    times: Times,
) -> Result<Report, Error> {
    let mut current = lock(tx, news)?;
    let charges: Vec<ChargeId> = news.iter().map(|news| news.charge).collect();
    let rows = store::charges_with_invoices(tx, &charges)?;
    let mut writes = Writes::default();
    for (index, charge) in &rows {
        let item = &news[*index];
        let Some(current) = current.get_mut(&item.history) else {
            return Err(Error::Assertion(format!(
                "charge {} has no history {}",
                charge.id,
                item.history.as_str()
            )));
        };
        take(item, charge, current, times, &mut writes)?;
    }
    write_all(tx, key, &mut writes, times)?;
    renumber(tx, &writes.changed, &current)?;
    store::forget_on_paid(tx, &writes.forgotten)?;
    applying::resolve(tx, key, &writes.outcomes, times)?;
    Ok(writes.report)
}

/// Applies one piece of news to what has been read.
fn take(
    news: &News,
    charge: &ChargeRow,
    current: &mut Current,
    times: Times,
    writes: &mut Writes,
) -> Result<(), Error> {
    let own_is_open = i64::from(charge.invoice_state == invoice::State::Open);
    let standing = settlement::Standing {
        charge: charge.state,
        amount: news.taken.unwrap_or(charge.amount),
        invoice: charge.invoice_state,
        in_request: charge.in_request,
        is_asked: charge.by_request && !charge.in_request,
        subscription: current.subscription.as_ref().map(|subscription| OfSubscription {
            state: subscription.state,
            other_open_invoices: (subscription.open_invoices - own_is_open).max(0),
            has_next: subscription.remaining != Some(0),
            failure_pauses: subscription.failure_pauses,
        }),
    };
    let settled = match settlement::settle(&standing, news.fact) {
        Ok(settled) => settled,
        // It was never sent, and cannot become unknown: it stays as it is, and is left for an hour.
        Err(_) if news.alarm == Some(REFUSED) && !charge.state.is_final() => {
            alarm(news, charge, current, (REFUSED, news.note.clone().unwrap_or_default()), writes);
            still_open(news, charge, charge.state, times, writes);
            return Ok(());
        }
        Err(refused) => {
            let message = format!("charge {}: {refused}", charge.id);
            alarm(news, charge, current, ("impossible_news", message), writes);
            return Ok(());
        }
    };
    if let Some(kind) = news.alarm {
        let message = news.note.clone().unwrap_or_else(|| kind.to_owned());
        alarm(news, charge, current, (kind, message), writes);
    }
    match settled.charge {
        Some(next) if next.is_final() => finish(news, charge, next, &settled, writes),
        Some(_) | None if charge.state.is_final() => {}
        // Whoever has taken it meanwhile looks after it.
        None if news.fact == Fact::GivenUp => {}
        next => still_open(news, charge, next.unwrap_or(charge.state), times, writes),
    }
    follow(news, charge, &settled, (current, times), writes)
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
    let is_sale = matches!(news.history, History::Sale(_));
    let is_unused = matches!(news.fact, Fact::NeverExecuted | Fact::Withdrawn | Fact::GivenUp);
    if next == State::Void && is_unused && is_sale {
        writes.unused.push(charge.id);
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
    let decline = news.decline.clone().or_else(|| charge.decline.clone());
    writes.opens.push(OpenCharge {
        id: charge.id,
        from: charge.state,
        to: next,
        frozen: charge.frozen || news.freeze,
        gateway_charge_id: news.gateway_charge_id.clone().or_else(|| charge.gateway_charge_id.clone()),
        // Once the gateway tells of the charge, what it said to a repeat of the request counts no more.
        decline: decline.filter(|_| next == State::Unknown),
        note: news.note.clone(),
        absent_at: news.absent_at.or(charge.absent_at),
        last_sent_at: news.sent_at.max(charge.last_sent_at),
        tries: if is_fresh { 0 } else { charge.tries + 1 },
        // Reserved money waits for a request that takes it or lets it go.
        check_at: (next != State::Authorized).then(|| news.check_at.unwrap_or(times.real)),
    });
}

/// What the settled charge does to everything around it.
fn follow(
    news: &News,
    charge: &ChargeRow,
    settled: &Settled,
    (current, times): (&mut Current, Times),
    writes: &mut Writes,
) -> Result<(), Error> {
    let was_open = charge.invoice_state == invoice::State::Open;
    if let Some(subscription) = &mut current.subscription {
        subscription.open_invoices -= i64::from(settled.invoice.is_some() && was_open);
    }
    match settled.invoice {
        Some(invoice::State::Paid) => writes.paid.push(PaidInvoice {
            id: charge.invoice,
            amount_paid: charge.invoice_amount_paid + news.taken.unwrap_or(charge.amount).minor,
        }),
        Some(invoice::State::Void) => writes.voided.push(charge.invoice),
        Some(invoice::State::Scheduled | invoice::State::Open | invoice::State::Uncollectible) | None => {}
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
    follow_case(news, charge, settled, current, writes);
    follow_subscription(charge, settled, current, writes)?;
    if let (Some(state), Some(subscription)) = (settled.subscription, &mut current.subscription) {
        subscription.state = state;
    }
    let issued = issue(charge, settled.invoice)?;
    let entries = issued.iter().chain(&settled.entries).zip(0_u64..).map(|(entry, number)| NewEntry {
        account: current.account,
        mode: current.mode,
        invoice: charge.invoice,
        charge: Some(charge.id),
        number,
        entry: *entry,
        at: times.billing,
    });
    writes.entries.extend(entries);
    for &kind in &settled.events {
        current.event_number += 1;
        writes.events.push(event(kind, news, charge, current, times));
        writes.changed.insert(current.history);
    }
    Ok(())
}

/// What the end of the invoice posts besides the payment: that of a request is issued when it is paid; that of the schedule
/// was issued when it was opened, which is taken back when it becomes void.
fn issue(charge: &ChargeRow, now: Option<invoice::State>) -> Result<Vec<Entry>, Error> {
    let Some(tax) = &charge.invoice_tax else {
        return Ok(Vec::new());
    };
    let tax = invoices::tax_from_json(tax, charge.amount.currency)?;
    Ok(match (charge.in_request, now) {
        (true, Some(invoice::State::Paid)) => invoice_issued::entries(&tax),
        (false, Some(invoice::State::Void)) => invoice_voided::entries(&tax),
        (true | false, _) => Vec::new(),
    })
}

/// A subscription that waited for this payment learns its outcome.
fn follow_subscription(
    charge: &ChargeRow,
    settled: &Settled,
    current: &mut Current,
    writes: &mut Writes,
) -> Result<(), Error> {
    let (Some(on_paid), Some(subscription)) = (&charge.on_paid, &mut current.subscription) else {
        return Ok(());
    };
    // A surplus changes nothing: what it would have paid for has been decided.
    if !settled.charge.is_some_and(State::is_final) || settled.is_surplus {
        return Ok(());
    }
    let is_paid = settled.invoice == Some(invoice::State::Paid);
    let on_paid = OnPaid::from_json(on_paid)?;
    // The renewal goes on by another charge. A request does not: it has its outcome.
    if !is_paid && settled.charge_again && matches!(on_paid, OnPaid::Renewed(_)) {
        return Ok(());
    }
    if let (OnPaid::Renewed(renewed), true) = (&on_paid, is_paid) {
        subscription.period = applying::micros(renewed.period);
        if let Some(plan) = &renewed.plan {
            subscription.plan.clone_from(plan);
        }
    }
    writes.forgotten.push(charge.invoice);
    writes.outcomes.push(Outcome {
        side: (current.account, current.mode),
        subscription: subscription.id,
        on_paid,
        is_paid,
    });
    Ok(())
}

/// The dunning case of the invoice is opened or closed.
fn follow_case(news: &News, charge: &ChargeRow, settled: &Settled, current: &Current, writes: &mut Writes) {
    let Some(subscription) = &current.subscription else {
        return;
    };
    match settled.dunning {
        Some(dunning::State::Open) => writes.cases.extend(news.decline.clone().map(|decline| NewCase {
            account: current.account,
            mode: current.mode,
            subscription: subscription.id,
            invoice: charge.invoice,
            decline,
        })),
        Some(dunning::State::Recovered) if may_have_case(subscription.state) => {
            writes.recovered.push(charge.invoice)
        }
        Some(dunning::State::Recovered | dunning::State::GivenUp) => {}
        None => {}
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
    let name = kind.as_str();
    let (object, data) = if name.starts_with("charge.") {
        let code = news.decline.as_ref().map(|decline| decline.0.as_str());
        let data = serde_json::json!({
            "invoice": charge.invoice.as_str(),
            "amount": charge.amount.minor,
            "currency": charge.amount.currency.code(),
            "failure_code": code,
        });
        (charge.id.to_string(), data)
    } else if kind.is_about_invoice() {
        (
            charge.invoice.to_string(),
            serde_json::json!({"amount": charge.amount.minor, "charge": charge.id.as_str()}),
        )
    } else {
        let data = current
            .subscription
            .as_ref()
            .map(|subscription| events::of_subscription(&subscription.moment(times.billing)));
        (current.history.as_str().to_owned(), data.unwrap_or_default())
    };
    NewEvent {
        account: current.account,
        mode: current.mode,
        history: current.history.as_str().to_owned(),
        slot: current.history.slot(),
        number: current.event_number,
        kind,
        object,
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
        account: current.account,
        mode: current.mode,
        slot: news.slot(),
        kind,
        subject: charge.id.to_string(),
        message,
    });
}

/// Writes everything. Rows that are not in the state that was read under the lock are a fault of ours.
fn write_all(tx: &mut Tx<'_>, key: &DerivationKey, writes: &mut Writes, times: Times) -> Result<(), Error> {
    must_all(store::finish_charges(tx, &writes.finals, times.real)?, writes.finals.len(), "charges")?;
    tokens::give_back(tx, &writes.unused)?;
    must_all(store::update_open_charges(tx, &writes.opens)?, writes.opens.len(), "open charges")?;
    must_all(store::pay_invoices(tx, &writes.paid, times.billing)?, writes.paid.len(), "invoices")?;
    must_all(store::void_invoices(tx, &writes.voided)?, writes.voided.len(), "invoices")?;
    must_all(store::charge_again(tx, &writes.again, times.billing)?, writes.again.len(), "invoices")?;
    ledger::insert(tx, key, &writes.entries)?;
    store::open_cases(tx, key, &writes.cases, times.billing)?;
    store::close_cases(tx, (&writes.recovered, dunning::State::Recovered), times.billing)?;
    alarms::raise(tx, key, &writes.alarms, times.real)?;
    tell_in_full(tx, &mut writes.events)?;
    events::append(tx, key, &writes.events, times.real)
}

/// What was done to a charge is told with the charge as it is now. Only requests do so: this reads nothing in a batch of
/// the schedule.
fn tell_in_full(tx: &mut Tx<'_>, events: &mut [NewEvent]) -> Result<(), Error> {
    let is_action = |event: &&mut NewEvent| matches!(event.kind, Kind::ChargeCaptured | Kind::ChargeRefunded);
    for event in events.iter_mut().filter(is_action) {
        let gone = || Error::Assertion(format!("charge {} is gone", event.object));
        let id: ChargeId = event.object.parse().map_err(|_| gone())?;
        let shown = view::find(tx, (event.account, event.mode), id)?.ok_or_else(gone)?;
        event.data = view::data(&shown)?;
    }
    Ok(())
}
