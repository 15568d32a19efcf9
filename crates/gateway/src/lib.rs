//! The outside world of money: what a gateway can do, and the adapters. Knows nothing of the database or of policy.
mod http;
pub mod sandbox;
use async_trait::async_trait;
use billing::decline::DeclineClass;
use billing::id::ChargeId;
use billing::money::Money;
use billing::resolution::Capabilities;
use jiff::Timestamp;
#[async_trait]
pub trait Gateway: Send + Sync {
    fn capabilities(&self) -> &Capabilities;
    async fn charge(&self, request: &ChargeRequest) -> ChargeReply;
    async fn find_by_id(&self, gateway_charge_id: &str) -> Lookup;
    async fn find_by_reference(&self, reference: &str) -> Lookup;
}
#[derive(Clone, Debug)]
pub struct ChargeRequest { pub reference: ChargeId, pub idempotency_key: String, pub token: String, pub amount: Money, pub billing_time: Timestamp }
#[derive(Clone, Debug)]
pub enum ChargeReply { Known(Truth), NotSent { reason: String }, NotExecuted { reason: String, refusal: Refusal }, Unknown { reason: String, alarm: Option<Alarm> }, InProgress }
#[derive(Clone, Debug)]
pub enum Refusal { RateLimited { retry_after_ms: Option<i64> }, Unauthorized, InvalidRequest { code: String } }
#[derive(Clone, Debug, PartialEq)]
pub enum Alarm { Malformed, WrongAmount, WrongReference, KeyMismatch }
#[derive(Clone, Debug)]
pub struct Truth { pub gateway_charge_id: String, pub reference: String, pub amount: Money, pub outcome: Outcome }
#[derive(Clone, Debug)]
pub enum Outcome { Succeeded, Declined { code: String, class: DeclineClass }, Pending }
#[derive(Clone, Debug)]
pub enum Lookup { Found(Truth), Several(Vec<Truth>), Absent, Failed { reason: String, refusal: Option<Refusal> } }
