//! The JSON of the sandbox: what is sent to it and what it sends, read in place where the text allows.
//!
//! Shapes only. Fields that teiki does not need are not read; one that is missing, of another type or there
//! twice makes the whole text unreadable. Order: sent, received, the two text forms that are checked.

use std::borrow::Cow;

use billing::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest id that is believed.
const ID_BYTES_MAX: usize = 255;
/// The longest code that is believed.
const CODE_BYTES_MAX: usize = 64;

/// `POST /charges`.
#[derive(Serialize)]
pub(super) struct ChargeBody<'a> {
    pub(super) token: &'a str,
    pub(super) amount: i64,
    pub(super) currency: &'static str,
    pub(super) reference: &'a str,
    pub(super) capture: bool,
    pub(super) idempotency_key: &'a str,
    pub(super) billing_time: Timestamp,
}

/// `POST /charges/{id}/capture`, `void`, `reauth` and `refund`.
#[derive(Serialize)]
pub(super) struct ActionBody<'a> {
    /// Only where a part may be meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amount: Option<i64>,
    pub(super) reference: &'a str,
    pub(super) idempotency_key: &'a str,
    pub(super) billing_time: Timestamp,
}

/// `GET /capabilities`. All durations in milliseconds.
#[derive(Deserialize)]
pub(super) struct Declared {
    pub(super) idempotency: Idempotency,
    /// How long a key is recognised; `None` is for ever.
    pub(super) idempotency_window_ms: Option<u64>,
    pub(super) lookup_by_reference: bool,
    pub(super) lookup_lag_ms: u32,
    pub(super) max_processing_ms: u32,
    pub(super) rate_per_second: Option<u32>,
    pub(super) too_many_requests_is_not_executed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Idempotency {
    None,
    BestEffort,
    Strong,
}

/// A charge. Money that was given back later does not change what was charged.
#[derive(Deserialize)]
pub(super) struct Charge<'a> {
    pub(super) object: Object,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    pub(super) status: Status,
    pub(super) amount: i64,
    /// What was taken; a sandbox from before authorizations does not say it.
    pub(super) captured_amount: Option<i64>,
    pub(super) currency: Text<'a>,
    pub(super) reference: Option<Text<'a>>,
    pub(super) code: Option<Text<'a>>,
}

/// An action has most fields of a charge; it is told apart by this one.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Object {
    Charge,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Succeeded,
    Declined,
    Authorized,
    Captured,
    Voided,
}

/// Something that was done to a charge.
#[derive(Deserialize)]
pub(super) struct Acted<'a> {
    pub(super) object: ActedObject,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    pub(super) charge: Text<'a>,
    pub(super) status: ActedStatus,
    pub(super) amount: i64,
    pub(super) currency: Text<'a>,
    pub(super) reference: Option<Text<'a>>,
    pub(super) code: Option<Text<'a>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActedObject {
    Capture,
    Void,
    Reauth,
    Refund,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActedStatus {
    Succeeded,
    Declined,
}

/// `GET /charges?reference=…` and `GET /charges/{id}/actions?reference=…`.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// A decline (with the charge or the action) and every other error.
#[derive(Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(borrow)]
    pub(super) error: Error<'a>,
    pub(super) charge: Option<Charge<'a>>,
    pub(super) action: Option<Acted<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Error<'a> {
    #[serde(rename = "type")]
    pub(super) kind: ErrorKind,
    #[serde(borrow)]
    pub(super) code: Text<'a>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
pub(super) enum ErrorKind {
    #[serde(rename = "invalid_request_error")]
    InvalidRequest,
    #[serde(rename = "auth_error")]
    Auth,
    #[serde(rename = "card_error")]
    Card,
    #[serde(rename = "idempotency_error")]
    Idempotency,
    #[serde(rename = "rate_limit_error")]
    RateLimit,
    #[serde(rename = "api_error")]
    Api,
}

/// A text that points into the body unless it holds escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether this can be the id of a charge or an action; anything else could lead an address elsewhere.
pub(super) fn is_id(text: &str) -> bool {
    is_word(text, ID_BYTES_MAX)
}

/// Whether this can be an error or decline code.
pub(super) fn is_code(text: &str) -> bool {
    is_word(text, CODE_BYTES_MAX)
}

fn is_word(text: &str, bytes_max: usize) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(is_plain)
}
