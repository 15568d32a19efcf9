//! What stands in the files, for whom, and what is asked for in vain.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::client::Client;
use super::super::isolation::sides::{self, Objects};
use super::super::keys;
use super::super::life::Life;
use super::super::shop::{DECLINED, GOOD, Merchant, Shop, account, id_of, in_a_shop};
use super::super::store::card_secrets;
use super::{path, rows, subjects, take};
use crate::installation::{Side, on_both};
use crate::serve::Server;

/// Everything that a merchant may have, some of it deleted; and what is told to nobody.
async fn everything(shop: &Shop<'_>) -> (Objects, Vec<String>) {
    let client = &shop.teiki.test;
    let objects = sides::Side::objects_of_test(client, "mine").await;
    let secrets = secrets(shop).await;
    client.post(&format!("/v1/charges/{}/refund", objects["charge"]), &[("amount", "100")]).await.ok();
    sides::delivery(shop.installation, (&shop.teiki.account, "test"), &objects["webhook_endpoint"]).await;
    past_due(client).await;
    deleted(client).await;
    (objects, secrets)
}

/// A dunning case.
async fn past_due(client: &Client) {
    client.plan("basic", 1_000, &[]).await;
    let life = Life::begin(client, "2027-01-15T06:00:00Z").await;
    let customer = life.customer(GOOD).await;
    let subscription = client.subscribe(&customer, "basic", &[]).await;
    client.pay_with(&customer, DECLINED).await;
    life.advance("2027-02-15T06:00:00Z").await;
    assert_eq!(client.subscription(&subscription.id).await.status, "past_due");
}

/// A customer with a card and a subscription, a plan, an endpoint and a clock that are no more.
async fn deleted(client: &Client) {
    client.plan("gone", 1_000, &[]).await;
    let customer = client.customer(GOOD).await;
    client.subscribe(&customer, "gone", &[]).await;
    let clock = Life::begin(client, "2027-01-15T06:00:00Z").await.clock;
    let form = [("url", "https://gone.invalid/"), ("enabled_events[]", "test_clock.failed")];
    let endpoint = id_of(&client.post("/v1/webhook_endpoints", &form).await.ok());
    let card = id_of(&client.get(&format!("/v1/customers/{customer}/cards")).await.ok()["data"][0]);
    for path in [
        format!("/v1/customers/{customer}/cards/{card}"),
        format!("/v1/customers/{customer}"),
        "/v1/plans/gone".to_owned(),
        format!("/v1/test_clocks/{clock}"),
        format!("/v1/webhook_endpoints/{endpoint}"),
    ] {
        client.delete(&path).await.ok();
    }
}

/// Secrets of an endpoint and of keys.
async fn secrets(shop: &Shop<'_>) -> Vec<String> {
    let client = &shop.teiki.test;
    let form = [("url", "https://mine.invalid/"), ("enabled_events[]", "test_clock.failed")];
    let endpoint = client.post("/v1/webhook_endpoints", &form).await.ok();
    let text = |name: &str| endpoint[name].as_str().unwrap().to_owned();
    let keys = [client, &shop.teiki.public, &shop.teiki.live].map(|client| client.key().unwrap().to_owned());
    [vec![text("secret"), text("token")], keys.to_vec()].concat()
}

