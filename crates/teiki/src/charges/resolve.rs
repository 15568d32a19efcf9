//! Resolve: finds out what became of charges that are not final, and sends those that never left.
//!
//! Takes charges whose time to be checked has come; whoever takes a part over brings that time forward first
//! ([`take_over`]), for the process that was at work on it is gone. Asks by id, by reference, or by resending the *same* key
//! inside its window, as `billing::resolution` decides from the adapter's capabilities; never makes a new charge. What nobody
//! asks for any more is not sent, for the first time or again: it is only asked about. A charge that is proven never to have
//! happened becomes void, and its invoice goes back on the work list.

use std::sync::Arc;

use billing::charge::{Fact, State};
use billing::id::{ChargeId, ConnectionId};
use billing::mode::Mode;
use billing::resolution::{self, Capabilities, Inquiry, Step, pause_after, plus_ms};
use futures_util::{StreamExt, stream};
use gateway::{ChargeRequest, Lookup, Outcome, Truth};
use jiff::Timestamp;

#[cfg(feature = "broken")]
use super::broken::abandoned;
use super::send::{check_after_send, send_one, send_until};
use super::settle::{Times, settle};
use super::store::checks::{self, CheckRow, SendingRow};
use super::{News, Outgoing, Report, ResolvedBy, actions};
use crate::clock;
use crate::leases::Former;
use crate::line::{Connection, Line, Scope, add};
use crate::renewals::Lane;

/// Charges of one connection that are looked at together: bounds memory and the time until a hold is looked at again.
pub(super) const GROUP_MAX: i64 = 512;
/// Questions under way at once through one connection.
pub(super) const CONCURRENCY: usize = 16;
/// A charge that only a person can find out is looked at again after this long, in milliseconds: an hour.
pub(super) const REVIEW_PAUSE_MS: i64 = 3_600_000;

/// What a pass goes over.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Whose charges.
    pub scope: Scope,
    /// Which part of the key space.
    pub lane: Lane,
    /// The billing time of what is settled.
    pub billing: Timestamp,
}

/// Whoever was at work in a lane is gone: all that is not final there is to be looked at now, whatever its clock, by the
/// passes that follow. Written down, so that neither a second death nor a long list loses sight of anything.
pub fn take_over(tx: &mut db::Tx<'_>, mode: Mode, lane: Lane, now: Timestamp) -> Result<(), db::Error> {
    checks::hasten(tx, mode, lane, now)?;
    actions::resolve::take_over(tx, mode, lane, now)
}

/// Goes over all charges whose time to be checked has come. Returns how many were taken up.
pub async fn resolve(line: &Arc<Line>, pass: &Pass) -> Result<usize, db::Error> {
    let now = clock::now();
    give_up_sending(line, pass, now).await?;
    let (mut total, mut before) = (0, None);
    loop {
        let (group, is_last) = next_group(line, pass, now).await?;
        let first = group.first().map(|row| row.charge);
        // What the former group began with is still due: nothing could be written about it.
        if first.is_none() || first == before {
            return Ok(total);
        }
        before = first;
        total += take_up(line, pass, group, now).await?;
        if is_last || line.is_stopping() {
            return Ok(total);
        }
    }
}

/// What can be done something about now, of each connection by itself: what must wait on one is in nobody's way. And
/// whether that is all there is.
async fn next_group(line: &Line, pass: &Pass, now: Timestamp) -> Result<(Vec<CheckRow>, bool), db::Error> {
    let may_send = line.is_free(true);
    // While the breaker is open one charge at a time is its probe.
    let most_sent = |connection: &Connection| if connection.breaker.is_open() { 1 } else { GROUP_MAX };
    let limits: Vec<(ConnectionId, i64)> = line
        .connections
        .iter()
        .map(|(&id, connection)| (id, if may_send { most_sent(connection) } else { 0 }))
        .collect();
    let (scope, lane) = (pass.scope.clone(), pass.lane);
    let found = line.db.read(move |tx| {
        let mut found = (Vec::new(), true);
        for &(connection, sent_max) in &limits {
            let due = checks::Due { scope: &scope, lane, connection, until: now };
            for (is_unsent, most) in [(false, GROUP_MAX), (true, sent_max)] {
                let rows = if most > 0 { checks::due(tx, &due, is_unsent, most)? } else { Vec::new() };
                found.1 &= i64::try_from(rows.len()) != Ok(GROUP_MAX);
                found.0.extend(rows);
            }
        }
        Ok::<_, db::Error>(found)
    });
    let (rows, is_last) = found.await?;
    Ok((rows.into_iter().filter(|row| !line.flights().has(row.charge)).collect(), is_last))
}

