//! `Idempotency-Key`: whatever is repeated with the same key is done once, and answered the same.

use serde_json::Value;
use sha2::{Digest, Sha256};
use teiki::routes::{Method, ROUTES};

use super::client::{Client, Form};
use super::isolation::examples::examples;
use super::isolation::sides::Side;
use super::shop::{ALSO_GOOD, DECLINED, GOOD, id_of, in_a_shop};
use super::store::{StoredKey, abandon, idempotency_keys, take_away};

fn sale<'a>(customer: &'a str, amount: &'a str) -> [(&'a str, &'a str); 3] {
    [("amount", amount), ("currency", "jpy"), ("customer", customer)]
}

/// The newest events.
async fn events_told(client: &Client) -> Vec<String> {
    let page = client.get("/v1/events?limit=100").await.ok();
    page["data"].as_array().unwrap().iter().map(id_of).collect()
}

async fn count(client: &Client, customer: &str) -> usize {
    client.charges(customer).await.len()
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_and_does_nothing() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let customer = client.customer(GOOD).await;
        let keyed = client.keyed("order 7");
        let first = keyed.post("/v1/charges", &sale(&customer, "500")).await;
        assert!(!first.is_replay);
        let first = first.ok();
        for form in [sale(&customer, "500"), {
            let mut form = sale(&customer, "500");
            form.reverse();
            form
        }] {
            let again = keyed.post("/v1/charges", &form).await;
            assert!(again.is_replay);
            assert_eq!(again.ok(), first);
        }
        assert_eq!(count(client, &customer).await, 1);
        // What has become of it since is not told: that is what reading is for.
        let path = format!("/v1/charges/{}", id_of(&first));
        client.post(&format!("{path}/refund"), &[]).await.ok();
        assert_eq!(keyed.post("/v1/charges", &sale(&customer, "500")).await.ok(), first);
        // Without a key, and with another one, it is another request.
        client.post("/v1/charges", &sale(&customer, "500")).await.ok();
        client.keyed("order 8").post("/v1/charges", &sale(&customer, "500")).await.ok();
        assert_eq!(count(client, &customer).await, 3);
    })
    .await;
}

/// What its first try did is then not known: another key would do it twice.
#[tokio::test]
async fn who_cannot_be_told_what_a_key_has_done_is_told_to_keep_it() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let customer = client.customer(GOOD).await;
        let keyed = client.keyed("order 7");
        let first = keyed.post("/v1/charges", &sale(&customer, "500")).await.ok();
        let says_to_keep_it =
            |error: &Value| error["message"].as_str().unwrap().contains("same Idempotency-Key");
        for table in ["api_keys", "idempotency_keys"] {
            take_away(&shop.installation.db, table, true).await;
            let error = keyed.post("/v1/charges", &sale(&customer, "500")).await.refused(500, "payjp_wrong");
            assert!(says_to_keep_it(&error), "{table}: {error}");
            if table == "api_keys" {
                // An empty key is none.
                for without in [client, &client.keyed("")] {
                    let error = without.post("/v1/charges", &sale(&customer, "500")).await;
                    let error = error.refused(500, "payjp_wrong");
                    assert!(!says_to_keep_it(&error), "it has none: {error}");
                }
            }
            take_away(&shop.installation.db, table, false).await;
        }
        let again = keyed.post("/v1/charges", &sale(&customer, "500")).await;
        assert!(again.is_replay);
        assert_eq!(again.ok(), first);
        assert_eq!(count(client, &customer).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_side() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let customer = client.customer(GOOD).await;
        let keyed = client.keyed("k");
        keyed.post("/v1/charges", &sale(&customer, "500")).await.ok();
        keyed.post("/v1/charges", &sale(&customer, "501")).await.refused(409, "idempotency_conflict");
        keyed.post("/v1/customers", &[]).await.refused(409, "idempotency_conflict");
        let other = shop.payjp.test.customer(GOOD).await;
        let charged = shop.payjp.test.keyed("k").post("/v1/charges", &sale(&other, "500")).await;
        assert!(!charged.is_replay);
        charged.ok();
        let plan = [("amount", "500"), ("currency", "jpy"), ("interval", "month")];
        assert_eq!(shop.teiki.live.keyed("k").post("/v1/plans", &plan).await.ok()["livemode"], true);
        // It has no meaning where nothing is made.
        assert!(!keyed.get(&format!("/v1/customers/{customer}")).await.is_replay);
        let long = "k".repeat(256);
        for bad in [long.as_str(), "\u{e9}"] {
            let answer = client.keyed(bad).post("/v1/customers", &[]).await;
            answer.refused(400, "invalid_idempotency_key");
        }
        client.keyed(&long[1..]).post("/v1/customers", &[]).await.ok();
        let none = client.keyed("");
        assert_ne!(none.post("/v1/customers", &[]).await.ok(), none.post("/v1/customers", &[]).await.ok());
    })
    .await;
}

