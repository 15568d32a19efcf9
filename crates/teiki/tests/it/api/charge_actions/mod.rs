//! Capture, refund and reauthorization over HTTP, with a sandbox that fails and a server that is killed.
//!
//! What truly happened is read from the sandbox's own book.

mod doing;
mod faults;
mod owner;
mod refusals;
