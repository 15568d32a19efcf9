//! Subscriptions over HTTP.

use billing::agreement::{Resumption, TrialEnd};
use db::Tx;
use jiff::Timestamp;

use super::deletion;
use super::requests::{self, Context, Create, Prepared, Update};
use super::{Filter, view};
use crate::charges::{actions, request};
use crate::customers;
use crate::plans;
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::metadata::{self, Metadata};
use crate::web::params::{Given, InstantOrNow, Param, Params};
use crate::web::{Access, Answer, ApiError, Call, Deleted, Operation, Shape, deleted};

pub(crate) const TRIAL_END: Param =
    Param::instant_or_now("trial_end", "invalid_trial_end", "End of the trial in seconds, or now.");
pub(crate) const PRORATE: Param = Param::bool("prorate", "Whether a part of a period is charged by the day.");
pub(crate) const QUANTITY: Param =
    Param::int("quantity", (1, 10_000), "invalid_quantity", "How many of the plan.");

/// POST /v1/subscriptions
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "subscription",
    summary: "Subscribes a customer to a plan. What is due now is paid before the answer.",
    params: &[
        Param::id("customer", "Who pays, with the default card.").required(),
        Param::id("plan", "What for.").required(),
        TRIAL_END,
        PRORATE,
        QUANTITY,
        Param::metadata(),
    ],
    answer: Shape::one::<view::SubscriptionView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    let params = &call.params;
    let metadata = metadata::merged(Metadata::new(), params.metadata())?;
    let create = Create {
        customer: params.text("customer").unwrap_or_default().to_owned(),
        plan: params.text("plan").unwrap_or_default().to_owned(),
        quantity: params.int("quantity"),
        trial_end: trial_end(params),
        prorate: params.bool("prorate").unwrap_or(false),
        metadata: metadata::to_stored(&metadata),
        random: call.random,
    };
    change(call, move |tx, context| requests::create(tx, context, &create)).await
}

/// The end of a trial as a request gives it.
pub(crate) fn trial_end(params: &Params) -> Option<TrialEnd> {
    params.instant_or_now("trial_end").map(|end| match end {
        InstantOrNow::Now => TrialEnd::Now,
        // The parameter is checked to be in range.
        InstantOrNow::At(seconds) => TrialEnd::At(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)),
    })
}

/// Does what a request asks for, pays what that takes, and shows the subscription as it is then.
async fn change(
    call: Call,
    prepare: impl Fn(&mut Tx<'_>, &Context<'_>) -> Result<Prepared, ApiError> + Send + Sync + 'static,
) -> Result<Answer, ApiError> {
    let (owner, now, key) = (call.side(), call.now, call.site.app.key.clone());
    let begun = request::begin(&call, move |tx, side| {
        let context = Context { key: &key, line: &side.line, account: &side.account, side: owner, now };
        prepare(tx, &context).map(Prepared::begun)
    });
    let (begun, live) = begun.await?;
    request::paid(&call, (&begun, live)).await?;
    let id = begun.about.clone();
    let shown = call.site.app.db.read(move |tx| {
        let row = super::get(tx, owner, &id)?;
        Ok::<_, ApiError>(view::of_row(tx, owner, &row)?)
    });
    Answer::json(&shown.await.map_err(|error| request::unseen(&begun, error))?)
}

/// GET /v1/subscriptions/{subscription}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "subscription",
    summary: "Shows a subscription.",
    params: &[],
    answer: Shape::one::<view::SubscriptionView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let shown = call.site.app.db.read(move |tx| {
        let row = super::get(tx, side, &id)?;
        Ok::<_, ApiError>(view::of_row(tx, side, &row)?)
    });
    Answer::json(&shown.await?)
}

/// GET /v1/customers/{customer}/subscriptions/{subscription}
pub static GET_OF_CUSTOMER: Operation = Operation {
    access: Access::Read,
    object: "subscription",
    summary: "Shows a subscription of a customer.",
    params: &[],
    answer: Shape::one::<view::SubscriptionView>(),
    run: |call| Box::pin(get_of_customer(call)),
};

