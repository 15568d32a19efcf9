//! Which lanes of an installation this process works in, in its mode: servers of test and of live mode have lanes of their own.
//!
//! SQLite: all of them, guarded by the lock file. PostgreSQL: its share of those whose lease it could take. Each process
//! holds a lock that can be counted, so every one knows how many there are; who has more lanes than its share gives
//! some back when its work in them is done. A lane whose holder dies is free at once and is taken at the next
//! look. Whatever is not final there is then to be looked at, before anything else is done (`take_over` in
//! `charges/resolve.rs`).

use std::collections::BTreeSet;

use billing::id::AccountId;
use billing::mode::Mode;
use db::{Db, Engine, SessionLock};

use crate::charges::resolve;
use crate::clock;
use crate::leases::{self, Fence, Lease};
use crate::renewals::Lane;

/// Lanes on PostgreSQL: as many processes can share the work; more than these stand by.
const COUNT: usize = 4;

/// A lane that this process holds.
pub(super) struct Held {
    pub(super) lane: Lane,
    lease: Option<Lease>,
}

impl Held {
    pub(super) fn fence(&self) -> Option<Fence> {
        self.lease.as_ref().map(|lease| lease.fence.clone())
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
    pub(super) async fn look(
        &mut self,
        (db, mode): (&Db, Mode),
        busy: &BTreeSet<AccountId>,
    ) -> Result<(), db::Error> {
        if db.engine() == Engine::Sqlite {
            if self.held.is_empty() {
                self.held.push(take_over((db, mode), Lane::ALL, None).await?);
            }
            return Ok(());
        }
        let share = self.share(db, mode).await?;
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
            let name = leases::name_of(&format!("slots:{:02x}-{:02x}", lane.first, lane.last), mode);
            if let Some(lease) = leases::try_take(db, &name).await? {
                self.held.push(take_over((db, mode), lane, Some(lease)).await?);
            }
        }
        Ok(())
    }

    /// How many lanes are this process's part.
    async fn share(&mut self, db: &Db, mode: Mode) -> Result<usize, db::Error> {
        let is_present = match &self.presence {
            Some(presence) => presence.is_alive().await,
            None => false,
        };
        if !is_present {
            self.presence = leases::announce(db, mode).await?;
        }
        let processes = usize::try_from(leases::count_processes(db, mode).await?).unwrap_or(usize::MAX);
        Ok(COUNT.div_ceil(processes.max(1)))
    }

    /// An account's work has ended.
    pub(super) fn finished(&mut self, account: AccountId) {
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

/// A lane that is this process's from now on.
async fn take_over((db, mode): (&Db, Mode), lane: Lane, lease: Option<Lease>) -> Result<Held, db::Error> {
    let now = clock::now();
    db.write(move |tx| resolve::take_over(tx, mode, lane, now)).await?;
    Ok(Held { lane, lease })
}
