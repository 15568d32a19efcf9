//! What operations answer, as the OpenAPI document says it: 200 from the shape of the operation, refusals from what is known of
//! its route.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::names::variables;
use crate::routes::{Method, Route};
use crate::web::Access;
use crate::web::shape::Success;

/// A status that many operations are refused with.
struct Refusal {
    status: u16,
    name: &'static str,
    description: &'static str,
}

/// Without 400, whose codes follow from the parameters.
const REFUSALS: [Refusal; 10] = [
    Refusal {
        status: 401,
        name: "Unauthorized",
        description: "No key (`no_api_key`), one that opens nothing (`invalid_api_key`), or one that may not do this (no code).",
    },
    Refusal {
        status: 402,
        name: "CardRefused",
        description: "The card or its holder refused: `card_declined`, `expired_card`, `incorrect_card_data`, `processing_error`, `missing_card`, `three_d_secure_failed`.",
    },
    Refusal {
        status: 404,
        name: "NotFound",
        description: "Nothing of this account and mode has this id: `invalid_id`, for a plan in a parameter `invalid_plan`.",
    },
    Refusal {
        status: 409,
        name: "Conflict",
        description: "Something is under way with the same object: `payment_in_progress`, `test_clock_advancing`. Or the `Idempotency-Key` belongs to another request, or to one that is not done yet: `idempotency_conflict`, `idempotency_in_progress`.",
    },
    Refusal {
        status: 408,
        name: "TooSlow",
        description: "A body that did not come whole within 30 seconds: `request_timeout`.",
    },
    Refusal { status: 413, name: "TooLarge", description: "A body above 64 KiB: `request_too_large`." },
    Refusal {
        status: 415,
        name: "UnsupportedMediaType",
        description: "A body that is neither a form nor JSON: `unsupported_media_type`.",
    },
    Refusal {
        status: 429,
        name: "OverCapacity",
        description: "More requests than the key may make in a second, or more exports or previews of plan switches at once than there may be: `over_capacity`. Nothing was done.",
    },
    Refusal {
        status: 500,
        name: "ServerError",
        description: "Something is wrong here (`payjp_wrong`); the gateway was not reached and nothing was charged (`pg_wrong`); or the outcome of a payment is not known yet (`payment_unknown`): read the charge that is named.",
    },
    Refusal {
        status: 503,
        name: "ChargingHeld",
        description: "Charging is held by a person or a guard: `charging_held`. Nothing was charged.",
    },
];

/// Whether an operation may be refused with this status.
fn may_be(route: &Route, status: u16) -> bool {
    let is_post = route.method == Method::Post;
    match status {
        // Tokens are what public keys make.
        402 if is_post && route.operation.access == Access::Public => true,
        402 | 503 => route.moves_money,
        404 => !variables(route.path).is_empty() || names_objects(route),
        409 => route.method != Method::Get,
        _ => true,
    }
}

/// Whether it takes ids of other objects.
fn names_objects(route: &Route) -> bool {
    route.operation.params.iter().any(|param| param.code == "invalid_id")
}

/// What a route may answer, by status.
pub(super) fn responses(route: &Route, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses = Map::new();
    match route.operation.answer.success {
        Success::Never => {}
        Success::One(schema) | Success::List(schema) => {
            responses.insert("200".to_owned(), success(route, &schema(generator)));
        }
        Success::File(media_types) => {
            responses.insert("200".to_owned(), file(media_types));
        }
    }
    responses.insert("400".to_owned(), wrong(route));
    for refusal in REFUSALS {
        if may_be(route, refusal.status) || route.operation.answer.more.contains(&refusal.status) {
            let response = json!({"$ref": format!("#/components/responses/{}", refusal.name)});
            responses.insert(refusal.status.to_string(), response);
        }
    }
    responses
}

fn success(route: &Route, schema: &Schema) -> Value {
    let mut headers = json!({"Request-Id": header("RequestId")});
    if route.method == Method::Post {
        headers["Idempotent-Replayed"] = header("IdempotentReplayed");
    }
    json!({
        "description": "Done.",
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    })
}

fn file(media_types: &[&str]) -> Value {
    let of = |media_type: &&str| ((*media_type).to_owned(), json!({"schema": {"type": "string"}}));
    let content: Map<String, Value> = media_types.iter().map(of).collect();
    json!({
        "description": "Done.",
        "headers": {"Request-Id": header("RequestId"), "Content-Disposition": header("ContentDisposition")},
        "content": content,
    })
}

/// 400, with the codes that are known from the parameters.
fn wrong(route: &Route) -> Value {
    let params = route.operation.params;
    let mut codes = vec!["invalid_param_key", "invalid_querystring"];
    if params.iter().any(|param| param.is_required) {
        codes.push("missing_param");
    }
    if route.method == Method::Post {
        codes.push("invalid_idempotency_key");
    }
    // An id that does not exist is 404.
    codes.extend(params.iter().map(|param| param.code));
    codes.sort_unstable();
    codes.dedup();
    let codes: Vec<String> = codes.into_iter().map(|code| format!("`{code}`")).collect();
    json!({
        "description": format!("What was asked for is wrong. For its parameters: {}.", codes.join(", ")),
        "headers": {"Request-Id": header("RequestId")},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    })
}

fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

/// The refusals that operations share.
pub(super) fn shared(error: &Schema) -> Map<String, Value> {
    let response = |refusal: Refusal| {
        let mut headers = json!({"Request-Id": header("RequestId")});
        match refusal.status {
            401 => headers["WWW-Authenticate"] = header("WwwAuthenticate"),
            429 | 503 => headers["Retry-After"] = header("RetryAfter"),
            _ => {}
        }
        let content = json!({"application/json": {"schema": error}});
        let response = json!({"description": refusal.description, "headers": headers, "content": content});
        (refusal.name.to_owned(), response)
    };
    REFUSALS.into_iter().map(response).collect()
}

/// Headers of answers.
pub(super) fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "The id of this request, as the log of the server has it.",
            "schema": {"type": "string"},
        },
        "IdempotentReplayed": {
            "description": "`true` when this was answered before to a request with the same `Idempotency-Key`; else it is not sent.",
            "schema": {"type": "string", "const": "true"},
        },
        "RetryAfter": {
            "description": "After how many seconds the request may come again.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "ContentDisposition": {
            "description": "The name of the file.",
            "schema": {"type": "string"},
        },
        "WwwAuthenticate": {"description": "How a key is sent.", "schema": {"type": "string"}},
    })
}
