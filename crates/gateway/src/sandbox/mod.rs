//! The adapter of the sandbox, teiki's stand-in gateway (the crate `sandbox` documents its protocol).
//!
//! Speaks the protocol; what an answer means is in [`verdict`], what it tells of a charge or an action in [`told`], the
//! shapes are in [`wire`]. A request costs one round trip, its body is written once and its answer is read in place.

mod told;
mod verdict;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use billing::resolution::{Capabilities, Idempotency};
use reqwest::{Client, Url};

use crate::http::{self, NoAnswer};
use crate::{
    Action, ActionReply, ActionRequest, ActionTruth, Alarm, ChargeReply, ChargeRequest, Gateway, Lookup,
    Reply,
};
use told::{Capture, Deed};
use verdict::Expectation;
use wire::{Acted, ActionBody, Charge, ChargeBody, Declared};

/// A request is given up after twice the declared processing time and this, within the bounds, in milliseconds. The sandbox
/// is near; after a crash the quiet period, and with it this, is what new charges wait for where keys are not recognised.
const TIMEOUT_MARGIN_MS: i64 = 200;
const TIMEOUT_MIN_MS: i64 = 500;
const TIMEOUT_MAX_MS: i64 = 30_000;
/// The least time between the two look-ups that prove absence, in milliseconds.
const LOOKUP_SPACING_MIN_MS: i64 = 50;
/// Why nothing is asked about an id that could lead an address elsewhere.
const NOT_AN_ID: &str = "this is not an id that the sandbox gives";
/// How long the sandbox may take to say what it can do.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A sandbox at a URL.
pub struct Sandbox {
    /// `{base}/charges`.
    charges: Url,
    capabilities: Capabilities,
    /// Whether a 429 means that nothing was done.
    too_many_is_unexecuted: bool,
    client: Client,
}

/// Why a sandbox cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not a URL that can be asked.
    #[error("{0:?} is not an address of the form http://host:port")]
    InvalidUrl(String),
    /// It does not answer.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// What answers is not a sandbox.
    #[error("what answers there is not a sandbox: {0}")]
    NotASandbox(String),
}

impl Sandbox {
    /// Reads what the sandbox at `base_url` can do, and is then ready to charge through it.
    ///
    /// # Errors
    /// [`ConnectError::InvalidUrl`] before anything is asked, [`ConnectError::Unreachable`] when there is no
    /// answer, [`ConnectError::NotASandbox`] when the answer is not that of a sandbox.
    pub async fn connect(base_url: &str) -> Result<Self, ConnectError> {
        let base = address(base_url).ok_or_else(|| ConnectError::InvalidUrl(base_url.to_owned()))?;
        let unusable = |error: reqwest::Error| ConnectError::Unreachable(error.to_string());
        let probe = http::client(CONNECT_TIMEOUT).map_err(unusable)?;
        let answer =
            http::send(probe.get(below(&base, "capabilities"))).await.map_err(|none| match none {
                NoAnswer::NotSent(reason) | NoAnswer::Lost(reason) => ConnectError::Unreachable(reason),
                NoAnswer::TooLong(reason) => ConnectError::NotASandbox(reason),
            })?;
        if answer.status != 200 {
            return Err(ConnectError::NotASandbox(format!("status {}", answer.status)));
        }
        let declared: Declared = serde_json::from_slice(&answer.body)
            .map_err(|error| ConnectError::NotASandbox(error.to_string()))?;
        let capabilities = capabilities_of(&declared);
        let timeout = Duration::from_millis(capabilities.request_timeout_ms.unsigned_abs());
        Ok(Self {
            charges: below(&base, "charges"),
            capabilities,
            too_many_is_unexecuted: declared.too_many_requests_is_not_executed,
            client: http::client(timeout).map_err(unusable)?,
        })
    }
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
            capture: request.capture,
            idempotency_key: &request.idempotency_key,
            billing_time: request.billing_time,
        };
        let expected = Expectation {
            reference: request.reference.as_str(),
            amount: request.amount,
            asked: Capture(request.capture),
            too_many_is_unexecuted: self.too_many_is_unexecuted,
        };
        match http::send(self.client.post(self.charges.clone()).json(&body)).await {
            Ok(answer) => verdict::classify::<Charge<'_>>(&expected, &answer),
            Err(none) => unanswered(none),
        }
    }

    async fn find_by_id(&self, gateway_charge_id: &str) -> Lookup {
        if !wire::is_id(gateway_charge_id) {
            return Lookup::Failed { reason: NOT_AN_ID.to_owned(), refusal: None };
        }
        match http::send(self.client.get(below(&self.charges, gateway_charge_id))).await {
            Ok(answer) => verdict::found_by_id(gateway_charge_id, &answer),
            Err(none) => failed(none),
        }
    }

    async fn find_by_reference(&self, reference: &str) -> Lookup {
        let mut url = self.charges.clone();
        url.query_pairs_mut().append_pair("reference", reference);
        match http::send(self.client.get(url)).await {
            Ok(answer) => verdict::found_by_reference(reference, &answer),
            Err(none) => failed(none),
        }
    }

    async fn act(&self, request: &ActionRequest) -> ActionReply {
        if !wire::is_id(&request.gateway_charge_id) {
            return Reply::NotSent { reason: NOT_AN_ID.to_owned() };
        }
        let (word, takes_amount) = match request.action {
            Action::Capture => ("capture", true),
            Action::Void => ("void", false),
            Action::Reauthorize => ("reauth", false),
            Action::Refund => ("refund", true),
        };
        let body = ActionBody {
            amount: takes_amount.then_some(request.amount.minor),
            reference: &request.reference,
            idempotency_key: &request.idempotency_key,
            billing_time: request.billing_time,
        };
        let expected = Expectation {
            reference: &request.reference,
            amount: request.amount,
            asked: Deed { action: request.action, gateway_charge_id: &request.gateway_charge_id },
            too_many_is_unexecuted: self.too_many_is_unexecuted,
        };
        let url = below(&below(&self.charges, &request.gateway_charge_id), word);
        match http::send(self.client.post(url).json(&body)).await {
            Ok(answer) => verdict::classify::<Acted<'_>>(&expected, &answer),
            Err(none) => unanswered(none),
        }
    }

    async fn find_action(&self, gateway_charge_id: &str, reference: &str) -> Lookup<ActionTruth> {
        if !wire::is_id(gateway_charge_id) {
            return Lookup::Failed { reason: NOT_AN_ID.to_owned(), refusal: None };
        }
        let mut url = below(&below(&self.charges, gateway_charge_id), "actions");
        url.query_pairs_mut().append_pair("reference", reference);
        match http::send(self.client.get(url)).await {
            Ok(answer) => verdict::found_action(gateway_charge_id, reference, &answer),
            Err(none) => failed(none),
        }
    }
}

