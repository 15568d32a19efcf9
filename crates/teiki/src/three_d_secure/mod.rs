//! 3-D Secure in test mode: requests for stored cards, and what tokens, charges and requests have in common.
//!
//! A resource (`tok_`, `ch_`, `tdsr_`) begins as unverified; its card holder answers once on the [`page`], which stands for
//! the issuer's; tokens and charges are then finished by the merchant, in their own folders. Live mode has no issuer to ask
//! yet: there it is refused. What may be answered and finished when is `billing::three_d_secure`.

use billing::id::{AccountId, ChargeId, DerivationKey, PaymentMethodId, ThreeDSecureRequestId, TokenId};
use billing::mode::Mode;
use billing::three_d_secure::{Refused, Status, is_to_answer};
use db::Tx;
use jiff::Timestamp;

use crate::payment_methods::{self, MethodRow};
use crate::web::ApiError;
use crate::web::list::{Page, Place};
use crate::{charges, customers, tokens};

pub mod api;
pub mod back;
pub mod page;
mod store;
pub mod view;
mod words;

pub use store::RequestRow;

/// Whose: account and mode.
pub type Side = (AccountId, Mode);

/// Error: there is no 3-D Secure in this mode.
pub fn available(mode: Mode) -> Result<(), ApiError> {
    match mode {
        Mode::Test => Ok(()),
        Mode::Live => {
            let message = "3-D Secure is not available in live mode: no gateway that offers it is connected. Nothing was stored.";
            Err(ApiError::param("three_d_secure_unavailable", "three_d_secure", message))
        }
    }
}

/// The error of a resource that cannot be answered or finished.
pub fn refusal(id: &str, refused: Refused) -> ApiError {
    match refused {
        Refused::NotInFlow => {
            ApiError::client("not_in_three_d_secure_flow", "This was not begun with 3-D Secure.")
        }
        Refused::Expired => ApiError::client(
            "three_d_secure_expired",
            "The time for 3-D Secure is over. Nothing was charged; begin again.",
        ),
        Refused::Incompleted => ApiError::client(
            "three_d_secure_incompleted",
            format!(
                "The card holder has not completed 3-D Secure yet; open /v1/tds/{id}/start in the browser first."
            ),
        ),
        Refused::Failed => ApiError::card("three_d_secure_failed", "3-D Secure failed. Nothing was charged."),
    }
}

/// What a card holder can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A card that is not stored yet.
    Token(TokenId),
    /// A single payment.
    Charge(ChargeId),
    /// A stored card.
    Request(ThreeDSecureRequestId),
}

impl Resource {
    /// From its id; `None` for anything else.
    pub fn parse(id: &str) -> Option<Self> {
        let token = id.parse().ok().map(Self::Token);
        let charge = || id.parse().ok().map(Self::Charge);
        token.or_else(charge).or_else(|| id.parse().ok().map(Self::Request))
    }

    /// Its id.
    fn id(&self) -> &str {
        match self {
            Self::Token(id) => id.as_str(),
            Self::Charge(id) => id.as_str(),
            Self::Request(id) => id.as_str(),
        }
    }
}

/// Whether the card holder can still answer; begins the way of a request. Errors: there is no such resource, it was not begun
/// with 3-D Secure, its time is over.
pub fn start(tx: &mut Tx<'_>, side: Side, resource: Resource, now: Timestamp) -> Result<bool, ApiError> {
    let (status, begun_at) = match resource {
        Resource::Token(id) => {
            let (token, method) = tokens::get(tx, side, id.as_str(), now)?;
            (method.details.three_d_secure_status, token.made_at)
        }
        Resource::Charge(id) => charges::three_d_secure::standing(tx, side, id)?
            .ok_or_else(|| ApiError::not_found("charge", id.as_str()))?,
        Resource::Request(id) => {
            let request = get(tx, side, id.as_str())?;
            (Some(request.status), request.made_at)
        }
    };
    let refused = |refused| refusal(resource.id(), refused);
    let is_to_answer = is_to_answer(status, begun_at, now).map_err(refused)?;
    if let (Resource::Request(id), true) = (resource, is_to_answer) {
        let request = get(tx, side, id.as_str())?;
        let (_, _, billing) = stored_card(tx, side, request.card, now)?;
        store::start(tx, id, billing)?;
    }
    Ok(is_to_answer)
}

