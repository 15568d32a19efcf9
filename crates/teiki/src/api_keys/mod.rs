//! API keys: making, listing, naming, rolling and revoking them, and whose a key is.
//!
//! A key belongs to one side of an account, and only keys of that side can touch it. It is shown once, when it is made; what is
//! stored is its hash. Requests look their key up each time, so that what is revoked is revoked in every process at once. Each
//! side keeps one secret key that neither is revoked nor expires, so that no owner locks himself out. Keys live in real time.

use std::fmt;

use billing::id::AccountId;
use billing::mode::Mode;
use db::Tx;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::web::ApiError;
use crate::web::Caller;
use crate::web::list::{Page, Place};

pub mod api;
pub mod cli;
mod store;
pub mod uses;
pub mod view;

/// Most keys in use on one side of an account: far above one for each program and person, and an end to any loop.
pub const IN_USE_MAX: usize = 100;
/// Longest name of a key, in characters: fits a row of a table.
pub const NAME_MAX: usize = 100;
/// Longest life of a key that was rolled, in seconds: a week to put its successor everywhere.
pub const ROLLED_LIFE_MAX: i64 = 7 * 24 * 60 * 60;

/// Whose keys: account and mode.
pub type Side = (AccountId, Mode);

/// What an API key may do. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyKind {
    /// Everything.
    Secret,
    /// Making tokens, and reading what that needs; for browsers and apps.
    Public,
    /// Reading.
    Restricted,
}

impl KeyKind {
    /// All of them, the most powerful first.
    pub const ALL: [Self; 3] = [Self::Secret, Self::Restricted, Self::Public];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Public => "public",
            Self::Restricted => "restricted",
        }
    }

    /// From the stored name.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// How its keys begin.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Secret => "sk",
            Self::Public => "pk",
            Self::Restricted => "rk",
        }
    }
}

/// A key in clear. It is shown in the one answer that made it; nowhere else does it print.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The key, for the one answer.
    pub fn shown_once(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// An API key as stored.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its id; not the key.
    pub id: String,
    /// Whose it is.
    pub side: Side,
    /// What it may do.
    pub kind: KeyKind,
    /// What its owner calls it.
    pub name: Option<String>,
    /// Enough to recognise the key, not to use it.
    hash: [u8; 32],
    /// Its last four characters.
    pub last4: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the hour.
    pub last_used_at: Option<Timestamp>,
    /// Until when it works; `None` is for ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether requests may come with it at `now`.
    pub fn is_in_use(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }

    /// Whether it may do everything, for ever: one such key must be left.
    fn is_lasting(&self) -> bool {
        self.kind == KeyKind::Secret && self.revoked_at.is_none() && self.expires_at.is_none()
    }

    fn place(&self) -> Place {
        Place { created_at: self.created_at.as_microsecond(), sequence: 0, id: self.id.clone() }
    }
}

/// Why something cannot be done with keys.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The side has no such key.
    #[error("No such API key: {0}")]
    NotFound(String),
    /// Nobody could use this side any more.
    #[error(
        "This is the last secret key of its mode that does not expire: make another one first, or roll it with expires_in."
    )]
    LastSecretKey,
    /// There are too many.
    #[error("At most {IN_USE_MAX} API keys can be in use in one mode: revoke one first.")]
    TooMany,
    /// It was revoked, or has expired.
    #[error("This API key was revoked or has expired: make a new one.")]
    NotInUse,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// A new key, in clear and as it is stored; `random` must be used for nothing else.
pub fn new(
    side: Side,
    kind: KeyKind,
    name: Option<String>,
    (random, now): (&[u8; 32], Timestamp),
) -> (Secret, ApiKey) {
    let key = format!("{}_{}_{}", kind.prefix(), side.1, hex::encode(&random[..24]));
    let hash = key_hash(&key);
    let row = ApiKey {
        id: format!("key_{}", hex::encode(&hash[..14])),
        side,
        kind,
        name,
        hash,
        last4: key[key.len() - 4..].to_owned(),
        created_at: now,
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
    };
    (Secret(key), row)
}

/// Writes the first keys of an account that is made in the same transaction.
pub fn insert(tx: &mut Tx<'_>, keys: &[ApiKey]) -> Result<(), db::Error> {
    store::insert(tx, keys)
}

