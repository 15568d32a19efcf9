//! Resolve: finds out what became of charges that are not final, and sends those that never left.
//!
//! Runs first at start-up (then everything that is not final is from a process that is gone) and on a
//! timer. Asks by id, by reference, or by resending the *same* key inside its window, as
//! `billing::resolution` decides from the adapter's capabilities; never makes a new charge. A charge that
//! is proven never to have happened becomes void, and its invoice goes back on the work list.

use std::sync::Arc;

use billing::charge::{Fact, State};
use billing::resolution::{self, Capabilities, Inquiry, Step, pause_after, plus_ms};
use futures_util::{StreamExt, stream};
use gateway::{ChargeRequest, Lookup, Outcome, Truth};
use jiff::Timestamp;

use super::send::{check_after_send, send_one, send_until};
use super::settle::{Times, settle};
use super::store::checks::{self, CheckRow, SendingRow};
use super::{News, Outgoing, ResolvedBy};
use crate::clock;
use crate::leases::Former;
use crate::line::{Line, Scope, add};
use crate::renewals::Lane;

/// Charges of one pass: bounds its memory and the time until a hold is looked at again.
pub(super) const PASS_MAX: i64 = 512;
/// Questions under way at once through one connection.
pub(super) const CONCURRENCY: usize = 16;
/// A charge that only a person can find out is looked at again after this long, in milliseconds: an hour.
pub(super) const REVIEW_PAUSE_MS: i64 = 3_600_000;

/// Which charges a pass takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those whose time to be checked has come.
    Due,
    /// All that are not final: whoever was sending them is gone.
    All,
}

/// What a pass goes over.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Whose charges.
    pub scope: Scope,
    /// Which part of the key space.
    pub lane: Lane,
    /// Which of them.
    pub which: Which,
    /// The billing time of what is settled.
    pub billing: Timestamp,
}

/// One pass. Returns how many charges it took up.
pub async fn resolve(line: &Arc<Line>, pass: Pass) -> Result<usize, db::Error> {
    let Pass { which, billing, .. } = pass;
    let now = clock::now();
    let until = match which {
        Which::Due => now,
        Which::All => Timestamp::MAX,
    };
    give_up_sending(line, &pass, until, now).await?;
    let rows = line.db.read(move |tx| checks::until(tx, &pass.scope, pass.lane, until, PASS_MAX)).await?;
    let rows: Vec<CheckRow> = rows.into_iter().filter(|row| !line.is_in_flight(row.charge)).collect();
    let taken = rows.len();
    #[cfg(feature = "broken")]
    if which == Which::All && super::broken::new_key(line, &rows, Times { billing, real: now }).await? {
        return Ok(taken);
    }
    let (to_send, to_ask) = split(line, rows, now);
    let sendable = mark(line, to_send, now).await?;
    let sent = stream::iter(sendable).map(|row| resend(line, row, now)).buffer_unordered(CONCURRENCY);
    let asked = stream::iter(to_ask).map(|row| ask(line, row)).buffer_unordered(CONCURRENCY);
    let (sent, asked): (Vec<News>, Vec<News>) = tokio::join!(sent.collect(), asked.collect());
    let news: Vec<News> = sent.into_iter().chain(asked).collect();
    let found_out = |by| news.iter().filter(|news| is_final(news) && news.resolved_by == Some(by)).count();
    add(&line.counters.resolved_by_replay, found_out(ResolvedBy::Replay));
    add(&line.counters.resolved_by_lookup, found_out(ResolvedBy::Lookup));
    if !news.is_empty() {
        settle(line, news, Times { billing, real: clock::now() }).await?;
    }
    Ok(taken)
}

const fn is_final(news: &News) -> bool {
    matches!(news.fact, Fact::Succeeded | Fact::Declined | Fact::NeverExecuted)
}

/// How many charges of the scope are not final, and how many of those were never sent.
pub async fn count_open(line: &Line, scope: &Scope) -> Result<(i64, i64), db::Error> {
    let scope = scope.clone();
    line.db.read(move |tx| checks::count_open(tx, &scope)).await
}

/// Charges found `sending` whose sender is gone: what became of them is unknown. All of them at once, however
/// many, so that none waits for the time at which a living sender would be done.
async fn give_up_sending(
    line: &Line,
    pass: &Pass,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), db::Error> {
    let has_leases = pass.scope.lease.is_some();
    let former = pass.scope.lease.as_ref().map_or(Former::Gone, |lease| lease.former);
    loop {
        let (scope, lane) = (pass.scope.clone(), pass.lane);
        let sending = line.db.read(move |tx| checks::sending(tx, &scope, lane, until, PASS_MAX)).await?;
        let gone = sending.into_iter().filter(|sending| !line.is_in_flight(sending.charge));
        let lost: Vec<News> = gone
            .map(|sending| News {
                note: Some("the process that was sending it is gone".into()),
                sent_at: Some(last_sent(&sending, former, has_leases, now)),
                check_at: Some(now),
                ..News::of(sending.charge, sending.history, Fact::Lost)
            })
            .collect();
        if lost.is_empty()
            || settle(line, lost, Times { billing: pass.billing, real: now }).await?.unknown == 0
        {
            return Ok(());
        }
    }
}

