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
    /// How much of that is a set-up fee.
    pub setup_fee: Money,
    /// How much of that was given back.
    pub refunded: Money,
    /// Billing time.
    pub collected_at: Timestamp,
    /// The number of its invoice: the invoices of a subscription are numbered as they are made.
    pub cycle: i64,
    /// When the charge was made, in real microseconds.
    pub created_at: i64,
}

/// The latest payment for a period that runs at `at`: that of the subscription's current period, for another plan within a
/// period is paid anew; else the one whose invoice was made last. Under a clock that stands still all of them may have one
/// time, so numbers decide. `None` where nothing was paid.
pub fn of_period(
    tx: &mut Tx<'_>,
    subscription: &SubscriptionRow,
    at: Timestamp,
) -> Result<Option<Collected>, db::Error> {
    let all = shown::collected(tx, subscription.id.slot(), &subscription.obligations())?;
    let running = all.into_iter().filter(|paid| (paid.period.start..paid.period.end).contains(&at));
    let is_current = |paid: &Collected| paid.period.start.as_microsecond() == subscription.period.0;
    Ok(running.max_by_key(|paid| (is_current(paid), paid.cycle, paid.created_at)))
}
