//! Errors of the API: one shape for all of them, the one of PAY.JP.
//!
//! `{"error": {"status", "type", "message", "code"?, "param"?, "charge"?}}`, where `status` is the HTTP status. Messages are
//! for developers, in English, and name nothing of teiki's inside. They repeat what was sent, but never a card number. What
//! failed inside is logged with the request's id.

use std::borrow::Cow;

use axum::http::StatusCode;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::card_number;
use crate::failure::Failure;

/// What kind of error it is: SDKs choose their exception by the HTTP status, people by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for is wrong.
    Client,
    /// The card was refused.
    Card,
    /// Something is wrong here.
    Server,
    /// The address exists, but not with this method.
    Method,
    /// The key is missing, unknown, or not allowed to do this.
    Auth,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Client, Self::Card, Self::Server, Self::Method, Self::Auth];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client_error",
            Self::Card => "card_error",
            Self::Server => "server_error",
            Self::Method => "not_allowed_method_error",
            Self::Auth => "auth_error",
        }
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {}: {}", code.unwrap_or("error"), told.message)]
pub struct ApiError {
    /// The HTTP status, repeated in the body.
    pub status: StatusCode,
    /// What kind of error.
    pub kind: Kind,
    /// PAY.JP's name of it, or one of teiki's own.
    pub code: Option<&'static str>,
    told: Box<Told>,
}

/// What an error says. In a box, for errors are handed on through every call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    /// A sentence for the developer.
    message: String,
    /// The parameter it is about, as it was sent.
    param: Option<String>,
    /// The charge it is about.
    charge: Option<String>,
    /// After how many seconds the request may come again; with 429 and 503.
    retry_after: Option<u64>,
    /// What failed inside: for the log alone.
    inside: Option<String>,
    /// Whether what the request did came to nothing for certain, so that it may be made again.
    is_undone: bool,
}

impl ApiError {
    fn new(status: StatusCode, kind: Kind, code: Option<&'static str>, message: impl Into<String>) -> Self {
        let told = Told { message: masked(message), ..Told::default() };
        Self { status, kind, code, told: Box::new(told) }
    }

