//! Webhook endpoints over HTTP.

use billing::id::{Slot, WebhookEndpointId};

use super::filter::{Filter, VALUE_MAX, VALUES_MAX};
use super::guard::{self, Reach, URL_MAX};
use super::keys::Keys;
use super::retry::Health;
use super::view::{EndpointView, KeptView};
use super::{Change, EndpointRow, Reason, Side, Status};
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::params::{Given, Param};
use crate::web::shape::Deleted;
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape, deleted};

const URL: Param = Param::text("url", URL_MAX, "Where events are sent: an https address on the internet.")
    .coded("invalid_url");
const DESCRIPTION: Param = Param::text("description", 255, "Words of your own.");
const EVENTS: Param = Param::list(
    "enabled_events",
    (VALUES_MAX, VALUE_MAX),
    "invalid_enabled_events",
    "The types that are sent: names, invoice.* for all of an object, * for all. Without it those that PAY.JP has.",
)
.of_words(Filter::values);
const STATUS: Param = Param::choice(
    "status",
    &["enabled", "disabled"],
    "invalid_status",
    "Whether events are sent: enabled or disabled.",
);

/// POST /v1/webhook_endpoints
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "webhook_endpoint",
    summary: "Makes a webhook endpoint. Its secret and token are shown in this answer only.",
    params: &[URL.required(), EVENTS, DESCRIPTION, STATUS],
    answer: Shape::one::<EndpointView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), WebhookEndpointId::random(Slot(0), call.now, &call.random));
    let url = url_of(&call)?.unwrap_or_default();
    let filter = filter_of(&call)?.unwrap_or(Filter::PAYJP);
    let keys = Keys::make()?;
    let master =
        call.site.secrets.for_writing(&call.site.app.db, &crate::accounts::random()?, call.now).await?;
    let row = EndpointRow {
        id,
        account: side.0,
        mode: side.1,
        url,
        description: call.params.text("description").map(str::to_owned),
        filter,
        status: match call.params.text("status") {
            Some("disabled") => Status::Disabled(Reason::Requested),
            _ => Status::Enabled,
        },
        sealed: keys.seal(&master, side.0, id)?,
        health: Health { failing_since: None, failed_at: None },
        event_number: 0,
        created_at: call.now.as_microsecond(),
    };
    let view = EndpointView::of(side.1, &row);
    let answers = (view.clone().with_secrets(&keys), KeptView::of(view));
    let made = call.reveal(move |tx| {
        super::create(tx, &row)?;
        Ok(answers.clone())
    });
    made.await
}

/// The URL, if one was sent. Error: nothing may be sent there.
fn url_of(call: &Call) -> Result<Option<String>, ApiError> {
    let text = match call.params.given("url") {
        Given::Absent => return Ok(None),
        Given::Cleared => "",
        Given::Set(text) => text,
    };
    let reach = Reach::of(call.caller.mode, call.site.allow_private_webhooks);
    match guard::parse(text, reach) {
        Ok(target) => Ok(Some(target.url.to_string())),
        Err(refusal) => Err(ApiError::param("invalid_url", "url", format!("Invalid url: {refusal}."))),
    }
}

/// What it takes, if that was sent. Error: a value names no type.
fn filter_of(call: &Call) -> Result<Option<Filter>, ApiError> {
    match call.params.list("enabled_events") {
        Given::Absent => Ok(None),
        Given::Cleared => Ok(Some(Filter::PAYJP)),
        Given::Set(values) => Filter::of(values).map(Some).map_err(|unknown| {
            let message = format!("Invalid enabled_events: there is no event type {unknown:?}.");
            ApiError::param("invalid_enabled_events", "enabled_events", message)
        }),
    }
}

/// GET /v1/webhook_endpoints/{webhook_endpoint}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "webhook_endpoint",
    summary: "Shows a webhook endpoint, without its secrets.",
    params: &[],
    answer: Shape::one::<EndpointView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let row = call.site.app.db.read(move |tx| super::get(tx, side, &id)).await?;
    Answer::json(&EndpointView::of(side.1, &row))
}

