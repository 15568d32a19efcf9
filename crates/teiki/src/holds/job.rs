//! The watch of a charging process over its holds.

use std::sync::Arc;
use std::time::Duration;

use billing::id::AccountId;

use super::{WATCH_MS, active};
use crate::line::Line;

/// Looks at the holds of `account` again and again and tells the line. A database that does not answer
/// counts as a hold: who cannot see the switch must not charge.
pub async fn watch(line: Arc<Line>, account: AccountId) {
    loop {
        let is_held = match line.db.read(move |tx| active(tx, account)).await {
            Ok(hold) => hold.is_some(),
            Err(error) => {
                tracing::warn!(%error, "the hold switch cannot be read; nothing is sent until it can");
                true
            }
        };
        line.set_held(is_held);
        tokio::time::sleep(Duration::from_millis(WATCH_MS)).await;
    }
}
