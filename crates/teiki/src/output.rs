//! Printing results: JSON for machines, text for people.

use serde::Serialize;

use crate::failure::Failure;

/// How a command answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Sentences and tables.
    Text,
    /// One JSON object on one line.
    Json,
}

/// Prints `value` as one line of JSON, or what `text` makes of it. Error: standard output is closed.
pub fn print<T: Serialize>(
    format: Format,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let line = match format {
        Format::Json => serde_json::to_string(value)
            .map_err(|error| Failure::failed(format!("the answer is not JSON: {error}")))?,
        Format::Text => text(value),
    };
    write_line(&line)
}

/// Prints one line to standard output. A reader that has gone (`| head`) has read enough.
pub fn write_line(line: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("standard output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes one line to standard error, for a person. If nobody reads it any more, nothing is lost.
pub fn tell(line: &str) {
    use std::io::Write;
    // There is nowhere else to say that it could not be said.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says on standard error that the command begins to work: programs that drive teiki wait for it.
pub fn ready() {
    tell("ready");
}
