//! Two protocols that charge twice when they are killed, to show that `teiki proof kill` finds it.
//!
//! Only in a build with the feature `broken`, by which `serve` does not start; selected by `TEIKI_BREAK`.
//! `new-key` ([`abandoned`]): after a restart what was being sent counts as never sent and is charged again under a new
//! key. `charge-first` ([`prepare`]): the gateway is called before the intent is stored; the key is made at that moment
//! and lost with the process, for a derived key would save even this protocol at a gateway that knows keys.

use std::sync::Arc;

use billing::charge::Fact;
use futures_util::{StreamExt, stream};

use super::News;
use super::pace::CONCURRENCY;
use super::send::send_one;
use super::settle::{Times, settle};
use crate::clock;
use crate::line::Line;
use crate::renewals::Due;
use crate::renewals::prepare::{self, Prepared, Task};

fn is_selected(name: &str) -> bool {
    std::env::var("TEIKI_BREAK").is_ok_and(|selected| selected == name)
}

/// What this process thinks of a charge whose sender is gone.
pub(super) fn abandoned() -> Fact {
    if is_selected("new-key") { Fact::NeverExecuted } else { Fact::Lost }
}

/// Stands where `renewals::prepare::prepare` stands. Calls the gateway first if that is asked for.
pub(crate) async fn prepare(line: &Arc<Line>, task: &Task, due: Vec<Due>) -> Result<Prepared, db::Error> {
    if !is_selected("charge-first") {
        return prepare::prepare(line, task, due).await;
    }
    let lost_with_the_process = std::process::id();
    let sent = stream::iter(prepare::rehearse(line, task, due.clone()).await?).map(|mut outgoing| {
        outgoing.request.idempotency_key = format!("{lost_with_the_process}-{}", outgoing.charge);
        async move { send_one(line, &outgoing).await }
    });
    let news: Vec<News> = sent.buffer_unordered(CONCURRENCY).collect().await;
    let prepared = prepare::prepare(line, task, due).await?;
    settle(line, news, Times { billing: task.billing, real: clock::now() }).await?;
    Ok(match prepared {
        Prepared::Ready(_) => Prepared::Ready(Vec::new()),
        stopped @ (Prepared::Held(_) | Prepared::Fenced) => stopped,
    })
}
