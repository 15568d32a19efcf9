//! The connections of the server: how many there are, how long a head may take, and how they end.
//!
//! A client is taken while fewer than the limit are connected ([`Patient`]), so that the descriptors of this process are never
//! all taken by clients. The head of a request has [`HEAD_WAIT`] to come whole, however slowly its bytes drip; between two
//! requests a connection may be silent as long as [`super::listener`] allows, unless somebody waits for its place: the one that
//! has rested longest goes. A stop ends connections after the request that they are at.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::map_request;
use hyper::rt::{Sleep, Timer};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

use super::listener::{Client, Connection, Patient};
use super::unread;

/// How long the head of a request may take, from its first byte; on a new connection, from its beginning.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// Longest head of a request, its address included, in bytes. Proxies send less than a quarter of it.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most header lines of a request.
pub(super) const HEADERS_MAX: usize = 100;

/// Serves `clients` until the server is stopping, and then what they have begun.
pub(super) async fn serve(mut clients: Patient, router: Router, mut stopping: watch::Receiver<bool>) {
    let connections = TaskTracker::new();
    let router = router.layer(map_request(unread::kept));
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
    let Client { connection, _place, place_bell } = client;
    let mut http = pin!(http(connection, router, place_bell));
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
    place_bell: Arc<Notify>,
) -> http1::Connection<TokioIo<Connection<S>>, TowerToHyperService<Router>> {
    http1::Builder::new()
        .timer(Heads { is_begun: connection.has_sent(), is_first: AtomicBool::new(true), place_bell })
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
    place_bell: Arc<Notify>,
}

impl Timer for Heads {
    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Sleep>> {
        // Who connects has something to ask, and who has asked may come back later.
        let is_first = self.is_first.swap(false, Ordering::Relaxed);
        self.is_begun.store(is_first, Ordering::Relaxed);
        Box::pin(HeadWait {
            is_begun: Arc::clone(&self.is_begun),
            wait,
            place_bell: Arc::clone(&self.place_bell),
            resting: None,
            running: None,
        })
    }

    /// `deadline` is [`HEAD_WAIT`] from now, which is too early for a head that has not begun.
    fn sleep_until(&self, _deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(HEAD_WAIT)
    }
}

/// Ends when a head that has begun is not whole in time, or none has begun and the place is wanted.
struct HeadWait {
    is_begun: Arc<AtomicBool>,
    wait: Duration,
    place_bell: Arc<Notify>,
    /// Until the head begins. Of those that wait for the bell it wakes the one that has waited longest.
    resting: Option<Pin<Box<OwnedNotified>>>,
    running: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Future for HeadWait {
    type Output = ();

    /// Until the head has begun nothing but the bell wakes it: what comes wakes the connection, and that looks here again.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_begun.load(Ordering::Relaxed) {
            let bell = Arc::clone(&self.place_bell);
            return self.resting.get_or_insert_with(|| Box::pin(bell.notified_owned())).as_mut().poll(cx);
        }
        // A ring that it does not take goes on to the next.
        self.resting = None;
        let wait = self.wait;
        self.running.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait))).as_mut().poll(cx)
    }
}

