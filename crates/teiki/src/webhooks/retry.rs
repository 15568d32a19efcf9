//! When a delivery that failed is tried again, and when an endpoint is given up.
//!
//! Ten attempts over about three days, each pause longer than the one before, with up to a fifth more so that what failed
//! together does not come back together. An endpoint of which nothing has been received for five days is disabled. All of it
//! in real time.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// Pauses after the first, second … attempt, in seconds: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h, as the example of Standard Webhooks.
const PAUSES_S: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Attempts of one delivery, the first one included.
pub const ATTEMPTS_MAX: i64 = 10;
/// The part of a pause that may come on top of it.
const JITTER_PERCENT: i64 = 20;
/// Longest pause that a receiver's `Retry-After` is given; the longest of the ladder.
const RETRY_AFTER_MAX_S: i64 = 86_400;
/// How long nothing may be received before an endpoint is disabled.
const FAILING_MAX: SignedDuration = SignedDuration::from_hours(5 * 24);
/// After so long without an attempt what failed before says nothing: longer than every pause.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(2 * 24);

/// When to try again after attempt number `attempts` failed at `now`; `None`: it is given up. `retry_after_s`: what the receiver
/// asked for, never less than the ladder's pause. The jitter comes from `event` and `attempts`.
pub fn next_attempt(
    event: &str,
    attempts: i64,
    now: Timestamp,
    retry_after_s: Option<i64>,
) -> Option<Timestamp> {
    let place = usize::try_from(attempts.max(1)).unwrap_or(usize::MAX) - 1;
    let pause_s = *PAUSES_S.get(place)?;
    let asked_s = retry_after_s.unwrap_or(0).clamp(0, RETRY_AFTER_MAX_S);
    let pause =
        SignedDuration::from_millis(pause_s.max(asked_s) * 1_000 + jitter_ms(event, attempts, pause_s));
    Some(now.saturating_add(pause).unwrap_or(Timestamp::MAX))
}

fn jitter_ms(event: &str, attempts: i64, pause_s: i64) -> i64 {
    let digest = Sha256::new().chain_update(event).chain_update(attempts.to_be_bytes()).finalize();
    let part = i64::from(u16::from_be_bytes([digest[0], digest[1]]));
    pause_s * 10 * JITTER_PERCENT * part / i64::from(u16::MAX)
}

/// How an endpoint is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Since when nothing was received; `None` if the last attempt went well.
    pub failing_since: Option<Timestamp>,
    /// The last attempt of that time.
    pub failed_at: Option<Timestamp>,
}

impl Health {
    /// After an attempt that failed at `now`, and whether it is to be disabled.
    pub fn failed(self, now: Timestamp) -> (Self, bool) {
        let is_fresh = |at: Timestamp| now.duration_since(at) <= FORGOTTEN_AFTER;
        let since = match (self.failing_since, self.failed_at) {
            (Some(since), Some(at)) if is_fresh(at) => since.min(now),
            _ => now,
        };
        let after = Self { failing_since: Some(since), failed_at: Some(now) };
        (after, now.duration_since(since) >= FAILING_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("an instant")
    }

    #[test]
    fn the_ladder_has_ten_attempts_over_three_days() {
        let mut now = at(0);
        for (attempts, pause_s) in (1..).zip(PAUSES_S) {
            let next = next_attempt("evnt_1", attempts, now, None).expect("another attempt");
            let pause = next.duration_since(now);
            let most = SignedDuration::from_millis(pause_s * 1_200);
            assert!(SignedDuration::from_secs(pause_s) <= pause && pause <= most, "{attempts}: {pause:?}");
            assert_eq!(next_attempt("evnt_1", attempts, now, None), Some(next), "it is always the same");
            now = next;
        }
        assert_eq!(next_attempt("evnt_1", 10, now, None), None);
        assert_eq!(usize::try_from(ATTEMPTS_MAX), Ok(PAUSES_S.len() + 1));
        let whole = now.duration_since(at(0));
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        assert!(days(3) < whole && whole < days(4), "{whole:?}");
    }

    #[test]
    fn what_failed_together_comes_back_apart() {
        let pauses: std::collections::BTreeSet<_> = (0..100)
            .map(|number| next_attempt(&format!("evnt_{number}"), 2, at(0), None).expect("another attempt"))
            .collect();
        assert!(pauses.len() > 95, "{}", pauses.len());
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_within_a_limit() {
        let pause_s = |asked| {
            let next = next_attempt("evnt_1", 1, at(0), asked).expect("another attempt");
            next.duration_since(at(0)).as_secs()
        };
        assert!((5..=6).contains(&pause_s(None)));
        assert!((5..=6).contains(&pause_s(Some(-1))) && (5..=6).contains(&pause_s(Some(1))));
        assert!((600..=601).contains(&pause_s(Some(600))));
        assert!((86_400..=86_401).contains(&pause_s(Some(i64::MAX))));
        assert_eq!(next_attempt("evnt_1", 10, at(0), Some(60)), None);
    }

    #[test]
    fn an_endpoint_that_received_nothing_for_five_days_is_to_be_disabled() {
        let day = 86_400;
        let mut health = Health { failing_since: None, failed_at: None };
        for (seconds, is_over) in
            [(0, false), (day, false), (3 * day, false), (5 * day - 1, false), (5 * day, true)]
        {
            let (after, over) = health.failed(at(seconds));
            assert_eq!((after.failing_since, over), (Some(at(0)), is_over), "after {seconds} s");
            health = after;
        }
    }

    #[test]
    fn a_failure_long_after_the_last_one_begins_anew() {
        let day = 86_400;
        let (health, _) = Health { failing_since: None, failed_at: None }.failed(at(0));
        let (after, over) = health.failed(at(20 * day));
        assert_eq!((after.failing_since, over), (Some(at(20 * day)), false));
    }
}
