//! The breaker of one connection: stops sending when the gateway is not well.
//!
//! Opens when more than half of the last [`WINDOW`] requests had no provable outcome, or the gateway
//! refused our credentials twice in a row; then one request at a time is let through as a probe, with a
//! pause between probes. In memory: a restart begins with a closed breaker, and charges found `sending`
//! at start-up do not count.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use billing::resolution::plus_ms;
use jiff::Timestamp;

/// How many requests are remembered.
const WINDOW: usize = 20;
/// Refused credentials in a row that open it.
const UNAUTHORIZED_MAX: u32 = 2;
/// Pause between two probes, in milliseconds.
const PROBE_PAUSE_MS: i64 = 1_000;

/// How a request ended, as far as the health of the gateway goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answered: success and decline alike.
    Answered,
    /// Nothing provable came back, or it could not be reached.
    Troubled,
    /// It does not accept our credentials.
    Unauthorized,
}

#[derive(Debug, Default)]
struct Memory {
    recent: VecDeque<Health>,
    unauthorized: u32,
    probe_at: Option<Timestamp>,
}

/// One connection's breaker.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Memory>);

impl Breaker {
    /// Whether a request may be sent at the operating time `now`. While open, a `true` is a probe.
    pub fn allows(&self, now: Timestamp) -> bool {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match memory.probe_at {
            None => true,
            Some(at) if now >= at => {
                memory.probe_at = Some(plus_ms(now, PROBE_PAUSE_MS));
                true
            }
            Some(_) => false,
        }
    }

    /// Whether it is open now.
    pub fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).probe_at.is_some()
    }

    /// Remembers how a request ended at `now`. An answer to a probe closes it.
    pub fn record(&self, health: Health, now: Timestamp) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if health == Health::Answered && memory.probe_at.is_some() {
            *memory = Memory::default();
        }
        memory.unauthorized = if health == Health::Unauthorized { memory.unauthorized + 1 } else { 0 };
        if memory.recent.len() == WINDOW {
            memory.recent.pop_front();
        }
        memory.recent.push_back(health);
        let troubled = memory.recent.iter().filter(|&&health| health != Health::Answered).count();
        let is_ill = memory.recent.len() == WINDOW && troubled * 2 > WINDOW;
        if (is_ill || memory.unauthorized >= UNAUTHORIZED_MAX) && memory.probe_at.is_none() {
            memory.probe_at = Some(plus_ms(now, PROBE_PAUSE_MS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn opens_when_more_than_half_of_the_window_is_troubled_and_closes_by_a_probe() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            breaker.record(Health::Answered, NOW);
            breaker.record(Health::Troubled, NOW);
        }
        assert!(breaker.allows(NOW), "half is not more than half");
        breaker.record(Health::Troubled, NOW);
        assert!(breaker.is_open() && !breaker.allows(NOW));
        let later = plus_ms(NOW, PROBE_PAUSE_MS);
        assert!(breaker.allows(later) && !breaker.allows(later), "one probe at a time");
        breaker.record(Health::Troubled, later);
        assert!(breaker.is_open());
        breaker.record(Health::Answered, later);
        assert!(!breaker.is_open() && breaker.allows(later));
    }

    #[test]
    fn opens_at_the_second_refusal_of_our_credentials() {
        let breaker = Breaker::default();
        breaker.record(Health::Unauthorized, NOW);
        breaker.record(Health::Answered, NOW);
        breaker.record(Health::Unauthorized, NOW);
        assert!(!breaker.is_open());
        breaker.record(Health::Unauthorized, NOW);
        assert!(breaker.is_open());
    }
}
