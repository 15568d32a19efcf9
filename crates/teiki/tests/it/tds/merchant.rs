//! A merchant at a running server, with the page in its card holders' browsers.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use serde_json::Value;

use crate::installation::Installation;
use crate::serve::Server;

/// Longer than 3-D Secure may take, in microseconds.
const TOO_LONG: i64 = 31 * 60 * 1_000_000;

/// A merchant at a running server.
pub(crate) struct Merchant {
    pub(super) client: reqwest::Client,
    pub(super) url: String,
    pub(super) keys: Value,
}

/// A page, or where it led.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(super) policy: String,
    pub(super) location: Option<String>,
    pub(super) text: String,
}

impl Merchant {
    pub(super) fn new(installation: &Installation, server: &Server) -> Self {
        let keys = installation.run(&["account", "create", "みどり<農園>", "--json"]).json();
        Self { client: without_redirects(), url: server.url(), keys }
    }

    /// One whose page is opened, by this public key.
    pub(crate) fn with_page(url: &str, public_key: &str) -> Self {
        let keys = serde_json::json!({"test": {"public_key": public_key}});
        Self { client: without_redirects(), url: url.to_owned(), keys }
    }

    pub(super) fn key(&self, mode: &str, kind: &str) -> &str {
        self.keys[mode][format!("{kind}_key")].as_str().unwrap()
    }

    pub(super) async fn call(
        &self,
        key: &str,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> (u16, Value) {
        let request = match method {
            "GET" => self.client.get(format!("{}{path}", self.url)),
            _ => self.client.post(format!("{}{path}", self.url)).body(encoded(form)),
        };
        let request =
            request.basic_auth(key, Some("")).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.call(self.key("test", "secret"), "POST", path, form).await
    }

    /// What must be answered with 200.
    pub(super) async fn made(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let (status, body) = self.post(path, form).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(self.key("test", "secret"), "GET", path, &[]).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Status and code of what must be refused.
    pub(super) async fn refused(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let (status, body) = self.post(path, form).await;
        (status, body["error"]["code"].as_str().unwrap_or_else(|| panic!("{path}: {body}")).to_owned())
    }

    /// The status of an error, and the charge that it names.
    pub(super) async fn finish_of_charge(&self, id: &str) -> (u16, String, Value) {
        let (status, body) = self.post(&format!("/v1/charges/{id}/tds_finish"), &[]).await;
        let code = body["error"]["code"].as_str().unwrap_or("none").to_owned();
        (status, code, body)
    }

    pub(super) async fn token(&self, number: &str, more: &[(&str, &str)]) -> Value {
        let card = [("card[number]", number), ("card[exp_month]", "12"), ("card[exp_year]", "2099")];
        self.made("/v1/tokens", &[&card, more].concat()).await
    }

    pub(super) async fn customer(&self) -> Value {
        let token = self.token("4242424242424242", &[]).await;
        self.made("/v1/customers", &[("card", text(&token, "id"))]).await
    }

    /// A charge that waits for its card holder.
    pub(super) async fn waiting(&self, number: &str, more: &[(&str, &str)]) -> String {
        let token = self.token(number, &[]).await;
        let sale = [
            ("amount", "500"),
            ("currency", "jpy"),
            ("card", text(&token, "id")),
            ("three_d_secure", "true"),
        ];
        let charge = self.made("/v1/charges", &[&sale, more].concat()).await;
        text(&charge, "id").to_owned()
    }

    pub(super) async fn page(&self, path: &str, form: Option<&[(&str, &str)]>, language: &str) -> Page {
        let url = format!("{}{path}", self.url);
        let request = match form {
            None => self.client.get(url),
            Some(form) => self
                .client
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encoded(form)),
        };
        let answer = request.header(ACCEPT_LANGUAGE, language).send().await.unwrap();
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let is_named = answer.headers().get("request-id").is_some();
        assert_eq!(is_named, path.starts_with("/v1/"), "{path}");
        Page {
            status: answer.status().as_u16(),
            policy: header(CONTENT_SECURITY_POLICY).unwrap_or_default(),
            location: header(LOCATION),
            text: answer.text().await.unwrap(),
        }
    }

    pub(super) fn start(&self, id: &str, back_url: &str) -> String {
        let query = encoded(&[("publickey", self.key("test", "public")), ("back_url", back_url)]);
        format!("/v1/tds/{id}/start?{query}")
    }

    /// Opens the page of a resource and sends one of its forms, all of it as the page says.
    pub(crate) async fn answer(&self, id: &str, result: &str, back_url: &str) -> Page {
        let page = self.page(&self.start(id, back_url), None, "en").await;
        assert_eq!(page.status, 200, "{}", page.text);
        let form =
            page.text.split("<form ").find(|form| form.contains(&format!("value=\"{result}\""))).unwrap();
        let action = between(form, "action=\"", "\"");
        let fields: Vec<(&str, String)> = form
            .split("<input type=\"hidden\" name=\"")
            .skip(1)
            .map(|input| {
                let value = between(input, "value=\"", "\"").replace("&amp;", "&");
                (input.split('"').next().unwrap(), value)
            })
            .collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.page(action, Some(&fields), "en").await
    }
}

fn without_redirects() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub(super) fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("{name} of {object}"))
}

pub(super) fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

fn encoded(form: &[(&str, &str)]) -> String {
    let one = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<_> = form.iter().map(|(name, value)| format!("{}={}", one(name), one(value))).collect();
    pairs.join("&")
}

/// What the gateway's book says was taken, in the order of the charges.
pub(super) fn booked(installation: &Installation) -> Vec<String> {
    let book = std::fs::read_to_string(installation.file("sandbox-book.jsonl")).unwrap_or_default();
    let lines = book.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| text(&line, "reference").to_owned()).collect()
}

/// Lets the time of a row pass.
pub(super) async fn outlive(
    installation: &Installation,
    table: &'static str,
    id: &str,
    column: &'static str,
) {
    let start = id.find('_').unwrap() + 1;
    let slot = i64::from_str_radix(&id[start..start + 2], 16).unwrap();
    let past = teiki::clock::now().as_microsecond() - TOO_LONG;
    let keys = vec![("slot", slot.into()), ("id", id.into())];
    installation.change(table, keys, vec![(column, past.into())]).await;
}
