//! Storing an import: everything in one transaction, in chunks, or nothing.
//!
//! Ids are derived from account, mode and the row's identity, so a repeat makes the same rows and the
//! unique keys refuse what another import has stored meanwhile. For each chunk of [`CHUNK_ROWS`] rows:
//!
//! | step | round trips on PostgreSQL |
//! |---|---|
//! | customers, payment methods, subscriptions | 3 |
//! | scheduled invoices | 1 |
//! | events and their outbox rows, a look for webhook endpoints, deliveries to them | 3 to 4 |
//! | the rows as imported | 1 |

use std::collections::BTreeMap;

use billing::event::Kind;
use billing::guard::DayTotal;
use billing::id::{AccountId, ConnectionId, DerivationKey, PaymentMethodId, SubscriptionId};
use billing::invoice::{Line, LineKind};
use billing::mode::Mode;
use billing::renewal::Next;
use db::Tx;
use indicatif::ProgressBar;
use jiff::Timestamp;
use jiff::civil::Date;

use super::check::{Changes, NewSubscription};
use super::store::{self, Addition, Scope};
use super::subscribers::GATEWAY;
use crate::accounts::{self, REAL_CLOCK, TestClock};
use crate::actor::Actor;
use crate::events::{self, NewEvent};
use crate::invoices::{self, NewScheduled};

/// Rows of one statement: enough to make round trips few, small enough to show progress.
const CHUNK_ROWS: usize = 1_000;
/// The number of the event that says that a subscription was taken over.
const FIRST_EVENT: i64 = 1;

/// Everything that one import stores.
pub(super) struct Import {
    pub(super) account: AccountId,
    pub(super) mode: Mode,
    pub(super) changes: Changes,
    /// The clock's start to be set.
    pub(super) clock: Option<Timestamp>,
    /// Where the account's clock stood when the rows were checked, `clock` included; `None` is real time.
    pub(super) checked_at: Option<Timestamp>,
    pub(super) actor: Actor,
    /// Real time.
    pub(super) now: Timestamp,
}

/// Why nothing was stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The clock is not where it was when the rows were checked.
    #[error("the account's test clock was set or moved meanwhile")]
    ClockMoved,
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// Stores everything in the caller's transaction.
pub(super) fn write(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    import: &Import,
    bar: &ProgressBar,
) -> Result<Option<TestClock>, WriteError> {
    let clock = settled_clock(tx, key, import)?;
    let scope = Scope {
        account: import.account,
        mode: import.mode,
        clock_id: clock.map_or(REAL_CLOCK.to_owned(), |clock| clock.id.to_string()),
        billing_at: clock.map_or(import.now, |clock| clock.frozen_time),
        now: import.now,
        calendar: "anchor",
        renewal_failure: accounts::read(tx, import.account)?.renewal_failure.as_str(),
    };
    store::insert_plans(tx, &scope, &import.changes.plans)?;
    if import.changes.subscriptions.is_empty() {
        return Ok(clock);
    }
    let connection =
        accounts::ensure_connection(tx, key, (import.account, import.mode), GATEWAY, import.now)?;
    bar.set_position(0);
    for chunk in import.changes.subscriptions.chunks(CHUNK_ROWS) {
        write_chunk(tx, key, &scope, (connection, import.actor), chunk)?;
        bar.inc(u64::try_from(chunk.len()).unwrap_or_default());
    }
    store::raise_day_plans(tx, &scope, &day_totals(&import.changes.subscriptions))?;
    Ok(clock)
}

/// The clock that the rows live by, set if asked for. Live rows have none.
fn settled_clock(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    import: &Import,
) -> Result<Option<TestClock>, WriteError> {
    let clock = match (import.mode, import.clock) {
        (Mode::Live, _) => None,
        (Mode::Test, None) => accounts::find_clock(tx, import.account)?,
        (Mode::Test, Some(at)) => match accounts::set_clock(tx, key, import.account, at, import.now)? {
            Ok(clock) => Some(clock),
            Err(_) => return Err(WriteError::ClockMoved),
        },
    };
    if clock.map(|clock| clock.frozen_time) == import.checked_at {
        Ok(clock)
    } else {
        Err(WriteError::ClockMoved)
    }
}

