//! Who wants something: every use case takes an [`Actor`], and what it writes says so.

/// The cause of an action. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The schedule itself.
    Schedule,
    /// A person at the command line.
    Operator,
    /// A guard of teiki that stops charging.
    Guard,
    /// A request to the HTTP API.
    Api,
}

impl Actor {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Operator => "operator",
            Self::Guard => "guard",
            Self::Api => "api",
        }
    }
}
