//! What pages of other origins may call: what public keys may do, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::Value;
use teiki::routes::{Method as RouteMethod, ROUTES};
use teiki::web::Access;

use super::shop::{DECLINED, Shop, in_a_shop};

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// A request as a browser sends it from a page of another origin.
async fn from_a_page(shop: &Shop<'_>, method: &str, path: &str, more: &[(&str, &str)]) -> Response {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = reqwest::Client::new().request(method, format!("{}{path}", shop.server.url()));
    for (name, value) in [&[("origin", "https://shop.example")], more].concat() {
        request = request.header(name, value);
    }
    request.send().await.unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// The names of headers that are for pages of other origins.
fn cors(headers: &HeaderMap) -> BTreeSet<&str> {
    headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("access-control-")).collect()
}

/// Every answer that a page of another origin may read says just this.
fn must_be_open(response: &Response) {
    let headers = response.headers();
    assert_eq!(header(headers, ALLOW_ORIGIN), Some("*"), "{response:?}");
    assert_eq!(
        header(headers, "access-control-expose-headers"),
        Some("Request-Id, Retry-After, Idempotent-Replayed")
    );
    assert_eq!(cors(headers).len(), 2, "{response:?}");
}

/// An address that there may be.
fn filled(path: &str) -> String {
    let parts: Vec<&str> =
        path.split('/').map(|part| if part.starts_with('{') { "none" } else { part }).collect();
    parts.join("/")
}

const fn name(method: RouteMethod) -> &'static str {
    match method {
        RouteMethod::Get => "GET",
        RouteMethod::Post => "POST",
        RouteMethod::Delete => "DELETE",
    }
}

/// The methods of each address that are open to public keys.
fn addresses() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut addresses: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for route in ROUTES {
        let open = addresses.entry(route.path).or_default();
        if route.operation.access == Access::Public {
            open.insert(name(route.method));
        }
    }
    addresses
}

#[tokio::test]
async fn a_browser_is_let_in_exactly_where_a_public_key_is() {
    in_a_shop(async |shop| {
        let key = format!("Bearer {}", shop.teiki.public.key().unwrap());
        for route in ROUTES {
            for headers in [&[][..], &[("authorization", key.as_str())]] {
                let response = from_a_page(shop, name(route.method), &filled(route.path), headers).await;
                if route.operation.access == Access::Public {
                    must_be_open(&response);
                } else {
                    assert_eq!(response.status(), 401, "{response:?}");
                    assert!(cors(response.headers()).is_empty(), "{response:?}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_browser_asks_first_is_answered_for_open_addresses_only() {
    in_a_shop(async |shop| {
        let addresses = addresses();
        assert_eq!(addresses.values().filter(|open| !open.is_empty()).count(), 4);
        for (path, open) in addresses {
            let asks = [
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "authorization"),
            ];
            let response = from_a_page(shop, "OPTIONS", &filled(path), &asks).await;
            let headers = response.headers().clone();
            assert!(header(&headers, "request-id").is_some(), "{response:?}");
            if open.is_empty() {
                assert_eq!(response.status(), 400, "{path}");
                assert!(cors(&headers).is_empty(), "{path}: {headers:?}");
                let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
                assert_eq!(body["error"]["type"], "not_allowed_method_error");
                continue;
            }
            assert_eq!(response.status(), 204, "{path}");
            assert_eq!(header(&headers, ALLOW_ORIGIN), Some("*"));
            let methods = header(&headers, "access-control-allow-methods").unwrap();
            assert_eq!(methods.split(", ").collect::<BTreeSet<_>>(), open, "{path}");
            let allowed = header(&headers, "access-control-allow-headers").unwrap();
            for name in ["Authorization", "Content-Type", "Idempotency-Key", "X-Payjp-Client-User-Agent"] {
                assert!(allowed.split(", ").any(|allowed| allowed == name), "{allowed}");
            }
            assert_eq!(header(&headers, "access-control-max-age"), Some("86400"));
            assert_eq!(cors(&headers).len(), 4, "{headers:?}");
        }
        for path in ["/v1/none", "/v1/tds/tok_none/start", "/healthz", "/metrics"] {
            let response = from_a_page(shop, "OPTIONS", path, &[]).await;
            assert!(cors(response.headers()).is_empty(), "{response:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_can_read_why_it_was_refused() {
    in_a_shop(async |shop| {
        let public = shop.teiki.public.key().unwrap();
        let bearer = format!("Bearer {public}");
        let key = ("authorization", bearer.as_str());
        for (status, method, path, headers) in [
            (401, "POST", "/v1/tokens", vec![]),
            (400, "POST", "/v1/tokens", vec![key]),
            (404, "GET", "/v1/tokens/none", vec![key]),
            (404, "GET", "/v1/tokens/%ff", vec![key]),
            (400, "PUT", "/v1/tokens", vec![key]),
            (400, "DELETE", "/v1/tokens/none", vec![key]),
        ] {
            let response = from_a_page(shop, method, path, &headers).await;
            assert_eq!(response.status(), status, "{method} {path}");
            must_be_open(&response);
        }
        bodies_are_refused_readably(shop, public).await;
        too_many_requests_are_refused_readably(shop).await;
    })
    .await;
}

async fn posted(shop: &Shop<'_>, key: &str, media_type: &str, body: String) -> Response {
    let request = reqwest::Client::new().post(format!("{}/v1/tokens", shop.server.url()));
    request.bearer_auth(key).header("content-type", media_type).body(body).send().await.unwrap()
}

/// A declined card, a body that is too long, and one of a kind that is not read.
async fn bodies_are_refused_readably(shop: &Shop<'_>, key: &str) {
    const FORM: &str = "application/x-www-form-urlencoded";
    let card = |number: &str| format!("card[number]={number}&card[exp_month]=12&card[exp_year]=2090");
    for (status, media_type, body) in [
        (200, FORM, card(DECLINED)),
        (402, FORM, card("4111111111111112")),
        (413, FORM, "a".repeat(70_000)),
        (415, "text/plain", "a".to_owned()),
    ] {
        let response = posted(shop, key, media_type, body).await;
        assert_eq!(response.status(), status, "{response:?}");
        must_be_open(&response);
    }
}

/// 429 with the seconds to wait.
async fn too_many_requests_are_refused_readably(shop: &Shop<'_>) {
    let account = shop.payjp.account.as_str();
    shop.installation.place.run(&["account", "set", account, "rate_limits=payjp"]).text();
    let key = format!("Bearer {}", shop.payjp.public.key().unwrap());
    let mut last = from_a_page(shop, "GET", "/v1/accounts/brands", &[("authorization", &key)]).await;
    for _ in 0..100 {
        if last.status() == 429 {
            break;
        }
        last = from_a_page(shop, "GET", "/v1/accounts/brands", &[("authorization", &key)]).await;
    }
    assert_eq!(last.status(), 429);
    assert!(last.headers().contains_key("retry-after"));
    must_be_open(&last);
}
