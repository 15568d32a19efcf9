//! What is done to a charge after it was made: captured, released, reserved anew, refunded.
//!
//! The same straight line as a charge's, for one action: [`prepare`] (one transaction, under the lock of the charge's
//! history: the rule decides, the intent is written under its own derived key), send (no transaction is open, once),
//! [`settle`] (one transaction: the action, its charge, invoice, books and events), and [`resolve`] for what is not
//! known. One action of a charge is under way at a time (unique index `charge_actions_open`).

use std::sync::Arc;

use billing::charge_action::{Asked, Fact, Kind, Refusal, State};
use billing::id::{AccountId, ChargeActionId, ChargeId, ConnectionId, DerivationKey};
use billing::mode::Mode;
use billing::money::Money;
use billing::resolution::pause_after;
use db::Tx;
use gateway::{Action, ActionOutcome, ActionRequest, ActionTruth, Obstacle};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::prepare::{Intent, prepare};
use super::request::{Looked, wait};
use super::send::{Meaning, Ticket, clear};
use super::view::{self, ShownCharge};
use crate::line::{Aloft, Line};
use crate::serve::sides::Side;
use crate::serve::site::Site;
use crate::web::{ApiError, Call};

pub mod api;
mod prepare;
pub mod resolve;
mod settle;
mod store;

/// An action whose intent is committed and whose request may now be sent.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    action: ChargeActionId,
    charge: ChargeId,
    side: (AccountId, Mode),
    connection: ConnectionId,
    kind: Kind,
    /// Operating time after which it must not be sent any more.
    not_after: Timestamp,
    /// Whether its request may have been sent before, under the same key.
    is_repeat: bool,
    request: ActionRequest,
    /// Says so to the rest of this process, until it is settled.
    _aloft: Aloft,
}

impl Order {
    /// What is kept of it with an idempotency key.
    pub(super) fn begun(&self) -> Begun {
        Begun { action: self.action.to_string(), charge: self.charge.to_string() }
    }

    /// What it is done to.
    pub(crate) const fn charge(&self) -> ChargeId {
        self.charge
    }

    /// How much it is about.
    pub(crate) const fn amount(&self) -> Money {
        self.request.amount
    }
}

/// What a request has begun to do to a charge, kept with its `Idempotency-Key`. Persisted; only ever add fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    action: String,
    charge: String,
}

/// Writes the intent of a refund that is part of a greater change.
pub(crate) fn prepare_refund(
    tx: &mut Tx<'_>,
    (line, key): (&Line, &DerivationKey),
    (side, charge, amount): ((AccountId, Mode), ChargeId, Money),
    now: Timestamp,
) -> Result<Order, ApiError> {
    let intent = Intent {
        side,
        charge: charge.to_string(),
        asked: Asked::Refund(Some(amount.minor)),
        reason: None,
        expiry_days: 0,
        now,
    };
    prepare(tx, line, key, &intent)
}

/// What has become known about an action.
#[derive(Clone, Debug)]
struct News {
    action: ChargeActionId,
    charge: ChargeId,
    side: (AccountId, Mode),
    fact: Fact,
    /// The gateway's id of the action, when it has told one.
    gateway_action_id: Option<String>,
    /// The gateway's code of a refusal, and what stood in the way if it said so.
    failure: Option<(String, Option<Refusal>)>,
    /// A note for the operator.
    note: Option<String>,
    /// What to tell an operator at once.
    alarm: Option<&'static str>,
    /// The gateway called the parameters of the key a mismatch: never resend.
    freeze: bool,
    /// When its request may last have been sent; `None` keeps what is stored.
    sent_at: Option<Timestamp>,
    /// When to look again, by operating time; ignored when the action becomes final.
    check_at: Option<Timestamp>,
    /// When a look-up that counts first found nothing.
    absent_at: Option<Timestamp>,
}

impl News {
    const fn of(action: ChargeActionId, charge: ChargeId, side: (AccountId, Mode), fact: Fact) -> Self {
        Self {
            action,
            charge,
            side,
            fact,
            gateway_action_id: None,
            failure: None,
            note: None,
            alarm: None,
            freeze: false,
            sent_at: None,
            check_at: None,
            absent_at: None,
        }
    }
}

/// Sends a committed action and gives the charge as it then is. Errors: refused (4xx), not sent (500), not known (500).
pub(crate) async fn perform(call: &Call, side: &Arc<Side>, order: Order) -> Result<ShownCharge, ApiError> {
    let (action, charge, owner) = (order.action, order.charge, order.side);
    let (line, rounding) = (Arc::clone(&side.line), side.account.terms.tax_rounding);
    let sending = async move {
        let news = send(&line, &order).await;
        settle::settle(&line, news, rounding).await
    };
    let known = wait(call, charge, sending, || outcome(&call.site, owner, (action, charge))).await;
    known.unwrap_or_else(|| Err(api::not_known(charge)))
}

/// What becomes of an action that a former try of the request sent. Errors: as [`perform`].
async fn watch(call: &Call, begun: &Begun) -> Result<ShownCharge, ApiError> {
    let (Ok(action), Ok(charge)) = (begun.action.parse(), begun.charge.parse()) else {
        return Err(ApiError::inside(format!("{begun:?} has no ids")));
    };
    let look = || outcome(&call.site, call.side(), (action, charge));
    let known = wait(call, charge, async { Ok(()) }, look).await;
    known.unwrap_or_else(|| Err(api::not_known(charge)))
}

