//! A card number is refused wherever it comes, and is kept nowhere: every text of every route, with live and test keys.
//!
//! The requests are made from the table of routes and its parameters, so that a new one is tried without being named here.

use std::collections::BTreeSet;

use teiki::routes::{Method, ROUTES, Route};
use teiki::web::params::{Kind, Param};

use super::client::{Answer, Client};
use super::shop::{GOOD, Merchant, account, id_of, must_be_well};
use super::store::every_row;
use crate::installation::{Installation, on_both};
use crate::place::with_client;
use crate::serve::Server;

/// A number that is nobody's, as people write it.
const NUMBERS: [&str; 4] =
    ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "４１１１１１１１１１１１１１１１"];

#[tokio::test(flavor = "multi_thread")]
async fn a_card_number_is_refused_in_every_text_of_every_route_and_kept_nowhere() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(&account(&installation.place, "shop"), &server.url());
        let mut attempts = 0;
        for client in [&merchant.test, &merchant.live] {
            let taken = client.key() == merchant.test.key();
            for route in ROUTES {
                attempts += in_every_text(client, route, taken).await;
            }
            in_every_dress(client).await;
        }
        assert!(attempts > 1_000, "only {attempts} attempts");
        public_keys_and_unknown_addresses(&merchant).await;
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
        for number in NUMBERS {
            must_be_nowhere(installation, number);
        }
    })
    .await;
}

/// Tries every place of a route, and says how many those were.
async fn in_every_text(client: &Client, route: &Route, taken: bool) -> usize {
    let [number, ..] = NUMBERS;
    let mut attempts = 0;
    let names = route.operation.params.iter().flat_map(|param| places(param, taken));
    for name in names.chain(["nothing_of_that_name".to_owned()]) {
        let client = client.keyed(&format!("{} {name}", route.path));
        let answer = send(&client, route, &addressed(route, None), &[(&name, number)]).await;
        must_be_refused(answer, &name);
        attempts += 1;
    }
    let named = [("metadata[4111111111111111]", "a"), ("4111111111111111", "a")];
    for form in named {
        let answer = send(client, route, &addressed(route, None), &[form]).await;
        must_be_refused(answer, &form.0.replace("411111111111", "************"));
        attempts += 1;
    }
    for place in 0..variables(route).count() {
        let answer = send(client, route, &addressed(route, Some(place)), &[]).await;
        must_be_refused(answer, "id");
        attempts += 1;
    }
    let keyed = client.keyed(number);
    must_be_refused(send(&keyed, route, &addressed(route, None), &[]).await, "Idempotency-Key");
    attempts + 1
}

/// How texts are sent for a parameter.
fn places(param: &Param, taken: bool) -> Vec<String> {
    let name = param.name;
    match param.kind {
        Kind::Metadata => vec![format!("{name}[a]")],
        Kind::Texts(members) => {
            let others = members.iter().filter(|member| !taken || member.name != "number");
            others.map(|member| format!("{name}[{}]", member.name)).collect()
        }
        Kind::List(..) => vec![name.to_owned(), format!("{name}[]")],
        Kind::Text(_)
        | Kind::Id
        | Kind::Int(..)
        | Kind::Bool
        | Kind::Choice(_)
        | Kind::InstantOrNow
        | Kind::Instant => vec![name.to_owned()],
    }
}

fn variables(route: &Route) -> impl Iterator<Item = &'static str> {
    route.path.split('/').filter(|part| part.starts_with('{'))
}

/// The address with the number in one of its variable parts.
fn addressed(route: &Route, place: Option<usize>) -> String {
    let [number, ..] = NUMBERS;
    let names: Vec<&str> = variables(route).collect();
    names.iter().enumerate().fold(route.path.to_owned(), |path, (at, name)| {
        path.replace(name, if place == Some(at) { number } else { "x" })
    })
}

async fn send(client: &Client, route: &Route, path: &str, form: &[(&str, &str)]) -> Answer {
    let method = match route.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Delete => reqwest::Method::DELETE,
    };
    client.send(method, path, form).await
}

#[track_caller]
fn must_be_refused(answer: Answer, param: &str) {
    must_show_no_number(&answer);
    let asked = format!("{answer:?}");
    let error = answer.refused(400, "card_number_refused");
    assert_eq!(error["param"], param, "{asked}");
}

#[track_caller]
fn must_show_no_number(answer: &Answer) {
    let shown = answer.body.to_string();
    assert!(NUMBERS.iter().all(|number| !shown.contains(number)), "{answer:?}");
}

/// However it is written, also where a text may be long.
async fn in_every_dress(client: &Client) {
    for number in NUMBERS {
        let text = format!("card {number} cvc 123");
        for name in ["name", "description", "metadata[a]"] {
            must_be_refused(client.post("/v1/customers", &[(name, &text)]).await, name);
        }
    }
}

/// Public keys may do little, and nobody gets an address repeated with a number in it.
async fn public_keys_and_unknown_addresses(merchant: &Merchant) {
    let [number, ..] = NUMBERS;
    let made = [("card[number]", GOOD), ("card[exp_month]", "12"), ("card[exp_year]", "2090")];
    let named = [&made[..], &[("card[name]", number)]].concat();
    must_be_refused(merchant.public.post("/v1/tokens", &named).await, "card[name]");
    let token = id_of(&merchant.public.post("/v1/tokens", &made).await.ok());
    let paid = [("amount", "100"), ("currency", "jpy"), ("card", token.as_str())];
    merchant.test.keyed("k").post("/v1/charges", &paid).await.ok();
    let paths = [
        "/v1/4111111111111111",
        "/v1/cards/4111%201111%201111%201111",
        "/4111-1111-1111-1111",
        "/v1/customers/4111111111111111/nothing",
    ];
    for path in paths {
        let answer = merchant.live.get(path).await;
        must_show_no_number(&answer);
        let error = answer.refused(404, "not_found");
        assert!(error["message"].as_str().unwrap().contains("1111"), "{error}");
    }
    let other = reqwest::Client::new().put(format!("{}/v1/customers/{number}", merchant.live.url()));
    let shown = other.send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("is not allowed for /v1/customers/************1111"), "{shown}");
}

/// Nothing in the folder of the installation, the log among it, nor in the database.
fn must_be_nowhere(installation: &Installation, number: &str) {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(installation.place.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let is_there = |kept: &str| bytes.windows(kept.len()).any(|window| window == kept.as_bytes());
        assert!(!is_there(number) && !is_there(GOOD), "{number} in {}", path.display());
        files.insert(path.file_name().unwrap().to_owned());
    }
    assert!(files.len() > 2, "{files:?}");
    if installation.place.url.starts_with("postgres") {
        let rows = with_client(&installation.place.url, every_row);
        assert!(rows.contains("customer_id") && !rows.contains(number) && !rows.contains(GOOD));
    }
}
