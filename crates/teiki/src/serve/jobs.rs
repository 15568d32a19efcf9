//! What a server does besides answering: each job is a task that ends when it is asked to stop.

use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::Shared;
use super::scheduler;
use super::sides::Sides;
use crate::api_keys::uses::{self, Uses};
use crate::app::App;
use crate::clocks::job as clocks;
use crate::failure::Failure;
use crate::webhooks::deliveries::job as delivering;
use crate::{idempotency, plan_switches};

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
        app: &App,
        (sides, shared): (&Arc<Sides>, &Arc<Shared>),
        bells: &Bells,
        desk: delivering::Desk,
        stopping: &watch::Receiver<bool>,
    ) -> Self {
        let until = || stopping.clone();
        let scheduling = scheduler::run(app.clone(), Arc::clone(sides), Arc::clone(shared), until());
        let others = vec![
            tokio::spawn(clocks::keep(app.clone(), Arc::clone(sides), Arc::clone(&bells.clock), until())),
            tokio::spawn(plan_switches::job::keep(app.clone(), Arc::clone(&bells.switch), until())),
            tokio::spawn(idempotency::job::keep(app.db.clone(), until())),
            tokio::spawn(uses::keep(app.db.clone(), Arc::clone(&bells.key_uses), until())),
            tokio::spawn(delivering::keep(desk, until())),
        ];
        Self { scheduler: tokio::spawn(scheduling), others }
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
