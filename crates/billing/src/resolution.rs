//! How a charge whose outcome is unknown is found out, without ever charging twice.
//!
//! Decides the next step from what the gateway's adapter declares and what has been tried; the core
//! chooses between asking, resending and waiting, never the adapter (specs/reliability-security.md B2
//! steps 7–8, B4). Times here are operating time: real, in milliseconds or instants of the real clock.

use jiff::{SignedDuration, Timestamp};

/// How far a gateway recognises a repeated idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Not at all: a second request is a second charge.
    None,
    /// Usually, without a promise: a request may be executed unprotected. Never relied upon here.
    BestEffort,
    /// Always, for the window after the first request; `None` is for ever.
    Strong {
        /// Length of the window in milliseconds.
        window_ms: Option<i64>,
    },
}

/// What an adapter declares of its gateway. All durations in milliseconds, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// What a repeated key does.
    pub idempotency: Idempotency,
    /// Whether a charge can be found by our reference (the charge id).
    pub lookup_by_reference: bool,
    /// How long an executed charge may be missing from a look-up.
    pub lookup_lag_ms: i64,
    /// The longest time from the request's arrival to its execution.
    pub max_processing_ms: i64,
    /// After this long without an answer a request is given up (and its charge is unknown).
    pub request_timeout_ms: i64,
    /// The least time between the two look-ups that prove absence.
    pub lookup_spacing_ms: i64,
    /// Requests a second that the gateway allows; `None` is no limit.
    pub rate_per_second: Option<u32>,
}

/// Of a strong key's window this share (in percent) is used for resending; a clock may be off.
const SAFE_WINDOW_PERCENT: i64 = 80;

/// After this long without the truth a person must look: three days.
const NEEDS_REVIEW_AFTER_MS: i64 = 3 * 24 * 60 * 60 * 1_000;

/// Waiting times between two tries to find out, by the number of tries made: 5 s, 30 s, 2 min,
/// 10 min, 1 h, 6 h, then daily. A faster gateway shortens the first ones, see [`pause_after`].
const PAUSES_MS: [i64; 7] = [5_000, 30_000, 120_000, 600_000, 3_600_000, 21_600_000, 86_400_000];

impl Capabilities {
    /// The quiet period: only so long after the last possible send can a look-up prove absence.
    pub const fn quiet_ms(&self) -> i64 {
        self.request_timeout_ms + self.max_processing_ms + self.lookup_lag_ms
    }
}

/// What has been done to find out about one charge.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry {
    /// When its request was first sent.
    pub first_sent_at: Timestamp,
    /// When its request may last have been sent.
    pub last_sent_at: Timestamp,
    /// Whether the gateway has given us its id.
    pub has_gateway_id: bool,
    /// Whether it must never be resent: the gateway called the key's parameters a mismatch.
    pub is_frozen: bool,
    /// When a look-up first found nothing after the quiet period.
    pub first_absent_at: Option<Timestamp>,
    /// How many times the gateway has been asked (or the request resent) since it became unknown.
    pub tries: u32,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Get the charge by the gateway's id.
    FindById,
    /// Send the same request with the same key again.
    Resend,
    /// Look it up by our reference.
    FindByReference,
    /// A look-up now found nothing for the second time after the quiet period: it never happened.
    ProvenAbsent,
    /// Nothing can be asked before this instant.
    Wait(Timestamp),
    /// Only a person can find out.
    NeedsReview,
}

/// The way to ask about an unknown charge at `now`. Never [`Step::ProvenAbsent`]; that is
/// [`after_absence`].
pub fn next_step(capabilities: &Capabilities, inquiry: &Inquiry, now: Timestamp) -> Step {
    if inquiry.has_gateway_id {
        return Step::FindById;
    }
    if !inquiry.is_frozen && key_is_surely_known(capabilities, inquiry, now) {
        return Step::Resend;
    }
    if capabilities.lookup_by_reference {
        return Step::FindByReference;
    }
    Step::NeedsReview
}

