//! How many exports run at once in this process: few of one account, and few in all.
//!
//! An export keeps a page in memory for as long as its client takes, and reads whole tables with the readers of the background.
//! Several servers on one database each count for themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use billing::id::AccountId;

/// Of one account: one that is written and one that is looked at.
pub const OF_ACCOUNT_MAX: usize = 2;
/// Of all accounts: with a few megabytes each they fit the smallest machine.
pub const MAX: usize = 8;

/// The exports that run.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<BTreeMap<AccountId, usize>>>);

/// The right to run one; it ends when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    account: AccountId,
}

impl Places {
    /// `None`: there are as many as there may be.
    pub fn take(&self, account: AccountId) -> Option<Place> {
        let mut running = self.running();
        let of_all: usize = running.values().sum();
        let of_account = running.entry(account).or_default();
        if of_all >= MAX || *of_account >= OF_ACCOUNT_MAX {
            return None;
        }
        *of_account += 1;
        Some(Place { places: self.clone(), account })
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<AccountId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.places.running();
        if let Some(count) = running.get_mut(&self.account) {
            *count = count.saturating_sub(1);
        }
        running.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use billing::id::Slot;

    use super::*;

    fn account(number: u8) -> AccountId {
        AccountId::random(Slot(0), jiff::Timestamp::UNIX_EPOCH, &[number; 32])
    }

    #[test]
    fn an_account_has_two_and_gets_another_when_one_ends() {
        let places = Places::default();
        let first = places.take(account(1));
        let second = places.take(account(1));
        assert!(first.is_some() && second.is_some() && places.take(account(1)).is_none());
        assert!(places.take(account(2)).is_some(), "others have their own");
        drop(first);
        assert!(places.take(account(1)).is_some());
    }

    #[test]
    fn all_together_have_eight_and_who_has_none_is_forgotten() {
        let places = Places::default();
        let taken: Vec<Place> = (0..4)
            .flat_map(|number| [number, number])
            .filter_map(|number| places.take(account(number)))
            .collect();
        assert_eq!(taken.len(), MAX);
        assert!(places.take(account(9)).is_none());
        drop(taken);
        assert!(places.running().is_empty());
        assert!(places.take(account(9)).is_some());
    }
}
