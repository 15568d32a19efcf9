//! What is refused before an operation runs, as its bytes go over the connection, and what is told of it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use teiki::routes::{Method, ROUTES};

use super::client::Client;
use super::isolation::examples::examples;
use super::isolation::sides::Side;
use super::shop::{ALSO_GOOD, GOOD, in_a_shop};
use crate::installation::{on_both, on_postgres, on_sqlite};
use crate::serve::Server;

/// Head and body of what is answered to these bytes, until the connection ends.
fn sent(server: &Server, bytes: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    (head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn what_is_no_request_at_all_is_answered_like_everything_else() {
    on_sqlite(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let get = |more: &str| format!("GET /v1/charges HTTP/1.1\r\nhost: x\r\n{more}\r\n");
        let many: String = (0..=100).map(|number| format!("x-{number}: 1\r\n")).collect();
        for (status, code, request) in [
            (400, "malformed_request", get("x: a\u{1}b\r\n")),
            (400, "malformed_request", get("content-length: abc\r\n")),
            (400, "malformed_request", get("content-length: 1\r\ncontent-length: 2\r\n")),
            (400, "malformed_request", get("no colon\r\n")),
            (400, "malformed_request", "GET /v1/charges HTTP/3.9\r\n\r\n".to_owned()),
            (431, "request_head_too_long", get(&many)),
            // Not a byte more than is read: what is left unread would tear the answer off.
            (431, "request_head_too_long", format!("GET /v1/charges?a={}", "a".repeat(64 * 1024 - 18))),
        ] {
            let (head, body) = sent(&server, request.as_bytes());
            let shown = &request[..request.len().min(80)];
            let body: Value =
                serde_json::from_str(&body).unwrap_or_else(|_| panic!("{shown}: {head} {body}"));
            let error = &body["error"];
            assert!(head.starts_with(&format!("http/1.1 {status} ")), "{shown}: {head}");
            assert_eq!((&error["status"], &error["code"]), (&status.into(), &code.into()), "{shown}");
            for line in ["request-id: req_", "content-type: application/json", "cache-control: no-store"] {
                assert!(head.contains(line), "{shown}: {head}");
            }
        }
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn who_sends_far_too_much_is_answered_and_may_go_on() {
    on_sqlite(async |installation| {
        let created = installation.place.run(&["account", "create", "one", "--json"]).json();
        let key = created["test"]["secret_key"].as_str().unwrap();
        let server = Server::start(&installation.place, &[]);
        // Before that it is not healthy.
        server.wait_for_ticks(1);
        let length = 1024 * 1024;
        for (path, key, code) in [
            ("/v1/customers", key, "request_too_large"),
            ("/v1/customers", "sk_test_0", "invalid_api_key"),
            ("/v1/nothing", key, "not_found"),
        ] {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: teiki\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            while !answer.ends_with("}}") {
                let mut part = [0; 1_024];
                let count = stream.read(&mut part).unwrap();
                assert!(count > 0, "{path}: {answer}");
                answer.push_str(std::str::from_utf8(&part[..count]).unwrap());
            }
            assert!(answer.contains(code), "{path}: {answer}");
            stream.write_all(&vec![b'a'; length]).unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: teiki\r\nconnection: close\r\n\r\n").unwrap();
            let mut next = String::new();
            stream.read_to_string(&mut next).unwrap();
            assert!(next.starts_with("HTTP/1.1 200 "), "{path}: {next}");
        }
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn the_style_of_pages_is_nothing_else() {
    on_sqlite(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let request = "GET /assets/page.css HTTP/1.1\r\nconnection: close\r\n\r\n";
        let (head, _) = sent(&server, request.as_bytes());
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn an_export_over_http_1_0_is_refused() {
    on_sqlite(async |installation| {
        let created = installation.place.run(&["account", "create", "one", "--json"]).json();
        let key = created["test"]["secret_key"].as_str().unwrap();
        let server = Server::start(&installation.place, &[]);
        for (path, status) in [("/v1/exports/events", 400), ("/v1/exports", 200)] {
            let request = format!("GET {path} HTTP/1.0\r\nauthorization: Bearer {key}\r\n\r\n");
            let (head, body) = sent(&server, request.as_bytes());
            assert!(head.contains(&format!(" {status} ")), "{head}");
            assert_eq!(status == 400, body.contains("http_version_unsupported"), "{body}");
        }
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn an_empty_filter_does_not_show_everything() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let own = Side::objects_of_test(client, "marker").await;
        let lists =
            ROUTES.iter().filter(|route| route.method == Method::Get && route.operation.answer.is_list());
        let mut tried = 0;
        for route in lists {
            for param in route.operation.params {
                let Some(request) = examples(route).iter().find_map(|example| example.own(route, &own))
                else {
                    continue;
                };
                let answer = client.get(&format!("{}?{}=", request.address(), param.name)).await;
                assert_eq!(
                    (answer.status, &answer.body["error"]["param"]),
                    (400, &param.name.into()),
                    "{answer:?}"
                );
                tried += 1;
            }
        }
        assert!(tried > 50, "only {tried}");
    })
    .await;
}

#[tokio::test]
async fn an_empty_id_does_not_do_another_thing() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        client.plan("plus", 1_500, &[]).await;
        let customer = client.customer(GOOD).await;
        let token = client.token(ALSO_GOOD).await;
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        let sale = [("amount", "100"), ("currency", "jpy"), ("customer", customer.as_str())];
        let subscription = format!("/v1/subscriptions/{id}");
        for (path, form, empty) in [
            ("/v1/charges", &sale[..], "card"),
            ("/v1/customers", &[("card", token.as_str())], "test_clock"),
            ("/v1/customers", &[], "card"),
            (&format!("/v1/customers/{customer}"), &[], "default_card"),
            (&subscription, &[], "plan"),
        ] {
            let form = [form, &[(empty, "")]].concat();
            let refused = client.post(path, &form).await.refused(400, "invalid_id");
            assert_eq!(refused["param"], empty, "{path}");
        }
        let preview = format!("/v1/invoices/preview?subscription={id}&plan=");
        assert_eq!(client.get(&preview).await.refused(400, "invalid_id")["param"], "plan");
        assert_eq!(client.charges(&customer).await.len(), 1);
        // What an empty value clears.
        client.act(&id, "", &[("next_cycle_plan", "plus")]).await.ok();
        assert!(client.act(&id, "", &[("next_cycle_plan", "")]).await.ok()["next_cycle_plan"].is_null());
        client.post("/v1/account_settings", &[("test_clock", "")]).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_refused_key_is_counted_and_told_without_what_opens_anything() {
    on_both(async |installation| {
        let created = installation.place.run(&["account", "create", "one", "--json"]).json();
        let server = Server::start(&installation.place, &[]);
        let unknown = "sk_test_0123456789abcdef0123456789abcdef0123456789abcdef";
        let client = |key: Option<&str>| Client::new(&server.url(), key);
        client(Some(unknown)).get("/v1/customers").await.refused(401, "invalid_api_key");
        client(None).get("/v1/customers").await.refused(401, "no_api_key");
        let public = client(created["test"]["public_key"].as_str());
        assert_eq!(public.get("/v1/customers").await.status, 401);
        let page = "GET /v1/tds/tok_1/start?publickey=pk_test_0 HTTP/1.1\r\nconnection: close\r\n\r\n";
        assert!(sent(&server, page.as_bytes()).0.starts_with("http/1.1 401 "));
        for (code, count) in
            [("invalid_api_key", 2), ("no_api_key", 1), ("not_allowed", 1), ("over_capacity", 0)]
        {
            assert_eq!(
                server.metric(&format!("teiki_keys_refused_total{{code=\"{code}\"}}")),
                count,
                "{code}"
            );
        }
        assert_eq!(server.stop(), Some(0));
        let log = Server::log(&installation.place);
        let told: Vec<&str> = log.lines().filter(|line| line.contains("a key was refused")).collect();
        assert_eq!(told.len(), 1, "{log}");
        for part in ["WARN", "req_", "invalid_api_key", "sk_test_****cdef", "/v1/customers"] {
            assert!(told[0].contains(part), "{part}: {}", told[0]);
        }
        assert!(!log.contains(unknown));
    })
    .await;
}

#[tokio::test]
async fn the_log_says_who_made_and_ended_keys() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let made = owner.post("/v1/api_keys", &[("kind", "public")]).await.ok();
        let id = made["id"].as_str().unwrap();
        owner.post(&format!("/v1/api_keys/{id}/roll"), &[("expires_in", "60")]).await.ok();
        owner.delete(&format!("/v1/api_keys/{id}")).await.ok();
        let keys = owner.get("/v1/api_keys").await.ok();
        let by = keys["data"].as_array().unwrap().iter().find(|key| key["kind"] == "secret").unwrap()["id"]
            .as_str()
            .unwrap();
        let log = Server::log(&shop.installation.place);
        for did in ["made", "rolled", "revoked"] {
            let line = log.lines().find(|line| line.contains(&format!("an API key was {did}"))).unwrap();
            assert!(line.contains(id) && line.contains(by), "{line}");
        }
        assert!(!log.contains(made["secret"].as_str().unwrap()));
    })
    .await;
}

#[tokio::test]
async fn no_level_of_the_log_shows_what_a_statement_is_given() {
    on_postgres(async |installation| {
        let created = installation.place.run(&["account", "create", "one", "--json"]).json();
        let level = [("TEIKI_LOG", "trace,tokio_postgres::query=trace,hyper=trace")];
        let server = Server::start_with(&installation.place, &[], &level);
        let client = Client::new(&server.url(), created["test"]["secret_key"].as_str());
        let mail = "secret.person@example.com";
        client.post("/v1/customers", &[("email", mail), ("description", "a word of ours")]).await.ok();
        server.wait_for("teiki_events_delivered_total", 1);
        assert_eq!(server.stop(), Some(0));
        let log = Server::log(&installation.place);
        assert!(log.contains("customer.created"), "{log}");
        for secret in [mail, "a word of ours", "with parameters"] {
            assert!(!log.contains(secret), "{secret}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_server_keeps_on_disk_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let customer = client.customer(super::shop::GOOD).await;
        let sale = [("amount", "500"), ("currency", "jpy"), ("customer", customer.as_str())];
        client.post("/v1/charges", &sale).await.ok();
        let files: Vec<_> = std::fs::read_dir(shop.installation.place.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            // The test made it.
            .filter(|entry| entry.file_name() != "serve.log" && entry.path().is_file())
            .collect();
        assert!(!files.is_empty());
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.file_name());
        }
    })
    .await;
}
