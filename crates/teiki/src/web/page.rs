//! The manners of pages for people: HTML without script, in Japanese or English, under a strict policy.
//!
//! A page checks for itself who may see it, for a browser has no key to send. What is wrong with a request is a page too.
//! Nothing here knows a feature: pages are in the `page.rs` of theirs, and every URL in `routes.rs`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::body::{Node, Tree};
use super::card_numbers::{self, Taken};
use super::error::ApiError;
use super::serve::{new_request_id, read, with_id};
use super::strangers::Why;
use crate::clock;
use crate::routes::STYLE;
use crate::serve::site::Site;

/// What a method on an address of a page does.
pub struct Page {
    /// What it does.
    pub run: Run,
}

/// What runs a page.
pub type Run = fn(Visit) -> Pin<Box<dyn Future<Output = Result<Shown, Trouble>> + Send>>;

/// A request for a page.
pub struct Visit {
    /// What the server has.
    pub site: Arc<Site>,
    /// The variable parts of the address, in order.
    pub path: Vec<String>,
    /// The language of the answer.
    pub language: Language,
    /// Real time.
    pub now: Timestamp,
    fields: Tree,
}

impl Visit {
    /// A field of the address or of the form; `None` when it is missing or empty.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|(found, node)| match node {
            Node::Text(text) if found == name && !text.is_empty() => Some(text.as_str()),
            Node::Text(_) | Node::Map(_) | Node::List(_) | Node::Null => None,
        })
    }

    /// Variable part `index` of the address.
    pub fn id(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }
}

/// What a visit comes to.
pub enum Shown {
    /// 200 with a page.
    Html {
        /// Its heading.
        title: String,
        /// What stands below it, as HTML.
        body: String,
        /// The origin that its form may lead on to.
        leads_to: Option<String>,
    },
    /// 303: on to this address.
    SeeOther(String),
}

/// Why there is no such page.
#[derive(Clone, Debug)]
pub struct Trouble {
    status: StatusCode,
    says: Say,
    /// After how many seconds the visit may come again.
    retry_after: Option<u64>,
    inside: Option<String>,
}

impl Trouble {
    /// A page with this status that says this.
    pub const fn new(status: StatusCode, says: Say) -> Self {
        Self { status, says, retry_after: None, inside: None }
    }
}

/// What an operation refuses is told in the words of a page.
impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        let says = match error.status {
            StatusCode::NOT_FOUND => NOT_FOUND,
            StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => TRY_AGAIN,
            status if status.is_server_error() => TRY_AGAIN,
            _ => NOT_UNDERSTOOD,
        };
        Self {
            status: error.status,
            says,
            retry_after: error.retry_after(),
            inside: error.cause().map(str::to_owned),
        }
    }
}

impl From<db::Error> for Trouble {
    fn from(error: db::Error) -> Self {
        ApiError::from(error).into()
    }
}

/// A text in both languages.
#[derive(Clone, Copy, Debug)]
pub struct Say {
    /// 日本語.
    pub ja: &'static str,
    /// English.
    pub en: &'static str,
}

impl Say {
    /// In one of them.
    pub const fn r#in(self, language: Language) -> &'static str {
        match language {
            Language::Japanese => self.ja,
            Language::English => self.en,
        }
    }
}

/// There is nothing at the address.
pub const NOT_FOUND: Say =
    Say { ja: "お探しのページはありません。", en: "There is nothing at this address." };
const NOT_UNDERSTOOD: Say = Say {
    ja: "リクエストを受け付けられません。お店のページに戻って、もう一度お試しください。",
    en: "This request cannot be taken. Please go back to the shop and try again.",
};
const TRY_AGAIN: Say = Say {
    ja: "ただいま処理できません。しばらくしてから、もう一度お試しください。",
    en: "This cannot be done right now. Please try again in a little while.",
};
const TROUBLE: Say = Say { ja: "表示できません", en: "This cannot be shown" };

/// The languages of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// 日本語.
    Japanese,
    /// English.
    English,
}

