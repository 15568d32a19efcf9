//! What every command needs first: the database of this installation, migrated, and its derivation key.

use std::path::PathBuf;

use billing::id::DerivationKey;
use billing::mode::Mode;
use db::{ChargingLock, DatabaseUrl, Db, Options};

use crate::accounts;
use crate::failure::Failure;
use crate::output::Format;
use crate::schema::MIGRATIONS;

/// What the global options of the command line say.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Where the database is.
    pub database: DatabaseUrl,
    /// Where files go that are not in the database (the book of a sandbox inside the process).
    pub data_dir: PathBuf,
    /// Test or live.
    pub mode: Mode,
    /// How to answer.
    pub format: Format,
}

/// An open installation.
#[derive(Clone)]
pub struct App {
    /// Its database.
    pub db: Db,
    /// What ids and idempotency keys are derived from.
    pub key: DerivationKey,
    /// Test or live.
    pub mode: Mode,
    /// How to answer.
    pub format: Format,
}

/// Whether a command may make a database that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A new SQLite file is made.
    Create,
    /// It is an error that says how to make one.
    Refuse,
}

impl App {
    /// Opens the database, brings its schema up to date and reads the derivation key.
    pub async fn open(setting: &Setting, missing: Missing) -> Result<Self, Failure> {
        if let Some(path) =
            setting.database.sqlite_path().filter(|path| missing == Missing::Refuse && !path.exists())
        {
            return Err(Failure::failed(format!(
                "there is no teiki database at {}; `teiki account create NAME` makes one, or give --database or --data-dir",
                path.display()
            )));
        }
        let options = Options { create: missing == Missing::Create, ..Options::default() };
        let db = Db::open(&setting.database, &options)
            .await
            .map_err(|error| Failure::failed(error.to_string()))?;
        db.migrate(MIGRATIONS).await.map_err(|error| Failure::failed(error.to_string()))?;
        let key = accounts::derivation_key(&db).await?;
        Ok(Self { db, key, mode: setting.mode, format: setting.format })
    }

    /// Opens the installation for `work` and closes it afterwards, so that an SQLite file stands alone, without its log: a
    /// copy of it is whole.
    pub async fn with<T>(
        setting: &Setting,
        missing: Missing,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let app = Self::open(setting, missing).await?;
        let done = work(&app).await;
        app.db.close().await;
        done
    }
}

/// Makes this process the one that charges on an SQLite file; nothing to do on PostgreSQL.
pub fn charging_lock(setting: &Setting) -> Result<ChargingLock, Failure> {
    ChargingLock::acquire(&setting.database).map_err(|error| Failure::failed(error.to_string()))
}
