//! Webhooks of the real binary, received by a real receiver: what is sent, in which order, what becomes of what is not
//! received, and where nothing is ever sent.

mod endpoints;
mod fair;
mod keys;
mod order;
mod private;
mod receiver;
mod retries;
mod sent;

use db::{Column, Error};
use serde_json::Value;

use self::receiver::Receiver;
use super::client::Client;
use super::shop::{Merchant, account, id_of, must_be_well, soon};
use crate::installation::{Installation, on_both};
use crate::serve::Server;

/// Lets endpoints be on this machine.
const PRIVATE: &[&str] = &["--allow-private-webhooks"];

/// A merchant whose server may send to this machine.
struct Post<'a> {
    installation: &'a Installation,
    merchant: Merchant,
    /// What `merchant` was made of, for other servers.
    created: Value,
}

impl Post<'_> {
    fn test(&self) -> &Client {
        &self.merchant.test
    }

    /// The merchant at another server.
    fn at(&self, server: &Server) -> Client {
        Merchant::new(&self.created, &server.url()).test
    }

    /// Changes a row directly, as time would.
    async fn set(&self, endpoint: &str, set: crate::installation::Row) {
        self.installation.change("webhook_endpoints", vec![("id", endpoint.into())], set).await;
    }

    /// Makes a delivery due, unless it was sent again meanwhile.
    async fn is_due(&self, delivery: &Value) {
        let id = delivery["id"].as_str().unwrap().to_owned();
        let slot = i64::from_str_radix(&id[4..6], 16).unwrap();
        let attempts = delivery["attempts"].as_i64().unwrap();
        let changed: Result<u64, Error> = self
            .installation
            .db
            .write(move |tx| {
                let keys = [
                    ("slot", Column::I64(vec![slot])),
                    ("id", Column::Text(vec![&id])),
                    ("attempts", Column::I64(vec![attempts])),
                ];
                let set = [("next_attempt_at", Column::I64(vec![0]))];
                tx.update_many("webhook_deliveries", &keys, &set, "next_attempt_at is not null")
            })
            .await;
        changed.unwrap();
    }
}

/// Runs a test with a merchant and a server on each engine. Afterwards the doctor must find nothing wrong.
async fn with_a_server(test: impl AsyncFn(&Post<'_>)) {
    with_its_server(PRIVATE, async |post, server| {
        test(&post).await;
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

/// The same of a test that ends its server itself, which was started with these arguments.
async fn with_its_server(arguments: &[&str], test: impl AsyncFn(Post<'_>, Server)) {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let server = Server::start(&installation.place, arguments);
        let merchant = Merchant::new(&created, &server.url());
        test(Post { installation, merchant, created }, server).await;
        must_be_well(&installation.place);
    })
    .await;
}

/// What a merchant does with webhooks.
impl Client {
    /// An endpoint at the receiver; as made, with its secrets.
    async fn endpoint(&self, receiver: &Receiver, more: super::client::Form<'_>) -> Value {
        let url = receiver.url();
        let form = [&[("url", url.as_str())], more].concat();
        self.post("/v1/webhook_endpoints", &form).await.ok()
    }

    async fn shown(&self, endpoint: &Value) -> Value {
        self.get(&format!("/v1/webhook_endpoints/{}", id_of(endpoint))).await.ok()
    }

    async fn change_endpoint(&self, endpoint: &Value, form: super::client::Form<'_>) -> Value {
        self.post(&format!("/v1/webhook_endpoints/{}", id_of(endpoint)), form).await.ok()
    }

    /// The log of an endpoint, oldest first.
    async fn deliveries(&self, endpoint: &Value) -> Vec<Value> {
        self.list(&format!("/v1/webhook_endpoints/{}/deliveries?", id_of(endpoint))).await
    }

    /// The one delivery of an endpoint, once it is as wanted.
    async fn delivery(&self, endpoint: &Value, what: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        soon(what, async || {
            let all = self.deliveries(endpoint).await;
            assert!(all.len() <= 1, "{all:?}");
            all.into_iter().next().filter(|delivery| is_right(delivery))
        })
        .await
    }

    /// A customer, who is an event.
    async fn someone(&self) -> String {
        id_of(&self.post("/v1/customers", &[]).await.ok())
    }

    async fn rename(&self, customer: &str) {
        self.post(&format!("/v1/customers/{customer}"), &[("description", "changed")]).await.ok();
    }
}

/// Whether an attempt failed and another one will be made. While one is being made, the next is half a minute away, which
/// no pause is.
fn is_to_be_retried(delivery: &Value) -> bool {
    let second = |name: &str| delivery[name].as_i64().unwrap_or(0);
    let pause = second("next_attempt_at") - second("last_attempt_at");
    status_of(delivery) == "waiting" && !delivery["last_error"].is_null() && !(20..=40).contains(&pause)
}

fn status_of(delivery: &Value) -> &str {
    delivery["status"].as_str().unwrap()
}
