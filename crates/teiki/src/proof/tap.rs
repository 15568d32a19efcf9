//! The tap between teiki and the gateway: passes every byte on and notes which charges have been sent.
//!
//! It is how the proof sees from outside what was under way at the moment of a kill: a request whose bytes
//! had left the process and whose answer had not come back. It belongs to the proof's own process, so it
//! outlives every kill, and it changes nothing: an answer that the gateway cuts off is cut off here too.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::failure::Failure;

/// What is read at once; a request or an answer is far smaller.
const CHUNK: usize = 8 * 1024;
/// The longest request that is looked at.
const REQUEST_MAX: usize = 64 * 1024;
/// How a request that charges begins, and what its charge id stands behind.
const CHARGE: &[u8] = b"POST /charges ";
const REFERENCE: &[u8] = b"\"reference\":\"";
/// Pause between two looks at the counters.
pub(super) const LOOK: Duration = Duration::from_millis(1);
/// How long the connections of a dead process may take to close.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// A running tap. Dropping it cuts it off.
pub(super) struct Tap {
    url: String,
    noted: Arc<Noted>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Noted {
    /// Connections that are open.
    open: AtomicU64,
    /// Requests to charge whose client left before an answer came.
    abandoned: AtomicU64,
    /// Different charges that have been sent.
    sent: AtomicU64,
    charges: Mutex<Charges>,
}

#[derive(Default)]
struct Charges {
    references: HashSet<String>,
    /// When a charge was first sent that had never been sent before, since it was last asked.
    first_new_at: Option<Instant>,
}

impl Tap {
    /// A tap on a port of its own, before the gateway at `gateway` (`http://address:port`).
    pub(super) async fn start(gateway: &str) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("no port for the proof: {error}"));
        let gateway: SocketAddr = gateway
            .trim_start_matches("http://")
            .parse()
            .map_err(|_| Failure::failed(format!("the sandbox's address {gateway} does not read")))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let noted = Arc::new(Noted::default());
        let listening = tokio::spawn(listen(listener, gateway, Arc::clone(&noted)));
        Ok(Self { url, noted, listening })
    }

    /// What teiki takes for the gateway.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// How many different charges have been sent.
    pub(super) fn sent(&self) -> u64 {
        self.noted.sent.load(Ordering::Acquire)
    }

    /// When a charge was first sent that had never been sent before, since this was last asked.
    pub(super) fn take_first_new(&self) -> Option<Instant> {
        self.noted.charges().first_new_at.take()
    }

    /// Requests to charge whose client has left before an answer came, so far.
    pub(super) fn abandoned(&self) -> u64 {
        self.noted.abandoned.load(Ordering::Acquire)
    }

    /// The same, once every connection is closed.
    pub(super) async fn all_closed(&self) -> u64 {
        let give_up_at = Instant::now() + CLOSING_MAX;
        while self.noted.open.load(Ordering::Acquire) > 0 && Instant::now() < give_up_at {
            tokio::time::sleep(LOOK).await;
        }
        self.abandoned()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Noted {
    fn charges(&self) -> std::sync::MutexGuard<'_, Charges> {
        self.charges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, reference: &str) {
        let mut charges = self.charges();
        if charges.references.insert(reference.to_owned()) {
            charges.first_new_at.get_or_insert_with(Instant::now);
            self.sent.fetch_add(1, Ordering::AcqRel);
        }
    }
}

async fn listen(listener: TcpListener, gateway: SocketAddr, noted: Arc<Noted>) {
    while let Ok((client, _)) = listener.accept().await {
        let noted = Arc::clone(&noted);
        noted.open.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(async move {
            // Whichever side fails, the connection is over; that is all there is to say.
            let _ = pass(client, gateway, &noted).await;
            noted.open.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// One connection, on which a request comes only after the answer to the former one.
async fn pass(mut client: TcpStream, gateway: SocketAddr, noted: &Noted) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(gateway).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (mut asked, mut answered) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut request = Request::default();
    loop {
        tokio::select! {
            biased;
            length = upstream.read(&mut answered) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                request = Request::default();
                client.write_all(&answered[..length]).await?;
            }
            length = client.read(&mut asked) => {
                // A killed process resets its connections or ends them; both mean that it is gone.
                let Some(length) = length.ok().filter(|&length| length > 0) else {
                    if request.is_charge() {
                        noted.abandoned.fetch_add(1, Ordering::AcqRel);
                    }
                    return Ok(());
                };
                if let Some(reference) = request.take(&asked[..length]) {
                    noted.note(&reference);
                }
                upstream.write_all(&asked[..length]).await?;
            }
        }
    }
}

/// The request under way on a connection, as far as it has come.
#[derive(Default)]
struct Request {
    bytes: Vec<u8>,
    is_noted: bool,
}

impl Request {
    fn is_charge(&self) -> bool {
        self.bytes.starts_with(CHARGE)
    }

    /// Adds what has come; the reference of a charge, once, when it has come.
    fn take(&mut self, more: &[u8]) -> Option<String> {
        if self.bytes.len() < REQUEST_MAX {
            self.bytes.extend_from_slice(more);
        }
        if self.is_noted || !self.is_charge() {
            return None;
        }
        let at = self.bytes.windows(REFERENCE.len()).position(|window| window == REFERENCE)?;
        let rest = &self.bytes[at + REFERENCE.len()..];
        let end = rest.iter().position(|&byte| byte == b'"')?;
        self.is_noted = true;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_of_a_charge_is_found_however_it_is_cut() {
        let text =
            b"POST /charges HTTP/1.1\r\nhost: x\r\n\r\n{\"token\":\"a\",\"reference\":\"ch_1\",\"x\":1}";
        for cut in 0..text.len() {
            let mut request = Request::default();
            let found: Vec<String> =
                [&text[..cut], &text[cut..]].into_iter().filter_map(|part| request.take(part)).collect();
            assert_eq!(found, ["ch_1"], "{cut}");
            assert!(request.is_charge());
        }
        let mut lookup = Request::default();
        assert_eq!(lookup.take(b"GET /charges?reference=ch_1 HTTP/1.1\r\n\r\n"), None);
        assert!(!lookup.is_charge());
    }
}
