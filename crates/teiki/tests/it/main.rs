//! Features of teiki through their edge, on SQLite and PostgreSQL.
//!
//! PostgreSQL is the server of `TEIKI_TEST_POSTGRES`; each test makes its own database there and drops it.

mod charge_actions;
mod constraints;
mod demo;
mod doctor;
mod exports;
mod holds;
mod imports;
mod installation;
mod leases;
mod line;
mod place;
mod proof;
mod serve;
mod sql;
mod status;
