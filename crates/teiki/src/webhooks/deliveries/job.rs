//! The runner of a server: sends what is due, a round after the other.
//!
//! A round writes down what came back, takes what is due ([`claim`]) and starts a task for each; a task reads the event as the
//! API shows it, signs it and sends it. Any number of servers may do so beside each other. With nothing to do, a round is one
//! read. When asked to stop, nothing new is taken; what does not come back within [`STOP_WAIT`] is released, to be sent again.
//!
//! A secret that does not open, or an endpoint that does not read, fails nobody: the endpoint is left alone for a while, and the
//! operator is told.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use billing::id::{WebhookDeliveryId, WebhookEndpointId};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::guard::Reach;
use super::super::keys::Keys;
use super::super::sender::{Headers, Reply, Sender};
use super::super::signature;
use super::claim::{self, Busy, Claimed, Rooms};
use super::finish::{self, Finished, Missed, Outcome};
use super::store;
use crate::app::App;
use crate::clock;
use crate::events;
use crate::failure::Failure;
use crate::secrets::Secrets;

/// Between two rounds when nothing comes back.
const ROUND_PAUSE: Duration = Duration::from_millis(250);
/// After the first answer: others that come now are written down with it.
const GATHER_PAUSE: Duration = Duration::from_millis(10);
/// How long a stop waits for what is being sent.
const STOP_WAIT: Duration = Duration::from_secs(3);
/// How long an endpoint whose secrets do not open is left alone.
const ASIDE: Duration = Duration::from_secs(60);
/// How long the log of what is finished is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Between two looks for what is older.
const FORGET_PAUSE: Duration = Duration::from_secs(600);

/// What has been done since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    received: AtomicU64,
    failed: AtomicU64,
    waiting: AtomicU64,
}

impl Metrics {
    /// Name, type, help and value of each.
    pub(crate) fn rows(&self) -> Vec<(&'static str, &'static str, &'static str, u64)> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        vec![
            ("teiki_webhooks_delivered_total", "counter", "Webhooks that were received.", of(&self.received)),
            (
                "teiki_webhooks_failed_total",
                "counter",
                "Attempts to send a webhook that failed.",
                of(&self.failed),
            ),
            (
                "teiki_webhook_endpoints_waiting",
                "gauge",
                "Endpoints that a webhook waits for.",
                of(&self.waiting),
            ),
        ]
    }
}

/// What the runner works with.
pub(crate) struct Desk {
    pub(crate) app: App,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) metrics: Arc<Metrics>,
    /// Whether endpoints of test mode may be private.
    pub(crate) allow_private: bool,
}

struct Runner {
    desk: Desk,
    sender: Arc<Sender>,
    sending: JoinSet<(WebhookDeliveryId, Outcome)>,
    in_flight: BTreeMap<WebhookDeliveryId, Claimed>,
    aside: BTreeMap<WebhookEndpointId, Instant>,
    /// Endpoints whose last answer took long; one entry each.
    slow: BTreeSet<WebhookEndpointId>,
    forgot_at: Option<Instant>,
}