    /// 400: what was asked for is wrong.
    pub fn client(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Kind::Client, Some(code), message)
    }

    /// 400: a parameter is wrong.
    pub fn param(code: &'static str, param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::client(code, message).about_param(param)
    }

    /// 400: a parameter is missing.
    pub fn missing(param: &str, object: &str) -> Self {
        Self::param("missing_param", param, format!("Missing required param to {object}: {param}."))
    }

    /// 401: no key, an unknown one, or one that may not do this.
    pub fn auth(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Kind::Auth, None, message)
    }

    /// 402: the card was refused.
    pub fn card(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, Kind::Card, Some(code), message)
    }

    /// 404: there is no such object in this account and mode.
    pub fn not_found(object: &str, id: &str) -> Self {
        let message = format!("No such {object}: {id}");
        let error = Self::new(StatusCode::NOT_FOUND, Kind::Client, Some("invalid_id"), message);
        error.about_param("id")
    }

    /// 404: there is no such address.
    pub fn no_route(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL: {method} {}", readable(path));
        Self::new(StatusCode::NOT_FOUND, Kind::Client, Some("not_found"), message)
    }

    /// 400: the address exists, but not with this method.
    pub fn no_method(method: &str, path: &str) -> Self {
        let message = format!("The method {method} is not allowed for {}.", readable(path));
        Self::new(StatusCode::BAD_REQUEST, Kind::Method, Some("not_allowed_method"), message)
    }

    /// 409: something else is under way with what this request wants to change.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, Kind::Client, Some(code), message)
    }

    /// 413: the body is longer than `max` bytes.
    pub fn too_large(max: usize) -> Self {
        let message = format!("The request body must not be longer than {max} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Kind::Client, Some("request_too_large"), message)
    }

    /// 408: the body did not come in time.
    pub fn too_slow(wait: std::time::Duration) -> Self {
        let message = format!("The request body did not come within {} seconds.", wait.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, Kind::Client, Some("request_timeout"), message)
    }

    /// 414, 431: the head of a request is too long.
    pub fn head_too_long(status: StatusCode, message: String) -> Self {
        Self::new(status, Kind::Client, Some("request_head_too_long"), message)
    }

    /// 415: a body of a kind that is not read.
    pub fn media_type(found: &str) -> Self {
        let message = format!(
            "The content type {found} is not supported: use application/x-www-form-urlencoded or application/json."
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Kind::Client, Some("unsupported_media_type"), message)
    }

    /// 429: too many requests; `retry_after` in seconds.
    pub fn over_capacity(retry_after: u64) -> Self {
        let message = "The service is over capacity. Please try again later.";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::Client, Some("over_capacity"), message);
        error.again_after(retry_after)
    }

    /// 503: charging is held by a person or a guard.
    pub fn held(reason: &str) -> Self {
        let message = format!("Charging is held ({reason}). Nothing was charged.");
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Server, Some("charging_held"), message);
        error.again_after(60)
    }

    /// 500: something is wrong here; the log says what.
    pub fn server(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Kind::Server, Some(code), message)
    }

    /// 500: `cause` is logged and not told.
    pub fn inside(cause: impl Into<String>) -> Self {
        Self::server("payjp_wrong", "Something went wrong on our side. Please try again later.")
            .caused_by(cause)
    }

    /// The same about this charge.
    #[must_use]
    pub fn about_charge(mut self, charge: impl Into<String>) -> Self {
        self.told.charge = Some(charge.into());
        self
    }

    /// The same about this parameter.
    #[must_use]
    pub fn about_param(mut self, param: impl Into<String>) -> Self {
        self.told.param = Some(masked(param));
        self
    }

    /// The same because of `cause`, which is logged and not told.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.told.inside = Some(cause.into());
        self
    }

    /// The same in other words.
    #[must_use]
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.told.message = masked(message);
        self
    }

    /// The same with another code.
    #[must_use]
    pub fn coded(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    fn again_after(mut self, seconds: u64) -> Self {
        self.told.retry_after = Some(seconds);
        self
    }

    /// The same, and what the request did came to nothing for certain.
    #[must_use]
    pub fn undone(mut self) -> Self {
        self.told.is_undone = true;
        self
    }

    /// Whether the request may be made again as if it had not been made.
    pub fn is_undone(&self) -> bool {
        self.told.is_undone
    }

    /// After how many seconds the request may come again.
    pub fn retry_after(&self) -> Option<u64> {
        self.told.retry_after
    }

    /// What failed inside, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.told.inside.as_deref()
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        json!(ErrorView {
            error: ErrorDetails {
                status: self.status.as_u16(),
                kind: self.kind.as_str(),
                message: self.told.message.clone(),
                code: self.code,
                param: self.told.param.clone(),
                charge: self.told.charge.clone(),
            },
        })
    }
}

/// An address as it was sent, or without its percent signs if those hide a card number from [`masked`].
fn readable(path: &str) -> Cow<'_, str> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    if card_number::is_in(&decoded) { decoded } else { path.into() }
}

/// As it may be told.
fn masked(text: impl Into<String>) -> String {
    card_number::masked(&text.into()).into_owned()
}

/// What every refused request is answered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorView {
    error: ErrorDetails,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ErrorDetails {
    /// The HTTP status once more.
    #[schemars(with = "i64", range(min = 400, max = 599))]
    status: u16,
    #[serde(rename = "type")]
    #[schemars(extend("enum" = Kind::ALL.map(Kind::as_str)))]
    kind: &'static str,
    /// A sentence for the developer, in English. It may change; decide by `status` and `code`.
    message: String,
    /// The name of what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    code: Option<&'static str>,
    /// The parameter it is about, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    param: Option<String>,
    /// The charge it is about. After `payment_unknown` it is not known yet what became of it; the message says how to learn it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    charge: Option<String>,
}

/// A fault of the database is logged in full and told in one sentence.
impl From<db::Error> for ApiError {
    fn from(error: db::Error) -> Self {
        Self::inside(error.to_string())
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::inside(failure.message)
    }
}
