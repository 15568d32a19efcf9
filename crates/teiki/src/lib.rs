//! The server and command line of teiki: one folder for each feature.
//!
//! Inside a folder: `mod.rs` (use cases in the order they happen), `store.rs` (all of its SQL), `cli.rs`
//! (commands), `job.rs` (timed work), `view.rs` (what is shown). The rules are in the crate `billing`; the
//! way money goes is `renewals` → `charges` (ARCHITECTURE.md, "The main job").

pub mod accounts;
pub mod actor;
pub mod app;
pub mod cli;
pub mod clock;
pub mod events;
pub mod failure;
pub mod invoices;
pub mod outbox;
pub mod output;
pub mod progress;
pub mod schema;
