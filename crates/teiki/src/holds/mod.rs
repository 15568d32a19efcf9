//! Holds: a row that stops charging, for everyone or for one account, until a person releases it.
//!
//! Every prepare reads [`active`] inside its transaction, so nothing new is opened after a hold is written;
//! a charging process looks again at least every [`WATCH_MS`] and sends nothing more. What is already on
//! its way is settled. A guard places holds too; only a person releases one.

use billing::id::AccountId;
use db::{Db, Tx};
use jiff::Timestamp;
use serde::Serialize;

use crate::actor::Actor;

pub mod cli;
pub mod job;
mod store;
mod view;

/// The scope that stops every account. Persisted; keep stable.
pub const ALL: &str = "all";

/// A charging process looks at the holds this often, in milliseconds: a batch takes up to two seconds, and
/// a person who stops charging expects it to stop at once.
pub const WATCH_MS: u64 = 500;

/// A stop that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// [`ALL`] or an account's id.
    pub scope: String,
    /// Why, for the person who releases it.
    pub reason: String,
    /// Who placed it: the name of an [`Actor`].
    pub actor: String,
    /// Since when, in real time.
    #[serde(rename = "since")]
    pub placed_at: Timestamp,
}

/// What stops this account now, if anything does. A stop of everyone comes before the account's own.
pub fn active(tx: &mut Tx<'_>, account: AccountId) -> Result<Option<Hold>, db::Error> {
    store::find_for(tx, account)
}

/// Stops `scope` ([`ALL`] or an account's id) at the real time `now`. `false`: it is held already, and the
/// first hold stays as it is.
pub fn place(
    tx: &mut Tx<'_>,
    scope: &str,
    reason: &str,
    actor: Actor,
    now: Timestamp,
) -> Result<bool, db::Error> {
    store::insert(tx, scope, reason, actor, now)
}

/// All holds, the stop of everyone first, then the oldest.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Hold>, db::Error> {
    store::list(tx)
}

/// A hold that is in force, and whether it was placed just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// `false`: it was there before and stays as it was.
    pub changed: bool,
    /// The one in force.
    pub hold: Hold,
}

/// A scope whose own hold is gone, and what still stops charging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Released {
    /// [`ALL`] or an account's id.
    pub scope: String,
    /// The hold that was taken away; none when there was none.
    pub released: Option<Hold>,
    /// Holds of other scopes that stop charging in this one still.
    pub remaining: Vec<Hold>,
}

/// Stops `scope`; an operator's command.
pub async fn hold(db: &Db, scope: String, reason: String, now: Timestamp) -> Result<Placed, db::Error> {
    db.write(move |tx| {
        let changed = place(tx, &scope, &reason, Actor::Operator, now)?;
        let hold = store::find(tx, &scope)?;
        Ok(Placed { changed, hold })
    })
    .await
}

/// Releases `scope`; an operator's command.
pub async fn release(db: &Db, scope: String) -> Result<Released, db::Error> {
    db.write(move |tx| {
        let before = list(tx)?;
        store::delete(tx, &scope)?;
        let (released, others): (Vec<Hold>, Vec<Hold>) =
            before.into_iter().partition(|hold| hold.scope == scope);
        let remaining = others.into_iter().filter(|hold| scope == ALL || hold.scope == ALL).collect();
        Ok(Released { scope: scope.clone(), released: released.into_iter().next(), remaining })
    })
    .await
}
