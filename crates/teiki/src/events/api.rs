//! Events over HTTP.

use super::{Filter, view};
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::params::Param;
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};
use crate::webhooks::filter::{Filter as Types, VALUE_MAX};

/// GET /v1/events/{event}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "event",
    summary: "Shows an event with the object as it was then.",
    params: &[],
    answer: Shape::one::<view::EventView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let mut shown = call
        .site
        .app
        .db
        .read(move |tx| {
            let row = super::find(tx, side, &id)?;
            Ok::<_, ApiError>(view::of_rows(tx, side, vec![row])?)
        })
        .await?;
    match shown.pop() {
        Some(event) => Answer::json(&event),
        None => Err(ApiError::inside("an event has one view")),
    }
}

const TYPE: Param = Param::text(
    "type",
    VALUE_MAX,
    "Only those of this type, such as charge.succeeded; invoice.* for all of an object, * for all.",
)
.coded("invalid_type")
.of_words(Types::values);

/// GET /v1/events
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "event",
    summary: "Lists events, newest first. Those that PAY.JP does not have come when they are asked for: by type, or by an object that only teiki has.",
    params: &[
        LIMIT,
        OFFSET,
        SINCE,
        UNTIL,
        STARTING_AFTER,
        Param::id("resource_id", "Only those about the object with this id."),
        Param::text("object", 50, "Only those about objects of this name, such as charge."),
        TYPE,
    ],
    answer: Shape::list::<view::EventView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page) = (call.side(), Page::of(&call.params)?);
    let text = |name| call.params.text(name).map(str::to_owned);
    let types = match text("type") {
        None => None,
        Some(value) => Some(Types::of(&[value]).map_err(|unknown| {
            let message = format!("Invalid type: there is no event type {unknown:?}.");
            ApiError::param(TYPE.code, TYPE.name, message)
        })?),
    };
    let filter = Filter { types, object: text("object"), resource: text("resource_id") };
    let asked = page.clone();
    let events = call.site.app.db.read(move |tx| super::list(tx, side, &asked, &filter)).await?;
    Answer::json(&List::new(&page, events, "/v1/events"))
}
