//! Payment methods: the stored ways to pay. The dialect of the API calls each a card.
//!
//! teiki keeps a gateway's token and what may be shown of a card, never its number. A card is made with a token and belongs
//! to nobody until the token is used; a customer's card is a copy of it in the customer's slot. A deleted card keeps its
//! row, because charges go on showing it.

use billing::id::{AccountId, DerivationKey, PaymentMethodId, Slot};
use billing::mode::Mode;
use billing::three_d_secure::Status;
use db::Tx;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::accounts;
use crate::web::ApiError;
use crate::web::list::{Page, Place};

pub mod api;
mod store;
pub mod test_cards;
pub mod view;

pub use store::MethodRow;

/// Whose: account and mode.
pub type Side = (AccountId, Mode);

/// What a card shows besides brand, last four digits and expiry. Persisted as JSON; only ever add fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Card holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Billing country, two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_zip: Option<String>,
    /// Prefecture or state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_state: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_city: Option<String>,
    /// Street.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_line1: Option<String>,
    /// Building.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_line2: Option<String>,
    /// For 3-D Secure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// For 3-D Secure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// What the issuer said of the security code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cvc_check: Option<String>,
    /// What the issuer said of the postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_zip_check: Option<String>,
    /// How 3-D Secure ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub three_d_secure_status: Option<Status>,
    /// Whether the issuer is in Japan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_jp: Option<bool>,
}

/// A gateway's token of a payment method. A secret: whoever has it can charge, so it is neither shown nor printed.
#[derive(Clone, PartialEq, Eq)]
pub struct GatewayToken(String);

impl GatewayToken {
    /// From its text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Its text, for the gateway and the database.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for GatewayToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GatewayToken(hidden)")
    }
}

/// Stores a card. Error: its gateway connection is of another account or mode.
pub fn insert(tx: &mut Tx<'_>, side: Side, method: &MethodRow) -> Result<(), db::Error> {
    if !accounts::has_connection(tx, side, method.connection)? {
        let (account, mode) = side;
        let message =
            format!("connection {} of card {} is of {account} {mode}", method.connection, method.id);
        return Err(db::Error::Assertion(message));
    }
    store::insert(tx, side, method)
}

/// The cards with these ids, in the order of the ids, deleted ones too.
pub fn find_many(tx: &mut Tx<'_>, side: Side, ids: &[PaymentMethodId]) -> Result<Vec<MethodRow>, db::Error> {
    store::find_many(tx, side, ids)
}

/// A card, deleted or not.
pub fn find(tx: &mut Tx<'_>, side: Side, id: PaymentMethodId) -> Result<Option<MethodRow>, db::Error> {
    Ok(store::find_many(tx, side, &[id])?.pop())
}

/// A card of this customer. Error: it has no such card.
pub fn get(tx: &mut Tx<'_>, side: Side, customer: &str, id: &str) -> Result<MethodRow, ApiError> {
    let method = get_any(tx, side, customer, id)?;
    if method.is_deleted { Err(ApiError::not_found("card", id)) } else { Ok(method) }
}

/// A card that this customer has or had. Error: it never had such a card.
pub fn get_any(tx: &mut Tx<'_>, side: Side, customer: &str, id: &str) -> Result<MethodRow, ApiError> {
    let none = || ApiError::not_found("card", id);
    let parsed: PaymentMethodId = id.parse().map_err(|_| none())?;
    find(tx, side, parsed)?.filter(|method| method.customer.as_deref() == Some(customer)).ok_or_else(none)
}

/// Pages of cards of these customers, newest first, in the order of the customers.
pub fn list_of(
    tx: &mut Tx<'_>,
    side: Side,
    customers: &[&str],
    (page, from): (&Page, &Place),
) -> Result<Vec<(usize, MethodRow)>, db::Error> {
    store::list_of(tx, side, customers, (page, from))
}

/// Writes what an update of a card may change.
pub fn update(tx: &mut Tx<'_>, method: &MethodRow) -> Result<(), db::Error> {
    store::update(tx, method)
}

/// Marks a card as deleted.
pub fn delete(tx: &mut Tx<'_>, method: &MethodRow, now: Timestamp) -> Result<(), db::Error> {
    store::delete(tx, method, now)
}

/// Month and year in which a card ends, from `2030-12`.
pub fn expiry(expires_on: Option<&str>) -> Option<(i64, i64)> {
    let (year, month) = expires_on?.split_once('-')?;
    Some((year.parse().ok()?, month.get(..2)?.parse().ok()?))
}

/// Whether a card that ends with this month can still be used on a day.
pub fn is_valid_on((year, month): (i64, i64), day: Date) -> bool {
    (i64::from(day.year()), i64::from(day.month())) <= (year, month)
}

/// The copy of a token's card for a customer. The same token makes the same card.
pub fn copy_for(
    key: &DerivationKey,
    method: &MethodRow,
    customer: &str,
    created_at: Timestamp,
    sequence: i64,
) -> MethodRow {
    let slot = Slot::of_key(customer);
    MethodRow {
        id: PaymentMethodId::derive(key, method.id.as_str(), slot, created_at, 0),
        customer: Some(customer.to_owned()),
        created_at: created_at.as_microsecond(),
        sequence,
        ..method.clone()
    }
}
