//! How many charges a batch of news settled.

/// What a batch of news changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Charges that became succeeded.
    pub succeeded: usize,
    /// Charges that became failed.
    pub failed: usize,
    /// Charges that became void.
    pub voided: usize,
    /// Charges that became unknown.
    pub unknown: usize,
}

impl Report {
    /// Both counts.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            voided: self.voided + other.voided,
            unknown: self.unknown + other.unknown,
        }
    }
}
