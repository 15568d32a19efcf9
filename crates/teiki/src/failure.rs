//! Why a command failed: one clear sentence for the person and an exit code for the machine.

/// Exit codes, documented in docs/command-line.md. Keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Something outside went wrong: database, network, disk.
    Failed = 1,
    /// What was asked for is wrong: an argument, a file, a row.
    Usage = 2,
    /// Stopped with work left: charging is held, or a charge's outcome is unknown.
    Unfinished = 3,
    /// Interrupted from the keyboard or by a signal.
    Interrupted = 130,
}

/// A failed command. `message` is one sentence (or a list that one sentence introduces), without secrets.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the process exits with.
    pub code: Code,
    /// What a person reads.
    pub message: String,
}

impl Failure {
    /// What was asked for is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: Code::Usage, message: message.into() }
    }

    /// Something outside went wrong.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { code: Code::Failed, message: message.into() }
    }

    /// Stopped with work left.
    pub fn unfinished(message: impl Into<String>) -> Self {
        Self { code: Code::Unfinished, message: message.into() }
    }
}

impl From<db::Error> for Failure {
    fn from(error: db::Error) -> Self {
        Self::failed(format!("the database failed: {error}"))
    }
}
