//! API keys as the API and the command line show them.

use billing::mode::Mode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ApiKey, KeyKind, Secret};

/// An API key; the key itself is not in it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub struct KeyView {
    pub(super) id: String,
    #[schemars(extend("const" = "api_key"))]
    object: &'static str,
    livemode: bool,
    /// What it may do: everything, reading, or making tokens.
    #[schemars(extend("enum" = KeyKind::ALL.map(KeyKind::as_str)))]
    pub(super) kind: &'static str,
    pub(super) name: Option<String>,
    /// The last four characters of the key itself.
    pub(super) last4: String,
    pub(super) created: i64,
    /// To the hour; null if it never was.
    pub(super) last_used_at: Option<i64>,
    /// When a key that was rolled stops working.
    pub(super) expires_at: Option<i64>,
    /// When it was revoked: it opens nothing any more.
    pub(super) revoked_at: Option<i64>,
}

impl KeyView {
    /// A stored key.
    pub fn of(key: &ApiKey) -> Self {
        let seconds = |at: Option<Timestamp>| at.map(Timestamp::as_second);
        Self {
            id: key.id.clone(),
            object: "api_key",
            livemode: key.side.1 == Mode::Live,
            kind: key.kind.as_str(),
            name: key.name.clone(),
            last4: key.last4.clone(),
            created: key.created_at.as_second(),
            last_used_at: seconds(key.last_used_at),
            expires_at: seconds(key.expires_at),
            revoked_at: seconds(key.revoked_at),
        }
    }
}

/// The one answer that shows a key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NewApiKey")]
pub struct NewKeyView {
    #[serde(flatten)]
    pub(super) key: KeyView,
    /// The key itself; null in a repeat of the request with its `Idempotency-Key`, for it is kept nowhere.
    #[schemars(with = "Option<String>")]
    pub(super) secret: Secret,
}

impl NewKeyView {
    /// A key that was just made.
    pub fn of((secret, key): (Secret, ApiKey)) -> Self {
        Self { key: KeyView::of(&key), secret }
    }
}

/// The same as a repeat of the request is answered: `secret` is null, for the key itself is kept nowhere.
#[derive(Debug, Serialize)]
pub struct KeptKeyView {
    #[serde(flatten)]
    key: KeyView,
    secret: (),
}

impl KeptKeyView {
    /// A key that was made.
    pub fn of(key: &ApiKey) -> Self {
        Self { key: KeyView::of(key), secret: () }
    }
}
