//! Charge: sends the requests of a batch, each once, and settles the results as they come.
//!
//! No transaction is open while a gateway is called. Hold, stop and breaker are looked at before each
//! request; what was not sent goes back to prepared under the same key. Results are settled in groups:
//! a group is closed when it is full, when nothing more is under way, or [`GROUP_WAIT_MS`] after its first.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use billing::charge::Fact;
use billing::resolution::{Capabilities, pause_after, plus_ms};
use futures_util::{StreamExt, stream};
use gateway::{Alarm, ChargeReply, Outcome, Refusal};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::breaker::Health;
use super::pace::CONCURRENCY;
use super::settle::{Report, Times, settle};
use super::{News, Outgoing};
use crate::clock;
use crate::line::{Connection, Line};

/// Results of one settling transaction: large enough to share a sync, small enough to be quick.
const GROUP_MAX: usize = 512;
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
                let news = send_one(line, &outgoing).await;
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
    while let Some(group) = next_group(&mut arrivals).await {
        total = total.plus(settle(line, group, Times { billing, real: clock::now() }).await?);
    }
    Ok(total)
}

async fn next_group(arrivals: &mut mpsc::Receiver<News>) -> Option<Vec<News>> {
    let mut group = Vec::with_capacity(GROUP_MAX);
    group.push(arrivals.recv().await?);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_millis(GROUP_WAIT_MS);
    while group.len() < GROUP_MAX {
        let room = GROUP_MAX - group.len();
        match tokio::time::timeout_at(deadline, arrivals.recv_many(&mut group, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Some(group)
}

/// Sends one request, if sending is allowed, and says what its answer means.
pub(super) async fn send_one(line: &Line, outgoing: &Outgoing) -> News {
    let now = clock::now();
    let unsent = News {
        check_at: Some(plus_ms(now, UNSENT_PAUSE_MS)),
        ..News::of(outgoing.charge, outgoing.history, Fact::NotSent)
    };
    let Some(connection) = line.connections.get(&outgoing.connection) else {
        return News { note: Some("this process has no such gateway connection".into()), ..unsent };
    };
    let _turn = connection.pace.turn(outgoing.is_late).await;
    let sent_at = clock::now();
    if sent_at > outgoing.not_after || !line.may_send(connection, sent_at) {
        return unsent;
    }
    let reply = connection.gateway.charge(&outgoing.request).await;
    connection.breaker.record(health(&reply), clock::now());
    News { sent_at: Some(sent_at), ..news_of(reply, outgoing, connection) }
}

fn health(reply: &ChargeReply) -> Health {
    match reply {
        ChargeReply::Known(_) | ChargeReply::InProgress => Health::Answered,
        ChargeReply::NotExecuted { refusal, .. } => match refusal {
            Refusal::Unauthorized => Health::Unauthorized,
            Refusal::RateLimited { .. } | Refusal::InvalidRequest { .. } | Refusal::NotPossible { .. } => {
                Health::Answered
            }
        },
        ChargeReply::NotSent { .. } | ChargeReply::Unknown { .. } => Health::Troubled,
    }
}

/// What an answer means for the charge (specs/reliability-security.md B3).
fn news_of(reply: ChargeReply, outgoing: &Outgoing, connection: &Connection) -> News {
    let now = clock::now();
    let of = |fact| News::of(outgoing.charge, outgoing.history, fact);
    let soon = Some(plus_ms(now, pause_after(connection.gateway.capabilities(), 0)));
    match reply {
        ChargeReply::Known(truth) => {
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
        ChargeReply::NotSent { reason } => {
            News { note: Some(reason), check_at: Some(plus_ms(now, UNSENT_PAUSE_MS)), ..of(Fact::NotSent) }
        }
        ChargeReply::NotExecuted { reason, refusal } => match refusal {
            Refusal::RateLimited { retry_after_ms } => {
                let pause = retry_after_ms.unwrap_or(UNSENT_PAUSE_MS);
                News { note: Some(reason), check_at: Some(plus_ms(now, pause)), ..of(Fact::NotSent) }
            }
            Refusal::Unauthorized => News {
                note: Some(reason),
                alarm: Some("gateway_unauthorized"),
                check_at: Some(plus_ms(now, UNSENT_PAUSE_MS)),
                ..of(Fact::NotSent)
            },
            Refusal::InvalidRequest { code } | Refusal::NotPossible { code, .. } => {
                let class = billing::decline::DeclineClass::MerchantFault;
                News {
                    note: Some(reason),
                    alarm: Some("gateway_refused_request"),
                    decline: Some((code, class)),
                    ..of(Fact::Declined)
                }
            }
        },
        ChargeReply::Unknown { reason, alarm } => News {
            note: Some(reason),
            alarm: alarm.as_ref().map(alarm_name),
            freeze: matches!(alarm, Some(Alarm::KeyMismatch)),
            check_at: soon,
            ..of(Fact::Lost)
        },
        ChargeReply::InProgress => News { check_at: soon, ..of(Fact::Lost) },
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
