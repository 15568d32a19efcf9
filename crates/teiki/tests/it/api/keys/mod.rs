//! API keys: over HTTP and from the command line.

mod ending;
mod making;
mod uses;

use serde_json::Value;

use super::client::{Client, Form};
use super::shop::id_of;

/// A new key: what was answered, and its client.
pub(super) async fn made(owner: &Client, kind: &str, more: Form<'_>) -> (Value, Client) {
    let body = owner.post("/v1/api_keys", &[&[("kind", kind)], more].concat()).await.ok();
    let client = owner.with_key(secret_of(&body));
    (body, client)
}

/// The key in the one answer that shows it.
fn secret_of(body: &Value) -> &str {
    body["secret"].as_str().unwrap()
}

async fn shown(owner: &Client, id: &str) -> Value {
    owner.get(&format!("/v1/api_keys/{id}")).await.ok()
}

/// The id of the key of a client that sees only keys with these kinds.
async fn ids(owner: &Client, kind: &str) -> Vec<String> {
    let keys = owner.list("/v1/api_keys?").await;
    keys.iter().filter(|key| key["kind"] == kind).map(id_of).collect()
}

/// Whether a key opens anything.
async fn opens(client: &Client) -> bool {
    let answer = client.get("/v1/accounts/brands").await;
    assert!(answer.status == 200 || answer.status == 401, "{answer:?}");
    answer.status == 200
}
