//! The pace of one connection: requests are spread so that the gateway's rate is never exceeded, and few are under way at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Requests under way at once through one connection, of all batches together: enough to hide the network, little to be
/// unsure about.
pub const CONCURRENCY: usize = 64;

/// A batch holds at most this many seconds of its connection's rate, so that little is ever "maybe sent".
const BATCH_SECONDS: u32 = 2;

/// Catching up after an outage takes one part in so many of the rate.
const LATE_SHARE: u32 = 2;

/// Spreads requests and counts those under way.
#[derive(Debug)]
pub struct Pace {
    rate_per_second: Option<u32>,
    next: Arc<Mutex<Option<Instant>>>,
    under_way: Semaphore,
}

impl Pace {
    /// A pace of so many requests a second; `None` is no limit.
    pub fn new(rate_per_second: Option<u32>) -> Self {
        Self { rate_per_second, next: Arc::default(), under_way: Semaphore::new(CONCURRENCY) }
    }

    /// The same rate for others, whose requests under way are counted for themselves.
    pub fn beside(&self) -> Self {
        let next = Arc::clone(&self.next);
        Self { rate_per_second: self.rate_per_second, next, under_way: Semaphore::new(CONCURRENCY) }
    }

    /// Waits for this request's turn, first come, first served; late ones take their share of the rate. Keep what it
    /// gives until the answer is there; it is never `None`, as nobody closes the semaphore.
    pub async fn turn(&self, is_late: bool) -> Option<SemaphorePermit<'_>> {
        self.spread(is_late).await;
        self.under_way.acquire().await.ok()
    }

    async fn spread(&self, is_late: bool) {
        let Some(rate) = self.rate_per_second else {
            return;
        };
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            let share = if is_late { LATE_SHARE } else { 1 };
            *next = Some(turn + Duration::from_secs(1) * share / rate.max(1));
            turn
        };
        tokio::time::sleep_until(turn).await;
    }

    /// The largest batch for this pace; `None` is no limit.
    pub fn batch_max(&self) -> Option<i64> {
        self.rate_per_second.map(|rate| i64::from(rate.max(1)) * i64::from(BATCH_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::{CONCURRENCY, Pace};

    #[tokio::test]
    async fn one_request_too_many_waits_until_another_has_its_answer() {
        let pace = Pace::new(None);
        let mut turns = Vec::new();
        for _ in 0..CONCURRENCY {
            turns.push(pace.turn(false).await);
        }
        assert!(pace.turn(false).now_or_never().is_none());
        turns.pop();
        assert!(pace.turn(false).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn catching_up_takes_half_of_the_rate() {
        for (is_late, seconds) in [(false, 2), (true, 4)] {
            let pace = Pace::new(Some(10));
            let started = Instant::now();
            for _ in 0..=20 {
                drop(pace.turn(is_late).await);
            }
            assert_eq!(started.elapsed().as_secs(), seconds, "late: {is_late}");
        }
    }
}
