//! Which lanes of an installation this process works in.
//!
//! SQLite: all of them, guarded by the lock file. PostgreSQL: its share of those whose lease it could take. Each process
//! holds a lock that can be counted, so every one knows how many there are; who has more lanes than its share gives
//! some back when its work in them is done. A lane whose holder dies is free at once and is taken at the next
//! look, its charges reconciled first.

use std::collections::BTreeSet;

use billing::id::AccountId;
use db::{Db, Engine, SessionLock};

use crate::charges::resolve::Which;
use crate::leases::{self, Fence, Lease};
use crate::renewals::Lane;

/// Lanes on PostgreSQL: as many processes can share the work; more than these stand by.
const COUNT: usize = 4;

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

    pub(super) fn fence(&self) -> Option<Fence> {
        self.lease.as_ref().map(|lease| lease.fence.clone())
    }

    fn is_reconciled(&self, account: AccountId) -> bool {
        self.reconciled.contains(&account)
    }

    /// Which charges the next pass over an account takes: the first pass takes all, for whoever was sending
    /// them is gone.
    pub(super) fn reconcile(&mut self, account: AccountId) -> Which {
        if self.reconciled.insert(account) { Which::All } else { Which::Due }
    }

    async fn is_alive(&self) -> bool {
        match &self.lease {
            Some(lease) => lease.is_alive().await,
            None => true,
        }
    }
}

/// The lanes of this process.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) held: Vec<Held>,
    /// Given back as soon as these accounts' work, which was under way in them, is done.
    leaving: Vec<(Held, BTreeSet<AccountId>)>,
    /// Says to the others that this process is there.
    presence: Option<SessionLock>,
}

impl Lanes {
    /// Looks for lanes that nobody works in, and gives back what is more than this process's share. `busy`:
    /// accounts whose work is under way.
    pub(super) async fn look(&mut self, db: &Db, busy: &BTreeSet<AccountId>) -> Result<(), db::Error> {
        if db.engine() == Engine::Sqlite {
            if self.held.is_empty() {
                self.held.push(Held::new(Lane::ALL, None));
            }
            return Ok(());
        }
        let share = self.share(db).await?;
        while self.held.len() > share {
            self.leaving.extend(self.held.pop().map(|lane| (lane, busy.clone())));
        }
        self.leaving.retain(|(_, working)| !working.is_empty());
        for lane in Lane::cut(COUNT.try_into().unwrap_or(1)) {
            let is_mine = |held: &Held| held.lane == lane;
            if self.held.len() >= share
                || self.held.iter().any(is_mine)
                || self.leaving.iter().any(|(held, _)| is_mine(held))
            {
                continue;
            }
            let name = format!("slots:{:02x}-{:02x}", lane.first, lane.last);
            if let Some(lease) = leases::try_take(db, &name).await? {
                self.held.push(Held::new(lane, Some(lease)));
            }
        }
        Ok(())
    }

    /// How many lanes are this process's part.
    async fn share(&mut self, db: &Db) -> Result<usize, db::Error> {
        let is_present = match &self.presence {
            Some(presence) => presence.is_alive().await,
            None => false,
        };
        if !is_present {
            self.presence = leases::announce(db).await?;
        }
        let processes = usize::try_from(leases::count_processes(db).await?).unwrap_or(usize::MAX);
        Ok(COUNT.div_ceil(processes.max(1)))
    }

    /// Whether what former holders left behind of an account has been taken up everywhere.
    pub(super) fn are_reconciled(&self, account: AccountId) -> bool {
        self.held.iter().all(|lane| lane.is_reconciled(account))
    }

    /// An account's work has ended. Work that failed may not have come to what former holders left behind.
    pub(super) fn finished(&mut self, account: AccountId, is_done: bool) {
        if !is_done {
            for lane in &mut self.held {
                lane.reconciled.remove(&account);
            }
        }
        for (_, working) in &mut self.leaving {
            working.remove(&account);
        }
    }

    /// Drops lanes whose database session is gone: another process may have them by now. Says whether any was.
    pub(super) async fn drop_lost(&mut self) -> bool {
        let before = self.held.len() + self.leaving.len();
        let mut alive = Vec::with_capacity(self.held.len());
        for lane in self.held.drain(..) {
            if lane.is_alive().await {
                alive.push(lane);
            }
        }
        self.held = alive;
        let mut leaving = Vec::with_capacity(self.leaving.len());
        for (lane, working) in self.leaving.drain(..) {
            if lane.is_alive().await {
                leaving.push((lane, working));
            }
        }
        self.leaving = leaving;
        self.held.len() + self.leaving.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_failed_begins_again_with_what_was_left_behind() {
        let account: AccountId = "acct_0001a1fec43d81417c558e2cd88".parse().expect("an id");
        let mut lanes = Lanes { held: vec![Held::new(Lane::ALL, None)], ..Lanes::default() };
        assert!(!lanes.are_reconciled(account));
        assert_eq!(lanes.held[0].reconcile(account), Which::All);
        lanes.finished(account, true);
        assert!(lanes.are_reconciled(account));
        assert_eq!(lanes.held[0].reconcile(account), Which::Due);
        lanes.finished(account, false);
        assert!(!lanes.are_reconciled(account));
        assert_eq!(lanes.held[0].reconcile(account), Which::All);
    }
}
