//! Prepare: one transaction that decides whether something can be done to a charge, and writes the intent.

use billing::charge_action::{self, Asked, Charge, Kind, Plan, Refusal};
use billing::id::{AccountId, ChargeActionId, DerivationKey};
use billing::mode::Mode;
use billing::money::{Currency, Money};
use db::Tx;
use gateway::ActionRequest;
use jiff::Timestamp;

use super::store::{self, NewAction};
use super::{Order, api, gateway_action};
use crate::charges::view::ShownCharge;
use crate::charges::{history, request, sale};
use crate::line::Line;
use crate::web::ApiError;
use crate::{holds, payment_methods};

/// What a request wants.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    /// Whose.
    pub(super) side: (AccountId, Mode),
    /// The charge's id as it was sent.
    pub(super) charge: String,
    /// What is to be done.
    pub(super) asked: Asked,
    /// Why money goes back; may be empty.
    pub(super) reason: Option<String>,
    /// Days of a new reservation.
    pub(super) expiry_days: i64,
    /// Real time.
    pub(super) now: Timestamp,
}

/// Writes the intent and gives what is to be sent.
pub(super) fn prepare(
    tx: &mut Tx<'_>,
    line: &Line,
    key: &DerivationKey,
    intent: &Intent,
) -> Result<Order, ApiError> {
    let found = super::super::api::find(tx, intent.side, &intent.charge)?;
    let history = history::lock(tx, intent.side, &found, intent.now)?;
    // Read again now that nothing else changes it.
    let charge = super::super::api::find(tx, intent.side, &intent.charge)?;
    let subject = store::subject(tx, charge.id())?;
    let refused = |refusal| api::refused(intent.asked, refusal, charge.id());
    if subject.has_open {
        return Err(refused(Refusal::InProgress));
    }
    let at = history.billing();
    let plan = charge_action::plan(&as_rule(&charge)?, intent.asked, at).map_err(refused)?;
    if plan.kind.takes()
        && let Some(hold) = holds::active(tx, intent.side.0)?
    {
        return Err(ApiError::held(&hold.reason));
    }
    let gateway_charge_id = subject
        .gateway_charge_id
        .clone()
        .ok_or_else(|| ApiError::inside(format!("charge {} has no id at its gateway", charge.id())))?;
    let number = subject.action_count + 1;
    let counted = u64::try_from(number).unwrap_or_default();
    let id = ChargeActionId::derive(key, charge.id().as_str(), charge.id().slot(), at, counted);
    let action = NewAction {
        id,
        charge: charge.id(),
        side: intent.side,
        clock: charge.row().clock.clone(),
        number,
        plan,
        idempotency_key: key.action_idempotency_key(subject.connection.as_str(), id),
        reason: intent.reason.clone(),
        expires_at: expires_at(tx, intent, &charge, plan, at)?,
        billing_at: at,
        check_at: request::check_at(line, (subject.connection, intent.side.1), intent.now)?,
    };
    store::insert(tx, &action, intent.now)?;
    let request = ActionRequest {
        gateway_charge_id,
        reference: id.to_string(),
        idempotency_key: action.idempotency_key,
        action: gateway_action(plan.kind),
        amount: plan.amount,
        billing_time: at,
    };
    Ok(Order {
        action: id,
        charge: charge.id(),
        side: intent.side,
        connection: subject.connection,
        kind: plan.kind,
        not_after: request::not_after(intent.now),
        is_repeat: false,
        request,
        _aloft: line.flights().take_off(id),
    })
}

/// The charge as the rule sees it.
fn as_rule(charge: &ShownCharge) -> Result<Charge, ApiError> {
    let row = charge.row();
    let wrong = || ApiError::inside(format!("charge {} does not read", row.id));
    let currency: Currency = row.currency.parse().map_err(|_| wrong())?;
    let instant = |micros| Timestamp::from_microsecond(micros).map_err(|_| wrong());
    Ok(Charge {
        state: row.state,
        was_reserved: !row.capture,
        amount: Money::new(row.amount, currency),
        refunded: row.amount_refunded,
        created_at: instant(row.billing_at)?,
        expires_at: row.expires_at.map(instant).transpose()?,
    })
}

/// When a new reservation ends.
fn expires_at(
    tx: &mut Tx<'_>,
    intent: &Intent,
    charge: &ShownCharge,
    plan: Plan,
    at: Timestamp,
) -> Result<Option<Timestamp>, ApiError> {
    if plan.kind != Kind::Reauthorize {
        return Ok(None);
    }
    let card = charge.row().payment_method;
    let method = payment_methods::find(tx, intent.side, card)?
        .ok_or_else(|| ApiError::inside(format!("the card of charge {} is missing", charge.id())))?;
    sale::reserved_until(at, intent.expiry_days, &method).map(Some)
}
