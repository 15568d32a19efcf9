//! From a request to its answer: key, body, parameters, the operation, and one shape for everything that fails.
//!
//! A POST with an `Idempotency-Key` is done once ([`crate::idempotency`]): its row is held while the operation runs.
//!
//! What changes something is a task of the server. It goes on when its client leaves: what it has written that it will do,
//! such as a charge, it does at once, and the row of its key is given back.
//!
//! Every answer has a `Request-Id`; what the framework refuses (no such address, another method, a body that is too long)
//! is answered like everything else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt;
use http_body_util::LengthLimitError;
use sha2::{Digest, Sha256};

use super::auth::{self, Caller};
use super::body::{self, BYTES_MAX, MediaType};
use super::card_numbers::{self, Taken};
use super::error::ApiError;
use super::operation::{Answer, Call, File, Run};
use super::params::Params;
use super::strangers::Why;
use crate::idempotency::{self, Claimed, End, Kept};
use crate::routes::{Method, Route};
use crate::serve::site::Site;
use crate::{accounts, clock};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// A body that has not come whole by then is given up.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// What is not known after this is answered as not known.
const PATIENCE: Duration = Duration::from_secs(25);
/// What is said when a request with a key failed inside.
const REPEAT: &str = "Something went wrong on our side, and whether this was done is not certain. Repeat the request with the same \
    Idempotency-Key, and with no other: nothing is done twice.";
/// The id of a request when the system has no random bytes.
const NO_ID: &str = "req_none";

/// Answers one request to `route`. `path` are the variable parts of its address.
pub async fn serve(site: Arc<Site>, route: &'static Route, path: Vec<String>, request: Request) -> Response {
    let random = match accounts::random() {
        Ok(random) => random,
        Err(failure) => return refused(&ApiError::from(failure), NO_ID),
    };
    let id = request_id(&random);
    let has_key = request.headers().get(IDEMPOTENCY_KEY).is_some_and(|key| !key.is_empty());
    let is_repeatable = has_key && route.method == Method::Post;
    match answer(site, route, path, request, random).await {
        Ok(Answer::Json(value) | Answer::Secret { shown: value, .. }) => {
            with_id(json(StatusCode::OK, &value), &id)
        }
        Ok(Answer::Again(kept)) => again(&kept, &id),
        Ok(Answer::File(file)) => attachment(file, id),
        // What failed may be the very look at what a former try has done.
        Err(error) if is_repeatable && error.code == Some("payjp_wrong") => {
            refused(&error.saying(REPEAT), &id)
        }
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
    let operation = route.operation;
    let admitted = admit(&site, route, &parts.headers, now).await;
    if let Some(why) = admitted.as_ref().err().and_then(why) {
        let (id, key) = (request_id(&random), auth::shown(&parts.headers));
        site.strangers.refused(why, (&id, &key), (parts.method.as_str(), route.path), Instant::now());
    }
    let caller = admitted?;
    if path.iter().any(|part| part.contains('\0')) {
        return Err(ApiError::no_route(parts.method.as_str(), parts.uri.path()));
    }
    path.iter().try_for_each(|part| card_numbers::refuse("id", part))?;
    let key = parts.headers.get(IDEMPOTENCY_KEY);
    card_numbers::refuse(
        "Idempotency-Key",
        &key.map(|key| String::from_utf8_lossy(key.as_bytes())).unwrap_or_default(),
    )?;
    let tree = read(&parts.headers, parts.uri.query(), body).await?;
    let taken = if caller.is_live() { Taken::Nowhere } else { Taken::by(operation.params) };
    card_numbers::refuse_in(&tree, taken)?;
    let repeatable = match key {
        Some(text) if route.method == Method::Post && !text.is_empty() => {
            let key = idempotency::valid(text.as_bytes())?;
            let parameters = body::to_json(&tree).to_string();
            let request = [parts.uri.path().as_bytes(), parameters.as_bytes()];
            let (side, key) = ((caller.account, caller.mode), (key.as_str(), caller.kind));
            Some(idempotency::Request::new(&site.app.key, side, key, &request))
        }
        Some(_) | None => None,
    };
    let params = Params::check(tree, operation.params, operation.object)?;
    if operation.answer.is_list() {
        params.none_is_cleared()?;
    }
    params.no_id_is_cleared(operation.params)?;
    let has_chunks = parts.version > Version::HTTP_10;
    let give_up_at = tokio::time::Instant::now() + PATIENCE;
    let call = Call { site, caller, path, params, has_chunks, now, give_up_at, random, ticket: None };
    if route.method == Method::Get {
        return (operation.run)(call).await;
    }
    let payments = call.site.payments.clone();
    let working = match repeatable {
        Some(request) => payments.spawn(once(call, operation.run, request)),
        None => payments.spawn((operation.run)(call)),
    };
    working.await.map_err(|error| ApiError::inside(format!("a request did not end: {error}")))?
}

/// Whose request it is, when its key may make it.
async fn admit(
    site: &Site,
    route: &Route,
    headers: &HeaderMap,
    now: jiff::Timestamp,
) -> Result<Caller, ApiError> {
    let caller = auth::caller(site, headers, now).await?;
    site.key_uses.note(&caller, now);
    // What is refused counts too.
    site.limits.take(&caller, route.moves_money, Instant::now())?;
    caller.may(route.operation.access, route.method)?;
    Ok(caller)
}

/// Whether it was the key.
fn why(error: &ApiError) -> Option<Why> {
    if error.status != StatusCode::UNAUTHORIZED {
        return None;
    }
    Some(match error.code {
        Some("no_api_key") => Why::Missing,
        Some("invalid_api_key") => Why::Unknown,
        Some(_) | None => Why::Forbidden,
    })
}

/// Runs an operation once for its key.
async fn once(call: Call, run: Run, request: idempotency::Request) -> Result<Answer, ApiError> {
    let site = Arc::clone(&call.site);
    let ticket = match idempotency::claim(&site.app.db, &request, call.random, call.give_up_at).await? {
        Claimed::Kept(kept) => return Ok(Answer::Again(kept)),
        Claimed::Mine(ticket) => ticket,
    };
    let call = Call { random: ticket.seed, ticket: Some(ticket.clone()), ..call };
    let answer = run(call).await;
    if let Err(error) = idempotency::finish(&site.app.db, ticket, end_of(&answer)).await {
        tracing::error!(%error, "an idempotency key could not be given back; it is free in a minute");
    }
    answer
}

/// A success and a refusal of the card are answered from now on. Anything else may still become otherwise.
fn end_of(answer: &Result<Answer, ApiError>) -> End {
    match answer {
        Ok(Answer::Json(body) | Answer::Secret { kept: body, .. }) => {
            End::Kept(Kept { status: StatusCode::OK.as_u16(), body: body.clone() })
        }
        Ok(Answer::Again(kept)) => End::Kept(kept.clone()),
        Err(error) if error.status == StatusCode::PAYMENT_REQUIRED => {
            End::Kept(Kept { status: error.status.as_u16(), body: error.body() })
        }
        Err(error) if error.is_undone() => End::Undone,
        // A file is nothing that can be kept; no POST answers one.
        Ok(Answer::File(_)) | Err(_) => End::Open,
    }
}

/// What was sent in the query, which is no longer than a head may be, and in the body.
pub(super) async fn read(
    headers: &HeaderMap,
    query: Option<&str>,
    body: Body,
) -> Result<body::Tree, ApiError> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BYTES_MAX) {
        return Err(ApiError::too_large(BYTES_MAX));
    }
    let whole = tokio::time::timeout(BODY_WAIT, to_bytes(body, BYTES_MAX)).await;
    let bytes = whole.map_err(|_| ApiError::too_slow(BODY_WAIT))?.map_err(|error| body_error(&error))?;
    let header = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // Without a body its type says nothing.
    let media_type = if bytes.is_empty() { MediaType::Form } else { MediaType::of(header)? };
    body::read(query, media_type, &bytes)
}

