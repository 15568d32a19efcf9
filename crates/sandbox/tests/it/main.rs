//! The sandbox through its edge: requests in, answers and book lines out.
//!
//! Order: the harness, tokens, keys, refunds, authorizations, look-ups, faults, lost clients, restarts, bad input.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

mod authorizations;
mod bad_input;
mod charges;
mod clients_gone;
mod faults;
mod harness;
mod keys;
mod refunds;
mod restarts;