/// Adds a key to those of its side.
pub fn create(tx: &mut Tx<'_>, key: &ApiKey) -> Result<(), Refused> {
    if in_use(tx, key.side, key.created_at)?.len() >= IN_USE_MAX {
        return Err(Refused::TooMany);
    }
    Ok(store::insert(tx, std::slice::from_ref(key))?)
}

/// The keys in use, oldest first.
pub fn list_in_use(tx: &mut Tx<'_>, side: Side, now: Timestamp) -> Result<Vec<ApiKey>, db::Error> {
    store::in_use(tx, side, now)
}

/// The keys in use; nothing is added to them or taken from them by others until the transaction ends.
fn in_use(tx: &mut Tx<'_>, side: Side, now: Timestamp) -> Result<Vec<ApiKey>, db::Error> {
    store::lock_account(tx, side.0)?;
    store::in_use(tx, side, now)
}

/// The key `id`, also one that was revoked.
pub fn get(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<ApiKey, Refused> {
    store::find(tx, side, id)?.ok_or_else(|| Refused::NotFound(id.to_owned()))
}

/// A page of keys, newest first, with those that were revoked.
pub fn list(tx: &mut Tx<'_>, side: Side, page: &Page) -> Result<Vec<ApiKey>, ApiError> {
    let after = page.last_seen(|id| Ok(get(tx, side, id)?))?;
    let from = after.map_or_else(Place::newest, |key| key.place());
    Ok(store::list(tx, side, (page, &from))?)
}

/// Gives a key another name, or none.
pub fn rename(tx: &mut Tx<'_>, side: Side, id: &str, name: Option<String>) -> Result<ApiKey, Refused> {
    let mut key = get(tx, side, id)?;
    key.name = name;
    store::save_name(tx, &key)?;
    Ok(key)
}

/// Makes a key of the same kind and name, and lets the old one live for `expires_in` seconds, never longer than it would have.
/// Errors: the old one is not in use, would be the last one that lasts, or there are too many.
pub fn roll(
    tx: &mut Tx<'_>,
    (side, id): (Side, &str),
    expires_in: i64,
    (random, now): (&[u8; 32], Timestamp),
) -> Result<(Secret, ApiKey), Refused> {
    let in_use = in_use(tx, side, now)?;
    let mut old = get(tx, side, id)?;
    if !old.is_in_use(now) {
        return Err(Refused::NotInUse);
    }
    if expires_in == 0 {
        // An answer that is lost takes the successor with it, so it does not count.
        end(tx, &in_use, &mut old, now)?;
    } else if in_use.len() >= IN_USE_MAX {
        return Err(Refused::TooMany);
    } else {
        let until = now.saturating_add(SignedDuration::from_secs(expires_in)).unwrap_or(Timestamp::MAX);
        old.expires_at = Some(old.expires_at.map_or(until, |at| at.min(until)));
        store::save_end(tx, &old)?;
    }
    let successor = new(side, old.kind, old.name, (random, now));
    store::insert(tx, std::slice::from_ref(&successor.1))?;
    Ok(successor)
}

/// Revokes a key; one that was revoked stays as it is. Error: it is the last one that lasts.
pub fn revoke(tx: &mut Tx<'_>, side: Side, id: &str, now: Timestamp) -> Result<ApiKey, Refused> {
    let in_use = in_use(tx, side, now)?;
    let mut key = get(tx, side, id)?;
    if key.revoked_at.is_none() {
        end(tx, &in_use, &mut key, now)?;
    }
    Ok(key)
}

fn end(tx: &mut Tx<'_>, in_use: &[ApiKey], key: &mut ApiKey, now: Timestamp) -> Result<(), Refused> {
    let is_other_left = in_use.iter().any(|other| other.id != key.id && other.is_lasting());
    if key.is_lasting() && !is_other_left {
        return Err(Refused::LastSecretKey);
    }
    key.revoked_at = Some(now);
    Ok(store::save_end(tx, key)?)
}

/// The account, mode and powers of the key with this hash, if it is in use at `now`.
pub fn find_caller(tx: &mut Tx<'_>, hash: &[u8; 32], now: Timestamp) -> Result<Option<Caller>, db::Error> {
    store::find_caller(tx, hash, now)
}

/// What is stored of a key: enough to recognise it, not to use it.
pub fn key_hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}
