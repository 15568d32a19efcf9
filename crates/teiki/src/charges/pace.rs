//! The pace of one connection: requests are spread so that the gateway's rate is never exceeded, and few are under way at once.
//!
//! What somebody waits for and what the schedule sends stand in two queues, each first come, first served. While both wait
//! they take turns: a person never waits behind a whole run, and a run keeps half of the rate.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Requests of one queue that are under way at once through one connection: enough to hide the network, little to be unsure
/// about.
pub const CONCURRENCY: usize = 64;

/// A batch holds at most this many seconds of its connection's rate, so that little is ever "maybe sent".
const BATCH_SECONDS: u32 = 2;

/// Catching up after an outage takes one part in so many of the rate.
const LATE_SHARE: u32 = 2;

/// Spreads requests and counts those under way.
#[derive(Debug)]
pub struct Pace {
    rate_per_second: Option<u32>,
    turns: Arc<Turns>,
    queue: Queue,
    under_way: Semaphore,
}

/// Who stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    /// Payments of requests.
    Requests = 0,
    /// Those of the schedule, and whatever is found out.
    Work = 1,
}

impl Queue {
    const fn other(self) -> Self {
        match self {
            Self::Requests => Self::Work,
            Self::Work => Self::Requests,
        }
    }
}

/// What the two queues share.
#[derive(Debug)]
struct Turns {
    order: Mutex<Order>,
    /// Who is first in each queue.
    first: [Semaphore; 2],
    /// A turn was taken, or given up.
    moved: Notify,
}

#[derive(Debug)]
struct Order {
    /// When the next request may be sent.
    next: Option<Instant>,
    /// In which queues somebody waits.
    waiting: [bool; 2],
    /// Whose turn was the last.
    last: Queue,
}

impl Pace {
    /// A pace of so many requests a second; `None` is no limit. Its queue is that of requests.
    pub fn new(rate_per_second: Option<u32>) -> Self {
        let order = Order { next: None, waiting: [false; 2], last: Queue::Work };
        let turns = Turns {
            order: Mutex::new(order),
            first: [Semaphore::new(1), Semaphore::new(1)],
            moved: Notify::new(),
        };
        let turns = Arc::new(turns);
        Self { rate_per_second, turns, queue: Queue::Requests, under_way: Semaphore::new(CONCURRENCY) }
    }

    /// The same rate for the other queue.
    pub fn beside(&self) -> Self {
        Self {
            rate_per_second: self.rate_per_second,
            turns: Arc::clone(&self.turns),
            queue: self.queue.other(),
            under_way: Semaphore::new(CONCURRENCY),
        }
    }

    /// Waits for this request's turn; late ones take their share of the rate. Keep what it gives until the answer is there;
    /// it is never `None`, as nobody closes the semaphore.
    pub async fn turn(&self, is_late: bool) -> Option<SemaphorePermit<'_>> {
        self.spread(is_late).await;
        self.under_way.acquire().await.ok()
    }

    async fn spread(&self, is_late: bool) {
        let Some(rate) = self.rate_per_second else {
            return;
        };
        let share = if is_late { LATE_SHARE } else { 1 };
        let room = Duration::from_secs(1) * share / rate.max(1);
        let turns = self.turns.as_ref();
        // Closed by nobody.
        let _first = turns.first[self.queue as usize].acquire().await;
        let _waiting = Waiting::begin(turns, self.queue);
        loop {
            let moved = turns.moved.notified();
            let Some(wake_at) = turns.try_take(self.queue, room) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep_until(wake_at) => {}
                () = moved => {}
            }
        }
    }

    /// The largest batch for this pace; `None` is no limit.
    pub fn batch_max(&self) -> Option<i64> {
        self.rate_per_second.map(|rate| i64::from(rate.max(1)) * i64::from(BATCH_SECONDS))
    }
}

impl Turns {
    /// Takes the turn if it is there, or says when to look again.
    fn try_take(&self, queue: Queue, room: Duration) -> Option<Instant> {
        let mut order = self.order();
        let now = Instant::now();
        let next = order.next.map_or(now, |next| next.max(now));
        if next > now {
            return Some(next);
        }
        // Woken at once when the other queue has taken it, or has given up.
        if order.waiting[queue.other() as usize] && order.last == queue {
            return Some(now + room);
        }
        order.next = Some(next + room);
        order.last = queue;
        None
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody is first in a queue, until its turn has come or it has gone.
struct Waiting<'a>(&'a Turns, Queue);

impl<'a> Waiting<'a> {
    fn begin(turns: &'a Turns, queue: Queue) -> Self {
        turns.order().waiting[queue as usize] = true;
        Self(turns, queue)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.order().waiting[self.1 as usize] = false;
        self.0.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::{join, join_all};
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

    #[tokio::test(start_paused = true)]
    async fn a_request_does_not_wait_behind_a_run_and_a_run_keeps_half() {
        let requests = Pace::new(Some(10));
        let work = requests.beside();
        let started = Instant::now();
        let run = async {
            join_all((0..40).map(|_| work.turn(false))).await;
            started.elapsed().as_millis()
        };
        let paying = async {
            join_all((0..10).map(|_| requests.turn(false))).await;
            started.elapsed().as_millis()
        };
        let (run, paying) = join(run, paying).await;
        assert!((1_800..=2_000).contains(&paying), "by turns: {paying}");
        assert!((4_800..=5_000).contains(&run), "as fast as the rate allows: {run}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_is_in_nobodys_way() {
        let requests = Pace::new(Some(1));
        let work = requests.beside();
        drop(requests.turn(false).await);
        let (mut gone, started) = (Box::pin(requests.turn(false)), Instant::now());
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        drop(work.turn(false).await);
        drop(work.turn(false).await);
        assert_eq!(started.elapsed().as_secs(), 2);
    }
}
