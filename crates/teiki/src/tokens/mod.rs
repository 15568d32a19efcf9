//! Tokens: a card that is used once, by a customer or by a charge.
//!
//! In test mode a token is made from one of the test numbers or from a sandbox token. In live mode no number is ever taken:
//! it is refused, and neither kept nor logged.

use billing::event::Kind;
use billing::id::{AccountId, ChargeId, DerivationKey, PaymentMethodId, Slot, TokenId};
use billing::mode::Mode;
use billing::three_d_secure::{Status, is_to_answer, may_finish};
use db::Tx;
use jiff::{SignedDuration, Timestamp};

use crate::events::{self, NewEvent};
use crate::payment_methods::view::CardView;
use crate::payment_methods::{self, MethodRow};
use crate::three_d_secure::refusal;
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
    /// Whether the merchant has finished its 3-D Secure; without it a token needs no finish.
    pub is_confirmed: bool,
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
    let parsed: TokenId = id.parse().map_err(|_| ApiError::not_found("token", id))?;
    let token = store::find(tx, side, parsed)?;
    with_card(tx, side, token.ok_or_else(|| ApiError::not_found("token", id))?, now)
}

/// The same, held until the transaction ends.
fn lock(tx: &mut Tx<'_>, side: Side, id: TokenId, now: Timestamp) -> Result<(TokenRow, MethodRow), ApiError> {
    let token = store::lock(tx, side, id)?;
    with_card(tx, side, token.ok_or_else(|| ApiError::not_found("token", id.as_str()))?, now)
}

fn with_card(
    tx: &mut Tx<'_>,
    side: Side,
    token: TokenRow,
    now: Timestamp,
) -> Result<(TokenRow, MethodRow), ApiError> {
    let none = || ApiError::not_found("token", token.id.as_str());
    if !token.is_used && now.duration_since(token.made_at) > LIFETIME {
        return Err(none());
    }
    let method = payment_methods::find(tx, side, token.method)?.ok_or_else(none)?;
    Ok((token, method))
}

/// Writes the card holder's answer; only the first one counts. Errors: it does not wait for one, or no longer.
pub fn answer(
    tx: &mut Tx<'_>,
    side: Side,
    id: TokenId,
    (status, now): (Status, Timestamp),
) -> Result<(), ApiError> {
    let (token, mut method) = lock(tx, side, id, now)?;
    let refused = |refused| refusal(id.as_str(), refused);
    if is_to_answer(method.details.three_d_secure_status, token.made_at, now).map_err(refused)? {
        method.details.three_d_secure_status = Some(status);
        payment_methods::update(tx, &method)?;
    }
    Ok(())
}

/// Finishes the 3-D Secure of a token, so that it can be used; once it is finished it stays so. Errors: 400 and 402 of
/// 3-D Secure.
pub fn finish(
    tx: &mut Tx<'_>,
    side: Side,
    id: TokenId,
    now: Timestamp,
) -> Result<(TokenRow, MethodRow), ApiError> {
    let (token, method) = lock(tx, side, id, now)?;
    if !token.is_confirmed {
        may_finish(method.details.three_d_secure_status, token.made_at, now)
            .map_err(|refused| refusal(id.as_str(), refused))?;
        store::confirm(tx, id, now)?;
    }
    Ok((TokenRow { is_confirmed: true, ..token }, method))
}

/// Uses a token up and gives its card. Error: there is none, it has been used, or its 3-D Secure is not finished.
pub fn redeem(tx: &mut Tx<'_>, side: Side, id: &str, now: Timestamp) -> Result<MethodRow, ApiError> {
    let (token, method) = get(tx, side, id, now).map_err(|error| error.about_param("card"))?;
    if method.details.three_d_secure_status.is_some() && !token.is_confirmed {
        let message = format!("The 3-D Secure of the token {id} has not been finished.");
        return Err(ApiError::param("unverified_token", "card", message));
    }
    // Whoever marks it first has it: the row is locked by the update.
    if token.is_used || !store::mark_used(tx, token.id, now)? {
        let message = format!("The token {id} has already been used.");
        return Err(ApiError::param("token_already_used", "card", message));
    }
    Ok(method)
}

/// Gives back the tokens that these charges used up: single sales that were just proven never to have been executed, in the
/// transaction that makes them void. Until then a token stays used, for its money may still have been taken.
///
/// Truth goes on after that proof: a void charge that turns out to have succeeded becomes succeeded, and its money is
/// surplus, with an alarm to refund it. A charge that was made of the same token meanwhile stays right: it is another
/// obligation, under a key of its own, that the merchant asked for after it was told that nothing was charged. It is the
/// same with a customer's card, which can be charged again at any time.
pub fn give_back(tx: &mut Tx<'_>, charges: &[ChargeId]) -> Result<(), db::Error> {
    if charges.is_empty() {
        return Ok(());
    }
    let tokens = store::used_by(tx, charges)?;
    store::mark_unused(tx, &tokens)
}
