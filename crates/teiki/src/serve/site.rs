//! What every request of the server can reach.

use std::sync::Arc;

use db::Db;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::task::TaskTracker;

use super::Shared;
use super::sides::Sides;
use crate::api_keys::uses::Uses;
use crate::app::App;
use crate::exports::places::Places;
use crate::secrets::Secrets;
use crate::web::limits::Limits;
use crate::web::strangers::Strangers;

/// The server as its requests see it.
pub struct Site {
    /// The installation.
    pub app: App,
    /// The charge lines.
    pub(crate) sides: Arc<Sides>,
    /// What the scheduler tells.
    pub(crate) shared: Arc<Shared>,
    /// Requests that change something, and payments that they have begun: they go on when their client leaves, and the server
    /// waits for them when it stops.
    pub(crate) payments: TaskTracker,
    /// What secrets are encrypted with.
    pub(crate) secrets: Arc<Secrets>,
    /// Whether webhook endpoints of test mode may be private.
    pub(crate) allow_private_webhooks: bool,
    /// Exports that run.
    pub(crate) exports: Places,
    /// Turns of previews of plan switches.
    pub(crate) previews: Semaphore,
    /// For what reads much: it has connections of its own.
    pub(crate) background: Db,
    /// Whether the server is asked to stop.
    pub(crate) stopping: watch::Receiver<bool>,
    /// How many requests keys may make.
    pub(crate) limits: Limits,
    /// Keys that open nothing.
    pub(crate) strangers: Strangers,
    /// Uses of keys that are not written yet.
    pub(crate) key_uses: Arc<Uses>,
    /// Rung when a plan switch is made or undone.
    pub(crate) switch_bell: Arc<Notify>,
    /// Rung when a test clock sets out.
    pub(crate) clock_bell: Arc<Notify>,
}
