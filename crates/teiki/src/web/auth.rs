//! Who calls: the API key as the user name of HTTP Basic, as PAY.JP has it; a Bearer token reads the same.
//!
//! A key is looked up by its hash, so that what is compared is of no use to whoever sees it. It decides account and mode;
//! nothing in a request can reach another account or the other mode.

use std::time::Instant;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use billing::id::AccountId;
use billing::mode::Mode;
use jiff::Timestamp;

use super::error::ApiError;
use super::limits::Preset;
use crate::api_keys::{self, KeyKind};
use crate::routes::Method;
use crate::serve::site::Site;

/// What a key must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// What a browser or an app needs to make a token: a public key may do it, and a restricted one read it.
    Public,
    /// Reading.
    Read,
    /// Changing, and whatever is for secret keys alone.
    Write,
}

impl Access {
    /// Whether a key of this kind can do it with this method.
    pub const fn is_open_to(self, kind: KeyKind, method: Method) -> bool {
        match (kind, self) {
            (KeyKind::Secret, _) | (KeyKind::Public, Self::Public) | (KeyKind::Restricted, Self::Read) => {
                true
            }
            // Making a token writes, and so does finishing its 3-D Secure.
            (KeyKind::Restricted, Self::Public) => matches!(method, Method::Get),
            (KeyKind::Public, Self::Read | Self::Write) | (KeyKind::Restricted, Self::Write) => false,
        }
    }
}

/// A request's account, mode and key.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose key it is.
    pub account: AccountId,
    /// Which side it opens.
    pub mode: Mode,
    /// What it may do.
    pub kind: KeyKind,
    /// The key's id.
    pub key: String,
    /// When the key was last used, to the hour.
    pub last_used_at: Option<Timestamp>,
    /// How many requests it may make.
    pub rate_limits: Preset,
}

impl Caller {
    /// Whether it is the live side.
    pub fn is_live(&self) -> bool {
        self.mode == Mode::Live
    }

    /// Error: the key may not do this.
    pub fn may(&self, access: Access, method: Method) -> Result<(), ApiError> {
        if access.is_open_to(self.kind, method) {
            return Ok(());
        }
        let kind = match self.kind {
            KeyKind::Public => "A public key may only make tokens and read what that needs",
            KeyKind::Restricted => "This key may only read",
            KeyKind::Secret => "This key may not do this",
        };
        Err(ApiError::auth(format!("{kind}; use a secret key.")))
    }
}

/// The caller of a request at the real time `now`. Errors: 401; 429, when too many unknown keys come.
pub async fn caller(site: &Site, headers: &HeaderMap, now: Timestamp) -> Result<Caller, ApiError> {
    let key = key_of(headers)?;
    of_key(site, &key, now)
        .await?
        .ok_or_else(|| ApiError::auth(format!("Invalid API Key: {}", masked(&key))).coded("invalid_api_key"))
}

/// Whose key it is; `None` for one that was never given out, was revoked, or has expired at `now`. Error: 429, as above.
pub async fn of_key(site: &Site, key: &str, now: Timestamp) -> Result<Option<Caller>, ApiError> {
    let hash = api_keys::key_hash(key);
    site.strangers.admit(&hash, Instant::now())?;
    let caller = site.app.db.read(move |tx| api_keys::find_caller(tx, &hash, now)).await?;
    site.strangers.met(hash, caller.is_some());
    Ok(caller)
}

/// The key of a request as the log may show it.
pub fn shown(headers: &HeaderMap) -> String {
    key_of(headers).map_or_else(|_| "none".to_owned(), |key| masked(&key))
}

/// The key in the `Authorization` header.
fn key_of(headers: &HeaderMap) -> Result<String, ApiError> {
    let none = || {
        let message = "No API key was sent: give it as the user name of HTTP Basic, with an empty password.";
        ApiError::auth(message).coded("no_api_key")
    };
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(none)?;
    let (scheme, rest) = header.trim().split_once(' ').ok_or_else(none)?;
    let key = if scheme.eq_ignore_ascii_case("basic") {
        let bytes = BASE64_STANDARD.decode(rest.trim()).map_err(|_| none())?;
        let text = String::from_utf8(bytes).map_err(|_| none())?;
        text.split_once(':').map_or(text.clone(), |(user, _)| user.to_owned())
    } else if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else {
        return Err(none());
    };
    if key.is_empty() { Err(none()) } else { Ok(key) }
}

/// A key as it may be shown: its kind, mode and last four characters.
fn masked(key: &str) -> String {
    let is_plain = key.len() <= 100 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let start = key.rfind('_').map_or(0, |end| end + 1).min(8);
    if !is_plain || key.len() < start + 8 {
        return "****".to_owned();
    }
    format!("{}****{}", &key[..start], &key[key.len() - 4..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).expect("a header"))])
    }

    #[test]
    fn the_key_is_the_user_of_basic_or_the_bearer_token() {
        let basic = |text: &str| headers(&format!("Basic {}", BASE64_STANDARD.encode(text)));
        assert_eq!(key_of(&basic("sk_test_1:")).as_deref(), Ok("sk_test_1"));
        assert_eq!(key_of(&basic("sk_test_1")).as_deref(), Ok("sk_test_1"));
        assert_eq!(key_of(&headers("bearer sk_test_1")).as_deref(), Ok("sk_test_1"));
        for bad in [HeaderMap::new(), basic(":"), headers("Basic ???"), headers("Digest a"), headers("x")] {
            assert!(key_of(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_shown_without_what_opens_anything() {
        assert_eq!(masked("sk_test_0123456789abcdef"), "sk_test_****cdef");
        assert_eq!(masked("short"), "****");
        assert_eq!(masked("<script>alert(1)</script>aaaaaaaa"), "****");
    }
}
