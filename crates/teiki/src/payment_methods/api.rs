//! The cards of a customer over HTTP.

use super::view::CardView;
use super::{Details, MethodRow};
use crate::customers;
use crate::web::list::{LIMIT, List, OFFSET, Page, Place, SINCE, STARTING_AFTER, UNTIL};
use crate::web::metadata;
use crate::web::params::{Given, Param, Params};
use crate::web::{Access, Answer, ApiError, Call, Deleted, Operation, Shape, deleted};

/// What a card shows and an update may change.
pub const DETAILS: [Param; 9] = [
    Param::text("name", 100, "Card holder.").coded("invalid_card_name"),
    Param::text("country", 2, "Billing country, two letters.").coded("invalid_card_country"),
    Param::text("address_zip", 20, "Postal code.").coded("invalid_card_address_zip"),
    Param::text("address_state", 100, "Prefecture.").coded("invalid_card_address_state"),
    Param::text("address_city", 100, "City.").coded("invalid_card_address_city"),
    Param::text("address_line1", 200, "Street.").coded("invalid_card_address_line"),
    Param::text("address_line2", 200, "Building.").coded("invalid_card_address_line"),
    Param::text("email", 254, "For 3-D Secure.").coded("invalid_email"),
    Param::text("phone", 30, "For 3-D Secure."),
];

/// POST /v1/customers/{customer}/cards
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "card",
    summary: "Adds a card to a customer. The first one becomes the default.",
    params: &[
        Param::id("card", "A token that has not been used.").required(),
        Param::bool("default", "Whether it becomes the default card."),
        Param::metadata(),
    ],
    answer: Shape::one::<CardView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    let (side, key, now, customer) =
        (call.side(), call.site.app.key.clone(), call.now, call.id(0).to_owned());
    let token = call.params.text("card").unwrap_or_default().to_owned();
    let is_default = call.params.bool("default").unwrap_or(false);
    let metadata = call.params.metadata().cloned();
    let added = call.change(move |tx| {
        let mut customer = customers::lock(tx, side, &customer, now)?;
        let metadata = metadata::merged(metadata::Metadata::new(), metadata.as_ref())?;
        let card = customers::cards::add(tx, &key, &mut customer, (&token, &metadata), now)?;
        if is_default {
            customers::cards::make_default(tx, &mut customer, card.id)?;
        }
        customers::save(tx, &customer)?;
        Ok(CardView::of(side.1, &card)?)
    });
    added.await
}

/// GET /v1/customers/{customer}/cards/{card}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "card",
    summary: "Shows a card of a customer.",
    params: &[],
    answer: Shape::one::<CardView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, customer, id) = (call.side(), call.id(0).to_owned(), call.id(1).to_owned());
    let card = call.site.app.db.read(move |tx| {
        customers::get(tx, side, &customer)?;
        super::get(tx, side, &customer, &id)
    });
    Answer::json(&CardView::of(side.1, &card.await?)?)
}

/// GET /v1/customers/{customer}/cards
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "card",
    summary: "Lists a customer's cards, newest first.",
    params: &[LIMIT, OFFSET, SINCE, UNTIL, STARTING_AFTER],
    answer: Shape::list::<CardView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, customer, page) = (call.side(), call.id(0).to_owned(), Page::of(&call.params)?);
    let url = format!("/v1/customers/{customer}/cards");
    let asked = page.clone();
    let cards = call.site.app.db.read(move |tx| {
        customers::get(tx, side, &customer)?;
        let after = asked.last_seen(|id| super::get_any(tx, side, &customer, id))?;
        let from = after.as_ref().map_or_else(Place::newest, place_of);
        Ok::<_, ApiError>(super::list_of(tx, side, &[&customer], (&asked, &from))?)
    });
    let views =
        cards.await?.iter().map(|(_, card)| CardView::of(side.1, card)).collect::<Result<Vec<_>, _>>()?;
    Answer::json(&List::new(&page, views, url))
}

fn place_of(card: &MethodRow) -> Place {
    Place { created_at: card.created_at, sequence: card.sequence, id: card.id.to_string() }
}

