//! Which lanes of an installation this process works in.
//!
//! SQLite: all of them, guarded by the lock file. PostgreSQL: those whose lease it could take; a lane whose
//! holder dies is free at once and is taken at the next look, its charges reconciled first.

use std::collections::BTreeSet;

use billing::id::AccountId;
use db::{Db, Engine};

use crate::charges::resolve::Which;
use crate::leases::{self, Lease};
use crate::renewals::Lane;

/// Lanes on PostgreSQL: as many processes can share the work.
const COUNT: i64 = 4;

/// A lane that this process holds.
pub(super) struct Held {
    pub(super) lane: Lane,
    lease: Option<Lease>,
    /// Accounts of which what a former holder left behind has been taken up.
    reconciled: BTreeSet<AccountId>,
}

impl Held {
    fn new(lane: Lane, lease: Option<Lease>) -> Self {
        Self { lane, lease, reconciled: BTreeSet::new() }
    }

    /// Name and number of its lease.
    pub(super) fn fence(&self) -> Option<(String, i64)> {
        self.lease.as_ref().map(|lease| lease.fence.clone())
    }

    /// Which charges the next pass over an account takes: the first pass takes all, for whoever was sending
    /// them is gone.
    pub(super) fn reconcile(&mut self, account: AccountId) -> Which {
        if self.reconciled.insert(account) { Which::All } else { Which::Due }
    }
}

/// Looks for lanes that nobody works in.
pub(super) async fn take_free(db: &Db, held: &mut Vec<Held>) -> Result<(), db::Error> {
    if db.engine() == Engine::Sqlite {
        if held.is_empty() {
            held.push(Held::new(Lane::ALL, None));
        }
        return Ok(());
    }
    for lane in Lane::cut(COUNT) {
        if held.iter().any(|held| held.lane == lane) {
            continue;
        }
        if let Some(lease) =
            leases::try_take(db, &format!("slots:{:02x}-{:02x}", lane.first, lane.last)).await?
        {
            held.push(Held::new(lane, Some(lease)));
        }
    }
    Ok(())
}

/// Drops lanes whose database session is gone: another process may have them by now. Says whether any was.
pub(super) async fn drop_lost(held: &mut Vec<Held>) -> bool {
    let before = held.len();
    let mut alive = Vec::with_capacity(held.len());
    for lane in held.drain(..) {
        let is_alive = match &lane.lease {
            Some(lease) => lease.is_alive().await,
            None => true,
        };
        if is_alive {
            alive.push(lane);
        }
    }
    *held = alive;
    held.len() < before
}
