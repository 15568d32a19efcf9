//! Plan switches over HTTP.

use billing::id::SubscriptionId;
use jiff::Timestamp;

use super::members::{self, Standing};
use super::view::{PreviewView, SwitchView};
use super::{Asked, EXCLUDED_MAX};
use crate::subscriptions::view::{self as subscription, SubscriptionView};
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::params::{Given, ID_MAX, Param, Params};
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};

/// Previews that are made at once; the others wait for their turn. The background has two readers.
pub const PREVIEWS_MAX: usize = 1;
/// When who has waited for a turn in vain should ask again, in seconds.
const RETRY_AFTER: u64 = 5;

const PLAN: Param = Param::id("plan", "The plan that is left, by all who have it now.").required();
const NEXT_PLAN: Param = Param::id("next_plan", "The plan that takes over.").required();
const EFFECTIVE_AT: Param =
    Param::instant("effective_at", "Renewals whose period starts at this time or later have the next plan.")
        .coded("invalid_effective_at")
        .required();
const EXCLUDE: Param = Param::list(
    "exclude",
    (EXCLUDED_MAX, ID_MAX),
    "invalid_subscription",
    "Subscriptions that keep the plan.",
);

/// POST /v1/plan_switches
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "plan_switch",
    summary: "Switches all subscriptions of a plan to another one from an instant on. Read it until its status is scheduled.",
    params: &[PLAN, NEXT_PLAN, EFFECTIVE_AT, EXCLUDE],
    answer: Shape::one::<SwitchView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    let (side, key, now, asked) = (call.side(), call.site.app.key.clone(), call.now, asked(&call.params)?);
    let (actor, random) = (call.caller.key.clone(), call.random);
    let made = call.change(move |tx| super::create(tx, &key, (side, &asked), (&actor, &random), now));
    let answer = made.await?;
    call.site.switch_bell.notify_one();
    Ok(answer)
}

fn asked(params: &Params) -> Result<Asked, ApiError> {
    let mut excluded: Vec<SubscriptionId> = match params.list("exclude") {
        Given::Absent | Given::Cleared => Vec::new(),
        Given::Set(ids) => ids
            .iter()
            .map(|id| {
                let message = format!("Invalid exclude: {id} is no subscription.");
                id.parse().map_err(|_| ApiError::param("invalid_subscription", "exclude", message))
            })
            .collect::<Result<_, _>>()?,
    };
    excluded.sort_unstable();
    excluded.dedup();
    let seconds = params.int("effective_at").unwrap_or_default();
    Ok(Asked {
        plan: params.text("plan").unwrap_or_default().to_owned(),
        next_plan: params.text("next_plan").unwrap_or_default().to_owned(),
        // The parameter is checked to be in range.
        effective_at: Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX),
        excluded,
    })
}

/// POST /v1/plan_switches/preview
pub static PREVIEW: Operation = Operation {
    access: Access::Read,
    object: "plan_switch",
    summary: "Shows what a plan switch would do: who, how many, and yen before and after. Changes nothing.",
    params: &[PLAN, NEXT_PLAN, EFFECTIVE_AT, EXCLUDE, LIMIT],
    answer: Shape::one::<PreviewView>(),
    run: |call| Box::pin(preview(call)),
};

async fn preview(call: Call) -> Result<Answer, ApiError> {
    let (side, now, asked) = (call.side(), call.now, asked(&call.params)?);
    let limit = call.params.int("limit").unwrap_or(10);
    // It counts all subscriptions of a plan: nobody who pays waits for that, and the renewals keep a reader.
    let turn = tokio::time::timeout_at(call.give_up_at, call.site.previews.acquire()).await;
    let _turn = turn.map_err(|_| {
        let message =
            "Other previews of plan switches are being made, one at a time. Ask again in a few seconds.";
        ApiError::over_capacity(RETRY_AFTER).saying(message)
    })?;
    let shown = call.site.background.read(move |tx| members::preview(tx, side, &asked, (limit, now)));
    Answer::json(&shown.await?)
}

