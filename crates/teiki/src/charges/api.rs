//! Charges over HTTP.

use billing::event::Kind;
use billing::id::{AccountId, ChargeId};
use billing::mode::Mode;
use billing::money::Money;

use super::request::{Begun, Live, ToSend};
use super::sale::{self, Intent, Sale, Source};
use super::view::{self, ChargeView, ShownCharge};
use super::{listing, request, store, three_d_secure};
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::metadata::{self, Metadata};
use crate::web::params::{Given, Param};
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};

/// Smallest and largest amount of a charge, in yen.
const AMOUNT: (i64, i64) = (50, 9_999_999);
const DESCRIPTION: Param = Param::text("description", 255, "Your own note.");
/// Days for which money is reserved when the request does not say.
const RESERVE_DAYS: i64 = 7;

/// POST /v1/charges
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "charge",
    summary: "Charges a card once, now: of a token, or of a customer.",
    params: &[
        Param::int("amount", AMOUNT, "invalid_amount", "How much, in yen, tax included.").required(),
        Param::choice("currency", &["jpy"], "invalid_currency", "The currency: jpy.").required(),
        Param::id("customer", "Who pays, with the default card unless card says which."),
        Param::id("card", "A token, or with customer one of its cards."),
        DESCRIPTION,
        Param::bool("capture", "False reserves the money; it is taken by a later capture."),
        Param::int(
            "expiry_days",
            (1, 60),
            "invalid_expiry_days",
            "With capture=false: days of the reservation.",
        ),
        Param::metadata(),
        Param::bool("three_d_secure", "Whether the card holder must confirm first."),
        Param::id("product", "Accepted and not used.").clearable(),
        Param::id("tenant", "Accepted and not used.").clearable(),
    ],
    answer: Shape::one::<ChargeView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    let params = &call.params;
    let three_d_secure = params.bool("three_d_secure").unwrap_or(false);
    if three_d_secure {
        crate::three_d_secure::available(call.caller.mode)?;
    }
    let capture = params.bool("capture").unwrap_or(true);
    let days = params.int("expiry_days");
    if capture && days.is_some() {
        let message = "expiry_days is for charges with capture=false.";
        return Err(ApiError::param("unnecessary_expiry_days", "expiry_days", message));
    }
    let metadata = metadata::merged(Metadata::new(), params.metadata())?;
    let sale = Sale {
        side: call.side(),
        amount: Money::yen(params.int("amount").unwrap_or_default()),
        source: source(&call)?,
        reserve_days: (!capture).then(|| days.unwrap_or(RESERVE_DAYS)),
        three_d_secure,
        description: params.text("description").map(str::to_owned),
        metadata: metadata::to_stored(&metadata),
        key: hex::encode(&call.random[..16]),
        now: call.now,
    };
    let key = call.site.app.key.clone();
    let begun = request::begin(&call, move |tx, side| {
        Ok(match sale::prepare(tx, &side.line, (&key, &side.account), &sale)? {
            Intent::Send(outgoing, billing) => begun(outgoing.charge, Some((outgoing, billing))),
            Intent::Wait(id) => (Begun { about: id.to_string(), charge: None }, None),
        })
    });
    answered(&call, begun.await?).await
}

/// A charge that a request sends, or has sent.
fn begun(charge: ChargeId, to_send: Option<ToSend>) -> (Begun, Option<ToSend>) {
    (Begun { about: charge.to_string(), charge: Some(charge.to_string()) }, to_send)
}

/// The charge when its outcome is known; at once if it waits for its card holder.
async fn answered(call: &Call, (begun, live): (Begun, Live)) -> Result<Answer, ApiError> {
    let owner = call.side();
    let charge = match request::paid(call, (&begun, live)).await? {
        Some(charge) => charge,
        None => call.site.app.db.read(move |tx| find(tx, owner, &begun.about)).await?,
    };
    Answer::json(&charge.view)
}

/// POST /v1/charges/{charge}/tds_finish
pub static FINISH: Operation = Operation {
    access: Access::Write,
    object: "charge",
    summary: "Charges what waited for its card holder, once 3-D Secure has been passed.",
    params: &[],
    answer: Shape::one::<ChargeView>(),
    run: |call| Box::pin(finish(call)),
};