/// Why a body did not come: it is too long, or breaks off.
fn body_error(error: &axum::Error) -> ApiError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return ApiError::too_large(BYTES_MAX);
        }
        cause = error.source();
    }
    ApiError::client("unreadable_body", "The request body cannot be read: it breaks off.")
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
pub fn new_request_id() -> String {
    accounts::random().map_or_else(|_| NO_ID.to_owned(), |random| request_id(&random))
}

/// A digest, for the ids of what the request makes derive from `random`.
fn request_id(random: &[u8; 32]) -> String {
    format!("req_{}", hex::encode(&Sha256::digest(random)[..14]))
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

/// The answer that was given before, and says so.
fn again(kept: &Kept, id: &str) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &kept.body);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    with_id(response, id)
}

/// A file for whoever asked, and for nobody in between. When a part fails the body is cut off, so that nobody takes what came
/// for the whole.
fn attachment(file: File, id: String) -> Response {
    let named = format!("attachment; filename=\"{}\"", file.name);
    let headers = [
        (header::CONTENT_TYPE, file.content_type),
        (header::CONTENT_DISPOSITION, &named),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let request = id.clone();
    let parts = file.parts.map_err(move |failure| {
        tracing::error!(request, error = failure.message, "an answer was cut off");
        std::io::Error::other("the answer was cut off")
    });
    with_id((headers, Body::from_stream(parts)).into_response(), &id)
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    // What is answered is for whoever asked alone: it has people in it, and sometimes a secret.
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, value.to_string()).into_response()
}

pub(super) fn with_id(mut response: Response, id: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
