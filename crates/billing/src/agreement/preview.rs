//! The next cycles of a subscription, to be shown: as it stands, or as a change would leave it.

use super::draw::{draw, scheduled};
use super::{Agreement, Course, Refused, Upcoming};
use crate::calendar::CalendarError;
use crate::money::Money;
use crate::plan::Plan;
use crate::renewal::{Next, Offer, Terms};

/// The most cycles of one preview: five years of months.
pub const PREVIEW_MAX: usize = 60;

/// The subscription as `course` leaves it. `plans` are those that the course names: its plan, and the next one if it has
/// one.
pub fn after<'a>(
    agreement: &Agreement<'a>,
    course: &Course,
    (plan, next_plan): (&'a Plan, Option<&'a Plan>),
) -> Agreement<'a> {
    let scheduled = match &course.upcoming {
        Upcoming::Kept | Upcoming::Off => agreement.scheduled,
        Upcoming::Edited(next) | Upcoming::Replaced(next) => Some(next.cycle),
        Upcoming::Void => None,
    };
    Agreement {
        state: course.state,
        plan,
        next_plan,
        quantity: course.quantity,
        prorate: course.prorate,
        anchor: course.anchor,
        period: course.period,
        trial: course.trial,
        remaining: course.remaining,
        scheduled,
        ..*agreement
    }
}

/// The next `count` invoices, at most [`PREVIEW_MAX`], if nothing changes: `first` is the scheduled one as it is stored,
/// those after it follow from the plan, or from the plan of a reserved switch. Empty for a subscription that does not run;
/// ends with the last instalment.
pub fn preview(
    terms: &Terms<'_>,
    agreement: &Agreement<'_>,
    first: Next,
    count: usize,
) -> Result<Vec<Next>, Refused> {
    let period = if agreement.state.is_live() { scheduled(terms, agreement)? } else { None };
    let Some(period) = period else {
        return Ok(Vec::new());
    };
    let drawn = draw(terms, agreement, &period)?;
    let offer = Offer::from(drawn.plan);
    let left = if agreement.next_plan.is_some() { offer.instalments } else { agreement.remaining };
    let left = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(PREVIEW_MAX);
    let count = count.min(PREVIEW_MAX).min(left);
    let schedule = terms.schedule(drawn.anchor, &offer);
    let line = offer.line(agreement.quantity, None)?;
    let mut number = first.cycle.number;
    let mut invoices = vec![first];
    while invoices.len() < count {
        number = number.checked_add(1).ok_or(CalendarError::OutOfRange)?;
        invoices.push(Next {
            cycle: schedule.cycle(number)?,
            amount: Money::new(line.amount, offer.amount.currency),
            lines: vec![line.clone()],
        });
    }
    invoices.truncate(count);
    Ok(invoices)
}
