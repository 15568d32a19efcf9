//! The recovery of one open invoice.
//!
//! A failed payment of the schedule opens a case that has no retries yet: retry policies come later, so
//! its next step is a person's. It is closed when its invoice is no longer open.

/// Where a dunning case stands. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The invoice is open.
    Open,
    /// The invoice was paid.
    Recovered,
    /// The invoice was waived, or its subscription deleted.
    GivenUp,
}

impl State {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Recovered => "recovered",
            Self::GivenUp => "given_up",
        }
    }
}