impl Language {
    /// The first of the two that a browser asks for; Japanese when it asks for neither.
    fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
        asked
            .split(',')
            .find_map(|tag| match tag.trim().get(..2)?.to_ascii_lowercase().as_str() {
                "ja" => Some(Self::Japanese),
                "en" => Some(Self::English),
                _ => None,
            })
            .unwrap_or(Self::Japanese)
    }

    const fn tag(self) -> &'static str {
        match self {
            Self::Japanese => "ja",
            Self::English => "en",
        }
    }
}

/// Answers one request for a page. `path` are the variable parts of its address.
pub async fn serve(site: Arc<Site>, page: &'static Page, path: Vec<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (language, id) = (Language::of(&parts.headers), new_request_id());
    let own = Arc::clone(&site);
    let fields = read(&parts.headers, parts.uri.query(), body).await;
    let fields = fields.and_then(|fields| card_numbers::refuse_in(&fields, Taken::Nowhere).map(|()| fields));
    let shown = match fields {
        Ok(fields) => (page.run)(Visit { site, path, language, now: clock::now(), fields }).await,
        Err(error) => Err(error.into()),
    };
    let response = match shown {
        Ok(Shown::Html { title, body, leads_to }) => {
            html(StatusCode::OK, language, (&title, &body), leads_to.as_deref())
        }
        Ok(Shown::SeeOther(url)) => see_other(&url),
        Err(trouble) => {
            if let Some(inside) = &trouble.inside {
                tracing::error!(request = id, error = inside, "a page failed");
            }
            if trouble.status == StatusCode::UNAUTHORIZED {
                let (key, asked) = ("in the address", (parts.method.as_str(), "a page"));
                own.strangers.refused(Why::Unknown, (&id, key), asked, Instant::now());
            }
            let body = format!("<p>{}</p>", escaped(trouble.says.r#in(language)));
            let mut response = html(trouble.status, language, (TROUBLE.r#in(language), &body), None);
            if let Some(seconds) = trouble.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
    };
    with_id(response, &id)
}

/// The style sheet of all pages.
pub async fn style() -> Response {
    let sheet = include_str!("../../../../assets/page.css");
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, sheet).into_response()
}

/// A text as HTML, also within the quotes of an attribute.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

fn html(
    status: StatusCode,
    language: Language,
    (title, body): (&str, &str),
    leads_to: Option<&str>,
) -> Response {
    let (tag, title) = (language.tag(), escaped(title));
    let document = format!(
        "<!doctype html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"{STYLE}\">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    );
    let mut response = (status, document).into_response();
    let leads_to = leads_to.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self'{leads_to}; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut headers = vec![
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, &policy),
        (header::CONTENT_LANGUAGE, tag),
        (header::VARY, "accept-language"),
    ];
    if status == StatusCode::UNAUTHORIZED {
        // Not a scheme that a browser knows: it would ask for a password.
        headers.push((header::WWW_AUTHENTICATE, "PublicKey realm=\"teiki\""));
    }
    set(&mut response, &headers);
    private(response)
}

fn see_other(url: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    set(&mut response, &[(header::LOCATION, url)]);
    private(response)
}

/// The address of a page has a key in it, and the page a token: neither is kept, nor told to others.
fn private(mut response: Response) -> Response {
    set(
        &mut response,
        &[
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ],
    );
    response
}

fn set(response: &mut Response, headers: &[(HeaderName, &str)]) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_is_known_is_taken() {
        let of = |asked: &str| {
            let value = HeaderValue::from_str(asked).expect("a header");
            Language::of(&HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, value)]))
        };
        assert_eq!(of("en-GB,en;q=0.9,ja;q=0.8"), Language::English);
        assert_eq!(of("fr, ja;q=0.5, en;q=0.1"), Language::Japanese);
        assert_eq!(of("de"), Language::Japanese);
        assert_eq!(Language::of(&HeaderMap::new()), Language::Japanese);
    }

    #[test]
    fn a_text_stays_a_text_in_html() {
        assert_eq!(escaped("<a href='x'>\"&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;");
    }
}
