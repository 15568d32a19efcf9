//! The account over HTTP: what PAY.JP shows of one, and teiki's settings.

use serde_json::json;

use super::{Account, settings};
use crate::web::params::{Given, Param};
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

/// GET /v1/account_settings
pub static SETTINGS: Operation = Operation {
    access: Access::Read,
    object: "account_settings",
    summary: "Shows the settings of the account.",
    params: &[],
    run: |call| Box::pin(get_settings(call)),
};

async fn get_settings(call: Call) -> Result<Answer, ApiError> {
    let account = super::get(&call.site.app.db, call.caller.account.as_str()).await?;
    Answer::json(&settings::of(&account))
}

/// POST /v1/account_settings
pub static CHANGE: Operation = Operation {
    access: Access::Write,
    object: "account_settings",
    summary: "Changes settings. They affect what is made from then on.",
    params: &[
        Param::text("calendar", 20, "anchor, or payjp: PAY.JP's calendar in UTC."),
        Param::text("renewal_failure", 20, "open, or payjp: a failed renewal pauses."),
        Param::text("zone", 100, "Where days begin, such as Asia/Tokyo; while there are no subscriptions."),
        Param::text(
            "charge_window",
            5,
            "The local time from which what is due on a day is charged, such as 09:00.",
        ),
        Param::id("test_clock", "The test clock of new test customers; empty is real time."),
        Param::text("rate_limits", 20, "generous, or payjp: PAY.JP's own."),
        Param::text("email", 254, "Where mails come from; empty is none."),
    ],
    run: |call| Box::pin(change(call)),
};

async fn change(call: Call) -> Result<Answer, ApiError> {
    let chosen = settings::NAMES.iter().filter_map(|name| match call.params.given(name) {
        Given::Set(value) => Some(((*name).to_owned(), value.to_owned())),
        Given::Cleared => Some(((*name).to_owned(), String::new())),
        Given::Absent => None,
    });
    let chosen: Vec<(String, String)> = chosen.collect();
    match super::change(&call.site.app.db, call.caller.account, chosen).await? {
        Ok(settings) => Answer::json(&settings),
        Err(wrong) => {
            let message = format!("Invalid {}: it {}.", wrong.name, wrong.problem);
            Err(ApiError::param("invalid_setting", wrong.name, message))
        }
    }
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
