//! 3-D Secure over HTTP: tokens, charges and stored cards; the page in the browser; what is refused, and what runs out.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::installation::{Installation, on_both};
use crate::serve::Server;

/// Longer than 3-D Secure may take, in microseconds.
const TOO_LONG: i64 = 31 * 60 * 1_000_000;
/// What must happen soon must have happened by then.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A merchant at a running server.
struct Merchant {
    client: reqwest::Client,
    url: String,
    keys: Value,
}

/// A page, or where it led.
struct Page {
    status: u16,
    policy: String,
    location: Option<String>,
    text: String,
}

impl Merchant {
    fn new(installation: &Installation, server: &Server) -> Self {
        let keys = installation.run(&["account", "create", "みどり<農園>", "--json"]).json();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, url: server.url(), keys }
    }

    fn key(&self, mode: &str, kind: &str) -> &str {
        self.keys[mode][format!("{kind}_key")].as_str().unwrap()
    }

    async fn call(&self, key: &str, method: &str, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
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

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.call(self.key("test", "secret"), "POST", path, form).await
    }

    /// What must be answered with 200.
    async fn made(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let (status, body) = self.post(path, form).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(self.key("test", "secret"), "GET", path, &[]).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Status and code of what must be refused.
    async fn refused(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let (status, body) = self.post(path, form).await;
        (status, body["error"]["code"].as_str().unwrap_or_else(|| panic!("{path}: {body}")).to_owned())
    }

    /// The status of an error, and the charge that it names.
    async fn finish_of_charge(&self, id: &str) -> (u16, String, Value) {
        let (status, body) = self.post(&format!("/v1/charges/{id}/tds_finish"), &[]).await;
        let code = body["error"]["code"].as_str().unwrap_or("none").to_owned();
        (status, code, body)
    }

    async fn token(&self, number: &str, more: &[(&str, &str)]) -> Value {
        let card = [("card[number]", number), ("card[exp_month]", "12"), ("card[exp_year]", "2099")];
        self.made("/v1/tokens", &[&card, more].concat()).await
    }

    async fn customer(&self) -> Value {
        let token = self.token("4242424242424242", &[]).await;
        self.made("/v1/customers", &[("card", text(&token, "id"))]).await
    }

    /// A charge that waits for its card holder.
    async fn waiting(&self, number: &str, more: &[(&str, &str)]) -> String {
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

    async fn page(&self, path: &str, form: Option<&[(&str, &str)]>, language: &str) -> Page {
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
        Page {
            status: answer.status().as_u16(),
            policy: header(CONTENT_SECURITY_POLICY).unwrap_or_default(),
            location: header(LOCATION),
            text: answer.text().await.unwrap(),
        }
    }

    fn start(&self, id: &str, back_url: &str) -> String {
        let query = encoded(&[("publickey", self.key("test", "public")), ("back_url", back_url)]);
        format!("/v1/tds/{id}/start?{query}")
    }

    /// Opens the page of a resource and sends one of its forms, all of it as the page says.
    async fn answer(&self, id: &str, result: &str, back_url: &str) -> Page {
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

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("{name} of {object}"))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

fn encoded(form: &[(&str, &str)]) -> String {
    let one = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<_> = form.iter().map(|(name, value)| format!("{}={}", one(name), one(value))).collect();
    pairs.join("&")
}

/// What the gateway's book says was taken, in the order of the charges.
fn booked(installation: &Installation) -> Vec<String> {
    let book = std::fs::read_to_string(installation.file("sandbox-book.jsonl")).unwrap_or_default();
    let lines = book.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| text(&line, "reference").to_owned()).collect()
}

/// Lets the time of a row pass.
async fn outlive(installation: &Installation, table: &'static str, id: &str, column: &'static str) {
    let start = id.find('_').unwrap() + 1;
    let slot = i64::from_str_radix(&id[start..start + 2], 16).unwrap();
    let past = teiki::clock::now().as_microsecond() - TOO_LONG;
    let keys = vec![("slot", slot.into()), ("id", id.into())];
    installation.change(table, keys, vec![(column, past.into())]).await;
}

#[tokio::test]
async fn a_token_is_used_when_its_3d_secure_is_finished() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let public = merchant.key("test", "public");
        let form = [
            ("card[number]", "4242424242424242"),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2099"),
            ("three_d_secure", "true"),
        ];
        let (status, token) = merchant.call(public, "POST", "/v1/tokens", &form).await;
        assert_eq!((status, &token["card"]["three_d_secure_status"]), (200, &json!("unverified")));
        let id = text(&token, "id");
        let (path, finish) = (format!("/v1/tokens/{id}"), format!("/v1/tokens/{id}/tds_finish"));
        let unverified = (400, "unverified_token".to_owned());
        let customer = merchant.customer().await;
        let cards = format!("/v1/customers/{}/cards", text(&customer, "id"));
        let sale = [("amount", "500"), ("currency", "jpy"), ("card", id)];
        for (path, form) in [("/v1/customers", &sale[2..]), (&cards, &sale[2..]), ("/v1/charges", &sale[..])]
        {
            assert_eq!(merchant.refused(path, form).await, unverified, "{path}");
        }
        assert_eq!(merchant.refused(&finish, &[]).await, (400, "three_d_secure_incompleted".to_owned()));

        let led = merchant.answer(id, "succeed", "https://shop.example/back?a=1&b=2").await;
        assert_eq!((led.status, led.location.as_deref()), (303, Some("https://shop.example/back?a=1&b=2")));
        assert_eq!(merchant.get(&path).await["card"]["three_d_secure_status"], "verified");
        assert_eq!(merchant.refused("/v1/charges", &sale).await, unverified, "it must be finished as well");
        for _ in 0..2 {
            let (status, finished) = merchant.call(public, "POST", &finish, &[]).await;
            assert_eq!((status, &finished["used"]), (200, &json!(false)), "{finished}");
        }
        let customer = merchant.made("/v1/customers", &[("card", id)]).await;
        assert_eq!(customer["cards"]["data"][0]["three_d_secure_status"], "verified");
        assert_eq!(merchant.refused("/v1/charges", &sale).await.1, "token_already_used");
        let plain = merchant.token("4242424242424242", &[]).await;
        assert_eq!(plain["card"]["three_d_secure_status"], Value::Null);
        let path = format!("/v1/tokens/{}/tds_finish", text(&plain, "id"));
        assert_eq!(merchant.refused(&path, &[]).await, (400, "not_in_three_d_secure_flow".to_owned()));
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_token_that_failed_or_ran_out_is_never_used() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let failed = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        let id = text(&failed, "id");
        let finish = format!("/v1/tokens/{id}/tds_finish");
        let page = merchant.answer(id, "fail", "").await;
        assert_eq!((page.status, page.text.contains("3-D Secure is done")), (200, true), "{}", page.text);
        assert_eq!(merchant.refused(&finish, &[]).await, (402, "three_d_secure_failed".to_owned()));
        assert_eq!(merchant.refused("/v1/customers", &[("card", id)]).await.1, "unverified_token");
        let again = merchant.page(&merchant.start(id, "https://shop.example/"), None, "en").await;
        assert!(
            again.text.contains("https://shop.example/") && !again.text.contains("<form"),
            "{}",
            again.text
        );

        let late = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        let id = text(&late, "id");
        assert_eq!(merchant.answer(id, "succeed", "").await.status, 200);
        let forgotten = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        for token in [&late, &forgotten] {
            let id = text(token, "id");
            outlive(installation, "tokens", id, "made_at").await;
            let refused = merchant.refused(&format!("/v1/tokens/{id}/tds_finish"), &[]).await;
            assert_eq!(refused, (400, "three_d_secure_expired".to_owned()));
            assert_eq!(merchant.refused("/v1/customers", &[("card", id)]).await.1, "unverified_token");
        }
        let page = merchant.page(&merchant.start(text(&forgotten, "id"), ""), None, "en").await;
        assert_eq!((page.status, page.text.contains("is over")), (400, true), "{}", page.text);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_charge_waits_for_its_card_holder_and_is_then_charged_once() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let id = merchant.waiting("4242424242424242", &[]).await;
        let pending = merchant.get(&format!("/v1/charges/{id}")).await;
        let shown = [
            "paid",
            "captured",
            "captured_at",
            "expired_at",
            "three_d_secure_status",
            "failure_code",
            "state",
        ]
        .map(|name| pending[name].clone());
        let expected = json!([false, false, null, null, "unverified", null, "requires_customer"]);
        assert_eq!(json!(shown), expected);
        let (status, code, _) = merchant.finish_of_charge(&id).await;
        assert_eq!((status, code.as_str()), (400, "three_d_secure_incompleted"));
        let led = merchant.answer(&id, "succeed", "http://localhost:3000/back").await;
        assert_eq!(led.location.as_deref(), Some("http://localhost:3000/back"));
        // The first answer counts.
        let again = merchant.page(&merchant.start(&id, ""), None, "en").await;
        assert!(!again.text.contains("<form"), "{}", again.text);
        assert_eq!(merchant.get(&format!("/v1/charges/{id}")).await["three_d_secure_status"], "verified");
        assert_eq!(booked(installation), Vec::<String>::new(), "nothing has been sent");

        let at_once = futures_util::future::join_all((0..4).map(|_| merchant.finish_of_charge(&id))).await;
        for (status, _, charge) in at_once.into_iter().chain([merchant.finish_of_charge(&id).await]) {
            assert_eq!(status, 200, "{charge}");
            assert_eq!([&charge["paid"], &charge["captured"]], [&json!(true), &json!(true)], "{charge}");
            assert!(charge["captured_at"].as_i64() >= charge["created"].as_i64(), "{charge}");
        }
        assert_eq!(booked(installation), [id.as_str()]);

        let reserved =
            merchant.waiting("4242424242424242", &[("capture", "false"), ("expiry_days", "3")]).await;
        assert_eq!(merchant.get(&format!("/v1/charges/{reserved}")).await["expired_at"], Value::Null);
        merchant.answer(&reserved, "succeed", "").await;
        let (status, _, charge) = merchant.finish_of_charge(&reserved).await;
        assert_eq!(
            (status, &charge["paid"], &charge["captured"]),
            (200, &json!(true), &json!(false)),
            "{charge}"
        );
        assert!(charge["expired_at"].as_i64() > charge["created"].as_i64(), "{charge}");

        let declined = merchant.waiting("4000000000080319", &[]).await;
        merchant.answer(&declined, "succeed", "").await;
        for _ in 0..2 {
            let (status, code, body) = merchant.finish_of_charge(&declined).await;
            assert_eq!((status, code.as_str()), (402, "card_declined"));
            assert_eq!(body["error"]["charge"], declined.as_str());
        }
        assert_eq!(server.stop(), Some(0));
        let doctor = installation.run(&["doctor"]);
        assert_eq!(doctor.code, 0, "{doctor:?}");
    })
    .await;
}

