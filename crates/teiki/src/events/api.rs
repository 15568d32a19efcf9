//! Events over HTTP.

use super::{Filter, view};
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::params::Param;
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};

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

/// GET /v1/events
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "event",
    summary: "Lists events, newest first. Types that PAY.JP does not have come when they are asked for by type.",
    params: &[
        LIMIT,
        OFFSET,
        SINCE,
        UNTIL,
        STARTING_AFTER,
        Param::id("resource_id", "Only those about the object with this id."),
        Param::text("object", 50, "Only those about objects of this name, such as charge."),
        Param::text("type", 50, "Only those of this type, such as charge.succeeded."),
    ],
    answer: Shape::list::<view::EventView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page) = (call.side(), Page::of(&call.params)?);
    let text = |name| call.params.text(name).map(str::to_owned);
    let kind = match text("type") {
        None => None,
        Some(kind) => match kind.parse() {
            Ok(kind) => Some(kind),
            // A type that teiki never has: nothing is of it.
            Err(_) => return Answer::json(&List::<()>::empty("/v1/events")),
        },
    };
    let filter = Filter { kind, object: text("object"), resource: text("resource_id") };
    let asked = page.clone();
    let events = call.site.app.db.read(move |tx| super::list(tx, side, &asked, &filter)).await?;
    Answer::json(&List::new(&page, events, "/v1/events"))
}
