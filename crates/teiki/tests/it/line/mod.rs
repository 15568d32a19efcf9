//! The charge line: due, prepare, charge, settle, resolve, on both engines, against a gateway that misbehaves
//! on purpose. What counts is the gateway's own book.

mod failures;
mod proven_unpaid;
mod refused_again;
mod renewals;
mod retold;
mod store;
mod unwanted;
mod world;
