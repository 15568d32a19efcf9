//! The scheduled invoice of a subscription, and its open ones, as requests change them. The caller holds the subscription.

use billing::dunning;
use billing::id::{InvoiceId, SubscriptionId};
use billing::money::Money;
use billing::renewal::Next;
use db::Tx;
use jiff::Timestamp;

use super::store;
use crate::charges;
use crate::subscriptions::SubscriptionRow;

/// A scheduled invoice, as far as requests change it.
#[derive(Clone, Debug)]
pub struct ScheduledRow {
    /// Its id.
    pub id: InvoiceId,
    /// Its dates, amount and lines as they are stored.
    pub next: Next,
    /// When it comes due; none while it is off the work list.
    pub next_action_at: Option<Timestamp>,
}

/// An open invoice, as far as a request pays it.
#[derive(Clone, Debug)]
pub struct OpenRow {
    /// Its id.
    pub id: InvoiceId,
    /// When it was due: the ids of its charges follow from it.
    pub due_at: Timestamp,
    /// What is owed.
    pub owed: Money,
    /// How often it has been charged.
    pub charge_count: u32,
}

/// The scheduled invoice of a subscription.
pub fn find(tx: &mut Tx<'_>, row: &SubscriptionRow) -> Result<Option<ScheduledRow>, db::Error> {
    Ok(find_many(tx, std::slice::from_ref(row))?.pop().flatten())
}

/// The scheduled invoices of subscriptions, in their order.
pub fn find_many(tx: &mut Tx<'_>, rows: &[SubscriptionRow]) -> Result<Vec<Option<ScheduledRow>>, db::Error> {
    store::find_scheduled(tx, rows)
}

/// Puts it on the work list at `at`, or takes it off.
pub fn set_action(tx: &mut Tx<'_>, id: InvoiceId, at: Option<Timestamp>) -> Result<(), db::Error> {
    store::set_action(tx, id, at)
}

/// Gives it the dates, amount, lines and plan of another; it keeps its number, and its place on the work list or off it.
pub fn edit(tx: &mut Tx<'_>, row: &ScheduledRow, next: &Next) -> Result<(), db::Error> {
    edit_many(tx, &[(row, next)])
}

/// The same for many.
pub fn edit_many(tx: &mut Tx<'_>, edited: &[(&ScheduledRow, &Next)]) -> Result<(), db::Error> {
    let each = edited.iter().map(|(row, next)| {
        let is_at_its_time = row.next_action_at == Some(row.next.cycle.charge_at);
        let action = if is_at_its_time { Some(next.cycle.charge_at) } else { row.next_action_at };
        (row.id, *next, action)
    });
    store::edit_scheduled(tx, &each.collect::<Vec<_>>()).map(|_| ())
}

/// It will never be opened.
pub fn void(tx: &mut Tx<'_>, id: InvoiceId) -> Result<(), db::Error> {
    store::void_scheduled(tx, id)
}

/// What is open of subscriptions that have ended is given up, with its recovery.
pub fn give_up_open(tx: &mut Tx<'_>, ids: &[SubscriptionId], at: Timestamp) -> Result<(), db::Error> {
    let open = store::open_of(tx, ids)?;
    if open.is_empty() {
        return Ok(());
    }
    store::give_up(tx, &open)?;
    charges::close_cases(tx, (&open, dunning::State::GivenUp), at)
}

/// How many invoices of a subscription are open.
pub fn count_open(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<i64, db::Error> {
    store::count_open(tx, id)
}

/// Whether a charge of an open invoice of a subscription is under way.
pub fn is_being_charged(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<bool, db::Error> {
    store::is_any_being_charged(tx, id)
}

/// The open invoice of a subscription that was due first.
pub fn oldest_open(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<Option<OpenRow>, db::Error> {
    store::oldest_open(tx, id)
}

/// An open invoice is charged once more: its payment does this.
pub fn charge_open(
    tx: &mut Tx<'_>,
    id: InvoiceId,
    charge_count: u32,
    on_paid: &str,
) -> Result<(), db::Error> {
    store::charge_open(tx, id, charge_count, on_paid)
}
