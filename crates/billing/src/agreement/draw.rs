//! Drawing up bills and scheduled invoices: the lines of a period, what is paid now, what is free until when.

use jiff::Timestamp;
use jiff::civil::Time;

use super::{Agreement, Bill, COMPLETED, DueNow, Refused, Step, Upcoming, whole_second};
use crate::calendar::{Anchor, CalendarError, Cycle, Period};
use crate::invoice::{Line, LineKind};
use crate::ledger;
use crate::money::Money;
use crate::plan::Plan;
use crate::proration::Share;
use crate::renewal::start::{self, Begin, First};
use crate::renewal::{Next, Offer, Terms, carried, issued, taxed};
use crate::subscription::State;

/// The scheduled invoice of a subscription, and what holds when it is opened.
pub(super) struct Drawn<'a> {
    pub(super) next: Next,
    pub(super) plan: &'a Plan,
    pub(super) anchor: Anchor,
}

impl Drawn<'_> {
    /// Invoices still to issue, this one included; `None` goes on until canceled.
    pub(super) fn left(&self, agreement: &Agreement<'_>) -> Option<u32> {
        if self.plan.id == agreement.plan.id {
            agreement.remaining
        } else {
            carried((agreement.plan.instalments, agreement.remaining), self.plan.instalments)
        }
    }

    /// When it may be charged: from the start of its period on, and before the day in the account's zone on which the cycle
    /// after it is charged, so that neither a cycle nor a day has two charges. Of the last instalment, before the day on
    /// which its period ends.
    pub(super) fn window(&self, terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<Period, Refused> {
        let cycle = &self.next.cycle;
        let next = if self.left(agreement) == Some(1) {
            cycle.period.end
        } else {
            let number = cycle.number.checked_add(1).ok_or(CalendarError::OutOfRange)?;
            terms.schedule(self.anchor, &Offer::from(self.plan)).cycle(number)?.charge_at
        };
        let zone = &terms.account.zone;
        let end = zone.instant(zone.day_of(next), Time::midnight())?;
        Ok(Period { start: cycle.period.start, end })
    }
}

/// The invoice of the period `first`, switched to the next plan if one is reserved for it. Its charge time, which a person
/// may have moved, stays as long as it is within the period that is drawn; else it is the period's own.
pub(super) fn draw<'a>(
    terms: &Terms<'_>,
    agreement: &Agreement<'a>,
    first: &First,
) -> Result<Drawn<'a>, Refused> {
    let plan = agreement.plan_from(first.cycle.period.start);
    let (present, offer) = (Offer::from(agreement.plan), Offer::from(plan));
    let period = start::switched(terms, first, (&present, &offer), agreement.prorate)?;
    let (amount, lines) = priced(agreement, plan, period.share)?;
    let mut drawn = Drawn { next: Next { cycle: period.cycle, amount, lines }, plan, anchor: period.anchor };
    let window = drawn.window(terms, agreement)?;
    let cycle = &mut drawn.next.cycle;
    if !(window.start..window.end).contains(&cycle.charge_at) {
        cycle.on = terms.account.zone.day_of(window.start);
        cycle.charge_at = terms.schedule(period.anchor, &offer).charge_at(cycle.on, window.start)?;
    }
    Ok(drawn)
}

/// The period of the scheduled invoice under the present plan; `None` if none is scheduled. Its start and its charge
/// time are those that are stored, for a person may have moved it.
pub(super) fn scheduled(terms: &Terms<'_>, agreement: &Agreement<'_>) -> Result<Option<First>, Refused> {
    let (Some(stored), anchor) = (agreement.scheduled, agreement.anchor) else {
        return Ok(None);
    };
    let offer = Offer::from(agreement.plan);
    let schedule = terms.schedule(anchor, &offer);
    let (end, share) = if stored.number >= anchor.cycle {
        (schedule.cycle(stored.number)?.period.end, None)
    } else {
        let share = start::share_until(terms, &offer, stored.period.start, anchor.on)?;
        (schedule.cycle(anchor.cycle)?.period.start, share)
    };
    let period = Period { start: stored.period.start, end };
    Ok(Some(First { anchor, cycle: Cycle { period, ..stored }, share }))
}