#[tokio::test]
async fn who_has_only_the_public_key_takes_no_key_of_the_merchant() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let customer = client.customer(GOOD).await;
        let token = [("sandbox_token", "sbx_ok")];
        let visitor = shop.teiki.public.keyed("order-1001");
        let made = visitor.post("/v1/tokens", &token).await.ok();
        let sold = client.keyed("order-1001").post("/v1/charges", &sale(&customer, "500")).await;
        assert!(!sold.is_replay);
        sold.ok();
        let again = visitor.post("/v1/tokens", &token).await;
        assert!(again.is_replay);
        assert_eq!(id_of(&again.ok()), id_of(&made));
    })
    .await;
}

#[tokio::test]
async fn who_may_only_read_takes_no_key_of_the_merchant() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let customer = client.customer(GOOD).await;
        client.plan("old", 900, &[]).await;
        client.plan("new", 1_000, &[]).await;
        let switch = [("plan", "old"), ("next_plan", "new"), ("effective_at", "1900000000")];
        let restricted = client.post("/v1/api_keys", &[("kind", "restricted")]).await.ok();
        let reader = Client::new(&shop.server.url(), restricted["secret"].as_str()).keyed("order-1001");
        reader.post("/v1/plan_switches/preview", &switch).await.ok();
        assert_eq!(reader.post("/v1/tokens", &[("sandbox_token", "sbx_ok")]).await.status, 401);
        let sold = client.keyed("order-1001").post("/v1/charges", &sale(&customer, "500")).await;
        assert!(!sold.is_replay);
        sold.ok();
    })
    .await;
}

#[tokio::test]
async fn a_declined_card_stays_declined_and_a_mistake_may_be_mended() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let customer = client.customer(DECLINED).await;
        for (key, path, form) in [
            ("sale", "/v1/charges", sale(&customer, "500").to_vec()),
            ("first", "/v1/subscriptions", vec![("customer", customer.as_str()), ("plan", "basic")]),
        ] {
            let keyed = client.keyed(key);
            let error = keyed.post(path, &form).await.refused(402, "card_declined");
            let again = keyed.post(path, &form).await;
            assert!(again.is_replay);
            assert_eq!(again.refused(402, "card_declined"), error);
        }
        assert_eq!(count(client, &customer).await, 2);
        client.pay_with(&customer, ALSO_GOOD).await;
        client.keyed("sale").post("/v1/charges", &sale(&customer, "500")).await.refused(402, "card_declined");
        // 400 and 404 are not the last word, and leave the key free.
        let keyed = client.keyed("mended");
        keyed.post("/v1/charges", &sale(&customer, "1")).await.refused(400, "invalid_amount");
        keyed.post("/v1/charges", &sale("nobody", "500")).await.refused(404, "invalid_id");
        keyed.post("/v1/charges", &sale(&customer, "500")).await.ok();
        let path = "/v1/subscriptions";
        let subscribe = [("customer", customer.as_str()), ("plan", "plus")];
        client.keyed("later").post(path, &subscribe).await.refused(404, "invalid_plan");
        client.plan("plus", 1_500, &[]).await;
        client.keyed("later").post(path, &subscribe).await.ok();
    })
    .await;
}

