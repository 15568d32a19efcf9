//! The outside world of money: what a gateway can be asked, what its answers mean, and one adapter for each.
//!
//! An adapter sends one request and says what is *proven* by the answer. It does not decide whether, when or
//! how often to charge, never asks again by itself, and knows nothing of the database. What is not provably
//! final is [`ChargeReply::Unknown`]; the core finds it out (`billing::resolution`).
//!
//! Order: the trait, what is asked, what comes back. Adapters: [`sandbox`]. Limits: an answer of 64 KiB, the
//! time-out that the adapter declares.

mod http;
pub mod sandbox;

use std::fmt;

use async_trait::async_trait;
use billing::decline::DeclineClass;
use billing::id::ChargeId;
use billing::money::Money;
use billing::resolution::Capabilities;
use jiff::Timestamp;

/// One gateway account that can be charged through. Every adapter passes `tests/it/contract.rs`.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// What this gateway promises; read when it was connected.
    fn capabilities(&self) -> &Capabilities;

    /// Sends one charge request exactly once: no redirect is followed, the HTTP client does not retry.
    async fn charge(&self, request: &ChargeRequest) -> ChargeReply;

    /// Asks for a charge by the gateway's own id.
    async fn find_by_id(&self, gateway_charge_id: &str) -> Lookup;

    /// Asks for all charges that bear our reference.
    async fn find_by_reference(&self, reference: &str) -> Lookup;
}

/// What is to be charged. The same charge always makes the same request, so that its key may be resent.
#[derive(Clone)]
pub struct ChargeRequest {
    /// Our reference to the gateway; an answer that does not bear it is never believed.
    pub reference: ChargeId,
    /// The derived key of this charge.
    pub idempotency_key: String,
    /// The gateway's token of the payment method. A secret: never printed.
    pub token: String,
    /// How much, at least one minor unit.
    pub amount: Money,
    /// The billing time of the charge: in test mode the customer's clock, never used for time-outs.
    pub billing_time: Timestamp,
}

impl fmt::Debug for ChargeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChargeRequest")
            .field("reference", &self.reference)
            .field("idempotency_key", &self.idempotency_key)
            .field("token", &"hidden")
            .field("amount", &self.amount)
            .field("billing_time", &self.billing_time)
            .finish()
    }
}

/// What is known after one charge request. Every `reason` is for the operator, one line, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeReply {
    /// This is what happened: reference, amount and currency agree with the request.
    Known(Truth),
    /// Surely no byte of the request was written: name not resolved, refused, TLS, connecting took too long.
    NotSent {
        /// What was in the way.
        reason: String,
    },
    /// The gateway answered in its own schema that it did nothing **for this request**. If the same key was
    /// sent before, that earlier request may still have been executed.
    NotExecuted {
        /// What the gateway said.
        reason: String,
        /// Which kind of refusal it is.
        refusal: Refusal,
    },
    /// Anything that is not provably final.
    Unknown {
        /// What came instead of an answer that could be believed.
        reason: String,
        /// Set where this is no ordinary accident of a network.
        alarm: Option<Alarm>,
    },
    /// A request with the same key is being executed; the same key is to be resent later.
    InProgress,
}

/// Why a gateway did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many requests.
    RateLimited {
        /// When the gateway wants to be asked again, if it says so; never negative.
        retry_after_ms: Option<i64>,
    },
    /// The credentials are not accepted: nothing will work through this connection.
    Unauthorized,
    /// The request itself is refused and would be again.
    InvalidRequest {
        /// The gateway's code: 1 to 64 letters, digits, `_` or `-`.
        code: String,
    },
}

/// What an operator must hear about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A success or a decline that cannot be read or contradicts itself.
    Malformed,
    /// The answer names another amount or currency.
    WrongAmount,
    /// The answer is about another charge.
    WrongReference,
    /// The gateway has seen this key with other parameters: our fault or a foreign caller. The charge is frozen.
    KeyMismatch,
}

/// What a gateway says of one charge that it executed or is executing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The gateway's id: 1 to 255 letters, digits, `_` or `-`.
    pub gateway_charge_id: String,
    /// Our reference as the gateway has it. From a look-up by id it may be any; the caller compares.
    pub reference: String,
    /// What was charged or declined. From a look-up it may be any; the caller compares.
    pub amount: Money,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a charge ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Money was taken.
    Succeeded,
    /// The issuer or the gateway declined.
    Declined {
        /// The gateway's code: 1 to 64 letters, digits, `_` or `-`.
        code: String,
        /// What the code means.
        class: DeclineClass,
    },
    /// The gateway is still at work.
    Pending,
}

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// One charge.
    Found(Truth),
    /// More than one was executed under one reference, two or more here. No rule covers it: the caller alarms.
    Several(Vec<Truth>),
    /// The gateway says that it has none **now**; whether that proves anything is decided by the core.
    Absent,
    /// The look-up itself failed: nothing is known.
    Failed {
        /// What was in the way; for the operator, one line, without secrets.
        reason: String,
        /// Set where the gateway refused in its own schema.
        refusal: Option<Refusal>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_does_not_print_its_token() {
        let request = ChargeRequest {
            reference: "ch_00000000000000000000000000000".parse().expect("32 characters"),
            idempotency_key: "key-1".into(),
            token: "tok_secret".into(),
            amount: Money::yen(1),
            billing_time: Timestamp::UNIX_EPOCH,
        };
        let printed = format!("{request:?} {request:#?}");
        assert!(printed.contains("ch_0000") && !printed.contains("tok_secret"), "{printed}");
    }
}
