//! Imports: taking over running subscriptions from files, all of a file or nothing.
//!
//! `read → compare → write`: the files become rows with every problem collected ([`file`], [`record`],
//! [`plans`], [`subscribers`]), the rows are compared with what is stored ([`check`]), and
//! what is new is stored in one transaction ([`write`]). A row is known by customer, plan and anchor and is
//! kept as it was imported, so the same file again changes nothing and a changed row is seen. An import
//! never charges; it writes scheduled invoices that the schedule charges.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use billing::id::AccountId;
use billing::mode::Mode;
use indicatif::ProgressBar;
use jiff::Timestamp;
use serde::Serialize;

use crate::accounts::{self, Account, TestClock};
use crate::actor::Actor;
use crate::app::App;
use crate::failure::Failure;

mod check;
pub mod cli;
mod field;
mod file;
mod plans;
mod problem;
mod record;
mod store;
mod subscribers;
mod write;

use check::{Changes, Frame, Stored};
pub use file::Encoding;
use plans::PlanFile;
pub use problem::Files;
use problem::{Problems, Source};
use subscribers::{Identity, Parsed};
use write::{Import, WriteError};

/// What is to be imported.
#[derive(Clone, Debug)]
pub struct Request {
    /// The id of the account.
    pub account: String,
    /// The two files.
    pub files: Files,
    /// How their bytes are to be read; `None` finds out.
    pub encoding: Option<Encoding>,
    /// Where the account's test clock starts.
    pub clock: Option<Timestamp>,
    /// Check everything, store nothing.
    pub is_dry_run: bool,
}

/// How many rows there were of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Stored by this import.
    pub new: usize,
    /// Stored before, with the same values.
    pub unchanged: usize,
}

/// How many customers came with the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CustomerCount {
    /// Stored by this import.
    pub new: usize,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whose.
    pub account: String,
    /// Test or live.
    pub mode: Mode,
    /// Whether nothing was stored because nothing was to be.
    pub dry_run: bool,
    /// Plans of the file.
    pub plans: Count,
    /// Rows of the file of subscribers.
    pub subscribers: Count,
    /// Customers of those rows.
    pub customers: CustomerCount,
    /// Where the test clock stands that the account lives by; `None` is real time.
    pub clock: Option<Timestamp>,
}

/// Imports the files at the real time `now`. `progress` makes a bar for so many rows. Errors: every problem
/// of the files together, a wrong account or clock, a database that fails; nothing is stored then.
pub async fn import(
    app: &App,
    request: &Request,
    actor: Actor,
    now: Timestamp,
    progress: impl FnOnce(u64) -> ProgressBar,
) -> Result<Report, Failure> {
    if app.mode == Mode::Live && request.clock.is_some() {
        return Err(Failure::usage("--clock is for --mode test; live subscriptions follow real time"));
    }
    let account = accounts::get(&app.db, &request.account).await?;
    let (input, mut problems) = read_files(request, app.mode).await?;
    let (stored, found) = read_stored(app, (account.id, request.clock), &input).await?;
    let clock = clock_of(&account, found, request.clock)?;
    let frame = Frame {
        today: account.terms.zone.day_of(clock.unwrap_or(now)),
        has_clock: clock.is_some(),
        terms: account.terms,
    };
    let Input { plans, rows } = Arc::unwrap_or_clone(input);
    let changes = check::changes(&frame, &plans, rows, stored, &mut problems);
    problems.check(&request.files)?;
    let report = report((account.id, app.mode), request.is_dry_run, &changes, clock);
    if !request.is_dry_run {
        let followed = account.test_clock.as_deref();
        let is_followed = found.is_some_and(|clock| followed == Some(clock.id.as_str()));
        let clock_to_set = request.clock.filter(|_| !is_followed);
        let bar = progress(u64::try_from(changes.subscriptions.len()).unwrap_or_default());
        let import = Import {
            account: account.id,
            mode: app.mode,
            changes,
            clock: clock_to_set,
            checked_at: clock,
            actor,
            now,
        };
        write(app, import, bar).await?;
    }
    Ok(report)
}

/// The readable rows of both files.
#[derive(Clone)]
struct Input {
    plans: PlanFile,
    rows: Vec<Parsed>,
}

/// Reads both files beside the async runtime, for that takes a while.
async fn read_files(request: &Request, mode: Mode) -> Result<(Arc<Input>, Problems), Failure> {
    let (files, encoding) = (request.files.clone(), request.encoding);
    let read = move || {
        let mut problems = Problems::default();
        let plans = file::read(&files.plans, Source::Plans, encoding, &mut problems)
            .map(|text| plans::read(text, &mut problems))
            .unwrap_or_default();
        let rows = file::read(&files.subscribers, Source::Subscribers, encoding, &mut problems)
            .map(|text| subscribers::read(text, mode, &mut problems))
            .unwrap_or_default();
        (Arc::new(Input { plans, rows }), problems)
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| {
        Failure::failed(format!("nothing was imported, for reading the files failed: {error}"))
    })
}