/// Sends until asked to stop.
pub(crate) async fn keep(desk: Desk, mut stopping: watch::Receiver<bool>) {
    let mut runner = Runner {
        desk,
        sender: Arc::default(),
        sending: JoinSet::new(),
        in_flight: BTreeMap::new(),
        aside: BTreeMap::new(),
        slow: BTreeSet::new(),
        forgot_at: None,
    };
    let mut back = Vec::new();
    while !*stopping.borrow() {
        match runner.round(&mut back).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(failure) => {
                tracing::error!(%failure, "webhooks could not be sent; trying again");
                tokio::time::sleep(ROUND_PAUSE).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND_PAUSE) => {}
            () = runner.gather(&mut back) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
    runner.stop(back).await;
}

impl Runner {
    /// `back`: what came back and is not written down yet; it is kept when the database fails. Returns whether there may be
    /// something else to take at once.
    async fn round(&mut self, back: &mut Vec<(WebhookDeliveryId, Outcome)>) -> Result<bool, Failure> {
        self.write_back(back).await?;
        self.forget().await?;
        self.aside.retain(|_, until| Instant::now() < *until);
        let (now, db, busy) = (clock::now(), self.desk.app.db.clone(), self.busy());
        let rooms = busy.rooms.clone();
        let due = claim::look(&db, busy, now).await?;
        self.desk.metrics.waiting.store(u64::try_from(due.waiting).unwrap_or(0), Ordering::Relaxed);
        for (endpoint, error) in &due.broken {
            tracing::error!(%endpoint, error, "a webhook endpoint does not read; nothing is sent to it");
            self.aside.insert(*endpoint, Instant::now() + ASIDE);
        }
        if !due.closed.is_empty() {
            let closed = due.closed;
            db.write(move |tx| claim::give_up(tx, &closed, now)).await?;
        }
        if due.rows.is_empty() {
            return Ok(false);
        }
        let keys = self.keys_of(&due.rows)?;
        let rows: Vec<Claimed> =
            due.rows.into_iter().filter(|row| keys.contains_key(&row.endpoint.id)).collect();
        let taken = db.write(move |tx| claim::claim(tx, &rows, rooms.clone(), now)).await?;
        for one in taken.claimed {
            if let Some(keys) = keys.get(&one.endpoint.id) {
                self.send(one, Arc::clone(keys));
            }
        }
        Ok(taken.is_more)
    }

    async fn write_back(&mut self, back: &mut Vec<(WebhookDeliveryId, Outcome)>) -> Result<(), Failure> {
        self.write(self.finished_of(back)).await?;
        for (id, outcome) in back.drain(..) {
            if let Some(claimed) = self.in_flight.remove(&id) {
                if claim::is_slow(outcome.duration_ms) {
                    self.slow.insert(claimed.endpoint.id);
                } else {
                    self.slow.remove(&claimed.endpoint.id);
                }
            }
        }
        Ok(())
    }

    fn busy(&self) -> Busy {
        Busy {
            rooms: Rooms::of(self.in_flight.values(), self.slow.clone()),
            in_flight: self.in_flight.keys().copied().collect(),
            aside: self.aside.keys().copied().collect(),
        }
    }

    /// The secrets of the endpoints of these. One whose secrets do not open is put aside; nothing is written about it.
    fn keys_of(&mut self, rows: &[Claimed]) -> Result<BTreeMap<WebhookEndpointId, Arc<Keys>>, Failure> {
        let endpoints: BTreeMap<_, _> = rows.iter().map(|row| (row.endpoint.id, &row.endpoint)).collect();
        let master = self.desk.secrets.for_reading().inspect_err(|_| {
            let until = Instant::now() + ASIDE;
            self.aside.extend(endpoints.keys().map(|id| (*id, until)));
        })?;
        let mut opened = BTreeMap::new();
        for (id, endpoint) in endpoints {
            match Keys::open(&master, endpoint) {
                Ok(keys) => {
                    opened.insert(id, Arc::new(keys));
                }
                Err(error) => {
                    tracing::error!(endpoint = %id, %error, "the secrets of a webhook endpoint cannot be used; nothing is sent to it");
                    self.aside.insert(id, Instant::now() + ASIDE);
                }
            }
        }
        Ok(opened)
    }

    fn send(&mut self, claimed: Claimed, keys: Arc<Keys>) {
        let (sender, app) = (Arc::clone(&self.sender), self.desk.app.clone());
        let reach = Reach::of(claimed.endpoint.mode, self.desk.allow_private);
        self.in_flight.insert(claimed.row.id, claimed.clone());
        self.sending.spawn(async move {
            let (id, began) = (claimed.row.id, Instant::now());
            let sent = AssertUnwindSafe(send_one(&sender, &app, &claimed, &keys, reach)).catch_unwind().await;
            let reply = sent.unwrap_or_else(|_| {
                tracing::error!(delivery = %id, "sending a webhook panicked");
                Err(Missed::Here)
            });
            let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
            (id, Outcome { reply, duration_ms })
        });
    }

    /// Waits for an answer, and takes what comes with it. May be given up at any point; nothing is lost then.
    async fn gather(&mut self, back: &mut Vec<(WebhookDeliveryId, Outcome)>) {
        let Some(first) = self.sending.join_next().await else {
            return std::future::pending().await;
        };
        // A task neither panics nor is it cut off while the runner runs.
        back.extend(first.ok());
        tokio::time::sleep(GATHER_PAUSE).await;
        while let Some(more) = self.sending.try_join_next() {
            back.extend(more.ok());
        }
    }

    fn finished_of(&self, back: &[(WebhookDeliveryId, Outcome)]) -> Vec<Finished> {
        let finished = |(id, outcome): &(WebhookDeliveryId, Outcome)| {
            Some((self.in_flight.get(id)?.clone(), Some(outcome.clone())))
        };
        back.iter().filter_map(finished).collect()
    }

    async fn write(&self, finished: Vec<Finished>) -> Result<(), Failure> {
        if finished.is_empty() {
            return Ok(());
        }
        let now = clock::now();
        let counts = self.desk.app.db.write(move |tx| finish::finish(tx, &finished, now)).await?;
        self.desk.metrics.received.fetch_add(counts.received, Ordering::Relaxed);
        self.desk.metrics.failed.fetch_add(counts.failed, Ordering::Relaxed);
        for (endpoint, reason) in counts.disabled {
            tracing::warn!(%endpoint, ?reason, "a webhook endpoint was disabled");
        }
        Ok(())
    }

    /// Removes some of what is older than the log is kept.
    async fn forget(&mut self) -> Result<(), Failure> {
        if self.forgot_at.is_some_and(|at| at.elapsed() < FORGET_PAUSE) {
            return Ok(());
        }
        let until: Timestamp = clock::now().saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        let forgotten = self.desk.app.db.write(move |tx| store::forget(tx, until)).await?;
        // There is more where there was anything.
        if forgotten == 0 {
            self.forgot_at = Some(Instant::now());
        }
        Ok(())
    }

    async fn stop(&mut self, mut back: Vec<(WebhookDeliveryId, Outcome)>) {
        let waited = tokio::time::timeout(STOP_WAIT, async {
            while let Some(done) = self.sending.join_next().await {
                back.extend(done.ok());
            }
        });
        if waited.await.is_err() {
            self.sending.shutdown().await;
        }
        let mut finished = self.finished_of(&back);
        let known: BTreeSet<WebhookDeliveryId> = back.iter().map(|(id, _)| *id).collect();
        let released = self.in_flight.iter().filter(|(id, _)| !known.contains(id));
        finished.extend(released.map(|(_, claimed)| (claimed.clone(), None)));
        if let Err(failure) = self.write(finished).await {
            tracing::error!(%failure, "what came of webhooks could not be written down; they are sent again");
        }
    }
}

/// Sends one as it is now, signed at this moment.
async fn send_one(
    sender: &Sender,
    app: &App,
    claimed: &Claimed,
    keys: &Keys,
    reach: Reach,
) -> Result<Reply, Missed> {
    let (side, event) = (claimed.row.side, claimed.row.event);
    let shown = app.db.read(move |tx| events::shown(tx, side, event)).await;
    let body = shown.map_err(|error| {
        tracing::error!(delivery = %claimed.row.id, %error, "an event could not be read to be sent");
        Missed::Here
    })?;
    let (id, now) = (event.to_string(), clock::now());
    let timestamp = now.as_second();
    let signature = signature::sign(&keys.signing(now), &id, timestamp, body.as_bytes());
    let token = String::from_utf8_lossy(keys.token.expose()).into_owned();
    let headers = Headers { id, timestamp, signature, token };
    sender.post(&claimed.endpoint.url, reach, &headers, &body).await.map_err(Missed::Receiver)
}
