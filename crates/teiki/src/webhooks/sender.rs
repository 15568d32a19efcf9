//! One POST to a receiver: one connection, to an address that was checked, and one request on it.
//!
//! No redirect is followed, no proxy is taken from the environment, no connection is used twice. Of the answer the status is
//! read, and `Retry-After`; of its body as much as [`ANSWER_MAX`], which is thrown away: what a receiver says is not stored.
//! Over https the certificate must be valid for the host, by the system's trusted certificates.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Position};

use super::guard::{self, Reach, Target};

/// How long a delivery may take, from looking up the host to the answer's head.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// How long connecting to one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer's body is read, in bytes, and how long: a receiver may finish what it says.
const ANSWER_MAX: usize = 64 * 1024;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest head of an answer, in bytes.
const HEAD_MAX: usize = 64 * 1024;

/// What is sent besides the body. It is not printed, for it holds the token.
#[derive(Clone)]
pub struct Headers {
    /// `webhook-id`: the same on every attempt.
    pub id: String,
    /// `webhook-timestamp`: real seconds.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// `X-Payjp-Webhook-Token`.
    pub token: String,
}

/// What a receiver answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After` in seconds, of 429 and 503.
    pub retry_after_s: Option<i64>,
}

/// The head of an answer, and the connection that the rest of it comes on, which ends with this.
struct Answered {
    response: Response<Incoming>,
    _driver: JoinSet<hyper::Result<()>>,
}

/// Sends; knows the certificates that the system trusts.
#[derive(Default)]
pub struct Sender {
    tls: OnceCell<TlsConnector>,
}

impl Sender {
    /// Sends `body` once. Error: why there is no answer, in words for the merchant.
    pub async fn post(
        &self,
        url: &str,
        reach: Reach,
        headers: &Headers,
        body: &str,
    ) -> Result<Reply, String> {
        let target =
            guard::parse(url, reach).map_err(|refusal| format!("the URL is not allowed: {refusal}"))?;
        let sent = timeout(TIMEOUT, self.exchange(&target, reach, headers, body)).await;
        let answered =
            sent.unwrap_or_else(|_| Err(format!("no answer within {} seconds", TIMEOUT.as_secs())))?;
        let reply = reply_of(&answered.response);
        // The answer is known; what else is said is heard out for a moment.
        let _ = timeout(ANSWER_TIMEOUT, drain(answered.response.into_body())).await;
        Ok(reply)
    }

    async fn exchange(
        &self,
        target: &Target,
        reach: Reach,
        headers: &Headers,
        body: &str,
    ) -> Result<Answered, String> {
        let addresses = guard::addresses(target, reach)
            .await
            .map_err(|refusal| format!("nothing was sent: {refusal}"))?;
        let stream = connect(&addresses).await?;
        let request = request(target, headers, body)?;
        if target.url.scheme() == "http" {
            return talk(stream, request).await;
        }
        let tls = self.tls.get_or_try_init(async || connector()).await?;
        let name = server_name(&target.host)?;
        let stream = tls.connect(name, stream).await.map_err(|error| format!("TLS failed: {error}"))?;
        talk(stream, request).await
    }
}

/// A connection to the first address that takes one.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut last = "the host has no address".to_owned();
    for address in addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without it the request only leaves a little later.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = format!("could not connect: {}", error.kind()),
            Err(_) => last = "could not connect in time".to_owned(),
        }
    }
    Err(last)
}

fn request(target: &Target, headers: &Headers, body: &str) -> Result<Request<Full<Bytes>>, String> {
    let unfit = |error: &dyn std::fmt::Display| format!("the URL cannot be sent to: {error}");
    let path: Uri =
        target.url[Position::BeforePath..Position::AfterQuery].parse().map_err(|error| unfit(&error))?;
    Request::post(path)
        .header(HOST, &target.url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, concat!("teiki/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header(HeaderName::from_static("webhook-id"), &headers.id)
        .header(HeaderName::from_static("webhook-timestamp"), headers.timestamp)
        .header(HeaderName::from_static("webhook-signature"), &headers.signature)
        .header(HeaderName::from_static("x-payjp-webhook-token"), &headers.token)
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|error| unfit(&error))
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answered, String> {
    let lost = |error: hyper::Error| format!("the connection was lost: {error}");
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_MAX).handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await.map_err(lost)?;
    Ok(Answered { response, _driver: driver })
}

fn reply_of<B: Body>(response: &Response<B>) -> Reply {
    let status = response.status().as_u16();
    let seconds = |text: &str| text.trim().parse::<u32>().ok().map(i64::from);
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
    Reply { status, retry_after_s: asked.filter(|_| status == 429 || status == 503) }
}

async fn drain(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > ANSWER_MAX {
            return;
        }
    }
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, String> {
    match host {
        Host::Domain(name) => {
            ServerName::try_from(name.clone()).map_err(|_| "the host cannot have a certificate".to_owned())
        }
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
    }
}

/// TLS with the certificates that the system trusts.
fn connector() -> Result<TlsConnector, String> {
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if trusted.is_empty() {
        return Err("this server has no trusted certificates; install ca-certificates".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS failed: {error}"))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
