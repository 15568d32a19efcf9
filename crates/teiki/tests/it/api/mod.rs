//! The HTTP API of the real binary, on both engines: who may see what, subscriptions along test clocks, and payments whose
//! outcome is not known at first.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

mod away;
mod beginning;
mod card_numbers;
mod charge_actions;
mod client;
mod cors;
mod document;
mod exports;
mod gateway;
mod guide;
mod idempotency;
mod invoices;
mod isolation;
mod keys;
mod killed;
mod left;
mod life;
mod lists;
mod live;
mod modes;
mod payer;
mod plan_switches;
mod refused;
mod rolling;
mod settings;
mod shop;
mod store;
mod subscriptions;
mod switch_undo;
mod told;
mod unknown;
mod webhooks;
