//! Writing down what came of attempts, many in one transaction: the deliveries, whoever waited behind them, and how their
//! endpoints are doing.

use std::collections::{BTreeMap, BTreeSet};

use billing::id::WebhookEndpointId;
use db::Tx;
use jiff::Timestamp;

use super::super::retry;
use super::super::sender::Reply;
use super::super::{Reason, Status, store as endpoints};
use super::claim::Claimed;
use super::{DeliveryStatus, store};

/// What came of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// The answer, or why there is none.
    pub(super) reply: Result<Reply, Missed>,
    /// How long it took.
    pub(super) duration_ms: i64,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Missed {
    /// In words for the merchant.
    Receiver(String),
    /// By an error of this server, which is in its log. It is no failure of the endpoint.
    Here,
}

impl Outcome {
    fn is_received(&self) -> bool {
        matches!(&self.reply, Ok(reply) if (200..300).contains(&reply.status))
    }

    fn is_gone(&self) -> bool {
        matches!(&self.reply, Ok(reply) if reply.status == 410)
    }

    fn is_ours(&self) -> bool {
        matches!(&self.reply, Err(Missed::Here))
    }

    /// Why it failed, in words for the merchant.
    fn error(&self) -> Option<String> {
        match &self.reply {
            Ok(_) if self.is_received() => None,
            Ok(reply) if (300..400).contains(&reply.status) => {
                Some(format!("it answered {}; redirects are not followed", reply.status))
            }
            Ok(reply) => Some(format!("it answered {}", reply.status)),
            Err(Missed::Receiver(error)) => Some(error.clone()),
            Err(Missed::Here) => Some("it could not be sent by an error of this server".to_owned()),
        }
    }
}

/// An attempt and what came of it; `None` if this process stops before that is known.
pub(super) type Finished = (Claimed, Option<Outcome>);

/// How many were received and how many failed, and the endpoints that were disabled for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) failed: u64,
    pub(super) disabled: Vec<(WebhookEndpointId, Reason)>,
}

/// Writes it down. `now` is real time.
pub(super) fn finish(tx: &mut Tx<'_>, finished: &[Finished], now: Timestamp) -> Result<Counts, db::Error> {
    let mut counts = Counts::default();
    let rows: Vec<_> = finished
        .iter()
        .map(|(claimed, outcome)| {
            let mut row = claimed.row.clone();
            match outcome {
                // It may have been received; under the same id it may be sent again at once.
                None => row.next_attempt_at = Some(now),
                Some(outcome) => {
                    row.last.status = outcome.reply.as_ref().ok().map(|reply| i64::from(reply.status));
                    row.last.error = outcome.error();
                    row.last.duration_ms = Some(outcome.duration_ms);
                    let asked = outcome.reply.as_ref().ok().and_then(|reply| reply.retry_after_s);
                    let next = retry::next_attempt(row.event.as_str(), row.attempts, now, asked);
                    if outcome.is_received() {
                        counts.received += 1;
                        (row.status, row.next_attempt_at) = (DeliveryStatus::Delivered, None);
                    } else {
                        counts.failed += 1;
                        row.next_attempt_at = next;
                        if next.is_none() {
                            row.status = DeliveryStatus::GivenUp;
                        }
                    }
                    row.finished_at = row.next_attempt_at.is_none().then_some(now);
                }
            }
            row
        })
        .collect();
    store::write_outcomes(tx, &rows)?;
    store::wake_next(tx, rows.iter().filter(|row| row.finished_at.is_some()), now)?;
    counts.disabled = write_health(tx, finished, now)?;
    Ok(counts)
}

/// One that received anything is well. Of the others it is written down since when they fail; at the end of patience, or when it
/// says that it is gone, an endpoint is disabled. Returns those.
fn write_health(
    tx: &mut Tx<'_>,
    finished: &[Finished],
    now: Timestamp,
) -> Result<Vec<(WebhookEndpointId, Reason)>, db::Error> {
    let mut disabled = Vec::new();
    let mut well = BTreeSet::new();
    let mut failed: BTreeMap<WebhookEndpointId, bool> = BTreeMap::new();
    for (claimed, outcome) in finished {
        match outcome {
            Some(outcome) if outcome.is_received() => {
                well.insert(claimed.endpoint.id);
            }
            Some(outcome) if !outcome.is_ours() => {
                *failed.entry(claimed.endpoint.id).or_default() |= outcome.is_gone();
            }
            Some(_) | None => {}
        }
    }
    let well: Vec<WebhookEndpointId> = well.into_iter().collect();
    endpoints::forget_failures(tx, &well)?;
    // Rare: an endpoint or two of those that are sent to at once.
    for (id, is_gone) in failed.into_iter().filter(|(id, is_gone)| *is_gone || !well.contains(id)) {
        let Some(mut endpoint) = endpoints::lock(tx, id)? else {
            continue;
        };
        let (health, is_over) = endpoint.health.failed(now);
        endpoint.health = health;
        if endpoint.status == Status::Enabled && (is_gone || is_over) {
            let reason = if is_gone { Reason::Gone } else { Reason::Failing };
            endpoint.status = Status::Disabled(reason);
            disabled.push((id, reason));
        }
        endpoints::save(tx, &endpoint)?;
    }
    Ok(disabled)
}
