//! What operations take, as the OpenAPI document says it: from the same tables of parameters that requests are checked against.

use serde_json::{Map, Value, json};

use super::SCHEMAS;
use super::names::variables;
use crate::idempotency;
use crate::routes::{Method, Route};
use crate::web::metadata;
use crate::web::params::{ID_MAX, Kind, LATEST_SECOND, Param};

/// Parameters that many operations take.
pub(super) fn shared() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "Whatever is repeated with the same key is done once: up to 255 printable characters of ASCII, new for each thing that is to be done. An empty one is none.",
            "schema": {"type": "string", "maxLength": idempotency::LENGTH_MAX, "pattern": "^([!-~]([ -~]*[!-~])?)?$"},
        },
    })
}

/// Parameters in the address, in the query, and in headers.
pub(super) fn parameters(route: &Route) -> Vec<Value> {
    let mut parameters: Vec<Value> = variables(route.path).into_iter().map(in_path).collect();
    match route.method {
        Method::Get | Method::Delete => parameters.extend(route.operation.params.iter().map(in_query)),
        Method::Post => parameters.push(json!({"$ref": "#/components/parameters/IdempotencyKey"})),
    }
    parameters
}

fn in_path(name: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": format!("The id of the {}.", name.replace('_', " ")),
        "schema": {"type": "string", "minLength": 1, "maxLength": ID_MAX, "pattern": "^[A-Za-z0-9_-]+$"},
    })
}

fn in_query(param: &Param) -> Value {
    json!({
        "name": param.name,
        "in": "query",
        "required": param.is_required,
        "description": param.about,
        "schema": schema(param),
    })
}

/// The schema of a body with these parameters; `None` if there are none.
pub(super) fn body(params: &[Param]) -> Option<Value> {
    (!params.is_empty()).then(|| object(params))
}

/// The name of the schema of an operation's body.
pub(super) fn body_name(operation_id: &str) -> String {
    let mut name: String = operation_id.split('_').map(capitalised).collect();
    name.push_str("Request");
    name
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// A body as a form or as JSON; the schema `name` is the same.
pub(super) fn request_body(params: &[Param], name: &str) -> Value {
    let schema = json!({"$ref": format!("#{SCHEMAS}/{name}")});
    let nested = params.iter().filter(|param| match param.kind {
        Kind::Metadata | Kind::Texts(_) => true,
        Kind::Text(_)
        | Kind::Int(..)
        | Kind::Bool
        | Kind::Choice(_)
        | Kind::InstantOrNow
        | Kind::Instant
        | Kind::List(..) => false,
    });
    let encoding: Map<String, Value> = nested
        .map(|param| (param.name.to_owned(), json!({"style": "deepObject", "explode": true})))
        .collect();
    let mut form = json!({"schema": schema});
    if !encoding.is_empty() {
        form["encoding"] = encoding.into();
    }
    json!({
        "required": params.iter().any(|param| param.is_required),
        "content": {"application/x-www-form-urlencoded": form, "application/json": {"schema": schema}},
    })
}

fn object(params: &[Param]) -> Value {
    let required: Vec<&str> =
        params.iter().filter(|param| param.is_required).map(|param| param.name).collect();
    let properties: Map<String, Value> =
        params.iter().map(|param| (param.name.to_owned(), described(param))).collect();
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

fn described(param: &Param) -> Value {
    let mut schema = schema(param);
    if !param.about.is_empty() {
        schema["description"] = param.about.into();
    }
    schema
}

fn schema(param: &Param) -> Value {
    let seconds = json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": LATEST_SECOND});
    match param.kind {
        Kind::Text(max) if param.is_required => json!({"type": "string", "minLength": 1, "maxLength": max}),
        Kind::Text(max) => json!({"type": "string", "maxLength": max}),
        Kind::Int(min, max) => json!({"type": "integer", "format": "int64", "minimum": min, "maximum": max}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Choice(words) => json!({"type": "string", "enum": words}),
        Kind::InstantOrNow => json!({"oneOf": [seconds, {"type": "string", "const": "now"}]}),
        Kind::Instant => seconds,
        // In a form each item is `name[]`; a text alone is a list of one.
        Kind::List(items, max) => {
            json!({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": max}, "maxItems": items})
        }
        Kind::Metadata => metadata::edit_schema(),
        Kind::Texts(members) => object(members),
    }
}
