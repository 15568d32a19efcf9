//! The account over HTTP: what PAY.JP shows of one, and teiki's settings.

use serde_json::json;

use super::Account;
use crate::web::params::Param;
use crate::web::{Access, Answer, ApiError, Call, Operation};

/// The brands that the test cards have.
const BRANDS: [&str; 6] = ["Visa", "MasterCard", "JCB", "American Express", "Diners Club", "Discover"];

/// GET /v1/accounts
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "account",
    summary: "Shows the account that the key belongs to.",
    params: &[],
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let account = super::get(&call.site.app.db, call.caller.account.as_str()).await?;
    Ok(Answer::Json(shown(&account)))
}

fn shown(account: &Account) -> serde_json::Value {
    let merchant = format!("acct_mch_{}", &account.id.as_str()["acct_".len() + 4..]);
    json!({
        "object": "account",
        "id": account.id.as_str(),
        "email": account.email,
        "created": account.created_at.as_second(),
        "team_id": null,
        "merchant": {
            "object": "merchant",
            "id": merchant,
            "bank_enabled": false,
            "brands_accepted": BRANDS,
            "business_type": null,
            "charge_type": null,
            "country": "JP",
            "created": account.created_at.as_second(),
            "currencies_supported": ["jpy"],
            "default_currency": "jpy",
            "details_submitted": false,
            "livemode_activated_at": null,
            "livemode_enabled": false,
            "product_name": null,
            "product_type": null,
            "site_published": null,
        },
        "name": account.name,
    })
}

/// GET /v1/accounts/brands
pub static BRANDS_OF: Operation = Operation {
    access: Access::Public,
    object: "account",
    summary: "Shows the card brands that are accepted.",
    params: &[Param::id("tenant", "Accepted and not used.")],
    run: |call| Box::pin(brands(call)),
};

async fn brands(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::Json(json!({"card_types_supported": BRANDS, "livemode": call.caller.is_live()})))
}
