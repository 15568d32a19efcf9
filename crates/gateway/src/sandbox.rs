//! The adapter of the sandbox, teiki's stand-in gateway (crate `sandbox` has its protocol).

use std::time::Duration;

use async_trait::async_trait;
use billing::decline::DeclineClass;
use billing::money::{Currency, Money};
use billing::resolution::{Capabilities, Idempotency};
use jiff::Timestamp;
use reqwest::Client;
use serde::{Deserialize, Serialize};

use crate::http::{self, Answer, NoAnswer};
use crate::{Alarm, ChargeReply, ChargeRequest, Gateway, Lookup, Outcome, Refusal, Truth};

/// Bounds of the time after which a request is given up, in milliseconds.
const TIMEOUT_MS: (i64, i64) = (1_500, 30_000);
/// The least time between the two look-ups that prove absence, in milliseconds.
const LOOKUP_SPACING_MIN_MS: i64 = 50;

/// A sandbox at a URL.
pub struct Sandbox {
    base: String,
    capabilities: Capabilities,
    refuses_unexecuted: bool,
    client: Client,
}

/// Why a sandbox cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It does not answer.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// What answers is not a sandbox.
    #[error("what answers there is not a sandbox: {0}")]
    NotASandbox(String),
}

#[derive(Deserialize)]
struct Declared {
    idempotency: String,
    idempotency_window_ms: Option<i64>,
    lookup_by_reference: bool,
    lookup_lag_ms: i64,
    max_processing_ms: i64,
    rate_per_second: Option<u32>,
    too_many_requests_is_not_executed: bool,
}

impl Sandbox {
    /// Reads the capabilities of the sandbox at `base_url`.
    pub async fn connect(base_url: &str) -> Result<Self, ConnectError> {
        let base = base_url.trim_end_matches('/').to_owned();
        let unusable = |error: reqwest::Error| ConnectError::Unreachable(error.to_string());
        let probe = http::client(Duration::from_millis(TIMEOUT_MS.0.unsigned_abs())).map_err(unusable)?;
        let answer = http::send(probe.get(format!("{base}/capabilities"))).await.map_err(|none| match none {
            NoAnswer::NotSent(reason) | NoAnswer::Lost(reason) => ConnectError::Unreachable(reason),
        })?;
        let declared: Declared =
            serde_json::from_slice(&answer.body).map_err(|error| ConnectError::NotASandbox(error.to_string()))?;
        let capabilities = capabilities_of(&declared).ok_or_else(|| ConnectError::NotASandbox(declared.idempotency.clone()))?;
        let client = http::client(Duration::from_millis(capabilities.request_timeout_ms.unsigned_abs())).map_err(unusable)?;
        Ok(Self { base, capabilities, refuses_unexecuted: declared.too_many_requests_is_not_executed, client })
    }

    async fn get(&self, path: &str) -> Result<Answer, NoAnswer> {
        http::send(self.client.get(format!("{}{path}", self.base))).await
    }
}

fn capabilities_of(declared: &Declared) -> Option<Capabilities> {
    let idempotency = match declared.idempotency.as_str() {
        "none" => Idempotency::None,
        "best_effort" => Idempotency::BestEffort,
        "strong" => Idempotency::Strong { window_ms: declared.idempotency_window_ms },
        _ => return None,
    };
    Some(Capabilities {
        idempotency,
        lookup_by_reference: declared.lookup_by_reference,
        lookup_lag_ms: declared.lookup_lag_ms,
        max_processing_ms: declared.max_processing_ms,
        request_timeout_ms: (2 * declared.max_processing_ms + 1_000).clamp(TIMEOUT_MS.0, TIMEOUT_MS.1),
        lookup_spacing_ms: declared.lookup_lag_ms.max(declared.max_processing_ms).max(LOOKUP_SPACING_MIN_MS),
        rate_per_second: declared.rate_per_second,
    })
}

#[derive(Serialize)]
struct ChargeBody<'a> {
    token: &'a str,
    amount: i64,
    currency: &'a str,
    reference: &'a str,
    idempotency_key: &'a str,
    billing_time: Timestamp,
}

#[derive(Deserialize)]
struct ChargeObject<'a> {
    #[serde(borrow)]
    id: std::borrow::Cow<'a, str>,
    status: std::borrow::Cow<'a, str>,
    amount: i64,
    currency: std::borrow::Cow<'a, str>,
    reference: Option<std::borrow::Cow<'a, str>>,
    code: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    error: ErrorObject<'a>,
    charge: Option<ChargeObject<'a>>,
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    code: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct ListBody<'a> {
    #[serde(borrow)]
    data: Vec<ChargeObject<'a>>,
}

/// What an answer must agree with before it is believed.
struct Expected<'a> {
    reference: &'a str,
    amount: Money,
    refuses_unexecuted: bool,
}

#[async_trait]
impl Gateway for Sandbox {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn charge(&self, request: &ChargeRequest) -> ChargeReply {
        let body = ChargeBody {
            token: &request.token,
            amount: request.amount.minor,
            currency: request.amount.currency.code(),
            reference: request.reference.as_str(),
            idempotency_key: &request.idempotency_key,
            billing_time: request.billing_time,
        };
        match http::send(self.client.post(format!("{}/charges", self.base)).json(&body)).await {
            Err(NoAnswer::NotSent(reason)) => ChargeReply::NotSent { reason },
            Err(NoAnswer::Lost(reason)) => ChargeReply::Unknown { reason, alarm: None },
            Ok(answer) => classify(
                &Expected {
                    reference: request.reference.as_str(),
                    amount: request.amount,
                    refuses_unexecuted: self.refuses_unexecuted,
                },
                &answer,
            ),
        }
    }

