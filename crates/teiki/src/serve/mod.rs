//! The server: the real-time scheduler beside an HTTP port with the API, health and metrics.
//!
//! One tick serves all accounts: holds, what is due, what must be found out. An idle subscriber costs
//! nothing. Test clocks move when a request says so. Stops gracefully: what is in flight is
//! settled first.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::background::Background;
use crate::exports::places::Places;
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::plan_switches;
use crate::secrets::{KeyFile, Secrets};
use crate::signals::{self, Signals};
use crate::web::limits::Limits;
use crate::web::strangers::Strangers;
use crate::webhooks::deliveries::job as delivering;
use jobs::{Bells, Jobs};
use sides::Sides;
use site::Site;

pub mod cli;
mod clock_guard;
mod connections;
mod jobs;
mod lanes;
mod listener;
mod refusals;
mod routes;
mod scheduler;
pub(crate) mod sides;
pub mod site;
mod store;
mod unread;

/// What the server is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the book of a sandbox inside the process goes.
    pub data_dir: PathBuf,
    /// The sandbox of test mode; `None` is one inside the process.
    pub sandbox: Option<String>,
    /// Where the key of secrets is.
    pub secret_key: KeyFile,
    /// Whether webhook endpoints of test mode may be private, and without TLS.
    pub allow_private_webhooks: bool,
}

/// What the routes can see of the scheduler.
#[derive(Default)]
pub(crate) struct Shared {
    /// When the last tick ended, if it went well.
    well_at: Mutex<Option<Instant>>,
    /// Counters for `/metrics`.
    pub(crate) metrics: scheduler::Metrics,
    /// The same of webhooks.
    pub(crate) webhooks: Arc<delivering::Metrics>,
}

/// A tick takes milliseconds, and two are half a second apart: if none ends for so long, nothing is charged.
const TICK_MAX: Duration = Duration::from_secs(30);

impl Shared {
    /// Notes the end of a tick of the scheduler.
    fn ticked(&self, is_well: bool) {
        let mut well_at = self.well_at.lock().unwrap_or_else(PoisonError::into_inner);
        *well_at = is_well.then(Instant::now);
    }

    /// Whether the scheduler is at work: it is not, too, when its task has died.
    pub(crate) fn is_well(&self) -> bool {
        let well_at = *self.well_at.lock().unwrap_or_else(PoisonError::into_inner);
        well_at.is_some_and(|at| at.elapsed() < TICK_MAX)
    }
}

fn greet(format: Format, addr: SocketAddr) -> Result<(), Failure> {
    output::write_line(&match format {
        Format::Json => json!({"url": format!("http://{addr}")}).to_string(),
        Format::Text => format!("teiki is listening on http://{addr}; stop it with Ctrl-C"),
    })?;
    output::ready();
    Ok(())
}

/// Serves until asked to stop.
pub async fn serve(app: App, config: Config) -> Result<(), Failure> {
    let secrets = Arc::new(Secrets::open(&app.db, config.secret_key).await?);
    if config.allow_private_webhooks {
        tracing::warn!(
            "webhook endpoints of test mode may be private: whoever has a test key can reach what this server can"
        );
    }
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        Failure::failed(format!("cannot listen on {}: {error}; choose another --listen", config.listen))
    })?;
    let addr = listener.local_addr().map_err(|error| Failure::failed(error.to_string()))?;
    let shared = Arc::new(Shared::default());
    let (stop, stopping) = watch::channel(false);
    let background = Background::start(&app).await?;
    let sides = Arc::new(Sides::new(app.clone(), &background, config.sandbox, config.data_dir));
    let bells = Bells::default();
    let desk = delivering::Desk {
        app: background.app.clone(),
        secrets: Arc::clone(&secrets),
        metrics: Arc::clone(&shared.webhooks),
        allow_private: config.allow_private_webhooks,
    };
    let mut jobs = Jobs::start(&background, (&sides, &shared), &bells, desk, &stopping);
    let payments = TaskTracker::new();
    let site = Site {
        app: app.clone(),
        sides: Arc::clone(&sides),
        shared,
        payments: payments.clone(),
        secrets,
        allow_private_webhooks: config.allow_private_webhooks,
        exports: Places::default(),
        previews: Semaphore::new(plan_switches::api::PREVIEWS_MAX),
        background: background.app.db.clone(),
        stopping: stopping.clone(),
        limits: Limits::default(),
        strangers: Strangers::default(),
        key_uses: bells.key_uses,
        clock_bell: bells.clock,
        switch_bell: bells.switch,
    };
    let router = routes::router(Arc::new(site));
    let clients = listener::Patient::new(listener, stopping.clone());
    let serving = tokio::spawn(connections::serve(clients, router, stopping));
    let mut signals = Signals::listen();
    greet(app.format, addr)?;
    let died = tokio::select! {
        () = signals.next() => None,
        failure = jobs.one_died() => Some(failure),
    };
    stop.send_replace(true);
    // Also when the scheduler is what died, which would do this itself: test clocks on their way would go on for ever.
    sides.stop_sending();
    tokio::spawn(async move {
        signals.next().await;
        signals::exit_now();
    });
    let ended = jobs.end().await;
    serving.await.map_err(|error| Failure::failed(format!("the HTTP server failed: {error}")))?;
    payments.close();
    payments.wait().await;
    sides.stop_sandbox().await;
    died.map_or(ended, Err)
}
