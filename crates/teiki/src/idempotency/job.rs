//! Forgets keys whose time is over.

use std::time::Duration;

use db::Db;
use tokio::sync::watch;

use super::{KEPT, store};
use crate::clock;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(3_600);
/// Rows of one transaction: short, for requests wait for it.
const BATCH_MAX: i64 = 1_000;

/// Forgets old keys for as long as the server runs.
pub async fn keep(db: Db, mut stopping: watch::Receiver<bool>) {
    loop {
        if let Err(error) = forget(&db).await {
            tracing::warn!(%error, "old idempotency keys could not be deleted; trying again in an hour");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

async fn forget(db: &Db) -> Result<(), db::Error> {
    loop {
        let until = clock::now().checked_sub(KEPT).unwrap_or(jiff::Timestamp::MIN);
        let forgotten = db.write(move |tx| store::expire(tx, until, BATCH_MAX)).await?;
        if forgotten < BATCH_MAX.unsigned_abs() {
            return Ok(());
        }
    }
}
