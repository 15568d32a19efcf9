//! The schema's history: which migrations a database has, and applying those it lacks.
//!
//! Each migration runs in one transaction together with its row in `_migrations`, so an interrupted one leaves nothing. On
//! PostgreSQL an advisory lock keeps two starters apart. A migration is known by its name and the SHA-256 of its text; the text is
//! never edited after release. There is no way back: a newer database is refused.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::tx::Tx;
use crate::url::Engine;
use crate::{Db, Error};

/// The number of the advisory lock of migrations. Persisted in running servers, keep stable.
const LOCK: i64 = 0x7465_696b_695f_6462;

/// One step of the schema. The names, such as `0001_core`, are applied in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    pub name: &'static str,
    /// The engine that needs it; `None` for both.
    pub only: Option<Engine>,
    /// Statements, without begin and commit.
    pub sql: &'static str,
}

/// What `migrate` did: the names applied, in order; empty if the schema was current.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    pub applied: Vec<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// No migration was ever applied.
    Empty,
    Current,
    Older {
        missing: Vec<&'static str>,
    },
    /// It has migrations this program does not know.
    Newer {
        unknown: Vec<String>,
    },
    /// A migration was applied with another text.
    Changed {
        name: &'static str,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("this database was written by a newer teiki (it has {}): use that version", unknown.join(", "))]
    Newer { unknown: Vec<String> },
    #[error(
        "the text of migration {name} is not the one this database was made with: use the released program"
    )]
    Changed { name: &'static str },
    #[error("migration {name} could not be applied: {cause}")]
    Failed { name: &'static str, cause: Error },
    #[error("the list of applied migrations could not be used: {0}")]
    History(#[from] Error),
}

impl Db {
    /// What `migrate` would find. Writes nothing.
    pub async fn schema_state(&self, migrations: &[Migration]) -> Result<SchemaState, Error> {
        let wanted = wanted(self.engine(), migrations);
        let applied =
            self.read(|tx| if has_history(tx)? { applied(tx) } else { Ok(BTreeMap::new()) }).await?;
        Ok(compare(&wanted, &applied))
    }

    /// Brings the schema up to this list. A database that is newer, or made from other texts, is left as it is.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<Migrated, MigrateError> {
        match self.schema_state(migrations).await? {
            SchemaState::Current => return Ok(Migrated::default()),
            SchemaState::Newer { unknown } => return Err(MigrateError::Newer { unknown }),
            SchemaState::Changed { name } => return Err(MigrateError::Changed { name }),
            SchemaState::Empty | SchemaState::Older { .. } => {}
        }
        self.write(create_history).await?;
        let mut migrated = Migrated::default();
        for migration in wanted(self.engine(), migrations) {
            let name = migration.name;
            let is_new = self.write(move |tx| apply(tx, &migration)).await;
            if is_new.map_err(|cause| MigrateError::Failed { name, cause })? {
                migrated.applied.push(name);
            }
        }
        // Another program, newer than this one, may have been at it meanwhile.
        match self.schema_state(migrations).await? {
            SchemaState::Newer { unknown } => Err(MigrateError::Newer { unknown }),
            SchemaState::Changed { name } => Err(MigrateError::Changed { name }),
            SchemaState::Empty | SchemaState::Current | SchemaState::Older { .. } => Ok(migrated),
        }
    }
}

fn wanted(engine: Engine, migrations: &[Migration]) -> Vec<Migration> {
    migrations.iter().filter(|migration| migration.only.is_none_or(|only| only == engine)).copied().collect()
}

/// `applied`: name → hash.
fn compare(wanted: &[Migration], applied: &BTreeMap<String, String>) -> SchemaState {
    let unknown: Vec<String> = applied
        .keys()
        .filter(|name| wanted.iter().all(|migration| migration.name != name.as_str()))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return SchemaState::Newer { unknown };
    }
    let changed = wanted
        .iter()
        .find(|migration| applied.get(migration.name).is_some_and(|applied| *applied != hash(migration.sql)));
    if let Some(migration) = changed {
        return SchemaState::Changed { name: migration.name };
    }
    let missing: Vec<&'static str> =
        wanted.iter().map(|migration| migration.name).filter(|name| !applied.contains_key(*name)).collect();
    match (missing.is_empty(), applied.is_empty()) {
        (true, _) => SchemaState::Current,
        (false, true) => SchemaState::Empty,
        (false, false) => SchemaState::Older { missing },
    }
}

fn has_history(tx: &mut Tx<'_>) -> Result<bool, Error> {
    let sql = match tx.engine() {
        Engine::Sqlite => "select count(*) from sqlite_schema where type = 'table' and name = '_migrations'",
        Engine::Postgres => "select count(*) from pg_catalog.pg_class where oid = to_regclass('_migrations')",
    };
    Ok(tx.query_one(sql, &[])?.i64(0)? > 0)
}

fn applied(tx: &mut Tx<'_>) -> Result<BTreeMap<String, String>, Error> {
    let rows = tx.query("select name, hash from _migrations order by name", &[])?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

fn create_history(tx: &mut Tx<'_>) -> Result<(), Error> {
    lock(tx)?;
    tx.batch(
        "create table if not exists _migrations (\
         name TEXT not null primary key, hash TEXT not null, applied_at BIGINT not null)",
    )
}

/// False: another starter has applied it.
fn apply(tx: &mut Tx<'_>, migration: &Migration) -> Result<bool, Error> {
    lock(tx)?;
    if tx.query_opt("select name from _migrations where name = $1", &[migration.name.into()])?.is_some() {
        return Ok(false);
    }
    tx.batch(migration.sql)?;
    let now = tx.database_now()?;
    let hash = hash(migration.sql);
    tx.execute(
        "insert into _migrations (name, hash, applied_at) values ($1, $2, $3)",
        &[migration.name.into(), (&hash).into(), now.into()],
    )?;
    Ok(true)
}

/// Until the transaction ends; without a limit, as a migration of a large table takes its time. SQLite has one writer anyway.
fn lock(tx: &mut Tx<'_>) -> Result<(), Error> {
    if tx.engine() == Engine::Postgres {
        tx.execute("set local lock_timeout = 0", &[])?;
        tx.query("select pg_advisory_xact_lock($1)", &[LOCK.into()])?;
    }
    Ok(())
}

fn hash(sql: &str) -> String {
    hex::encode(Sha256::digest(sql.as_bytes()))
}
