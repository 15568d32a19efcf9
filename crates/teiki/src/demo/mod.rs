//! The demo: the main job from the import to the audit, in a directory of its own, with nothing else installed.
//!
//! ```text
//! directory → merchant (two CSV files) → import → bill a year through the sandbox → report, audit
//! ```
//! It has no way of its own to import or to charge: it calls what `teiki import` and `teiki run` call. The
//! [`audit`] is the opposite: it reads the gateway's book and the two files, and nothing that teiki wrote.
//! Everything but ids and real times is the same in every run with the same number of subscribers.

use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::accounts::{self, Account};
use crate::actor::Actor;
use crate::app::{App, Missing, Setting};
use crate::clocks::bill::{Billed, clock_of, set_out};
use crate::failure::{Code, Failure};
use crate::imports::{self, Files};
use crate::line::Line;
use crate::renewals::work::Ended;
use crate::{clock, imports::Request as Import};

mod audit;
pub mod cli;
mod directory;
mod merchant;
mod report;
mod store;
mod view;
mod words;

use directory::Directory;
pub use report::Report;

/// Where the merchant's days begin.
const ZONE: &str = "Asia/Tokyo";
/// What the merchant is called.
const NAME: &str = "みどり農園（デモ）";
/// The first day that is billed.
const FIRST: Date = jiff::civil::date(2027, 1, 1);
/// The last day that is billed.
const LAST: Date = jiff::civil::date(2027, 12, 31);
/// Where the clock starts: the first instant of [`FIRST`].
const START: &str = "2027-01-01T00:00:00+09:00";
/// Where it goes: the last second of [`LAST`].
const END: &str = "2027-12-31T23:59:59+09:00";

/// What is to be shown.
#[derive(Clone, Debug)]
pub struct Request {
    /// The directory; it is made, or was made by a demo.
    pub dir: PathBuf,
    /// How many subscribers.
    pub subscribers: u32,
    /// How this program was called; stands in the commands that the report suggests.
    pub program: String,
}

/// What is told while it works.
pub trait Watcher {
    /// Subscribers are being imported: a bar for so many.
    fn importing(&self, total: u64) -> indicatif::ProgressBar;
    /// The clock stands at an instant of the year.
    fn at(&self, line: &Line, now: Timestamp);
    /// The year is billed; it is being checked.
    fn checking(&self);
}

/// Runs the demo. `setting` gives the form of the answer and nothing else.
pub async fn demo(setting: &Setting, request: &Request, watcher: &impl Watcher) -> Result<Report, Failure> {
    let started = Instant::now();
    let directory = directory::make(&request.dir)?;
    merchant::write(&directory, request.subscribers)?;
    let setting =
        Setting { database: directory.database.clone(), data_dir: directory.path.clone(), ..setting.clone() };
    let report = App::with(&setting, Missing::Create, async |app| {
        let account = import(app, &directory, watcher).await?;
        let billed = bill(app, &account, &directory, watcher).await?;
        watcher.checking();
        report::report(app, &setting, (&account, &directory), (request, &billed)).await
    });
    let report = report.await?;
    Ok(Report { took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX), ..report })
}

async fn import(app: &App, directory: &Directory, watcher: &impl Watcher) -> Result<Account, Failure> {
    let created = accounts::create(&app.db, NAME, &[], clock::now()).await?;
    let request = Import {
        account: created.account.clone(),
        files: Files {
            plans: directory.file(directory::PLANS),
            subscribers: directory.file(directory::SUBSCRIBERS),
        },
        encoding: None,
        clock: Some(instant(START)?),
        is_dry_run: false,
    };
    imports::import(app, &request, Actor::Operator, clock::now(), |total| watcher.importing(total)).await?;
    accounts::get(&app.db, &created.account).await
}

async fn bill(
    app: &App,
    account: &Account,
    directory: &Directory,
    watcher: &impl Watcher,
) -> Result<Billed, Failure> {
    let until = instant(END)?;
    let clock = clock_of(app, account, until).await?;
    let departure = set_out(app, account, clock, (None, &directory.path)).await?;
    let billed = departure.travel(until, |line, now| watcher.at(line, now)).await?;
    match &billed.ended {
        Ended::Done => Ok(billed),
        Ended::Held(reason) => {
            Err(Failure::unfinished(format!("charging was held: {reason}; see `teiki doctor`")))
        }
        Ended::Stopped => Err(Failure {
            code: Code::Interrupted,
            message: "interrupted; the next `teiki demo` begins anew".to_owned(),
        }),
        Ended::Unsent(count) => Err(Failure::unfinished(format!(
            "the sandbox of the demo did not take {count} charges; run the demo again"
        ))),
        Ended::Fenced => Err(Failure::failed("another process took over the clock of the demo")),
    }
}

fn instant(text: &str) -> Result<Timestamp, Failure> {
    text.parse().map_err(|error| Failure::failed(format!("{text}: {error}")))
}
