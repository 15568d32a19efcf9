//! Charge: sends the requests of a batch, each once, and settles the results as they come.
//!
//! No transaction is open while a gateway is called. Hold, stop and breaker are looked at before each
//! request; what was not sent goes back to prepared under the same key. Results are settled in groups:
//! a group is closed when it is full, when nothing more is under way, or [`GROUP_WAIT_MS`] after its first.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use billing::charge::Fact;
use billing::decline::DeclineClass;
use billing::id::ConnectionId;
use billing::resolution::{Capabilities, pause_after, plus_ms};
use futures_util::{StreamExt, stream};
use gateway::{Alarm, Obstacle, Outcome, Refusal, Reply, Truth};
use jiff::Timestamp;
use tokio::sync::{SemaphorePermit, mpsc};

use super::breaker::Health;
use super::pace::CONCURRENCY;
use super::settle::{Times, settle};
use super::{News, Outgoing, Report};
use crate::clock;
use crate::line::{Connection, Line};

/// Results of one settling transaction: large enough to share a sync, small enough to be quick.
const GROUP_MAX: usize = 512;
/// The same while requests come, which wait for the writer of an SQLite file meanwhile.
const PRESSED_GROUP_MAX: usize = 16;
/// How long the first result of a group waits for company, in milliseconds.
const GROUP_WAIT_MS: u64 = 20;
/// A charge that could not be sent is looked at again after this long, in milliseconds.
const UNSENT_PAUSE_MS: i64 = 500;
/// So long after its intent was written a request may still be sent, in milliseconds: enough for a batch to pass through
/// [`CONCURRENCY`] slow requests at a time, and for its two seconds of the connection's rate.
pub const SEND_MARGIN_MS: i64 = 20_000;

/// When a charge whose intent is written at `now` must have been sent; later it goes back to prepared.
pub fn send_until(now: Timestamp) -> Timestamp {
    plus_ms(now, SEND_MARGIN_MS)
}

/// When a charge that is being sent at `now` may be asked about by others.
pub fn check_after_send(capabilities: &Capabilities, now: Timestamp) -> Timestamp {
    plus_ms(send_until(now), capabilities.request_timeout_ms)
}

/// Sends `batch` and settles every result. `billing` is the billing time of what is settled.
pub async fn send_and_settle(
    line: &Arc<Line>,
    batch: Vec<Outgoing>,
    billing: Timestamp,
) -> Result<Report, db::Error> {
    let (results, arrivals) = mpsc::channel(GROUP_MAX);
    let sending = send(line, batch, results);
    let settling = settle_arrivals(line, arrivals, billing);
    let ((), settled) = tokio::join!(sending, settling);
    settled
}

async fn send(line: &Arc<Line>, batch: Vec<Outgoing>, results: mpsc::Sender<News>) {
    stream::iter(batch)
        .for_each_concurrent(CONCURRENCY, |outgoing| {
            let results = results.clone();
            async move {
                let news = News { aloft: Some(outgoing.aloft.clone()), ..send_one(line, &outgoing).await };
                // The receiver lives until every sender is dropped, unless settling failed for good; then
                // the charge stays `sending` and is resolved as unknown.
                let _ = results.send(news).await;
            }
        })
        .await;
}

async fn settle_arrivals(
    line: &Arc<Line>,
    mut arrivals: mpsc::Receiver<News>,
    billing: Timestamp,
) -> Result<Report, db::Error> {
    let mut total = Report::default();
    while let Some(group) = next_group(line, &mut arrivals).await {
        total = total.plus(settle(line, group, Times { billing, real: clock::now() }).await?);
    }
    Ok(total)
}

