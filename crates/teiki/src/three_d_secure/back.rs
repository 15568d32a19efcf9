//! Where a card holder goes back to: `back_url`, as PAY.JP has it a signed text (JWS) that holds the address, or the
//! address itself.
//!
//! The signature is made with the merchant's secret key, of which only a hash is kept here, so that it cannot be checked.
//! What is checked is that it leads to a web page: `http` or `https`, with a host.

use axum::http::Uri;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Longest `back_url`, in bytes: what browsers and proxies take in an address.
const LENGTH_MAX: usize = 2_000;

/// A web page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    /// Its address.
    pub url: String,
    /// Scheme, host and port, as a security policy names them.
    pub origin: String,
}

/// What the signed text holds.
#[derive(Deserialize)]
struct Signed {
    url: String,
}

impl Back {
    /// From `back_url`; `None` when it does not lead to a web page.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let is_address = |text: &str| text.contains("://");
        if is_address(text) { Self::of_url(text.to_owned()) } else { Self::of_url(signed(text)?) }
    }

    fn of_url(url: String) -> Option<Self> {
        // A header takes nothing else.
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let uri: Uri = url.parse().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
        let authority = uri.authority()?;
        // What stands before the host would say another name than the one it leads to.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if authority.host().is_empty() || !authority.as_str().bytes().all(is_plain) {
            return None;
        }
        let origin = format!("{scheme}://{authority}");
        Some(Self { url, origin })
    }
}

fn signed(text: &str) -> Option<String> {
    let mut parts = text.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    Some(serde_json::from_slice::<Signed>(&bytes).ok()?.url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_pages_are_gone_back_to() {
        let origin = |text: &str| Back::parse(text).map(|back| back.origin);
        for (text, expected) in [
            ("https://shop.example/paid?order=1#top", Some("https://shop.example")),
            ("http://localhost:3000/back", Some("http://localhost:3000")),
            ("http://[::1]:3000/", Some("http://[::1]:3000")),
            ("HTTPS://shop.example/", Some("https://shop.example")),
            ("javascript:alert(1)", None),
            ("javascript://shop.example/%0aalert(1)", None),
            ("data:text/html,x", None),
            ("ftp://shop.example/", None),
            ("//shop.example/", None),
            ("/back", None),
            ("https://", None),
            ("https://good.example@evil.example/", None),
            ("https://shop.example;script-src*/", None),
            ("https://shop.example/\r\nset-cookie:a", None),
            ("https://shop.example/戻る", None),
        ] {
            assert_eq!(origin(text).as_deref(), expected, "{text}");
        }
        assert_eq!(origin(&format!("https://shop.example/{}", "a".repeat(2_000))), None);
    }

    #[test]
    fn a_signed_text_holds_the_address() {
        let signed = |payload: &str| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let back = Back::parse(&signed(r#"{"url":"http://localhost/redirect/callback.php"}"#));
        assert_eq!(back.map(|back| back.url).as_deref(), Some("http://localhost/redirect/callback.php"));
        for bad in [r#"{"url":"javascript:alert(1)"}"#, r#"{"uri":"https://shop.example/"}"#, "x"] {
            assert_eq!(Back::parse(&signed(bad)), None, "{bad}");
        }
        assert_eq!(Back::parse("a.b"), None);
    }
}