/// Rows that are looked up by one statement: what a round trip carries in a few milliseconds.
const LOOKUP_ROWS: usize = 10_000;

/// What the database holds of what the files name, in one snapshot, and the account's test clock, or the one that was once
/// started where one is `wanted`.
async fn read_stored(
    app: &App,
    (account, wanted): (AccountId, Option<Timestamp>),
    input: &Arc<Input>,
) -> Result<(Stored, Option<TestClock>), Failure> {
    let (input, mode, key) = (Arc::clone(input), app.mode, app.key.clone());
    let read = move |tx: &mut db::Tx<'_>| {
        let clock = match (mode, wanted) {
            (Mode::Live, _) => None,
            (Mode::Test, None) => accounts::find_clock(tx, account)?,
            (Mode::Test, Some(at)) => accounts::find_clock_at(tx, &key, account, at)?,
        };
        let views = || input.rows.iter().map(Parsed::view);
        let plan_ids: BTreeSet<&str> = views()
            .filter_map(|row| row.plan_id)
            .chain(input.plans.plans.keys().map(String::as_str))
            .collect();
        let mut stored = Stored {
            plans: store::find_plans(tx, (account, mode), &plan_ids)?,
            rows: HashMap::new(),
            customers: HashMap::new(),
        };
        for rows in input.rows.chunks(LOOKUP_ROWS) {
            let identities: Vec<Identity> = rows.iter().filter_map(|row| row.view().identity()).collect();
            stored.rows.extend(store::find_imported(tx, (account, mode), &identities)?);
            let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row.view().customer_id).collect();
            let ids: Vec<&str> = ids.into_iter().collect();
            stored.customers.extend(store::find_customers(tx, (account, mode), &ids)?);
        }
        Ok::<_, db::Error>((stored, clock))
    };
    Ok(app.db.read(read).await?)
}

/// The billing time of the account: where its clock stands, or where `wanted` starts it. `None` is real time.
fn clock_of(
    account: &Account,
    found: Option<TestClock>,
    wanted: Option<Timestamp>,
) -> Result<Option<Timestamp>, Failure> {
    match (found, wanted) {
        (Some(clock), Some(wanted)) if clock.started_at != wanted => Err(Failure::usage(format!(
            "--clock: the test clock of {} was started at {} and stands at {}; it is set once, so leave --clock out",
            account.id,
            local(account, clock.started_at),
            local(account, clock.frozen_time),
        ))),
        (Some(clock), Some(_) | None) => Ok(Some(clock.frozen_time)),
        (None, wanted) => Ok(wanted),
    }
}

/// An instant as the account's people write it.
fn local(account: &Account, at: Timestamp) -> String {
    match jiff::tz::TimeZone::get(account.terms.zone.name()) {
        Ok(zone) => at.display_with_offset(zone.to_offset(at)).to_string(),
        Err(_) => at.to_string(),
    }
}

fn report(
    (account, mode): (AccountId, Mode),
    is_dry_run: bool,
    changes: &Changes,
    clock: Option<Timestamp>,
) -> Report {
    Report {
        account: account.to_string(),
        mode,
        dry_run: is_dry_run,
        plans: Count { new: changes.plans.len(), unchanged: changes.plans_unchanged },
        subscribers: Count { new: changes.subscriptions.len(), unchanged: changes.subscriptions_unchanged },
        customers: CustomerCount {
            new: changes.subscriptions.iter().filter(|new| new.is_new_customer).count(),
        },
        clock,
    }
}

/// Stores everything in one transaction; nothing to do when nothing is new.
async fn write(app: &App, import: Import, bar: ProgressBar) -> Result<(), Failure> {
    let is_empty = import.changes.plans.is_empty() && import.changes.subscriptions.is_empty();
    if is_empty && import.clock.is_none() {
        return Ok(());
    }
    let key = app.key.clone();
    let shown = bar.clone();
    let written = app.db.write(move |tx| write::write(tx, &key, &import, &shown)).await;
    bar.finish_and_clear();
    written.map(drop).map_err(failure_of)
}

/// What a person does about a write that failed.
fn failure_of(error: WriteError) -> Failure {
    let again = "run the same command again, it stores only what is missing";
    Failure::failed(match error {
        WriteError::Db(db::Error::UniqueViolation { .. }) => {
            format!("nothing was imported, for another import stored some of these rows meanwhile; {again}")
        }
        WriteError::Db(db::Error::Full { .. }) => {
            format!("nothing was imported, for the database's disk is full; free some space, then {again}")
        }
        WriteError::Db(db::Error::Busy { .. }) => {
            format!(
                "nothing was imported, for another program is writing to the database; wait for it, then {again}"
            )
        }
        WriteError::Db(error @ db::Error::CommitUnknown { .. }) => {
            format!("whether the import was stored is not known; {again} ({error})")
        }
        error @ (WriteError::ClockMoved | WriteError::Db(_)) => {
            format!("nothing was imported: {error}; {again}")
        }
    })
}
