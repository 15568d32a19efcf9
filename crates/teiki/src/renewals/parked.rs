//! Parked subscriptions: what could not be billed waits for a person, who lets it go on.
//!
//! `prepare` parks; this releases: the reason is forgotten, and what the schedule was at is due again. It charges nothing.

use billing::id::{AccountId, SubscriptionId};
use billing::mode::Mode;
use db::{Db, Error};
use jiff::Timestamp;

use super::store;
use crate::clocks;
use crate::subscriptions::{self, applying};

/// Subscriptions released in one transaction: bounds how long others wait for it.
const BATCH_MAX: i64 = 256;

/// Releases one subscription of a side, or all that are parked. Returns how many those were.
pub async fn release(
    db: &Db,
    side: (AccountId, Mode),
    only: Option<String>,
    now: Timestamp,
) -> Result<usize, Error> {
    let mut released = 0;
    loop {
        let only = only.clone();
        let batch = db.write(move |tx| {
            let parked = store::parked(tx, side, only.as_deref(), BATCH_MAX)?;
            parked.iter().try_for_each(|&id| go_on(tx, side, id, now)).map(|()| parked.len())
        });
        match batch.await? {
            0 => return Ok(released),
            some => released += some,
        }
    }
}

fn go_on(
    tx: &mut db::Tx<'_>,
    side: (AccountId, Mode),
    id: SubscriptionId,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(row) = subscriptions::lock(tx, side, id)? else {
        return Err(Error::Assertion(format!("subscription {id} is gone")));
    };
    let at = clocks::now(tx, Some(&row.clock), now)?;
    store::unpark(tx, id)?;
    store::put_open_back(tx, id, at)?;
    applying::put_back(tx, &applying::scope_of(side, &row), &row)
}
