//! What a server does besides answering: each job is a task that ends when it is asked to stop.

use std::sync::Arc;

use billing::mode::Mode;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};

use super::Shared;
use super::scheduler;
use super::sides::Sides;
use crate::api_keys::uses::{self, Uses};
use crate::background::Background;
use crate::clocks::job as clocks;
use crate::failure::Failure;
use crate::webhooks::deliveries::job as delivering;
use crate::{idempotency, outbox, plan_switches};

/// What requests ring or note, for a job to take up.
#[derive(Clone, Default)]
pub(super) struct Bells {
    /// A test clock sets out.
    pub(super) clock: Arc<Notify>,
    /// A plan switch is made or undone.
    pub(super) switch: Arc<Notify>,
    /// Uses of API keys.
    pub(super) key_uses: Arc<Uses>,
}

/// The running jobs.
pub(super) struct Jobs(JoinSet<Result<(), Failure>>);

impl Jobs {
    pub(super) fn start(
        background: &Background,
        (sides, shared): (&Arc<Sides>, &Arc<Shared>),
        bells: &Bells,
        desk: delivering::Desk,
        stopping: &watch::Receiver<bool>,
    ) -> Self {
        let until = || stopping.clone();
        let (app, work) = (&background.app, background.handle());
        let outbox = Arc::new(Notify::new());
        let (bell, delivered) = (Arc::clone(&outbox), Arc::clone(&shared.metrics.delivered));
        let scheduling = scheduler::run(app.clone(), Arc::clone(sides), Arc::clone(shared), outbox, until());
        let mut jobs = Self(JoinSet::new());
        jobs.0.spawn_on(scheduling, work);
        jobs.add(outbox::keep(app.db.clone(), bell, delivered, until()), work);
        // What is due on a test clock is charged in test mode.
        if app.mode == Mode::Test {
            jobs.add(clocks::keep(app.clone(), Arc::clone(sides), Arc::clone(&bells.clock), until()), work);
        }
        jobs.add(plan_switches::job::keep(app.clone(), Arc::clone(&bells.switch), until()), work);
        jobs.add(idempotency::job::keep(app.db.clone(), until()), work);
        jobs.add(uses::keep(app.db.clone(), Arc::clone(&bells.key_uses), until()), work);
        jobs.add(delivering::keep(desk, until()), work);
        jobs
    }

    fn add(&mut self, job: impl Future<Output = ()> + Send + 'static, work: &Handle) {
        let job = async {
            job.await;
            Ok(())
        };
        self.0.spawn_on(job, work);
    }

    /// Waits until one ends that was not asked to: without it the server does only a part of what it is for.
    pub(super) async fn one_died(&mut self) -> Failure {
        let ended = self.0.join_next().await.map_or(Ok(()), ended);
        ended.err().unwrap_or_else(|| Failure::failed("a job of the server ended by itself"))
    }

    /// Waits until all have ended. Error: the first that failed or panicked.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        let mut all = Ok(());
        while let Some(job) = self.0.join_next().await {
            all = all.and(ended(job));
        }
        all
    }
}

fn ended(job: Result<Result<(), Failure>, JoinError>) -> Result<(), Failure> {
    job.unwrap_or_else(|error| Err(Failure::failed(format!("a job of the server died: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_dies_or_ends_by_itself_is_noticed() {
        for (dies, said) in [(true, "a job of the server died"), (false, "ended by itself")] {
            let mut jobs = Jobs(JoinSet::new());
            jobs.add(std::future::pending(), &Handle::current());
            jobs.add(async move { assert!(!dies, "it dies") }, &Handle::current());
            let failure = jobs.one_died().await;
            assert!(failure.message.contains(said), "{}", failure.message);
        }
    }
}
