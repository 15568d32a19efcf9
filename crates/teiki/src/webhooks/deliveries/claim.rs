//! Taking what is due: which deliveries are sent now, by this process alone.
//!
//! | step | what | round trips |
//! |---|---|---|
//! | look | endpoints that something waits for, their rows, what is due of each | 3, in one read |
//! | claim | lock what is still due, find what it waits behind, write both | 1 + 3 |
//! | give up | what waits for endpoints that are not enabled | 1 + 2, when there is any |
//!
//! A claim counts the attempt before it is made and moves `next_attempt_at` beyond the time it may take: another process
//! leaves it alone, and if this one dies, it is sent again then, under the same id. What is due is locked before what it waits
//! behind is read: whoever finishes that at the same moment waits for the lock, and then wakes what was put off here.

use std::collections::{BTreeMap, BTreeSet};

use billing::id::WebhookEndpointId;
use db::{Db, Tx};
use jiff::{SignedDuration, Timestamp};

use super::super::retry::ATTEMPTS_MAX;
use super::super::sender::TIMEOUT;
use super::super::{EndpointRow, Status, store as endpoints};
use super::{DeliveryRow, store};

/// Sent at once by one process: each is a socket.
const AT_ONCE: usize = 256;
/// Of these to endpoints that fail: however many are dead, there is room for the others.
const AT_ONCE_TO_FAILING: usize = 128;
/// Sent at once to one endpoint. The same number stands in `store::due`.
const AT_ONCE_EACH: usize = 16;
/// Sent at once to one endpoint that fails.
const AT_ONCE_EACH_FAILING: usize = 1;
/// Beyond the longest attempt, so that nobody else takes it meanwhile; a dead process's deliveries are taken up after this.
const CLAIMED_FOR: SignedDuration = SignedDuration::from_secs(2 * TIMEOUT.as_secs().cast_signed());
/// Attempts after which it is given up, those counted that ended with their process: what kills a server does so a few times only.
const CLAIMS_MAX: i64 = 2 * ATTEMPTS_MAX;
/// After the delivery that one waits behind is due.
const BEHIND: SignedDuration = SignedDuration::from_secs(1);

/// A delivery that this process sends now.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) row: DeliveryRow,
    pub(super) endpoint: EndpointRow,
}

/// How many are being sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Rooms {
    all: usize,
    to_failing: usize,
    each: BTreeMap<WebhookEndpointId, usize>,
}

impl Rooms {
    /// While these are being sent.
    pub(super) fn of<'a>(in_flight: impl Iterator<Item = &'a Claimed>) -> Self {
        let mut rooms = Self::default();
        for claimed in in_flight {
            rooms.add(&claimed.endpoint);
        }
        rooms
    }

    fn add(&mut self, endpoint: &EndpointRow) {
        self.all += 1;
        self.to_failing += usize::from(is_failing(endpoint));
        *self.each.entry(endpoint.id).or_default() += 1;
    }

    fn is_there_for(&self, endpoint: &EndpointRow) -> bool {
        let own = self.each.get(&endpoint.id).copied().unwrap_or(0);
        let is_there = if is_failing(endpoint) {
            own < AT_ONCE_EACH_FAILING && self.to_failing < AT_ONCE_TO_FAILING
        } else {
            own < AT_ONCE_EACH
        };
        is_there && self.all < AT_ONCE
    }

    /// Takes a place, if there is one.
    fn take(&mut self, endpoint: &EndpointRow) -> bool {
        let is_there = self.is_there_for(endpoint);
        if is_there {
            self.add(endpoint);
        }
        is_there
    }
}

fn is_failing(endpoint: &EndpointRow) -> bool {
    endpoint.health.failing_since.is_some()
}

/// What a look found.
#[derive(Default)]
pub(super) struct Due {
    /// What may be sent, if there is room and it waits behind no other; first of those endpoints that do not fail, the oldest
    /// first.
    pub(super) rows: Vec<Claimed>,
    /// Endpoints that are not enabled and that something waits for.
    pub(super) closed: Vec<WebhookEndpointId>,
    /// How many endpoints something waits for.
    pub(super) waiting: usize,
}

/// What is due. `aside`: endpoints to be left alone.
pub(super) async fn look(
    db: &Db,
    rooms: Rooms,
    aside: BTreeSet<WebhookEndpointId>,
    now: Timestamp,
) -> Result<Due, db::Error> {
    db.read(move |tx| {
        let waiting: BTreeMap<WebhookEndpointId, Timestamp> =
            store::endpoints_waiting(tx)?.into_iter().collect();
        let ids: Vec<WebhookEndpointId> = waiting.keys().copied().filter(|id| !aside.contains(id)).collect();
        let mut due = Due { waiting: waiting.len(), ..Due::default() };
        let mut open = BTreeMap::new();
        for (endpoint, is_deleted) in endpoints::find_many(tx, &ids)? {
            let is_due = waiting.get(&endpoint.id).is_some_and(|first| *first <= now);
            if is_deleted || endpoint.status != Status::Enabled {
                due.closed.push(endpoint.id);
            } else if is_due && rooms.is_there_for(&endpoint) {
                open.insert(endpoint.id, endpoint);
            }
        }
        let asked: Vec<WebhookEndpointId> = open.keys().copied().collect();
        for row in store::due(tx, &asked, now)? {
            if let Some(endpoint) = open.get(&row.endpoint) {
                due.rows.push(Claimed { row, endpoint: endpoint.clone() });
            }
        }
        due.rows.sort_by_key(|one| (is_failing(&one.endpoint), one.row.next_attempt_at, one.row.number));
        Ok(due)
    })
    .await
}

/// Claims those that are still due and wait behind no other one, as far as there is room. Those that wait behind another are
/// looked at again later; those that were claimed too often are given up.
pub(super) fn claim(
    tx: &mut Tx<'_>,
    due: &[Claimed],
    mut rooms: Rooms,
    now: Timestamp,
) -> Result<Vec<Claimed>, db::Error> {
    let still = store::lock_due(tx, due.iter().map(|one| &one.row))?;
    let still: Vec<&Claimed> = still.into_iter().map(|place| &due[place]).collect();
    let heads = store::heads(tx, still.iter().map(|one| &one.row))?;
    let later = |at: Timestamp, by: SignedDuration| at.saturating_add(by).unwrap_or(Timestamp::MAX);
    let (mut claimed, mut behind, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for (place, one) in still.into_iter().enumerate() {
        let mut one = one.clone();
        match heads.get(&place) {
            // What it waits behind may be claimed right here.
            Some(head) => {
                one.row.next_attempt_at = Some(later(later(*head, BEHIND).max(now), CLAIMED_FOR));
                behind.push(one);
            }
            None if one.row.attempts >= CLAIMS_MAX => lost.push(one.row.id),
            None if rooms.take(&one.endpoint) => {
                one.row.attempts += 1;
                one.row.last.at = Some(now);
                one.row.next_attempt_at = Some(later(now, CLAIMED_FOR));
                claimed.push(one);
            }
            None => {}
        }
    }
    store::write_claims(tx, claimed.iter().chain(&behind).map(|one| &one.row))?;
    store::give_up(tx, &lost, now)?;
    Ok(claimed)
}

/// Gives up what waits for endpoints that are not enabled, some of it. Returns how many.
pub(super) fn give_up(
    tx: &mut Tx<'_>,
    endpoints: &[WebhookEndpointId],
    now: Timestamp,
) -> Result<u64, db::Error> {
    let rows = store::waiting_of(tx, endpoints)?;
    store::give_up(tx, &rows, now)
}