#[tokio::test]
async fn of_equal_requests_at_once_one_works_and_all_are_answered_by_it() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[]).await;
            let customer = client.customer(GOOD).await;
            let (keyed, form) =
                (client.keyed("at once"), [("customer", customer.as_str()), ("plan", "basic")]);
            let all = (0..12).map(|_| keyed.post("/v1/subscriptions", &form));
            let answers = futures_util::future::join_all(all).await;
            assert_eq!(answers.iter().filter(|answer| !answer.is_replay).count(), 1, "{answers:?}");
            let bodies: Vec<Value> = answers.into_iter().map(super::client::Answer::ok).collect();
            assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
            assert_eq!(count(client, &customer).await, 1);
        }
    })
    .await;
}

/// Every POST that the table of routes has, with the examples of the isolation matrix.
#[tokio::test]
async fn every_post_is_done_once() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let mut tried = 0;
        for (number, route) in ROUTES.iter().filter(|route| route.method == Method::Post).enumerate() {
            for (form, example) in
                examples(route).into_iter().enumerate().filter(|(_, it)| it.own_status == 200)
            {
                let own = Side::objects_of_test(client, "markerofmine").await;
                let Some(request) = example.own(route, &own) else { continue };
                let keyed = client.keyed(&format!("route {number}.{form}"));
                let first = request.send(&keyed).await;
                assert!(!first.is_replay);
                let (first, told) = (first.ok(), events_told(client).await);
                let again = request.send(&keyed).await;
                assert!(again.is_replay, "{} does not keep its answer", route.path);
                assert_eq!(again.ok(), without_secret(first.clone()), "{}", route.path);
                assert_eq!(events_told(client).await, told, "{} was done twice", route.path);
                tried += 1;
                // A side has room for so many endpoints.
                for id in [own["webhook_endpoint"].as_str(), first["id"].as_str().unwrap_or_default()] {
                    client.delete(&format!("/v1/webhook_endpoints/{id}")).await;
                }
            }
        }
        assert!(tried >= 20, "only {tried} requests");
    })
    .await;
}

/// A secret is in the first answer alone.
fn without_secret(mut answer: Value) -> Value {
    for name in ["secret", "token"] {
        if let Some(secret) = answer.get_mut(name) {
            assert!(secret.is_string());
            *secret = Value::Null;
        }
    }
    answer
}

#[tokio::test]
async fn neither_a_key_nor_what_was_sent_is_stored() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let card = [
            ("card[number]", GOOD),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2090"),
            ("card[cvc]", "123"),
        ];
        client.keyed("a key of some meaning").post("/v1/tokens", &card).await.ok();
        let [stored] = <[StoredKey; 1]>::try_from(idempotency_keys(&shop.installation.db).await).unwrap();
        assert_eq!((stored.key_hash.len(), stored.request_hash.len()), (32, 32));
        assert_ne!(stored.key_hash, Sha256::digest("a key of some meaning").to_vec(), "not a plain hash");
        assert!(!stored.texts.contains("some meaning") && !stored.texts.contains(GOOD), "{}", stored.texts);
    })
    .await;
}

/// A row as a process leaves it that dies before it answers: what its try has done is not done again.
#[tokio::test]
async fn a_repeat_goes_on_from_what_a_dead_process_has_done() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let customer = client.customer(GOOD).await;
        let sold = client.post("/v1/charges", &sale(&customer, "500")).await.ok();
        let refund = format!("/v1/charges/{}/refund", id_of(&sold));
        let subscribe = [("customer", customer.as_str()), ("plan", "basic")];
        let requests: [(&str, Form<'_>); 4] = [
            ("/v1/charges", &sale(&customer, "700")),
            (&refund, &[("amount", "100")]),
            ("/v1/subscriptions", &subscribe),
            ("/v1/customers", &[("description", "new")]),
        ];
        for (path, form) in requests {
            let keyed = client.keyed(path);
            let first = keyed.post(path, form).await.ok();
            let told = events_told(client).await;
            abandon(&shop.installation.db).await;
            let again = keyed.post(path, form).await;
            assert!(!again.is_replay, "it goes on, and looks again");
            assert_eq!(again.ok(), first, "{path}");
            assert_eq!(events_told(client).await, told, "{path} was done twice");
            assert!(keyed.post(path, form).await.is_replay);
        }
        assert_eq!(count(client, &customer).await, 3);
    })
    .await;
}
