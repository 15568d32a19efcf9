//! Invoices: the bill and the debt; also the work list of the schedule.

use billing::id::{AccountId, DerivationKey, InvoiceId, SubscriptionId};
use billing::invoice::cycle_obligation;
use billing::mode::Mode;
use billing::renewal::Next;
use db::Tx;
use jiff::Timestamp;

mod store;

/// A scheduled invoice (予約中) to be written.
#[derive(Clone, Debug)]
pub struct NewScheduled {
    /// Whose.
    pub account: AccountId,
    /// Test or live.
    pub mode: Mode,
    /// The time it lives in: [`crate::accounts::REAL_CLOCK`] or a test clock.
    pub clock: String,
    /// Who pays.
    pub customer: String,
    /// The agreement that it belongs to.
    pub subscription: SubscriptionId,
    /// The plan of its period.
    pub plan: String,
    /// Its dates, amount and lines.
    pub next: Next,
}

impl NewScheduled {
    /// The obligation that it is for: unique in its slot.
    pub fn obligation(&self) -> String {
        cycle_obligation(self.subscription, self.next.cycle.number)
    }

    /// Its id, derived from the obligation and its due instant.
    pub fn id(&self, key: &DerivationKey, obligation: &str) -> InvoiceId {
        InvoiceId::derive(key, obligation, self.subscription.slot(), self.next.cycle.charge_at, 0)
    }
}

/// Writes scheduled invoices in the caller's transaction. `now` is real time.
pub fn insert_scheduled(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    invoices: &[NewScheduled],
    now: Timestamp,
) -> Result<(), db::Error> {
    store::insert_scheduled(tx, key, invoices, now)
}
