//! Renewals: what is due is opened, charged and followed by the next scheduled invoice.
//!
//! ```text
//! due → prepare → (commit) → charge → settle → notify
//! ```
//! [`due`] reads the work list without locks. [`prepare::prepare`] is one transaction for a batch: lock,
//! read again, plan by `billing::renewal`, write. [`work::until_done`] runs the whole line for one scope until
//! nothing is due. `charge` and `settle` are in `charges`.

use billing::id::{InvoiceId, SubscriptionId};
use db::Db;
use jiff::Timestamp;

use crate::line::Scope;

pub mod cli;
pub mod day_plan;
pub mod parked;
mod planning;
pub mod prepare;
mod store;
pub mod work;

/// A part of the key space that one lane of workers goes through: slots `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its number, for its own row in the run of the day.
    pub number: i64,
    /// First slot.
    pub first: i64,
    /// Last slot, included.
    pub last: i64,
}

/// How many slots there are.
const SLOTS: i64 = 256;

impl Lane {
    /// The whole key space.
    pub const ALL: Self = Self { number: 0, first: 0, last: SLOTS - 1 };

    /// All slots, cut into `count` lanes of neighbours (1 to 256).
    pub fn cut(count: i64) -> Vec<Self> {
        let count = count.clamp(1, SLOTS);
        (0..count)
            .map(|number| Self {
                number,
                first: SLOTS * number / count,
                last: SLOTS * (number + 1) / count - 1,
            })
            .collect()
    }
}

/// An invoice whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The invoice.
    pub invoice: InvoiceId,
    /// Its subscription.
    pub subscription: SubscriptionId,
}

/// Invoices of `scope` in `lane` whose next action is not after `at`, oldest first. No locks.
pub async fn due(
    db: &Db,
    scope: &Scope,
    lane: Lane,
    at: Timestamp,
    limit: i64,
) -> Result<Vec<Due>, db::Error> {
    let scope = scope.clone();
    db.read(move |tx| store::due(tx, &scope, lane, at, limit)).await
}

/// The earliest instant at which something of `scope` is to be done.
pub async fn next_action_at(db: &Db, scope: &Scope) -> Result<Option<Timestamp>, db::Error> {
    let scope = scope.clone();
    db.read(move |tx| store::next_action_at(tx, &scope)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_cover_every_slot_once() {
        for count in [1, 3, 4, 16, 256, 1_000] {
            let lanes = Lane::cut(count);
            let slots: Vec<i64> = lanes.iter().flat_map(|lane| lane.first..=lane.last).collect();
            assert_eq!(slots, (0..SLOTS).collect::<Vec<_>>(), "{count}");
        }
    }
}
