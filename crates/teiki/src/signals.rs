//! Signals: the first asks for a graceful stop, the second ends the process at once (which is as safe).

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::line::Line;

/// Waits for SIGINT or SIGTERM, asks the line to stop, and ends the process at a second one.
pub async fn stop_on_signal(line: Arc<Line>) {
    wait().await;
    line.stop();
    wait().await;
    exit_now();
}

/// Ends the process at once.
#[expect(
    clippy::disallowed_methods,
    reason = "a second signal means now; the charge line is safe at any instruction"
)]
pub fn exit_now() {
    std::process::exit(130);
}

/// Returns at SIGINT or SIGTERM.
pub async fn wait() {
    Signals::listen().next().await;
}

/// SIGINT and SIGTERM from now on.
pub struct Signals(Option<(Signal, Signal)>);

impl Signals {
    /// A server listens before it says that it is there: whoever knows that may stop it gracefully.
    pub fn listen() -> Self {
        let both = signal(SignalKind::interrupt()).and_then(|interrupt| {
            let terminate = signal(SignalKind::terminate())?;
            Ok((interrupt, terminate))
        });
        Self(both.ok())
    }

    /// Returns at the next one.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Some((interrupt, terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            None => std::future::pending().await,
        }
    }
}
