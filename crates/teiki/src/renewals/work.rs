//! The whole line for one scope: lanes prepare batches while former batches are being charged and settled.

use std::sync::Arc;

use billing::renewal::AccountTerms;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::task::JoinSet;

#[cfg(not(feature = "broken"))]
use super::prepare::prepare;
use super::prepare::{Prepared, Task};
use super::{Lane, day_plan, due};
use crate::charges::Report;
#[cfg(feature = "broken")]
use crate::charges::broken::prepare;
use crate::charges::send::send_and_settle;
use crate::clock;
use crate::line::{Line, Scope};

/// Renewals of one batch: enough to make commits cheap, few enough to be quick and to hold little unsent.
pub const BATCH_MAX: i64 = 512;
/// The same while requests come, which wait for the writer of an SQLite file meanwhile.
const PRESSED_MAX: i64 = 16;
/// Batches of a lane that may be charging while the next is prepared.
const CHARGING_MAX: usize = 2;

/// How the work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is due any more.
    Done,
    /// Charging is held, for this reason.
    Held(String),
    /// The lease has gone to another worker.
    Fenced,
    /// The process was asked to stop.
    Stopped,
    /// Charges could not be sent for so long that going on makes no sense.
    Unsent(i64),
}

/// Opens, charges and settles everything of `scope` that is due at `at`, in these lanes side by side.
pub async fn until_done(
    line: &Arc<Line>,
    scope: &Scope,
    terms: &AccountTerms,
    at: Timestamp,
    lanes: &[Lane],
) -> Result<Ended, db::Error> {
    let (day_scope, day_terms) = (scope.clone(), terms.clone());
    line.db.write(move |tx| day_plan::ensure(tx, &day_scope, &day_terms, at)).await?;
    let running = lanes.iter().map(|&lane| {
        let task = Task { scope: scope.clone(), terms: terms.clone(), lane, billing: at, real: at };
        run_lane(line, task)
    });
    // A lane that fails does not cut the others off.
    let ended: Result<Vec<Ended>, db::Error> = join_all(running).await.into_iter().collect();
    Ok(ended?.into_iter().find(|ended| *ended != Ended::Done).unwrap_or(Ended::Done))
}

type Charging = JoinSet<Result<Report, db::Error>>;

async fn run_lane(line: &Arc<Line>, task: Task) -> Result<Ended, db::Error> {
    let mut charging = Charging::new();
    let ended = go_on(line, &task, &mut charging).await;
    // However it ended: what is being charged is settled.
    let mut settled = Ok(());
    while let Some(batch) = charging.join_next().await {
        settled = settled.and(finished(batch));
    }
    settled.and(ended)
}

async fn go_on(line: &Arc<Line>, task: &Task, charging: &mut Charging) -> Result<Ended, db::Error> {
    loop {
        if line.is_stopping() {
            return Ok(Ended::Stopped);
        }
        let due = due(&line.db, &task.scope, task.lane, task.billing, batch_max(line)).await?;
        if due.is_empty() {
            // What is being charged may come back as due: proven never to have happened.
            match charging.join_next().await {
                Some(settled) => finished(settled)?,
                None => return Ok(Ended::Done),
            }
            continue;
        }
        match prepare(line, &Task { real: clock::now(), ..task.clone() }, due).await? {
            Prepared::Ready(outgoing) => {
                let (line, billing) = (Arc::clone(line), task.billing);
                charging.spawn(async move { send_and_settle(&line, outgoing, billing).await });
            }
            Prepared::Held(reason) => return Ok(Ended::Held(reason)),
            Prepared::Fenced => return Ok(Ended::Fenced),
        }
        while charging.len() >= CHARGING_MAX {
            if let Some(settled) = charging.join_next().await {
                finished(settled)?;
            }
        }
    }
}

fn finished(settled: Result<Result<Report, db::Error>, tokio::task::JoinError>) -> Result<(), db::Error> {
    match settled {
        Ok(settled) => settled.map(|_| ()),
        Err(error) => Err(db::Error::Panicked { message: error.to_string() }),
    }
}

fn batch_max(line: &Line) -> i64 {
    line.connections
        .values()
        .filter_map(|connection| connection.pace.batch_max())
        .min()
        .unwrap_or(BATCH_MAX)
        .min(if line.db.is_pressed() { PRESSED_MAX } else { BATCH_MAX })
}