/// `first` is paid now and the schedule goes on after it. `agreement` is as it is asked to be.
pub(super) fn pay_now(
    terms: &Terms<'_>,
    agreement: &Agreement<'_>,
    first: &First,
    state: State,
    now: Timestamp,
) -> Result<Step, Refused> {
    let (amount, lines) = priced(agreement, agreement.plan, first.share)?;
    let remaining = issued(agreement.remaining)?;
    let then = Agreement {
        anchor: first.anchor,
        period: first.cycle.period,
        trial: ended_trial(agreement.trial, now),
        remaining,
        is_first_bill: false,
        ..*agreement
    };
    let upcoming = if remaining == Some(0) {
        Upcoming::Void
    } else {
        let number = first.cycle.number.checked_add(1).ok_or(CalendarError::OutOfRange)?;
        let cycle = terms.schedule(first.anchor, &Offer::from(agreement.plan)).cycle(number)?;
        let following = First { anchor: first.anchor, cycle, share: None };
        Upcoming::Replaced(draw(terms, &then, &following)?.next)
    };
    let due_now = if amount.minor == 0 {
        DueNow::Nothing
    } else {
        let tax = taxed(terms.account, first.cycle.period.start, amount, &lines)?;
        let entries = ledger::invoice_issued::entries(&tax);
        // The first period of a billing day is not delayed to the charge window: the request is there.
        let cycle = Cycle { charge_at: first.cycle.period.start, ..first.cycle };
        DueNow::Bill(Bill { cycle, amount, lines, tax, entries })
    };
    let state = if then.has_completed() { COMPLETED } else { state };
    Ok(Step { due_now, then: then.course(state, upcoming) })
}

/// The first period from `now` on of what is paid at once, without waiting for a billing day.
pub(super) fn from_now(
    terms: &Terms<'_>,
    agreement: &Agreement<'_>,
    now: Timestamp,
) -> Result<First, Refused> {
    let begin = Begin {
        from: whole_second(now)?,
        number: agreement.next_cycle,
        prorate: agreement.prorate,
        may_wait: false,
        by_day: false,
    };
    Ok(start::first(terms, &Offer::from(agreement.plan), &begin)?)
}

/// Nothing is paid before `end`; with a billing day and not by the day, before the billing day after it. A trial that
/// runs keeps its start.
pub(super) fn free_until(
    terms: &Terms<'_>,
    agreement: &Agreement<'_>,
    end: Timestamp,
    state: State,
    now: Timestamp,
) -> Result<Step, Refused> {
    let begin = Begin {
        from: end,
        number: agreement.next_cycle,
        prorate: agreement.prorate,
        may_wait: true,
        by_day: false,
    };
    let first = start::first(terms, &Offer::from(agreement.plan), &begin)?;
    let begun = agreement.trial.filter(|trial| trial.end > now).map(|trial| trial.start);
    let start = match begun {
        Some(start) => start,
        None => whole_second(now)?,
    };
    in_trial(terms, agreement, &first, state, start)
}

/// In a trial from `start` to the first charge, which is that of `first`.
pub(super) fn in_trial(
    terms: &Terms<'_>,
    agreement: &Agreement<'_>,
    first: &First,
    state: State,
    start: Timestamp,
) -> Result<Step, Refused> {
    let trial = Period { start, end: first.cycle.period.start };
    let then = Agreement { anchor: first.anchor, period: trial, trial: Some(trial), ..*agreement };
    let upcoming = Upcoming::Replaced(draw(terms, &then, first)?.next);
    Ok(Step { due_now: DueNow::Nothing, then: then.course(state, upcoming) })
}

/// A trial that does not last beyond `now`; `None` if nothing of it is left.
fn ended_trial(trial: Option<Period>, now: Timestamp) -> Option<Period> {
    trial.map(|trial| Period { end: trial.end.min(now), ..trial }).filter(|trial| trial.start < trial.end)
}

/// The lines of one period of `plan` or a share of it, with the set-up fee on the first bill of the subscription. The fee
/// is charged in full also with a share.
fn priced(
    agreement: &Agreement<'_>,
    plan: &Plan,
    share: Option<Share>,
) -> Result<(Money, Vec<Line>), Refused> {
    let line = Offer::from(plan).line(agreement.quantity, share)?;
    let mut amount = Money::new(line.amount, plan.amount.currency);
    let mut lines = vec![line];
    if agreement.is_first_bill && plan.setup_fee.minor > 0 {
        amount = amount.plus(plan.setup_fee)?;
        lines.push(Line {
            kind: LineKind::SetupFee,
            plan: plan.id.clone(),
            amount: plan.setup_fee.minor,
            tax_category: plan.tax_category,
            quantity: 1,
            share: None,
        });
    }
    Ok((amount, lines))
}