/// Sends or asks about each of a group, and settles what came back. Returns how many that were.
async fn take_up(
    line: &Arc<Line>,
    pass: &Pass,
    group: Vec<CheckRow>,
    now: Timestamp,
) -> Result<usize, db::Error> {
    let (to_send, mut to_ask): (Vec<_>, Vec<_>) =
        group.into_iter().partition(|row| is_to_be_sent(line, row, now));
    let (to_send, unwanted) = part_unwanted(line, to_send).await?;
    let (unwanted, asked_only): (Vec<_>, Vec<_>) =
        unwanted.into_iter().partition(|row| row.state == State::Prepared);
    // What may have been executed is found out; sent again, it could be executed only now.
    to_ask.extend(asked_only);
    let given_up = give_up(line, pass, unwanted).await?;
    let sendable = mark(line, to_send, now).await?;
    let sent = stream::iter(sendable).map(|row| resend(line, row, now)).buffer_unordered(CONCURRENCY);
    let asked = stream::iter(to_ask).map(|row| ask(line, row)).buffer_unordered(CONCURRENCY);
    let (sent, asked): (Vec<News>, Vec<News>) = tokio::join!(sent.collect(), asked.collect());
    let news: Vec<News> = sent.into_iter().chain(asked).collect();
    let found_out = |by| news.iter().filter(|news| is_final(news) && news.resolved_by == Some(by)).count();
    add(&line.counters.resolved_by_replay, found_out(ResolvedBy::Replay));
    add(&line.counters.resolved_by_lookup, found_out(ResolvedBy::Lookup));
    let taken = news.len();
    if taken > 0 {
        settle(line, news, Times { billing: pass.billing, real: clock::now() }).await?;
    }
    Ok(given_up + taken)
}

/// Ends what never left and nobody asks for any more, before anything else of its group takes its time: meanwhile somebody
/// might ask for it again. Returns how many that were.
async fn give_up(line: &Line, pass: &Pass, unwanted: Vec<CheckRow>) -> Result<usize, db::Error> {
    let news: Vec<News> =
        unwanted.iter().map(|row| News::of(row.charge, row.history, Fact::GivenUp)).collect();
    let given_up = news.len();
    if given_up > 0 {
        settle(line, news, Times { billing: pass.billing, real: clock::now() }).await?;
    }
    Ok(given_up)
}

