//! `Idempotency-Key`: a POST that is repeated with the same key is done once.
//!
//! 1. [`claim`]: one transaction finds the key's row or makes it. Another request under the key is a conflict, an answer
//!    that is kept is given again, a request that is still at work is waited for.
//! 2. The operation runs. The transaction that does what it is for marks the row ([`mark`]): a repeat after a crash goes on from
//!    there, and does not do it a second time. What is marked is what the rest of the operation needs to go on.
//! 3. [`finish`]: 2xx and 402 are the last word and are kept ([`End`]). Of anything else nothing is kept but the mark, so that
//!    the same key tries again (400, 429, 409), or answers the present state of what was done (500). What was proven never
//!    to have reached the gateway is as if it had not been asked for: its mark goes too.
//!
//! No guess is needed for this to be safe: the mark is written only by whoever still holds the row. Whether a former holder
//! is dead only decides how soon a repeat may go on.
//!
//! Keys belong to an account and a mode, and are kept for 30 real days. Key and request are stored as keyed hashes.

use std::time::Duration;

use billing::id::{AccountId, DerivationKey, Slot};
use billing::mode::Mode;
use db::{Db, Engine, Tx};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use crate::api_keys::KeyKind;
use crate::clock;
use crate::leases;
use crate::web::ApiError;

pub mod job;
mod store;

/// Longest key, in characters.
pub const LENGTH_MAX: usize = 255;
/// How long a key is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// No request works longer than this on what it holds: payments are waited for 25 seconds.
const HELD_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Pause before the second look at it; it doubles up to [`LOOK_PAUSE_MAX`], for each look is a turn at the writer.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// The longest.
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(800);

/// A request with a key.
#[derive(Clone, Debug)]
pub struct Request {
    side: (AccountId, Mode),
    key_hash: [u8; 32],
    request_hash: [u8; 32],
}

impl Request {
    /// `request` is everything that makes it this request and no other: method, address and parameters. The keys of each
    /// `kind` of API key are others: nobody with a public or a restricted one uses up those of payments.
    pub fn new(
        key: &DerivationKey,
        side: (AccountId, Mode),
        (text, kind): (&str, KeyKind),
        request: &[&[u8]],
    ) -> Self {
        let request = [&[b"idempotent_request".as_slice()], request].concat();
        // Persisted in the hash; keep stable.
        let namespace: &[u8] = match kind {
            KeyKind::Secret => b"idempotency_key",
            KeyKind::Public => b"idempotency_key_public",
            KeyKind::Restricted => b"idempotency_key_restricted",
        };
        Self { side, key_hash: key.digest(&[namespace, text.as_bytes()]), request_hash: key.digest(&request) }
    }

    const fn slot(&self) -> Slot {
        Slot(self.key_hash[0])
    }
}

/// A key as it was sent. Error: it is not 1 to 255 printable characters of ASCII.
pub fn valid(text: &[u8]) -> Result<String, ApiError> {
    let is_visible = text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    match std::str::from_utf8(text) {
        Ok(text) if is_visible && (1..=LENGTH_MAX).contains(&text.len()) => Ok(text.to_owned()),
        _ => {
            let message =
                format!("Invalid Idempotency-Key: use 1 to {LENGTH_MAX} printable characters of ASCII.");
            Err(ApiError::client("invalid_idempotency_key", message))
        }
    }
}

/// The last word on a request.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// How a try ends.
#[derive(Clone, Debug)]
pub enum End {
    /// With the last word.
    Kept(Kept),
    /// It may be tried again, from what was done on.
    Open,
    /// What was done came to nothing: it may be tried again from the start.
    Undone,
}

/// The right to work on a request: its row is held.
#[derive(Clone, Debug)]
pub struct Ticket {
    request: Request,
    holder: String,
    held_at: Timestamp,
    /// What the ids of what it makes derive from.
    pub seed: [u8; 32],
    /// What a former try has committed.
    pub done: Option<Value>,
}

/// What a key is good for.
#[derive(Debug)]
pub enum Claimed {
    /// The last word is spoken.
    Kept(Kept),
    /// To be worked on.
    Mine(Ticket),
}

