//! Invoices over HTTP.

use billing::agreement::Resumption;
use billing::invoice::State;
use db::Tx;
use jiff::Timestamp;

use super::editing::{self, Edit};
use super::listing::{self, Filter};
use super::preview::{self, Planned};
use super::view;
use crate::charges::request;
use crate::subscriptions::api::{PRORATE, QUANTITY, TRIAL_END, trial_end};
use crate::subscriptions::requests::{self, Context, Prepared, Update};
use crate::web::list::{LIMIT, List, OFFSET, Page, STARTING_AFTER};
use crate::web::params::{Given, Param, Params};
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape, object};

/// Longest note or reason, in characters.
const TEXT_MAX: usize = 500;
/// Invoices of a preview when none is asked for: a year of months.
const PREVIEW_DEFAULT: i64 = 12;

/// GET /v1/invoices
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "invoice",
    summary: "Lists invoices by when they are due, newest first: those to come (scheduled) before those that were.",
    params: &[
        LIMIT,
        OFFSET,
        Param::instant("since", "Only those due at this time or later."),
        Param::instant("until", "Only those due at this time or before."),
        STARTING_AFTER,
        Param::choice(
            "status",
            &["scheduled", "open", "paid", "void", "uncollectible"],
            "invalid_status",
            "Only those that stand so.",
        ),
        Param::id("customer", "Only those of this customer."),
        Param::id("subscription", "Only those of this subscription."),
        Param::id("plan", "Only those for this plan."),
    ],
    answer: Shape::list::<view::InvoiceView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page, params) = (call.side(), Page::of(&call.params)?, &call.params);
    let text = |name: &str| params.text(name).map(str::to_owned);
    let filter = Filter {
        status: params.text("status").and_then(State::from_stored),
        plan: text("plan"),
        customer: text("customer"),
        subscription: text("subscription"),
    };
    let (asked, key) = (page.clone(), call.site.app.key.clone());
    let views = call.site.app.db.read(move |tx| {
        let rows = listing::list(tx, side, &asked, &filter)?;
        view::of_rows(tx, &key, side, rows)
    });
    Answer::json(&List::new(&page, views.await?, "/v1/invoices"))
}

/// GET /v1/invoices/{invoice}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "invoice",
    summary: "Shows an invoice with its lines, its tax per rate and its charges.",
    params: &[],
    answer: Shape::one::<view::InvoiceView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0).to_owned();
    shown(call, id).await
}

async fn shown(call: Call, id: String) -> Result<Answer, ApiError> {
    let (side, key) = (call.side(), call.site.app.key.clone());
    Answer::json(&call.site.app.db.read(move |tx| view::get(tx, &key, side, &id)).await?)
}

/// POST /v1/invoices/{invoice}
pub static UPDATE: Operation = Operation {
    access: Access::Write,
    object: "invoice",
    summary: "Moves or reprices a scheduled invoice, or notes something on it.",
    params: &[
        Param::instant(
            "due_at",
            "When it is charged: not before its period starts, and before the next cycle is charged.",
        )
        .coded("invalid_due_at"),
        Param::int("amount", (0, 99_999_999), "invalid_amount", "In yen with tax: 0, or from 50 on."),
        Param::text("memo", TEXT_MAX, "A note of your own; empty clears it."),
    ],
    answer: Shape::one::<view::InvoiceView>(),
    run: |call| Box::pin(update(call)),
};

async fn update(call: Call) -> Result<Answer, ApiError> {
    let params = &call.params;
    let edit = Edit {
        due_at: instant(params, "due_at"),
        amount: params.int("amount"),
        memo: match params.given("memo") {
            Given::Absent => None,
            Given::Cleared => Some(None),
            Given::Set(memo) => Some(Some(memo.to_owned())),
        },
    };
    change(call, move |tx, context, id| editing::edit(tx, context, id, &edit)).await
}

fn instant(params: &Params, name: &str) -> Option<Timestamp> {
    // The parameter is checked to be in range.
    params.int(name).and_then(|seconds| Timestamp::from_second(seconds).ok())
}

/// Changes an invoice without a charge, and shows it as it is then.
async fn change(
    call: Call,
    change: impl Fn(&mut Tx<'_>, &Context<'_>, &str) -> Result<(), ApiError> + Send + Sync + 'static,
) -> Result<Answer, ApiError> {
    let (owner, now, key, id) = (call.side(), call.now, call.site.app.key.clone(), call.id(0).to_owned());
    let changed = request::begin(&call, move |tx, side| {
        let context = Context { key: &key, line: &side.line, account: &side.account, side: owner, now };
        change(tx, &context, &id)?;
        Ok((object(&view::get(tx, &key, owner, &id)?)?, ()))
    });
    Ok(Answer::Json(changed.await?.0))
}

/// POST /v1/invoices/{invoice}/pay
pub static PAY: Operation = Operation {
    access: Access::Write,
    object: "invoice",
    summary: "Pays an open invoice now with the customer's default card; the oldest of a subscription comes first.",
    params: &[],
    answer: Shape::one::<view::InvoiceView>(),
    run: |call| Box::pin(pay(call)),
};

