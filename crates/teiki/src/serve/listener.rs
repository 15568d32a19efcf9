//! Clients are taken while there is place for them, and their connections do not wait forever for those that take nothing, or
//! send nothing.
//!
//! Of the descriptors of this process clients have at most half ([`places`]): the others are for the database, the gateway and
//! webhooks. When all places are taken, the next who comes rings for one: the connection that has rested longest between two
//! requests ends ([`super::connections`]), or else the next one that rests. Until then it waits, and all others with the
//! system; the log says so once a minute.
//!
//! An answer that is longer than the buffers of the system is written as its client takes it. A client that takes nothing for
//! [`STALL_MAX`] has its connection closed, and so has one that is still behind [`STOP_PATIENCE`] after the server began to
//! stop: whatever makes the answer ends with it, and no client keeps a server from stopping. What fits the buffers never waits.
//! A connection on which nothing has come or gone for [`SILENCE_MAX`] is closed too, in the middle of a request or after one.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep};

use super::refusals;
use crate::logs::Seldom;

/// How long a client may take nothing of an answer. Longer than a network is lost and found again.
const STALL_MAX: Duration = Duration::from_secs(60);
/// How long nothing may come or go on a connection. Longer than any request works before its answer begins, which takes 25 seconds
/// and the reading of its body.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// How long a stopping server writes to a client that does not keep up.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Most clients that are connected at once, where the system allows so many: each may have a request under way.
const CLIENTS_MAX: usize = 1_024;
/// After a client could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Between two words about clients that could not be taken.
const WARN_PAUSE: Duration = Duration::from_secs(60);

/// Where clients arrive.
pub(super) struct Patient {
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
    places: Arc<Semaphore>,
    place_bell: Arc<Notify>,
    places_max: usize,
    full: Seldom,
    failed: Seldom,
}

/// A client that has connected.
pub(super) struct Client {
    pub(super) connection: Connection<TcpStream>,
    /// Given back when its connection ends.
    pub(super) _place: OwnedSemaphorePermit,
    /// Rung when its place is wanted.
    pub(super) place_bell: Arc<Notify>,
}

/// How many clients may be connected at once: half of the descriptors that this process may have open.
fn places() -> usize {
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(descriptors / 2).unwrap_or(CLIENTS_MAX).clamp(1, CLIENTS_MAX)
}

impl Patient {
    /// Takes clients of `listener` until the server is stopping.
    pub(super) fn new(listener: TcpListener, stopping: watch::Receiver<bool>) -> Self {
        Self::with_places(listener, stopping, places())
    }

    pub(super) fn with_places(
        listener: TcpListener,
        stopping: watch::Receiver<bool>,
        places_max: usize,
    ) -> Self {
        Self {
            listener,
            stopping,
            places: Arc::new(Semaphore::new(places_max)),
            place_bell: Arc::default(),
            places_max,
            full: Seldom::default(),
            failed: Seldom::default(),
        }
    }

    /// The next client, when there is place for it.
    pub(super) async fn accept(&mut self) -> Client {
        let stream = self.arrival().await;
        let place = self.place().await;
        Client {
            connection: Connection::new(stream, self.stopping.clone()),
            _place: place,
            place_bell: Arc::clone(&self.place_bell),
        }
    }

    async fn arrival(&mut self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                // It left before it was taken.
                Err(error) if is_of_client(&error) => {}
                // The system has no descriptor or memory left, which passes when something ends.
                Err(error) => {
                    if self.failed.is_time(Instant::now(), WARN_PAUSE).is_some() {
                        tracing::error!(%error, "a client cannot be taken; trying again every second");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn place(&mut self) -> OwnedSemaphorePermit {
        if self.places.available_permits() == 0 {
            self.place_bell.notify_one();
            if self.full.is_time(Instant::now(), WARN_PAUSE).is_some() {
                let connected = self.places_max;
                tracing::warn!(
                    connected,
                    "all places are taken: who comes waits until a client leaves or rests"
                );
            }
        }
        Arc::clone(&self.places).acquire_owned().await.expect("nobody closes the places")
    }
}

fn is_of_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

/// A client's connection, whose writes end.
pub(super) struct Connection<S> {
    stream: S,
    /// Since the client took something last; `None` while nothing waits for it.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Since something came or went last; `None` while nothing is waited for.
    silent: Option<Pin<Box<Sleep>>>,
    /// When the server is stopping and the client had its time. It is looked at while something waits.
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The client had its time.
    is_over: bool,
    /// Set when something has come; whoever asks sets it back.
    has_sent: Arc<AtomicBool>,
    /// What is left to write of a refusal, in place of the empty one.
    refusal: Vec<u8>,
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S, mut stopping: watch::Receiver<bool>) -> Self {
        let stopped = async move {
            // An error means that the sender is gone, which is a stop too.
            let _ = stopping.wait_for(|stop| *stop).await;
            sleep(STOP_PATIENCE).await;
        };
        Self {
            stream,
            stalled: None,
            silent: None,
            stopped: Box::pin(stopped),
            is_over: false,
            has_sent: Arc::default(),
            refusal: Vec::new(),
        }
    }

    /// Set whenever something has come.
    pub(super) fn has_sent(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_sent)
    }

    /// What a write came to; an error when the client has had its time.
    fn within_time<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            self.silent = None;
            return written;
        }
        if !self.is_over {
            let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL_MAX)));
            if stalled.as_mut().poll(cx).is_pending() {
                ready!(self.stopped.as_mut().poll(cx));
            }
            self.is_over = true;
        }
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client does not take its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.silent = None;
            self.has_sent.store(true, Ordering::Relaxed);
            return read;
        }
        ready!(self.silent.get_or_insert_with(|| Box::pin(sleep(SILENCE_MAX))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client sends nothing")))
    }
}

