//! `teiki account keys`, `key-create` and `key-revoke`: keys of the side that `--mode` names.

use jiff::Timestamp;
use serde::Serialize;

use super::view::{KeyView, NewKeyView};
use super::{KeyKind, NAME_MAX, Refused, Side};
use crate::app::App;
use crate::failure::Failure;
use crate::{accounts, clock, output};

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotFound(id) => Self::usage(format!(
                "this mode of the account has no API key {id}; `teiki account keys` lists those in use, with --mode live those of live mode"
            )),
            Refused::LastSecretKey | Refused::TooMany | Refused::NotInUse => Self::usage(refused.to_string()),
            Refused::Db(error) => error.into(),
        }
    }
}

#[derive(Serialize)]
struct Listed {
    account: String,
    mode: &'static str,
    keys: Vec<KeyView>,
}

/// Runs `teiki account keys`.
pub async fn list(app: &App, account: &str) -> Result<(), Failure> {
    let (side, now) = (side(app, account).await?, clock::now());
    let keys = app.db.read(move |tx| super::list_in_use(tx, side, now)).await?;
    let keys = keys.iter().map(KeyView::of).collect();
    let listed = Listed { account: side.0.to_string(), mode: side.1.as_str(), keys };
    output::print(app.format, &listed, |listed| {
        let lines: Vec<String> = listed.keys.iter().map(line).collect();
        format!("API keys of account {} in {} mode\n{}", listed.account, listed.mode, lines.join("\n"))
    })
}

/// Runs `teiki account key-create`.
pub async fn create(app: &App, account: &str, kind: KeyKind, name: Option<String>) -> Result<(), Failure> {
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME_MAX || name.contains('\0')) {
        return Err(Failure::usage(format!("--name has at most {NAME_MAX} characters")));
    }
    let name = name.filter(|name| !name.is_empty());
    let side = side(app, account).await?;
    let new = super::new(side, kind, name, (&accounts::random()?, clock::now()));
    let key = new.1.clone();
    app.db.write(move |tx| super::create(tx, &key)).await?;
    output::print(app.format, &NewKeyView::of(new), |new| {
        format!(
            "{}\n  {}\nThe key is shown only now: keep it in a safe place.",
            line(&new.key),
            new.secret.shown_once()
        )
    })
}

/// Runs `teiki account key-revoke`.
pub async fn revoke(app: &App, account: &str, id: String) -> Result<(), Failure> {
    let (side, now) = (side(app, account).await?, clock::now());
    let key = app.db.write(move |tx| super::revoke(tx, side, &id, now)).await?;
    output::print(app.format, &KeyView::of(&key), |key| format!("{}  revoked", line(key)))
}

async fn side(app: &App, account: &str) -> Result<Side, Failure> {
    Ok((accounts::get(&app.db, account).await?.id, app.mode))
}

fn line(key: &KeyView) -> String {
    let expires = key.expires_at.map(|at| format!("  expires {}", instant(at))).unwrap_or_default();
    format!(
        "  {}  {:10}  …{}  made {}  last used {}{expires}  {}",
        key.id,
        key.kind,
        key.last4,
        instant(key.created),
        key.last_used_at.map_or_else(|| "never".to_owned(), instant),
        key.name.as_deref().map(plain).unwrap_or_default(),
    )
    .trim_end()
    .to_owned()
}

/// A text of the merchant's as a terminal may show it.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn instant(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}
