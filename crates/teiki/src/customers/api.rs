//! Customers over HTTP.

use billing::event::Kind;
use billing::mode::Mode;
use serde_json::{Value, json};

use super::{CustomerRow, Filter, Held, cards, view};
use crate::accounts::{self, REAL_CLOCK};
use crate::clocks;
use crate::email::{ADDRESS_MAX, is_address};
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::metadata::{self, Metadata};
use crate::web::params::{Given, Param, Params};
use crate::web::{Access, Answer, ApiError, Call, Deleted, Operation, Shape, deleted, new_object_id, object};

const EMAIL: Param = Param::text("email", ADDRESS_MAX, "Mail address.").coded("invalid_email");
const DESCRIPTION: Param = Param::text("description", 255, "Your own note.");
const NAME: Param = Param::text("name", 255, "Name of the customer, for mails and documents.");
const CARD: Param = Param::id("card", "A token; its card is added, the first one becomes the default.");

/// POST /v1/customers
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "customer",
    summary: "Makes a customer.",
    params: &[
        EMAIL,
        DESCRIPTION,
        Param::id("id", "An id of your own.").coded("invalid_flexible_id"),
        CARD,
        NAME,
        Param::id("test_clock", "In test mode: the test clock that the customer lives by."),
        Param::metadata(),
    ],
    answer: Shape::one::<view::CustomerView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    check_email(&call.params)?;
    let (side, key, now) = (call.side(), call.site.app.key.clone(), call.now);
    let account = accounts::get(&call.site.app.db, side.0.as_str()).await?;
    let metadata = metadata::merged(Metadata::new(), call.params.metadata())?;
    let row = CustomerRow {
        id: new_object_id(&call.params, || super::new_id(now, &call.random))?,
        name: text_of(call.params.given("name"), None),
        email: text_of(call.params.given("email"), None),
        description: text_of(call.params.given("description"), None),
        metadata: metadata::to_stored(&metadata),
        default_payment_method: None,
        clock: REAL_CLOCK.to_owned(),
        event_number: 0,
        created_at: 0,
        sequence: now.as_microsecond(),
        is_deleted: false,
    };
    let token = call.params.text("card").map(str::to_owned);
    let clock = call.params.text("test_clock").map(str::to_owned);
    if side.1 == Mode::Live && clock.is_some() {
        return Err(ApiError::param("invalid_test_clock", "test_clock", "Live customers live in real time."));
    }
    let clock = clock.or(account.test_clock.filter(|_| side.1 == Mode::Test));
    let created = call.change(move |tx| {
        let clock = clocks::to_follow(tx, side.0, clock.as_deref())?;
        let created_at = clocks::now_for_change(tx, &clock, now)?.as_microsecond();
        let mut customer = super::create(tx, side, CustomerRow { clock, created_at, ..row.clone() }, now)?;
        if let Some(token) = &token {
            cards::add(tx, &key, &mut customer, (token, &Metadata::new()), now)?;
        }
        tell(tx, &key, &mut customer, Kind::CustomerCreated, now)
    });
    created.await
}

/// Appends the event with the customer as it is now, writes the row and gives the view.
fn tell(
    tx: &mut db::Tx<'_>,
    key: &billing::id::DerivationKey,
    customer: &mut Held,
    kind: Kind,
    now: jiff::Timestamp,
) -> Result<view::CustomerView, ApiError> {
    let view = view::of_row(tx, customer.side, customer)?;
    let id = customer.id.clone();
    super::record(tx, key, customer, kind, (id, &told(&view)?), now)?;
    super::save(tx, customer)?;
    Ok(view)
}

/// Bytes of a customer in an event: above what nearly all have, and little enough for a page of a hundred events.
const TOLD_MAX: usize = 64 * 1024;

/// A customer as an event tells it. Of one that is too long the lists are left out, and say so.
fn told(view: &view::CustomerView) -> Result<Value, ApiError> {
    let mut told = object(view)?;
    if told.to_string().len() > TOLD_MAX {
        for name in ["cards", "subscriptions"] {
            let list = &mut told[name];
            (list["data"], list["count"], list["has_more"]) = (json!([]), json!(0), json!(true));
        }
    }
    Ok(told)
}

