//! From a request to its answer: key, body, parameters, the operation, and one shape for everything that fails.
//!
//! Every answer has a `Request-Id`; what the framework refuses (no such address, another method, a body that is too long)
//! is answered like everything else.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::auth;
use super::body::{self, BYTES_MAX, MediaType};
use super::error::ApiError;
use super::operation::{Answer, Call};
use super::params::Params;
use crate::routes::Route;
use crate::serve::site::Site;
use crate::{accounts, clock};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The id of a request when the system has no random bytes.
const NO_ID: &str = "req_none";

/// Answers one request to `route`. `path` are the variable parts of its address.
pub async fn serve(site: Arc<Site>, route: &'static Route, path: Vec<String>, request: Request) -> Response {
    let random = match accounts::random() {
        Ok(random) => random,
        Err(failure) => return refused(&ApiError::from(failure), NO_ID),
    };
    let id = request_id(&random);
    match answer(site, route, path, request, random).await {
        Ok(Answer::Json(value)) => with_id(json(StatusCode::OK, &value), &id),
        Err(error) => refused(&error, &id),
    }
}

async fn answer(
    site: Arc<Site>,
    route: &'static Route,
    path: Vec<String>,
    request: Request,
    random: [u8; 32],
) -> Result<Answer, ApiError> {
    let (parts, body) = request.into_parts();
    let now = clock::now();
    let caller = auth::caller(&site.app.db, &parts.headers, now).await?;
    site.key_uses.note(&caller, now);
    let operation = route.operation;
    caller.may(operation.access)?;
    site.limits.take(&caller, route.moves_money, std::time::Instant::now())?;
    let params = read(&parts.headers, parts.uri.query(), body).await?;
    let params = Params::check(params, operation.params, operation.object)?;
    let call = Call { site, caller, path, params, now, random };
    (operation.run)(call).await
}

pub(super) async fn read(
    headers: &HeaderMap,
    query: Option<&str>,
    body: Body,
) -> Result<body::Tree, ApiError> {
    if query.is_some_and(|query| query.len() > BYTES_MAX) {
        return Err(ApiError::too_large(BYTES_MAX));
    }
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BYTES_MAX) {
        return Err(ApiError::too_large(BYTES_MAX));
    }
    let bytes = to_bytes(body, BYTES_MAX).await.map_err(|_| ApiError::too_large(BYTES_MAX))?;
    let header = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // Without a body its type says nothing.
    let media_type = if bytes.is_empty() { MediaType::Form } else { MediaType::of(header)? };
    body::read(query, media_type, &bytes)
}

/// The answer to a request that no operation takes.
pub async fn no_route(request: Request) -> Response {
    fallback(&ApiError::no_route(request.method().as_str(), request.uri().path()))
}

/// The answer to a method that an address does not have.
pub async fn no_method(request: Request) -> Response {
    fallback(&ApiError::no_method(request.method().as_str(), request.uri().path()))
}

fn fallback(error: &ApiError) -> Response {
    refused(error, &new_request_id())
}

/// The id of a request that makes nothing.
pub(super) fn new_request_id() -> String {
    accounts::random().map_or_else(|_| NO_ID.to_owned(), |random| request_id(&random))
}

fn request_id(random: &[u8; 32]) -> String {
    format!("req_{}", hex::encode(&random[..14]))
}

fn refused(error: &ApiError, id: &str) -> Response {
    if let Some(inside) = error.cause() {
        tracing::error!(request = id, error = inside, "a request failed");
    }
    let mut response = json(error.status, &error.body());
    if error.status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"teiki\""));
    }
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    with_id(response, id)
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

pub(super) fn with_id(mut response: Response, id: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
