//! A receiver of webhooks: takes what is sent, answers as it is told, and keeps all of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::super::shop::soon;

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// `POST /hook HTTP/1.1`
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(super) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(super) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn kind(&self) -> String {
        self.event()["type"].as_str().unwrap().to_owned()
    }

    /// Whether one of its signatures is right, and which: a second opinion, from the text of Standard Webhooks.
    pub(super) fn signed_by(&self, secret: &str) -> Option<usize> {
        let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let text = format!("{}.{}.{}", self.id(), self.header("webhook-timestamp"), self.body);
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(text.as_bytes());
        let right = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').position(|signature| signature == right)
    }
}

/// What a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u16),
    /// With another header.
    With(u16, &'static str),
    /// Nothing, for as long as it is waited for.
    Hang,
    /// A status, after two seconds.
    Late(u16),
    /// The first line, and then a header that never ends, a letter at a time.
    DripHead,
    /// 200 and a body that never ends, a letter at a time.
    DripBody,
    /// 200 and a body that never ends, as fast as it is taken.
    Flood,
    /// 200 and headers that never end, as fast as they are taken.
    FloodHead,
}

impl Reply {
    /// What is said first, what is said again and again, and the pause before that; `None` for an answer that ends.
    const fn endless(self) -> Option<(&'static str, &'static str, Duration)> {
        const PAUSE: Duration = Duration::from_millis(200);
        match self {
            Self::DripHead => Some(("HTTP/1.1 200 Because\r\nx-a: ", "a", PAUSE)),
            Self::DripBody => Some(("HTTP/1.1 200 Because\r\ncontent-length: 9000000\r\n\r\n", "a", PAUSE)),
            Self::Flood => Some(("HTTP/1.1 200 Because\r\n\r\n", A_LOT, Duration::ZERO)),
            Self::FloodHead => Some(("HTTP/1.1 200 Because\r\nx-a: ", A_LOT, Duration::ZERO)),
            Self::Status(_) | Self::With(..) | Self::Hang | Self::Late(_) => None,
        }
    }
}

const A_LOT: &str = match std::str::from_utf8(&[b'a'; 8192]) {
    Ok(text) => text,
    Err(_) => "",
};

/// Given what arrived, and how many came before it.
type Rule = Arc<dyn Fn(&Received, usize) -> Reply + Send + Sync>;

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    listening: JoinHandle<()>,
}

impl Receiver {
    /// One that takes everything.
    pub(super) async fn start() -> Self {
        Self::that(|_, _| Reply::Status(200)).await
    }

    pub(super) async fn that(rule: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(rule), None).await
    }

    /// One that speaks TLS.
    pub(super) async fn with_tls(acceptor: TlsAcceptor) -> Self {
        Self::listen(Arc::new(|_, _| Reply::Status(204)), Some(acceptor)).await
    }

    async fn listen(rule: Rule, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (rule, kept, tls) = (Arc::clone(&rule), Arc::clone(&kept), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &rule, &kept).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &rule, &kept).await,
                            // The sender does not trust it.
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, received, listening }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    /// All that arrived.
    pub(super) fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The types that arrived, in order.
    pub(super) fn kinds(&self) -> Vec<String> {
        self.all().iter().map(Received::kind).collect()
    }

    /// What arrived, once it is as many.
    pub(super) async fn wait_for(&self, count: usize) -> Vec<Received> {
        let arrived = async || Some(self.all()).filter(|all| all.len() >= count);
        let all = soon(&format!("{count} webhooks"), arrived).await;
        assert_eq!(all.len(), count, "{:?}", self.kinds());
        all
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Reads one request, keeps it, answers it and closes the connection.
async fn serve(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    rule: &Rule,
    kept: &Mutex<Vec<Received>>,
) -> Option<()> {
    let mut bytes = Vec::new();
    let received = loop {
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
        }
        if let Some(received) = parsed(&bytes) {
            break received;
        }
    };
    let reply = {
        let mut kept = kept.lock().unwrap();
        let reply = rule(&received, kept.len());
        kept.push(received);
        reply
    };
    if let Some((first, again, pause)) = reply.endless() {
        stream.write_all(first.as_bytes()).await.ok()?;
        loop {
            tokio::time::sleep(pause).await;
            stream.write_all(again.as_bytes()).await.ok()?;
        }
    }
    let (status, more) = match reply {
        Reply::Status(status) => (status, ""),
        Reply::With(status, header) => (status, header),
        Reply::Late(status) => {
            tokio::time::sleep(Duration::from_secs(2)).await;
            (status, "")
        }
        Reply::Hang | Reply::DripHead | Reply::DripBody | Reply::Flood | Reply::FloodHead => {
            return std::future::pending().await;
        }
    };
    let more = if more.is_empty() { String::new() } else { format!("{more}\r\n") };
    let answer =
        format!("HTTP/1.1 {status} Because\r\n{more}content-length: 4\r\nconnection: close\r\n\r\ntext");
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

fn parsed(bytes: &[u8]) -> Option<Received> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().unwrap();
    (body.len() == length).then(|| Received { line, headers, body: body.to_owned() })
}
