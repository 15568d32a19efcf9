//! Deleting a test clock with its customers: nothing more is billed, and what has been written stays.
//!
//! One transaction. Charges that were never sent are given up; subscriptions end; what they owe is given up with its recovery;
//! what was scheduled becomes void, which is told. What a request has under way is left alone: its charge is still found out,
//! reserved money can still be taken or let go, and its invoice follows.

use std::collections::BTreeMap;

use billing::dunning;
use billing::event::Kind;
use billing::id::{AccountId, DerivationKey, InvoiceId, SubscriptionId};
use billing::mode::Mode;
use billing::money::Money;
use db::Tx;
use jiff::Timestamp;

use super::objects::{self, ClockRow, Status};
use super::store;
use crate::charges;
use crate::charges::settle::Times;
use crate::events::{self, NewEvent};
use crate::line::Scope;
use crate::web::ApiError;

/// A scheduled invoice that will never be opened, with the number of the last event of its subscription so far.
pub(super) struct Voided {
    pub(super) id: InvoiceId,
    pub(super) subscription: SubscriptionId,
    pub(super) event_number: i64,
    pub(super) cycle: i64,
    pub(super) amount: Money,
}

/// Deletes the clock `id`. Ledger and events stay. Errors: there is none, it is on its way.
pub(super) fn delete(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (account, id): (AccountId, &str),
    now: Timestamp,
) -> Result<(), ApiError> {
    let found = objects::get(tx, account, id)?;
    let mut row = store::lock(tx, found.id)?.ok_or_else(|| ApiError::not_found("test clock", id))?;
    if row.status == Status::Advancing {
        return Err(objects::advancing(id));
    }
    objects::tell(tx, key, &mut row, Kind::TestClockDeleted, now)?;
    Ok(end_all(tx, key, &row, Times { billing: row.frozen_time, real: now })?)
}

fn end_all(tx: &mut Tx<'_>, key: &DerivationKey, row: &ClockRow, times: Times) -> Result<(), db::Error> {
    let scope = Scope { account: row.account, mode: Mode::Test, clock: row.id.to_string(), lease: None };
    charges::give_up_unsent(tx, key, &scope, times)?;
    store::end_clock(tx, row, times.real)?;
    store::end_customers(tx, &scope, times.real)?;
    // From here on nobody else writes their histories.
    store::end_subscriptions(tx, &scope, times.real)?;
    let owed = store::owed(tx, &scope)?;
    charges::close_cases(tx, (&owed, dunning::State::GivenUp), times.billing)?;
    store::give_up_owed(tx, &scope)?;
    let voided = store::scheduled(tx, &scope)?;
    store::void_scheduled(tx, &scope)?;
    let (events, numbers) = tell_voided(&scope, &voided, times);
    store::number_subscriptions(tx, &numbers)?;
    events::append(tx, key, &events, times.real)
}

/// The events of what became void, and the number of the last event of each subscription afterwards.
fn tell_voided(
    scope: &Scope,
    voided: &[Voided],
    times: Times,
) -> (Vec<NewEvent>, BTreeMap<SubscriptionId, i64>) {
    let mut numbers = BTreeMap::new();
    let events = voided.iter().map(|invoice| {
        let number = numbers.entry(invoice.subscription).or_insert(invoice.event_number);
        *number += 1;
        let data = serde_json::json!({
            "cycle": invoice.cycle,
            "amount": invoice.amount.minor,
            "currency": invoice.amount.currency.code(),
        });
        NewEvent {
            account: scope.account,
            mode: scope.mode,
            history: invoice.subscription.to_string(),
            slot: invoice.subscription.slot(),
            number: *number,
            kind: Kind::InvoiceVoided,
            object: invoice.id.to_string(),
            data: data.to_string(),
            billing_at: times.billing,
        }
    });
    (events.collect(), numbers)
}
