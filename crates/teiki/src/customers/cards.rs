//! What happens to the cards of a held customer: added, made the default, removed.

use billing::event::Kind;
use billing::id::{DerivationKey, PaymentMethodId};
use db::Tx;
use jiff::Timestamp;
use serde_json::Value;

use super::{Held, record, store};
use crate::payment_methods::view::CardView;
use crate::payment_methods::{self, MethodRow};
use crate::tokens;
use crate::web::metadata::{self, Metadata};
use crate::web::{ApiError, object};

/// Adds the card of a token. The first card becomes the default. Errors: the token is unknown or used, or the customer has
/// the same card with the same expiry.
pub fn add(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    customer: &mut Held,
    (token, metadata): (&str, &Metadata),
    now: Timestamp,
) -> Result<MethodRow, ApiError> {
    let given = tokens::redeem(tx, customer.side, token, now)?;
    let mut card =
        payment_methods::copy_for(key, &given, &customer.id, customer.billing, now.as_microsecond());
    card.metadata = metadata::to_stored(metadata);
    if store::has_same_card(tx, customer.side, &customer.id, &card)? {
        let message = "The customer already has this card with the same expiry.";
        return Err(ApiError::param("already_have_the_same_card", "card", message));
    }
    payment_methods::insert(tx, customer.side, &card)?;
    let told = object(&CardView::of(customer.side.1, &card)?)?;
    record(tx, key, customer, Kind::CardCreated, (card.id.to_string(), &told), now)?;
    if customer.default_payment_method.is_none() {
        make_default(tx, customer, card.id)?;
    }
    Ok(card)
}

/// Makes a card the one that pays, for all subscriptions of the customer. Charges nothing.
pub fn make_default(tx: &mut Tx<'_>, customer: &mut Held, card: PaymentMethodId) -> Result<(), ApiError> {
    customer.default_payment_method = Some(card);
    Ok(store::pay_with(tx, customer.side, &customer.id, Some(card))?)
}

/// Deletes a card. Subscriptions that were paid with it are paid with the default card; without one the next renewal fails.
pub fn remove(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    customer: &mut Held,
    (card, answer): (&MethodRow, &Value),
    now: Timestamp,
) -> Result<(), ApiError> {
    payment_methods::delete(tx, card, now)?;
    if customer.default_payment_method == Some(card.id) {
        customer.default_payment_method = None;
    }
    store::pay_instead(tx, customer.side, &customer.id, (card.id, customer.default_payment_method))?;
    Ok(record(tx, key, customer, Kind::CardDeleted, (card.id.to_string(), answer), now)?)
}

/// Tells that a card's details changed.
pub fn record_update(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    customer: &mut Held,
    card: &MethodRow,
    now: Timestamp,
) -> Result<(), ApiError> {
    let told = object(&CardView::of(customer.side.1, card)?)?;
    Ok(record(tx, key, customer, Kind::CardUpdated, (card.id.to_string(), &told), now)?)
}
