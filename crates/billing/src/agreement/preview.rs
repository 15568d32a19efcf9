//! The next cycles of a subscription, to be shown.

use super::draw::{draw, scheduled};
use super::{Agreement, Refused};
use crate::calendar::CalendarError;
use crate::money::Money;
use crate::renewal::{Next, Offer, Terms};

/// The most cycles of one preview: five years of months.
pub const PREVIEW_MAX: usize = 60;

/// The next `count` invoices, at most [`PREVIEW_MAX`], if nothing changes: the scheduled one as the plan has it, then
/// those after it, with a reserved switch. Empty for one that does not run; ends with the last instalment.
pub fn preview(terms: &Terms<'_>, agreement: &Agreement<'_>, count: usize) -> Result<Vec<Next>, Refused> {
    let first = if agreement.state.is_live() { scheduled(terms, agreement)? } else { None };
    let Some(first) = first else {
        return Ok(Vec::new());
    };
    let drawn = draw(terms, agreement, &first)?;
    let offer = Offer::from(drawn.plan);
    let left = if agreement.next_plan.is_some() { offer.instalments } else { agreement.remaining };
    let left = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(PREVIEW_MAX);
    let count = count.min(PREVIEW_MAX).min(left);
    let schedule = terms.schedule(drawn.anchor, &offer);
    let line = offer.line(agreement.quantity, None)?;
    let mut number = drawn.next.cycle.number;
    let mut invoices = vec![drawn.next];
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
