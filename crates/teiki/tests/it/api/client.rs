//! A client of the API. Every answer is held to what all answers must be.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::document;

/// Names and values of a form.
pub(super) type Form<'a> = &'a [(&'a str, &'a str)];

/// Who calls which server with which key.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
    idempotency_key: Option<String>,
}

/// What was answered.
pub(super) struct Answer {
    asked: String,
    pub(super) status: u16,
    /// A file is one text.
    pub(super) body: Value,
    /// Whether it says that it was given before.
    pub(super) is_replay: bool,
}

impl Client {
    pub(super) fn new(url: &str, key: Option<&str>) -> Self {
        let key = key.map(str::to_owned);
        Self { http: reqwest::Client::new(), url: url.to_owned(), key, idempotency_key: None }
    }

    /// The same, whose requests have this `Idempotency-Key`.
    pub(super) fn keyed(&self, key: &str) -> Self {
        Self { idempotency_key: Some(key.to_owned()), ..self.clone() }
    }

    /// Where its server is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The same server with another key.
    pub(super) fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[]).await
    }

    pub(super) async fn post(&self, path: &str, form: Form<'_>) -> Answer {
        self.send(Method::POST, path, form).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[]).await
    }

    /// Asks for a file, and reads no more than the head of the answer.
    pub(super) async fn begin(&self, path: &str) -> reqwest::Response {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.basic_auth(key, Some(""));
        }
        request.send().await.unwrap()
    }

    /// Sends a request; the form is the body of a POST and the query of anything else.
    pub(super) async fn send(&self, method: Method, path: &str, form: Form<'_>) -> Answer {
        self.try_send(method, path, form).await.unwrap()
    }

    /// The same, of a server that may die meanwhile.
    pub(super) async fn try_send(
        &self,
        method: Method,
        path: &str,
        form: Form<'_>,
    ) -> reqwest::Result<Answer> {
        let form = encoded(form);
        let is_post = method == Method::POST;
        let query = if is_post || form.is_empty() { String::new() } else { format!("?{form}") };
        let verb = method.to_string();
        let asked = format!("{method} {path} {form} with {:?}", self.key);
        let mut request = self.http.request(method, format!("{}{path}{query}", self.url));
        if let Some(key) = &self.key {
            request = request.basic_auth(key, Some(""));
        }
        if is_post {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        if let Some(key) = &self.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let media_type = media_type(&headers);
        let body = match media_type {
            "application/json" => serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{asked}: {error} in the answer {text:?}")),
            _ => Value::String(text),
        };
        let is_replay = headers.contains_key("idempotent-replayed");
        let answer = Answer { asked, status, body, is_replay };
        answer.must_have_its_shape(&headers);
        document::must_describe(&verb, path, (answer.status, media_type, &answer.body));
        Ok(answer)
    }
}

/// Without its parameters.
fn media_type(headers: &HeaderMap) -> &str {
    let header = headers.get("content-type").map_or("", |value| value.to_str().unwrap());
    header.split_once(';').map_or(header, |(media_type, _)| media_type)
}

fn encoded(form: Form<'_>) -> String {
    let text = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> =
        form.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect();
    pairs.join("&")
}

/// What a failing test shows.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was answered with {} {}", self.asked, self.status, self.body)
    }
}

impl Answer {
    /// What holds of every answer under /v1.
    fn must_have_its_shape(&self, headers: &HeaderMap) {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert!(header("request-id").is_some_and(|id| id.starts_with("req_")), "{self:?}");
        assert_eq!(header("www-authenticate").is_some(), self.status == 401, "{self:?}");
        assert_eq!(header("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{self:?}");
        if self.body.is_string() {
            assert_eq!(self.status, 200, "{self:?}");
            return;
        }
        assert_eq!(header("content-type"), Some("application/json"), "{self:?}");
        if self.status == 200 {
            assert!(self.body.is_object() && self.body.get("error").is_none(), "{self:?}");
            return;
        }
        let error = &self.body["error"];
        assert_eq!(error["status"], self.status, "{self:?}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        let kind = match self.status {
            401 => "auth_error",
            402 => "card_error",
            500.. => "server_error",
            _ => "client_error",
        };
        assert_eq!(error["type"], kind, "{self:?}");
    }

    /// The body of a success.
    #[track_caller]
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }

    /// The error of a refusal with this status and code.
    #[track_caller]
    pub(super) fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["error"]["code"].as_str()), (status, Some(code)), "{self:?}");
        self.body["error"].clone()
    }
}