/// The charge after an action, or why it was not done: refused (4xx), not sent (500).
async fn outcome(
    site: &Site,
    owner: (AccountId, Mode),
    (action, charge): (ChargeActionId, ChargeId),
) -> Looked {
    let read = site
        .app
        .db
        .read(move |tx| Ok::<_, db::Error>((store::outcome(tx, action)?, view::find(tx, owner, charge)?)));
    let (outcome, shown) = read.await?;
    Ok(match outcome.state {
        State::Succeeded => {
            let gone = || db::Error::Assertion(format!("charge {charge} is gone"));
            Some(Ok(shown.ok_or_else(gone)?))
        }
        State::Failed => Some(Err(api::failed(charge, &outcome))),
        State::Void => Some(Err(api::not_sent(charge))),
        State::Sending | State::Unknown => None,
    })
}

/// Sends one request, if sending is allowed, and says what its answer means.
async fn send(line: &Line, order: &Order) -> News {
    let ticket = Ticket {
        connection: order.connection,
        is_late: false,
        takes: order.kind.takes(),
        not_after: order.not_after,
    };
    match clear(line, &ticket).await {
        Err(note) => News { note, ..not_sent(line, order) },
        Ok(cleared) => {
            let reply = cleared.connection.gateway.act(&order.request).await;
            News { sent_at: Some(cleared.at), ..news_of(line, cleared.meaning(reply), order) }
        }
    }
}

/// Surely nothing left. The first time it stays at that, unless another process has taken it over.
fn not_sent(line: &Line, order: &Order) -> News {
    let fact = if order.is_repeat { Fact::Lost } else { Fact::Withdrawn };
    let now = crate::clock::now();
    let pause = line
        .connections
        .get(&order.connection)
        .map_or(resolve::REVIEW_PAUSE_MS, |connection| pause_after(connection.gateway.capabilities(), 0));
    News {
        check_at: Some(billing::resolution::plus_ms(now, pause)),
        ..News::of(order.action, order.charge, order.side, fact)
    }
}

/// What an answer means for the action.
fn news_of(line: &Line, meaning: Meaning<ActionTruth>, order: &Order) -> News {
    let of = |fact| News::of(order.action, order.charge, order.side, fact);
    match meaning {
        Meaning::Known { truth, .. } => known(of(Fact::Lost), truth),
        Meaning::NotSent { note, alarm, .. } => News { note: Some(note), alarm, ..not_sent(line, order) },
        Meaning::Refused { note, code, obstacle } => {
            let failure = Some((code, obstacle.map(|obstacle| refusal_of(order.kind, obstacle))));
            let refused = News {
                note: Some(note),
                failure,
                alarm: Some("gateway_refused_request"),
                ..of(Fact::Refused)
            };
            if order.is_repeat {
                // It says nothing of the request that was sent before under this key: from here on it is only asked.
                return News { fact: Fact::Lost, alarm: None, ..refused };
            }
            refused
        }
        Meaning::Lost { note, alarm, freeze, check_at } => {
            News { note, alarm, freeze, check_at: Some(check_at), ..of(Fact::Lost) }
        }
    }
}

/// What the gateway tells of an action that bears our reference and agrees with what was asked.
fn known(news: News, truth: ActionTruth) -> News {
    let news = News { gateway_action_id: Some(truth.gateway_action_id), ..news };
    match truth.outcome {
        ActionOutcome::Done => News { fact: Fact::Done, ..news },
        ActionOutcome::Declined { code, .. } => {
            News { fact: Fact::Refused, failure: Some((code, None)), ..news }
        }
    }
}

const fn gateway_action(kind: Kind) -> Action {
    match kind {
        Kind::Capture => Action::Capture,
        Kind::Void => Action::Void,
        Kind::Reauthorize => Action::Reauthorize,
        Kind::Refund => Action::Refund,
    }
}

/// What an obstacle at the gateway means here. It knows of something that teiki does not: a person did it there, or a
/// reservation ended early.
const fn refusal_of(kind: Kind, obstacle: Obstacle) -> Refusal {
    match (obstacle, kind) {
        (Obstacle::NotAuthorized, Kind::Capture | Kind::Void) => Refusal::Expired,
        (Obstacle::NotAuthorized, Kind::Reauthorize | Kind::Refund) => Refusal::NotAuthorized,
        (Obstacle::AlreadyCaptured, _) => Refusal::AlreadyCaptured,
        (Obstacle::AlreadyVoided, Kind::Capture | Kind::Reauthorize) => Refusal::Released,
        (Obstacle::AlreadyVoided, Kind::Void | Kind::Refund) => Refusal::AlreadyRefunded,
        (Obstacle::NothingTaken, _) => Refusal::ChargeFailed,
        (Obstacle::AlreadyRefunded, _) => Refusal::AlreadyRefunded,
        (Obstacle::AmountTooLarge, Kind::Capture | Kind::Reauthorize) => Refusal::CaptureTooLarge,
        (Obstacle::AmountTooLarge, Kind::Void | Kind::Refund) => Refusal::RefundTooLarge,
    }
}
