//! Doctor: looks at an installation and says what is wrong, what that means and what to do.
//!
//! Reads only, and changes nothing: not even the schema is brought up to date. Checks both sides of every
//! account. The order is that of trust: first the [`installation`] (without it nothing else can be read),
//! then the [`books`] (what is stored agrees with itself), then the [`work`] (what waits too long).
//! A problem breaks the promise or is about to; a warning needs a person when there is time.

use db::{Db, Options};
use jiff::Timestamp;
use serde::Serialize;

use crate::app::Setting;
use crate::clock;

mod books;
pub mod cli;
mod installation;
mod store;
mod view;
mod work;

/// Rows that a check names: enough to see what they have in common. One more is read, to say that there are more.
const NAMED_MAX: usize = 20;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// A person should look when there is time.
    Warning,
    /// A person must look now.
    Problem,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name; keep stable.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found, as a sentence.
    pub found: String,
    /// What it is about, one line each, with ids; cut at [`NAMED_MAX`].
    pub named: Vec<String>,
    /// What to do; none when all is well.
    pub todo: Option<&'static str>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, found: found.into(), named: Vec::new(), todo: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, todo: &'static str) -> Self {
        Self { level: Level::Warning, todo: Some(todo), ..Self::ok(name, found) }
    }

    fn problem(name: &'static str, found: impl Into<String>, todo: &'static str) -> Self {
        Self { level: Level::Problem, todo: Some(todo), ..Self::ok(name, found) }
    }

    /// Names the rows that were found, and says so when there are more.
    fn naming(mut self, mut rows: Vec<String>) -> Self {
        let is_cut = rows.len() > NAMED_MAX;
        rows.truncate(NAMED_MAX);
        if is_cut {
            rows.push("and more".to_owned());
        }
        self.named = rows;
        self
    }

    /// What a check that could not be made says.
    fn failed(name: &'static str, error: &db::Error) -> Self {
        let todo = "see whether the database runs and is the right one, then run teiki doctor again";
        Self::problem(name, format!("could not be checked: {error}"), todo)
    }
}

/// The rows that a listing check found, counted for its sentence: `20 or more` when it stopped looking.
fn how_many(rows: &[String]) -> String {
    if rows.len() > NAMED_MAX { format!("more than {NAMED_MAX}") } else { rows.len().to_string() }
}

/// The answer to `teiki doctor`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How many checks found a problem.
    pub problems: usize,
    /// How many found something for later.
    pub warnings: usize,
    /// All that were made, in order.
    pub checks: Vec<Check>,
}

impl Report {
    fn of(checks: Vec<Check>) -> Self {
        let count = |level| checks.iter().filter(|check| check.level == level).count();
        Self { problems: count(Level::Problem), warnings: count(Level::Warning), checks }
    }
}

/// Opens the installation and examines it at the real time `now`.
pub async fn doctor(setting: &Setting) -> Report {
    let db = match Db::open(&setting.database, &Options::default()).await {
        Ok(db) => db,
        Err(error) => {
            let todo = "correct --database or --data-dir, or make the database: teiki account create 'NAME'";
            return Report::of(vec![Check::problem("database", error.to_string(), todo)]);
        }
    };
    let checks = examine(&db, clock::now).await;
    db.close().await;
    Report::of(checks)
}

/// Every check that can be made. `now` reads the clock: comparing it with the database's takes two readings.
async fn examine(db: &Db, now: impl Fn() -> Timestamp) -> Vec<Check> {
    let mut checks = vec![installation::database(db).await];
    let schema = installation::schema(db).await;
    let is_current = schema.level == Level::Ok;
    checks.push(schema);
    if !is_current {
        return checks;
    }
    checks.push(installation::derivation_key(db).await);
    checks.push(installation::clock(db, &now).await);
    checks.push(books::ledger(db).await);
    checks.push(books::payments(db).await);
    checks.push(books::refunds(db).await);
    checks.push(books::schedule(db).await);
    checks.push(books::waiting(db).await);
    checks.push(books::states(db).await);
    checks.push(books::events(db).await);
    checks.push(work::unknown(db, now()).await);
    checks.push(work::surplus(db).await);
    checks.push(work::due(db, now()).await);
    checks.push(work::outbox(db, now()).await);
    checks.push(work::webhooks(db, now()).await);
    checks.push(work::holds(db).await);
    checks.push(work::parked(db).await);
    checks
}
