//! The outbox: what must still be delivered, at least once, under fixed ids.
//!
//! Rows are written in the transaction of the fact (`events`). The only sink for now is the log.

/// The sink that writes events to teiki's log. Persisted; keep stable.
pub const LOG_SINK: &str = "log";