async fn get_of_customer(call: Call) -> Result<Answer, ApiError> {
    let (side, customer, id) = (call.side(), call.id(0).to_owned(), call.id(1).to_owned());
    let shown = call.site.app.db.read(move |tx| {
        customers::get(tx, side, &customer)?;
        let row = super::get(tx, side, &id)?;
        if row.customer != customer {
            return Err(ApiError::not_found("subscription", &id));
        }
        Ok(view::of_row(tx, side, &row)?)
    });
    Answer::json(&shown.await?)
}

const PLAN_FILTER: Param = Param::id("plan", "Only those of this plan.");
const STATUS_FILTER: Param =
    Param::choice("status", view::STATUSES, "invalid_status", "Only those that stand so.");

/// GET /v1/subscriptions
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "subscription",
    summary: "Lists subscriptions, newest first.",
    params: &[
        LIMIT,
        OFFSET,
        SINCE,
        UNTIL,
        STARTING_AFTER,
        PLAN_FILTER,
        Param::id("customer", "Only those of this customer."),
        STATUS_FILTER,
    ],
    answer: Shape::list::<view::SubscriptionView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let customer = call.params.text("customer").map(str::to_owned);
    listed(call, customer, "/v1/subscriptions".to_owned()).await
}

/// GET /v1/customers/{customer}/subscriptions
pub static LIST_OF_CUSTOMER: Operation = Operation {
    access: Access::Read,
    object: "subscription",
    summary: "Lists a customer's subscriptions, newest first.",
    params: &[LIMIT, OFFSET, SINCE, UNTIL, STARTING_AFTER, PLAN_FILTER, STATUS_FILTER],
    answer: Shape::list::<view::SubscriptionView>(),
    run: |call| Box::pin(list_of_customer(call)),
};

async fn list_of_customer(call: Call) -> Result<Answer, ApiError> {
    let (side, customer) = (call.side(), call.id(0).to_owned());
    let known = customer.clone();
    call.site.app.db.read(move |tx| customers::get(tx, side, &known).map(|_| ())).await?;
    let url = format!("/v1/customers/{customer}/subscriptions");
    listed(call, Some(customer), url).await
}

async fn listed(call: Call, customer: Option<String>, url: String) -> Result<Answer, ApiError> {
    let (side, page) = (call.side(), Page::of(&call.params)?);
    let status = call.params.text("status").map(|status| match status {
        "trial" => "trialing".to_owned(),
        other => other.to_owned(),
    });
    let filter = Filter { plan: call.params.text("plan").map(str::to_owned), status };
    let asked = page.clone();
    let views = call.site.app.db.read(move |tx| {
        let rows = super::list(tx, side, (&asked, customer.as_deref()), &filter)?;
        Ok::<_, ApiError>(view::of_rows(tx, side, &rows)?)
    });
    Answer::json(&List::new(&page, views.await?, url))
}

/// POST /v1/subscriptions/{subscription}
pub static UPDATE: Operation = Operation {
    access: Access::Write,
    object: "subscription",
    summary: "Changes a subscription. Another plan is paid now; next_cycle_plan waits for the next renewal.",
    params: &[
        Param::id("plan", "Another plan, paid at once."),
        Param::id("next_cycle_plan", "The plan from the next renewal on; empty clears it.").clearable(),
        TRIAL_END,
        PRORATE,
        QUANTITY,
        Param::metadata(),
    ],
    answer: Shape::one::<view::SubscriptionView>(),
    run: |call| Box::pin(update(call)),
};

async fn update(call: Call) -> Result<Answer, ApiError> {
    let params = &call.params;
    let next_plan = match params.given("next_cycle_plan") {
        Given::Absent => None,
        Given::Cleared => Some(None),
        // One SDK writes null as a word.
        Given::Set("null") => Some(null_plan(&call).await?),
        Given::Set(id) => Some(Some(id.to_owned())),
    };
    let update = Update {
        plan: params.text("plan").map(str::to_owned),
        next_plan,
        quantity: params.int("quantity"),
        trial_end: trial_end(params),
        prorate: params.bool("prorate"),
        metadata: params.metadata().cloned(),
    };
    let id = call.id(0).to_owned();
    change(call, move |tx, context| requests::update(tx, context, &id, &update)).await
}

