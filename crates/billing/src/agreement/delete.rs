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

/// What a deletion does. The scheduled invoice becomes void; the rest of the subscription stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Where it stands for ever: canceled, and deleted.
    pub state: State,
    /// On the payment of the current period; `None` when nothing is left.
    pub refund: Option<Refund>,
}

/// Plans a deletion from any state. `paid` is what was paid for the current period, where a refund is asked for
/// (`prorate=true`) and something was paid. Refunded are the whole days after today over the days of the period, rounded
/// down; days are the calendar's. Error: [`Refused::CannotProratedRefund`].
pub fn delete(
    terms: &Terms<'_>,
    state: State,
    paid: Option<&Paid>,
    now: Timestamp,
) -> Result<Deletion, Refused> {
    let state = match state {
        State::Canceled(reason) => State::Canceled(reason),
        State::Trialing | State::Active | State::PastDue | State::Paused => {
            State::Canceled(CancelReason::Requested)
        }
    };
    let refund = match paid {
        None => None,
        Some(paid) => refund(terms, paid, now)?,
    };
    Ok(Deletion { state, refund })
}

fn refund(terms: &Terms<'_>, paid: &Paid, now: Timestamp) -> Result<Option<Refund>, Refused> {
    let day = |at| terms.calendar.civil(&terms.account.zone, at).date();
    let share = share_after(day(now), (day(paid.period.start), day(paid.period.end)));
    let left = paid.amount.minus(paid.refunded)?;
    let amount = Money::new(share.of(paid.amount)?.minor.min(left.minor), left.currency);
    if amount.minor <= 0 {
        return Ok(None);
    }
    if now.duration_since(paid.collected_at) > SignedDuration::from_hours(24 * REFUND_DAYS_MAX) {
        return Err(Refused::CannotProratedRefund);
    }
    Ok(Some(Refund { amount, share }))
}