fn write_chunk(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    scope: &Scope,
    (connection, actor): (ConnectionId, Actor),
    chunk: &[NewSubscription],
) -> Result<(), db::Error> {
    let additions: Vec<Addition<'_>> = chunk.iter().map(|new| addition(key, scope, new)).collect();
    let customers: Vec<&Addition<'_>> = additions.iter().filter(|one| one.new.is_new_customer).collect();
    let scheduled: Vec<NewScheduled> = additions.iter().map(|one| scheduled(scope, one)).collect();
    let created: Vec<NewEvent> = additions.iter().map(|one| created(scope, actor, one)).collect();
    store::insert_customers(tx, scope, &customers)?;
    store::insert_payment_methods(tx, scope, connection, &additions)?;
    store::insert_subscriptions(tx, scope, &additions, FIRST_EVENT)?;
    invoices::insert_scheduled(tx, key, &scheduled, scope.now)?;
    events::append(tx, key, &created, scope.now)?;
    store::insert_imported(tx, scope, &additions)
}

fn addition<'a>(key: &DerivationKey, scope: &Scope, new: &'a NewSubscription) -> Addition<'a> {
    let identity = &new.row.identity;
    // Ids have no space inside, so no two identities read the same. Persisted: keep stable.
    let parent = format!(
        "{} {} {} {} {}",
        scope.account, scope.mode, identity.customer_id, identity.plan_id, identity.billing_anchor
    );
    Addition {
        new,
        subscription: SubscriptionId::derive(key, &parent, new.row.slot, new.terms.started_at, 0),
        payment_method: PaymentMethodId::derive(key, &parent, new.row.slot, new.terms.started_at, 0),
    }
}

/// The next invoice of a running subscription: one period, no set-up fee.
fn scheduled(scope: &Scope, one: &Addition<'_>) -> NewScheduled {
    let plan = &one.new.terms.plan;
    let line = Line {
        kind: LineKind::Plan,
        plan: plan.id.clone(),
        amount: plan.amount.minor,
        tax_category: plan.tax_category,
        quantity: 1,
        share: None,
    };
    NewScheduled {
        account: scope.account,
        mode: scope.mode,
        clock: scope.clock_id.clone(),
        customer: one.new.row.identity.customer_id.clone(),
        subscription: one.subscription,
        plan: plan.id.clone(),
        next: Next { cycle: one.new.terms.cycle, amount: plan.amount, lines: vec![line] },
    }
}

fn created(scope: &Scope, actor: Actor, one: &Addition<'_>) -> NewEvent {
    let row = &one.new.row;
    let details = serde_json::json!({
        "actor": actor.as_str(),
        "source": "import",
        "customer": row.identity.customer_id,
        "plan": row.identity.plan_id,
        "next_charge_on": row.next_charge_on.to_string(),
    });
    NewEvent {
        account: scope.account,
        mode: scope.mode,
        history: one.subscription.to_string(),
        slot: one.subscription.slot(),
        number: FIRST_EVENT,
        kind: Kind::SubscriptionCreated,
        object: one.subscription.to_string(),
        data: details.to_string(),
        billing_at: scope.billing_at,
    }
}

fn day_totals(subscriptions: &[NewSubscription]) -> BTreeMap<Date, DayTotal> {
    let mut totals: BTreeMap<Date, DayTotal> = BTreeMap::new();
    for new in subscriptions {
        let total = totals.entry(new.terms.cycle.on).or_default();
        *total = total.plus(DayTotal { count: 1, amount: new.terms.plan.amount.minor });
    }
    totals
}
