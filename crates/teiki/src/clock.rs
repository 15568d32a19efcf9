//! The only reader of the real clock. `now` is a parameter everywhere else.

use jiff::Timestamp;

/// The real time, cut to the microseconds that are stored.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock; main and the job runner call it"
)]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