#[tokio::test]
async fn a_charge_that_failed_or_ran_out_takes_nothing() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let failed = merchant.waiting("4242424242424242", &[]).await;
        merchant.answer(&failed, "fail", "").await;
        let (status, code, body) = merchant.finish_of_charge(&failed).await;
        assert_eq!((status, code.as_str()), (402, "three_d_secure_failed"));
        assert_eq!(body["error"]["charge"], failed.as_str());

        let late = merchant.waiting("4242424242424242", &[]).await;
        merchant.answer(&late, "succeed", "").await;
        for id in [&failed, &late] {
            outlive(installation, "charges", id, "created_at").await;
            let (status, code, _) = merchant.finish_of_charge(id).await;
            assert_eq!((status, code.as_str()), (400, "three_d_secure_expired"));
            let given_up_by = Instant::now() + PATIENCE;
            let path = format!("/v1/charges/{id}");
            while merchant.get(&path).await["state"] != "void" {
                assert!(Instant::now() < given_up_by, "it was not given up");
                tokio::time::sleep(PAUSE).await;
            }
            let void = merchant.get(&path).await;
            assert_eq!([&void["paid"], &void["failure_code"]], [&json!(false), &Value::Null], "{void}");
            let (status, code, _) = merchant.finish_of_charge(id).await;
            assert_eq!((status, code.as_str()), (400, "three_d_secure_expired"));
        }
        let plain = merchant.customer().await;
        let sale = [("amount", "500"), ("currency", "jpy"), ("customer", text(&plain, "id"))];
        let charge = merchant.made("/v1/charges", &sale).await;
        assert_eq!(charge["three_d_secure_status"], Value::Null);
        let (status, code, _) = merchant.finish_of_charge(text(&charge, "id")).await;
        assert_eq!((status, code.as_str()), (400, "not_in_three_d_secure_flow"));

        // Whoever was deleted meanwhile is not charged.
        let waiting =
            merchant.made("/v1/charges", &[&sale[..], &[("three_d_secure", "true")]].concat()).await;
        let waiting = text(&waiting, "id");
        merchant.answer(waiting, "succeed", "").await;
        let path = format!("{}/v1/customers/{}", merchant.url, text(&plain, "id"));
        let deleting = merchant.client.delete(path).basic_auth(merchant.key("test", "secret"), Some(""));
        assert_eq!(deleting.send().await.unwrap().status().as_u16(), 200);
        assert_eq!(merchant.finish_of_charge(waiting).await.0, 404);
        assert_eq!(booked(installation), [text(&charge, "id")]);
        assert_eq!(server.stop(), Some(0));
        let doctor = installation.run(&["doctor"]);
        assert_eq!(doctor.code, 0, "{doctor:?}");
    })
    .await;
}

