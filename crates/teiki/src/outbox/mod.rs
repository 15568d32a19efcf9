//! The outbox: what must still be delivered, at least once, under fixed ids.
//!
//! Rows are written in the transaction of the fact (`events`). A runner takes the oldest, delivers them to
//! their sink and deletes them; what was delivered but not yet deleted when the process dies is delivered
//! again under the same event id. The only sink is the log, which cannot refuse; webhooks can, and have a queue of their own
//! (`crate::webhooks::deliveries`).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use billing::id::EventId;
use db::Db;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::clock;
use crate::line::{Line, add};

mod store;

/// The sink that writes events to teiki's log. Persisted; keep stable.
pub const LOG_SINK: &str = "log";

/// Rows of one delivery: one transaction each.
const BATCH_MAX: i64 = 1_000;
/// The same while requests come, which wait for the writer of an SQLite file meanwhile.
const PRESSED_MAX: i64 = 200;
/// Pause of the runner when nothing waits.
const IDLE_PAUSE: Duration = Duration::from_millis(250);

/// An event that waits in the outbox.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its fixed id: receivers tell repeats by it.
    pub event: EventId,
    /// Where to.
    pub sink: String,
    /// What happened.
    pub kind: String,
    /// The thing it happened to.
    pub object: String,
    /// Its place in its history.
    pub number: i64,
}

/// Delivers one batch. Returns how many rows it took.
pub async fn deliver(db: &Db, now: Timestamp) -> Result<usize, db::Error> {
    let most = if db.is_pressed() { PRESSED_MAX } else { BATCH_MAX };
    let waiting = db.read(move |tx| store::waiting(tx, now, most)).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    for event in &waiting {
        tracing::info!(target: "teiki::events", event = %event.event, kind = %event.kind, object = %event.object, number = event.number);
    }
    let delivered = waiting.len();
    db.write(move |tx| store::delete(tx, &waiting)).await?;
    Ok(delivered)
}

/// Delivers until nothing waits. Returns how many rows it took.
pub async fn drain(db: &Db) -> Result<u64, db::Error> {
    let mut total = 0;
    loop {
        match deliver(db, clock::now()).await? {
            0 => return Ok(total),
            delivered => total += u64::try_from(delivered).unwrap_or(0),
        }
    }
}

/// Delivers for as long as the server runs, when `bell` is rung; `delivered` counts the rows.
pub(crate) async fn keep(
    db: Db,
    bell: Arc<Notify>,
    delivered: Arc<AtomicU64>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = bell.notified() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        while !*stopping.borrow() {
            match deliver(&db, clock::now()).await {
                Ok(0) => break,
                Ok(rows) => add(&delivered, rows),
                Err(error) => {
                    tracing::warn!(%error, "the outbox could not be delivered; trying again");
                    break;
                }
            }
        }
    }
}

/// Delivers for as long as the process runs. A database that fails is tried again after a pause.
pub async fn run(line: Arc<Line>) {
    while !line.is_stopping() {
        match deliver(&line.db, clock::now()).await {
            Ok(delivered) if delivered > 0 => add(&line.counters.delivered, delivered),
            Ok(_) => tokio::time::sleep(IDLE_PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, "the outbox could not be delivered; trying again");
                tokio::time::sleep(IDLE_PAUSE).await;
            }
        }
    }
}
