//! The histories that a batch of news is about, locked: those of subscriptions and of single sales.
//!
//! Holds where each stands while the batch goes over it, and writes down where it stands afterwards. Does not decide
//! anything; that is `billing::settlement`.

use std::collections::{BTreeMap, BTreeSet};

use billing::charge::Fact;
use billing::event::History;
use billing::id::{AccountId, InvoiceId, SubscriptionId};
use billing::mode::Mode;
use billing::subscription;
use db::{Error, Tx};
use jiff::Timestamp;

use super::News;
use super::store;
use crate::events::Moment;

/// A history while a batch goes over it.
pub(super) struct Current {
    pub(super) account: AccountId,
    pub(super) mode: Mode,
    pub(super) history: History,
    pub(super) event_number: i64,
    pub(super) subscription: Option<Standing>,
}

/// The subscription of a history.
pub(super) struct Standing {
    pub(super) id: SubscriptionId,
    pub(super) state: subscription::State,
    pub(super) failure_pauses: bool,
    pub(super) remaining: Option<i64>,
    pub(super) open_invoices: i64,
    pub(super) plan: String,
    pub(super) quantity: i64,
    pub(super) period: (i64, i64),
    paused_at: Option<i64>,
    resumed_at: Option<i64>,
}

impl Standing {
    /// What an event that happens at `now` tells of it. One that is paused by a failed payment is so from now on.
    pub(super) fn moment(&self, now: Timestamp) -> Moment<'_> {
        let is_paused_now = self.state == subscription::State::Paused && self.paused_at.is_none();
        Moment {
            state: self.state,
            plan: &self.plan,
            quantity: self.quantity,
            period: self.period,
            paused_at: if is_paused_now { Some(now.as_microsecond()) } else { self.paused_at },
            resumed_at: self.resumed_at.filter(|_| !is_paused_now),
        }
    }
}

/// Locks the subscriptions and sales that the news are about.
pub(super) fn lock(tx: &mut Tx<'_>, news: &[News]) -> Result<BTreeMap<History, Current>, Error> {
    let histories: BTreeSet<History> = news.iter().map(|news| news.history).collect();
    let subscriptions: Vec<SubscriptionId> = histories.iter().filter_map(History::subscription).collect();
    let sales = histories.iter().filter_map(|history| match history {
        History::Sale(invoice) => Some(*invoice),
        History::Subscription(_) => None,
    });
    let sales: Vec<InvoiceId> = sales.collect();
    let mut current = lock_subscriptions(tx, &subscriptions, news)?;
    current.extend(store::lock_sales(tx, &sales)?.into_iter().map(|sale| {
        let history = History::Sale(sale.id);
        let current = Current {
            account: sale.account,
            mode: sale.mode,
            history,
            event_number: sale.event_number,
            subscription: None,
        };
        (history, current)
    }));
    Ok(current)
}

/// Locks the subscriptions and counts open invoices of those where the count decides.
fn lock_subscriptions(
    tx: &mut Tx<'_>,
    ids: &[SubscriptionId],
    news: &[News],
) -> Result<BTreeMap<History, Current>, Error> {
    let rows = store::lock_subscriptions(tx, ids)?;
    let brings_success: BTreeSet<History> =
        news.iter().filter(|news| news.fact == Fact::Succeeded).map(|news| news.history).collect();
    // Another charge of the batch may make it past due before that.
    let is_alone = |history| news.iter().filter(|news| news.history == history).nth(1).is_none();
    let needs_count = |row: &&store::SubscriptionRow| {
        let history = History::Subscription(row.id);
        brings_success.contains(&history)
            && (row.state == subscription::State::PastDue || row.remaining == Some(0) || !is_alone(history))
    };
    let counted: Vec<SubscriptionId> = rows.iter().filter(needs_count).map(|row| row.id).collect();
    let counts: BTreeMap<SubscriptionId, i64> = if counted.is_empty() {
        BTreeMap::new()
    } else {
        counted.iter().copied().zip(store::open_invoices(tx, &counted)?).collect()
    };
    Ok(rows
        .into_iter()
        .map(|row| {
            let history = History::Subscription(row.id);
            let standing = Standing {
                id: row.id,
                state: row.state,
                failure_pauses: row.failure_pauses,
                remaining: row.remaining,
                // Where the count does not decide, only the charge's own invoice matters.
                open_invoices: counts.get(&row.id).copied().unwrap_or(1),
                plan: row.plan,
                quantity: row.quantity,
                period: row.period,
                paused_at: row.paused_at,
                resumed_at: row.resumed_at,
            };
            let current = Current {
                account: row.account,
                mode: row.mode,
                history,
                event_number: row.event_number,
                subscription: Some(standing),
            };
            (history, current)
        })
        .collect())
}

/// Writes the new numbers of the histories, and the states of those that are subscriptions.
pub(super) fn renumber(
    tx: &mut Tx<'_>,
    changed: &BTreeSet<History>,
    current: &BTreeMap<History, Current>,
) -> Result<(), Error> {
    let changed: Vec<&Current> = changed.iter().filter_map(|history| current.get(history)).collect();
    let subscriptions: Vec<_> = changed
        .iter()
        .filter_map(|current| {
            current.subscription.as_ref().map(|subscription| store::SubscriptionAfter {
                id: subscription.id,
                state: subscription.state,
                event_number: current.event_number,
            })
        })
        .collect();
    let sales: Vec<(InvoiceId, i64)> = changed
        .iter()
        .filter_map(|current| match current.history {
            History::Sale(invoice) => Some((invoice, current.event_number)),
            History::Subscription(_) => None,
        })
        .collect();
    must_all(store::update_subscriptions(tx, &subscriptions)?, subscriptions.len(), "subscriptions")?;
    must_all(store::number_sales(tx, &sales)?, sales.len(), "sales")
}

/// Rows that are not in the state that was read under the lock are a fault of ours.
pub(super) fn must_all(changed: u64, asked: usize, what: &str) -> Result<(), Error> {
    if usize::try_from(changed) == Ok(asked) {
        Ok(())
    } else {
        Err(Error::Assertion(format!("{changed} of {asked} {what} were as they had been read")))
    }
}
