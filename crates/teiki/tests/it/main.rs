//! Features of teiki through their edge, on SQLite and PostgreSQL.
//!
//! PostgreSQL is the server of `TEIKI_TEST_POSTGRES`; each test makes its own database there and drops it. The
//! official SDKs are in the folder of `TEIKI_TEST_SDKS`. `./test` prepares both.

mod api;
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
mod sdks;
mod serve;
mod sql;
mod status;
mod tds;
