//! Rate limits: how many requests a key may make in a second, by zone.
//!
//! A bucket for each key and zone, in memory: several servers on one database each count for themselves. It holds what one
//! second allows and fills steadily. What is over is answered 429 with the seconds to wait, and does nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use billing::mode::Mode;

use super::auth::Caller;
use super::error::ApiError;
use crate::api_keys::KeyKind;

/// What a request is counted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// With a public key.
    Public,
    /// It moves money.
    Payment,
    /// Everything else.
    Other,
}

impl Zone {
    /// Which requests it counts, after the word.
    const fn requests(self) -> &'static str {
        match self {
            Self::Public => "with a public key",
            Self::Payment => "that move money",
            Self::Other => "that move no money",
        }
    }
}

/// The limits that an account has chosen. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Far above what a merchant needs, and an end to any loop.
    Generous,
    /// Those of PAY.JP (specs/payjp-v1.md 1).
    Payjp,
}

impl Preset {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generous => "generous",
            Self::Payjp => "payjp",
        }
    }

    /// From the stored name.
    pub fn from_stored(name: &str) -> Option<Self> {
        [Self::Generous, Self::Payjp].into_iter().find(|preset| preset.as_str() == name)
    }

    /// Requests in a second.
    const fn per_second(self, zone: Zone, mode: Mode) -> u32 {
        match (self, mode, zone) {
            (Self::Generous, _, Zone::Public) => 200,
            (Self::Generous, _, Zone::Payment) => 500,
            (Self::Generous, _, Zone::Other) => 2_000,
            (Self::Payjp, Mode::Test, _) => 2,
            (Self::Payjp, Mode::Live, Zone::Public) => 10,
            (Self::Payjp, Mode::Live, Zone::Payment) => 14,
            (Self::Payjp, Mode::Live, Zone::Other) => 30,
        }
    }
}

/// Most buckets that are kept; beyond it those that are full are forgotten.
const BUCKETS_MAX: usize = 10_000;
/// A request in parts, so that a bucket fills without fractions.
const REQUEST: u128 = 1_000_000;

/// The buckets of this process.
#[derive(Debug, Default)]
pub struct Limits {
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    known: HashMap<(String, Zone), Bucket>,
    swept_at: Option<Instant>,
}

/// What is left of what a second allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// In parts of a request.
    level: u128,
    filled_at: Instant,
}

impl Bucket {
    /// One that holds `rate` requests at `now`.
    pub(super) fn full(rate: u32, now: Instant) -> Self {
        Self { level: u128::from(rate) * REQUEST, filled_at: now }
    }

    /// Takes a request out, if there is one; `rate` fill it in a second.
    pub(super) fn take(&mut self, rate: u32, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.filled_at).as_micros() * u128::from(rate);
        self.level = (u128::from(rate) * REQUEST).min(self.level + gained);
        self.filled_at = now;
        let is_left = self.level >= REQUEST;
        if is_left {
            self.level -= REQUEST;
        }
        is_left
    }
}

impl Limits {
    /// Counts a request at `now`. `moves_money`: whether it does. Error: 429.
    pub fn take(&self, caller: &Caller, moves_money: bool, now: Instant) -> Result<(), ApiError> {
        let zone = match (caller.kind, moves_money) {
            (KeyKind::Public, _) => Zone::Public,
            (KeyKind::Secret | KeyKind::Restricted, true) => Zone::Payment,
            (KeyKind::Secret | KeyKind::Restricted, false) => Zone::Other,
        };
        let rate = caller.rate_limits.per_second(zone, caller.mode);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.sweep(now);
        let key = (caller.key.clone(), zone);
        if buckets.known.entry(key).or_insert_with(|| Bucket::full(rate, now)).take(rate, now) {
            return Ok(());
        }
        let (what, setting) = (zone.requests(), caller.rate_limits.as_str());
        let message = format!(
            "This key may make {rate} requests {what} in a second (the setting rate_limits is {setting}); try again in a second."
        );
        Err(ApiError::over_capacity(1).saying(message))
    }
}

impl Buckets {
    /// Forgets the full ones, at most once a second, when there are many.
    fn sweep(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at).as_secs() >= 1;
        if self.known.len() >= BUCKETS_MAX && self.swept_at.is_none_or(is_old) {
            self.known.retain(|_, bucket| !is_old(bucket.filled_at));
            self.swept_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn caller(rate_limits: Preset, mode: Mode) -> Caller {
        Caller {
            account: "acct_0001a1fec43d81417c558e2cd88".parse().expect("an id"),
            mode,
            kind: KeyKind::Secret,
            key: "key_1".to_owned(),
            last_used_at: None,
            rate_limits,
        }
    }

    #[test]
    fn a_second_allows_its_number_and_then_as_many_as_time_has_passed() {
        let (limits, start) = (Limits::default(), Instant::now());
        let payjp = caller(Preset::Payjp, Mode::Live);
        let taken = |at: Duration| (0..100).filter(|_| limits.take(&payjp, true, start + at).is_ok()).count();
        assert_eq!(taken(Duration::ZERO), 14);
        assert_eq!(taken(Duration::from_millis(500)), 7);
        assert_eq!(taken(Duration::from_secs(10)), 14);
    }

    #[test]
    fn zones_and_keys_are_counted_apart() {
        let (limits, now) = (Limits::default(), Instant::now());
        let one = caller(Preset::Payjp, Mode::Test);
        let other = Caller { key: "key_2".to_owned(), ..one.clone() };
        for caller in [&one, &other] {
            for moves_money in [true, false] {
                assert!(limits.take(caller, moves_money, now).is_ok());
                assert!(limits.take(caller, moves_money, now).is_ok());
                let error = limits.take(caller, moves_money, now).expect_err("over the limit");
                assert_eq!((error.status.as_u16(), error.retry_after()), (429, Some(1)));
                let message = error.to_string();
                let what = if moves_money { "that move money" } else { "that move no money" };
                for told in ["429", "over_capacity", "may make 2 requests", what, "rate_limits is payjp"] {
                    assert!(message.contains(told), "{told}: {message}");
                }
            }
        }
    }
}