impl Sleep for HeadWait {}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: teiki\r\n\r\n";

    /// A client's end of a connection that is served.
    fn served() -> (DuplexStream, JoinHandle<()>, watch::Sender<bool>) {
        served_among(&Arc::default())
    }

    /// The same for one of several.
    fn served_among(place_bell: &Arc<Notify>) -> (DuplexStream, JoinHandle<()>, watch::Sender<bool>) {
        let (server, client) = duplex(1_024);
        let (stop, stopping) = watch::channel(false);
        let place_bell = Arc::clone(place_bell);
        let serving = tokio::spawn(async move {
            let _ = http(Connection::new(server, stopping), router(), place_bell).await;
        });
        (client, serving, stop)
    }

    /// Answers before it has looked at a body.
    fn router() -> Router {
        let router = Router::new().route("/", get(async || "well").post(async || "well"));
        router.layer(map_request(unread::kept))
    }

    async fn is_answered(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> bool {
        is_answered_to(client, REQUEST).await
    }

    async fn is_answered_to(client: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &[u8]) -> bool {
        client.write_all(request).await.expect("it is taken");
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

    /// The place is given up, and nothing more is said.
    async fn has_ended((mut client, serving, stop): (DuplexStream, JoinHandle<()>, watch::Sender<bool>)) {
        serving.await.expect("it has ended");
        assert_eq!(client.read(&mut [0; 1]).await.expect("an end"), 0);
        drop(stop);
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_rested_longest_gives_its_place_up() {
        let bell = Arc::default();
        let [mut first, mut second, mut new] = [(); 3].map(|()| served_among(&bell));
        for connection in [&mut second, &mut first] {
            assert!(is_answered(&mut connection.0).await);
            sleep(Duration::from_secs(1)).await;
        }
        bell.notify_one();
        let began = Instant::now();
        has_ended(second).await;
        // Within a head nobody goes, however long it has taken; the ring waits for the next that rests.
        first.0.write_all(b"GET / HTTP/1.1\r\n").await.expect("it is taken");
        sleep(Duration::from_secs(1)).await;
        bell.notify_one();
        sleep(Duration::from_secs(1)).await;
        assert!(is_answered_to(&mut first.0, b"host: teiki\r\n\r\n").await);
        has_ended(first).await;
        assert!(is_answered(&mut new.0).await);
        assert_eq!(began.elapsed().as_secs(), 2);
    }

    #[tokio::test]
    async fn who_comes_is_served_while_others_only_rest() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopping) = watch::channel(false);
        let clients = Patient::with_places(listener, stopping.clone(), 2);
        let serving = tokio::spawn(serve(clients, router(), stopping));
        let mut connected = Vec::new();
        for _ in 0..6 {
            let mut client = TcpStream::connect(address).await.expect("it connects");
            let answered = tokio::time::timeout(HEAD_WAIT, is_answered(&mut client)).await;
            assert!(answered.expect("one that rests has left"));
            connected.push(client);
        }
        stop.send_replace(true);
        serving.await.expect("it has ended");
    }

    /// A POST with a body of this length, without it.
    fn post(length: usize, more: &str) -> Vec<u8> {
        format!("POST / HTTP/1.1\r\nhost: teiki\r\ncontent-length: {length}\r\n{more}\r\n").into_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_body_is_read_after_the_answer() {
        let (mut client, serving, stop) = served();
        assert!(is_answered_to(&mut client, &post(unread::BYTES_MAX, "")).await);
        client.write_all(&vec![b'a'; unread::BYTES_MAX]).await.expect("it is taken");
        assert!(is_answered(&mut client).await, "the next one is answered");
        drop(client);
        serving.await.expect("it has ended");
        drop(stop);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_body_that_nobody_wants_only_so_much_is_read() {
        let (mut client, serving, stop) = served();
        let length = 2 * unread::BYTES_MAX;
        assert!(is_answered_to(&mut client, &post(length, "")).await);
        assert!(client.write_all(&vec![b'a'; length]).await.is_err());
        has_ended((client, serving, stop)).await;
        let (mut slow, serving, stop) = served();
        assert!(is_answered_to(&mut slow, &post(1, "")).await);
        let began = Instant::now();
        has_ended((slow, serving, stop)).await;
        assert_eq!(began.elapsed().as_secs(), unread::WAIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_whether_to_send_a_body_that_nobody_wants_is_only_answered() {
        let (mut client, serving, stop) = served();
        let began = Instant::now();
        client.write_all(&post(1, "expect: 100-continue\r\n")).await.expect("it is taken");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("text");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("well"), "{answer}");
        serving.await.expect("it has ended");
        assert_eq!(began.elapsed().as_secs(), 0);
        drop(stop);
    }
}
