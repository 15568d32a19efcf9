//! The history of one charge, held while a request appends to it.

use billing::event::{History, Kind};
use billing::id::{AccountId, DerivationKey, InvoiceId};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;

use super::store;
use super::view::{self, ShownCharge};
use crate::clocks;
use crate::events::{self, NewEvent};
use crate::web::ApiError;

/// A locked history.
pub(super) struct Held {
    side: (AccountId, Mode),
    history: History,
    number: i64,
    billing: Timestamp,
}

/// The number of the last event of a single sale.
pub fn last_of_sale(tx: &mut Tx<'_>, invoice: InvoiceId) -> Result<i64, db::Error> {
    store::last_of_sale(tx, invoice)
}

/// Locks the history of a charge. Error: the clock of its customer is on its way.
pub(super) fn lock(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    charge: &ShownCharge,
    now: Timestamp,
) -> Result<Held, ApiError> {
    let billing = clocks::now_for_change(tx, &charge.row().clock, now)?;
    Ok(lock_at(tx, side, charge, billing)?)
}

/// The same whatever its clock does: for truth, which is always written.
pub(super) fn lock_at(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    charge: &ShownCharge,
    billing: Timestamp,
) -> Result<Held, db::Error> {
    let row = charge.row();
    let history = History::of(row.subscription, row.invoice);
    let number = match history {
        History::Subscription(id) => {
            store::lock_subscriptions(tx, &[id])?.first().map(|subscription| subscription.event_number)
        }
        History::Sale(id) => store::lock_sales(tx, &[id])?.first().map(|sale| sale.event_number),
    };
    let none = || db::Error::Assertion(format!("charge {} has no history", charge.id()));
    Ok(Held { side, history, number: number.ok_or_else(none)?, billing })
}

impl Held {
    /// Billing time.
    pub(super) fn billing(&self) -> Timestamp {
        self.billing
    }

    /// Which history it is.
    pub(super) fn history(&self) -> History {
        self.history
    }

    /// Appends an event with the charge as it is now.
    pub(super) fn record(
        &mut self,
        tx: &mut Tx<'_>,
        key: &DerivationKey,
        (kind, charge): (Kind, &ShownCharge),
        now: Timestamp,
    ) -> Result<(), db::Error> {
        self.number += 1;
        let event = NewEvent {
            account: self.side.0,
            mode: self.side.1,
            history: self.history.as_str().to_owned(),
            slot: self.history.slot(),
            number: self.number,
            kind,
            object: charge.id().to_string(),
            data: view::data(charge)?,
            billing_at: self.billing,
        };
        events::append(tx, key, &[event], now)?;
        match self.history {
            History::Subscription(id) => store::number_subscription(tx, id, self.number)?,
            History::Sale(id) => store::number_sales(tx, &[(id, self.number)])?,
        };
        Ok(())
    }
}