async fn pay(call: Call) -> Result<Answer, ApiError> {
    let (owner, now, key, id) = (call.side(), call.now, call.site.app.key.clone(), call.id(0).to_owned());
    let asked = id.clone();
    let begun = request::begin(&call, move |tx, side| {
        let context = Context { key: &key, line: &side.line, account: &side.account, side: owner, now };
        requests::pay(tx, &context, &asked).map(Prepared::begun)
    });
    let (begun, live) = begun.await?;
    request::paid(&call, (&begun, live)).await?;
    shown(call, id).await.map_err(|error| request::unseen(&begun, error))
}

/// POST /v1/invoices/{invoice}/skip
pub static SKIP: Operation = Operation {
    access: Access::Write,
    object: "invoice",
    summary: "Skips a scheduled or an open invoice: nobody owes it, and the next cycle stays where it is.",
    params: &[Param::text("reason", TEXT_MAX, "Why; shown with the invoice.").required()],
    answer: Shape::one::<view::InvoiceView>(),
    run: |call| Box::pin(skip(call)),
};

async fn skip(call: Call) -> Result<Answer, ApiError> {
    let reason = call.params.text("reason").unwrap_or_default().to_owned();
    change(call, move |tx, context, id| editing::skip(tx, context, id, &reason)).await
}

/// POST /v1/invoices/{invoice}/mark_paid
pub static MARK_PAID: Operation = Operation {
    access: Access::Write,
    object: "invoice",
    summary: "Marks an open invoice, or one that was given up, as paid by other means, as by bank transfer. Nothing is charged.",
    params: &[
        Param::text("reason", TEXT_MAX, "How it was paid; shown with the invoice.").required(),
        Param::instant("paid_at", "When it was paid, if not now.").coded("invalid_paid_at"),
    ],
    answer: Shape::one::<view::InvoiceView>(),
    run: |call| Box::pin(mark_paid(call)),
};

async fn mark_paid(call: Call) -> Result<Answer, ApiError> {
    let reason = call.params.text("reason").unwrap_or_default().to_owned();
    let paid_at = instant(&call.params, "paid_at");
    change(call, move |tx, context, id| editing::mark_paid(tx, context, id, (&reason, paid_at))).await
}

/// GET /v1/invoices/preview
pub static PREVIEW: Operation = Operation {
    access: Access::Read,
    object: "invoice",
    summary: "Shows the next invoices of a subscription, as they will be or as a change would make them. Changes nothing.",
    params: &[
        Param::id("subscription", "Of which subscription.").required(),
        Param::int("count", (1, 60), "invalid_numerical_value", "How many invoices, 1 to 60; else 12."),
        Param::choice(
            "change",
            &["update", "pause", "cancel", "resume", "delete"],
            "invalid_change",
            "What would be done to it: update with the parameters below; delete with prorate=true gives back.",
        ),
        Param::id("plan", "With update: another plan, paid at once."),
        Param::id("next_cycle_plan", "With update: the plan from the next renewal on; empty clears it.")
            .clearable(),
        QUANTITY,
        TRIAL_END,
        PRORATE,
    ],
    answer: Shape::one::<view::PreviewView>().or(&[409]),
    run: |call| Box::pin(preview(call)),
};

async fn preview(call: Call) -> Result<Answer, ApiError> {
    let params = &call.params;
    let planned = planned(params)?;
    let count = params.int("count").unwrap_or(PREVIEW_DEFAULT);
    let count = usize::try_from(count).unwrap_or(1);
    let side = request::side_of(&call.site, call.caller.account).await?;
    let (owner, now, key) = (call.side(), call.now, call.site.app.key.clone());
    let id = params.text("subscription").unwrap_or_default().to_owned();
    // What the change would hold is held meanwhile; nothing is written.
    let shown = call.site.app.db.write(move |tx| {
        let context = Context { key: &key, line: &side.line, account: &side.account, side: owner, now };
        preview::preview(tx, &context, &id, (&planned, count))
    });
    Answer::json(&shown.await?)
}

/// What is planned: an update if nothing else is said and something of it is named. Error: a parameter that the change does
/// not take.
fn planned(params: &Params) -> Result<Planned, ApiError> {
    let change = params.text("change");
    let all = ["plan", "next_cycle_plan", "quantity", "trial_end", "prorate"];
    let taken: &[&str] = match change {
        None | Some("update") => &all,
        Some("resume") => &["trial_end", "prorate"],
        Some("delete") => &["prorate"],
        Some(_) => &[],
    };
    let is_wrong = |name: &&str| !taken.contains(name) && params.has(name);
    if let (Some(change), Some(name)) = (change, all.into_iter().find(is_wrong)) {
        let message = format!("A preview of change={change} does not take the parameter {name}.");
        return Err(ApiError::param("invalid_param_key", name, message));
    }
    let next_plan = match params.given("next_cycle_plan") {
        Given::Absent => None,
        Given::Cleared => Some(None),
        Given::Set(id) => Some(Some(id.to_owned())),
    };
    let update = Update {
        plan: params.text("plan").map(str::to_owned),
        next_plan,
        quantity: params.int("quantity"),
        trial_end: trial_end(params),
        prorate: params.bool("prorate"),
        metadata: None,
    };
    Ok(match change {
        None if update == Update::default() => Planned::Nothing,
        Some("pause") => Planned::Pause,
        Some("cancel") => Planned::Cancel,
        Some("resume") => {
            Planned::Resume(Resumption { trial_end: update.trial_end, prorate: update.prorate })
        }
        Some("delete") => Planned::Delete { prorate: update.prorate.unwrap_or(false) },
        _ => Planned::Update(Box::new(update)),
    })
}
