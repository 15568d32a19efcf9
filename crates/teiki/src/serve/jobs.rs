//! What a server does besides answering: each job is a task that ends when it is asked to stop.

use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

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
pub(super) struct Jobs {
    scheduler: JoinHandle<Result<(), Failure>>,
    others: Vec<JoinHandle<()>>,
}

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
        let others = vec![
            work.spawn(outbox::keep(app.db.clone(), bell, delivered, until())),
            work.spawn(clocks::keep(app.clone(), Arc::clone(sides), Arc::clone(&bells.clock), until())),
            work.spawn(plan_switches::job::keep(app.clone(), Arc::clone(&bells.switch), until())),
            work.spawn(idempotency::job::keep(app.db.clone(), until())),
            work.spawn(uses::keep(app.db.clone(), Arc::clone(&bells.key_uses), until())),
            work.spawn(delivering::keep(desk, until())),
        ];
        Self { scheduler: work.spawn(scheduling), others }
    }

    /// Waits until all have ended. Error: the scheduler's, or one that panicked.
    pub(super) async fn end(self) -> Result<(), Failure> {
        let died = |error: tokio::task::JoinError| Failure::failed(error.to_string());
        let scheduled = self.scheduler.await.map_err(died)?;
        for job in self.others {
            job.await.map_err(died)?;
        }
        scheduled
    }
}
