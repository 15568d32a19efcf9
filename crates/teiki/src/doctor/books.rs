//! The books: what is stored agrees with itself.
//!
//! Each check compares two ways to know one thing, both summed by the database, one slot to a statement:
//! memory stays flat at any size, the planner has one equality less to get wrong, and each statement sees
//! one moment, so that work under way is no finding. Round trips: 256 and 16 begins and commits.

use billing::id::Slot;
use db::{Db, Error, Tx};

use super::store;
use super::{Check, NAMED_MAX, how_many};

/// Slots of one transaction: few begins and commits, and no snapshot that is held for long.
const SLOTS_STEP: usize = 16;

const BACKUP: &str = "hold charging (teiki hold on), keep a copy of the database, and report it with this text: rows were changed from outside, or teiki has a fault";

pub(super) async fn ledger(db: &Db) -> Check {
    let found = in_every_slot(db, store::ledger_mismatches).await;
    let ok = "of every invoice the ledger's receivable is what is still owed";
    judge("ledger", found, ok, "invoices whose receivable in the ledger is not what they still owe", BACKUP)
}

pub(super) async fn payments(db: &Db) -> Check {
    let found = in_every_slot(db, store::payment_mismatches).await;
    let ok = "every invoice's paid amount is the sum of its successful charges";
    judge(
        "payments",
        found,
        ok,
        "invoices whose paid amount is not the sum of their successful charges",
        BACKUP,
    )
}

pub(super) async fn refunds(db: &Db) -> Check {
    let found = in_every_slot(db, store::refund_mismatches).await;
    let ok = "every charge's refunded amount is the sum of what was done to it";
    judge(
        "refunds",
        found,
        ok,
        "charges whose refunded amount is not the sum of what was done to them",
        BACKUP,
    )
}

pub(super) async fn schedule(db: &Db) -> Check {
    let found = in_every_slot(db, store::schedule_mismatches).await;
    let ok = "every live subscription has exactly one scheduled invoice";
    let todo = "one without a scheduled invoice is never billed again, one with two is billed twice: hold its account (teiki hold on --account …) and report it with this text";
    judge("schedule", found, ok, "live subscriptions without exactly one scheduled invoice", todo)
}

pub(super) async fn waiting(db: &Db) -> Check {
    let found = in_every_slot(db, store::stuck).await;
    let ok = "every open invoice is being charged, is due again, or waits for a person who knows";
    let todo = "nobody charges these invoices, and their subscriptions may be billed no more: hold the account (teiki hold on --account …) and report it with this text";
    judge("waiting", found, ok, "open invoices that nobody is at", todo)
}

pub(super) async fn states(db: &Db) -> Check {
    let found = in_every_slot(db, store::unreadable_states).await;
    let ok = "every subscription says where it stands";
    judge("states", found, ok, "subscriptions that do not say where they stand, and cannot be shown", BACKUP)
}

pub(super) async fn events(db: &Db) -> Check {
    let found = in_every_slot(db, store::event_gaps).await;
    judge(
        "events",
        found,
        "the history of every subscription is complete",
        "subscriptions with gaps in their history",
        BACKUP,
    )
}

fn judge(
    name: &'static str,
    found: Result<Vec<String>, Error>,
    ok: &str,
    wrong: &str,
    todo: &'static str,
) -> Check {
    match found {
        Ok(rows) if rows.is_empty() => Check::ok(name, ok),
        Ok(rows) => Check::problem(name, format!("{} {wrong}", how_many(&rows)), todo).naming(rows),
        Err(error) => Check::failed(name, &error),
    }
}

/// Looks at all slots in turn, and stops when it has found more than it can name.
async fn in_every_slot(
    db: &Db,
    find: impl Fn(&mut Tx<'_>, Slot) -> Result<Vec<String>, Error> + Copy + Send + 'static,
) -> Result<Vec<String>, Error> {
    let slots: Vec<u8> = (0..=u8::MAX).collect();
    let mut found = Vec::new();
    for some in slots.chunks(SLOTS_STEP) {
        let some = some.to_vec();
        let rows = db.read(move |tx| {
            let each = some.iter().map(|slot| find(tx, Slot(*slot)));
            each.collect::<Result<Vec<_>, Error>>()
        });
        found.extend(rows.await?.into_iter().flatten());
        if found.len() > NAMED_MAX {
            break;
        }
    }
    Ok(found)
}
