//! Secrets at rest: what teiki must be able to read again, such as the keys that webhooks are signed with, is stored
//! encrypted under a key that is not in the database.
//!
//! One master key for an installation ([`file`]: where it is). From it a data key for each account (HKDF-SHA256), and under
//! that each value by XChaCha20-Poly1305 with a random nonce ([`sealed`]). A value says which master key it needs, and is bound
//! to its account, table, row and column: copied elsewhere it does not open. The table `secret_keys` names the master key in
//! use, so that a server without it, or with another one, refuses to start instead of failing at its work.
//!
//! Whoever loses the key loses these secrets and nothing else; whoever steals a backup has none of them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use db::Db;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::failure::Failure;

pub mod file;
pub mod sealed;
mod store;

pub use file::KeyFile;
pub use sealed::{MasterKey, Place};

/// Bytes that nobody may see. They are not printed, and wiped when they are dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// From its bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the one place that uses them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The master key of this process, once it has been needed.
pub struct Secrets {
    file: KeyFile,
    key: Mutex<Option<Arc<MasterKey>>>,
}

impl Secrets {
    /// Reads the key file if it is there. Error: something in the database is encrypted under another key, or under one
    /// that is not there; or a key file was named that is not there.
    pub async fn open(db: &Db, file: KeyFile) -> Result<Self, Failure> {
        let used = db.read(store::key_ids).await?;
        let found = file.read()?;
        if let Some(wanted) = used.first() {
            match &found {
                Some(key) if key.id() == wanted => {}
                other => return Err(file.cannot_open(wanted, other.as_ref())),
            }
        }
        if found.is_none() {
            file.must_not_be_named()?;
        }
        Ok(Self { file, key: Mutex::new(found.map(Arc::new)) })
    }

    /// The key to open what is stored. Error: it is not there; another server of this database made it meanwhile.
    pub fn for_reading(&self) -> Result<Arc<MasterKey>, Failure> {
        if let Some(key) = self.known() {
            return Ok(key);
        }
        match self.file.read()? {
            Some(key) => Ok(self.keep(key)),
            None => Err(self.file.is_missing()),
        }
    }

    /// The key to encrypt something new with. The first time in an installation it is made, and written down in the
    /// database by its id. `random` are 32 bytes that nobody can guess, `now` is real time.
    pub async fn for_writing(
        &self,
        db: &Db,
        random: &[u8; 32],
        now: Timestamp,
    ) -> Result<Arc<MasterKey>, Failure> {
        let used = db.read(store::key_ids).await?;
        let key = match (self.known(), used.first()) {
            (Some(key), _) => key,
            (None, Some(_)) => self.for_reading()?,
            (None, None) => self.keep(self.file.read_or_make(random)?),
        };
        let id = key.id().to_owned();
        let used = db.write(move |tx| store::register(tx, &id, now)).await?;
        if used == key.id() { Ok(key) } else { Err(self.file.cannot_open(&used, Some(&key))) }
    }

    fn known(&self) -> Option<Arc<MasterKey>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, key: MasterKey) -> Arc<MasterKey> {
        let key = Arc::new(key);
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&key));
        key
    }
}
