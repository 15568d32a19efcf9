//! The HTTP client of all adapters: one request is one request.
//!
//! No redirect is followed, nothing is retried, no proxy is taken from the environment, answers are read
//! with a limit. Tells apart what surely never left from what may have arrived.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, redirect};

/// The longest answer that is read: a charge object is far smaller.
const ANSWER_MAX: usize = 64 * 1024;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Idle connections that are kept to one gateway: one for each request that may be under way.
const IDLE_MAX: usize = 512;

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after_ms: Option<i64>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
pub(crate) enum NoAnswer {
    /// No byte of the request was written.
    NotSent(String),
    /// The request may have arrived.
    Lost(String),
}

/// A client whose requests are given up after `timeout`.
pub(crate) fn client(timeout: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .pool_max_idle_per_host(IDLE_MAX)
        .user_agent(concat!("teiki/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Sends a request once and reads its answer.
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, NoAnswer> {
    let mut response = request.send().await.map_err(|error| {
        let reason = describe(&error);
        if error.is_connect() || error.is_builder() { NoAnswer::NotSent(reason) } else { NoAnswer::Lost(reason) }
    })?;
    let status = response.status().as_u16();
    let retry_after_ms = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.parse::<i64>().ok())
        .map(|seconds| seconds.saturating_mul(1_000));
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| NoAnswer::Lost(describe(&error)))? {
        if body.len() + part.len() > ANSWER_MAX {
            return Err(NoAnswer::Lost(format!("the answer is longer than {ANSWER_MAX} bytes")));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, retry_after_ms, body })
}

/// The innermost cause, which says what happened; without the URL.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}
