//! Requests for 3-D Secure over HTTP.
//!
//! There is no `tds_finish` here: the request of a stored card is finished with its result, and no SDK of PAY.JP calls one.

use super::view::RequestView;
use super::{available, create as make, get as read, list as pages};
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::params::Param;
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};

const TENANT: Param = Param::id("tenant_id", "Accepted and not used.").clearable();

/// POST /v1/three_d_secure_requests
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "three_d_secure_request",
    summary: "Asks for 3-D Secure of a customer's card.",
    params: &[Param::id("resource_id", "The card of a customer.").required(), TENANT],
    answer: Shape::one::<RequestView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    let (side, random, now) = (call.side(), call.random, call.now);
    available(side.1).map_err(|error| error.about_param("resource_id"))?;
    let card = call.params.text("resource_id").unwrap_or_default().to_owned();
    let asked = call.change(move |tx| {
        let request = make(tx, side, &card, (&random, now))?;
        Ok(RequestView::of(side.1, &request, now))
    });
    asked.await
}

/// GET /v1/three_d_secure_requests/{three_d_secure_request}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "three_d_secure_request",
    summary: "Shows a request for 3-D Secure.",
    params: &[],
    answer: Shape::one::<RequestView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id, now) = (call.side(), call.id(0).to_owned(), call.now);
    let request = call.site.app.db.read(move |tx| read(tx, side, &id)).await?;
    Answer::json(&RequestView::of(side.1, &request, now))
}

/// GET /v1/three_d_secure_requests
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "three_d_secure_request",
    summary: "Lists requests for 3-D Secure, newest first.",
    params: &[
        LIMIT,
        OFFSET,
        SINCE,
        UNTIL,
        STARTING_AFTER,
        Param::id("resource_id", "Only those for this card."),
        Param::id("tenant_id", "Of a platform: matches nothing."),
    ],
    answer: Shape::list::<RequestView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page, now) = (call.side(), Page::of(&call.params)?, call.now);
    let url = "/v1/three_d_secure_requests";
    if call.params.text("tenant_id").is_some() {
        return Answer::json(&List::<()>::empty(url));
    }
    let (asked, card) = (page.clone(), call.params.text("resource_id").map(str::to_owned));
    let rows = call.site.app.db.read(move |tx| pages(tx, side, &asked, card.as_deref())).await?;
    let views = rows.iter().map(|row| RequestView::of(side.1, row, now)).collect();
    Answer::json(&List::new(&page, views, url))
}
