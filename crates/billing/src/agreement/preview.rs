//! The next cycles of a subscription, to be shown: as it stands, or as a change would leave it.

use super::draw::{draw, scheduled};
use super::edit::following;
use super::{Agreement, Course, Refused, Upcoming};
use crate::plan::Plan;
use crate::renewal::start::First;
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
        next_plan_from: course.next_plan_from,
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
/// ends with the last instalment, and with the calendar.
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
    let mut given = Some(first);
    let (mut standing, mut period) = (*agreement, period);
    let mut invoices = Vec::new();
    while invoices.len() < count.min(PREVIEW_MAX) && standing.remaining != Some(0) {
        let drawn = match draw(terms, &standing, &period) {
            Err(Refused::BeyondCalendar) => break,
            drawn => drawn?,
        };
        let (plan, anchor, left) = (drawn.plan, drawn.anchor, drawn.left(&standing));
        let is_switched = plan.id != standing.plan.id;
        standing = Agreement {
            plan,
            next_plan: standing.next_plan.filter(|_| !is_switched),
            anchor,
            remaining: left.map(|left| left.saturating_sub(1)),
            is_first_bill: false,
            ..standing
        };
        let present = First { anchor, cycle: drawn.next.cycle, share: None };
        invoices.push(given.take().unwrap_or(drawn.next));
        let cycle = match following(terms, &present, &Offer::from(plan)) {
            Err(Refused::BeyondCalendar) => break,
            cycle => cycle?,
        };
        period = First { cycle, ..present };
    }
    Ok(invoices)
}
