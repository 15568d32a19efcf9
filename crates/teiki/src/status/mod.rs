//! Status: where each account stands, on one page, with the next step for what needs one.
//!
//! Reads only, one snapshot for each account. Every number is an aggregate of the database; lists are cut at
//! [`LISTED_MAX`]. It says what is, and does not look for what is wrong: that is `doctor`.

use std::collections::BTreeMap;

use billing::guard::DayTotal;
use billing::id::AccountId;
use billing::mode::Mode;
use db::{Db, Tx};
use jiff::Timestamp;
use serde::Serialize;

use crate::accounts::{self, Account, REAL_CLOCK};
use crate::failure::Failure;
use crate::holds::{self, Hold};
use crate::line::Scope;
use crate::renewals::day_plan;

pub mod cli;
mod store;
pub(crate) mod view;

/// Rows of a list: what a person reads at once. Counts are never cut.
const LISTED_MAX: i64 = 20;

/// One side of an account.
#[derive(Clone, Copy, Debug)]
struct Side {
    account: AccountId,
    mode: Mode,
}

/// The answer to `teiki status`.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Which side is shown.
    pub mode: Mode,
    /// The accounts that were asked for, oldest first.
    pub accounts: Vec<AccountStatus>,
}

/// One side of one account.
#[derive(Debug, Serialize)]
pub struct AccountStatus {
    /// Its id.
    pub account: String,
    /// What it calls itself.
    pub name: String,
    /// Where its days begin.
    pub zone: String,
    /// What stops its charging.
    pub held: Option<Hold>,
    /// Subscriptions by status, in the words of PAY.JP's dialect.
    pub subscriptions: BTreeMap<String, i64>,
    /// The test clock of its test side.
    pub test_clock: Option<TestClock>,
    /// Today's plan on each clock that its subscriptions live by.
    pub days: Vec<Day>,
    /// Subscriptions whose renewal was refused.
    pub parked: List<Parked>,
    /// Charges that are not final, by status.
    pub charges_under_way: BTreeMap<String, UnderWay>,
    /// Invoices that are issued and not settled, by currency.
    pub open_invoices: Vec<OpenInvoices>,
    /// Open dunning cases by failure class.
    pub dunning: BTreeMap<String, i64>,
    /// What an operator must look at.
    pub alarms: List<Alarm>,
    /// What must still be delivered.
    pub outbox: Outbox,
}

/// A test clock.
#[derive(Debug, Serialize)]
pub struct TestClock {
    /// Its id.
    pub id: String,
    /// Where it began.
    pub started_at: Timestamp,
    /// Where it stands.
    pub now: Timestamp,
}

/// A day of an account on one clock.
#[derive(Debug, Serialize)]
pub struct Day {
    /// [`REAL_CLOCK`] or a test clock's id.
    pub clock: String,
    /// The day in the account's zone, such as 2027-01-31.
    pub day: String,
    /// What the schedule has for it.
    pub planned: Total,
    /// Whether `planned` was written down by the day's run; else it is counted from the schedule as it is now.
    pub is_plan_stored: bool,
    /// What was opened on it.
    pub opened: Total,
    /// The invoice whose turn it is next, whenever that is.
    pub next_due: Option<NextDue>,
}

/// Invoices and their sum in minor units of all currencies: a yardstick, as the guards use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// How many.
    pub count: i64,
    /// Minor units.
    pub amount: i64,
}

impl From<DayTotal> for Total {
    fn from(total: DayTotal) -> Self {
        Self { count: total.count, amount: total.amount }
    }
}

/// An invoice that waits for its time.
#[derive(Debug, Serialize)]
pub struct NextDue {
    /// Its id.
    pub invoice: String,
    /// Whose.
    pub subscription: String,
    /// Minor units.
    pub amount: i64,
    /// Of this currency.
    pub currency: String,
    /// When it is charged.
    pub at: Timestamp,
}

/// How many there are, and the first of them.
#[derive(Debug, Serialize)]
pub struct List<T> {
    /// All.
    pub count: i64,
    /// At most [`LISTED_MAX`].
    pub first: Vec<T>,
}

/// A subscription that is not billed until a person looks.
#[derive(Debug, Serialize)]
pub struct Parked {
    /// Its id.
    pub subscription: String,
    /// Why.
    pub reason: String,
}