fn text_of(given: Given<&str>, stored: Option<String>) -> Option<String> {
    match given {
        Given::Set(text) => Some(text.to_owned()),
        Given::Cleared => Some(String::new()),
        Given::Absent => stored,
    }
}

fn check_email(params: &Params) -> Result<(), ApiError> {
    match params.text("email") {
        Some(email) if !is_address(email) => Err(ApiError::param("invalid_email", "email", "Invalid email.")),
        Some(_) | None => Ok(()),
    }
}

/// GET /v1/customers/{customer}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "customer",
    summary: "Shows a customer.",
    params: &[],
    answer: Shape::one::<view::CustomerView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let view = call.site.app.db.read(move |tx| {
        let customer = super::get(tx, side, &id)?;
        Ok::<_, ApiError>(view::of_row(tx, side, &customer)?)
    });
    Answer::json(&view.await?)
}

/// GET /v1/customers
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "customer",
    summary: "Lists customers, newest first.",
    params: &[
        LIMIT,
        OFFSET,
        SINCE,
        UNTIL,
        STARTING_AFTER,
        Param::text("email", ADDRESS_MAX, "Only those with exactly this address."),
    ],
    answer: Shape::list::<view::CustomerView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page) = (call.side(), Page::of(&call.params)?);
    let filter = Filter { email: call.params.text("email").map(str::to_owned) };
    let asked = page.clone();
    let views = call.site.app.db.read(move |tx| {
        let rows = super::list(tx, side, &asked, &filter)?;
        Ok::<_, ApiError>(view::of_rows(tx, side, &rows)?)
    });
    Answer::json(&List::new(&page, views.await?, "/v1/customers"))
}

/// POST /v1/customers/{customer}
pub static UPDATE: Operation = Operation {
    access: Access::Write,
    object: "customer",
    summary: "Changes a customer.",
    params: &[
        EMAIL,
        DESCRIPTION,
        Param::id("default_card", "One of its cards."),
        CARD,
        NAME,
        Param::metadata(),
    ],
    answer: Shape::one::<view::CustomerView>(),
    run: |call| Box::pin(update(call)),
};

async fn update(call: Call) -> Result<Answer, ApiError> {
    check_email(&call.params)?;
    let (side, key, now, id) = (call.side(), call.site.app.key.clone(), call.now, call.id(0).to_owned());
    let params = call.params.clone();
    let updated = call.change(move |tx| {
        let mut customer = super::lock(tx, side, &id, now)?;
        customer.name = text_of(params.given("name"), customer.name.take());
        customer.email = text_of(params.given("email"), customer.email.take());
        customer.description = text_of(params.given("description"), customer.description.take());
        let merged = metadata::merged(metadata::from_stored(&customer.metadata)?, params.metadata())?;
        customer.metadata = metadata::to_stored(&merged);
        if let Some(token) = params.text("card") {
            cards::add(tx, &key, &mut customer, (token, &Metadata::new()), now)?;
        }
        if let Some(card) = params.text("default_card") {
            let card = crate::payment_methods::get(tx, side, &customer.id, card)
                .map_err(|error| error.about_param("default_card"))?;
            cards::make_default(tx, &mut customer, card.id)?;
        }
        tell(tx, &key, &mut customer, Kind::CustomerUpdated, now)
    });
    updated.await
}

/// DELETE /v1/customers/{customer}
pub static DELETE: Operation = Operation {
    access: Access::Write,
    object: "customer",
    summary: "Deletes a customer with its subscriptions. Its charges stay readable.",
    params: &[],
    answer: Shape::one::<Deleted>(),
    run: |call| Box::pin(delete(call)),
};

async fn delete(call: Call) -> Result<Answer, ApiError> {
    let (side, key, now, id) = (call.side(), call.site.app.key.clone(), call.now, call.id(0).to_owned());
    let answer = deleted(side.1, &id);
    let told = answer.clone();
    let done = call.site.app.db.write(move |tx| {
        let mut customer = super::lock(tx, side, &id, now)?;
        super::delete(tx, &key, &mut customer, &told, now)
    });
    done.await?;
    Ok(Answer::Json(answer))
}
