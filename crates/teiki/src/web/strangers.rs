//! Requests that are refused for their key: counted for `/metrics`, told in the log, and limited where they cost something.
//!
//! Limits of keys cannot count a key that nobody has. Looking it up is a read of the database, so one process looks up at most
//! [`LOOKS_PER_SECOND`] keys that it does not know yet; keys that have opened something here are not concerned. The log has a
//! line at most every [`SAID_EVERY`], with the number of those that had none.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::ApiError;
use super::limits::Bucket;
use crate::logs::Seldom;

/// Keys that are not known yet and are looked up in a second. More than a new process is asked with, and little work.
const LOOKS_PER_SECOND: u32 = 200;
/// Keys that are remembered; with more of them all are met anew.
const KNOWN_MAX: usize = 10_000;
/// Between two lines about refused keys.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Why a key opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There was none.
    Missing,
    /// Nobody has it, or nobody has it any more.
    Unknown,
    /// It may not do what was asked.
    Forbidden,
    /// It was not looked up: there were too many.
    TooMany,
}

impl Why {
    const ALL: [Self; 4] = [Self::Missing, Self::Unknown, Self::Forbidden, Self::TooMany];

    /// As it is counted: the code of the error.
    const fn code(self) -> &'static str {
        match self {
            Self::Missing => "no_api_key",
            Self::Unknown => "invalid_api_key",
            Self::Forbidden => "not_allowed",
            Self::TooMany => "over_capacity",
        }
    }
}

/// What one process knows of keys that open nothing.
#[derive(Debug, Default)]
pub struct Strangers {
    counts: [AtomicU64; Why::ALL.len()],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Hashes of keys that have opened something.
    known: HashSet<[u8; 32]>,
    looks: Option<Bucket>,
    said: Seldom,
}

impl Strangers {
    /// Before the key with this hash is looked up at `now`. Error: 429, other keys were looked up too often.
    pub fn admit(&self, hash: &[u8; 32], now: Instant) -> Result<(), ApiError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_admitted = state.known.contains(hash)
            || state
                .looks
                .get_or_insert_with(|| Bucket::full(LOOKS_PER_SECOND, now))
                .take(LOOKS_PER_SECOND, now);
        if is_admitted {
            return Ok(());
        }
        self.counts[Why::TooMany as usize].fetch_add(1, Ordering::Relaxed);
        let message = "Too many requests come with unknown API keys, and this key has not been seen here yet; try again in a second.";
        Err(ApiError::over_capacity(1).saying(message))
    }

    /// What the look came to.
    pub fn met(&self, hash: [u8; 32], is_known: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_known {
            state.known.remove(&hash);
            return;
        }
        if state.known.len() >= KNOWN_MAX {
            state.known.clear();
        }
        state.known.insert(hash);
    }

    /// Counts a refused request, and says so if it is time. `key` as it may be shown; `asked` is the method and the address.
    pub fn refused(&self, why: Why, (request, key): (&str, &str), asked: (&str, &str), now: Instant) {
        self.counts[why as usize].fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unsaid) = state.said.is_time(now, SAID_EVERY) {
            let (code, (method, path)) = (why.code(), asked);
            tracing::warn!(request, code, key, method, path, unsaid, "a key was refused");
        }
    }

    /// For `/metrics`: how often each happened.
    pub fn counts(&self) -> [(&'static str, u64); Why::ALL.len()] {
        Why::ALL.map(|why| (why.code(), self.counts[why as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_limited_together_and_known_ones_are_not() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        strangers.met([1; 32], true);
        let unknown =
            |number: u32| strangers.admit(&[u8::try_from(number % 200 + 2).expect("small"); 32], now);
        assert!((0..LOOKS_PER_SECOND).all(|number| unknown(number).is_ok()));
        let error = unknown(0).expect_err("too many");
        assert_eq!((error.status.as_u16(), error.retry_after()), (429, Some(1)));
        assert!(strangers.admit(&[1; 32], now).is_ok());
        strangers.met([1; 32], false);
        assert!(strangers.admit(&[1; 32], now).is_err(), "it was revoked");
        assert!(strangers.admit(&[1; 32], now + Duration::from_secs(1)).is_ok());
    }
}