/// Charges of one status that is not final.
#[derive(Debug, Serialize)]
pub struct UnderWay {
    /// How many.
    pub count: i64,
    /// When the oldest was made, in real time.
    pub oldest_at: Timestamp,
    /// When the next of them is looked after, in real time.
    pub next_check_at: Option<Timestamp>,
}

/// Open invoices of one currency.
#[derive(Debug, Serialize)]
pub struct OpenInvoices {
    /// The currency.
    pub currency: String,
    /// How many.
    pub count: i64,
    /// What is still owed, in minor units.
    pub owed: i64,
}

/// An open alarm.
#[derive(Debug, Serialize)]
pub struct Alarm {
    /// What kind of thing happened.
    pub kind: String,
    /// The id of what it happened to.
    pub subject: String,
    /// What a person should know.
    pub message: String,
    /// Since when, in real time.
    pub raised_at: Timestamp,
}

/// Deliveries that wait.
#[derive(Debug, Serialize)]
pub struct Outbox {
    /// How many.
    pub count: i64,
    /// Since when the oldest is to be delivered, in real time.
    pub oldest_at: Option<Timestamp>,
}

/// The status of one account, or of all, at the real time `now`.
pub async fn status(db: &Db, mode: Mode, only: Option<&str>, now: Timestamp) -> Result<Status, Failure> {
    let accounts = match only {
        Some(id) => vec![accounts::get(db, id).await?],
        None => accounts::list(db).await?,
    };
    let mut shown = Vec::with_capacity(accounts.len());
    for account in accounts {
        shown.push(db.read(move |tx| of_account(tx, &account, mode, now)).await?);
    }
    Ok(Status { mode, accounts: shown })
}

fn of_account(
    tx: &mut Tx<'_>,
    account: &Account,
    mode: Mode,
    now: Timestamp,
) -> Result<AccountStatus, db::Error> {
    let side = Side { account: account.id, mode };
    let clock = match mode {
        Mode::Test => accounts::find_clock(tx, account.id)?,
        Mode::Live => None,
    };
    let test_clock = clock.map(|clock| TestClock {
        id: clock.id.to_string(),
        started_at: clock.started_at,
        now: clock.frozen_time,
    });
    Ok(AccountStatus {
        account: account.id.to_string(),
        name: account.name.clone(),
        zone: account.terms.zone.name().to_owned(),
        held: holds::active(tx, account.id)?,
        subscriptions: store::subscriptions_by_status(tx, side)?,
        days: days(tx, account, side, (test_clock.as_ref(), now))?,
        test_clock,
        parked: List {
            count: store::count_parked(tx, side)?,
            first: store::first_parked(tx, side, LISTED_MAX)?,
        },
        charges_under_way: store::charges_under_way(tx, side)?,
        open_invoices: store::open_invoices(tx, side)?,
        dunning: store::open_cases_by_class(tx, side)?,
        alarms: List {
            count: store::count_alarms(tx, side)?,
            first: store::first_alarms(tx, side, LISTED_MAX)?,
        },
        outbox: store::outbox(tx, side)?,
    })
}

/// The day on the test clock, if there is one, and the real day: always without a test clock, else only when
/// somebody lives by real time.
fn days(
    tx: &mut Tx<'_>,
    account: &Account,
    side: Side,
    (clock, now): (Option<&TestClock>, Timestamp),
) -> Result<Vec<Day>, db::Error> {
    let mut days = Vec::new();
    if let Some(clock) = clock {
        days.push(day(tx, account, (side, &clock.id), clock.now)?);
    }
    let real = day(tx, account, (side, REAL_CLOCK), now)?;
    if clock.is_none() || real.next_due.is_some() || real.opened != Total::default() {
        days.push(real);
    }
    Ok(days)
}

fn day(
    tx: &mut Tx<'_>,
    account: &Account,
    (side, clock): (Side, &str),
    now: Timestamp,
) -> Result<Day, db::Error> {
    let on = account.terms.zone.day_of(now);
    let scope = Scope { account: side.account, mode: side.mode, clock: clock.to_owned(), lease: None };
    let plan = day_plan::find(tx, &scope, &account.terms, on)?;
    Ok(Day {
        clock: clock.to_owned(),
        day: on.to_string(),
        planned: plan.total.into(),
        is_plan_stored: plan.is_stored,
        opened: day_plan::opened(tx, &scope, on)?.into(),
        next_due: store::next_due(tx, side, clock)?,
    })
}
