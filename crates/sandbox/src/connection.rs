//! Connections that can be cut without an answer, and the listener that makes them.
//!
//! Carries bytes and knows no HTTP beyond "a request has begun" and "its handler has it". Order: the control that a
//! handler holds, the listener, the stream. Three things a plain `TcpStream` cannot do: end in a reset when the handler
//! says so; give up on a client that begins a request and does not finish it; and hand a whole request to its handler even
//! though the client is already gone – hyper drops a request unseen when it meets the end of the stream in the same turn.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Open connections; below the usual limit of 1024 files, as hanging faults keep theirs open.
const CONNECTIONS_MAX: usize = 960;
/// From the first byte of a request until its handler has all of it.
const REQUEST_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the end of the stream is held back while a complete request may still wait for its handler.
const END_DEFERRALS_MAX: u8 = 16;

/// What a handler may tell its connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Control(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    /// The next write ends the connection in a reset.
    is_cut: AtomicBool,
    /// A handler has the whole request and no byte of the answer was written yet.
    is_taken: AtomicBool,
}

impl Control {
    /// The handler has the whole request: from now on the client may go.
    pub(crate) fn take_request(&self) {
        self.0.is_taken.store(true, Ordering::Release);
    }

    /// Whatever is answered next, the client sees a reset instead.
    pub(crate) fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Release);
    }

    fn is_taken(&self) -> bool {
        self.0.is_taken.load(Ordering::Acquire)
    }

    fn begin_answer(&self) -> io::Result<()> {
        self.0.is_taken.store(false, Ordering::Release);
        if self.0.is_cut.load(Ordering::Acquire) {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

impl Connected<IncomingStream<'_, Doorway>> for Control {
    fn connect_info(stream: IncomingStream<'_, Doorway>) -> Self {
        stream.io().control.clone()
    }
}

/// Accepts connections, up to a limit; further ones wait in the system's queue.
pub(crate) struct Doorway {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

impl Doorway {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl Listener for Doorway {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Without it answers are slower, not wrong.
        let _ = stream.set_nodelay(true);
        (Connection::new(stream, permit), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

pub(crate) struct Connection {
    stream: TcpStream,
    control: Control,
    /// When the first byte of a request came that no handler has yet.
    request_began_at: Option<Instant>,
    end_deferrals: u8,
    /// Ticks while a read waits; one timer serves all requests of the connection.
    tick: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            control: Control::default(),
            request_began_at: None,
            end_deferrals: 0,
            tick: Box::pin(tokio::time::sleep(REQUEST_READ_TIMEOUT)),
            _permit: permit,
        }
    }

    fn begin_answer(&mut self) -> io::Result<()> {
        self.request_began_at = None;
        self.end_deferrals = 0;
        let result = self.control.begin_answer();
        if result.is_err() {
            // With it the system sends a reset when the stream is dropped; without it, a plain end.
            let _ = self.stream.set_zero_linger();
        }
        result
    }

    fn has_unfinished_request(&self) -> bool {
        self.request_began_at.is_some() && !self.control.is_taken()
    }

    /// The end of the stream: held back for some turns when a request is under way, so that its handler starts.
    fn poll_end(&mut self, context: &mut Context<'_>, end: io::Result<()>) -> Poll<io::Result<()>> {
        if self.has_unfinished_request() && self.end_deferrals < END_DEFERRALS_MAX {
            self.end_deferrals += 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(end)
    }

    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.tick.as_mut().poll(context));
            let now = Instant::now();
            let waited = self.request_began_at.map_or(Duration::ZERO, |began_at| now - began_at);
            if self.has_unfinished_request() && waited >= REQUEST_READ_TIMEOUT {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.tick.as_mut().reset((now + REQUEST_READ_TIMEOUT).into());
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled_before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.poll_timeout(context),
            Poll::Ready(Ok(())) if buffer.filled().len() > filled_before => {
                if self.request_began_at.is_none() && !self.control.is_taken() {
                    self.request_began_at = Some(Instant::now());
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(end) => self.poll_end(context, end),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.begin_answer()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.begin_answer()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
