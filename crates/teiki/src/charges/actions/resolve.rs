//! Resolve: finds out what became of actions that are not final.
//!
//! As with charges: the same request under the same key inside its window, else a look-up by our reference, and two
//! absences after the quiet period prove that it never happened; then nothing was changed and the action is over. Takes
//! the actions of an account whatever clock their customers follow.

use std::sync::Arc;

use billing::charge_action::{Fact, State};
use billing::id::AccountId;
use billing::mode::Mode;
use billing::money::Rounding;
use billing::resolution::{self, Capabilities, Inquiry, Step, pause_after, plus_ms};
use futures_util::{StreamExt, stream};
use gateway::{ActionRequest, ActionTruth, Lookup};
use jiff::Timestamp;

use super::settle::settle;
use super::store::{self, CheckRow};
use super::{News, Order, gateway_action, known, send};
pub(super) use crate::charges::resolve::REVIEW_PAUSE_MS;
use crate::charges::resolve::{CONCURRENCY, GROUP_MAX, may_be_sent_until};
use crate::charges::send::{check_after_send, send_until};
use crate::clock;
use crate::leases::Former;
use crate::line::Line;
use crate::renewals::Lane;

/// What a pass goes over.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Whose actions.
    pub side: (AccountId, Mode),
    /// Which part of the key space.
    pub lane: Lane,
    /// Whether several processes may work on this database: then one that made an action may live.
    pub has_leases: bool,
    /// How the account rounds tax.
    pub rounding: Rounding,
}

/// As with charges: all that is not final in a lane is to be looked at now.
pub(in crate::charges) fn take_over(
    tx: &mut db::Tx<'_>,
    mode: Mode,
    lane: Lane,
    now: Timestamp,
) -> Result<(), db::Error> {
    store::hasten(tx, mode, lane, now)
}

/// Goes over all actions whose time to be checked has come.
pub async fn resolve(line: &Arc<Line>, pass: &Pass) -> Result<(), db::Error> {
    let now = clock::now();
    let (side, lane, rounding) = (pass.side, pass.lane, pass.rounding);
    let former = if pass.has_leases { Former::MaySend } else { Former::Gone };
    let mut before = None;
    loop {
        let found = line.db.read(move |tx| store::open_until(tx, side, lane, now, GROUP_MAX)).await?;
        let is_last = i64::try_from(found.len()) != Ok(GROUP_MAX);
        let rows: Vec<CheckRow> = found.into_iter().filter(|row| !line.flights().has(row.action)).collect();
        let first = rows.first().map(|row| row.action);
        // What the former group began with is still due: nothing could be written about it.
        if first.is_none() || first == before {
            return Ok(());
        }
        before = first;
        let settled: Vec<Result<(), db::Error>> = stream::iter(rows)
            .map(|row| take_up(line, row, former, rounding))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        settled.into_iter().collect::<Result<(), _>>()?;
        if is_last || line.is_stopping() {
            return Ok(());
        }
    }
}

async fn take_up(
    line: &Arc<Line>,
    row: CheckRow,
    former: Former,
    rounding: Rounding,
) -> Result<(), db::Error> {
    let now = clock::now();
    // Who was sending it is gone, or has been given the time that it may send for.
    let last_sent_at = match row.state {
        State::Sending => Some(may_be_sent_until(row.last_sent_at, former, now)),
        State::Unknown | State::Succeeded | State::Failed | State::Void => row.last_sent_at,
    };
    let row = CheckRow { last_sent_at, ..row };
    let news = if is_to_be_repeated(line, &row, now) {
        repeat(line, &row, now).await?
    } else {
        Some(News { sent_at: row.last_sent_at, ..look_up(line, &row).await })
    };
    match news {
        Some(news) => settle(line, news, rounding).await,
        None => Ok(()),
    }
}

fn inquiry(row: &CheckRow, now: Timestamp) -> Inquiry {
    Inquiry {
        first_sent_at: row.sent_at.unwrap_or(now),
        last_sent_at: row.last_sent_at.unwrap_or(now),
        has_gateway_id: false,
        is_frozen: row.frozen,
        first_absent_at: row.absent_at,
        tries: row.tries,
    }
}

fn is_to_be_repeated(line: &Line, row: &CheckRow, now: Timestamp) -> bool {
    let Some(connection) = line.connections.get(&row.connection) else {
        return false;
    };
    // A gateway that refused to repeat it would again, and that says nothing: it is only asked.
    let inquiry = Inquiry { is_frozen: row.frozen || row.failure.is_some(), ..inquiry(row, now) };
    resolution::next_step(connection.gateway.capabilities(), &inquiry, now) == Step::Resend
        && line.is_free(row.plan.kind.takes())
        && !connection.breaker.is_open()
}

