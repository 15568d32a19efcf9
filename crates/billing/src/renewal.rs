//! What opening a due invoice means, and which invoice comes next.
//!
//! [`open`] plans one renewal from stored facts: the bill with its tax, the next scheduled invoice, the
//! subscription's new state, the ledger entries, and what holds from then on. Where a renewal first begins is
//! [`start`]. Neither charges; neither reads a clock. A renewal that must not happen is refused with a reason, so that
//! its subscription can be parked and shown while others go on.

use jiff::Timestamp;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use crate::calendar::{Anchor, Calendar, CalendarError, Cycle, Interval, Period, Schedule, Zone};
use crate::invoice::{Line, LineKind, total};
use crate::ledger::{self, Entry};
use crate::money::{Money, Rounding};
use crate::plan::Plan;
use crate::proration::Share;
use crate::subscription::{self, State};
use crate::tax::{TaxError, TaxedSum, percent_on, tax_of};

pub mod start;

use start::First;

/// What an account has chosen for all of its billing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountTerms {
    /// Where its days begin.
    pub zone: Zone,
    /// The local time from which it charges.
    pub charge_window: Time,
    /// How its tax is rounded.
    pub tax_rounding: Rounding,
}

/// What the dates of one subscription follow, apart from itself.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Of its account.
    pub account: &'a AccountTerms,
    /// Its own.
    pub calendar: Calendar,
}

impl<'a> Terms<'a> {
    /// The dates that follow from `anchor` for `offer`.
    pub const fn schedule(&self, anchor: Anchor, offer: &Offer) -> Schedule<'a> {
        Schedule {
            zone: &self.account.zone,
            charge_window: self.account.charge_window,
            calendar: self.calendar,
            anchor,
            interval: offer.interval,
            billing_day: offer.billing_day,
        }
    }
}

/// What is offered: the part of a plan that every further period needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The plan's id.
    pub plan: String,
    /// Price of one period, with tax.
    pub amount: Money,
    /// The tax inside it.
    pub tax_category: crate::tax::TaxCategory,
    /// From one charge to the next.
    pub interval: Interval,
    /// The day of the month on which its periods begin.
    pub billing_day: Option<u8>,
    /// How many invoices it has in all.
    pub instalments: Option<u32>,
}

impl From<&Plan> for Offer {
    fn from(plan: &Plan) -> Self {
        Self {
            plan: plan.id.clone(),
            amount: plan.amount,
            tax_category: plan.tax_category,
            interval: plan.interval,
            billing_day: plan.billing_day,
            instalments: plan.instalments,
        }
    }
}

impl Offer {
    /// The line of `quantity` of it for one period, or for a share of one. Error: overflow.
    pub fn line(&self, quantity: u32, share: Option<Share>) -> Result<Line, TaxError> {
        let whole = self.amount.times(i64::from(quantity))?;
        let (kind, amount) = match share {
            None => (LineKind::Plan, whole),
            Some(share) => (LineKind::Proration, share.of(whole)?),
        };
        Ok(Line {
            kind,
            plan: self.plan.clone(),
            amount: amount.minor,
            tax_category: self.tax_category,
            quantity,
            share,
        })
    }
}

/// A subscription whose invoice is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running<'a> {
    /// Where it stands.
    pub state: State,
    /// What its dates count from.
    pub anchor: Anchor,
    /// Its plan.
    pub offer: &'a Offer,
    /// How many of the plan it is for; at least 1.
    pub quantity: u32,
    /// The plan that is reserved. An invoice of a period that it is reserved for bears its price already.
    pub next_offer: Option<&'a Offer>,
    /// The first start of a period that it is reserved for; `None` is this renewal.
    pub next_offer_from: Option<Timestamp>,
    /// Whether parts of a period are charged by the day where the plan has a billing day.
    pub prorate: bool,
    /// Invoices still to issue, the due one included; `None` goes on until canceled.
    pub remaining: Option<u32>,
}

/// The due invoice, as it was scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The number of its cycle.
    pub cycle: u32,
    /// The service it pays for, as announced: it may be a part before the anchor's first cycle.
    pub period: Period,
    /// The amount that was announced.
    pub amount: Money,
    /// Its lines; they add up to `amount`.
    pub lines: Vec<Line>,
}

/// The invoice that comes next. Persisted inside a request's course; only ever add fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Its dates.
    pub cycle: Cycle,
    /// Its amount.
    pub amount: Money,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Next {
    /// The plan that it is for.
    pub fn plan(&self) -> &str {
        self.lines.first().map_or("", |line| line.plan.as_str())
    }
}

/// Everything that opening an invoice does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Tax per rate of the opened invoice.
    pub tax: Vec<TaxedSum>,
    /// Whether there is anything to charge. An invoice of zero is paid at once.
    pub needs_charge: bool,
    /// The next scheduled invoice; `None` after the last instalment.
    pub next: Option<Next>,
    /// The subscription's state from now on.
    pub state: State,
    /// What else holds of it. Where a failure leaves the invoice open it holds at once; where a failure pauses
    /// ([`subscription::RenewalFailure::Payjp`]) it holds when the invoice is paid, and never if it is not.
    pub then: Renewed,
    /// What goes into the books.
    pub entries: Vec<Entry>,
}

