//! The connections of the server: how many there are, how long a head may take, and how they end.
//!
//! A client is taken while fewer than the limit are connected ([`Patient`]), so that the descriptors of this process are never
//! all taken by clients. The head of a request has [`HEAD_WAIT`] to come whole, however slowly its bytes drip; between two
//! requests a connection may be silent as long as [`super::listener`] allows. A stop ends connections after the request that
//! they are at.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::rt::{Sleep, Timer};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::listener::{Client, Connection, Patient};

/// How long the head of a request may take, from its first byte; on a new connection, from its beginning.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// Longest head of a request, its address included, in bytes. Proxies send less than a quarter of it.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most header lines of a request.
pub(super) const HEADERS_MAX: usize = 100;

/// Serves `clients` until the server is stopping, and then what they have begun.
pub(super) async fn serve(mut clients: Patient, router: Router, mut stopping: watch::Receiver<bool>) {
    let connections = TaskTracker::new();
    loop {
        let until = stopping.clone();
        let client = tokio::select! {
            client = clients.accept() => client,
            // An error means that the sender is gone, which is a stop too.
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        connections.spawn(attend(client, router.clone(), until));
    }
    drop(clients);
    connections.close();
    connections.wait().await;
}

/// Answers one client until it leaves, or the server is stopping. What fails on a connection concerns its client alone.
async fn attend(client: Client, router: Router, mut stopping: watch::Receiver<bool>) {
    let Client { connection, _place } = client;
    let mut http = pin!(http(connection, router));
    tokio::select! {
        _ = http.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    http.as_mut().graceful_shutdown();
    // Its end is the end, well or not.
    let _ = http.await;
}

fn http<S: AsyncRead + AsyncWrite + Unpin>(
    connection: Connection<S>,
    router: Router,
) -> http1::Connection<TokioIo<Connection<S>>, TowerToHyperService<Router>> {
    http1::Builder::new()
        .timer(Heads { is_begun: connection.has_sent(), is_first: AtomicBool::new(true) })
        .header_read_timeout(HEAD_WAIT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router))
}

/// The clock of the heads on one connection. hyper takes a sleep of it when it begins to wait for a head, and looks at it
/// until the head is whole. Nothing else of hyper's server sleeps.
struct Heads {
    /// Something has come since the sleep was taken.
    is_begun: Arc<AtomicBool>,
    is_first: AtomicBool,
}

impl Timer for Heads {
    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Sleep>> {
        // Who connects has something to ask, and who has asked may come back later.
        let is_first = self.is_first.swap(false, Ordering::Relaxed);
        self.is_begun.store(is_first, Ordering::Relaxed);
        Box::pin(HeadWait { is_begun: Arc::clone(&self.is_begun), wait, running: None })
    }

    /// `deadline` is [`HEAD_WAIT`] from now, which is too early for a head that has not begun.
    fn sleep_until(&self, _deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(HEAD_WAIT)
    }
}

/// Ends when a head that has begun is not whole in time.
struct HeadWait {
    is_begun: Arc<AtomicBool>,
    wait: Duration,
    running: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Future for HeadWait {
    type Output = ();

    /// Until the head has begun nothing wakes it: what comes wakes the connection, and that looks here again.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_begun.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let wait = self.wait;
        self.running.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait))).as_mut().poll(cx)
    }
}

impl Sleep for HeadWait {}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: teiki\r\n\r\n";

    /// A client's end of a connection that is served.
    fn served() -> (DuplexStream, JoinHandle<()>, watch::Sender<bool>) {
        let (server, client) = duplex(1_024);
        let (stop, stopping) = watch::channel(false);
        let router = Router::new().route("/", get(async || "well"));
        let serving = tokio::spawn(async move {
            let _ = http(Connection::new(server, stopping), router).await;
        });
        (client, serving, stop)
    }

    async fn is_answered(client: &mut DuplexStream) -> bool {
        client.write_all(REQUEST).await.expect("it is taken");
        let mut answer = [0; 1_024];
        let length = client.read(&mut answer).await.expect("it reads");
        answer[..length].ends_with(b"well")
    }

    /// Sends a byte a second until the server has had enough.
    async fn drip(client: &mut DuplexStream) -> u64 {
        let began = Instant::now();
        while client.write_all(b"G").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_is_given_up() {
        let (mut client, serving, stop) = served();
        assert_eq!(drip(&mut client).await, HEAD_WAIT.as_secs() + 1);
        serving.await.expect("it has ended");
        drop(stop);
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_and_says_nothing_is_given_up() {
        let (client, serving, stop) = served();
        let began = Instant::now();
        serving.await.expect("it has ended");
        assert_eq!(began.elapsed().as_secs(), HEAD_WAIT.as_secs());
        drop((client, stop));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_rest_between_two_requests_but_not_within_a_head() {
        let (mut client, serving, stop) = served();
        for _ in 0..3 {
            assert!(is_answered(&mut client).await);
            sleep(6 * HEAD_WAIT).await;
        }
        assert_eq!(drip(&mut client).await, HEAD_WAIT.as_secs() + 1);
        serving.await.expect("it has ended");
        drop(stop);
    }
}
