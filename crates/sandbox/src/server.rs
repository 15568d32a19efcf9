//! The running sandbox: start, stop, and what all requests share.
//!
//! Owns every task it starts: they end with [`Server::stop`], or by themselves soon after the [`Server`] is dropped.
//! Order: configuration, start, stop, what requests share, the rate. Limit: [`ORDERS_MAX`] orders at a time.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::book::BookError;
use crate::connection::{Control, Doorway};
use crate::desk::Desk;
use crate::faults::{Faults, Plan};
use crate::routes::router;

/// Orders that are being executed or wait for their delay; one more is answered with 429.
const ORDERS_MAX: u32 = 65_536;
/// How long a stop waits for connections that neither speak nor leave; nothing is executing by then.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a sandbox is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The book; made if it does not exist. Its counters lie beside it in `<book>.state`.
    pub book: PathBuf,
    /// What goes wrong.
    pub faults: Faults,
    /// Decides, with the number of each request, which faults hit it.
    pub seed: u64,
}

/// Why a sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not allowed.
    #[error("the sandbox could not listen on {listen}: {source}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The book cannot be used.
    #[error("the sandbox could not open its book: {0}")]
    Book(#[from] BookError),
}

/// A running sandbox. Dropping it stops it too, but without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    sandbox: Arc<Sandbox>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// Starts a sandbox in the present Tokio runtime. It is listening when this returns.
///
/// # Errors
/// [`StartError::Book`] when the book is damaged, unreadable or in use; [`StartError::Listen`] when the address is taken.
pub async fn start(config: Config) -> Result<Server, StartError> {
    let Config { listen, book, faults, seed } = config;
    let listen_error = |source| StartError::Listen { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let idempotency = faults.idempotency();
    let desk = tokio::task::spawn_blocking(move || Desk::open(&book, idempotency))
        .await
        .expect("opening a book does not panic")?;
    let (stop, stopping) = watch::channel(false);
    let sandbox = Arc::new(Sandbox {
        requests: AtomicU64::new(desk.lines()),
        desk,
        rate: faults.rate_per_second().map(Rate::new),
        faults,
        seed,
        orders: Arc::new(Semaphore::new(usize::try_from(ORDERS_MAX).expect("usize has 32 bits or more"))),
        stopping,
    });
    let app = router(Arc::clone(&sandbox)).into_make_service_with_connect_info::<Control>();
    let until_stop = Arc::clone(&sandbox);
    let serving = tokio::spawn(async move {
        let served = axum::serve(Doorway::new(listener), app)
            .with_graceful_shutdown(async move { until_stop.stopping().await });
        // Serving has no error of its own.
        let _ = served.await;
    });
    Ok(Server { address, sandbox, stop, serving })
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://address:port`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more, executes at once what was accepted (delays are cut short), syncs the book and lets go of it.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all_orders_done =
            self.sandbox.orders.acquire_many(ORDERS_MAX).await.expect("the semaphore is never closed");
        // Nothing more is executed: the permits are never given back.
        all_orders_done.forget();
        let _ = tokio::time::timeout(GOODBYE, &mut self.serving).await;
        self.serving.abort();
        let sandbox = Arc::clone(&self.sandbox);
        let _ = tokio::task::spawn_blocking(move || sandbox.desk.close()).await;
    }
}

/// What all requests share.
pub(crate) struct Sandbox {
    pub(crate) desk: Desk,
    pub(crate) faults: Faults,
    seed: u64,
    /// Numbers the requests that move money; goes on from the number of lines after a restart.
    requests: AtomicU64,
    rate: Option<Rate>,
    orders: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sandbox")
            .field("faults", &self.faults)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// The real time, to the microsecond.
    #[expect(
        clippy::disallowed_methods,
        reason = "a stand-in for the outside world reads the clock, here and nowhere else"
    )]
    pub(crate) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Counts a request and decides its faults.
    pub(crate) fn next_plan(&self) -> Plan {
        self.faults.plan(self.seed, self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// Permission to execute one more order; nothing when too many wait, or the sandbox has stopped.
    pub(crate) fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if self.is_within_rate() { Arc::clone(&self.orders).try_acquire_owned().ok() } else { None }
    }

    pub(crate) fn is_within_rate(&self) -> bool {
        self.rate.as_ref().is_none_or(|rate| rate.take(Instant::now()))
    }

    /// Returns when the server is told to stop, or was dropped.
    pub(crate) async fn stopping(&self) {
        let _ = self.stopping.clone().wait_for(|is_stopping| *is_stopping).await;
    }

    pub(crate) async fn sleep_unless_stopping(&self, duration: Duration) {
        let _ = tokio::time::timeout(duration, self.stopping()).await;
    }
}

/// A bucket that holds one second of requests and fills steadily.
struct Rate {
    interval: Duration,
    /// When the bucket would be full again.
    full_at: Mutex<Instant>,
}

impl Rate {
    const BURST: Duration = Duration::from_secs(1);

    fn new(per_second: u32) -> Self {
        Self { interval: Self::BURST / per_second, full_at: Mutex::new(Instant::now()) }
    }

    fn take(&self, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next_full_at = (*full_at).max(now) + self.interval;
        let has_room = next_full_at - now <= Self::BURST;
        if has_room {
            *full_at = next_full_at;
        }
        has_room
    }
}
