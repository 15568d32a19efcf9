//! The next invoices of a subscription as they will be, or as a change would make them.
//!
//! Asks the very functions that make the change, and writes nothing: it needs what the change needs, and is refused where
//! the change would be; but a clock that is on its way is looked at where it stands.

use billing::agreement::{self, Agreement, Course, DueNow, Resumption, Step, Upcoming};
use billing::plan::Plan;
use billing::renewal::{Next, Terms, taxed};
use db::Tx;

use super::scheduled;
use super::view::{DueView, NextView, PreviewView, RefundView};
use crate::plans;
use crate::subscriptions::payment::card_of;
use crate::subscriptions::present::Present;
use crate::subscriptions::requests::{Context, Update, look, plan_update, refused, refused_of};
use crate::subscriptions::{SubscriptionRow, deletion, must_be_free};
use crate::web::ApiError;

/// What would be done to the subscription.
#[derive(Clone, Debug)]
pub(super) enum Planned {
    /// Nothing.
    Nothing,
    /// Another plan, quantity or trial, or another plan for the next cycle.
    Update(Box<Update>),
    /// It stops for now.
    Pause,
    /// It ends with its period.
    Cancel,
    /// It goes on.
    Resume(Resumption),
    /// It ends now; with `prorate` the rest is given back.
    Delete { prorate: bool },
}

/// The next `count` invoices of the subscription `id`, and what would be paid or given back at once.
pub(super) fn preview(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    id: &str,
    (planned, count): (&Planned, usize),
) -> Result<PreviewView, ApiError> {
    let (customer, row) = look(tx, context, id).map_err(|error| error.about_param("subscription"))?;
    must_be_free(&row)?;
    let present = Present::read(tx, context, &row)?;
    let terms = Terms { account: &context.account.terms, calendar: row.calendar };
    let standing = present.agreement(&row)?;
    let empty = PreviewView::new(context.side.1, &row, agreement::ends_at(standing.state, standing.period));
    let step = match planned {
        Planned::Nothing => {
            return Ok(empty.with_invoices(next_ones(&terms, &standing, stored(&present), count)?));
        }
        Planned::Delete { prorate } => {
            let refund = if *prorate { deletion::left(tx, context, &customer, &row)? } else { None };
            return Ok(empty.deleted(refund.map(|(charge, refund)| RefundView::new(charge, refund.amount))));
        }
        Planned::Update(update) => plan_update(tx, context, (&customer, &row, &present), update)?,
        Planned::Pause => at_no_cost(agreement::pause(&standing).map_err(refused_of(row.id))?),
        Planned::Cancel => at_no_cost(agreement::cancel(&terms, &standing).map_err(refused_of(row.id))?),
        Planned::Resume(resumption) => {
            agreement::resume(&terms, &standing, resumption, customer.billing).map_err(refused_of(row.id))?
        }
    };
    let Step { due_now, then } = step;
    let due_now = match due_now {
        DueNow::Nothing => None,
        DueNow::Bill(bill) => Some(DueView::bill(bill)),
        DueNow::OldestOpen => match scheduled::oldest_open(tx, row.id)? {
            Some(oldest) => Some(DueView::open(super::find(tx, context.side, oldest.id.as_str())?)),
            None => None,
        },
    };
    if due_now.is_some() {
        card_of(tx, &customer)?;
    }
    let named = Named::read(tx, context, &row, &then)?;
    let changed = agreement::after(&standing, &then, (&named.plan, named.next_plan.as_ref()));
    let changed = Agreement { is_first_bill: changed.is_first_bill && due_now.is_none(), ..changed };
    let first = match &then.upcoming {
        Upcoming::Edited(next) | Upcoming::Replaced(next) => Some(next.clone()),
        Upcoming::Kept | Upcoming::Off => stored(&present),
        Upcoming::Void => None,
    };
    let invoices = next_ones(&terms, &changed, first, count)?;
    Ok(empty.changed(&then, due_now).with_invoices(invoices))
}

const fn at_no_cost(then: Course) -> Step {
    Step { due_now: DueNow::Nothing, then }
}

fn stored(present: &Present) -> Option<Next> {
    present.scheduled.as_ref().map(|scheduled| scheduled.next.clone())
}

/// The plans that a course names.
struct Named {
    plan: Plan,
    next_plan: Option<Plan>,
}

impl Named {
    fn read(
        tx: &mut Tx<'_>,
        context: &Context<'_>,
        row: &SubscriptionRow,
        course: &Course,
    ) -> Result<Self, ApiError> {
        let mut ids = vec![course.plan.as_str()];
        ids.extend(course.next_plan.as_deref());
        let found = plans::find_many(tx, context.side, &ids)?;
        let of = |id: &str| match found.iter().find(|plan| plan.id == id) {
            Some(plan) => Ok(plan.terms()?),
            None => Err(ApiError::inside(format!("the plan {id} of subscription {} is missing", row.id))),
        };
        Ok(Self { plan: of(&course.plan)?, next_plan: course.next_plan.as_deref().map(of).transpose()? })
    }
}

/// The invoices from `first` on, each with its tax by the rates of its time.
fn next_ones(
    terms: &Terms<'_>,
    agreement: &Agreement<'_>,
    first: Option<Next>,
    count: usize,
) -> Result<Vec<NextView>, ApiError> {
    let Some(first) = first else {
        return Ok(Vec::new());
    };
    agreement::preview(terms, agreement, first, count)
        .map_err(refused)?
        .into_iter()
        .map(|next| {
            let tax = taxed(terms.account, next.cycle.period.start, next.amount, &next.lines)
                .map_err(|error| ApiError::inside(error.to_string()))?;
            Ok(NextView::new(next, tax))
        })
        .collect()
}
