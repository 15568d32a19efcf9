//! Capture, refund and reauthorization over HTTP, with a sandbox that fails and a server that is killed.
//!
//! What truly happened is read from the sandbox's own book.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

mod doing;
mod faults;
mod merchant;
mod refusals;
