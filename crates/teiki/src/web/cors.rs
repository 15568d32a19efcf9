//! Requests from pages of other origins: a browser may do what public keys may do, and nothing else.
//!
//! What is open stands in the table of routes: every method with [`Access::Public`]. Its answers, errors too, may be read by
//! any page, and its address answers the question that browsers ask first (`OPTIONS`). Nothing else has such headers, so that
//! browsers keep pages from it. A request is trusted for its key alone, never for cookies, so any origin may ask.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::auth::Access;
use super::serve::{new_request_id, with_id};
use crate::routes::{Method, ROUTES, Route};

/// What a page may send: the key, a body, and what the SDKs of PAY.JP add (specs/payjp-v1.md 1). The header of the key must be
/// named, for `*` does not stand for it.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Idempotency-Key, X-Payjp-Direct-Token-Generate, X-Payjp-Client-User-Agent, Payjp-Account, Payjp-Version, Locale",
);
/// What a page may read beside the body.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("Request-Id, Retry-After, Idempotent-Replayed");
/// For how many seconds a browser need not ask again: a day; browsers cut it to what they find right.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Whether pages of other origins may call it.
pub fn is_open(route: &Route) -> bool {
    route.operation.access == Access::Public
}

/// The methods that pages of other origins may use on an address; `None` if there are none.
pub fn open_methods(path: &str) -> Option<HeaderValue> {
    let names: Vec<&str> = ROUTES
        .iter()
        .filter(|route| route.path == path && is_open(route))
        .map(|route| match route.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        })
        .collect();
    if names.is_empty() { None } else { HeaderValue::from_str(&names.join(", ")).ok() }
}

/// The answer to a browser that asks what it may do on an address with these open methods.
pub fn preflight(methods: HeaderValue) -> Response {
    const NAMES: [HeaderName; 4] = [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        header::ACCESS_CONTROL_MAX_AGE,
    ];
    let headers: HeaderMap = NAMES.into_iter().zip([ANY, methods, ALLOWED_HEADERS, MAX_AGE]).collect();
    with_id((StatusCode::NO_CONTENT, headers).into_response(), &new_request_id())
}

/// The same answer, for pages of any origin.
pub fn opened(mut response: Response) -> Response {
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    response
}