    async fn find_by_id(&self, gateway_charge_id: &str) -> Lookup {
        match self.get(&format!("/charges/{gateway_charge_id}")).await {
            Ok(answer) if answer.status == 200 => match serde_json::from_slice::<ChargeObject<'_>>(&answer.body) {
                Ok(object) => truth_of(&object).map_or_else(unreadable, Lookup::Found),
                Err(_) => unreadable(),
            },
            Ok(answer) if answer.status == 404 && is_own_error(&answer.body) => Lookup::Absent,
            other => failed(other),
        }
    }

    async fn find_by_reference(&self, reference: &str) -> Lookup {
        let answer = match self.get(&format!("/charges?reference={reference}")).await {
            Ok(answer) if answer.status == 200 => answer,
            other => return failed(other),
        };
        let Ok(list) = serde_json::from_slice::<ListBody<'_>>(&answer.body) else {
            return unreadable();
        };
        let Some(mut truths) = list.data.iter().map(truth_of).collect::<Option<Vec<_>>>() else {
            return unreadable();
        };
        match (truths.pop(), truths.is_empty()) {
            (None, _) => Lookup::Absent,
            (Some(only), true) => Lookup::Found(only),
            (Some(last), false) => {
                truths.push(last);
                Lookup::Several(truths)
            }
        }
    }
}

fn unreadable() -> Lookup {
    Lookup::Failed { reason: "the answer to the look-up does not read".into(), refusal: None }
}

fn failed(answer: Result<Answer, NoAnswer>) -> Lookup {
    match answer {
        Err(NoAnswer::NotSent(reason) | NoAnswer::Lost(reason)) => Lookup::Failed { reason, refusal: None },
        Ok(answer) => {
            let refusal = match answer.status {
                401 | 403 => Some(Refusal::Unauthorized),
                429 => Some(Refusal::RateLimited { retry_after_ms: answer.retry_after_ms }),
                _ => None,
            };
            Lookup::Failed { reason: format!("the look-up was answered with status {}", answer.status), refusal }
        }
    }
}

fn is_own_error(body: &[u8]) -> bool {
    serde_json::from_slice::<ErrorBody<'_>>(body).is_ok()
}

/// What an answer to a charge means (specs/reliability-security.md B3). Anything that is not provably
/// final is unknown.
fn classify(expected: &Expected<'_>, answer: &Answer) -> ChargeReply {
    let unknown = |reason: String, alarm| ChargeReply::Unknown { reason, alarm };
    match answer.status {
        200..=299 => match serde_json::from_slice::<ChargeObject<'_>>(&answer.body) {
            Ok(object) => agreed(expected, &object),
            Err(_) => unknown("a success that does not read".into(), Some(Alarm::Malformed)),
        },
        400..=499 => match serde_json::from_slice::<ErrorBody<'_>>(&answer.body) {
            Ok(body) => refused(expected, answer, &body),
            Err(_) => unknown(format!("status {} in a foreign form", answer.status), Some(Alarm::Malformed)),
        },
        status => unknown(format!("status {status}"), None),
    }
}

fn refused(expected: &Expected<'_>, answer: &Answer, body: &ErrorBody<'_>) -> ChargeReply {
    let reason = format!("{} ({})", body.error.code, body.error.kind);
    let not_executed = |refusal| ChargeReply::NotExecuted { reason: reason.clone(), refusal };
    match (answer.status, body.error.code.as_ref()) {
        (402, _) => match &body.charge {
            Some(object) => agreed(expected, object),
            None => ChargeReply::Unknown { reason, alarm: Some(Alarm::Malformed) },
        },
        (401 | 403, _) => not_executed(Refusal::Unauthorized),
        (409, "idempotency_in_progress") => ChargeReply::InProgress,
        (409, "idempotency_conflict") => ChargeReply::Unknown { reason, alarm: Some(Alarm::KeyMismatch) },
        (429, _) if expected.refuses_unexecuted => {
            not_executed(Refusal::RateLimited { retry_after_ms: answer.retry_after_ms })
        }
        (400 | 404 | 405 | 413 | 415 | 422, code) => not_executed(Refusal::InvalidRequest { code: code.to_owned() }),
        _ => ChargeReply::Unknown { reason, alarm: None },
    }
}

fn agreed(expected: &Expected<'_>, object: &ChargeObject<'_>) -> ChargeReply {
    let unknown = |reason: &str, alarm| ChargeReply::Unknown { reason: reason.to_owned(), alarm: Some(alarm) };
    match truth_of(object) {
        None => unknown("an answer that does not read", Alarm::Malformed),
        Some(truth) if truth.reference != expected.reference => {
            unknown("an answer with another reference", Alarm::WrongReference)
        }
        Some(truth) if truth.amount != expected.amount => unknown("an answer with another amount", Alarm::WrongAmount),
        Some(truth) => ChargeReply::Known(truth),
    }
}

fn truth_of(object: &ChargeObject<'_>) -> Option<Truth> {
    let currency: Currency = object.currency.parse().ok()?;
    let outcome = match (object.status.as_ref(), &object.code) {
        ("succeeded", _) => Outcome::Succeeded,
        ("declined", Some(code)) => Outcome::Declined { code: code.to_string(), class: DeclineClass::of(code) },
        _ => return None,
    };
    Some(Truth {
        gateway_charge_id: object.id.to_string(),
        reference: object.reference.as_ref()?.to_string(),
        amount: Money::new(object.amount, currency),
        outcome,
    })
}