/// When a charge found `sending` may last have been sent. Who made a charge inside a request holds no lease, so where there
/// are leases nobody knows whether it lives.
fn last_sent(sending: &SendingRow, former: Former, has_leases: bool, now: Timestamp) -> Timestamp {
    let former = if sending.in_request && has_leases { Former::MaySend } else { former };
    may_be_sent_until(sending.last_sent_at, former, now)
}

/// When what is found `sending` may last have been sent. It may have waited for its turn in the pace: by a process that is
/// dead until now at the latest, by one that may live for as long as it may send.
pub(super) fn may_be_sent_until(
    last_sent_at: Option<Timestamp>,
    former: Former,
    now: Timestamp,
) -> Timestamp {
    match former {
        Former::Gone => now,
        Former::MaySend => now.max(send_until(last_sent_at.unwrap_or(now))),
    }
}

fn inquiry(row: &CheckRow, now: Timestamp) -> Inquiry {
    Inquiry {
        first_sent_at: row.sent_at.unwrap_or(now),
        last_sent_at: row.last_sent_at.unwrap_or(now),
        has_gateway_id: row.gateway_charge_id.is_some(),
        is_frozen: row.frozen,
        first_absent_at: row.absent_at,
        tries: row.tries,
    }
}

/// What is to be sent (never left, or resent under its key) and what is to be asked about.
fn split(line: &Line, rows: Vec<CheckRow>, now: Timestamp) -> (Vec<CheckRow>, Vec<CheckRow>) {
    let is_free = line.is_free(true);
    let mut to_send = Vec::new();
    let mut to_ask = Vec::new();
    for row in rows {
        let Some(connection) = line.connections.get(&row.connection) else {
            continue;
        };
        if row.state == State::Prepared {
            // While the breaker is open one charge at a time is its probe.
            if is_free && (!connection.breaker.is_open() || to_send.is_empty()) {
                to_send.push(row);
            }
            continue;
        }
        match resolution::next_step(connection.gateway.capabilities(), &inquiry(&row, now), now) {
            Step::Resend if is_free && !connection.breaker.is_open() => to_send.push(row),
            // Asking changes nothing, so it goes on while sending is stopped.
            Step::Resend => to_ask.push(row),
            Step::FindById
            | Step::FindByReference
            | Step::NeedsReview
            | Step::ProvenAbsent
            | Step::Wait(_) => {
                to_ask.push(row);
            }
        }
    }
    (to_send, to_ask)
}