async fn finish(call: Call) -> Result<Answer, ApiError> {
    let (owner, now) = (call.side(), call.now);
    let id: ChargeId = call.id(0).parse().map_err(|_| ApiError::not_found("charge", call.id(0)))?;
    // Of what a former request has sent nothing is left to do, with the gateway or without.
    if call.site.app.db.read(move |tx| three_d_secure::is_begun(tx, owner, id)).await? {
        return answered(&call, (begun(id, None).0, None)).await;
    }
    let begun = request::begin(&call, move |tx, side| {
        Ok(match three_d_secure::begin(tx, &side.line, owner, (id, now))? {
            three_d_secure::Begun::Send(outgoing, billing) => begun(id, Some((outgoing, billing))),
            three_d_secure::Begun::Before(id) => begun(id, None),
        })
    });
    answered(&call, begun.await?).await
}

fn source(call: &Call) -> Result<Source, ApiError> {
    let (customer, card) = (call.params.text("customer"), call.params.text("card"));
    match (customer, card) {
        (None, None) => {
            Err(ApiError::client("no_payment_method", "Send card or customer: nobody would pay."))
        }
        (None, Some(token)) => Ok(Source::Token(token.to_owned())),
        (Some(id), card) => Ok(Source::Customer { id: id.to_owned(), card: card.map(str::to_owned) }),
    }
}

/// GET /v1/charges/{charge}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "charge",
    summary: "Shows a charge.",
    params: &[],
    answer: Shape::one::<ChargeView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let charge = call.site.app.db.read(move |tx| find(tx, side, &id)).await?;
    Answer::json(&charge.view)
}

/// The charge `id`. Error: the account has none.
pub(super) fn find(tx: &mut db::Tx<'_>, side: (AccountId, Mode), id: &str) -> Result<ShownCharge, ApiError> {
    let none = || ApiError::not_found("charge", id);
    let parsed: ChargeId = id.parse().map_err(|_| none())?;
    view::find(tx, side, parsed)?.ok_or_else(none)
}

/// GET /v1/charges
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "charge",
    summary: "Lists charges, newest first.",
    params: &[
        LIMIT,
        OFFSET,
        SINCE,
        UNTIL,
        STARTING_AFTER,
        Param::id("customer", "Only those of this customer."),
        Param::id("subscription", "Only those of this subscription."),
        Param::id("tenant", "Of a platform: matches nothing."),
        Param::id("term", "Of a settlement period: matches nothing until payouts exist."),
    ],
    answer: Shape::list::<ChargeView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page) = (call.side(), Page::of(&call.params)?);
    let text = |name| call.params.text(name).map(str::to_owned);
    let (customer, subscription) = (text("customer"), text("subscription"));
    if text("tenant").is_some() || text("term").is_some() {
        return Answer::json(&List::<()>::empty("/v1/charges"));
    }
    let (asked, key) = (page.clone(), call.site.app.key.clone());
    let charges = call.site.app.db.read(move |tx| {
        listing::list(tx, &key, side, &asked, (customer.as_deref(), subscription.as_deref()))
    });
    let views = charges.await?.into_iter().map(|charge| charge.view).collect();
    Answer::json(&List::new(&page, views, "/v1/charges"))
}

/// POST /v1/charges/{charge}
pub static UPDATE: Operation = Operation {
    access: Access::Write,
    object: "charge",
    summary: "Changes the note and metadata of a charge.",
    params: &[DESCRIPTION, Param::metadata()],
    answer: Shape::one::<ChargeView>(),
    run: |call| Box::pin(update(call)),
};

async fn update(call: Call) -> Result<Answer, ApiError> {
    let (side, key, id, now) = (call.side(), call.site.app.key.clone(), call.id(0).to_owned(), call.now);
    let params = call.params.clone();
    let updated = call.change(move |tx| {
        let found = find(tx, side, &id)?;
        let mut history = super::history::lock(tx, side, &found, now)?;
        // Read again now that nothing else changes it.
        let mut row = find(tx, side, &id)?.row().clone();
        match params.given("description") {
            Given::Set(text) => row.description = Some(text.to_owned()),
            Given::Cleared => row.description = Some(String::new()),
            Given::Absent => {}
        }
        let stored = row.metadata.as_deref().map(metadata::from_stored).transpose()?.unwrap_or_default();
        row.metadata = Some(metadata::to_stored(&metadata::merged(stored, params.metadata())?));
        store::shown::update(tx, &row)?;
        let charge = find(tx, side, &id)?;
        history.record(tx, &key, (Kind::ChargeUpdated, &charge), now)?;
        Ok(charge.view)
    });
    updated.await
}
