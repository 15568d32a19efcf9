//! The page that stands for the card issuer's in test mode: the card holder succeeds or fails, by a plain form.
//!
//! Whoever opens it shows the merchant's public test key in its address, as PAY.JP has it. The form carries a keyed hash of
//! all that it was made for, so that no other page can send it. The first answer counts; a repeat leads back all the same.

use axum::http::StatusCode;
use billing::mode::Mode;
use billing::three_d_secure::Status;

use super::back::Back;
use super::{Resource, Side, answer as write_answer, start as begin, words};
use crate::accounts;
use crate::api_keys::{self, KeyKind};
use crate::web::ApiError;
use crate::web::auth;
use crate::web::page::{NOT_FOUND, Page, Say, Shown, Trouble, Visit, escaped};

/// GET /v1/tds/{resource}/start
pub static START: Page = Page { run: |visit| Box::pin(start(visit)) };

/// POST /v1/tds/{resource}
pub static ANSWER: Page = Page { run: |visit| Box::pin(answer(visit)) };

/// What a visit is about, once it has been let in.
struct Admitted {
    side: Side,
    resource: Resource,
    back: Option<Back>,
    /// What the form must carry.
    token: String,
}

async fn start(visit: Visit) -> Result<Shown, Trouble> {
    let admitted = admit(&visit).await?;
    let (side, resource, now) = (admitted.side, admitted.resource, visit.now);
    let begun = visit.site.app.db.write(move |tx| {
        let is_to_answer = begin(tx, side, resource, now)?;
        Ok::<_, ApiError>((is_to_answer, accounts::read(tx, side.0)?.name))
    });
    let (is_to_answer, shop) = begun.await.map_err(told)?;
    if !is_to_answer {
        return Ok(done(&visit, admitted.back));
    }
    let body = form(&visit, &admitted, &shop);
    let leads_to = admitted.back.map(|back| back.origin);
    Ok(Shown::Html { title: words::TITLE.r#in(visit.language).to_owned(), body, leads_to })
}

async fn answer(visit: Visit) -> Result<Shown, Trouble> {
    let admitted = admit(&visit).await?;
    let wrong_form = Trouble::new(StatusCode::FORBIDDEN, words::WRONG_FORM);
    // Hashes are compared, so that nothing is learnt from how long it takes.
    let sent = visit.field("token").unwrap_or_default();
    if api_keys::key_hash(sent) != api_keys::key_hash(&admitted.token) {
        return Err(wrong_form);
    }
    let status = match visit.field("result") {
        Some("succeed") => Status::Verified,
        Some("fail") => Status::Failed,
        Some(_) | None => return Err(wrong_form),
    };
    let (side, resource, now) = (admitted.side, admitted.resource, visit.now);
    let key = visit.site.app.key.clone();
    let written = visit.site.app.db.write(move |tx| write_answer(tx, &key, side, resource, (status, now)));
    written.await.map_err(told)?;
    Ok(match admitted.back {
        Some(back) => Shown::SeeOther(back.url),
        None => done(&visit, None),
    })
}

/// Checks key, resource and the way back. In live mode there is no such page.
async fn admit(visit: &Visit) -> Result<Admitted, Trouble> {
    let wrong_key = || Trouble::new(StatusCode::UNAUTHORIZED, words::WRONG_KEY);
    let not_found = || Trouble::new(StatusCode::NOT_FOUND, NOT_FOUND);
    let key = visit.field("publickey").ok_or_else(wrong_key)?;
    let caller = auth::of_key(&visit.site, key, visit.now).await?.ok_or_else(wrong_key)?;
    visit.site.key_uses.note(&caller, visit.now);
    match caller.kind {
        KeyKind::Public => {}
        KeyKind::Secret | KeyKind::Restricted => return Err(wrong_key()),
    }
    visit.site.limits.take(&caller, false, std::time::Instant::now())?;
    if caller.mode == Mode::Live {
        return Err(not_found());
    }
    let resource = Resource::parse(visit.id(0)).ok_or_else(not_found)?;
    let back_url = visit.field("back_url");
    let back = match back_url {
        None => None,
        Some(text) => {
            let wrong = || Trouble::new(StatusCode::BAD_REQUEST, words::WRONG_BACK);
            Some(Back::parse(text).ok_or_else(wrong)?)
        }
    };
    let bound_to = [visit.id(0), &caller.key, back_url.unwrap_or_default()];
    let [id, key, back_url] = bound_to.map(str::as_bytes);
    let token = hex::encode(visit.site.app.key.digest(&[b"tds form", id, key, back_url]));
    Ok(Admitted { side: (caller.account, caller.mode), resource, back, token })
}

/// What is refused, in words for a card holder.
fn told(error: ApiError) -> Trouble {
    match error.code {
        Some("not_in_three_d_secure_flow") => Trouble::new(error.status, words::NOT_IN_FLOW),
        Some("three_d_secure_expired") => Trouble::new(error.status, words::EXPIRED),
        Some(_) | None => error.into(),
    }
}

fn form(visit: &Visit, admitted: &Admitted, shop: &str) -> String {
    let say = |words: Say| escaped(words.r#in(visit.language));
    let id = escaped(visit.id(0));
    let hidden = |name: &str, value: &str| {
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value))
    };
    let kept = [
        hidden("publickey", visit.field("publickey").unwrap_or_default()),
        hidden("back_url", visit.field("back_url").unwrap_or_default()),
        hidden("token", &admitted.token),
    ]
    .concat();
    let choice = |result: &str, class: &str, label: Say| {
        format!(
            "<form method=\"post\" action=\"/v1/tds/{id}\">{kept}{}<button{class}>{}</button></form>",
            hidden("result", result),
            say(label)
        )
    };
    format!(
        "<p class=\"notice\">{}</p>\n<dl><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{id}</dd></dl>\n<p>{}</p>\n\
         <div class=\"choices\">\n{}\n{}\n</div>",
        say(words::NOTICE),
        say(words::SHOP),
        escaped(shop),
        say(words::SUBJECT),
        say(words::QUESTION),
        choice("succeed", "", words::SUCCEED),
        choice("fail", " class=\"other\"", words::FAIL),
    )
}

fn done(visit: &Visit, back: Option<Back>) -> Shown {
    let say = |words: Say| escaped(words.r#in(visit.language));
    let body = match back {
        Some(back) => format!("<p><a href=\"{}\">{}</a></p>", escaped(&back.url), say(words::BACK)),
        None => format!("<p>{}</p>", say(words::DONE)),
    };
    Shown::Html { title: words::DONE_TITLE.r#in(visit.language).to_owned(), body, leads_to: None }
}
