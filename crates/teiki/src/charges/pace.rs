//! The pace of one connection: requests are spread so that the gateway's rate is never exceeded.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A batch holds at most this many seconds of its connection's rate, so that little is ever "maybe sent".
const BATCH_SECONDS: u32 = 2;

/// Spreads requests; without a limit it costs nothing.
#[derive(Debug)]
pub struct Pace {
    rate_per_second: Option<u32>,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// A pace of so many requests a second; `None` is no limit.
    pub const fn new(rate_per_second: Option<u32>) -> Self {
        Self { rate_per_second, next: Mutex::new(None) }
    }

    /// Waits for this request's turn.
    pub async fn turn(&self) {
        let Some(rate) = self.rate_per_second else {
            return;
        };
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            *next = Some(turn + Duration::from_secs(1) / rate.max(1));
            turn
        };
        tokio::time::sleep_until(turn).await;
    }

    /// The largest batch for this pace; `None` is no limit.
    pub fn batch_max(&self) -> Option<i64> {
        self.rate_per_second.map(|rate| i64::from(rate.max(1)) * i64::from(BATCH_SECONDS))
    }
}
