//! What goes back to the client: charges, what was done to them, lists and errors as JSON, or nothing.
//!
//! Shapes only; which reply a request gets is decided elsewhere. Order: the reply, executed lines, errors, broken answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::book::{Action, BookLine, Kind, Outcome};
use crate::desk::{Found, NotExecuted};
use crate::order::BadOrder;
use crate::standing::{Refusal, Status};

/// How a request ends for its client.
pub(crate) enum Reply {
    Answer(Response),
    /// The connection is reset.
    Cut,
    /// Nothing is said until the client leaves.
    Hang,
}

#[derive(Serialize)]
struct Charge<'a> {
    object: &'static str,
    id: &'a str,
    status: &'static str,
    amount: i64,
    captured_amount: i64,
    amount_refunded: i64,
    currency: &'a str,
    token: &'a str,
    reference: Option<&'a str>,
    code: Option<&'a str>,
    created_at: jiff::Timestamp,
    billing_time: jiff::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency: Option<&'static str>,
}

#[derive(Serialize)]
struct Acted<'a> {
    object: &'static str,
    id: &'a str,
    charge: Option<&'a str>,
    status: &'static str,
    amount: i64,
    currency: &'a str,
    reference: Option<&'a str>,
    code: Option<&'a str>,
    created_at: jiff::Timestamp,
    billing_time: jiff::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency: Option<&'static str>,
}

#[derive(Serialize)]
struct List<T> {
    data: Vec<T>,
    has_more: bool,
}

#[derive(Serialize)]
struct DeclinedCharge<'a> {
    error: ErrorBody<'a>,
    charge: Charge<'a>,
}

#[derive(Serialize)]
struct DeclinedAction<'a> {
    error: ErrorBody<'a>,
    action: Acted<'a>,
}

#[derive(Serialize)]
struct Failed<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    r#type: &'static str,
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'static str>,
}

/// The answer to `POST /charges`.
pub(crate) fn charged(found: &Found, idempotency: &'static str) -> Response {
    let charge = charge(found, Some(idempotency));
    match found.standing.status {
        Status::Declined => {
            json(StatusCode::PAYMENT_REQUIRED, &DeclinedCharge { error: decline(&found.line), charge })
        }
        Status::Succeeded | Status::Authorized | Status::Captured | Status::Voided => {
            json(StatusCode::OK, &charge)
        }
    }
}

/// The answer to a request that did something to a charge.
pub(crate) fn acted(action: Action, line: &BookLine, idempotency: &'static str) -> Response {
    let acted = action_of(action, line, Some(idempotency));
    match line.outcome {
        Outcome::Declined => {
            json(StatusCode::PAYMENT_REQUIRED, &DeclinedAction { error: decline(line), action: acted })
        }
        Outcome::Succeeded
        | Outcome::Authorized
        | Outcome::Captured
        | Outcome::Voided
        | Outcome::Refunded => json(StatusCode::OK, &acted),
    }
}

fn decline(line: &BookLine) -> ErrorBody<'_> {
    let code = line.code.as_deref().unwrap_or("card_declined");
    ErrorBody { r#type: "card_error", code, message: "the card was declined", param: None }
}

/// The answer to a look-up by id.
pub(crate) fn found(found: &Found) -> Response {
    json(StatusCode::OK, &charge(found, None))
}

/// The answer to a look-up by reference and to a listing.
pub(crate) fn listed(found: &[Found], has_more: bool) -> Response {
    let data = found.iter().map(|found| charge(found, None)).collect();
    json(StatusCode::OK, &List { data, has_more })
}

/// The answer to a look-up of what was done to a charge.
pub(crate) fn actions(lines: &[BookLine], has_more: bool) -> Response {
    let acted = |line| match BookLine::kind(line) {
        Kind::Action(action) => Some(action_of(action, line, None)),
        Kind::Charge => None,
    };
    json(StatusCode::OK, &List { data: lines.iter().filter_map(acted).collect(), has_more })
}

fn charge<'a>(found: &'a Found, idempotency: Option<&'static str>) -> Charge<'a> {
    let Found { line, standing } = found;
    Charge {
        object: "charge",
        id: &line.id,
        status: standing.status.word(),
        amount: line.amount,
        captured_amount: standing.captured,
        amount_refunded: standing.refunded,
        currency: &line.currency,
        token: &line.token,
        reference: line.reference.as_deref(),
        code: line.code.as_deref(),
        created_at: line.recorded_at,
        billing_time: line.at,
        idempotency,
    }
}

