//! Tokens over HTTP.

use billing::mode::Mode;
use billing::three_d_secure::Status;

use super::card::{Card, of_number, of_sandbox_token};
use super::view::TokenView;
use super::{TokenRow, new_ids};
use crate::charges::request::must_charge;
use crate::payment_methods::api::DETAILS;
use crate::payment_methods::view::CardView;
use crate::payment_methods::{GatewayToken, MethodRow};
use crate::web::params::Param;
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};
use crate::{accounts, clocks, gateways};

const fn text(name: &'static str) -> Param {
    Param::text(name, 45, "")
}

/// What a card is made of. PAY.JP asks for the security code and the name as well, but its own clients do not always send them.
static CARD: [Param; 13] = [
    text("number").required().coded("invalid_number"),
    text("exp_month").required().coded("invalid_expiry_month"),
    text("exp_year").required().coded("invalid_expiry_year"),
    text("cvc").coded("invalid_cvc"),
    DETAILS[0],
    DETAILS[1],
    DETAILS[2],
    DETAILS[3],
    DETAILS[4],
    DETAILS[5],
    DETAILS[6],
    DETAILS[7],
    DETAILS[8],
];

/// POST /v1/tokens
pub static CREATE: Operation = Operation {
    access: Access::Public,
    object: "token",
    summary: "Makes a token of a test card. In live mode card numbers are never taken.",
    params: &[
        Param::texts("card", &CARD, "invalid_card", "The card: number, exp_month, exp_year, cvc, name, …"),
        Param::text("sandbox_token", 100, "In test mode: a token of the sandbox, to rehearse any outcome."),
        Param::bool("three_d_secure", "Whether 3-D Secure is to be done before the token is used."),
        Param::id("tenant", "Accepted and not used.").clearable(),
    ],
    answer: Shape::one::<TokenView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    let side = call.side();
    let three_d_secure = call.params.bool("three_d_secure").unwrap_or(false);
    if three_d_secure {
        crate::three_d_secure::available(side.1)?;
    }
    if side.1 == Mode::Live {
        let message =
            "No token is made here in live mode: use the gateway's own fields or page. Nothing was stored.";
        let sent = if call.params.has("sandbox_token") { "sandbox_token" } else { "card" };
        return Err(ApiError::param("invalid_card", sent, message));
    }
    must_charge(call.site.app.mode, side.1)?;
    let account = accounts::get(&call.site.app.db, side.0.as_str()).await?;
    let connection = gateways::sandbox_connection(&call.site.app, account.id).await?;
    let (key, now, random) = (call.site.app.key.clone(), call.now, call.random);
    let clock = account.test_clock.clone();
    let billing = call.site.app.db.read(move |tx| clocks::now(tx, clock.as_deref(), now)).await?;
    let today = account.terms.zone.day_of(billing);
    let mut card = card_of(&call, today)?;
    card.details.three_d_secure_status = three_d_secure.then_some(Status::Unverified);
    let (id, method) = new_ids(billing, &random);
    let token =
        TokenRow { id, method, created_at: billing, made_at: now, is_used: false, is_confirmed: false };
    let method = MethodRow {
        id: method,
        customer: None,
        connection,
        gateway_token: GatewayToken::new(format!("{}.{}", card.rule, &method.as_str()[17..])),
        brand: card.brand,
        last4: card.last4,
        expires_on: Some(card.expires_on),
        fingerprint: Some(card.fingerprint),
        details: card.details,
        metadata: "{}".to_owned(),
        created_at: billing.as_microsecond(),
        sequence: now.as_microsecond(),
        is_deleted: false,
    };
    call.change(move |tx| super::create(tx, &key, side, &token, &method)).await
}

fn card_of(call: &Call, today: jiff::civil::Date) -> Result<Card, ApiError> {
    let (key, account) = (&call.site.app.key, call.caller.account);
    match (call.params.texts("card"), call.params.text("sandbox_token")) {
        (Some(fields), None) => of_number((key, account), fields, today),
        (None, Some(token)) => of_sandbox_token((key, account), token, today),
        (None, None) => Err(ApiError::missing("card", "token")),
        (Some(_), Some(_)) => {
            Err(ApiError::param("invalid_card", "sandbox_token", "Send either card or sandbox_token."))
        }
    }
}

/// GET /v1/tokens/{token}
pub static GET: Operation = Operation {
    access: Access::Public,
    object: "token",
    summary: "Shows a token.",
    params: &[],
    answer: Shape::one::<TokenView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id, now) = (call.side(), call.id(0).to_owned(), call.now);
    let (token, method) = call.site.app.db.read(move |tx| super::get(tx, side, &id, now)).await?;
    Answer::json(&TokenView::of(side.1, &token, CardView::of(side.1, &method)?))
}

/// POST /v1/tokens/{token}/tds_finish
pub static FINISH: Operation = Operation {
    access: Access::Public,
    object: "token",
    summary: "Finishes the 3-D Secure of a token, so that it can be used.",
    params: &[],
    answer: Shape::one::<TokenView>(),
    run: |call| Box::pin(finish(call)),
};

async fn finish(call: Call) -> Result<Answer, ApiError> {
    let (side, now) = (call.side(), call.now);
    let id = call.id(0).parse().map_err(|_| ApiError::not_found("token", call.id(0)))?;
    let finished = call.change(move |tx| {
        let (token, method) = super::finish(tx, side, id, now)?;
        Ok(TokenView::of(side.1, &token, CardView::of(side.1, &method)?))
    });
    finished.await
}
