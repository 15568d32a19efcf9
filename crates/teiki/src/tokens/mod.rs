//! Tokens: a card that is used once, by a customer or by a charge.
//!
//! In test mode a token is made from one of the test numbers or from a sandbox token. In live mode no number is ever taken:
//! it is refused, and neither kept nor logged.

use billing::event::Kind;
use billing::id::{AccountId, DerivationKey, PaymentMethodId, Slot, TokenId};
use billing::mode::Mode;
use db::Tx;
use jiff::{SignedDuration, Timestamp};

use crate::events::{self, NewEvent};
use crate::payment_methods::view::CardView;
use crate::payment_methods::{self, MethodRow};
use crate::web::{ApiError, object};

pub mod api;
pub mod card;
mod store;
pub mod view;

use view::TokenView;

/// Whose: account and mode.
pub type Side = (AccountId, Mode);

/// A token that was not used is gone after this long, in real time: a day.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// A token as stored.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// The card that it stands for.
    pub method: PaymentMethodId,
    /// Billing time.
    pub created_at: Timestamp,
    /// Real time.
    pub made_at: Timestamp,
    /// Whether it was used.
    pub is_used: bool,
}

/// Makes a token of a card.
pub fn create(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    side: Side,
    token: &TokenRow,
    method: &MethodRow,
) -> Result<TokenView, ApiError> {
    payment_methods::insert(tx, side, method)?;
    store::insert(tx, side, token)?;
    let view = TokenView::of(side.1, token, CardView::of(side.1, method)?);
    let event = NewEvent {
        account: side.0,
        mode: side.1,
        history: token.id.to_string(),
        slot: token.id.slot(),
        number: 1,
        kind: Kind::TokenCreated,
        object: token.id.to_string(),
        data: object(&view)?.to_string(),
        billing_at: token.created_at,
    };
    events::append(tx, key, &[event], token.made_at)?;
    Ok(view)
}

/// Ids of a new token and its card, in one slot.
pub fn new_ids(at: Timestamp, random: &[u8; 32]) -> (TokenId, PaymentMethodId) {
    let slot = Slot(random[31]);
    let mut other = *random;
    other.reverse();
    (TokenId::random(slot, at, random), PaymentMethodId::random(slot, at, &other))
}

/// A token with its card. Error: there is none, or it is too old.
pub fn get(tx: &mut Tx<'_>, side: Side, id: &str, now: Timestamp) -> Result<(TokenRow, MethodRow), ApiError> {
    let none = || ApiError::not_found("token", id);
    let parsed: TokenId = id.parse().map_err(|_| none())?;
    let token = store::find(tx, side, parsed)?.ok_or_else(none)?;
    if !token.is_used && now.duration_since(token.made_at) > LIFETIME {
        return Err(none());
    }
    let method = payment_methods::find(tx, side, token.method)?.ok_or_else(none)?;
    Ok((token, method))
}

/// Uses a token up and gives its card. Error: there is none, or it has been used.
pub fn redeem(tx: &mut Tx<'_>, side: Side, id: &str, now: Timestamp) -> Result<MethodRow, ApiError> {
    let (token, method) = get(tx, side, id, now).map_err(|error| error.about_param("card"))?;
    // Whoever marks it first has it: the row is locked by the update.
    if token.is_used || !store::mark_used(tx, token.id, now)? {
        let message = format!("The token {id} has already been used.");
        return Err(ApiError::param("token_already_used", "card", message));
    }
    Ok(method)
}