/// Sends the same request under the same key, marked as sent before any byte leaves. `None`: another process took it.
async fn repeat(line: &Line, row: &CheckRow, now: Timestamp) -> Result<Option<News>, db::Error> {
    let until = line
        .connections
        .get(&row.connection)
        .map_or(now, |connection| check_after_send(connection.gateway.capabilities(), now));
    let (action, check_at) = (row.action, row.check_at);
    let on_its_way_until = row.last_sent_at.map_or(now, |at| at.max(now));
    if !line.db.write(move |tx| store::mark_sending(tx, action, check_at, (on_its_way_until, until))).await? {
        return Ok(None);
    }
    let order = Order {
        action: row.action,
        charge: row.charge,
        side: row.side,
        connection: row.connection,
        kind: row.plan.kind,
        not_after: send_until(now),
        is_repeat: true,
        _aloft: line.flights().take_off(row.action),
        request: ActionRequest {
            gateway_charge_id: row.gateway_charge_id.clone(),
            reference: row.action.to_string(),
            idempotency_key: row.idempotency_key.clone(),
            action: gateway_action(row.plan.kind),
            amount: row.plan.amount,
            billing_time: row.billing_at,
        },
    };
    let news = send(line, &order).await;
    Ok(Some(if news.fact == Fact::Lost { again_later(line, row, news) } else { news }))
}

/// The next question about an action that is still unknown, by the ladder of pauses.
fn again_later(line: &Line, row: &CheckRow, news: News) -> News {
    let now = clock::now();
    let pause = line
        .connections
        .get(&row.connection)
        .map_or(REVIEW_PAUSE_MS, |connection| pause_after(connection.gateway.capabilities(), row.tries));
    let alarm = resolution::needs_review(&inquiry(row, now), now).then_some("needs_review");
    News { check_at: Some(plus_ms(now, pause)), alarm: news.alarm.or(alarm), ..news }
}

async fn look_up(line: &Line, row: &CheckRow) -> News {
    let lost = News::of(row.action, row.charge, row.side, Fact::Lost);
    let Some(connection) = line.connections.get(&row.connection) else {
        return again_later(line, row, lost);
    };
    let asked_at = clock::now();
    if !connection.gateway.capabilities().lookup_by_reference {
        let note = Some("the gateway can neither be asked nor be sent the same key again".into());
        let check_at = Some(plus_ms(asked_at, REVIEW_PAUSE_MS));
        return News { note, alarm: Some("needs_review"), check_at, ..lost };
    }
    match connection.gateway.find_action(&row.gateway_charge_id, row.action.as_str()).await {
        Lookup::Found(truth) => found(line, row, truth, None),
        // One action of ours was executed more than once: the first settles it, an operator hears of all.
        Lookup::Several(truths) => match truths.into_iter().next() {
            Some(truth) => found(line, row, truth, Some("executed_more_than_once")),
            None => again_later(line, row, lost),
        },
        Lookup::Absent => absent(connection.gateway.capabilities(), row, asked_at),
        Lookup::Failed { reason, .. } => again_later(line, row, News { note: Some(reason), ..lost }),
    }
}

/// Truth is accepted only for the action whose reference, kind and amount it bears.
fn found(line: &Line, row: &CheckRow, truth: ActionTruth, alarm: Option<&'static str>) -> News {
    let lost = News::of(row.action, row.charge, row.side, Fact::Lost);
    let agrees = truth.reference == row.action.as_str()
        && truth.gateway_charge_id == row.gateway_charge_id
        && truth.action == gateway_action(row.plan.kind)
        && truth.amount == row.plan.amount;
    if !agrees {
        let note = Some("the gateway names another amount, reference or kind of action".into());
        return again_later(line, row, News { note, alarm: Some("wrong_amount"), ..lost });
    }
    known(News { alarm, ..lost }, truth)
}

fn absent(capabilities: &Capabilities, row: &CheckRow, asked_at: Timestamp) -> News {
    let inquiry = inquiry(row, asked_at);
    let of = |fact| News::of(row.action, row.charge, row.side, fact);
    let lost = News {
        note: Some("the gateway has not seen it (yet)".into()),
        absent_at: resolution::first_absence(capabilities, &inquiry, asked_at),
        ..of(Fact::Lost)
    };
    match resolution::after_absence(capabilities, &inquiry, asked_at) {
        // What the gateway said to a repeat is now why it is not done.
        Step::ProvenAbsent if row.failure.is_some() => {
            News { failure: row.failure.clone(), ..of(Fact::Refused) }
        }
        Step::ProvenAbsent => of(Fact::NeverExecuted),
        Step::Wait(until) => News { check_at: Some(until), ..lost },
        Step::NeedsReview | Step::FindById | Step::FindByReference | Step::Resend => {
            News { alarm: Some("needs_review"), check_at: Some(plus_ms(asked_at, REVIEW_PAUSE_MS)), ..lost }
        }
    }
}
