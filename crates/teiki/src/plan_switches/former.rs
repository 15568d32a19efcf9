//! What a reservation replaced, and what of that is given back when it goes.
//!
//! A reservation over another keeps that one, with what it had replaced in turn: a chain, the newest first. Some of it may
//! have gone meanwhile, because its switch was undone or has left the subscription out, or because its plan was deleted:
//! then what came before it remains.

use std::collections::{BTreeMap, BTreeSet};

use billing::id::SubscriptionId;
use billing::renewal::Next;
use db::Tx;
use serde::{Deserialize, Serialize};

use super::{Side, Status, SwitchRow, store};
use crate::invoices::scheduled::ScheduledRow;
use crate::plans::{self, PlanRow};
use crate::stored::unreadable;
use crate::subscriptions::SubscriptionRow;

/// What a reservation replaces. Persisted as JSON; only ever add fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Former {
    next_plan: Option<String>,
    next_plan_from: Option<i64>,
    plan_switch: Option<String>,
    /// What the former switch had replaced, in turn.
    former: Option<String>,
    /// The scheduled invoice that was drawn anew.
    pub(super) invoice: Option<FormerInvoice>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FormerInvoice {
    pub(super) id: String,
    pub(super) next: Next,
}

impl Former {
    /// What a subscription has reserved now.
    pub(super) fn of(row: &SubscriptionRow) -> Self {
        Self {
            next_plan: row.next_plan.clone(),
            next_plan_from: row.next_plan_from,
            plan_switch: row.plan_switch.clone(),
            former: row.switch_former.clone(),
            invoice: None,
        }
    }

    /// The subscription with this again.
    pub(super) fn back_in(&self, row: &SubscriptionRow) -> SubscriptionRow {
        SubscriptionRow {
            next_plan: self.next_plan.clone(),
            next_plan_from: self.next_plan_from,
            plan_switch: self.plan_switch.clone(),
            switch_former: self.former.clone(),
            ..row.clone()
        }
    }

    pub(super) fn json(&self) -> Result<String, db::Error> {
        serde_json::to_string(self).map_err(|error| db::Error::Assertion(format!("a reservation: {error}")))
    }
}

/// What the reservation of a subscription replaced, and what that had replaced, the newest first.
pub(super) fn chain_of(row: &SubscriptionRow) -> Result<Vec<Former>, db::Error> {
    let mut chain: Vec<Former> = Vec::new();
    let mut text = row.switch_former.clone();
    while let Some(stored) = text {
        let former: Former = serde_json::from_str(&stored)
            .map_err(|_| unreadable("subscriptions.switch_former", "what it replaced", &stored))?;
        text = former.former.clone();
        chain.push(former);
    }
    Ok(chain)
}

/// Whether a switch reserved something for a subscription that is reserved for another one now.
pub(super) fn is_under(switch: &SwitchRow, row: &SubscriptionRow) -> Result<bool, db::Error> {
    let id = Some(switch.id.as_str());
    Ok(chain_of(row)?.iter().any(|former| former.plan_switch.as_deref() == id))
}

/// What is still there of what reservations replaced. Held: none of it goes until the transaction ends.
#[derive(Default)]
pub(super) struct Standing {
    switches: BTreeMap<String, SwitchRow>,
    /// The plans that are not deleted.
    pub(super) plans: BTreeMap<String, PlanRow>,
}

impl Standing {
    /// Reads what these name.
    pub(super) fn read(tx: &mut Tx<'_>, side: Side, chains: &[Vec<Former>]) -> Result<Self, db::Error> {
        let all = || chains.iter().flatten();
        let plans: BTreeSet<&str> = all().filter_map(|former| former.next_plan.as_deref()).collect();
        let switches: BTreeSet<&str> = all().filter_map(|former| former.plan_switch.as_deref()).collect();
        let mut standing = Self::default();
        if !switches.is_empty() {
            let found = store::lock_many(tx, &switches.into_iter().collect::<Vec<_>>())?;
            standing.switches = found.into_iter().map(|row| (row.id.to_string(), row)).collect();
        }
        if !plans.is_empty() {
            let found = plans::hold_many(tx, side, &plans.into_iter().collect::<Vec<_>>())?;
            standing.plans = found.into_iter().map(|row| (row.id.clone(), row)).collect();
        }
        Ok(standing)
    }

    /// What remains of a chain; of its invoices the earliest one of `present`, as it was before the switches that have gone.
    pub(super) fn remains(
        &self,
        id: SubscriptionId,
        chain: Vec<Former>,
        present: Option<&ScheduledRow>,
    ) -> Former {
        let mut invoice = None;
        for former in chain {
            let of_present =
                |kept: &FormerInvoice| present.is_some_and(|row| row.id.as_str() == kept.id.as_str());
            invoice = former.invoice.clone().filter(of_present).or(invoice);
            if self.stands(id, &former) {
                return Former { invoice, ..former };
            }
        }
        Former { invoice, ..Former::default() }
    }

    fn stands(&self, id: SubscriptionId, former: &Former) -> bool {
        let Some(plan) = &former.next_plan else {
            return true;
        };
        let holds = |switch: &SwitchRow| {
            matches!(switch.status, Status::Reserving | Status::Scheduled) && !switch.excluded.contains(&id)
        };
        let is_of_a_switch_that_holds = match &former.plan_switch {
            None => true,
            Some(switch) => self.switches.get(switch).is_some_and(holds),
        };
        is_of_a_switch_that_holds && self.plans.contains_key(plan)
    }
}
