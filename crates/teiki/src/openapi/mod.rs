//! The OpenAPI document of the HTTP API, made from the same table of routes and parameters that requests are checked
//! against, and from the types that are answered.
//!
//! [`document`] goes through the routes: what is asked for is in [`requests`], what is answered in [`answers`], how an
//! operation is called in [`names`]. It is served at [`PATH`] without a key, and kept as `docs/api/openapi.json`, which
//! `cargo xtask openapi` writes and a test compares. Pages for people are not in it.

mod answers;
mod names;
mod requests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::api_keys::KeyKind;
use crate::routes::{Method, ROUTES, Route};

pub use names::operation_id;

/// Where it is served.
pub const PATH: &str = "/openapi.json";

/// Where the schemas of objects are in the document.
const SCHEMAS: &str = "/components/schemas";

/// What holds for all operations.
const DESCRIPTION: &str = "\
Recurring payments, in the manners of PAY.JP: its official SDKs work by changing the API base.

- Parameters are sent as a form or as JSON, and mean the same; `metadata[key]=value` and `card[number]=…` of a form are \
objects in JSON, each `name[]=…` is an item of a list. What an operation does not take is refused. An empty text clears what was there; so does null in JSON, which the schemas leave out.
- Amounts are whole yen with tax. Instants are whole seconds since 1970. Objects may get new fields: ignore what you do not know.
- A key opens one side of one account: test or live. `x-key-kinds` of an operation names the kinds of keys that may call it; \
pages of any origin (CORS) may call what public keys may.
- Every error is an `Error`. `500` with the code `payment_unknown` means that the payment may have been made: read the charge \
that it names, or repeat the request with its `Idempotency-Key`.
- An export is a file that is sent while it is made. One that is cut off ends without the end of its encoding: ask for it again.
- The pages under `/v1/tds`, on which card holders confirm a payment, are for people and their browsers, and not in this document.";

/// The document.
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| {
            settings.definitions_path = SCHEMAS.into();
            settings.meta_schema = None;
        })
        .into_generator();
    let mut requests = BTreeMap::new();
    let mut paths = Map::new();
    for route in ROUTES {
        let id = operation_id(route);
        let mut described = operation(route, &id, &mut generator);
        let body =
            (route.method == Method::Post).then(|| requests::body(&id, route.operation.params)).flatten();
        if let Some((body, schemas)) = body {
            described.insert("requestBody".to_owned(), body);
            requests.extend(schemas);
        }
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[method_name(route.method)] = Value::Object(described);
    }
    let error = generator.subschema_for::<crate::web::error::ErrorView>();
    let mut schemas: BTreeMap<String, Value> = generator.take_definitions(true).into_iter().collect();
    schemas.extend(requests);
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "teiki",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that gave this document."}],
        "security": [{"basic": []}, {"bearer": []}],
        "tags": names::tags(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "The API key as the user name, with an empty password."},
                "bearer": {"type": "http", "scheme": "bearer", "description": "The API key as the token."},
            },
            "parameters": requests::shared(),
            "headers": answers::headers(),
            "responses": answers::shared(&error),
            "schemas": schemas,
        },
    })
}

/// What an operation takes and answers, but for the body of its request.
fn operation(route: &Route, id: &str, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let operation = route.operation;
    let kinds: Vec<&str> = KeyKind::ALL
        .into_iter()
        .filter(|kind| operation.access.is_open_to(*kind, route.method))
        .map(KeyKind::as_str)
        .collect();
    let mut described = Map::new();
    described.insert("operationId".to_owned(), id.into());
    described.insert("tags".to_owned(), json!([names::tag(route.path)]));
    described.insert("summary".to_owned(), operation.summary.into());
    described.insert("description".to_owned(), format!("Keys: {}.", kinds.join(", ")).into());
    described.insert("x-key-kinds".to_owned(), json!(kinds));
    described.insert("parameters".to_owned(), requests::parameters(route).into());
    described.insert("responses".to_owned(), answers::responses(route, generator).into());
    described
}

const fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Post => "post",
        Method::Delete => "delete",
    }
}

/// The document as it is kept and served.
pub fn text() -> String {
    format!("{:#}\n", document())
}

/// What is served: made once, and a name of this version of it.
static SERVED: LazyLock<(String, String)> = LazyLock::new(|| {
    let text = text();
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&text)[..16]));
    (text, tag)
});

/// The document, for pages of any origin; 304 to who has it already.
pub async fn serve(headers: HeaderMap) -> Response {
    let (text, tag) = &*SERVED;
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response()
    };
    let shared = response.headers_mut();
    shared.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    // It may be kept, and is asked for again before it is used: it changes with the server.
    shared.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        shared.insert(header::ETAG, tag);
    }
    response
}
