//! The URLs of the server: health and metrics.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use db::Db;
use serde_json::json;

use super::{Shared, store};

#[derive(Clone)]
struct Site {
    db: Db,
    shared: Arc<Shared>,
}

pub(super) fn router(db: Db, shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .with_state(Site { db, shared })
}

/// 200 when the database answers and the scheduler's last tick went well, else 503.
async fn health(State(site): State<Site>) -> Response {
    let database = site.db.read(store::ping).await.is_ok();
    let scheduler = site.shared.is_well.load(Ordering::Relaxed);
    let status = if database && scheduler { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |is_well: bool| if is_well { "ok" } else { "failing" };
    let body = json!({"status": word(database && scheduler), "database": word(database), "scheduler": word(scheduler)});
    (status, Json(body)).into_response()
}

/// Counters in the text format of Prometheus. No ids, no names, no amounts of single payments.
async fn metrics(State(site): State<Site>) -> Response {
    let mut text = String::new();
    for (name, kind, help, value) in site.shared.metrics.rows() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
