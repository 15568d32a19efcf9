//! The two sides of an account. They never mix: every customer-owned row names one of them.

use serde::{Deserialize, Serialize};

/// Test or live. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Rehearsal: sandbox gateways and test clocks.
    Test,
    /// Real money and real time.
    Live,
}

impl Mode {
    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "test" => Ok(Self::Test),
            "live" => Ok(Self::Live),
            other => Err(UnknownMode(other.to_owned())),
        }
    }
}

/// A mode that is neither `test` nor `live`.
#[derive(Debug, thiserror::Error)]
#[error("mode must be test or live, not {0:?}")]
pub struct UnknownMode(String);
