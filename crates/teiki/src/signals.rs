//! Signals: the first asks for a graceful stop, the second ends the process at once (which is as safe).

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

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
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
