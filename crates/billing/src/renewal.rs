//! What opening a due invoice means, and which invoice comes next.
//!
//! [`open`] plans one renewal from stored facts: the bill with its tax, the next scheduled invoice, the
//! subscription's new state, the ledger entries. [`sign_up`] plans the first invoice of a new
//! subscription. Neither charges; neither reads a clock. A renewal that must not happen is refused with a
//! reason, so that its subscription can be parked and shown while others go on.

use jiff::civil::Time;
use jiff::{Span, Timestamp};

use crate::calendar::{Anchor, CalendarError, Cycle, Interval, Schedule, Zone};
use crate::invoice::{Line, LineKind, total};
use crate::ledger::{self, Entry};
use crate::money::{Money, Rounding};
use crate::plan::{FirstCharge, Plan};
use crate::subscription::{self, State};
use crate::tax::{TaxError, TaxedSum, percent_on, tax_of};

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

impl AccountTerms {
    /// The dates that follow from `anchor` and `interval` under these terms.
    pub const fn schedule(&self, anchor: Anchor, interval: Interval) -> Schedule<'_> {
        Schedule { zone: &self.zone, charge_window: self.charge_window, anchor, interval }
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
}

impl Offer {
    fn line(&self) -> Line {
        Line {
            kind: LineKind::Plan,
            plan: self.plan.clone(),
            amount: self.amount.minor,
            tax_category: self.tax_category,
        }
    }
}

/// A subscription whose invoice is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Where it stands.
    pub state: State,
    /// What its dates count from.
    pub anchor: Anchor,
    /// Invoices still to issue, the due one included; `None` goes on until canceled.
    pub remaining: Option<u32>,
}

/// The due invoice, as it was scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Its cycle.
    pub cycle: u32,
    /// The amount that was announced.
    pub amount: Money,
    /// Its lines; they add up to `amount`.
    pub lines: Vec<Line>,
}

/// The invoice that comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its dates.
    pub cycle: Cycle,
    /// Its amount.
    pub amount: Money,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// Everything that opening an invoice does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The dates of the opened cycle.
    pub cycle: Cycle,
    /// Tax per rate of the opened invoice.
    pub tax: Vec<TaxedSum>,
    /// Whether there is anything to charge. An invoice of zero is paid at once.
    pub needs_charge: bool,
    /// The next scheduled invoice; `None` after the last instalment.
    pub next: Option<Next>,
    /// Invoices still to issue after this one.
    pub remaining: Option<u32>,
    /// The subscription's state from now on.
    pub state: State,
    /// What goes into the books.
    pub entries: Vec<Entry>,
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

/// Plans the opening of `scheduled` at billing time `now`.
pub fn open(
    terms: &AccountTerms,
    offer: &Offer,
    running: &Running,
    scheduled: &Scheduled,
    now: Timestamp,
) -> Result<Opening, Refused> {
    let state = running.state.after(subscription::Event::InvoiceOpened)?;
    let schedule = terms.schedule(running.anchor, offer.interval);
    let cycle = schedule.cycle(scheduled.cycle)?;
    if cycle.period.start > now {
        return Err(Refused::TooEarly { cycle: cycle.number, start: cycle.period.start, now });
    }
    let remaining = match running.remaining {
        Some(0) => return Err(Refused::NothingLeft),
        Some(count) => Some(count - 1),
        None => None,
    };
    let tax = taxed(terms, &cycle, scheduled)?;
    let next = if remaining == Some(0) {
        None
    } else {
        let cycle = schedule.cycle(cycle.number + 1)?;
        Some(Next { cycle, amount: offer.amount, lines: vec![offer.line()] })
    };
    let entries = ledger::invoice_issued::entries(&tax);
    Ok(Opening { cycle, tax, needs_charge: scheduled.amount.minor > 0, next, remaining, state, entries })
}

/// The tax of the invoice by the rates of the day on which its period starts.
fn taxed(terms: &AccountTerms, cycle: &Cycle, scheduled: &Scheduled) -> Result<Vec<TaxedSum>, Refused> {
    let sum = total(&scheduled.lines, Money::new(0, scheduled.amount.currency));
    if sum != Some(scheduled.amount) || scheduled.amount.minor < 0 {
        let lines = sum.map(|sum| sum.minor);
        return Err(Refused::AmountMismatch { amount: scheduled.amount.minor, lines });
    }
    let day = terms.zone.day_of(cycle.period.start);
    let lines: Vec<_> = scheduled
        .lines
        .iter()
        .map(|line| (percent_on(line.tax_category, day), Money::new(line.amount, scheduled.amount.currency)))
        .collect();
    Ok(tax_of(&lines, terms.tax_rounding)?)
}

/// A new subscription and its first invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignUp {
    /// Trialing with a trial, else active.
    pub state: State,
    /// What all its dates count from: the end of the trial if there is one.
    pub anchor: Anchor,
    /// Cycle 0, with the set-up fee.
    pub first: Next,
    /// Invoices to issue in all.
    pub remaining: Option<u32>,
}

/// Plans a sign-up to `plan` at the instant `at`.
pub fn sign_up(
    terms: &AccountTerms,
    plan: &Plan,
    first_charge: FirstCharge,
    at: Timestamp,
) -> Result<SignUp, Refused> {
    let local =
        at.to_zoned(jiff::tz::TimeZone::get(terms.zone.name()).map_err(|_| CalendarError::OutOfRange)?);
    let start = local
        .checked_add(Span::new().days(i64::from(plan.trial_days)))
        .map_err(|_| CalendarError::OutOfRange)?;
    let time = match first_charge {
        FirstCharge::Now => Some(start.time()),
        FirstCharge::Scheduled => None,
    };
    let anchor = Anchor { on: start.date(), at: time };
    let cycle = terms.schedule(anchor, plan.interval).cycle(0)?;
    let mut lines = vec![Line {
        kind: LineKind::Plan,
        plan: plan.id.clone(),
        amount: plan.amount.minor,
        tax_category: plan.tax_category,
    }];
    if plan.setup_fee.minor > 0 {
        lines.push(Line { kind: LineKind::SetupFee, amount: plan.setup_fee.minor, ..lines[0].clone() });
    }
    let amount = plan.amount.plus(plan.setup_fee).map_err(TaxError::from)?;
    let state = if plan.trial_days > 0 { State::Trialing } else { State::Active };
    Ok(SignUp { state, anchor, first: Next { cycle, amount, lines }, remaining: plan.instalments })
}

#[cfg(test)]
mod tests;