/// Whether it is sent, for the first time or again under its key; else it is asked about, which changes nothing and goes on
/// while sending is stopped.
fn is_to_be_sent(line: &Line, row: &CheckRow, now: Timestamp) -> bool {
    if row.state == State::Prepared {
        return true;
    }
    let Some(connection) = line.connections.get(&row.connection) else {
        return false;
    };
    // A gateway that refused to repeat it would again, and that says nothing: it is only asked.
    let inquiry = Inquiry { is_frozen: row.frozen || row.decline.is_some(), ..inquiry(row, now) };
    resolution::next_step(connection.gateway.capabilities(), &inquiry, now) == Step::Resend
        && line.is_free(true)
        && !connection.breaker.is_open()
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
async fn give_up_sending(line: &Line, pass: &Pass, now: Timestamp) -> Result<(), db::Error> {
    let has_leases = pass.scope.lease.is_some();
    let former = pass.scope.lease.as_ref().map_or(Former::Gone, |lease| lease.former);
    loop {
        let (scope, lane) = (pass.scope.clone(), pass.lane);
        let sending = line.db.read(move |tx| checks::sending(tx, &scope, lane, now, GROUP_MAX)).await?;
        let gone = sending.into_iter().filter(|sending| !line.flights().has(sending.charge));
        let lost: Vec<News> = gone
            .map(|sending| News {
                note: Some("the process that was sending it is gone".into()),
                sent_at: Some(last_sent(&sending, former, has_leases, now)),
                check_at: Some(now),
                ..News::of(sending.charge, sending.history, abandoned())
            })
            .collect();
        let times = Times { billing: pass.billing, real: now };
        if lost.is_empty() || settle(line, lost, times).await? == Report::default() {
            return Ok(());
        }
    }
}

/// What is known of a charge whose sender is gone: nothing.
#[cfg(not(feature = "broken"))]
const fn abandoned() -> Fact {
    Fact::Lost
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

/// Parts what nobody asks for any more from what is to be sent.
async fn part_unwanted(
    line: &Line,
    rows: Vec<CheckRow>,
) -> Result<(Vec<CheckRow>, Vec<CheckRow>), db::Error> {
    if rows.is_empty() {
        return Ok((rows, Vec::new()));
    }
    let charges: Vec<ChargeId> = rows.iter().map(|row| row.charge).collect();
    let unwanted = line.db.read(move |tx| checks::unwanted(tx, &charges)).await?;
    Ok(rows.into_iter().partition(|row| !unwanted.contains(&row.charge)))
}

/// Commits, before any byte leaves, that these may have been sent now. If another process took one of them, or somebody ended
/// what one is for meanwhile, nothing is marked and the next pass reads again.
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
    let unmarked = |row: &CheckRow| checks::Unmarked {
        charge: row.charge,
        state: row.state,
        sent_at: row.sent_at,
        on_its_way_until: on_its_way_until(row, now),
    };
    let marks: Vec<_> = rows.iter().map(unmarked).collect();
    let charges: Vec<ChargeId> = rows.iter().map(|row| row.charge).collect();
    let marked = line
        .db
        .write(move |tx| {
            let marked = checks::mark_sending(tx, &marks, now, until)?;
            if usize::try_from(marked) == Ok(marks.len()) && checks::unwanted(tx, &charges)?.is_empty() {
                Ok(true)
            } else {
                Err(db::Error::Busy {
                    cause:
                        "some of these charges were taken by another process, or are not asked for any more"
                            .into(),
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

/// Until when a request of a charge that is marked as sent at `now` may be on its way. One that never left becomes `sending`, and
/// whoever finds it so adds the time that its sender may wait for its turn; one that stays unknown must have it from the start.
fn on_its_way_until(row: &CheckRow, now: Timestamp) -> Timestamp {
    let until = if row.state == State::Prepared { now } else { send_until(now) };
    row.last_sent_at.map_or(until, |at| at.max(until))
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
        aloft: line.flights().take_off(row.charge),
    };
    // A charge that had never left is sent here for the first time; nothing about it was unknown.
    let resolved_by = (row.state != State::Prepared).then_some(ResolvedBy::Replay);
    let news = News { resolved_by, aloft: Some(outgoing.aloft.clone()), ..send_one(line, &outgoing).await };
    if news.fact == Fact::Lost {
        return again_later(line, &row, news);
    }
    // A gateway that now refuses the request says nothing of the one that was sent before under this key:
    // from here on it is only asked.
    if news.fact == Fact::Declined && news.gateway_charge_id.is_none() && row.state != State::Prepared {
        return again_later(line, &row, News { fact: Fact::Lost, ..news });
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
            let note = Some("the gateway cannot be asked, and must not be sent the same key again".into());
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
    let lost = News {
        note: Some("the gateway has not seen it (yet)".into()),
        absent_at: resolution::first_absence(capabilities, &inquiry, asked_at),
        ..News::of(row.charge, row.history, Fact::Lost)
    };
    match resolution::after_absence(capabilities, &inquiry, asked_at) {
        // What the gateway said to a repeat is now why it failed.
        Step::ProvenAbsent if row.decline.is_some() => {
            News { decline: row.decline.clone(), ..News::of(row.charge, row.history, Fact::Declined) }
        }
        Step::ProvenAbsent => News::of(row.charge, row.history, Fact::NeverExecuted),
        Step::Wait(until) => News { check_at: Some(until), ..lost },
        Step::NeedsReview | Step::FindById | Step::FindByReference | Step::Resend => {
            News { alarm: Some("needs_review"), check_at: Some(plus_ms(asked_at, REVIEW_PAUSE_MS)), ..lost }
        }
    }
}