/// What a look-up at `asked_at` that found nothing means.
///
/// Inside the quiet period it means nothing, nor does a first absence that was seen inside it. After it, the first
/// absence must be confirmed by a second one at least the declared spacing later. A frozen charge is never declared absent: under its key
/// the gateway has seen *something*.
pub fn after_absence(capabilities: &Capabilities, inquiry: &Inquiry, asked_at: Timestamp) -> Step {
    let quiet_until = quiet_until(capabilities, inquiry);
    if asked_at < quiet_until {
        return Step::Wait(quiet_until.min(plus_ms(asked_at, pause_after(capabilities, inquiry.tries))));
    }
    if inquiry.is_frozen {
        return Step::NeedsReview;
    }
    match inquiry.first_absent_at.filter(|first| *first >= quiet_until) {
        Some(first) if asked_at >= plus_ms(first, capabilities.lookup_spacing_ms) => Step::ProvenAbsent,
        Some(first) => Step::Wait(plus_ms(first, capabilities.lookup_spacing_ms)),
        None => Step::Wait(plus_ms(asked_at, capabilities.lookup_spacing_ms)),
    }
}

/// When the first of the two absences that prove it was seen, after a look-up at `asked_at` found nothing; `None` if none
/// counts yet.
pub fn first_absence(
    capabilities: &Capabilities,
    inquiry: &Inquiry,
    asked_at: Timestamp,
) -> Option<Timestamp> {
    let quiet_until = quiet_until(capabilities, inquiry);
    inquiry.first_absent_at.into_iter().chain([asked_at]).find(|seen_at| *seen_at >= quiet_until)
}

fn quiet_until(capabilities: &Capabilities, inquiry: &Inquiry) -> Timestamp {
    plus_ms(inquiry.last_sent_at, capabilities.quiet_ms())
}

/// Whether the charge has been unknown for so long that a person must be called (it is still asked about).
pub fn needs_review(inquiry: &Inquiry, now: Timestamp) -> bool {
    now >= plus_ms(inquiry.first_sent_at, NEEDS_REVIEW_AFTER_MS)
}

/// Milliseconds to wait after try number `tries` (0 is the first) that told nothing: the usual ladder,
/// but no longer than the quiet period of a gateway that is faster than it.
pub fn pause_after(capabilities: &Capabilities, tries: u32) -> i64 {
    let rung = usize::try_from(tries).unwrap_or(usize::MAX).min(PAUSES_MS.len() - 1);
    let fast = (capabilities.quiet_ms() / 8).max(MIN_PAUSE_MS);
    let growth = 1_i64.checked_shl(tries.min(20)).unwrap_or(1);
    PAUSES_MS[rung].min(fast.saturating_mul(growth))
}

/// The least pause between two questions about one charge, so that no gateway is hammered.
const MIN_PAUSE_MS: i64 = 50;

fn key_is_surely_known(capabilities: &Capabilities, inquiry: &Inquiry, now: Timestamp) -> bool {
    match capabilities.idempotency {
        Idempotency::None | Idempotency::BestEffort => false,
        Idempotency::Strong { window_ms: None } => true,
        Idempotency::Strong { window_ms: Some(window) } => {
            now < plus_ms(inquiry.first_sent_at, window / 100 * SAFE_WINDOW_PERCENT)
        }
    }
}

