//! API keys over HTTP, for secret keys alone: each side of an account manages its own.

use super::view::{KeptKeyView, KeyView, NewKeyView};
use super::{KeyKind, NAME_MAX, ROLLED_LIFE_MAX, Refused};
use crate::accounts;
use crate::web::list::{LIMIT, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL};
use crate::web::params::{Given, Param};
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape, object};

const NAME: Param = Param::text("name", NAME_MAX, "What it is called; empty is nothing.");

/// What is refused, for the developer.
impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::NotFound(id) => Self::not_found("api key", &id),
            Refused::LastSecretKey => Self::client("last_secret_key", message),
            Refused::TooMany => Self::client("too_many_api_keys", message),
            Refused::NotInUse => Self::client("api_key_not_in_use", message),
            Refused::Db(error) => error.into(),
        }
    }
}

/// POST /v1/api_keys
pub static CREATE: Operation = Operation {
    access: Access::Write,
    object: "api_key",
    summary: "Makes an API key of the mode of the key that asks. The key itself is shown in this answer only.",
    params: &[
        Param::choice(
            "kind",
            &["secret", "public", "restricted"],
            "invalid_kind",
            "secret: everything; public: making tokens, in browsers and apps; restricted: reading.",
        )
        .required(),
        NAME,
    ],
    answer: Shape::one::<NewKeyView>(),
    run: |call| Box::pin(create(call)),
};

async fn create(call: Call) -> Result<Answer, ApiError> {
    let kind = call.params.text("kind").and_then(KeyKind::from_stored);
    let kind = kind.ok_or_else(|| ApiError::inside("the kind of a new key was checked"))?;
    let name = call.params.text("name").map(str::to_owned);
    // The request's own random bytes are in its id, which everybody may see.
    let new = super::new(call.side(), kind, name, (&accounts::random()?, call.now));
    let (key, new_id) = (new.1.clone(), new.1.id.clone());
    let shown = (object(&NewKeyView::of(new))?, object(&KeptKeyView::of(&key))?);
    let made = call.reveal(move |tx| {
        super::create(tx, &key)?;
        Ok(shown.clone())
    });
    let made = made.await?;
    tracing::info!(key = new_id, account = %call.caller.account, by = call.caller.key, "an API key was made");
    Ok(made)
}

/// GET /v1/api_keys
pub static LIST: Operation = Operation {
    access: Access::Write,
    object: "api_key",
    summary: "Lists the API keys of this mode, newest first, with those that were revoked.",
    params: &[LIMIT, OFFSET, SINCE, UNTIL, STARTING_AFTER],
    answer: Shape::list::<KeyView>(),
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call) -> Result<Answer, ApiError> {
    let (side, page) = (call.side(), Page::of(&call.params)?);
    let asked = page.clone();
    let keys = call.site.app.db.read(move |tx| super::list(tx, side, &asked)).await?;
    Answer::json(&List::new(&page, keys.iter().map(KeyView::of).collect(), "/v1/api_keys"))
}

/// GET /v1/api_keys/{api_key}
pub static GET: Operation = Operation {
    access: Access::Write,
    object: "api_key",
    summary: "Shows an API key; the key itself is not in it.",
    params: &[],
    answer: Shape::one::<KeyView>(),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let key = call.site.app.db.read(move |tx| super::get(tx, side, &id)).await?;
    Answer::json(&KeyView::of(&key))
}

/// POST /v1/api_keys/{api_key}
pub static UPDATE: Operation = Operation {
    access: Access::Write,
    object: "api_key",
    summary: "Gives an API key another name.",
    params: &[NAME],
    answer: Shape::one::<KeyView>(),
    run: |call| Box::pin(update(call)),
};

async fn update(call: Call) -> Result<Answer, ApiError> {
    let (side, id) = (call.side(), call.id(0).to_owned());
    let name = match call.params.given("name") {
        Given::Absent => return get(call).await,
        Given::Cleared => None,
        Given::Set(name) => Some(name.to_owned()),
    };
    let renamed = call.change(move |tx| Ok(KeyView::of(&super::rename(tx, side, &id, name.clone())?)));
    renamed.await
}

/// POST /v1/api_keys/{api_key}/roll
pub static ROLL: Operation = Operation {
    access: Access::Write,
    object: "api_key",
    summary: "Makes a successor of the same kind and name. The key itself is shown in this answer only.",
    params: &[Param::int(
        "expires_in",
        (0, ROLLED_LIFE_MAX),
        "invalid_numerical_value",
        "How many seconds the old key still works, up to 7 days; 0 if not given.",
    )],
    answer: Shape::one::<NewKeyView>(),
    run: |call| Box::pin(roll(call)),
};

async fn roll(call: Call) -> Result<Answer, ApiError> {
    let (side, id, now) = (call.side(), call.id(0).to_owned(), call.now);
    let expires_in = call.params.int("expires_in").unwrap_or(0);
    let random = accounts::random()?;
    let rolled = call.reveal(move |tx| {
        let new = super::roll(tx, (side, &id), expires_in, (&random, now))?;
        let kept = KeptKeyView::of(&new.1);
        Ok((NewKeyView::of(new), kept))
    });
    let rolled = rolled.await?;
    tracing::info!(key = call.id(0), account = %call.caller.account, by = call.caller.key, expires_in, "an API key was rolled");
    Ok(rolled)
}

/// DELETE /v1/api_keys/{api_key}
pub static REVOKE: Operation = Operation {
    access: Access::Write,
    object: "api_key",
    summary: "Revokes an API key: from then on it opens nothing. It can still be looked at.",
    params: &[],
    answer: Shape::one::<KeyView>(),
    run: |call| Box::pin(revoke(call)),
};

async fn revoke(call: Call) -> Result<Answer, ApiError> {
    let (side, id, now) = (call.side(), call.id(0).to_owned(), call.now);
    let key = call.site.app.db.write(move |tx| super::revoke(tx, side, &id, now)).await?;
    tracing::info!(key = key.id, account = %call.caller.account, by = call.caller.key, "an API key was revoked");
    Answer::json(&KeyView::of(&key))
}
