//! The router of the server: the pages and the API's addresses (`crate::routes`), health and metrics.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use axum::{Json, Router};
use serde_json::json;

use super::site::Site;
use super::store;
use crate::openapi;
use crate::routes::{Method, PAGES, PageRoute, ROUTES, Route, STYLE};
use crate::web::{cors, page, serve};

pub(super) fn router(site: Arc<Site>) -> Router {
    let mut addresses: BTreeMap<&str, MethodRouter<Arc<Site>>> = BTreeMap::new();
    for route in ROUTES {
        let methods = addresses.remove(route.path).unwrap_or_default();
        addresses.insert(route.path, methods.merge(handler(route)));
    }
    for route in PAGES {
        let methods = addresses.remove(route.path).unwrap_or_default();
        addresses.insert(route.path, methods.merge(page_handler(route)));
    }
    let mut router = Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route(STYLE, get(page::style))
        .route(openapi::PATH, get(openapi::serve));
    for (path, methods) in addresses {
        router = router.route(path, with_preflight(path, methods));
    }
    router.fallback(serve::no_route).method_not_allowed_fallback(serve::no_method).with_state(site)
}

/// An address that pages of other origins may call says so, and lets them read every refusal.
fn with_preflight(path: &str, methods: MethodRouter<Arc<Site>>) -> MethodRouter<Arc<Site>> {
    let Some(open) = cors::open_methods(path) else {
        return methods;
    };
    methods
        .options(async move || cors::preflight(open))
        .fallback(async |request: Request| cors::opened(serve::no_method(request).await))
}

const fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Delete => MethodFilter::DELETE,
    }
}

fn page_handler(route: &'static PageRoute) -> MethodRouter<Arc<Site>> {
    let answer =
        async move |State(site): State<Arc<Site>>, path: Result<RawPathParams, _>, request: Request| {
            let path: Result<RawPathParams, RawPathParamsRejection> = path;
            // An address that is no text names nothing.
            let path = path
                .map_or_else(|_| Vec::new(), |path| path.iter().map(|(_, value)| value.to_owned()).collect());
            page::serve(site, route.page, path, request).await
        };
    on(filter(route.method), answer)
}

fn handler(route: &'static Route) -> MethodRouter<Arc<Site>> {
    on(
        filter(route.method),
        async move |State(site): State<Arc<Site>>, path: Result<RawPathParams, _>, request: Request| {
            let path: Result<RawPathParams, RawPathParamsRejection> = path;
            let response = match path {
                Ok(path) => {
                    let path = path.iter().map(|(_, value)| value.to_owned()).collect();
                    serve::serve(site, route, path, request).await
                }
                // An address that is no text is nobody's.
                Err(_) => serve::no_route(request).await,
            };
            if cors::is_open(route) { cors::opened(response) } else { response }
        },
    )
}

/// 200 when the database answers and the scheduler's last tick went well, else 503.
async fn health(State(site): State<Arc<Site>>) -> Response {
    let database = site.app.db.read(store::ping).await.is_ok();
    let scheduler = site.shared.is_well();
    let status = if database && scheduler { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |is_well: bool| if is_well { "ok" } else { "failing" };
    let body = json!({"status": word(database && scheduler), "database": word(database), "scheduler": word(scheduler)});
    (status, Json(body)).into_response()
}

/// Counters in the text format of Prometheus. No ids, no names, no amounts of single payments.
async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let mut text = String::new();
    let rows = site.shared.metrics.rows().into_iter().chain(site.shared.webhooks.rows());
    for (name, kind, help, value) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    let (name, help) = ("teiki_keys_refused_total", "Requests that were refused for their API key, by code.");
    let _ = writeln!(
        text,
        "# HELP {name} {help}
# TYPE {name} counter"
    );
    for (code, count) in site.strangers.counts() {
        let _ = writeln!(text, "{name}{{code=\"{code}\"}} {count}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
