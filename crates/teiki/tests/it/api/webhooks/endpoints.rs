//! Making, changing and deleting endpoints, and what is refused.

use serde_json::{Value, json};

use super::super::shop::{id_of, soon};
use super::receiver::{Receiver, Reply};
use super::{status_of, with_a_server, with_its_server};

const URL: (&str, &str) = ("url", "https://receiver.example/hook");

#[tokio::test]
async fn an_endpoint_is_shown_without_its_secrets_but_where_they_are_made() {
    with_its_server(&[], async |post, server| {
        let client = post.test();
        let form = [URL, ("description", "店"), ("enabled_events[]", "charge.*"), ("status", "disabled")];
        let made = client.post("/v1/webhook_endpoints", &form).await.ok();
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
        assert!(made["token"].as_str().unwrap().starts_with("whook_"), "{made}");
        let shown = client.shown(&made).await;
        assert_eq!((shown.get("secret"), shown.get("token")), (None, None));
        for (name, value) in [
            ("object", json!("webhook_endpoint")),
            ("livemode", json!(false)),
            ("url", json!(URL.1)),
            ("description", json!("店")),
            ("enabled_events", json!(["charge.*"])),
            ("status", json!("disabled")),
            ("disabled_reason", json!("requested")),
            ("failing_since", Value::Null),
            ("former_secret_until", Value::Null),
        ] {
            assert_eq!(shown[name], value, "{name}");
        }
        let listed = client.get("/v1/webhook_endpoints").await.ok();
        assert_eq!((&listed["count"], &listed["data"][0]), (&json!(1), &shown));
        assert_eq!(post.merchant.live.get("/v1/webhook_endpoints").await.ok()["count"], 0);
        let form = [
            ("url", "https://other.example/"),
            ("description", ""),
            ("enabled_events", ""),
            ("status", "enabled"),
        ];
        let changed = client.change_endpoint(&made, &form).await;
        assert_eq!(changed["url"], "https://other.example/");
        assert_eq!((&changed["description"], &changed["enabled_events"]), (&Value::Null, &Value::Null));
        assert_eq!((&changed["status"], &changed["disabled_reason"]), (&json!("enabled"), &Value::Null));
        assert_eq!(client.change_endpoint(&made, &[]).await, changed);
        let path = format!("/v1/webhook_endpoints/{}", id_of(&made));
        assert_eq!(
            client.delete(&path).await.ok(),
            json!({"deleted": true, "id": made["id"], "livemode": false})
        );
        client.get(&path).await.refused(404, "invalid_id");
        client.get(&format!("{path}/deliveries")).await.refused(404, "invalid_id");
        client.delete(&path).await.refused(404, "invalid_id");
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_name() {
    with_its_server(&[], async |post, server| {
        let client = post.test();
        let made = client.post("/v1/webhook_endpoints", &[URL]).await.ok();
        let path = format!("/v1/webhook_endpoints/{}", id_of(&made));
        let wrong = [
            ("url", "", "invalid_url"),
            ("url", "http://receiver.example/", "invalid_url"),
            ("url", "https://127.0.0.1/", "invalid_url"),
            ("enabled_events[]", "charge.sucseeded", "invalid_enabled_events"),
            ("enabled_events[]", "", "invalid_enabled_events"),
            ("enabled_events[1]", "charge.succeeded", "invalid_enabled_events"),
            ("status", "paused", "invalid_status"),
            ("colour", "red", "invalid_param_key"),
        ];
        for (name, value, code) in wrong {
            let error = client.post(&path, &[(name, value)]).await.refused(400, code);
            let named = name.split('[').next().unwrap();
            assert_eq!(error["param"], named);
            if value == "charge.sucseeded" {
                assert!(error["message"].as_str().unwrap().contains(value), "{error}");
            }
        }
        // 120 characters, and 919 as it is sent.
        let long = format!("https://receiver.example/{}", "鯨".repeat(95));
        assert_eq!(client.post(&path, &[("url", &long)]).await.refused(400, "invalid_url")["param"], "url");
        let short = format!("https://receiver.example/{}", "鯨".repeat(40));
        let other = client.post("/v1/webhook_endpoints", &[("url", short.as_str())]).await.ok();
        let stored = other["url"].as_str().unwrap();
        assert!(stored.len() == 25 + 9 * 40 && stored.ends_with("%E9%AF%A8"), "{stored}");
        client.post("/v1/webhook_endpoints", &[]).await.refused(400, "missing_param");
        assert_eq!(client.shown(&made).await["url"], URL.1);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_side_has_at_most_sixteen_endpoints() {
    with_its_server(&[], async |post, server| {
        for client in [&post.merchant.test, &post.merchant.live] {
            let mut last = Value::Null;
            for _ in 0..16 {
                last = client.post("/v1/webhook_endpoints", &[URL]).await.ok();
            }
            client.post("/v1/webhook_endpoints", &[URL]).await.refused(400, "webhook_endpoints_over");
            client.delete(&format!("/v1/webhook_endpoints/{}", id_of(&last))).await.ok();
            client.post("/v1/webhook_endpoints", &[URL]).await.ok();
        }
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_is_disabled_or_deleted_gets_nothing() {
    with_a_server(async |post| {
        let client = post.test();
        // Takes nothing, so that something waits.
        let receiver = Receiver::that(|_, _| Reply::Status(500)).await;
        let endpoint = client.endpoint(&receiver, &[]).await;
        client.someone().await;
        receiver.wait_for(1).await;
        client.change_endpoint(&endpoint, &[("status", "disabled")]).await;
        client.someone().await;
        let log = soon("it is given up", async || {
            let log = client.deliveries(&endpoint).await;
            log.iter().all(|it| status_of(it) == "given_up").then_some(log)
        })
        .await;
        assert_eq!(log.len(), 1);
        let event = client.get(&format!("/v1/events/{}", log[0]["event"].as_str().unwrap())).await.ok();
        assert_eq!(event["pending_webhooks"], 0);
        client.delete(&format!("/v1/webhook_endpoints/{}", id_of(&endpoint))).await.ok();
        let [other, control] = [Receiver::start().await, Receiver::start().await];
        let gone = client.endpoint(&other, &[]).await;
        client.delete(&format!("/v1/webhook_endpoints/{}", id_of(&gone))).await.ok();
        client.endpoint(&control, &[]).await;
        client.someone().await;
        control.wait_for(1).await;
        assert_eq!((receiver.all().len(), other.all().len()), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn the_log_is_a_list_like_all_others() {
    with_a_server(async |post| {
        let (client, receiver) = (post.test(), Receiver::start().await);
        let endpoint = client.endpoint(&receiver, &[]).await;
        for _ in 0..5 {
            client.someone().await;
        }
        receiver.wait_for(5).await;
        let path = format!("/v1/webhook_endpoints/{}/deliveries", id_of(&endpoint));
        let get = async |query: &str| client.get(&format!("{path}?{query}")).await.ok();
        let all = get("").await;
        let ids =
            |page: &Value| -> Vec<String> { page["data"].as_array().unwrap().iter().map(id_of).collect() };
        assert_eq!((&all["count"], &all["has_more"], &all["url"]), (&json!(5), &json!(false), &json!(path)));
        let page = get("limit=2").await;
        assert_eq!((ids(&page), &page["has_more"]), (ids(&all)[..2].to_vec(), &json!(true)));
        assert_eq!(ids(&get("limit=2&offset=2").await), ids(&all)[2..4]);
        assert_eq!(ids(&get(&format!("limit=2&starting_after={}", ids(&all)[2])).await), ids(&all)[3..]);
        let created = all["data"][0]["created"].as_i64().unwrap();
        assert_eq!(get(&format!("since={}", created + 1)).await["count"], 0);
        assert_eq!(get(&format!("until={}", created - 600)).await["count"], 0);
        soon("all are delivered", async || (get("status=delivered").await["count"] == 5).then_some(())).await;
        assert_eq!(get("status=waiting").await["count"], 0);
        assert_eq!(get("status=given_up").await["count"], 0);
        client.get(&format!("{path}?status=lost")).await.refused(400, "invalid_status");
    })
    .await;
}
