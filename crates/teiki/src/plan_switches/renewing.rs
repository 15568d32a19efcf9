//! The part of a renewal in a switch: the first one that does it has begun it, and none does one that is being undone.
//!
//! A renewal holds the switches that it is about to begin before it holds its subscriptions, as a batch of theirs does, so
//! that an undo either is refused or comes before it. A switch that has begun is not held: renewals do not wait for each
//! other. Round trips on PostgreSQL for a batch of renewals: 1, and where a switch is about to begin 4.

use std::collections::{BTreeMap, BTreeSet};

use billing::id::{DerivationKey, PlanSwitchId, SubscriptionId};
use db::{Error, Tx};
use jiff::Timestamp;

use super::{Side, Status, batches, store};
use crate::subscriptions;

/// The switches that renewals are about to begin, by subscription.
#[derive(Default)]
pub struct Beginning(BTreeMap<SubscriptionId, PlanSwitchId>);

/// Holds the switches that have not begun and whose time has come for these subscriptions, which are not held yet. Those that
/// are being undone are taken back from them first.
pub fn prepare(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: Side,
    ids: &[SubscriptionId],
    (billing, now): (Timestamp, Timestamp),
) -> Result<Beginning, Error> {
    let to_begin = store::to_begin(tx, side, billing)?;
    if to_begin.is_empty() {
        return Ok(Beginning::default());
    }
    let mut due: BTreeMap<String, Vec<SubscriptionId>> = BTreeMap::new();
    let found = subscriptions::find_many(tx, side, ids)?;
    for row in found.into_iter().filter(|row| row.next_plan.is_some()) {
        if let Some(switch) = row.plan_switch.filter(|switch| to_begin.contains(switch)) {
            due.entry(switch).or_default().push(row.id);
        }
    }
    let mut beginning = Beginning::default();
    if due.is_empty() {
        return Ok(beginning);
    }
    let switches: Vec<&str> = due.keys().map(String::as_str).collect();
    for mut switch in store::lock_many(tx, &switches)? {
        let Some(ids) = due.get(switch.id.as_str()) else { continue };
        match switch.status {
            Status::Reserving | Status::Scheduled => {
                beginning.0.extend(ids.iter().map(|id| (*id, switch.id)))
            }
            Status::Undoing | Status::Undone => {
                batches::give_back_due(tx, key, &mut switch, ids, (billing, now)).map_err(|error| {
                    let cause = error.cause().unwrap_or("refused").to_owned();
                    Error::Assertion(format!("plan switch {} could not be taken back: {cause}", switch.id))
                })?;
            }
        }
    }
    Ok(beginning)
}

impl Beginning {
    /// The invoices of these were opened with the next plan.
    pub fn begin(&self, tx: &mut Tx<'_>, opened: &[SubscriptionId], billing: Timestamp) -> Result<(), Error> {
        let begun: BTreeSet<&PlanSwitchId> = opened.iter().filter_map(|id| self.0.get(id)).collect();
        begun.into_iter().try_for_each(|id| store::begin(tx, id, billing))
    }
}
