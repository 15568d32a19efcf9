//! The HTTP client of all adapters: one request is one request.
//!
//! Tells apart what surely never left from what may have arrived; what an answer *means* is the adapter's.
//! No redirect is followed, nothing is sent twice, no proxy is taken from the environment, answers are read
//! with a limit. The one thing that the client below does by itself is to take another connection when the
//! idle one it chose was closed *before* it began to write; it is given the unwritten request back then.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, redirect};

/// The longest answer that is read: a charge object is a hundredth of it.
const ANSWER_MAX: usize = 64 * 1024;
/// How long connecting may take at most.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(3);
/// Idle connections that are kept to one gateway: one for each request that may be under way.
const IDLE_MAX: usize = 512;
/// Idle connections are given up before usual servers do so: one that dies while it is written to makes an
/// unknown charge.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// An answer that arrived whole, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether it says that its body is JSON.
    pub(crate) is_json: bool,
    /// `Retry-After`, if it is a number of seconds.
    pub(crate) retry_after_ms: Option<i64>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer, with the reason in one line.
pub(crate) enum NoAnswer {
    /// No byte of the request was written.
    NotSent(String),
    /// The request may have arrived.
    Lost(String),
    /// The request arrived; its answer is longer than any that could be meant for it.
    TooLong(String),
}

/// A client whose requests are given up after `timeout`. Connecting is given up well before, so that a
/// gateway that cannot be reached is known not to have been sent anything.
pub(crate) fn client(timeout: Duration) -> reqwest::Result<Client> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT_MAX.min(timeout * 2 / 3))
        .timeout(timeout)
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(concat!("teiki/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Sends a request once and reads its answer.
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, NoAnswer> {
    let response = request.send().await.map_err(|error| {
        if error.is_connect() || error.is_builder() {
            NoAnswer::NotSent(describe(&error))
        } else {
            NoAnswer::Lost(describe(&error))
        }
    })?;
    let status = response.status().as_u16();
    let is_json = header(&response, CONTENT_TYPE.as_str()).is_some_and(is_json);
    let retry_after_ms = header(&response, RETRY_AFTER.as_str()).and_then(milliseconds);
    let body = read(response).await?;
    Ok(Answer { status, is_json, retry_after_ms, body })
}

async fn read(mut response: Response) -> Result<Vec<u8>, NoAnswer> {
    let too_long = || NoAnswer::TooLong(format!("the answer is longer than {ANSWER_MAX} bytes"));
    let announced =
        response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced > ANSWER_MAX {
        return Err(too_long());
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(part) = response.chunk().await.map_err(|error| NoAnswer::Lost(describe(&error)))? {
        if body.len() + part.len() > ANSWER_MAX {
            return Err(too_long());
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// `Retry-After` in its form of whole seconds; the form of a date is not read.
fn milliseconds(seconds: &str) -> Option<i64> {
    let seconds: u32 = seconds.trim().parse().ok()?;
    Some(i64::from(seconds) * 1_000)
}

/// The innermost cause, which says what happened; without the URL.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        let what = if error.is_connect() { "connecting took too long" } else { "no answer in time" };
        return what.to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_only() {
        for (text, expected) in [
            ("1", Some(1_000)),
            (" 30 ", Some(30_000)),
            ("-1", None),
            ("1.5", None),
            ("99999999999", None),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn only_application_json_is_json() {
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8"));
        assert!(!is_json("text/html; charset=utf-8") && !is_json("text/json") && !is_json(""));
    }
}
