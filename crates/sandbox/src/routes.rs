//! Every address of the sandbox and its handler.
//!
//! Reads requests and hands money to `process`. Decides nothing about money. Order: the table, moving money, looking up.
//! Limits: bodies of [`BODY_BYTES_MAX`], lists of [`LIST_MAX`]; look-ups read the book where it lies, which costs
//! microseconds from the system's cache and so is done in place.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::book::{Action, BookLine};
use crate::connection::Control;
use crate::desk::Found;
use crate::index::position_of_charge;
use crate::order::Order;
use crate::process::process;
use crate::reply::{self, Reply};
use crate::server::Sandbox;

const BODY_BYTES_MAX: usize = 64 * 1024;
const LIST_MAX: usize = 1_000;
const LIST_DEFAULT: usize = 100;

pub(crate) fn router(sandbox: Arc<Sandbox>) -> Router {
    Router::new()
        .route("/charges", post(create_charge).get(list_charges))
        .route("/charges/{id}", get(get_charge))
        .route("/charges/{id}/capture", action(Action::Capture))
        .route("/charges/{id}/void", action(Action::Void))
        .route("/charges/{id}/reauth", action(Action::Reauth))
        .route("/charges/{id}/refund", action(Action::Refund))
        .route("/charges/{id}/actions", get(list_actions))
        .route("/capabilities", get(capabilities))
        .route("/healthz", get(async || "ok\n"))
        .fallback(async || reply::not_found())
        .method_not_allowed_fallback(async || reply::method_not_allowed())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(sandbox)
}

async fn create_charge(
    State(sandbox): State<Arc<Sandbox>>,
    ConnectInfo(control): ConnectInfo<Control>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let order = match body {
        Ok(body) => Order::charge(&body).map_err(|bad| reply::bad_order(&bad)),
        Err(rejection) => Err(reply::body_unreadable(rejection.into_response().status())),
    };
    match order {
        Ok(order) => move_money(sandbox, control, order).await,
        Err(answer) => answer,
    }
}

fn action(action: Action) -> MethodRouter<Arc<Sandbox>> {
    post(move |sandbox, control, id, body| act(action, sandbox, control, id, body))
}

async fn act(
    action: Action,
    State(sandbox): State<Arc<Sandbox>>,
    ConnectInfo(control): ConnectInfo<Control>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return reply::body_unreadable(rejection.into_response().status()),
    };
    let Some(position) = position_of_charge(&id) else {
        return reply::not_found();
    };
    let charge = match sandbox.desk.find_charge(position) {
        Ok(Some(Found { line, .. })) => line,
        Ok(None) => return reply::not_found(),
        Err(_) => return reply::internal(),
    };
    match Order::act(action, position, charge, &body) {
        Ok(order) => move_money(sandbox, control, order).await,
        Err(bad) => reply::bad_order(&bad),
    }
}

/// Starts the execution in a task of its own and waits for its reply; when the client leaves, only the waiting ends.
async fn move_money(sandbox: Arc<Sandbox>, control: Control, order: Order) -> Response {
    let Some(permit) = sandbox.permit() else {
        return reply::too_many();
    };
    let (reply_to, replied) = oneshot::channel();
    let executing = Arc::clone(&sandbox);
    tokio::spawn(async move {
        process(executing, order, reply_to).await;
        drop(permit);
    });
    control.take_request();
    match replied.await {
        Ok(Reply::Answer(answer)) => answer,
        Ok(Reply::Cut) => cut(&control),
        Ok(Reply::Hang) => {
            sandbox.stopping().await;
            cut(&control)
        }
        Err(_) => reply::internal(),
    }
}

/// The answer is never seen: writing it ends the connection.
fn cut(control: &Control) -> Response {
    control.cut();
    StatusCode::NO_CONTENT.into_response()
}

