//! What the HTTP library refuses before any route sees it is answered with the body that every refusal has.
//!
//! hyper answers a request that it cannot read, or whose head is too long, with a status and an empty body, and has no way to
//! say more. teiki's own answers with these statuses are never empty, so that the empty ones can be known by their bytes.

use axum::http::StatusCode;

use super::connections::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::web::{ApiError, serve};

/// What hyper writes of the body that there is not.
const EMPTY: &str = "content-length: 0\r\n";

/// The whole answer in place of the empty refusal that `written` is; `None` when it is anything else.
pub(super) fn told(written: &[u8]) -> Option<Vec<u8>> {
    let status = match written.strip_prefix(b"HTTP/1.1 ")?.get(..3)? {
        b"400" => StatusCode::BAD_REQUEST,
        b"414" => StatusCode::URI_TOO_LONG,
        b"431" => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => return None,
    };
    let head = std::str::from_utf8(written).ok()?.strip_suffix("\r\n")?;
    let (before, after) = head.split_once(EMPTY)?;
    let body = error(status).body().to_string();
    let id = serve::new_request_id();
    let length = body.len();
    Some(
        format!(
            "{before}content-type: application/json\r\ncontent-length: {length}\r\nrequest-id: {id}\r\n\
             cache-control: no-store\r\nx-content-type-options: nosniff\r\n{after}\r\n{body}"
        )
        .into_bytes(),
    )
}

fn error(status: StatusCode) -> ApiError {
    if status == StatusCode::BAD_REQUEST {
        return ApiError::client("malformed_request", "The request cannot be read: it is not HTTP/1.1.");
    }
    let message = format!(
        "The head of the request is too long: at most {HEAD_BYTES_MAX} bytes, address included, and {HEADERS_MAX} header lines."
    );
    ApiError::head_too_long(status, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_refusal_gets_a_body_and_nothing_else_does() {
        let empty = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let whole = String::from_utf8(told(empty).expect("it is one")).expect("text");
        let (head, body) = whole.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(head.contains("connection: close\r\n") && head.ends_with("date: now"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["error"]["status"], 431);
        for other in [
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 40",
            "content-length: 0\r\n\r\n",
        ] {
            assert_eq!(told(other.as_bytes()), None, "{other}");
        }
    }
}
