//! What was collected for the period of a subscription that runs.

use billing::calendar::Period;
use billing::id::ChargeId;
use billing::money::Money;
use db::Tx;
use jiff::Timestamp;

use super::store::shown;
use crate::subscriptions::SubscriptionRow;

/// A payment that counts, with the period that it is for.
#[derive(Clone, Copy, Debug)]
pub struct Collected {
    /// The charge.
    pub charge: ChargeId,
    /// The service that it paid for.
    pub period: Period,
    /// How much was taken.
    pub amount: Money,
    /// How much of that was given back.
    pub refunded: Money,
    /// Billing time.
    pub collected_at: Timestamp,
}

/// The latest payment for a period that runs at `at`: another plan within it is paid anew. `None` where nothing was paid.
pub fn of_period(
    tx: &mut Tx<'_>,
    subscription: &SubscriptionRow,
    at: Timestamp,
) -> Result<Option<Collected>, db::Error> {
    let all = shown::collected(tx, subscription.id.slot(), &subscription.obligations())?;
    let running = all.into_iter().filter(|paid| (paid.period.start..paid.period.end).contains(&at));
    Ok(running.max_by_key(|paid| (paid.period.start, paid.collected_at, paid.charge)))
}
