//! Plans over HTTP.

use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::metadata::{self, Metadata};
use crate::web::params::{Given, Param};
use crate::web::{Access, Answer, ApiError, Call, Deleted, Operation, Shape, deleted, new_object_id};

use super::view::{FIRST_CHARGES, INTERVALS, PlanView, TAX_CATEGORIES};
use super::{Change, PlanRow};

/// Smallest and largest price of a period, in yen.
const AMOUNT: (i64, i64) = (50, 9_999_999);
/// Longest name, in characters.
const NAME_MAX: usize = 255;

const NAME: Param = Param::text("name", NAME_MAX, "What the plan is called.");

/// POST /v1/plans
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "plan",
    summary: "Makes a plan. Its price and interval never change.",
    params: &[
        Param::int("amount", AMOUNT, "invalid_plan_amount", "Price of one period in yen, tax included.")
            .required(),
        Param::choice("currency", &["jpy"], "invalid_currency", "The currency: jpy.").required(),
        Param::choice("interval", INTERVALS, "invalid_interval", "The unit of a period.").required(),
        Param::int(
            "interval_count",
            (1, 1_000),
            "invalid_interval",
            "How many units are one period; 1 if not given.",
        ),
        Param::id("id", "An id of your own.").coded("invalid_flexible_id"),
        NAME,
        Param::int("trial_days", (0, 365), "invalid_trial_days", "Days before the first payment."),
        Param::int(
            "billing_day",
            (1, 31),
            "invalid_billing_day",
            "The day of the month on which everyone pays.",
        ),
        Param::int(
            "setup_fee",
            (0, 9_999_999),
            "invalid_amount",
            "Paid once with the first payment, in yen.",
        ),
        Param::int(
            "instalments",
            (1, 1_200),
            "invalid_numerical_value",
            "Payments in all; without end if not given.",
        ),
        Param::choice("tax_category", TAX_CATEGORIES, "invalid_tax_category", "The tax inside the price."),
        Param::choice(
            "first_charge",
            FIRST_CHARGES,
            "invalid_first_charge",
            "When the first payment is made.",
        ),
        Param::metadata(),
    ],
    answer: Shape::one::<PlanView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    let params = &call.params;
    let unit = params.text("interval").unwrap_or("month");
    let billing_day = params.int("billing_day");
    if billing_day.is_some() && unit != "month" {
        let message = "A billing_day is for plans with a monthly interval.";
        return Err(ApiError::param("billing_day_for_non_monthly_plan", "billing_day", message));
    }
    let metadata = metadata::merged(Metadata::new(), params.metadata())?;
    let plan = PlanRow {
        id: new_object_id(params, || super::new_id(call.now, &call.random))?,
        name: match params.given("name") {
            Given::Set(name) => Some(name.to_owned()),
            Given::Cleared => Some(String::new()),
            Given::Absent => None,
        },
        amount: params.int("amount").unwrap_or_default(),
        currency: params.text("currency").unwrap_or("jpy").to_owned(),
        tax_category: params.text("tax_category").unwrap_or("standard").to_owned(),
        interval_unit: unit.to_owned(),
        interval_count: params.int("interval_count").unwrap_or(1),
        billing_day,
        trial_days: params.int("trial_days").unwrap_or(0),
        setup_fee: params.int("setup_fee").unwrap_or(0),
        instalments: params.int("instalments"),
        first_charge: params.text("first_charge").unwrap_or("now").to_owned(),
        metadata: metadata::to_stored(&metadata),
        event_number: 1,
        created_at: call.now.as_microsecond(),
        is_deleted: false,
    };
    let (side, key) = (call.side(), call.site.app.key.clone());
    call.change(move |tx| super::create(tx, &key, side, &plan)).await
}

/// GET /v1/plans/{plan}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "plan",
    summary: "Shows a plan.",
    params: &[],
    answer: Shape::one::<PlanView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let plan = call.site.app.db.read(move |tx| super::get(tx, side, &id)).await?;
    Answer::json(&PlanView::of(side.1, &plan)?)
}

/// GET /v1/plans
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "plan",
    summary: "Lists plans, newest first.",
    params: &[LIMIT, OFFSET, SINCE, UNTIL, STARTING_AFTER],
    answer: Shape::list::<PlanView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page) = (call.side(), Page::of(&call.params)?);
    let asked = page.clone();
    let plans = call.site.app.db.read(move |tx| super::list(tx, side, &asked)).await?;
    let views = plans.iter().map(|plan| PlanView::of(side.1, plan)).collect::<Result<Vec<_>, _>>()?;
    Answer::json(&List::new(&page, views, "/v1/plans"))
}

/// POST /v1/plans/{plan}
pub static UPDATE: Operation = Operation {
    access: Access::Write,
    object: "plan",
    summary: "Changes the name and metadata of a plan.",
    params: &[NAME, Param::metadata()],
    answer: Shape::one::<PlanView>(),
    run: |call| Box::pin(update(call)),
};

async fn update(call: Call) -> Result<Answer, ApiError> {
    let name = match call.params.given("name") {
        Given::Set(name) => Given::Set(name.to_owned()),
        Given::Cleared => Given::Cleared,
        Given::Absent => Given::Absent,
    };
    let change = Change { name, metadata: call.params.metadata().cloned() };
    let (side, key, id, now) = (call.side(), call.site.app.key.clone(), call.id(0).to_owned(), call.now);
    call.change(move |tx| super::update(tx, &key, (side, &id), &change, now)).await
}

/// DELETE /v1/plans/{plan}
pub static DELETE: Operation = Operation {
    access: Access::Write,
    object: "plan",
    summary: "Deletes a plan that nobody has.",
    params: &[],
    answer: Shape::one::<Deleted>(),
    run: |call| Box::pin(delete(call)),
};

async fn delete(call: Call) -> Result<Answer, ApiError> {
    let (side, key, id, now) = (call.side(), call.site.app.key.clone(), call.id(0).to_owned(), call.now);
    let answer = deleted(side.1, &id);
    let told = answer.clone();
    call.site.app.db.write(move |tx| super::delete(tx, &key, (side, &id), told.clone(), now)).await?;
    Ok(Answer::Json(answer))
}
