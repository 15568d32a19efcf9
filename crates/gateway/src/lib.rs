//! The outside world of money: what a gateway can be asked, what its answers mean, and one adapter for each.
//!
//! An adapter sends one request and says what is *proven* by the answer. It does not decide whether, when or
//! how often to charge, never asks again by itself, and knows nothing of the database. What is not provably
//! final is [`Reply::Unknown`]; the core finds it out (`billing::resolution`). What is done to a charge later
//! (capture, void, reauthorization, refund) is a request of its own, with its own reference and key, and is
//! believed or not by the same rules.
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

    /// Sends one request to do something to a charge exactly once, as [`Gateway::charge`] does.
    async fn act(&self, request: &ActionRequest) -> ActionReply;

    /// Asks for all that was done to a charge under our reference.
    async fn find_action(&self, gateway_charge_id: &str, reference: &str) -> Lookup<ActionTruth>;
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
    /// Whether the money is taken; else it is only reserved, until an action takes or releases it.
    pub capture: bool,
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
            .field("capture", &self.capture)
            .field("billing_time", &self.billing_time)
            .finish()
    }
}

/// What can be done to a charge after it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes reserved money, all or a part; the rest is released. Once for a charge.
    Capture,
    /// Releases all reserved money.
    Void,
    /// Reserves the same money anew, before the reservation ends.
    Reauthorize,
    /// Gives back money that was taken, all or a part; as often as there is some left.
    Refund,
}

/// What is to be done to a charge. The same action always makes the same request, so that its key may be resent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRequest {
    /// The gateway's id of the charge.
    pub gateway_charge_id: String,
    /// Our id of this action, which the gateway stores; an answer that does not bear it is never believed.
    pub reference: String,
    /// The derived key of this action; never that of the charge.
    pub idempotency_key: String,
    /// What is to be done.
    pub action: Action,
    /// How much is to be captured or given back, at least one minor unit; to void and to reauthorize, all that
    /// is reserved, which the answer must name.
    pub amount: Money,
    /// The billing time of the action, as that of a charge.
    pub billing_time: Timestamp,
}

/// What is known after one request to charge.
pub type ChargeReply = Reply<Truth>;

/// What is known after one request to do something to a charge.
pub type ActionReply = Reply<ActionTruth>;

/// What is known after one request that moves money. Every `reason` is for the operator, one line, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<T> {
    /// This is what happened: reference, amount and currency agree with the request, and so does what was done.
    Known(T),
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
    /// The charge is not one to which this can be done: what stands in the way stays there. Only for actions. An
    /// earlier request for the same action may be what stands in the way.
    NotPossible {
        /// What stands in the way.
        obstacle: Obstacle,
        /// The gateway's code, as above.
        code: String,
    },
}

/// Why something cannot be done to a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing is reserved: the charge was declined, or the reservation has ended.
    NotAuthorized,
    /// What was reserved has been taken, by a capture or with the charge.
    AlreadyCaptured,
    /// What was reserved has been released.
    AlreadyVoided,
    /// No money was taken that could be given back.
    NothingTaken,
    /// All that was taken has been given back.
    AlreadyRefunded,
    /// More than is reserved, or more than is left to give back.
    AmountTooLarge,
}

/// What an operator must hear about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A success or a decline that cannot be read, or contradicts itself or the request in something that no other
    /// alarm names.
    Malformed,
    /// The answer names another amount or currency.
    WrongAmount,
    /// The answer is about another charge or action.
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
    /// What was charged, reserved or declined. From a look-up it may be any; the caller compares.
    pub amount: Money,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a charge stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of the amount was taken, at once or after it was reserved. What was given back later does not show here.
    Succeeded,
    /// The amount is reserved, nothing is taken.
    Authorized,
    /// The amount was reserved and less of it was taken; nothing is reserved any more.
    PartlyCaptured {
        /// What was taken, at least one minor unit.
        captured: Money,
    },
    /// The amount was reserved and released; nothing was taken, and nothing will be.
    Voided,
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

/// What a gateway says of one thing that was done to a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionTruth {
    /// The gateway's id of the action, in the form of a charge's.
    pub gateway_action_id: String,
    /// The charge that it was done to.
    pub gateway_charge_id: String,
    /// Our reference as the gateway has it.
    pub reference: String,
    /// What was done. From a look-up it may be any; the caller compares.
    pub action: Action,
    /// How much was captured, released, reserved anew or given back. From a look-up it may be any; the caller compares.
    pub amount: Money,
    /// How it ended.
    pub outcome: ActionOutcome,
}

/// How an action ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionOutcome {
    /// It is done.
    Done,
    /// The issuer or the gateway declined to reserve the money anew; the former reservation stays as it was.
    Declined {
        /// The gateway's code: 1 to 64 letters, digits, `_` or `-`.
        code: String,
        /// What the code means.
        class: DeclineClass,
    },
}

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T = Truth> {
    /// One charge, or one action.
    Found(T),
    /// More than one was executed under one reference, two or more here. No rule covers it: the caller alarms.
    Several(Vec<T>),
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
            capture: true,
            billing_time: Timestamp::UNIX_EPOCH,
        };
        let printed = format!("{request:?} {request:#?}");
        assert!(printed.contains("ch_0000") && !printed.contains("tok_secret"), "{printed}");
    }
}