/// `at` plus milliseconds; the far end of time if it does not fit.
pub fn plus_ms(at: Timestamp, ms: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(ms)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Timestamp = Timestamp::UNIX_EPOCH;

    fn capabilities(idempotency: Idempotency) -> Capabilities {
        Capabilities {
            idempotency,
            lookup_by_reference: true,
            lookup_lag_ms: 1_000,
            max_processing_ms: 2_000,
            request_timeout_ms: 7_000,
            lookup_spacing_ms: 600,
            rate_per_second: None,
        }
    }

    fn inquiry() -> Inquiry {
        Inquiry {
            first_sent_at: SENT,
            last_sent_at: SENT,
            has_gateway_id: false,
            is_frozen: false,
            first_absent_at: None,
            tries: 0,
        }
    }

    #[test]
    fn the_way_to_ask_follows_what_the_gateway_declares() {
        let day = Some(24 * 3_600_000);
        let at = |hours: i64| plus_ms(SENT, hours * 3_600_000);
        let strong = Idempotency::Strong { window_ms: day };
        for (idempotency, now, expected) in [
            (Idempotency::None, at(0), Step::FindByReference),
            (Idempotency::BestEffort, at(0), Step::FindByReference),
            (strong, at(19), Step::Resend),
            (strong, at(20), Step::FindByReference),
            (Idempotency::Strong { window_ms: None }, at(2_000), Step::Resend),
        ] {
            assert_eq!(
                next_step(&capabilities(idempotency), &inquiry(), now),
                expected,
                "{idempotency:?} {now}"
            );
        }
        let known = Inquiry { has_gateway_id: true, ..inquiry() };
        assert_eq!(next_step(&capabilities(strong), &known, at(0)), Step::FindById);
        let frozen = Inquiry { is_frozen: true, ..inquiry() };
        assert_eq!(next_step(&capabilities(strong), &frozen, at(0)), Step::FindByReference);
        let blind = Capabilities { lookup_by_reference: false, ..capabilities(Idempotency::None) };
        assert_eq!(next_step(&blind, &inquiry(), at(0)), Step::NeedsReview);
    }

    #[test]
    fn absence_is_proven_only_by_two_look_ups_after_the_quiet_period() {
        let gateway = capabilities(Idempotency::None);
        let at = |ms: i64| plus_ms(SENT, ms);
        assert!(matches!(after_absence(&gateway, &inquiry(), at(9_999)), Step::Wait(_)));
        assert_eq!(first_absence(&gateway, &inquiry(), at(9_999)), None);
        assert_eq!(first_absence(&gateway, &inquiry(), at(10_000)), Some(at(10_000)));
        assert_eq!(after_absence(&gateway, &inquiry(), at(10_000)), Step::Wait(at(10_600)));
        let once = Inquiry { first_absent_at: Some(at(10_000)), ..inquiry() };
        assert_eq!(after_absence(&gateway, &once, at(10_599)), Step::Wait(at(10_600)));
        assert_eq!(after_absence(&gateway, &once, at(10_600)), Step::ProvenAbsent);
        let frozen = Inquiry { is_frozen: true, ..once };
        assert_eq!(after_absence(&gateway, &frozen, at(10_600)), Step::NeedsReview);
        let resent = Inquiry { last_sent_at: at(5_000), ..once };
        assert!(matches!(after_absence(&gateway, &resent, at(14_999)), Step::Wait(_)));
        assert_eq!(
            after_absence(&gateway, &resent, at(15_000)),
            Step::Wait(at(15_600)),
            "it was seen too early"
        );
        assert_eq!(first_absence(&gateway, &resent, at(15_000)), Some(at(15_000)));
        assert_eq!(first_absence(&gateway, &once, at(10_600)), Some(at(10_000)));
    }

    #[test]
    fn a_person_is_called_after_three_days_and_pauses_grow() {
        let three_days = 3 * 24 * 3_600_000;
        assert!(!needs_review(&inquiry(), plus_ms(SENT, three_days - 1)));
        assert!(needs_review(&inquiry(), plus_ms(SENT, three_days)));
        let gateway = capabilities(Idempotency::None);
        let pauses: Vec<i64> = (0..30).map(|tries| pause_after(&gateway, tries)).collect();
        assert!(pauses.is_sorted() && pauses[0] >= MIN_PAUSE_MS && pauses[29] == 86_400_000);
    }
}
