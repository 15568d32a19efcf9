//! The contract of `db`, kept on both engines, and what each engine must refuse or survive.
//!
//! PostgreSQL is the server of `TEIKI_TEST_POSTGRES`; each test makes its own database there and drops it.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

mod background;
mod conflicts;
mod failures;
mod files;
mod locks;
mod many_rows;
mod migrations;
mod servers;
mod statements;
mod support;