/// Commits, before any byte leaves, that these may have been sent now. If another process took one of them
/// meanwhile nothing is marked and the next pass reads again.
async fn mark(line: &Line, rows: Vec<CheckRow>, now: Timestamp) -> Result<Vec<CheckRow>, db::Error> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let until = rows
        .iter()
        .filter_map(|row| line.connections.get(&row.connection))
        .map(|connection| check_after_send(connection.gateway.capabilities(), now))
        .max()
        .unwrap_or(now);
    let marks: Vec<_> = rows.iter().map(|row| (row.charge, row.state, row.sent_at)).collect();
    let marked = line
        .db
        .write(move |tx| {
            let marked = checks::mark_sending(tx, &marks, now, until)?;
            if usize::try_from(marked) == Ok(marks.len()) {
                Ok(true)
            } else {
                Err(db::Error::Busy {
                    cause: "another process took some of these charges".into(),
                    statement: "mark_sending".into(),
                })
            }
        })
        .await;
    match marked {
        Ok(_) => Ok(rows),
        Err(db::Error::Busy { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Sends a charge that is marked as sent at `now`.
async fn resend(line: &Line, row: CheckRow, now: Timestamp) -> News {
    let outgoing = Outgoing {
        charge: row.charge,
        history: row.history,
        connection: row.connection,
        is_late: false,
        not_after: send_until(now),
        request: ChargeRequest {
            reference: row.charge,
            idempotency_key: row.idempotency_key.clone(),
            token: row.gateway_token.clone(),
            amount: row.amount,
            capture: row.capture,
            billing_time: row.billing_at,
        },
    };
    // A charge that had never left is sent here for the first time; nothing about it was unknown.
    let resolved_by = (row.state != State::Prepared).then_some(ResolvedBy::Replay);
    let news = News { resolved_by, ..send_one(line, &outgoing).await };
    if news.fact == Fact::Lost {
        return again_later(line, &row, news);
    }
    // A gateway that now refuses the request says nothing of the one that was sent before under this key:
    // from here on it is only asked.
    if news.fact == Fact::Declined && news.gateway_charge_id.is_none() && row.state != State::Prepared {
        return again_later(line, &row, News { fact: Fact::Lost, decline: None, freeze: true, ..news });
    }
    news
}

/// The next question about a charge that is still unknown, by the ladder of pauses.
fn again_later(line: &Line, row: &CheckRow, news: News) -> News {
    let now = clock::now();
    let pause = line
        .connections
        .get(&row.connection)
        .map_or(REVIEW_PAUSE_MS, |connection| pause_after(connection.gateway.capabilities(), row.tries));
    let alarm = resolution::needs_review(&inquiry(row, now), now).then_some("needs_review");
    News { check_at: Some(plus_ms(now, pause)), alarm: news.alarm.or(alarm), ..news }
}

async fn ask(line: &Line, row: CheckRow) -> News {
    News { resolved_by: Some(ResolvedBy::Lookup), ..look_up(line, row).await }
}

async fn look_up(line: &Line, row: CheckRow) -> News {
    let lost = News::of(row.charge, row.history, Fact::Lost);
    let Some(connection) = line.connections.get(&row.connection) else {
        return again_later(line, &row, lost);
    };
    let asked_at = clock::now();
    let found = match (&row.gateway_charge_id, connection.gateway.capabilities().lookup_by_reference) {
        (Some(id), _) => connection.gateway.find_by_id(id).await,
        (None, true) => connection.gateway.find_by_reference(row.charge.as_str()).await,
        (None, false) => {
            let note = Some("the gateway can neither be asked nor be sent the same key again".into());
            let check_at = Some(plus_ms(asked_at, REVIEW_PAUSE_MS));
            return News { note, alarm: Some("needs_review"), check_at, ..lost };
        }
    };
    match found {
        Lookup::Found(truth) => known(line, &row, truth, None),
        Lookup::Several(truths) => several(line, &row, truths),
        Lookup::Absent => absent(connection.gateway.capabilities(), &row, asked_at),
        Lookup::Failed { reason, .. } => again_later(line, &row, News { note: Some(reason), ..lost }),
    }
}

/// Truth is accepted only for the charge whose reference and amount it bears.
fn known(line: &Line, row: &CheckRow, truth: Truth, alarm: Option<&'static str>) -> News {
    let lost = News::of(row.charge, row.history, Fact::Lost);
    if truth.reference != row.charge.as_str() || truth.amount != row.amount {
        let note = Some("the gateway names another amount or reference".into());
        return again_later(line, row, News { note, alarm: Some("wrong_amount"), ..lost });
    }
    let news = News { gateway_charge_id: Some(truth.gateway_charge_id), alarm, ..lost };
    match truth.outcome {
        Outcome::Succeeded => News { fact: Fact::Succeeded, ..news },
        Outcome::Declined { code, class } => {
            News { fact: Fact::Declined, decline: Some((code, class)), ..news }
        }
        Outcome::Pending => again_later(line, row, News { fact: Fact::Pending, ..news }),
        Outcome::Authorized => again_later(line, row, News { fact: Fact::Authorized, ..news }),
        Outcome::PartlyCaptured { .. } => {
            let note = Some("the gateway took less than the amount".into());
            again_later(line, row, News { note, alarm: Some("wrong_amount"), ..news })
        }
        Outcome::Voided => {
            let note = Some("the gateway has released what was reserved".into());
            again_later(line, row, News { note, alarm: Some("needs_review"), ..news })
        }
    }
}

/// One charge of ours was executed more than once: the first success settles it, an operator hears of all.
fn several(line: &Line, row: &CheckRow, truths: Vec<Truth>) -> News {
    let is_taken = |truth: &Truth| match truth.outcome {
        Outcome::Succeeded | Outcome::PartlyCaptured { .. } => true,
        Outcome::Authorized | Outcome::Voided | Outcome::Declined { .. } | Outcome::Pending => false,
    };
    let first = truths.iter().position(is_taken).unwrap_or(0);
    match truths.into_iter().nth(first) {
        Some(truth) => known(line, row, truth, Some("executed_more_than_once")),
        None => again_later(line, row, News::of(row.charge, row.history, Fact::Lost)),
    }
}

fn absent(capabilities: &Capabilities, row: &CheckRow, asked_at: Timestamp) -> News {
    let inquiry = inquiry(row, asked_at);
    let counts = resolution::absence_counts(capabilities, &inquiry, asked_at);
    let lost = News {
        note: Some("the gateway has not seen it (yet)".into()),
        absent_at: row.absent_at.or(counts.then_some(asked_at)),
        ..News::of(row.charge, row.history, Fact::Lost)
    };
    match resolution::after_absence(capabilities, &inquiry, asked_at) {
        Step::ProvenAbsent => News { note: None, ..News::of(row.charge, row.history, Fact::NeverExecuted) },
        Step::Wait(until) => News { check_at: Some(until), ..lost },
        Step::NeedsReview | Step::FindById | Step::FindByReference | Step::Resend => {
            News { alarm: Some("needs_review"), check_at: Some(plus_ms(asked_at, REVIEW_PAUSE_MS)), ..lost }
        }
    }
}
