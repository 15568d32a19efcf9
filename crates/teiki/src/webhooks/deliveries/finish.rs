//! Writing down what came of attempts, many in one transaction: the deliveries, whoever waited behind them, and how their
//! endpoints are doing.

use std::collections::{BTreeMap, BTreeSet};

use billing::id::WebhookEndpointId;
use db::Tx;
use jiff::{SignedDuration, Timestamp};

use super::super::retry;
use super::super::sender::Reply;
use super::super::{Reason, Status, store as endpoints};
use super::claim::Claimed;
use super::{DeliveryRow, DeliveryStatus, store};

/// Longest stored reason, in characters: errors of TLS may quote what a receiver says.
const ERROR_MAX: usize = 255;
/// When an endpoint works again, what waits for it is tried as soon as its last attempt is so long ago: one that is never received
/// while others are is not sent with each of those.
const GO_ON_PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// What is older keeps to its ladder: those further attempts do not count, and one that never succeeds must be given up at last.
const GO_ON_FOR: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Until it is tried again after an error of this server.
const OWN_FAULT_PAUSE: SignedDuration = SignedDuration::from_secs(60);

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
    /// By an error of this server, which is in its log. It is no failure of the endpoint, and no attempt.
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
        let error = self.whole_error()?;
        Some(error.chars().take(ERROR_MAX).collect())
    }

    fn whole_error(&self) -> Option<String> {
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

/// Writes it down. `now` is real time. Endpoints come first: whoever gives up what waits for one locks them in this order too.
pub(super) fn finish(tx: &mut Tx<'_>, finished: &[Finished], now: Timestamp) -> Result<Counts, db::Error> {
    let well: BTreeSet<WebhookEndpointId> = finished
        .iter()
        .filter(|(_, outcome)| outcome.as_ref().is_some_and(Outcome::is_received))
        .map(|(claimed, _)| claimed.endpoint.id)
        .collect();
    let recovered = endpoints::failing(tx, &well.iter().copied().collect::<Vec<_>>())?;
    endpoints::forget_failures(tx, &recovered)?;
    let mut counts = Counts { disabled: write_health(tx, finished, &well, now)?, ..Counts::default() };
    let mut ended = Vec::new();
    for (claimed, outcome) in finished {
        let row = after(&claimed.row, outcome.as_ref(), now);
        match outcome {
            Some(outcome) if outcome.is_received() => counts.received += 1,
            Some(_) => counts.failed += 1,
            None => {}
        }
        ended.push((&claimed.row, row));
    }
    store::write_outcomes(tx, &ended)?;
    store::wake_next(tx, ended.iter().map(|(_, row)| row).filter(|row| row.finished_at.is_some()))?;
    if !recovered.is_empty() {
        let since = now.saturating_sub(GO_ON_FOR).unwrap_or(Timestamp::MIN);
        store::go_on(tx, &recovered, (since, GO_ON_PAUSE, now))?;
    }
    Ok(counts)
}

/// A claimed delivery after this came of it.
fn after(claimed: &DeliveryRow, outcome: Option<&Outcome>, now: Timestamp) -> DeliveryRow {
    let mut row = claimed.clone();
    let Some(outcome) = outcome else {
        // It may have been received; under the same id it may be sent again at once.
        row.unclaim();
        row.next_attempt_at = Some(now);
        return row;
    };
    let reply = outcome.reply.as_ref().ok();
    row.last.status = reply.map(|reply| i64::from(reply.status));
    row.last.error = outcome.error();
    row.last.duration_ms = Some(outcome.duration_ms);
    if outcome.is_ours() {
        row.unclaim();
        row.next_attempt_at = Some(now.saturating_add(OWN_FAULT_PAUSE).unwrap_or(now));
        return row;
    }
    row.claims = 0;
    if outcome.is_received() {
        (row.status, row.next_attempt_at) = (DeliveryStatus::Delivered, None);
    } else {
        let asked = reply.and_then(|reply| reply.retry_after_s);
        row.next_attempt_at = retry::next_attempt(row.event.as_str(), row.attempts, now, asked);
        if row.next_attempt_at.is_none() {
            row.status = DeliveryStatus::GivenUp;
        }
    }
    row.finished_at = row.next_attempt_at.is_none().then_some(now);
    row
}

/// One that received anything is `well`. Of the others it is written down since when they fail; at the end of patience, or when it
/// says that it is gone, an endpoint is disabled. Returns those. What an address answers that is no longer the endpoint's says
/// nothing about it.
fn write_health(
    tx: &mut Tx<'_>,
    finished: &[Finished],
    well: &BTreeSet<WebhookEndpointId>,
    now: Timestamp,
) -> Result<Vec<(WebhookEndpointId, Reason)>, db::Error> {
    let known =
        || finished.iter().filter_map(|(claimed, outcome)| Some((&claimed.endpoint, outcome.as_ref()?)));
    // Whether an address of an endpoint says that it is gone.
    let mut failed: BTreeMap<(WebhookEndpointId, &str), bool> = BTreeMap::new();
    for (endpoint, outcome) in known().filter(|(_, outcome)| !outcome.is_received() && !outcome.is_ours()) {
        *failed.entry((endpoint.id, &endpoint.url)).or_default() |= outcome.is_gone();
    }
    failed.retain(|(id, _), is_gone| *is_gone || !well.contains(id));
    let ids: BTreeSet<WebhookEndpointId> = failed.keys().map(|(id, _)| *id).collect();
    let (mut changed, mut disabled) = (Vec::new(), Vec::new());
    for (mut endpoint, is_deleted) in endpoints::lock_many(tx, &ids.into_iter().collect::<Vec<_>>())? {
        let Some(is_gone) = failed.get(&(endpoint.id, endpoint.url.as_str())).filter(|_| !is_deleted) else {
            continue;
        };
        let (health, is_over) = endpoint.health.failed(now);
        endpoint.health = health;
        if endpoint.status == Status::Enabled && (*is_gone || is_over) {
            let reason = if *is_gone { Reason::Gone } else { Reason::Failing };
            endpoint.status = Status::Disabled(reason);
            disabled.push((endpoint.id, reason));
        }
        changed.push(endpoint);
    }
    endpoints::save_health(tx, &changed)?;
    Ok(disabled)
}