/// Takes a key. `random` becomes the seed of a new one. Errors (409): it was used for another request; a request under it
/// is still at work at `give_up_at`.
pub async fn claim(
    db: &Db,
    request: &Request,
    random: [u8; 32],
    give_up_at: Instant,
) -> Result<Claimed, ApiError> {
    let mut pause = LOOK_PAUSE;
    let mut is_busy = false;
    loop {
        let (asked, engine, now) = (request.clone(), db.engine(), clock::now());
        // Many may wait for one: they only read until there is something to take.
        if is_busy {
            let row = db.read(move |tx| store::find(tx, &asked)).await?;
            is_busy = row.is_some_and(|row| row.kept.is_none() && row.is_held(engine, now));
        }
        let asked = request.clone();
        let looked = if is_busy {
            Ok(None)
        } else {
            db.write(move |tx| look(tx, &asked, (engine, random), now)).await
        };
        match looked? {
            Some(claimed) => return Ok(claimed),
            None if Instant::now() < give_up_at => {
                is_busy = true;
                tokio::time::sleep(pause).await;
                pause = LOOK_PAUSE_MAX.min(pause * 2);
            }
            None => {
                let message = "A request with this Idempotency-Key is still at work; repeat it later with the same key.";
                return Err(ApiError::conflict("idempotency_in_progress", message));
            }
        }
    }
}

/// What the row says; `None` while someone is at work on it. Error: it is of another request.
fn look(
    tx: &mut Tx<'_>,
    request: &Request,
    (engine, random): (Engine, [u8; 32]),
    now: Timestamp,
) -> Result<Option<Claimed>, ApiError> {
    let mine = |seed, done| {
        let ticket =
            Ticket { request: request.clone(), holder: leases::this_process(), held_at: now, seed, done };
        Some(Claimed::Mine(ticket))
    };
    let me = leases::this_process();
    let Some(row) = store::lock(tx, request)? else {
        let is_new = store::insert(tx, request, (&random, &me), now)?;
        return Ok(if is_new { mine(random, None) } else { None });
    };
    if now.duration_since(row.created_at) > KEPT {
        store::delete(tx, request)?;
        store::insert(tx, request, (&random, &me), now)?;
        return Ok(mine(random, None));
    }
    if row.request_hash != request.request_hash {
        let message =
            "This Idempotency-Key was used for another request: the address or the parameters differ.";
        return Err(ApiError::conflict("idempotency_conflict", message));
    }
    if let Some(kept) = row.kept {
        return Ok(Some(Claimed::Kept(kept)));
    }
    if row.is_held(engine, now) {
        return Ok(None);
    }
    store::hold(tx, request, &me, now)?;
    Ok(mine(row.seed, row.done))
}

impl store::KeyRow {
    /// Whether somebody works on it. On SQLite one process serves at a time.
    fn is_held(&self, engine: Engine, now: Timestamp) -> bool {
        self.holder.as_ref().is_some_and(|(holder, since)| {
            let is_gone =
                *holder != leases::this_process() && (engine == Engine::Sqlite || leases::is_gone(holder));
            !is_gone && now.duration_since(*since) <= HELD_MAX
        })
    }
}

/// Marks, in the transaction that does what the request is for, that it is done. Error: another process has taken it over.
pub fn mark(tx: &mut Tx<'_>, ticket: &Ticket, done: &Value) -> Result<(), ApiError> {
    if store::mark(tx, ticket, &done.to_string())? == 1 {
        return Ok(());
    }
    let message = "This request took too long and was taken over by a repeat with the same Idempotency-Key.";
    Err(ApiError::conflict("idempotency_in_progress", message))
}

/// Gives the row back.
pub async fn finish(db: &Db, ticket: Ticket, end: End) -> Result<(), db::Error> {
    db.write(move |tx| match &end {
        End::Kept(kept) => store::keep(tx, &ticket, kept),
        End::Open => store::release(tx, &ticket),
        End::Undone => store::forget(tx, &ticket),
    })
    .await
}