async fn get_charge(State(sandbox): State<Arc<Sandbox>>, Path(id): Path<String>) -> Response {
    if !sandbox.is_within_rate() {
        return reply::too_many();
    }
    match position_of_charge(&id).map(|position| sandbox.desk.find_charge(position)) {
        Some(Ok(Some(found))) => reply::found(&found),
        Some(Ok(None)) | None => reply::not_found(),
        Some(Err(_)) => reply::internal(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    reference: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

async fn list_charges(
    State(sandbox): State<Arc<Sandbox>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    if !sandbox.is_within_rate() {
        return reply::too_many();
    }
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return reply::bad_query(&rejection.body_text(), None),
    };
    let limit = query.limit.unwrap_or(LIST_DEFAULT);
    if !(1..=LIST_MAX).contains(&limit) {
        return reply::bad_query("the limit must be from 1 to 1000", Some("limit"));
    }
    let after = match query.after.as_deref().map(position_of_charge) {
        Some(None) => return reply::bad_query("after must be the id of a charge", Some("after")),
        Some(Some(after)) => Some(after),
        None => None,
    };
    let found = match query.reference {
        Some(reference) => list_by_reference(&sandbox, &reference),
        None => sandbox.desk.list(after, limit + 1),
    };
    match found {
        Ok(mut found) => {
            let has_more = found.len() > limit;
            found.truncate(limit);
            reply::listed(&found, has_more)
        }
        Err(_) => reply::internal(),
    }
}

fn list_by_reference(sandbox: &Sandbox, reference: &str) -> io::Result<Vec<Found>> {
    sandbox.desk.list_by_reference(reference, visible_until(sandbox))
}

/// What was recorded later is not shown yet to those who look for a reference.
fn visible_until(sandbox: &Sandbox) -> Timestamp {
    let lag = Duration::from_millis(sandbox.faults.lookup_lag_ms());
    sandbox.now().checked_sub(lag).unwrap_or(Timestamp::MIN)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionsQuery {
    reference: Option<String>,
}

async fn list_actions(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<String>,
    query: Result<Query<ActionsQuery>, QueryRejection>,
) -> Response {
    if !sandbox.is_within_rate() {
        return reply::too_many();
    }
    let reference = match query {
        Ok(Query(query)) => query.reference,
        Err(rejection) => return reply::bad_query(&rejection.body_text(), None),
    };
    let Some(position) = position_of_charge(&id) else {
        return reply::not_found();
    };
    let found = match sandbox.desk.find_charge(position) {
        Ok(Some(_)) => sandbox.desk.list_actions(position),
        Ok(None) => return reply::not_found(),
        Err(error) => Err(error),
    };
    let visible_until = visible_until(&sandbox);
    let is_meant = |line: &BookLine| {
        line.recorded_at <= visible_until && (reference.is_none() || line.reference == reference)
    };
    match found {
        Ok(mut lines) => {
            lines.retain(is_meant);
            let has_more = lines.len() > LIST_MAX;
            lines.truncate(LIST_MAX);
            reply::actions(&lines, has_more)
        }
        Err(_) => reply::internal(),
    }
}

#[derive(Serialize)]
struct Capabilities {
    idempotency: &'static str,
    idempotency_window_ms: Option<u64>,
    lookup_by_reference: bool,
    lookup_lag_ms: u64,
    max_processing_ms: u64,
    rate_per_second: Option<u32>,
    too_many_requests_is_not_executed: bool,
}

async fn capabilities(State(sandbox): State<Arc<Sandbox>>) -> Response {
    let faults = &sandbox.faults;
    let body = Capabilities {
        idempotency: faults.idempotency().word(),
        idempotency_window_ms: faults.idempotency().window_ms(),
        lookup_by_reference: true,
        lookup_lag_ms: faults.lookup_lag_ms(),
        max_processing_ms: faults.max_processing_ms(),
        rate_per_second: faults.rate_per_second(),
        too_many_requests_is_not_executed: true,
    };
    reply::json(StatusCode::OK, &body)
}
