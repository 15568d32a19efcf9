//! Taking what is due: which deliveries are sent now, by this process alone.
//!
//! | step | what | round trips |
//! |---|---|---|
//! | look | endpoints that something waits for, their rows, what is due of each | 3, in one read |
//! | claim | lock what is still due, find what it waits behind, write both | 1 + 3 |
//! | give up | what waits for endpoints that are not enabled, when they still are not | 1 + 3, when there is any |
//!
//! Room is shared out: some to an endpoint, few to one that fails or is slow, some to a side of an account with all of its
//! endpoints, so that nobody takes it all. A row that does not read stops its own endpoint only.
//!
//! A claim counts the attempt before it is made and moves `next_attempt_at` beyond the time it may take: another process
//! leaves it alone, and if this one dies, it is sent again then, under the same id. What is due is locked before what it waits
//! behind is read: whoever finishes that at the same moment waits for the lock, and then wakes what was put off here.

use std::collections::{BTreeMap, BTreeSet};

use billing::id::{WebhookDeliveryId, WebhookEndpointId};
use db::{Db, Tx};
use jiff::{SignedDuration, Timestamp};

use super::super::sender::TIMEOUT;
use super::super::{EndpointRow, Side, Status, store as endpoints};
use super::{DeliveryRow, RECHECK_AFTER, store};

/// Sent at once by one process: each is a socket.
const AT_ONCE: usize = 256;
/// Of these to endpoints that fail or are slow: however many are dead, there is room for the others.
const AT_ONCE_TO_UNWELL: usize = 128;
/// Sent at once to one endpoint. The same number stands in `store::due`.
const AT_ONCE_EACH: usize = 16;
/// Sent at once to one endpoint whose last answer took long.
const AT_ONCE_EACH_SLOW: usize = 4;
/// Sent at once to one endpoint that fails.
const AT_ONCE_EACH_FAILING: usize = 1;
/// Sent at once for one side of an account, however many endpoints that has: there is room for the others.
const AT_ONCE_SIDE: usize = 64;
/// An answer that takes so long is slow; a third of what it may take.
const SLOW_MS: i64 = 5_000;
/// Beyond the longest attempt, so that nobody else takes it meanwhile; a dead process's deliveries are taken up after this.
const CLAIMED_FOR: SignedDuration = SignedDuration::from_secs(2 * TIMEOUT.as_secs().cast_signed());
/// Processes that may end over a delivery, one after the other, before it is given up: what kills a server does so a few times
/// only.
const CLAIMS_MAX: i64 = 10;
/// Endpoints whose deliveries one transaction gives up, and most of these.
const CLOSED_MAX: usize = 16;
const GIVEN_UP_MAX: usize = 1_000;

/// Why a delivery was given up without another attempt, in words for the merchant.
const LOST: &str = "each server that sent it ended meanwhile, ten times in a row";
const DISABLED: &str = "its endpoint was disabled";
const DELETED: &str = "its endpoint was deleted";

/// A delivery that this process sends now.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) row: DeliveryRow,
    pub(super) endpoint: EndpointRow,
}

/// What goes on in this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy {
    pub(super) rooms: Rooms,
    /// What is being sent: it is not taken again, also if its claim is over.
    pub(super) in_flight: BTreeSet<WebhookDeliveryId>,
    /// Endpoints to be left alone.
    pub(super) aside: BTreeSet<WebhookEndpointId>,
}

/// How many are being sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Rooms {
    all: usize,
    to_unwell: usize,
    sides: BTreeMap<Side, usize>,
    each: BTreeMap<WebhookEndpointId, usize>,
    slow: BTreeSet<WebhookEndpointId>,
}

