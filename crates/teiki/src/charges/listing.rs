//! Lists of charges: all of an account by their own index, those of a subscription through its invoices.
//!
//! The ids of a subscription's charges follow from its invoices, whose obligations are counted on: so a list by customer or
//! subscription needs no index on the table that every renewal writes to, and costs what that customer has, not what the
//! account has.

use std::collections::BTreeMap;

use billing::id::{AccountId, ChargeId, DerivationKey, InvoiceId};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;

use super::store::shown::{self, ShownRow};
use super::view::{self, ChargeView, ShownCharge};
use crate::subscriptions::{self, SubscriptionRow};
use crate::web::ApiError;
use crate::web::list::{Page, Place};

/// A page of charges, newest first.
pub(super) fn list(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: (AccountId, Mode),
    page: &Page,
    (customer, subscription): (Option<&str>, Option<&str>),
) -> Result<Vec<ShownCharge>, ApiError> {
    let after = page.last_seen(|id| super::api::find(tx, side, id))?;
    let from = after.map_or_else(Place::newest, |charge| charge.row().place());
    let rows = match (customer, subscription) {
        (None, None) => shown::list(tx, side, (page, &from))?,
        (customer, Some(subscription)) => {
            let agreement = subscription.parse().ok();
            let found = match agreement {
                Some(id) => subscriptions::find_any(tx, side, id)?,
                None => None,
            };
            let found: Vec<SubscriptionRow> = found
                .into_iter()
                .filter(|row| customer.is_none_or(|customer| row.customer == customer))
                .collect();
            let rows = of_subscriptions(tx, key, side, &found)?;
            cut(rows, page, &from)
        }
        (Some(customer), None) => {
            let agreements = subscriptions::all_of(tx, side, customer)?;
            let mut rows = of_subscriptions(tx, key, side, &agreements)?;
            rows.extend(shown::sales_of(tx, side, customer, (page, &from), page.offset + page.rows())?);
            cut(rows, page, &from)
        }
    };
    Ok(view::of_rows(tx, side, rows)?)
}

/// All charges of these subscriptions.
fn of_subscriptions(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: (AccountId, Mode),
    agreements: &[SubscriptionRow],
) -> Result<Vec<ShownRow>, db::Error> {
    let mut all: Vec<ChargeId> = Vec::new();
    for agreement in agreements {
        for billed in shown::billed(tx, agreement.id.slot(), &agreement.obligations())? {
            let due_at = Timestamp::from_microsecond(billed.due_at).unwrap_or(Timestamp::MIN);
            let count = u64::try_from(billed.charge_count).unwrap_or(0);
            all.extend(ids(key, billed.invoice, due_at, count));
        }
    }
    shown::find_many(tx, side, &all)
}

/// The charges of invoices, newest first: of each its id, when it was due, and how often it was charged.
pub fn of_invoices(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: (AccountId, Mode),
    invoices: &[(InvoiceId, Timestamp, u64)],
) -> Result<BTreeMap<InvoiceId, Vec<ChargeView>>, db::Error> {
    let all: Vec<ChargeId> =
        invoices.iter().flat_map(|&(invoice, due_at, count)| ids(key, invoice, due_at, count)).collect();
    let rows = shown::find_many(tx, side, &all)?;
    let mut charges: BTreeMap<InvoiceId, Vec<ChargeView>> = BTreeMap::new();
    for charge in view::of_rows(tx, side, rows)?.into_iter().rev() {
        charges.entry(charge.row().invoice).or_default().push(charge.view);
    }
    Ok(charges)
}

/// The ids of an invoice's charges follow from it.
fn ids(key: &DerivationKey, invoice: InvoiceId, due_at: Timestamp, count: u64) -> Vec<ChargeId> {
    let of = |number| ChargeId::derive(key, invoice.as_str(), invoice.slot(), due_at, number);
    (1..=count).map(of).collect()
}

/// The part of the rows that the page asks for.
fn cut(mut rows: Vec<ShownRow>, page: &Page, from: &Place) -> Vec<ShownRow> {
    let order = |row: &ShownRow| (row.billing_at, row.created_at, row.id);
    rows.retain(|row| {
        let is_after = (row.billing_at, row.created_at, row.id.as_str())
            < (from.created_at, from.sequence, from.id.as_str());
        is_after && (page.since..=page.until).contains(&row.billing_at)
    });
    rows.sort_by_key(|row| std::cmp::Reverse(order(row)));
    let place = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
    rows.into_iter().skip(place(page.offset)).take(place(page.rows())).collect()
}