/// Writes the card holder's answer; only the first one counts. Errors: as [`start`].
pub fn answer(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: Side,
    resource: Resource,
    (status, now): (Status, Timestamp),
) -> Result<(), ApiError> {
    match resource {
        Resource::Token(id) => tokens::answer(tx, side, id, (status, now)),
        Resource::Charge(id) => charges::three_d_secure::answer(tx, side, id, (status, now)),
        Resource::Request(id) => answer_request(tx, key, side, id, (status, now)),
    }
}

/// The request is finished with its answer, and its card shows it.
fn answer_request(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: Side,
    id: ThreeDSecureRequestId,
    (status, now): (Status, Timestamp),
) -> Result<(), ApiError> {
    let request = get(tx, side, id.as_str())?;
    let (mut customer, mut card, billing) = stored_card(tx, side, request.card, now)?;
    let refused = |refused| refusal(id.as_str(), refused);
    if is_to_answer(Some(request.status), request.made_at, now).map_err(refused)?
        && store::finish(tx, id, status, billing)?
    {
        card.details.three_d_secure_status = Some(status);
        payment_methods::update(tx, &card)?;
        customers::cards::record_update(tx, key, &mut customer, &card, now)?;
        customers::save(tx, &customer)?;
    }
    Ok(())
}

/// A customer's card with its customer, held, and the billing time. Error: one of them is not there, or has been deleted.
fn stored_card(
    tx: &mut Tx<'_>,
    side: Side,
    card: PaymentMethodId,
    now: Timestamp,
) -> Result<(customers::Held, MethodRow, Timestamp), ApiError> {
    let none = || ApiError::not_found("card", card.as_str());
    let found = payment_methods::find(tx, side, card)?.ok_or_else(none)?;
    let customer = found.customer.ok_or_else(none)?;
    let held = customers::lock(tx, side, &customer, now)?;
    // Read again now that nobody else changes it.
    let card = payment_methods::get(tx, side, &customer, card.as_str())?;
    let billing = held.billing;
    Ok((held, card, billing))
}

/// Makes a request for a card of a customer. Error: the account has no such card.
pub fn create(
    tx: &mut Tx<'_>,
    side: Side,
    card: &str,
    (random, now): (&[u8; 32], Timestamp),
) -> Result<RequestRow, ApiError> {
    let none = || ApiError::not_found("card", card).about_param("resource_id");
    let id: PaymentMethodId = card.parse().map_err(|_| none())?;
    let (_, card, billing) =
        stored_card(tx, side, id, now).map_err(|error| error.about_param("resource_id"))?;
    let request = RequestRow {
        id: ThreeDSecureRequestId::random(card.id.slot(), billing, random),
        card: card.id,
        status: Status::Unverified,
        created_at: billing,
        made_at: now,
        started_at: None,
        finished_at: None,
    };
    store::insert(tx, side, &request)?;
    Ok(request)
}

/// The request `id`. Error: the account has none.
pub fn get(tx: &mut Tx<'_>, side: Side, id: &str) -> Result<RequestRow, ApiError> {
    let none = || ApiError::not_found("three_d_secure_request", id);
    let parsed = id.parse().map_err(|_| none())?;
    store::find(tx, side, parsed)?.ok_or_else(none)
}

/// A page of requests, newest first: all of an account, or those for one card.
pub fn list(
    tx: &mut Tx<'_>,
    side: Side,
    page: &Page,
    card: Option<&str>,
) -> Result<Vec<RequestRow>, ApiError> {
    let from = page.last_seen(|id| get(tx, side, id))?.map_or_else(Place::newest, |row| row.place());
    match card.map(str::parse::<PaymentMethodId>) {
        None => Ok(store::list(tx, side, (page, &from))?),
        Some(Ok(card)) => Ok(store::list_of_card(tx, side, card, (page, &from))?),
        // What is no card has none.
        Some(Err(_)) => Ok(Vec::new()),
    }
}
