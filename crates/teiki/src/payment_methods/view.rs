//! A card as the API shows it.

use billing::mode::Mode;
use billing::three_d_secure::Status;
use schemars::JsonSchema;
use serde::Serialize;

use super::{MethodRow, expiry};
use crate::three_d_secure::view::STATUSES_OR_NULL;
use crate::web::list::is_live;
use crate::web::metadata::{self, Metadata};

/// A card, without its number. PAY.JP's object.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Card")]
pub struct CardView {
    #[schemars(extend("const" = "card"))]
    object: &'static str,
    id: String,
    /// When it was made, in seconds since 1970, by the clock that its customer lives by.
    created: i64,
    livemode: bool,
    name: Option<String>,
    last4: String,
    /// 1 to 12; 0 for an imported card without an expiry.
    #[schemars(range(min = 0, max = 12))]
    exp_month: i64,
    /// Four digits; 0 for an imported card without an expiry.
    exp_year: i64,
    brand: String,
    /// `passed`, or `unchecked`.
    cvc_check: String,
    /// The same for the same number within one account; empty for an imported card.
    fingerprint: String,
    /// Two letters.
    country: Option<String>,
    address_zip: Option<String>,
    address_zip_check: String,
    address_state: Option<String>,
    address_city: Option<String>,
    address_line1: Option<String>,
    address_line2: Option<String>,
    /// Whose it is; null for the card of a token.
    customer: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    /// How it stands with the card holder; null without 3-D Secure.
    #[schemars(with = "Option<String>", extend("enum" = STATUSES_OR_NULL))]
    three_d_secure_status: Option<Status>,
    /// Whether it was issued in Japan.
    is_jp: bool,
    metadata: Metadata,
}

impl CardView {
    /// From its row. A card that was imported without an expiry shows zeros, one without a number's trace an empty fingerprint.
    pub fn of(mode: Mode, method: &MethodRow) -> Result<Self, db::Error> {
        let (exp_year, exp_month) = expiry(method.expires_on.as_deref()).unwrap_or((0, 0));
        let details = method.details.clone();
        let unchecked = || "unchecked".to_owned();
        Ok(Self {
            object: "card",
            id: method.id.to_string(),
            created: method.created_at.div_euclid(1_000_000),
            livemode: is_live(mode),
            name: details.name,
            last4: method.last4.clone(),
            exp_month,
            exp_year,
            brand: method.brand.clone(),
            cvc_check: details.cvc_check.unwrap_or_else(unchecked),
            fingerprint: method.fingerprint.clone().unwrap_or_default(),
            country: details.country,
            address_zip: details.address_zip,
            address_zip_check: details.address_zip_check.unwrap_or_else(unchecked),
            address_state: details.address_state,
            address_city: details.address_city,
            address_line1: details.address_line1,
            address_line2: details.address_line2,
            customer: method.customer.clone(),
            email: details.email,
            phone: details.phone,
            three_d_secure_status: details.three_d_secure_status,
            is_jp: details.is_jp.unwrap_or(true),
            metadata: metadata::from_stored(&method.metadata)?,
        })
    }
}
