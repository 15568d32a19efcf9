//! Who belongs to a switch, and who would.

use billing::id::SubscriptionId;
use db::Tx;

use super::view::PreviewView;
use super::{Asked, Side, SwitchRow, check, store};
use crate::plans;
use crate::subscriptions::{self, SubscriptionRow, view};
use crate::web::ApiError;
use crate::web::list::{Page, Place, is_live, seconds};

/// How a subscription stands to a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is reserved for it.
    Reserved,
    /// A renewal has done it.
    Switched,
    /// It has the plan and does not belong to it: it joined later, or has another reservation.
    Joined,
    /// It was left out.
    Excluded,
}

impl Standing {
    /// The names of the API.
    pub const NAMES: [&'static str; 4] = ["reserved", "switched", "joined", "excluded"];

    /// From such a name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Reserved, Self::Switched, Self::Joined, Self::Excluded];
        Self::NAMES.iter().position(|known| *known == name).and_then(|place| all.get(place).copied())
    }
}

/// A page of the subscriptions that stand so, newest first.
pub fn list(
    tx: &mut Tx<'_>,
    row: &SwitchRow,
    standing: Standing,
    page: &Page,
) -> Result<Vec<SubscriptionRow>, ApiError> {
    let from = place(tx, row.side, page)?;
    let ids = match standing {
        Standing::Reserved => store::reserved(tx, row, (page, &from))?,
        Standing::Switched => store::switched(tx, row, (page, &from))?,
        Standing::Joined => return joined(tx, row, page, from),
        Standing::Excluded => row.excluded.clone(),
    };
    let mut rows = subscriptions::find_many(tx, row.side, &ids)?;
    rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.sequence, row.id)));
    if standing == Standing::Excluded {
        rows.retain(|row| is_before(row, &from) && (page.since..=page.until).contains(&row.created_at));
        let count = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
        return Ok(rows.into_iter().skip(count(page.offset)).take(count(page.rows())).collect());
    }
    Ok(rows)
}

fn place(tx: &mut Tx<'_>, side: Side, page: &Page) -> Result<Place, ApiError> {
    let after = page.last_seen(|id| subscriptions::get_any(tx, side, id))?;
    Ok(after.map_or_else(Place::newest, |row| row.place()))
}

fn is_before(row: &SubscriptionRow, from: &Place) -> bool {
    (row.created_at, row.sequence, row.id.as_str()) < (from.created_at, from.sequence, from.id.as_str())
}

/// Those of the plan who do not belong to the switch, but for those left out: pages are read until one is full.
fn joined(
    tx: &mut Tx<'_>,
    row: &SwitchRow,
    page: &Page,
    from: Place,
) -> Result<Vec<SubscriptionRow>, ApiError> {
    let wanted = page.offset + page.rows() + i64::try_from(row.excluded.len()).unwrap_or(0);
    let all = Page { limit: wanted, offset: 0, ..page.clone() };
    let ids = store::joined(tx, row, (&all, &from))?;
    let ids: Vec<SubscriptionId> = ids.into_iter().filter(|id| !row.excluded.contains(id)).collect();
    let mut rows = subscriptions::find_many(tx, row.side, &ids)?;
    rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.sequence, row.id)));
    let count = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(rows.into_iter().skip(count(page.offset)).take(count(page.rows())).collect())
}

/// What a switch would do, with the newest of those that it would be for. Reads, and holds nothing.
pub fn preview(
    tx: &mut Tx<'_>,
    side: Side,
    asked: &Asked,
    (limit, now): (i64, jiff::Timestamp),
) -> Result<PreviewView, ApiError> {
    let (plan, next) = check(tx, side, asked, (plans::get, now))?;
    let (mut count, mut quantity) = store::count_of_plan(tx, side, &asked.plan)?;
    for left_out in subscriptions::find_many(tx, side, &asked.excluded)? {
        (count, quantity) = (count - 1, quantity - left_out.quantity);
    }
    let extra = i64::try_from(asked.excluded.len()).unwrap_or(0);
    let page = Page { limit: limit + extra, ..Page::embedded() };
    let newest = store::of_plan(tx, side, &asked.plan, (&page, &Place::newest()))?;
    let shown: Vec<SubscriptionId> = newest
        .into_iter()
        .filter(|id| !asked.excluded.contains(id))
        .take(usize::try_from(limit).unwrap_or(0))
        .collect();
    let rows = subscriptions::find_many(tx, side, &shown)?;
    Ok(PreviewView {
        object: "plan_switch_preview",
        livemode: is_live(side.1),
        plan: asked.plan.clone(),
        next_plan: asked.next_plan.clone(),
        effective_at: seconds(asked.effective_at),
        subscriptions: count,
        amount_before: quantity.saturating_mul(plan.amount),
        amount_after: quantity.saturating_mul(next.amount),
        first: view::of_rows(tx, side, &rows)?,
    })
}
