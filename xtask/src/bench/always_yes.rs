//! A gateway inside the process that takes every charge at once: what is left to measure is teiki.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use billing::resolution::{Capabilities, Idempotency};
use gateway::{ChargeReply, ChargeRequest, Gateway, Lookup, Outcome, Truth};

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
    charges: AtomicU64,
}

#[async_trait]
impl Gateway for AlwaysYes {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    async fn charge(&self, request: &ChargeRequest) -> ChargeReply {
        let number = self.charges.fetch_add(1, Ordering::Relaxed);
        ChargeReply::Known(Truth {
            gateway_charge_id: format!("yes_{}_{number:012}", std::process::id()),
            reference: request.reference.to_string(),
            amount: request.amount,
            outcome: Outcome::Succeeded,
        })
    }

    async fn find_by_id(&self, _gateway_charge_id: &str) -> Lookup {
        nothing_to_find()
    }

    async fn find_by_reference(&self, _reference: &str) -> Lookup {
        nothing_to_find()
    }
}

fn nothing_to_find() -> Lookup {
    Lookup::Failed {
        reason: "this gateway has answered every charge, so nothing is to be looked up".into(),
        refusal: None,
    }
}