/// GET /v1/plan_switches
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "plan_switch",
    summary: "Lists plan switches, newest first; undone ones too.",
    params: &[LIMIT, OFFSET, SINCE, UNTIL, STARTING_AFTER],
    answer: Shape::list::<SwitchView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page) = (call.side(), Page::of(&call.params)?);
    let asked = page.clone();
    let rows = call.site.app.db.read(move |tx| super::list(tx, side, &asked)).await?;
    Answer::json(&List::new(&page, rows.iter().map(SwitchView::of).collect(), "/v1/plan_switches"))
}

/// GET /v1/plan_switches/{plan_switch}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "plan_switch",
    summary: "Shows a plan switch.",
    params: &[],
    answer: Shape::one::<SwitchView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let row = call.site.app.db.read(move |tx| super::get(tx, side, &id)).await?;
    Answer::json(&SwitchView::of(&row))
}

/// GET /v1/plan_switches/{plan_switch}/subscriptions
pub static SUBSCRIPTIONS: Operation = Operation {
    access: Access::Read,
    object: "plan_switch",
    summary: "Lists who belongs to a plan switch, newest first; with status joined, who has the plan and does not.",
    params: &[
        LIMIT,
        OFFSET,
        SINCE,
        UNTIL,
        STARTING_AFTER,
        Param::choice(
            "status",
            &Standing::NAMES,
            "invalid_status",
            "reserved (if not given), switched by a renewal, joined later, or excluded.",
        ),
    ],
    answer: Shape::list::<SubscriptionView>(),
    run: |call| Box::pin(subscriptions(call)),
};

async fn subscriptions(call: Call) -> Result<Answer, ApiError> {
    let (side, page, id) = (call.side(), Page::of(&call.params)?, call.id(0).to_owned());
    let standing = call.params.text("status").and_then(Standing::from_name).unwrap_or(Standing::Reserved);
    let (asked, url) = (page.clone(), format!("/v1/plan_switches/{id}/subscriptions"));
    let views = call.site.app.db.read(move |tx| {
        let row = super::get(tx, side, &id)?;
        let found = members::list(tx, &row, standing, &asked)?;
        Ok::<_, ApiError>(subscription::of_rows(tx, side, &found)?)
    });
    Answer::json(&List::new(&page, views.await?, url))
}

/// POST /v1/plan_switches/{plan_switch}/exclude
pub static EXCLUDE_ONE: Operation = Operation {
    access: Access::Write,
    object: "plan_switch",
    summary: "Takes a subscription out of a plan switch: it has again what it had before.",
    params: &[Param::id("subscription", "Which one.").required()],
    answer: Shape::one::<SwitchView>(),
    run: |call| Box::pin(exclude(call)),
};

async fn exclude(call: Call) -> Result<Answer, ApiError> {
    let (side, key, now, id) = (call.side(), call.site.app.key.clone(), call.now, call.id(0).to_owned());
    let subscription = call.params.text("subscription").unwrap_or_default().to_owned();
    call.change(move |tx| super::exclude(tx, &key, (side, &id), &subscription, now)).await
}

/// POST /v1/plan_switches/{plan_switch}/undo
pub static UNDO: Operation = Operation {
    access: Access::Write,
    object: "plan_switch",
    summary: "Undoes a plan switch that is not effective yet: all have again what they had. Read it until its status is undone.",
    params: &[],
    answer: Shape::one::<SwitchView>(),
    run: |call| Box::pin(undo(call)),
};

async fn undo(call: Call) -> Result<Answer, ApiError> {
    let (side, now, id, actor) = (call.side(), call.now, call.id(0).to_owned(), call.caller.key.clone());
    let answer = call.change(move |tx| super::undo(tx, (side, &id), &actor, now)).await?;
    call.site.switch_bell.notify_one();
    Ok(answer)
}
