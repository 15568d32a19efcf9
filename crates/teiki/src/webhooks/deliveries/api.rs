//! Deliveries over HTTP: the log of an endpoint, trying it, and sending an event again.

use super::{DeliveryStatus, DeliveryView};
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::params::Param;
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};

/// GET /v1/webhook_endpoints/{webhook_endpoint}/deliveries
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "webhook_delivery",
    summary: "Lists what was sent to a webhook endpoint and what came of it, newest first. Kept for 30 days after the end.",
    params: &[
        LIMIT,
        OFFSET,
        SINCE,
        UNTIL,
        STARTING_AFTER,
        Param::choice(
            "status",
            &["waiting", "delivered", "given_up"],
            "invalid_status",
            "Only those of this status: waiting, delivered or given_up.",
        ),
    ],
    answer: Shape::list::<DeliveryView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, id, page) = (call.side(), call.id(0).to_owned(), Page::of(&call.params)?);
    let url = format!("/v1/webhook_endpoints/{id}/deliveries");
    let (asked, status) = (page.clone(), call.params.text("status").and_then(DeliveryStatus::from_stored));
    let rows = call.site.app.db.read(move |tx| super::list(tx, (side, &id), &asked, status)).await?;
    let views = rows.iter().map(DeliveryView::of).collect();
    Answer::json(&List::new(&page, views, url))
}

/// POST /v1/webhook_endpoints/{webhook_endpoint}/test
pub static TEST: Operation = Operation {
    access: Access::Write,
    object: "webhook_endpoint",
    summary: "Sends an event webhook_endpoint.tested to this endpoint alone, whatever it takes. Read its deliveries for what came of it.",
    params: &[],
    answer: Shape::one::<DeliveryView>(),
    run: |call| Box::pin(test(call)),
};

async fn test(call: Call) -> Result<Answer, ApiError> {
    let (side, id, key) = (call.side(), call.id(0).to_owned(), call.site.app.key.clone());
    let (random, now) = (call.random, call.now);
    let tested =
        call.change(move |tx| Ok(DeliveryView::of(&super::test(tx, &key, (side, &id), &random, now)?)));
    tested.await
}

/// POST /v1/events/{event}/resend
pub static RESEND: Operation = Operation {
    access: Access::Write,
    object: "event",
    summary: "Sends an event again to a webhook endpoint, whatever that takes, under the same id.",
    params: &[Param::id("webhook_endpoint", "Where to.").required()],
    answer: Shape::one::<DeliveryView>(),
    run: |call| Box::pin(resend(call)),
};

async fn resend(call: Call) -> Result<Answer, ApiError> {
    let (side, event) = (call.side(), call.id(0).to_owned());
    let endpoint = call.params.text("webhook_endpoint").unwrap_or_default().to_owned();
    let (random, now) = (call.random, call.now);
    let sent = call
        .change(move |tx| Ok(DeliveryView::of(&super::resend(tx, side, (&event, &endpoint), &random, now)?)));
    sent.await
}