/// GET /v1/webhook_endpoints
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "webhook_endpoint",
    summary: "Lists webhook endpoints, newest first.",
    params: &[LIMIT, OFFSET, SINCE, UNTIL, STARTING_AFTER],
    answer: Shape::list::<EndpointView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page) = (call.side(), Page::of(&call.params)?);
    let asked = page.clone();
    let rows = call.site.app.db.read(move |tx| super::list(tx, side, &asked)).await?;
    let views = rows.iter().map(|row| EndpointView::of(side.1, row)).collect();
    Answer::json(&List::new(&page, views, "/v1/webhook_endpoints"))
}

/// POST /v1/webhook_endpoints/{webhook_endpoint}
pub static UPDATE: Operation = Operation {
    access: Access::Write,
    object: "webhook_endpoint",
    summary: "Changes a webhook endpoint. What is disabled receives nothing; what waited for it is given up.",
    params: &[URL, EVENTS, DESCRIPTION, STATUS],
    answer: Shape::one::<EndpointView>(),
    run: |call| Box::pin(update(call)),
};

async fn update(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let change = Change {
        url: url_of(&call)?,
        description: match call.params.given("description") {
            Given::Absent => None,
            Given::Cleared => Some(None),
            Given::Set(text) => Some(Some(text.to_owned())),
        },
        filter: filter_of(&call)?,
        is_enabled: call.params.text("status").map(|status| status == "enabled"),
    };
    let changed = call.change(move |tx| {
        let row = super::change(tx, side, &id, change.clone())?;
        Ok(EndpointView::of(side.1, &row))
    });
    changed.await
}

/// DELETE /v1/webhook_endpoints/{webhook_endpoint}
pub static DELETE: Operation = Operation {
    access: Access::Write,
    object: "webhook_endpoint",
    summary: "Deletes a webhook endpoint with its secrets; its log is shown no more.",
    params: &[],
    answer: Shape::one::<Deleted>(),
    run: |call| Box::pin(delete(call)),
};

async fn delete(call: Call) -> Result<Answer, ApiError> {
    let (side, id, now) = (call.side(), call.id(0).to_owned(), call.now);
    let answer = deleted(side.1, &id);
    call.site.app.db.write(move |tx| super::delete(tx, side, &id, now)).await?;
    Ok(Answer::Json(answer))
}

/// POST /v1/webhook_endpoints/{webhook_endpoint}/rotate_secret
pub static ROTATE: Operation = Operation {
    access: Access::Write,
    object: "webhook_endpoint",
    summary: "Gives a webhook endpoint a new secret, shown in this answer only. The former one signs as well for 24 hours; until then there is no other rotation.",
    params: &[],
    answer: Shape::one::<EndpointView>(),
    run: |call| Box::pin(rotate(call)),
};

async fn rotate(call: Call) -> Result<Answer, ApiError> {
    let (side, id, now): (Side, String, _) = (call.side(), call.id(0).to_owned(), call.now);
    let db = &call.site.app.db;
    let former = db.read(move |tx| super::get(tx, side, &id)).await?;
    let master = call.site.secrets.for_reading()?;
    let keys = Keys::open(&master, &former)
        .map_err(|error| ApiError::inside(format!("the secrets of {}: {error}", former.id)))?
        .rotated(now)?;
    let row = EndpointRow { sealed: keys.seal(&master, side.0, former.id)?, ..former.clone() };
    let (view, sealed) = (EndpointView::of(side.1, &row), row.sealed);
    let answers = (view.clone().with_secrets(&keys), KeptView::of(view));
    let rotated = call.reveal(move |tx| {
        super::reseal(tx, side, (&former, &sealed), now)?;
        Ok(answers.clone())
    });
    rotated.await
}
