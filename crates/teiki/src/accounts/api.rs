//! The account over HTTP: what PAY.JP shows of one, and teiki's settings.

use super::settings::{self, CALENDARS, RATE_LIMITS, RENEWAL_FAILURES, Settings};
use super::view::{AccountView, BrandsView};
use crate::email::ADDRESS_MAX;
use crate::web::params::{Given, Param};
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};

/// The code of the error when a setting cannot be made.
const WRONG: &str = "invalid_setting";

/// GET /v1/accounts
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "account",
    summary: "Shows the account that the key belongs to.",
    params: &[],
    answer: Shape::one::<AccountView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let account = super::get(&call.site.app.db, call.caller.account.as_str()).await?;
    Answer::json(&AccountView::of(&account))
}

/// GET /v1/account_settings
pub static SETTINGS: Operation = Operation {
    access: Access::Read,
    object: "account_settings",
    summary: "Shows the settings of the account.",
    params: &[],
    answer: Shape::one::<Settings>(),
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
        Param::choice("calendar", CALENDARS, WRONG, "anchor, or payjp: PAY.JP's calendar in UTC."),
        Param::choice("renewal_failure", RENEWAL_FAILURES, WRONG, "open, or payjp: a failed renewal pauses."),
        Param::text(
            "zone",
            100,
            "Where days begin, such as Asia/Tokyo; while there are no subscriptions in either mode.",
        ),
        Param::text(
            "charge_window",
            5,
            "The local time from which what is due on a day is charged, such as 09:00.",
        ),
        Param::id("test_clock", "The test clock of new test customers; empty is real time.").clearable(),
        Param::choice("rate_limits", RATE_LIMITS, WRONG, "generous, or payjp: PAY.JP's own."),
        Param::text("email", ADDRESS_MAX, "Where mails come from; empty is none."),
    ],
    answer: Shape::one::<Settings>(),
    run: |call| Box::pin(change(call)),
};

async fn change(call: Call) -> Result<Answer, ApiError> {
    let chosen = settings::NAMES.iter().filter_map(|name| match call.params.given(name) {
        Given::Set(value) => Some(((*name).to_owned(), value.to_owned())),
        Given::Cleared => Some(((*name).to_owned(), String::new())),
        Given::Absent => None,
    });
    let chosen: Vec<(String, String)> = chosen.collect();
    let account = call.caller.account;
    call.change(move |tx| {
        super::change(tx, account, &chosen)?.map_err(|wrong| {
            let message = format!("Invalid {}: it {}.", wrong.name, wrong.problem);
            ApiError::param(WRONG, wrong.name, message)
        })
    })
    .await
}

/// GET /v1/accounts/brands
pub static BRANDS_OF: Operation = Operation {
    access: Access::Public,
    object: "account",
    summary: "Shows the card brands that are accepted.",
    params: &[Param::id("tenant", "Accepted and not used.").clearable()],
    answer: Shape::one::<BrandsView>(),
    run: |call| Box::pin(brands(call)),
};

async fn brands(call: Call) -> Result<Answer, ApiError> {
    Answer::json(&BrandsView::new(call.caller.is_live()))
}
