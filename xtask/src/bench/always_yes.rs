//! A gateway inside the process that does all that it is asked at once: what is left to measure is teiki.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use billing::resolution::{Capabilities, Idempotency};
use gateway::{
    ActionOutcome, ActionReply, ActionRequest, ActionTruth, ChargeReply, ChargeRequest, Gateway, Lookup,
    Outcome, Truth,
};

const CAPABILITIES: Capabilities = Capabilities {
    idempotency: Idempotency::Strong { window_ms: None },
    lookup_by_reference: true,
    lookup_lag_ms: 0,
    max_processing_ms: 1_000,
    request_timeout_ms: 3_000,
    lookup_spacing_ms: 1_000,
    rate_per_second: None,
};

/// Says yes, without a limit and without waiting.
#[derive(Default)]
pub(crate) struct AlwaysYes {
    executed: AtomicU64,
}

impl AlwaysYes {
    fn next_id(&self) -> String {
        let number = self.executed.fetch_add(1, Ordering::Relaxed);
        format!("yes_{}_{number:012}", std::process::id())
    }
}

#[async_trait]
impl Gateway for AlwaysYes {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    async fn charge(&self, request: &ChargeRequest) -> ChargeReply {
        ChargeReply::Known(Truth {
            gateway_charge_id: self.next_id(),
            reference: request.reference.to_string(),
            amount: request.amount,
            outcome: if request.capture { Outcome::Succeeded } else { Outcome::Authorized },
        })
    }

    async fn find_by_id(&self, _gateway_charge_id: &str) -> Lookup {
        nothing_to_find()
    }

    async fn find_by_reference(&self, _reference: &str) -> Lookup {
        nothing_to_find()
    }

    async fn act(&self, request: &ActionRequest) -> ActionReply {
        ActionReply::Known(ActionTruth {
            gateway_action_id: self.next_id(),
            gateway_charge_id: request.gateway_charge_id.clone(),
            reference: request.reference.clone(),
            action: request.action,
            amount: request.amount,
            outcome: ActionOutcome::Done,
        })
    }

    async fn find_action(&self, _gateway_charge_id: &str, _reference: &str) -> Lookup<ActionTruth> {
        nothing_to_find()
    }
}

fn nothing_to_find<T>() -> Lookup<T> {
    Lookup::Failed {
        reason: "this gateway has answered every request, so nothing is to be looked up".into(),
        refusal: None,
    }
}