impl Rooms {
    /// While these are being sent. `slow`: endpoints whose last answer took long.
    pub(super) fn of<'a>(
        in_flight: impl Iterator<Item = &'a Claimed>,
        slow: BTreeSet<WebhookEndpointId>,
    ) -> Self {
        let mut rooms = Self { slow, ..Self::default() };
        for claimed in in_flight {
            rooms.add(&claimed.endpoint);
        }
        rooms
    }

    fn add(&mut self, endpoint: &EndpointRow) {
        self.all += 1;
        self.to_unwell += usize::from(self.is_unwell(endpoint));
        *self.sides.entry((endpoint.account, endpoint.mode)).or_default() += 1;
        *self.each.entry(endpoint.id).or_default() += 1;
    }

    fn is_unwell(&self, endpoint: &EndpointRow) -> bool {
        is_failing(endpoint) || self.slow.contains(&endpoint.id)
    }

    /// Whether there is room for its side, if not for itself.
    fn is_there_for_side(&self, endpoint: &EndpointRow) -> bool {
        let of_side = self.sides.get(&(endpoint.account, endpoint.mode)).copied().unwrap_or(0);
        self.all < AT_ONCE && of_side < AT_ONCE_SIDE
    }

    fn is_there_for(&self, endpoint: &EndpointRow) -> bool {
        let own = self.each.get(&endpoint.id).copied().unwrap_or(0);
        let is_there = if is_failing(endpoint) {
            own < AT_ONCE_EACH_FAILING && self.to_unwell < AT_ONCE_TO_UNWELL
        } else if self.is_unwell(endpoint) {
            own < AT_ONCE_EACH_SLOW && self.to_unwell < AT_ONCE_TO_UNWELL
        } else {
            own < AT_ONCE_EACH
        };
        is_there && self.is_there_for_side(endpoint)
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

/// Whether an endpoint is slow after an answer that took so long.
pub(super) const fn is_slow(duration_ms: i64) -> bool {
    duration_ms >= SLOW_MS
}

/// What a look found.
#[derive(Default)]
pub(super) struct Due {
    /// What may be sent, if there is room and it waits behind no other; first of those endpoints that are well, the oldest first.
    /// Of each side as many as there may be room for.
    pub(super) rows: Vec<Claimed>,
    /// Endpoints that are not enabled and that something waits for, some of them.
    pub(super) closed: Vec<WebhookEndpointId>,
    /// Endpoints that do not read, or have a delivery that does not, and why.
    pub(super) broken: BTreeMap<WebhookEndpointId, String>,
    /// How many endpoints something waits for.
    pub(super) waiting: usize,
}

/// What is due.
pub(super) async fn look(db: &Db, busy: Busy, now: Timestamp) -> Result<Due, db::Error> {
    db.read(move |tx| look_in(tx, &busy, now)).await
}

fn look_in(tx: &mut Tx<'_>, busy: &Busy, now: Timestamp) -> Result<Due, db::Error> {
    let waiting: BTreeMap<WebhookEndpointId, Timestamp> = store::endpoints_waiting(tx)?.into_iter().collect();
    let ids: Vec<WebhookEndpointId> = waiting.keys().copied().filter(|id| !busy.aside.contains(id)).collect();
    let mut due = Due { waiting: waiting.len(), ..Due::default() };
    let mut open = Vec::new();
    for (place, found) in endpoints::find_many(tx, &ids)? {
        let is_due = waiting.get(&ids[place]).is_some_and(|first| *first <= now);
        match found {
            Err(error) => {
                due.broken.insert(ids[place], error.to_string());
            }
            Ok((endpoint, is_deleted)) if is_closed(&endpoint, is_deleted) => due.closed.push(endpoint.id),
            Ok((endpoint, _)) if is_due && busy.rooms.is_there_for(&endpoint) => open.push(endpoint),
            Ok(_) => {}
        }
    }
    due.closed.truncate(CLOSED_MAX);
    let asked: Vec<WebhookEndpointId> = open.iter().map(|endpoint| endpoint.id).collect();
    for (place, row) in store::due(tx, &asked, now)? {
        match row {
            Err(error) => {
                due.broken.insert(asked[place], error.to_string());
            }
            Ok(row) if busy.in_flight.contains(&row.id) => {}
            Ok(row) => due.rows.push(Claimed { row, endpoint: open[place].clone() }),
        }
    }
    due.rows.retain(|one| !due.broken.contains_key(&one.endpoint.id));
    due.rows
        .sort_by_key(|one| (busy.rooms.is_unwell(&one.endpoint), one.row.next_attempt_at, one.row.number));
    // What waits behind another takes no room, but is looked at: of each endpoint more than it has room for.
    let mut rooms = busy.rooms.clone();
    due.rows.retain(|one| {
        let is_there = rooms.is_there_for_side(&one.endpoint);
        if is_there {
            rooms.add(&one.endpoint);
        }
        is_there
    });
    Ok(due)
}

fn is_closed(endpoint: &EndpointRow, is_deleted: bool) -> bool {
    is_deleted || endpoint.status != Status::Enabled
}

/// What a claim took.
pub(super) struct Taken {
    pub(super) claimed: Vec<Claimed>,
    /// Whether some were put off or given up, so that there may be others in their place at once.
    pub(super) is_more: bool,
}

/// Claims those that are still due and wait behind no other one, as far as there is room. Those that wait behind another are
/// looked at again later; those that too many processes ended over are given up, and the next of their history comes.
pub(super) fn claim(
    tx: &mut Tx<'_>,
    due: &[Claimed],
    mut rooms: Rooms,
    now: Timestamp,
) -> Result<Taken, db::Error> {
    let still = store::lock_due(tx, due.iter().map(|one| &one.row))?;
    let still: Vec<&Claimed> = still.into_iter().map(|place| &due[place]).collect();
    let heads = store::heads(tx, still.iter().map(|one| &one.row))?;
    let later = |at: Timestamp, by: SignedDuration| at.saturating_add(by).unwrap_or(Timestamp::MAX);
    let (mut claimed, mut behind, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for (place, one) in still.into_iter().enumerate() {
        let mut one = one.clone();
        match heads.get(&place) {
            // Whoever finishes that wakes it; this is for the case that nobody does.
            Some(head) => {
                one.row.next_attempt_at = Some(later((*head).max(now), RECHECK_AFTER));
                behind.push(one);
            }
            None if one.row.claims >= CLAIMS_MAX => lost.push(one.row),
            None if rooms.take(&one.endpoint) => {
                one.row.claim();
                one.row.last.at = Some(now);
                one.row.next_attempt_at = Some(later(now, CLAIMED_FOR));
                claimed.push(one);
            }
            None => {}
        }
    }
    store::write_claims(tx, claimed.iter().chain(&behind).map(|one| &one.row))?;
    let given_up: Vec<(WebhookDeliveryId, &str)> = lost.iter().map(|row| (row.id, LOST)).collect();
    store::give_up(tx, &given_up, now)?;
    store::wake_next(tx, lost.iter())?;
    Ok(Taken { claimed, is_more: !behind.is_empty() || !lost.is_empty() })
}

/// Gives up what waits for those of these endpoints that are still not enabled, some of it. Returns how many.
pub(super) fn give_up(
    tx: &mut Tx<'_>,
    endpoints: &[WebhookEndpointId],
    now: Timestamp,
) -> Result<u64, db::Error> {
    // One that was enabled since the look has something waiting that was asked for since.
    let locked = endpoints::lock_many(tx, endpoints)?;
    let closed = locked.iter().filter(|(endpoint, is_deleted)| is_closed(endpoint, *is_deleted));
    let (closed, why): (Vec<WebhookEndpointId>, Vec<&str>) = closed
        .map(|(endpoint, is_deleted)| (endpoint.id, if *is_deleted { DELETED } else { DISABLED }))
        .unzip();
    let mut rows = store::waiting_of(tx, &closed)?;
    rows.truncate(GIVEN_UP_MAX);
    let given_up: Vec<(WebhookDeliveryId, &str)> =
        rows.into_iter().map(|(place, id)| (id, why[place])).collect();
    store::give_up(tx, &given_up, now)
}

#[cfg(test)]
mod tests {
    use billing::event::Kind;
    use billing::id::{AccountId, EventId, Slot};
    use billing::mode::Mode;

    use super::super::super::Reason;
    use super::super::super::filter::Filter;
    use super::super::super::keys::Sealed;
    use super::super::super::retry::Health;
    use super::super::DeliveryStatus;
    use super::*;
    use crate::{accounts, schema};

    /// An endpoint with this number, of the account with that one.
    fn endpoint(number: u8, account: u8, failing_since: Option<Timestamp>) -> EndpointRow {
        EndpointRow {
            id: WebhookEndpointId::random(Slot(0), Timestamp::UNIX_EPOCH, &[number; 32]),
            account: AccountId::random(Slot(0), Timestamp::UNIX_EPOCH, &[account; 32]),
            mode: Mode::Test,
            url: String::new(),
            description: None,
            filter: Filter::PAYJP,
            status: Status::Enabled,
            sealed: Sealed::default(),
            health: Health { failing_since, failed_at: failing_since },
            event_number: 0,
            created_at: 0,
        }
    }

    /// How many places each of these gets, one after the other.
    fn places(rooms: &mut Rooms, endpoints: &[EndpointRow]) -> Vec<usize> {
        endpoints.iter().map(|endpoint| (0..300).filter(|_| rooms.take(endpoint)).count()).collect()
    }

    #[test]
    fn an_endpoint_and_a_side_have_so_many_places() {
        let of_one: Vec<_> = (0..6).map(|number| endpoint(number, 1, None)).collect();
        let of_two: Vec<_> = (10..12).map(|number| endpoint(number, 2, None)).collect();
        let mut rooms = Rooms::default();
        assert_eq!(places(&mut rooms, &of_one), [16, 16, 16, 16, 0, 0]);
        assert_eq!(places(&mut rooms, &of_two), [16, 16]);
        let live = EndpointRow { mode: Mode::Live, ..endpoint(20, 1, None) };
        assert_eq!(places(&mut rooms, &[live]), [16], "the other side of the account");
        let many: Vec<_> = (30..50).map(|number| endpoint(number, number, None)).collect();
        assert_eq!(places(&mut rooms, &many).iter().sum::<usize>(), 256 - 64 - 32 - 16);
    }

    #[test]
    fn endpoints_that_fail_or_are_slow_have_few_places() {
        let now = Some(Timestamp::UNIX_EPOCH);
        let (failing, slow, well) = (endpoint(1, 1, now), endpoint(2, 1, None), endpoint(3, 1, None));
        let mut rooms = Rooms::of(std::iter::empty(), BTreeSet::from([slow.id]));
        assert_eq!(places(&mut rooms, &[failing, slow, well]), [1, 4, 16]);
        let dead: Vec<_> = (0..200).map(|number| endpoint(number, number, now)).collect();
        let mut rooms = Rooms::default();
        assert_eq!(places(&mut rooms, &dead).iter().sum::<usize>(), 128);
        assert_eq!(places(&mut rooms, &[endpoint(201, 201, None)]), [16], "there is room for others");
        assert!(is_slow(14_000) && !is_slow(4_999));
    }

    #[tokio::test]
    async fn what_was_asked_for_after_enabling_is_not_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("teiki.db").display()).parse().expect("a URL");
        let options = db::Options { create: true, ..db::Options::default() };
        let db = Db::open(&url, &options).await.expect("it opens");
        db.migrate(schema::MIGRATIONS).await.expect("it migrates");
        let now = Timestamp::UNIX_EPOCH;
        let account = accounts::create(&db, "one", &[], now).await.expect("an account").account;
        let enabled = EndpointRow { account: account.parse().expect("an id"), ..endpoint(1, 1, None) };
        let disabled = EndpointRow { status: Status::Disabled(Reason::Requested), ..enabled.clone() };
        let given_up: Result<_, db::Error> = db
            .write(move |tx| {
                endpoints::insert(tx, &enabled)?;
                let event = EventId::random(Slot(0), now, &[2; 32]);
                let asked = (event, Kind::CustomerCreated);
                let row = super::super::requested(&enabled, asked, &[3; 32], now).map_err(|_| lost())?;
                store::insert(tx, std::slice::from_ref(&row))?;
                // A look had found it disabled before.
                let early = give_up(tx, &[enabled.id], now)?;
                endpoints::save(tx, &disabled)?;
                let side = (enabled.account, enabled.mode);
                let waiting = store::find(tx, side, row.id)?.map(|row| row.status);
                Ok((early, waiting, give_up(tx, &[enabled.id], now)?))
            })
            .await;
        assert_eq!(given_up.expect("it is written"), (0, Some(DeliveryStatus::Waiting), 1));
        db.close().await;
    }

    fn lost() -> db::Error {
        crate::stored::unreadable("webhook_endpoints.status", "enabled", "disabled")
    }
}
