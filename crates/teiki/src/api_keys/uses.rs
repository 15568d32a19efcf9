//! When keys were last used: noted by requests, written in the background.
//!
//! `last_used_at` is right to [`WRITTEN_EVERY`]. A request that finds it older than that leaves a note and goes on; the keeper
//! writes what has been noted, in one transaction, and only where no other process has. What cannot be written now (a database
//! that is read-only or away) is tried again; what a crash loses is noted again by the next request. No request waits for it
//! or fails because of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use db::Db;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};

use super::store;
use crate::web::Caller;

/// How old what is written may be: a key that is used all day costs 24 writes.
const WRITTEN_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// Most notes that wait: what is beyond is noted later. One transaction writes them all.
const WAITING_MAX: usize = 1_000;
/// After a write that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Uses that are to be written, by the key's id.
#[derive(Debug, Default)]
pub struct Uses {
    waiting: Mutex<BTreeMap<String, Timestamp>>,
    bell: Notify,
}

impl Uses {
    /// Notes that a request came at `now`, if what is written is old.
    pub fn note(&self, caller: &Caller, now: Timestamp) {
        if is_old(caller.last_used_at, now) {
            self.add([(caller.key.clone(), now)]);
            self.bell.notify_one();
        }
    }

    fn add(&self, uses: impl IntoIterator<Item = (String, Timestamp)>) {
        let mut waiting = self.waiting();
        for (key, at) in uses {
            if waiting.len() < WAITING_MAX || waiting.contains_key(&key) {
                let newest = waiting.entry(key).or_insert(at);
                *newest = at.max(*newest);
            }
        }
    }

    fn take(&self) -> BTreeMap<String, Timestamp> {
        std::mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_old(written: Option<Timestamp>, now: Timestamp) -> bool {
    written.is_none_or(|at| now.duration_since(at) >= WRITTEN_EVERY)
}

/// Writes what is noted until asked to stop, and then once more.
pub(crate) async fn keep(db: Db, uses: Arc<Uses>, mut stopping: watch::Receiver<bool>) {
    loop {
        let is_last = tokio::select! {
            () = uses.bell.notified() => false,
            // An error means that the sender is gone, which is a stop too.
            _ = stopping.wait_for(|stop| *stop) => true,
        };
        if let Err(error) = write(&db, &uses).await {
            tracing::warn!(%error, "when keys were last used could not be written; trying again");
            uses.bell.notify_one();
            tokio::select! {
                () = tokio::time::sleep(RETRY_PAUSE) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        }
        if is_last {
            return;
        }
    }
}

async fn write(db: &Db, uses: &Uses) -> Result<(), db::Error> {
    let taken = uses.take();
    if taken.is_empty() {
        return Ok(());
    }
    let noted = taken.clone();
    let written = db.write(move |tx| {
        let noted: Vec<(&str, Timestamp)> = noted.iter().map(|(key, at)| (key.as_str(), *at)).collect();
        let ids: Vec<&str> = noted.iter().map(|of| of.0).collect();
        let found = store::lock_uses(tx, &ids)?;
        let old: Vec<_> =
            found.into_iter().map(|(i, at)| (noted[i], at)).filter(|(of, at)| is_old(*at, of.1)).collect();
        let old: Vec<(&str, Timestamp)> = old.into_iter().map(|(of, _)| of).collect();
        if old.is_empty() { Ok(()) } else { store::save_uses(tx, &old) }
    });
    let written = written.await;
    if written.is_err() {
        uses.add(taken);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    #[test]
    fn what_is_written_is_old_after_an_hour() {
        for (written, is_noted) in
            [(None, true), (Some(0), true), (Some(1), false), (Some(3_600), false), (Some(9_999), false)]
        {
            assert_eq!(is_old(written.map(at), at(3_600)), is_noted, "{written:?}");
        }
    }

    #[test]
    fn notes_keep_the_newest_use_and_are_bounded() {
        let uses = Uses::default();
        uses.add([("a".to_owned(), at(2)), ("a".to_owned(), at(1))]);
        uses.add((0..2 * WAITING_MAX).map(|number| (format!("key_{number}"), at(3))));
        uses.add([("a".to_owned(), at(4))]);
        let taken = uses.take();
        assert_eq!((taken.len(), taken["a"]), (WAITING_MAX, at(4)));
        assert!(uses.take().is_empty());
    }
}
