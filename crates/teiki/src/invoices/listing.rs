//! Lists of invoices, by when they are due, newest first.
//!
//! Those of an account go by two indexes, by status and by plan. Those of a customer or a subscription are found through
//! their obligations, which are counted on, and cost what that customer has, not what the account has.

use billing::id::{AccountId, InvoiceId};
use billing::invoice::State;
use billing::mode::Mode;
use db::Tx;

use super::store::shown::{self, ShownRow};
use crate::subscriptions::{self, SubscriptionRow};
use crate::web::ApiError;
use crate::web::list::{Page, Place};

/// Which invoices of an account; all by default.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) status: Option<State>,
    pub(super) plan: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) subscription: Option<String>,
}

/// A page of invoices.
pub(super) fn list(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    page: &Page,
    filter: &Filter,
) -> Result<Vec<ShownRow>, ApiError> {
    let from = page.last_seen(|id| super::find(tx, side, id))?.map_or_else(Place::newest, |row| row.place());
    if filter.customer.is_some() || filter.subscription.is_some() {
        return of_someone(tx, side, (page, &from), filter);
    }
    let plan = filter.plan.as_deref();
    let ids = match (filter.status, plan) {
        (None, None) => shown::list(tx, side, (page, &from))?,
        // Most invoices of a plan have been paid or are scheduled, few are anything else.
        (Some(status @ (State::Paid | State::Scheduled)), Some(plan)) => {
            shown::list_by_plan(tx, side, (page, &from), (plan, status.as_str()))?
        }
        (None, Some(plan)) => shown::list_by_plan(tx, side, (page, &from), (plan, ""))?,
        (Some(status), plan) => {
            shown::list_by_status(tx, side, (page, &from), (status, plan.unwrap_or_default()))?
        }
    };
    in_order(tx, side, &ids)
}

/// The rows of these ids, newest first.
fn in_order(tx: &mut Tx<'_>, side: (AccountId, Mode), ids: &[InvoiceId]) -> Result<Vec<ShownRow>, ApiError> {
    let mut rows = shown::find_many(tx, side, ids)?;
    rows.sort_by_key(|row| std::cmp::Reverse((row.due_at, row.id)));
    Ok(rows)
}

/// Those of a customer, of one subscription, or of both at once.
fn of_someone(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    (page, from): (&Page, &Place),
    filter: &Filter,
) -> Result<Vec<ShownRow>, ApiError> {
    let agreements = agreements(tx, side, filter)?;
    let mut rows = Vec::new();
    for agreement in &agreements {
        rows.extend(shown::of_obligations(tx, side, agreement.id.slot(), &agreement.obligations())?);
    }
    if let (Some(customer), None) = (&filter.customer, &filter.subscription) {
        let status = filter.status.map_or("", State::as_str);
        let limit = page.offset + page.rows();
        let sales = shown::sales_of(tx, side, (customer, status), (page, from), limit)?;
        rows.extend(shown::find_many(tx, side, &sales)?);
    }
    rows.retain(|row| {
        let place = row.place();
        (place.created_at, place.id.as_str()) < (from.created_at, from.id.as_str())
            && (page.since..=page.until).contains(&place.created_at)
            && filter.status.is_none_or(|status| row.state == status)
            && filter.plan.as_ref().is_none_or(|plan| row.plan.as_ref() == Some(plan))
    });
    rows.sort_by_key(|row| std::cmp::Reverse((row.due_at, row.id)));
    let place = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(rows.into_iter().skip(place(page.offset)).take(place(page.rows())).collect())
}

fn agreements(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    filter: &Filter,
) -> Result<Vec<SubscriptionRow>, ApiError> {
    let customer = filter.customer.as_deref();
    let found = match (&filter.subscription, customer) {
        (Some(id), _) => match id.parse() {
            Ok(id) => subscriptions::find_any(tx, side, id)?.into_iter().collect(),
            Err(_) => Vec::new(),
        },
        (None, Some(customer)) => subscriptions::all_of(tx, side, customer)?,
        (None, None) => Vec::new(),
    };
    Ok(found.into_iter().filter(|row| customer.is_none_or(|customer| row.customer == customer)).collect())
}
