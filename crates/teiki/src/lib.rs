//! The server and command line of teiki: one folder for each feature.
//!
//! Inside a folder: `mod.rs` (use cases in the order they happen), `store.rs` (all of its SQL), `cli.rs`
//! (commands), `job.rs` (timed work), `view.rs` (what is shown). The rules are in the crate `billing`; the
//! way money goes is `renewals` → `charges` (ARCHITECTURE.md, "The main job").

pub mod accounts;
pub mod actor;
pub mod alarms;
pub mod api_keys;
pub mod app;
pub mod background;
pub mod card_number;
pub mod charges;
pub mod cli;
pub mod clock;
pub mod clocks;
pub mod customers;
pub mod demo;
pub mod doctor;
pub mod email;
pub mod events;
pub mod exports;
pub mod failure;
pub mod gateways;
pub mod half_width;
pub mod holds;
pub mod idempotency;
pub mod imports;
pub mod invoices;
pub mod leases;
pub mod ledger;
pub mod line;
pub mod logs;
pub mod openapi;
pub mod outbox;
pub mod output;
pub mod payment_methods;
pub mod payouts;
pub mod plan_switches;
pub mod plans;
pub mod progress;
pub mod proof;
pub mod renewals;
pub mod routes;
pub mod sandboxes;
pub mod schema;
pub mod secrets;
pub mod serve;
pub mod signals;
pub mod status;
pub mod stored;
pub mod subscriptions;
pub mod three_d_secure;
pub mod tokens;
pub mod web;
pub mod webhooks;
