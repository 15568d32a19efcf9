//! Transactions and values for SQLite and PostgreSQL, from one SQL text.
//!
//! What it does: opens and checks a database, runs closures as transactions on threads that own the connections,
//! translates the one portable SQL text for the engine, writes the four many-row statements, applies migrations, holds locks.
//! What it does not do: it knows no table of its callers, builds no other SQL, maps no rows to structs, and keeps no clock
//! but the database's ([`Tx::database_now`]).
//!
//! The portable SQL: parameters are `$1, $2 …`; columns are `BIGINT`, `TEXT`, `BYTEA`, `BOOLEAN`; no casts with `::`;
//! `sum` over `BIGINT` is written `cast(sum(x) as bigint)`. A table definition may end in `) /* clustered */`.
//!
//! ```text
//! Db::write(closure) → a place in the queue → a thread → begin → closure(Tx) → commit → answer
//!                                                  ↑ again, on a conflict or a lost connection ↓
//! ```
//! The closure may run more than once, so it has no effect but on `tx`. When a statement has failed, the transaction is
//! over on both engines: later calls answer [`Error::Aborted`] and nothing of it is stored.
//!
//! Round trips of a write on PostgreSQL: begin, one for each statement (two for a text this connection has not seen), commit.

mod db;
mod error;
mod lock;
mod many;
mod migrate;
mod open;
mod postgres;
mod rewrite;
mod row;
mod session;
mod sqlite;
mod tx;
mod url;
mod value;
mod worker;

pub use db::{Db, Options, Stats};
pub use error::Error;
pub use lock::{ChargingLock, LockError, SessionLock};
pub use many::OnConflict;
pub use migrate::{MigrateError, Migrated, Migration, SchemaState};
pub use open::OpenError;
pub use row::Row;
pub use tx::Tx;
pub use url::{DatabaseUrl, Engine, UrlError};
pub use value::{Column, Value};