fn unanswered<T>(none: NoAnswer) -> Reply<T> {
    match none {
        NoAnswer::NotSent(reason) => Reply::NotSent { reason },
        NoAnswer::Lost(reason) => Reply::Unknown { reason, alarm: None },
        NoAnswer::TooLong(reason) => Reply::Unknown { reason, alarm: Some(Alarm::Malformed) },
    }
}

fn failed<T>(none: NoAnswer) -> Lookup<T> {
    match none {
        NoAnswer::NotSent(reason) | NoAnswer::Lost(reason) | NoAnswer::TooLong(reason) => {
            Lookup::Failed { reason, refusal: None }
        }
    }
}

/// The address as a URL that names a host.
fn address(base_url: &str) -> Option<Url> {
    let url = Url::parse(base_url).ok()?;
    (url.has_host() && matches!(url.scheme(), "http" | "https")).then_some(url)
}

/// `segment` under `url`, whether or not that ends with a slash.
fn below(url: &Url, segment: &str) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(segment);
    }
    url
}

fn capabilities_of(declared: &Declared) -> Capabilities {
    let lookup_lag_ms = i64::from(declared.lookup_lag_ms);
    let max_processing_ms = i64::from(declared.max_processing_ms);
    Capabilities {
        idempotency: match declared.idempotency {
            wire::Idempotency::None => Idempotency::None,
            wire::Idempotency::BestEffort => Idempotency::BestEffort,
            wire::Idempotency::Strong => Idempotency::Strong {
                window_ms: declared.idempotency_window_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
            },
        },
        lookup_by_reference: declared.lookup_by_reference,
        lookup_lag_ms,
        max_processing_ms,
        request_timeout_ms: (2 * max_processing_ms + TIMEOUT_MARGIN_MS).clamp(TIMEOUT_MIN_MS, TIMEOUT_MAX_MS),
        lookup_spacing_ms: (lookup_lag_ms + max_processing_ms).max(LOOKUP_SPACING_MIN_MS),
        rate_per_second: declared.rate_per_second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_joined_with_and_without_a_slash() {
        for (base, expected) in [
            ("http://127.0.0.1:1", "http://127.0.0.1:1/charges/sch_1"),
            ("http://127.0.0.1:1/", "http://127.0.0.1:1/charges/sch_1"),
            ("http://host/sandbox", "http://host/sandbox/charges/sch_1"),
        ] {
            let url = address(base).expect("an address");
            assert_eq!(below(&below(&url, "charges"), "sch_1").as_str(), expected);
        }
        for bad in ["", "127.0.0.1:1", "host", "file:///a", "mailto:a@b"] {
            assert!(address(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn times_follow_what_the_sandbox_declares() {
        // max processing, lag → time-out, spacing
        for (max_processing_ms, lookup_lag_ms, timeout_ms, spacing_ms) in [
            (0, 0, 500, 50),
            (300, 0, 800, 300),
            (1_000, 3_000, 2_200, 4_000),
            (60_000, 0, 30_000, 60_000),
            (u32::MAX, 0, 30_000, i64::from(u32::MAX)),
        ] {
            let capabilities = capabilities_of(&Declared {
                idempotency: wire::Idempotency::Strong,
                idempotency_window_ms: Some(u64::MAX),
                lookup_by_reference: true,
                lookup_lag_ms,
                max_processing_ms,
                rate_per_second: None,
                too_many_requests_is_not_executed: true,
            });
            assert_eq!(capabilities.request_timeout_ms, timeout_ms);
            assert_eq!(capabilities.lookup_spacing_ms, spacing_ms);
        }
    }
}