impl<S: AsyncWrite + Unpin> Connection<S> {
    /// Whether `bytes` are an empty refusal, so that another is written in its place.
    fn is_refusal(&mut self, bytes: &[u8]) -> bool {
        if self.refusal.is_empty() {
            self.refusal = refusals::told(bytes).unwrap_or_default();
        }
        !self.refusal.is_empty()
    }

    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.refusal))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                count => drop(self.refusal.drain(..count)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = if self.is_refusal(bytes) {
            self.poll_refusal(cx).map_ok(|()| bytes.len())
        } else {
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        };
        self.within_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = parts.first()
            && self.is_refusal(first)
        {
            return self.poll_write(cx, first);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.within_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    /// What the client's side of a connection can hold.
    const BUFFER: usize = 16;

    struct Ends {
        server: Connection<DuplexStream>,
        client: DuplexStream,
        stop: watch::Sender<bool>,
    }

    fn ends() -> Ends {
        let (server, client) = duplex(BUFFER);
        let (stop, stopping) = watch::channel(false);
        Ends { server: Connection::new(server, stopping), client, stop }
    }

    async fn is_given_up(server: &mut Connection<DuplexStream>) -> bool {
        let written = server.write_all(&[0; 4 * BUFFER]).await;
        written.is_err_and(|error| error.kind() == ErrorKind::TimedOut)
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_waits_until_one_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopping) = watch::channel(false);
        let mut clients = Patient::with_places(listener, stopping, 2);
        let mut connected = Vec::new();
        for _ in 0..3 {
            connected.push(TcpStream::connect(address).await.expect("it connects"));
        }
        let taken = [clients.accept().await, clients.accept().await];
        let mut third = pin!(clients.accept());
        assert!(third.as_mut().now_or_never().is_none(), "there is no place");
        drop(taken);
        third.await;
        drop((connected, stop));
    }

    #[tokio::test]
    async fn an_empty_refusal_is_written_with_a_body_however_little_is_taken_at_once() {
        let Ends { mut server, mut client, stop } = ends();
        let empty = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let writing = tokio::spawn(async move { server.write_all(empty).await });
        let mut text = String::new();
        client.read_to_string(&mut text).await.expect("text");
        writing.await.expect("no panic").expect("it goes");
        assert!(text.ends_with("}}") && text.contains("malformed_request"), "{text}");
        drop(stop);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_after_a_minute() {
        let Ends { mut server, client, stop } = ends();
        let began = Instant::now();
        assert!(is_given_up(&mut server).await);
        assert_eq!(began.elapsed().as_secs(), STALL_MAX.as_secs());
        drop((client, stop));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_is_given_up_unless_it_takes_something() {
        let Ends { mut server, mut client, stop } = ends();
        let part = SILENCE_MAX - Duration::from_secs(1);
        client.write_all(b"GET").await.expect("it is taken");
        sleep(part).await;
        server.read_exact(&mut [0; 3]).await.expect("it came");
        let began = Instant::now();
        let (mut reading, mut writing) = tokio::io::split(server);
        let writer = tokio::spawn(async move {
            sleep(part).await;
            writing.write_all(b"1").await
        });
        // Polled again when something went, as a connection is by its server.
        let silence = async {
            let mut byte = [0; 1];
            tokio::select! {
                read = reading.read(&mut byte) => return read,
                () = sleep(part + Duration::from_millis(1)) => {}
            }
            reading.read(&mut byte).await
        };
        let error = silence.await.expect_err("it is given up");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), (part + SILENCE_MAX).as_secs());
        writer.await.expect("no panic").expect("it went");
        drop((client, stop));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_gets_everything() {
        let Ends { mut server, mut client, stop } = ends();
        let reading = tokio::spawn(async move {
            let mut taken = 0;
            while taken < 4 * BUFFER {
                sleep(STALL_MAX - Duration::from_secs(1)).await;
                taken += client.read(&mut [0; BUFFER]).await.expect("it reads");
            }
        });
        assert!(!is_given_up(&mut server).await);
        reading.await.expect("all is taken");
        drop(stop);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_does_not_keep_a_server_from_stopping() {
        let Ends { mut server, mut client, stop } = ends();
        let began = Instant::now();
        tokio::spawn(async move {
            sleep(Duration::from_secs(3)).await;
            stop.send_replace(true);
            loop {
                sleep(Duration::from_secs(1)).await;
                if client.read(&mut [0; 1]).await.is_err() {
                    break;
                }
            }
        });
        assert!(is_given_up(&mut server).await);
        assert_eq!(began.elapsed().as_secs(), 3 + STOP_PATIENCE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_buffers_hold_is_written_at_once_also_while_stopping() {
        let Ends { mut server, client, stop } = ends();
        stop.send_replace(true);
        sleep(2 * STOP_PATIENCE).await;
        assert!(server.write_all(&[0; BUFFER]).await.is_ok());
        drop(client);
    }
}
