//! SQL of the scratch schema in which a proof on PostgreSQL has its tables.

use db::{Error, Tx};

/// Makes the schema. `name` is a plain identifier.
pub(super) fn create_schema(tx: &mut Tx<'_>, name: &str) -> Result<(), Error> {
    tx.execute(&format!("create schema {name}"), &[]).map(drop)
}

/// Drops the schema with everything in it.
pub(super) fn drop_schema(tx: &mut Tx<'_>, name: &str) -> Result<(), Error> {
    tx.execute(&format!("drop schema {name} cascade"), &[]).map(drop)
}
