//! The log, on standard error. It is also the outbox's only sink for now: events go there under the target
//! `teiki::events`, at level info.

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Environment variable that chooses what is logged, such as `info` or `warn,teiki::events=info`.
const VARIABLE: &str = "TEIKI_LOG";

/// Starts logging. Unless [`VARIABLE`] says otherwise a server logs all it does, events included, and other
/// commands log warnings.
pub fn start(is_server: bool) -> Result<(), Failure> {
    let usual = if is_server { "info" } else { "warn" };
    let chosen = std::env::var(VARIABLE).unwrap_or_else(|_| usual.to_owned());
    let filter = EnvFilter::try_new(&chosen)
        .map_err(|error| Failure::usage(format!("{VARIABLE}={chosen:?}: {error}")))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    Ok(())
}
