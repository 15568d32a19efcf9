//! The adapters through their edge: requests to a gateway that runs, answers as verdicts.
//!
//! Order: the contract that every adapter keeps, who keeps it, and what only a raw connection can show.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

mod canned;
mod connections;
mod contract;
mod sandbox;
