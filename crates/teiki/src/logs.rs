//! The log, on standard error. It is also the outbox's only sink for now: events go there under the target
//! `teiki::events`, at level info.
//!
//! Whatever is asked for, some libraries are not heard below info ([`CAPPED`]).

use std::time::{Duration, Instant};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, FilterFn};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

use crate::failure::Failure;

/// Environment variable that chooses what is logged, such as `info` or `warn,teiki::events=info`.
const VARIABLE: &str = "TEIKI_LOG";
/// What these say at debug no log may have: every parameter of a statement, with names, mails and hashes of keys, and what
/// goes over a connection.
const CAPPED: [&str; 7] =
    ["tokio_postgres", "postgres", "hyper", "hyper_util", "reqwest", "rustls", "tokio_rustls"];

/// Starts logging. Unless [`VARIABLE`] says otherwise a server logs all it does, events included, and other
/// commands log warnings.
pub fn start(is_server: bool) -> Result<(), Failure> {
    let usual = if is_server { "info" } else { "warn" };
    let chosen = std::env::var(VARIABLE).unwrap_or_else(|_| usual.to_owned());
    let filter = EnvFilter::try_new(&chosen)
        .map_err(|error| Failure::usage(format!("{VARIABLE}={chosen:?}: {error}")))?;
    // The hint says that it forbids no level as such; without one every line of every library would be made, to be dropped.
    let harmless = FilterFn::new(|metadata| may_be_logged(metadata.target(), *metadata.level()))
        .with_max_level_hint(LevelFilter::TRACE);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(lines.with_filter(filter.and(harmless))).init();
    Ok(())
}

fn may_be_logged(target: &str, level: Level) -> bool {
    let library = target.split_once("::").map_or(target, |(library, _)| library);
    level <= Level::INFO || !CAPPED.contains(&library)
}

/// Says what may happen ten thousand times a second only once in a while.
#[derive(Debug, Default)]
pub struct Seldom {
    said_at: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// It happened at `now`: how often it did unsaid before that, when it is time to say it; `None` less than `pause` after
    /// the last time.
    pub fn is_time(&mut self, now: Instant, pause: Duration) -> Option<u64> {
        if self.said_at.is_some_and(|at| now.saturating_duration_since(at) < pause) {
            self.unsaid += 1;
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_is_given_is_logged_at_no_level() {
        assert!(!may_be_logged("tokio_postgres::query", Level::DEBUG));
        assert!(!may_be_logged("hyper", Level::TRACE));
        assert!(may_be_logged("tokio_postgres::connection", Level::INFO));
        assert!(may_be_logged("hyperbole", Level::DEBUG));
        assert!(may_be_logged("teiki::web", Level::TRACE));
    }

    #[test]
    fn what_happens_often_is_said_once_in_a_while_with_its_number() {
        let (mut seldom, start) = (Seldom::default(), Instant::now());
        let pause = Duration::from_secs(10);
        let mut said = |seconds| seldom.is_time(start + Duration::from_secs(seconds), pause);
        assert_eq!([said(0), said(1), said(9), said(10), said(25)], [Some(0), None, None, Some(2), Some(0)]);
    }
}