#[tokio::test]
async fn a_charge_that_waits_outlives_the_server_unsent() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let id = merchant.waiting("4242424242424242", &[]).await;
        merchant.answer(&id, "succeed", "").await;
        assert_eq!(server.stop(), Some(0));
        // A server that starts takes up all that is not final.
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant { url: server.url(), ..merchant };
        server.wait_for_ticks(3);
        let waiting = merchant.get(&format!("/v1/charges/{id}")).await;
        assert_eq!((text(&waiting, "state"), booked(installation).len()), ("requires_customer", 0));
        assert_eq!(merchant.finish_of_charge(&id).await.0, 200);
        assert_eq!(booked(installation), [id.as_str()]);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_finished_charge_whose_answer_is_lost_is_found_out_and_charged_once() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let token = merchant.made("/v1/tokens", &[("sandbox_token", "sbx_timeout_after_1")]).await;
        let sale = [
            ("amount", "500"),
            ("currency", "jpy"),
            ("card", text(&token, "id")),
            ("three_d_secure", "true"),
        ];
        let charge = merchant.made("/v1/charges", &sale).await;
        let id = text(&charge, "id");
        merchant.answer(id, "succeed", "").await;
        let (first, again) = tokio::join!(merchant.finish_of_charge(id), merchant.finish_of_charge(id));
        for (status, code, body) in [first, again] {
            assert!(status == 200 || code == "payment_unknown", "{body}");
        }
        let path = format!("/v1/charges/{id}");
        let known_by = Instant::now() + PATIENCE;
        while merchant.get(&path).await["paid"] != true {
            assert!(Instant::now() < known_by, "its outcome was not found out");
            tokio::time::sleep(PAUSE).await;
        }
        assert_eq!(booked(installation), [id]);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_stored_card_is_asked_for_by_a_request() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let customer = merchant.customer().await;
        let (customer, card) = (text(&customer, "id"), text(&customer["cards"]["data"][0], "id"));
        let requests = "/v1/three_d_secure_requests";
        assert_eq!(merchant.refused(requests, &[]).await, (400, "missing_param".to_owned()));
        let token = merchant.token("4242424242424242", &[]).await;
        for wrong in ["car_unknown", customer, text(&token["card"], "id")] {
            assert_eq!(merchant.refused(requests, &[("resource_id", wrong)]).await.0, 404, "{wrong}");
        }
        let created = merchant.made(requests, &[("resource_id", card)]).await;
        let id = text(&created, "id");
        assert_eq!((id.len(), &id[..5]), (32, "tdsr_"));
        let expected = json!({
            "object": "three_d_secure_request", "id": id, "resource_id": card, "livemode": false,
            "created": created["created"], "state": "created", "started_at": null, "result_received_at": null,
            "finished_at": null, "expired_at": null, "tenant_id": null, "three_d_secure_status": "unverified",
        });
        assert_eq!(created, expected);
        let path = format!("{requests}/{id}");
        merchant.page(&merchant.start(id, ""), None, "ja").await;
        let started = merchant.get(&path).await;
        assert_eq!((text(&started, "state"), started["started_at"].is_i64()), ("in_progress", true));
        assert_eq!(merchant.answer(id, "succeed", "https://shop.example/").await.status, 303);
        let finished = merchant.get(&path).await;
        assert_eq!(
            [text(&finished, "state"), text(&finished, "three_d_secure_status")],
            ["finished", "verified"]
        );
        assert!(finished["result_received_at"].is_i64() && finished["finished_at"].is_i64(), "{finished}");
        let shown = merchant.get(&format!("/v1/customers/{customer}/cards/{card}")).await;
        assert_eq!(shown["three_d_secure_status"], "verified");
        let told = merchant.get(&format!("/v1/events?resource_id={card}&type=customer.card.updated")).await;
        assert_eq!(told["count"], 1, "{told}");

        let second = merchant.made(requests, &[("resource_id", card)]).await;
        let late = text(&second, "id");
        outlive(installation, "three_d_secure_requests", late, "made_at").await;
        let late_request = merchant.get(&format!("{requests}/{late}")).await;
        assert_eq!((text(&late_request, "state"), late_request["expired_at"].is_i64()), ("created", true));
        assert_eq!(merchant.page(&merchant.start(late, ""), None, "en").await.status, 400);
        let ids = |list: &Value| -> Vec<String> {
            list["data"].as_array().unwrap().iter().map(|row| text(row, "id").to_owned()).collect()
        };
        let all = merchant.get(requests).await;
        // The late one was made earlier now, and is still the newer one of billing time.
        assert_eq!(ids(&all).len(), 2);
        assert_eq!(ids(&merchant.get(&format!("{requests}?resource_id={card}&limit=1")).await).len(), 1);
        assert_eq!(merchant.get(&format!("{requests}?resource_id=car_other")).await["count"], 0);
        assert_eq!(merchant.get(&format!("{requests}?tenant_id=ten_x")).await["count"], 0);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn another_account_and_the_live_side_see_nothing() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let other = Merchant::new(installation, &server);
        let customer = merchant.customer().await;
        let card = text(&customer["cards"]["data"][0], "id");
        let requests = "/v1/three_d_secure_requests";
        let token = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        let charge = merchant.waiting("4242424242424242", &[]).await;
        let request = merchant.made(requests, &[("resource_id", card)]).await;
        let (token, request) = (text(&token, "id"), text(&request, "id"));
        assert_eq!(other.refused(requests, &[("resource_id", card)]).await.0, 404);
        assert_eq!(other.get(requests).await["count"], 0);
        let paths = [format!("/v1/tokens/{token}/tds_finish"), format!("/v1/charges/{charge}/tds_finish")];
        let live = merchant.key("live", "secret");
        for path in &paths {
            assert_eq!(other.refused(path, &[]).await, (404, "invalid_id".to_owned()), "{path}");
            assert_eq!(merchant.call(live, "POST", path, &[]).await.0, 404, "{path}");
        }
        for key in [live, other.key("test", "secret")] {
            assert_eq!(merchant.call(key, "GET", &format!("{requests}/{request}"), &[]).await.0, 404);
        }
        let live_public = merchant.key("live", "public");
        for id in [token, &charge, request] {
            assert_eq!(other.page(&other.start(id, ""), None, "en").await.status, 404, "{id}");
            let path = format!("/v1/tds/{id}/start?publickey={live_public}");
            assert_eq!(merchant.page(&path, None, "en").await.status, 404, "{id}");
        }
        // A public key finishes tokens, and charges nothing.
        let public = merchant.key("test", "public");
        assert_eq!(merchant.call(public, "POST", &paths[1], &[]).await.0, 401);
        assert_eq!(merchant.call(public, "POST", requests, &[("resource_id", card)]).await.0, 401);

        let unavailable = (400, json!("three_d_secure_unavailable"));
        let sale = [("amount", "500"), ("currency", "jpy"), ("card", token), ("three_d_secure", "true")];
        let of_token = [("sandbox_token", "sbx_ok"), ("three_d_secure", "true")];
        for (path, form) in [
            ("/v1/charges", &sale[..]),
            ("/v1/tokens", &of_token[..]),
            (requests, &[("resource_id", card)][..]),
        ] {
            let (status, body) = merchant.call(live, "POST", path, form).await;
            assert_eq!((status, body["error"]["code"].clone()), unavailable, "{path}");
        }
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn the_page_is_plain_and_lets_in_only_whom_it_was_made_for() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let token = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        let id = text(&token, "id");
        let back = "https://shop.example:8443/back?x=\"<y>";
        assert_eq!(merchant.page(&merchant.start(id, back), None, "en").await.status, 400, "not an address");
        let back = "https://shop.example:8443/back?x='y'";
        let page = merchant.page(&merchant.start(id, back), None, "en-US,en").await;
        assert_eq!(page.status, 200, "{}", page.text);
        let policy = "default-src 'none'; style-src 'self'; form-action 'self' https://shop.example:8443; \
                      base-uri 'none'; frame-ancestors 'none'";
        assert_eq!(page.policy, policy);
        for never in ["<script", "<style", "style=", " on", "javascript:", "<農園>"] {
            let rest = page.text.replace("Choose how the card holder answers to go on to the shop.", "");
            assert!(!rest.contains(never), "{never}: {rest}");
        }
        assert!(
            page.text.contains("みどり&lt;農園&gt;") && page.text.contains("lang=\"en\""),
            "{}",
            page.text
        );
        let japanese = merchant.page(&merchant.start(id, ""), None, "ja").await;
        assert!(japanese.text.contains("認証に成功する") && japanese.text.contains("認証に失敗する"));
        let style = merchant.page("/assets/page.css", None, "ja").await;
        assert_eq!((style.status, style.text.contains("button")), (200, true));

        let start = |key: &str, more: &str| format!("/v1/tds/{id}/start?publickey={key}{more}");
        let public = merchant.key("test", "public");
        for key in ["", "pk_test_0", merchant.key("test", "secret"), "%00"] {
            let page = merchant.page(&start(key, ""), None, "ja").await;
            assert_eq!((page.status, page.text.contains("公開鍵")), (401, true), "{key}: {}", page.text);
        }
        for back in ["javascript:alert(1)", "%2F%2Fevil.example", "a.b.c"] {
            let page = merchant.page(&start(public, &format!("&back_url={back}")), None, "en").await;
            assert_eq!(page.status, 400, "{back}");
        }
        for unknown in ["tok_1", "cus_1", "car_0000000000000000000000000000", "%ff"] {
            let page =
                merchant.page(&format!("/v1/tds/{unknown}/start?publickey={public}"), None, "en").await;
            assert_eq!(page.status, 404, "{unknown}");
        }

        // A form of another address, of another way back, or made by someone else.
        let action = format!("/v1/tds/{id}");
        let own = between(&page.text, "name=\"token\" value=\"", "\"").to_owned();
        let other = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        for (action, back, token) in [
            (action.as_str(), back, "0"),
            (&action, "https://evil.example/", &own),
            (&format!("/v1/tds/{}", text(&other, "id")), back, &own),
        ] {
            let form = [("publickey", public), ("back_url", back), ("token", token), ("result", "succeed")];
            assert_eq!(merchant.page(action, Some(&form), "en").await.status, 403, "{action}");
        }
        for result in ["", "verified"] {
            let form = [("publickey", public), ("back_url", back), ("token", &own), ("result", result)];
            assert_eq!(merchant.page(&action, Some(&form), "en").await.status, 403, "{result}");
        }
        let unchanged = merchant.get(&format!("/v1/tokens/{id}")).await;
        assert_eq!(unchanged["card"]["three_d_secure_status"], "unverified");
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