#[tokio::test]
async fn every_export_is_the_same_by_api_and_by_command_line() {
    in_a_shop(async |shop| {
        let (_, secrets) = everything(shop).await;
        let (client, account) = (&shop.teiki.test, shop.teiki.account.as_str());
        let list = client.get("/v1/exports").await.ok();
        for (subject, listed) in subjects().into_iter().zip(list["data"].as_array().unwrap()) {
            for (query, more) in [
                ("", &[][..]),
                ("?format=csv&bom=false", &["--format", "csv"]),
                ("?bom=True", &["--bom"]),
                ("?format=jsonl", &["--format", "jsonl"]),
            ] {
                let arguments = [&["export", subject, "--account", account], more].concat();
                let written = shop.installation.run(&arguments);
                let taken = take(client, subject, query).await.text();
                assert_eq!(taken, written.text(), "{subject}{query}");
                let header = usize::from(query != "?format=jsonl");
                assert!(taken.lines().count() > header, "{subject} has rows: {taken}");
                let told = secrets.iter().find(|secret| taken.contains(secret.as_str()));
                assert_eq!(told, None, "{subject}");
            }
            let header = take(client, subject, "").await.text();
            let columns: Vec<&str> = listed["columns"]
                .as_array()
                .unwrap()
                .iter()
                .map(|column| column["name"].as_str().unwrap())
                .collect();
            assert_eq!(header.lines().next().unwrap(), columns.join(","));
        }
        for secret in card_secrets(&shop.installation.db).await {
            for subject in ["cards", "charges", "customers", "subscriptions", "tokens"] {
                let told = take(client, subject, "").await.text();
                assert!(!told.contains(&secret), "{subject}: {secret}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_deleted_is_there_and_marked() {
    in_a_shop(async |shop| {
        let (objects, _) = everything(shop).await;
        let client = &shop.teiki.test;
        for (subject, kept) in [
            ("customers", "customer"),
            ("cards", "card"),
            ("plans", "plan"),
            ("subscriptions", "subscription"),
            ("webhook_endpoints", "webhook_endpoint"),
            ("test_clocks", "test_clock"),
        ] {
            let rows = rows(client, subject).await;
            let is_deleted = |row: &&Value| row["deleted_at"].is_string();
            assert!(rows.iter().any(|row| is_deleted(&row)), "{subject}: {rows:?}");
            let name = format!("{kept}_id");
            let kept = rows.iter().find(|row| row[&name] == objects[kept]).unwrap();
            assert_eq!(kept["deleted_at"], Value::Null, "{subject}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_lists_show_stands_in_the_files() {
    in_a_shop(async |shop| {
        let (objects, _) = everything(shop).await;
        let client = &shop.teiki.test;
        let one = async |subject: &str, column: &str, id: &str| {
            rows(client, subject).await.into_iter().find(|row| row[column] == id).unwrap()
        };
        let action = one("charge_actions", "charge_id", &objects["charge"]).await;
        assert_eq!(
            (&action["kind"], &action["status"], &action["amount"], &action["actor"]),
            (&json!("refund"), &json!("succeeded"), &json!(100), &json!("api"))
        );
        let charge = one("charges", "charge_id", &objects["charge"]).await;
        assert_eq!(
            (&charge["amount_refunded"], &charge["card_id"], &charge["gateway"]),
            (&json!(100), &json!(objects["card"]), &json!("sandbox"))
        );
        let card = one("cards", "card_id", &objects["card"]).await;
        assert_eq!((&card["gateway"], &card["last4"]), (&json!("sandbox"), &json!("4242")));
        let customer = one("customers", "customer_id", &objects["customer"]).await;
        assert_eq!(customer["default_card_id"], json!(objects["card"]));
        assert_eq!(
            (&customer["metadata"], &customer["description"]),
            (&json!({"a": "mine"}), &json!("mine"))
        );
        let invoice = one("invoices", "invoice_id", &objects["invoice"]).await;
        assert_eq!(invoice["lines"], json!([{"kind": "sale", "amount": 500, "tax_category": "standard"}]));
        let case = rows(client, "dunning_cases").await.remove(0);
        assert_eq!((&case["status"], &case["failure_class"]), (&json!("open"), &json!("generic")));
        let failed = one("charges", "invoice_id", case["invoice_id"].as_str().unwrap()).await;
        let clock = one("test_clocks", "test_clock_id", failed["test_clock_id"].as_str().unwrap()).await;
        assert_eq!(clock["frozen_time"], "2027-02-15T06:00:00Z");
        let switch = one("plan_switches", "plan_switch_id", &objects["plan_switch"]).await;
        assert_eq!((&switch["status"], &switch["excluded"]), (&json!("scheduled"), &json!([])));
        let asked = one("three_d_secure_requests", "card_id", &objects["card"]).await;
        assert_eq!(asked["three_d_secure_request_id"], json!(objects["three_d_secure_request"]));
    })
    .await;
}

#[tokio::test]
async fn an_empty_account_has_headers_and_itself() {
    in_a_shop(async |shop| {
        let client = &shop.payjp.live;
        for subject in subjects().into_iter().filter(|subject| *subject != "accounts") {
            let csv = take(client, subject, "").await.text();
            assert_eq!(csv.lines().count(), 1, "{csv}");
            assert_eq!(take(client, subject, "?bom=true").await.text(), format!("\u{feff}{csv}"));
            assert_eq!(take(client, subject, "?format=jsonl").await.text(), "");
        }
        let own = rows(client, "accounts").await;
        assert_eq!((own.len(), own[0]["account_id"].as_str()), (1, Some(shop.payjp.account.as_str())));
        assert_eq!((&own[0]["calendar"], &own[0]["renewal_failure"]), (&json!("payjp"), &json!("payjp")));
    })
    .await;
}

#[tokio::test]
async fn exports_are_listed_with_their_columns() {
    in_a_shop(async |shop| {
        let mut list = shop.teiki.live.get("/v1/exports").await.ok();
        let exports = list["data"].take();
        let expected = json!({"object": "list", "count": subjects().len(), "data": null, "has_more": false, "url": "/v1/exports"});
        assert_eq!(list, expected);
        let ids: Vec<&str> =
            exports.as_array().unwrap().iter().map(|export| export["id"].as_str().unwrap()).collect();
        assert_eq!(ids, subjects());
        let column = |name: &str, kind: &str| json!({"name": name, "type": kind});
        let expected = json!({
            "object": "export", "id": "ledger", "livemode": true, "path": "/v1/exports/ledger", "columns": [
                column("entry_id", "text"), column("posted_at", "instant"), column("kind", "text"), column("invoice_id", "text"),
                column("charge_id", "text"), column("debit", "text"), column("credit", "text"), column("amount", "integer"),
                column("currency", "text"), column("test_clock_id", "text"), column("test_clock_deleted_at", "instant"),
            ],
        });
        assert_eq!(exports[ids.iter().position(|id| *id == "ledger").unwrap()], expected);
    })
    .await;
}

#[tokio::test]
async fn only_rows_of_the_account_and_mode_of_the_key_are_shown() {
    on_both(async |installation| {
        let [one, other] = ["one", "other"].map(|name| account(&installation.place, name));
        let server = Server::start(&installation.place, &[]);
        let [one, other] = [one, other].map(|created| Merchant::new(&created, &server.url()));
        let mut sides = Vec::new();
        for (merchant, client, mode, customer) in [
            (&one, &one.test, "test", "cus_of_one"),
            (&one, &one.live, "live", "cus_of_live"),
            (&other, &other.test, "test", "cus_of_other"),
        ] {
            let side = Side { account: merchant.account.clone(), mode };
            // One of them is deleted: it is still nobody else's.
            for (customer, deleted_at) in [(customer.to_owned(), None), (format!("{customer}_gone"), Some(1))]
            {
                let subscription = installation.subscription(&side, &customer, "active", "real").await;
                installation.paid(&subscription, 1).await;
                if let Some(at) = deleted_at {
                    let key = vec![("slot", subscription.slot.into()), ("id", (&customer).into())];
                    installation.change("customers", key, vec![("deleted_at", at.into())]).await;
                }
            }
            client.plan(&format!("plan_of_{customer}"), 100, &[]).await;
            sides.push((client, customer));
        }
        for subject in subjects() {
            let mut ids = BTreeSet::new();
            let mut count = 0;
            for (client, own) in &sides {
                let rows = rows(client, subject).await;
                count += rows.len();
                for row in &rows {
                    let text = row.to_string();
                    let foreign =
                        sides.iter().map(|(_, name)| *name).find(|name| name != own && text.contains(name));
                    assert_eq!(foreign, None, "{subject} of {own}");
                    ids.insert(text);
                }
            }
            // The settings are those of the account.
            assert_eq!(ids.len(), if subject == "accounts" { 2 } else { count }, "{subject}");
        }
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn keys_that_read_may_export_and_public_ones_may_not() {
    in_a_shop(async |shop| {
        let secret = &shop.teiki.test;
        let (_, restricted) = keys::made(secret, "restricted", &[]).await;
        for subject in subjects() {
            let same = take(&restricted, subject, "").await.text();
            assert_eq!(same, take(secret, subject, "").await.text());
            let refused = shop.teiki.public.get(&path(subject, "")).await;
            assert_eq!((refused.status, &refused.body["error"]["type"]), (401, &json!("auth_error")));
        }
        let refused = shop.teiki.public.get("/v1/exports").await;
        assert_eq!((refused.status, &refused.body["error"]["type"]), (401, &json!("auth_error")));
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_for_in_vain_is_named() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        for (query, code, param) in [
            ("?format=xml", "invalid_format", "format"),
            ("?format=", "invalid_format", "format"),
            ("?format=CSV", "invalid_format", "format"),
            ("?bom=maybe", "invalid_boolean", "bom"),
            ("?format=jsonl&bom=true", "invalid_boolean", "bom"),
            ("?limit=1", "invalid_param_key", "limit"),
            ("?format=csv&format=jsonl", "invalid_param_key", "format"),
        ] {
            let error = client.get(&path("charges", query)).await.refused(400, code);
            assert_eq!(error["param"], param, "{query}");
        }
        take(client, "charges", "?format=jsonl&bom=false").await.text();
        for unknown in ["alarms", "charge", "Charges", "charges.csv"] {
            assert_eq!(client.get(&path(unknown, "")).await.refused(404, "invalid_id")["param"], "id");
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_has_a_name_and_is_kept_by_nobody() {
    in_a_shop(async |shop| {
        for (client, query, name, content_type) in [
            (
                &shop.teiki.test,
                "",
                ("teiki-charges-test-", ".csv"),
                "text/csv; charset=utf-8; header=present",
            ),
            (&shop.teiki.live, "?format=jsonl", ("teiki-charges-live-", ".jsonl"), "application/jsonl"),
        ] {
            let taken = take(client, "charges", query).await;
            let disposition = taken.header("content-disposition").unwrap();
            let file =
                disposition.strip_prefix("attachment; filename=\"").unwrap().strip_suffix('"').unwrap();
            let at = file.strip_prefix(name.0).unwrap().strip_suffix(name.1).unwrap();
            assert!(at.len() == 16 && at.ends_with('Z'), "{file}");
            assert_eq!(taken.header("content-type"), Some(content_type));
            assert_eq!(taken.header("cache-control"), Some("no-store"));
            assert_eq!(taken.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(
                (taken.header("content-length"), taken.header("transfer-encoding")),
                (None, Some("chunked"))
            );
            assert!(taken.header("request-id").unwrap().starts_with("req_"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_customer_cannot_put_a_formula_into_the_merchants_spreadsheet() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let formula = "=HYPERLINK(\"https://evil.example\",\"山田\")";
        client.post("/v1/customers", &[("name", formula), ("description", "@x")]).await.ok();
        let csv = take(client, "customers", "").await.text();
        assert!(csv.contains(",\"'=HYPERLINK(\"\"https://evil.example\"\",\"\"山田\"\")\",,'@x,"), "{csv}");
        assert_eq!(rows(client, "customers").await[0]["name"], formula);
    })
    .await;
}
