//! An account as the API shows it.

use schemars::JsonSchema;
use serde::Serialize;

use super::Account;

/// The brands that the test cards have.
const BRANDS: [&str; 6] = ["Visa", "MasterCard", "JCB", "American Express", "Diners Club", "Discover"];

/// The account that a key belongs to. PAY.JP's object; `name` is teiki's.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Account")]
pub(super) struct AccountView {
    #[schemars(extend("const" = "account"))]
    object: &'static str,
    id: String,
    email: Option<String>,
    created: i64,
    /// Always null.
    team_id: Option<String>,
    merchant: MerchantView,
    name: String,
}

/// What PAY.JP tells of a merchant; teiki knows little of it, and the rest is null or false.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Merchant")]
struct MerchantView {
    #[schemars(extend("const" = "merchant"))]
    object: &'static str,
    id: String,
    bank_enabled: bool,
    brands_accepted: [&'static str; 6],
    business_type: Option<String>,
    charge_type: Option<Vec<String>>,
    country: &'static str,
    created: i64,
    currencies_supported: [&'static str; 1],
    default_currency: &'static str,
    details_submitted: bool,
    livemode_activated_at: Option<i64>,
    livemode_enabled: bool,
    product_name: Option<String>,
    product_type: Option<Vec<String>>,
    site_published: Option<bool>,
}

impl AccountView {
    pub(super) fn of(account: &Account) -> Self {
        let created = account.created_at.as_second();
        Self {
            object: "account",
            id: account.id.as_str().to_owned(),
            email: account.email.clone(),
            created,
            team_id: None,
            merchant: MerchantView {
                object: "merchant",
                id: format!("acct_mch_{}", &account.id.as_str()["acct_".len() + 4..]),
                bank_enabled: false,
                brands_accepted: BRANDS,
                business_type: None,
                charge_type: None,
                country: "JP",
                created,
                currencies_supported: ["jpy"],
                default_currency: "jpy",
                details_submitted: false,
                livemode_activated_at: None,
                livemode_enabled: false,
                product_name: None,
                product_type: None,
                site_published: None,
            },
            name: account.name.clone(),
        }
    }
}

/// The card brands that are accepted.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "CardBrands")]
pub(super) struct BrandsView {
    card_types_supported: [&'static str; 6],
    livemode: bool,
}

impl BrandsView {
    pub(super) fn new(livemode: bool) -> Self {
        Self { card_types_supported: BRANDS, livemode }
    }
}