fn action_of<'a>(action: Action, line: &'a BookLine, idempotency: Option<&'static str>) -> Acted<'a> {
    Acted {
        object: action.word(),
        id: &line.id,
        charge: line.charge.as_deref(),
        status: if line.outcome == Outcome::Declined { "declined" } else { "succeeded" },
        amount: line.amount,
        currency: &line.currency,
        reference: line.reference.as_deref(),
        code: line.code.as_deref(),
        created_at: line.recorded_at,
        billing_time: line.at,
        idempotency,
    }
}

pub(crate) fn bad_order(bad: &BadOrder) -> Response {
    error(StatusCode::BAD_REQUEST, "invalid_request_error", bad.code, &bad.message, bad.param)
}

pub(crate) fn bad_query(message: &str, param: Option<&'static str>) -> Response {
    error(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_query", message, param)
}

pub(crate) fn unauthorized() -> Response {
    let message = "the credentials are not accepted";
    error(StatusCode::UNAUTHORIZED, "invalid_request_error", "unauthorized", message, None)
}

pub(crate) fn not_found() -> Response {
    let message = "there is nothing at this address";
    error(StatusCode::NOT_FOUND, "invalid_request_error", "not_found", message, None)
}

pub(crate) fn method_not_allowed() -> Response {
    let message = "this address does not take this method";
    error(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", "method_not_allowed", message, None)
}

pub(crate) fn body_unreadable(status: StatusCode) -> Response {
    let (code, message) = if status == StatusCode::PAYLOAD_TOO_LARGE {
        ("body_too_large", "the body is larger than 64 KiB")
    } else {
        ("body_unreadable", "the body did not arrive whole")
    };
    error(status, "invalid_request_error", code, message, None)
}

pub(crate) fn conflict() -> Response {
    let message = "this idempotency key was used with other parameters";
    error(StatusCode::CONFLICT, "idempotency_error", "idempotency_conflict", message, Some("idempotency_key"))
}

pub(crate) fn in_progress() -> Response {
    let message = "a request with this idempotency key is being executed; send it again later";
    error(
        StatusCode::CONFLICT,
        "idempotency_error",
        "idempotency_in_progress",
        message,
        Some("idempotency_key"),
    )
}

pub(crate) fn too_many() -> Response {
    let message = "too many requests; this one was not executed";
    let mut response =
        error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "too_many_requests", message, None);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

pub(crate) fn internal() -> Response {
    let message = "something went wrong; the request may have been executed";
    error(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "internal_error", message, None)
}

pub(crate) fn not_executed(not_executed: NotExecuted) -> Response {
    let refusal = match not_executed {
        NotExecuted::Refused(refusal) => refusal,
        NotExecuted::NotWritten(_) => return internal(),
    };
    let (code, param) = match refusal {
        Refusal::NotAuthorized => ("charge_not_authorized", None),
        Refusal::AlreadyCaptured => ("already_captured", None),
        Refusal::AlreadyVoided => ("already_voided", None),
        Refusal::ExceedsAuthorization { .. } => ("capture_exceeds_authorization", Some("amount")),
        Refusal::NotRefundable => ("charge_not_refundable", None),
        Refusal::AlreadyRefunded => ("already_refunded", None),
        Refusal::ExceedsRest { .. } => ("refund_exceeds_charge", Some("amount")),
    };
    error(StatusCode::BAD_REQUEST, "invalid_request_error", code, &refusal.to_string(), param)
}

fn error(
    status: StatusCode,
    r#type: &'static str,
    code: &str,
    message: &str,
    param: Option<&'static str>,
) -> Response {
    json(status, &Failed { error: ErrorBody { r#type, code, message, param } })
}

/// A success that cannot be parsed: the object breaks off.
pub(crate) fn malformed() -> Response {
    let body = r#"{"object":"charge","id":"sch_"#;
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The page of a proxy or firewall in front of the gateway, which says nothing about the request.
pub(crate) fn html() -> Response {
    let body = "<!DOCTYPE html><html><title>403 Forbidden</title><h1>403 Forbidden</h1></html>\n";
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response()
}

pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, axum::Json(body)).into_response()
}
