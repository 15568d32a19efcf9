//! Taking what is due: which deliveries are sent now, by this process alone.
//!
//! | step | what | round trips |
//! |---|---|---|
//! | look | endpoints that something waits for, their rows, what is due of each | 3, in one read |
//! | claim | lock what is still due, find what it waits behind, write both | 1 + 3 |
//! | give up | what waits for endpoints that are not enabled | 1 + 2, when there is any |
//!
//! A claim counts the attempt before it is made and moves `next_attempt_at` beyond the time it may take: another process
//! leaves it alone, and if this one dies, it is sent again then, under the same id.

use std::collections::{BTreeMap, BTreeSet};

use billing::id::{WebhookDeliveryId, WebhookEndpointId};
use db::{Db, Tx};
use jiff::{SignedDuration, Timestamp};

use super::super::sender::TIMEOUT;
use super::super::{EndpointRow, Status, store as endpoints};
use super::{DeliveryRow, store};

/// Sent at once by one process: each is a socket.
pub(super) const AT_ONCE: usize = 256;
/// Sent at once to one endpoint, so that none takes all places. The same stands in `store::due`.
pub(super) const AT_ONCE_EACH: usize = 16;
/// The same for an endpoint that fails: one at a time, so that many dead ones do not keep the others waiting.
const AT_ONCE_FAILING: usize = 1;
/// Beyond the longest attempt, so that nobody else takes it meanwhile; a dead process's deliveries are taken up after this.
pub(super) const CLAIMED_FOR: SignedDuration = SignedDuration::from_secs(2 * TIMEOUT.as_secs().cast_signed());
/// After the delivery that one waits behind is due.
const BEHIND: SignedDuration = SignedDuration::from_secs(1);

/// A delivery that this process sends now.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) row: DeliveryRow,
    pub(super) endpoint: EndpointRow,
}

/// What a look found.
#[derive(Default)]
pub(super) struct Due {
    /// With their endpoints; no more than may be sent.
    pub(super) rows: Vec<Claimed>,
    /// Endpoints that are not enabled and that something waits for.
    pub(super) closed: Vec<WebhookEndpointId>,
    /// How many endpoints something waits for.
    pub(super) waiting: usize,
}

/// What may be sent now. `in_flight`: how many this process is sending to each endpoint. `aside`: endpoints to be left alone.
pub(super) async fn look(
    db: &Db,
    in_flight: BTreeMap<WebhookEndpointId, usize>,
    aside: BTreeSet<WebhookEndpointId>,
    now: Timestamp,
) -> Result<Due, db::Error> {
    db.read(move |tx| {
        let waiting = store::endpoints_waiting(tx)?;
        let ids: Vec<WebhookEndpointId> =
            waiting.iter().map(|(id, _)| *id).filter(|id| !aside.contains(id)).collect();
        let first: BTreeMap<WebhookEndpointId, Timestamp> = waiting.iter().copied().collect();
        let mut due = Due { waiting: waiting.len(), ..Due::default() };
        let mut open = BTreeMap::new();
        for (endpoint, is_deleted) in endpoints::find_many(tx, &ids)? {
            if is_deleted || endpoint.status != Status::Enabled {
                due.closed.push(endpoint.id);
            } else if first.get(&endpoint.id).is_some_and(|first| *first <= now) {
                open.insert(endpoint.id, endpoint);
            }
        }
        let mut room = AT_ONCE.saturating_sub(in_flight.values().sum());
        let mut rooms: BTreeMap<WebhookEndpointId, usize> =
            open.values().map(|endpoint| (endpoint.id, room_of(endpoint, &in_flight))).collect();
        let asked: Vec<WebhookEndpointId> =
            rooms.iter().filter(|(_, room)| **room > 0).map(|(id, _)| *id).collect();
        for row in store::due(tx, &asked, now)? {
            let (Some(endpoint), Some(own)) = (open.get(&row.endpoint), rooms.get_mut(&row.endpoint)) else {
                continue;
            };
            if *own > 0 && room > 0 {
                (*own, room) = (*own - 1, room - 1);
                due.rows.push(Claimed { row, endpoint: endpoint.clone() });
            }
        }
        Ok(due)
    })
    .await
}

fn room_of(endpoint: &EndpointRow, in_flight: &BTreeMap<WebhookEndpointId, usize>) -> usize {
    let most = if endpoint.health.failing_since.is_some() { AT_ONCE_FAILING } else { AT_ONCE_EACH };
    most.saturating_sub(in_flight.get(&endpoint.id).copied().unwrap_or(0))
}

/// Claims those that are still due and wait behind no other one. The others are looked at again later.
pub(super) fn claim(tx: &mut Tx<'_>, due: &[Claimed], now: Timestamp) -> Result<Vec<Claimed>, db::Error> {
    let still = store::lock_due(tx, due.iter().map(|claimed| &claimed.row))?;
    let mut free: Vec<Claimed> = still.into_iter().map(|place| due[place].clone()).collect();
    let heads = store::heads(tx, free.iter().map(|claimed| &claimed.row))?;
    let later = |at: Timestamp, by: SignedDuration| at.saturating_add(by).unwrap_or(Timestamp::MAX);
    let mut claimed = BTreeSet::new();
    for (place, one) in free.iter_mut().enumerate() {
        match heads.get(&place) {
            None => {
                one.row.attempts += 1;
                one.row.last.at = Some(now);
                one.row.next_attempt_at = Some(later(now, CLAIMED_FOR));
                claimed.insert(one.row.id);
            }
            // What it waits behind may be claimed right here.
            Some(head) => one.row.next_attempt_at = Some(later(later(*head, BEHIND).max(now), CLAIMED_FOR)),
        }
    }
    store::write_claims(tx, free.iter().map(|one| &one.row))?;
    let is_claimed = |one: &Claimed| claimed.contains(&one.row.id);
    Ok(free.into_iter().filter(is_claimed).collect())
}

/// Gives up what waits for endpoints that are not enabled, some of it. Returns how many.
pub(super) fn give_up(
    tx: &mut Tx<'_>,
    endpoints: &[WebhookEndpointId],
    now: Timestamp,
) -> Result<u64, db::Error> {
    let mut given_up = 0;
    // At most as many as are not enabled; one page of each.
    for endpoint in endpoints {
        let rows: Vec<WebhookDeliveryId> = store::waiting_of(tx, *endpoint)?;
        given_up += store::give_up(tx, &rows, now)?;
    }
    Ok(given_up)
}
