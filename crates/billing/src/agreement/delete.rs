//! Deleting a subscription at once, with the refund of what is left of its period (specs/payjp-v1.md 6.8).

use jiff::{SignedDuration, Timestamp};

use super::Refused;
use crate::calendar::Period;
use crate::money::Money;
use crate::proration::{Share, share_after};
use crate::renewal::Terms;
use crate::subscription::{CancelReason, State};

/// How long after it a payment is refunded, in days of 24 hours.
pub const REFUND_DAYS_MAX: i64 = 180;

/// What was paid for the current period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The period.
    pub period: Period,
    /// What was collected for it, with tax.
    pub amount: Money,
    /// How much of that is a set-up fee, which is not for the period.
    pub setup_fee: Money,
    /// What has been given back of that already.
    pub refunded: Money,
    /// When it was collected.
    pub collected_at: Timestamp,
}

/// What is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Positive, at most what was paid and not yet given back.
    pub amount: Money,
    /// The part of the period that was left.
    pub share: Share,
}

/// Where a deleted subscription stands for ever; it may be deleted in any state. Its scheduled invoice becomes void.
pub const fn deleted(state: State) -> State {
    match state {
        State::Canceled(reason) => State::Canceled(reason),
        State::Trialing | State::Active | State::PastDue | State::Paused => {
            State::Canceled(CancelReason::Requested)
        }
    }
}

/// What a deletion with `prorate=true` gives back of what was paid for the current period, without a set-up fee: the whole
/// days after today over the days of the period, rounded down; days are the calendar's. `None` when nothing is left. Error:
/// [`Refused::CannotProratedRefund`].
pub fn refund_left(terms: &Terms<'_>, paid: &Paid, now: Timestamp) -> Result<Option<Refund>, Refused> {
    let day = |at| terms.calendar.civil(&terms.account.zone, at).date();
    let share = share_after(day(now), (day(paid.period.start), day(paid.period.end)));
    let left = paid.amount.minus(paid.refunded)?;
    // A person may have set the bill to less than the fee.
    let price = paid.amount.minus(paid.setup_fee)?;
    let price = Money::new(price.minor.max(0), price.currency);
    let amount = Money::new(share.of(price)?.minor.min(left.minor), left.currency);
    if amount.minor <= 0 {
        return Ok(None);
    }
    if now.duration_since(paid.collected_at) > SignedDuration::from_hours(24 * REFUND_DAYS_MAX) {
        return Err(Refused::CannotProratedRefund);
    }
    Ok(Some(Refund { amount, share }))
}