/// The plan that is called null, if there is one.
async fn null_plan(call: &Call) -> Result<Option<String>, ApiError> {
    let side = call.side();
    let found = call.site.app.db.read(move |tx| plans::find_many(tx, side, &["null"])).await?;
    Ok(found.into_iter().find(|plan| !plan.is_deleted).map(|plan| plan.id))
}

/// POST /v1/subscriptions/{subscription}/pause
pub static PAUSE: Operation = Operation {
    access: Access::Write,
    object: "subscription",
    summary: "Stops a subscription; nothing is charged until it is resumed.",
    params: &[],
    answer: Shape::one::<view::SubscriptionView>(),
    run: |call| Box::pin(pause(call)),
};

async fn pause(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0).to_owned();
    change(call, move |tx, context| requests::pause(tx, context, &id)).await
}

/// POST /v1/subscriptions/{subscription}/resume
pub static RESUME: Operation = Operation {
    access: Access::Write,
    object: "subscription",
    summary: "Lets a subscription go on. What is due is paid before the answer.",
    params: &[TRIAL_END, PRORATE],
    answer: Shape::one::<view::SubscriptionView>(),
    run: |call| Box::pin(resume(call)),
};

async fn resume(call: Call) -> Result<Answer, ApiError> {
    let resumption = Resumption { trial_end: trial_end(&call.params), prorate: call.params.bool("prorate") };
    let id = call.id(0).to_owned();
    change(call, move |tx, context| requests::resume(tx, context, &id, resumption)).await
}

/// POST /v1/subscriptions/{subscription}/cancel
pub static CANCEL: Operation = Operation {
    access: Access::Write,
    object: "subscription",
    summary: "Ends a subscription with its period; resuming before that undoes it.",
    params: &[],
    answer: Shape::one::<view::SubscriptionView>(),
    run: |call| Box::pin(cancel(call)),
};

async fn cancel(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0).to_owned();
    change(call, move |tx, context| requests::cancel(tx, context, &id)).await
}

/// DELETE /v1/subscriptions/{subscription}
pub static DELETE: Operation = Operation {
    access: Access::Write,
    object: "subscription",
    summary: "Deletes a subscription at once; with prorate, what is left of its period is given back.",
    params: &[PRORATE],
    answer: Shape::one::<Deleted>().or(&[402]),
    run: |call| Box::pin(delete(call)),
};

/// What is said when a deletion may have been written down, or not.
const DELETE_IN_DOUBT: &str = "Whether the subscription is deleted is not known yet. Read it: 404 says that it is. With prorate, read \
    amount_refunded of its last charge too, a minute later, before you refund anything.";

async fn delete(call: Call) -> Result<Answer, ApiError> {
    let (owner, now, key, id) = (call.side(), call.now, call.site.app.key.clone(), call.id(0).to_owned());
    let prorate = call.params.bool("prorate").unwrap_or(false);
    let told = deleted(owner.1, &id);
    let begun = request::begin(&call, move |tx, side| {
        let context = Context { key: &key, line: &side.line, account: &side.account, side: owner, now };
        Ok((told.clone(), deletion::prepare(tx, &context, (&id, prorate, &told))?))
    });
    let (answer, live) = begun.await.map_err(|error| match error.code {
        Some("payment_unknown") => error.saying(DELETE_IN_DOUBT),
        Some(_) | None => error,
    })?;
    if let Some((side, Some(order))) = live {
        let (charge, yen) = (order.charge(), order.amount().minor);
        actions::perform(&call, &side, order).await.map_err(|error| {
            error.saying(format!(
                "The subscription is deleted, but whether {yen} yen were refunded is not certain. While that is under way, a refund of \
                 the charge {charge} answers 409; after that, read its amount_refunded before you refund it."
            ))
        })?;
    }
    Ok(Answer::Json(answer))
}