/// What an update of a card takes: its details, also written `card[name]` as one SDK does.
static UPDATED: [Param; 11] = [
    DETAILS[0],
    DETAILS[1],
    DETAILS[2],
    DETAILS[3],
    DETAILS[4],
    DETAILS[5],
    DETAILS[6],
    DETAILS[7],
    DETAILS[8],
    Param::texts("card", &DETAILS, "invalid_card", "The same, within card[…]."),
    Param::metadata(),
];

/// POST /v1/customers/{customer}/cards/{card}
pub static UPDATE: Operation = Operation {
    access: Access::Write,
    object: "card",
    summary: "Changes what a card shows. Number and expiry never change.",
    params: &UPDATED,
    answer: Shape::one::<CardView>(),
    run: |call| Box::pin(update(call)),
};

async fn update(call: Call) -> Result<Answer, ApiError> {
    let (side, key, now) = (call.side(), call.site.app.key.clone(), call.now);
    let (customer, id) = (call.id(0).to_owned(), call.id(1).to_owned());
    let params = call.params.clone();
    let updated = call.change(move |tx| {
        let mut customer = customers::lock(tx, side, &customer, now)?;
        let mut card = super::get(tx, side, &customer.id, &id)?;
        card.details = edited(card.details, &params)?;
        let merged = metadata::merged(metadata::from_stored(&card.metadata)?, params.metadata())?;
        card.metadata = metadata::to_stored(&merged);
        super::update(tx, &card)?;
        customers::cards::record_update(tx, &key, &mut customer, &card, now)?;
        customers::save(tx, &customer)?;
        Ok(CardView::of(side.1, &card)?)
    });
    updated.await
}

fn edited(mut details: Details, params: &Params) -> Result<Details, ApiError> {
    let within = params.texts("card");
    if let Some(name) = within.into_iter().flat_map(|within| within.keys()).find(|name| params.has(name)) {
        let message = format!("Send either {name} or card[{name}].");
        return Err(ApiError::param("invalid_param_key", format!("card[{name}]"), message));
    }
    let places: [(&str, &mut Option<String>); 9] = [
        ("name", &mut details.name),
        ("country", &mut details.country),
        ("address_zip", &mut details.address_zip),
        ("address_state", &mut details.address_state),
        ("address_city", &mut details.address_city),
        ("address_line1", &mut details.address_line1),
        ("address_line2", &mut details.address_line2),
        ("email", &mut details.email),
        ("phone", &mut details.phone),
    ];
    for (name, place) in places {
        let given = match within.and_then(|within| within.get(name)) {
            Some(text) if text.is_empty() => Given::Cleared,
            Some(text) => Given::Set(text.as_str()),
            None => params.given(name),
        };
        match given {
            Given::Set(text) => *place = Some(text.to_owned()),
            Given::Cleared => *place = None,
            Given::Absent => {}
        }
    }
    Ok(details)
}

/// DELETE /v1/customers/{customer}/cards/{card}
pub static DELETE: Operation = Operation {
    access: Access::Write,
    object: "card",
    summary: "Deletes a card. When it was the default, the customer has none.",
    params: &[],
    answer: Shape::one::<Deleted>(),
    run: |call| Box::pin(delete(call)),
};

async fn delete(call: Call) -> Result<Answer, ApiError> {
    let (side, key, now) = (call.side(), call.site.app.key.clone(), call.now);
    let (customer, id) = (call.id(0).to_owned(), call.id(1).to_owned());
    let answer = deleted(side.1, &id);
    let told = answer.clone();
    let done = call.site.app.db.write(move |tx| {
        let mut customer = customers::lock(tx, side, &customer, now)?;
        let card = super::get(tx, side, &customer.id, &id)?;
        customers::cards::remove(tx, &key, &mut customer, (&card, &told), now)?;
        customers::save(tx, &customer)?;
        Ok::<_, ApiError>(())
    });
    done.await?;
    Ok(Answer::Json(answer))
}
