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
        "schema": schema(param, Style::Form),
    })
}

/// A way to write a body. Each has a schema of its own: clients that are generated from the document choose by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Form,
    Json,
}

impl Style {
    const ALL: [Self; 2] = [Self::Form, Self::Json];

    /// What the name of a schema ends with; keep stable.
    const fn ending(self) -> &'static str {
        match self {
            Self::Form => "Form",
            Self::Json => "Request",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json",
        }
    }

    /// What a parameter is called: of a list in a form each item is `name[]`.
    fn name_of(self, param: &Param) -> String {
        match (self, param.kind) {
            (Self::Form, Kind::List(..)) => format!("{}[]", param.name),
            _ => param.name.to_owned(),
        }
    }
}

/// What an operation takes in its body, and the schemas of that by their names; `None` if it takes nothing.
pub(super) fn body(operation_id: &str, params: &[Param]) -> Option<(Value, Vec<(String, Value)>)> {
    if params.is_empty() {
        return None;
    }
    let named = |style: Style| (body_name(operation_id, style), object(params, style));
    let content: Map<String, Value> = Style::ALL
        .into_iter()
        .map(|style| {
            let name = body_name(operation_id, style);
            let mut content = json!({"schema": {"$ref": format!("#{SCHEMAS}/{name}")}});
            let encoding = encoding(params);
            if style == Style::Form && !encoding.is_empty() {
                content["encoding"] = encoding.into();
            }
            (style.media_type().to_owned(), content)
        })
        .collect();
    let is_required = params.iter().any(|param| param.is_required);
    let described = json!({"required": is_required, "content": content});
    Some((described, Style::ALL.into_iter().map(named).collect()))
}

/// The name of the schema of an operation's body.
fn body_name(operation_id: &str, style: Style) -> String {
    let mut name: String = operation_id.split('_').map(capitalised).collect();
    name.push_str(style.ending());
    name
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// How a form writes what is within a parameter: `card[number]`.
fn encoding(params: &[Param]) -> Map<String, Value> {
    let nested = params.iter().filter(|param| match param.kind {
        Kind::Metadata | Kind::Texts(_) => true,
        Kind::Text(_)
        | Kind::Id
        | Kind::Int(..)
        | Kind::Bool
        | Kind::Choice(_)
        | Kind::InstantOrNow
        | Kind::Instant
        | Kind::List(..) => false,
    });
    nested.map(|param| (param.name.to_owned(), json!({"style": "deepObject", "explode": true}))).collect()
}

fn object(params: &[Param], style: Style) -> Value {
    let required: Vec<String> =
        params.iter().filter(|param| param.is_required).map(|param| style.name_of(param)).collect();
    let properties: Map<String, Value> =
        params.iter().map(|param| (style.name_of(param), described(param, style))).collect();
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

fn described(param: &Param, style: Style) -> Value {
    let mut schema = schema(param, style);
    if !param.about.is_empty() {
        schema["description"] = param.about.into();
    }
    schema
}

fn schema(param: &Param, style: Style) -> Value {
    let seconds = json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": LATEST_SECOND});
    let words = param.words.map(|words| words());
    match param.kind {
        Kind::Text(_) if let Some(words) = words => json!({"type": "string", "enum": words}),
        Kind::List(items, _) if let Some(words) = words => {
            json!({"type": "array", "items": {"type": "string", "enum": words}, "maxItems": items})
        }
        Kind::Text(max) if param.is_required => json!({"type": "string", "minLength": 1, "maxLength": max}),
        Kind::Text(max) => json!({"type": "string", "maxLength": max}),
        Kind::Id => json!({"type": "string", "minLength": 1, "maxLength": ID_MAX}),
        Kind::Int(min, max) => json!({"type": "integer", "format": "int64", "minimum": min, "maximum": max}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Choice(words) => json!({"type": "string", "enum": words}),
        Kind::InstantOrNow => json!({"oneOf": [seconds, {"type": "string", "const": "now"}]}),
        Kind::Instant => seconds,
        Kind::List(items, max) => {
            json!({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": max}, "maxItems": items})
        }
        Kind::Metadata => metadata::edit_schema(),
        Kind::Texts(members) => object(members, style),
    }
}
