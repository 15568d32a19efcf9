//! Whether the real clock can be trusted: it is compared with one that only counts.
//!
//! A clock that jumps back by more than a second, or forward by more than a minute, stops all charging by
//! a hold that a person releases: a jump forward would charge early. The time that a machine sleeps counts
//! for both clocks.

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

/// How far the clock may go back: what a time server corrects in one step.
const BACK_MAX: SignedDuration = SignedDuration::from_secs(1);
/// How far it may go forward.
const FORWARD_MAX: SignedDuration = SignedDuration::from_secs(60);

/// Remembers one moment on both clocks.
#[derive(Debug)]
pub(super) struct ClockGuard {
    real: Timestamp,
    counted: SignedDuration,
}

impl ClockGuard {
    /// From now on.
    pub(super) fn start(real: Timestamp) -> Self {
        Self { real, counted: counted() }
    }

    /// By how much the real clock has jumped since the last look, if that is too much.
    pub(super) fn jump(&mut self, real: Timestamp) -> Option<SignedDuration> {
        let counted = counted();
        let jump = judge(real.duration_since(self.real), counted - self.counted);
        *self = Self { real, counted };
        jump
    }
}

fn judge(real: SignedDuration, counted: SignedDuration) -> Option<SignedDuration> {
    let jump = real - counted;
    (jump < -BACK_MAX || jump > FORWARD_MAX).then_some(jump)
}

/// A clock that counts on while the machine sleeps and that nobody can set.
fn counted() -> SignedDuration {
    match clock_gettime(ClockId::CLOCK_BOOTTIME) {
        Ok(time) => SignedDuration::new(time.tv_sec(), i32::try_from(time.tv_nsec()).unwrap_or(0)),
        Err(_) => SignedDuration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_corrections_are_trusted_and_jumps_are_not() {
        let second = SignedDuration::from_secs(1);
        for (real, is_trusted) in [(1, true), (0, true), (-1, false), (61, true), (62, false)] {
            assert_eq!(judge(SignedDuration::from_secs(real), second).is_none(), is_trusted, "{real}");
        }
    }
}