/// What a renewal makes of a subscription. Persisted as JSON until the invoice is paid; only ever add fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The current period: that of the opened invoice.
    pub period: Period,
    /// What its dates count from.
    pub anchor: Anchor,
    /// Invoices still to issue after the opened one.
    pub remaining: Option<u32>,
    /// The plan that it was switched to, and no further switch is reserved; `None`: its plan stays.
    pub plan: Option<String>,
}

/// Why a renewal must not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The subscription's schedule does not run.
    #[error(transparent)]
    NotLive(#[from] subscription::Refused),
    /// The period has not begun.
    #[error("cycle {cycle} begins at {start}, which is after {now}")]
    TooEarly {
        /// The cycle.
        cycle: u32,
        /// When its period starts.
        start: Timestamp,
        /// The billing time.
        now: Timestamp,
    },
    /// Nothing is left to issue.
    #[error("the last instalment has been issued")]
    NothingLeft,
    /// The lines do not add up to the amount, or the amount is negative.
    #[error("the invoice of {amount} has lines that add up to {lines:?}")]
    AmountMismatch {
        /// The invoice's amount in minor units.
        amount: i64,
        /// What the lines say; `None` if it does not fit.
        lines: Option<i64>,
    },
    /// A date is beyond the calendar.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// The tax cannot be computed.
    #[error(transparent)]
    Tax(#[from] TaxError),
}

/// Plans the opening of `scheduled` at billing time `now`. A caller that applies [`Opening::then`] only when the
/// invoice is paid must not open the next one before it has.
pub fn open(
    terms: &Terms<'_>,
    running: &Running<'_>,
    scheduled: &Scheduled,
    now: Timestamp,
) -> Result<Opening, Refused> {
    let state = running.state.after(subscription::Event::InvoiceOpened)?;
    let period = scheduled.period;
    if period.start > now {
        return Err(Refused::TooEarly { cycle: scheduled.cycle, start: period.start, now });
    }
    let reserved =
        |start| running.next_offer.filter(|_| running.next_offer_from.is_none_or(|from| from <= start));
    let switch = reserved(period.start);
    let (offer, instalments) = match switch {
        None => (running.offer, running.remaining),
        Some(next) => (next, carried((running.offer.instalments, running.remaining), next.instalments)),
    };
    let remaining = issued(instalments)?;
    let anchor = if start::has_same_rhythm(running.offer, offer) {
        running.anchor
    } else {
        let begin = (scheduled.cycle, period.start, running.prorate);
        start::after_switch(terms, running.anchor, offer, begin)?.anchor
    };
    let tax = taxed(terms.account, period.start, scheduled.amount, &scheduled.lines)?;
    let next = if remaining == Some(0) {
        None
    } else {
        let number = scheduled.cycle.checked_add(1).ok_or(CalendarError::OutOfRange)?;
        let cycle = terms.schedule(anchor, offer).cycle(number)?;
        let later = if switch.is_none() { reserved(cycle.period.start) } else { None };
        let next = later.unwrap_or(offer);
        let first =
            start::switched(terms, &First { anchor, cycle, share: None }, (offer, next), running.prorate)?;
        let line = next.line(running.quantity, first.share)?;
        let amount = Money::new(line.amount, next.amount.currency);
        Some(Next { cycle: first.cycle, amount, lines: vec![line] })
    };
    let entries = ledger::invoice_issued::entries(&tax);
    let plan = switch.map(|next| next.plan.clone());
    let then = Renewed { period, anchor, remaining, plan };
    Ok(Opening { tax, needs_charge: scheduled.amount.minor > 0, next, state, then, entries })
}

/// How many invoices are left to issue when a renewal switches from a plan of `all` invoices, of which `left` were left, to
/// one of `next`. A plan of so many payments is paid so many times in all: what was issued before the switch counts, and at
/// least the renewal itself is issued. A count of its own, which an import has brought, is carried on.
pub fn carried((all, left): (Option<u32>, Option<u32>), next: Option<u32>) -> Option<u32> {
    match (all, left, next) {
        (_, None, next) => next,
        (Some(_), Some(_), None) => None,
        (None, Some(left), None) => Some(left),
        (None, Some(left), Some(next)) => Some(left.min(next)),
        (Some(all), Some(left), Some(next)) => Some(next.saturating_sub(all.saturating_sub(left)).max(1)),
    }
}

/// What is left of the invoices to issue when one more is. Error: nothing was left.
pub fn issued(remaining: Option<u32>) -> Result<Option<u32>, Refused> {
    match remaining {
        Some(0) => Err(Refused::NothingLeft),
        Some(count) => Ok(Some(count - 1)),
        None => Ok(None),
    }
}

/// The tax of an invoice by the rates of the day, in the account's zone, on which its period starts. Errors: the lines
/// do not add up to the amount, or it is negative.
pub fn taxed(
    account: &AccountTerms,
    start: Timestamp,
    amount: Money,
    lines: &[Line],
) -> Result<Vec<TaxedSum>, Refused> {
    let sum = total(lines, Money::new(0, amount.currency));
    if sum != Some(amount) || amount.minor < 0 {
        return Err(Refused::AmountMismatch { amount: amount.minor, lines: sum.map(|sum| sum.minor) });
    }
    let day = account.zone.day_of(start);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| (percent_on(line.tax_category, day), Money::new(line.amount, amount.currency)))
        .collect();
    Ok(tax_of(&lines, account.tax_rounding)?)
}

#[cfg(test)]
mod tests;