async fn next_group(line: &Line, arrivals: &mut mpsc::Receiver<News>) -> Option<Vec<News>> {
    let most = if line.db.is_pressed() { PRESSED_GROUP_MAX } else { GROUP_MAX };
    let mut group = Vec::with_capacity(most);
    group.push(arrivals.recv().await?);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_millis(GROUP_WAIT_MS);
    while group.len() < most {
        let room = most - group.len();
        match tokio::time::timeout_at(deadline, arrivals.recv_many(&mut group, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Some(group)
}

/// Sends one request, if sending is allowed, and says what its answer means.
pub(super) async fn send_one(line: &Line, outgoing: &Outgoing) -> News {
    let unsent = News {
        check_at: Some(plus_ms(clock::now(), UNSENT_PAUSE_MS)),
        ..News::of(outgoing.charge, outgoing.history, Fact::NotSent)
    };
    let ticket = Ticket {
        connection: outgoing.connection,
        is_late: outgoing.is_late,
        takes: true,
        not_after: outgoing.not_after,
    };
    match clear(line, &ticket).await {
        Err(note) => News { note, ..unsent },
        Ok(cleared) => {
            let reply = cleared.connection.gateway.charge(&outgoing.request).await;
            News { sent_at: Some(cleared.at), ..news_of(cleared.meaning(reply), outgoing) }
        }
    }
}

/// What must be so that a request may be sent.
pub(super) struct Ticket {
    pub(super) connection: ConnectionId,
    /// As in [`Outgoing::is_late`].
    pub(super) is_late: bool,
    /// Whether it takes or reserves money: then a hold stops it.
    pub(super) takes: bool,
    /// As in [`Outgoing::not_after`].
    pub(super) not_after: Timestamp,
}

/// Leave to send one request, once, at this instant.
pub(super) struct Cleared<'a> {
    pub(super) connection: &'a Connection,
    pub(super) at: Timestamp,
    /// Its place in the connection's pace, until the answer is there.
    _turn: Option<SemaphorePermit<'a>>,
}

/// What an answer means (specs/reliability-security.md B3).
pub(super) enum Meaning<T> {
    /// This happened.
    Known { truth: T, soon: Timestamp },
    /// Surely nothing left, or the gateway turned it away unread; it may be sent again at `check_at`.
    NotSent { note: String, alarm: Option<&'static str>, check_at: Timestamp },
    /// The gateway refuses the request itself, and would again.
    Refused { note: String, code: String, obstacle: Option<Obstacle> },
    /// Nothing is known.
    Lost { note: Option<String>, alarm: Option<&'static str>, freeze: bool, check_at: Timestamp },
}

/// The one way to the gateway: waits for a turn and looks whether sending is allowed. Error: it is not, and why if there is
/// more to say.
pub(super) async fn clear<'a>(line: &'a Line, ticket: &Ticket) -> Result<Cleared<'a>, Option<String>> {
    let Some(connection) = line.connections.get(&ticket.connection) else {
        return Err(Some("this process has no such gateway connection".into()));
    };
    let turn = connection.pace.turn(ticket.is_late).await;
    let at = clock::now();
    if at > ticket.not_after || !line.may_send(connection, ticket.takes, at) {
        return Err(None);
    }
    Ok(Cleared { connection, at, _turn: turn })
}

impl Cleared<'_> {
    /// Records what came back, and says what it means.
    pub(super) fn meaning<T>(&self, reply: Reply<T>) -> Meaning<T> {
        self.connection.breaker.record(health(&reply), clock::now());
        meaning_of(reply, self.connection.gateway.capabilities())
    }
}

fn health<T>(reply: &Reply<T>) -> Health {
    match reply {
        Reply::Known(_) | Reply::InProgress => Health::Answered,
        Reply::NotExecuted { refusal, .. } => match refusal {
            Refusal::Unauthorized => Health::Unauthorized,
            Refusal::RateLimited { .. } | Refusal::InvalidRequest { .. } | Refusal::NotPossible { .. } => {
                Health::Answered
            }
        },
        Reply::NotSent { .. } | Reply::Unknown { .. } => Health::Troubled,
    }
}

fn meaning_of<T>(reply: Reply<T>, capabilities: &Capabilities) -> Meaning<T> {
    let now = clock::now();
    let soon = plus_ms(now, pause_after(capabilities, 0));
    let not_sent = |note, alarm, pause| Meaning::NotSent { note, alarm, check_at: plus_ms(now, pause) };
    match reply {
        Reply::Known(truth) => Meaning::Known { truth, soon },
        Reply::NotSent { reason } => not_sent(reason, None, UNSENT_PAUSE_MS),
        Reply::NotExecuted { reason, refusal } => match refusal {
            Refusal::RateLimited { retry_after_ms } => {
                not_sent(reason, None, retry_after_ms.unwrap_or(UNSENT_PAUSE_MS))
            }
            Refusal::Unauthorized => not_sent(reason, Some("gateway_unauthorized"), UNSENT_PAUSE_MS),
            Refusal::InvalidRequest { code } => Meaning::Refused { note: reason, code, obstacle: None },
            Refusal::NotPossible { code, obstacle } => {
                Meaning::Refused { note: reason, code, obstacle: Some(obstacle) }
            }
        },
        Reply::Unknown { reason, alarm } => Meaning::Lost {
            note: Some(reason),
            alarm: alarm.as_ref().map(alarm_name),
            freeze: matches!(alarm, Some(Alarm::KeyMismatch)),
            check_at: soon,
        },
        Reply::InProgress => Meaning::Lost { note: None, alarm: None, freeze: false, check_at: soon },
    }
}

/// What an answer means for the charge.
fn news_of(meaning: Meaning<Truth>, outgoing: &Outgoing) -> News {
    let of = |fact| News::of(outgoing.charge, outgoing.history, fact);
    match meaning {
        Meaning::Known { truth, soon } => {
            let soon = Some(soon);
            let news = News { gateway_charge_id: Some(truth.gateway_charge_id), ..of(Fact::Pending) };
            match truth.outcome {
                Outcome::Succeeded => News { fact: Fact::Succeeded, ..news },
                Outcome::Declined { code, class } => {
                    News { fact: Fact::Declined, decline: Some((code, class)), ..news }
                }
                Outcome::Pending => News { check_at: soon, ..news },
                Outcome::Authorized => News { fact: Fact::Authorized, check_at: soon, ..news },
                // Answers to a request that only reserves; from here on the charge is asked for.
                Outcome::PartlyCaptured { .. } | Outcome::Voided => {
                    News { fact: Fact::Lost, check_at: soon, ..news }
                }
            }
        }
        Meaning::NotSent { note, alarm, check_at } => {
            News { note: Some(note), alarm, check_at: Some(check_at), ..of(Fact::NotSent) }
        }
        Meaning::Refused { note, code, .. } => News {
            note: Some(note),
            alarm: Some("gateway_refused_request"),
            decline: Some((code, DeclineClass::MerchantFault)),
            ..of(Fact::Declined)
        },
        Meaning::Lost { note, alarm, freeze, check_at } => {
            News { note, alarm, freeze, check_at: Some(check_at), ..of(Fact::Lost) }
        }
    }
}

/// The stored kind of an alarm.
pub(super) const fn alarm_name(alarm: &Alarm) -> &'static str {
    match alarm {
        Alarm::Malformed => "malformed_answer",
        Alarm::WrongAmount => "wrong_amount",
        Alarm::WrongReference => "wrong_reference",
        Alarm::KeyMismatch => "key_mismatch",
    }
}

/// How many charges have been settled since the start; for progress bars.
pub fn settled_count(line: &Line) -> u64 {
    line.counters.succeeded.load(Ordering::Relaxed) + line.counters.failed.load(Ordering::Relaxed)
}
