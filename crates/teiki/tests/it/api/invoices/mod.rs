//! Invoices over HTTP: listing and showing them, paying an open one, and what a person does to them without a charge.

use serde_json::{Value, json};

use super::client::{Answer, Client, Form};

mod editing;
mod events;
mod listing;
mod paying;
mod preview;

const START: &str = "2027-01-15T06:00:00Z";
const FEBRUARY: &str = "2027-02-15T06:00:00Z";
const MARCH: &str = "2027-03-15T06:00:00Z";
const APRIL: &str = "2027-04-15T06:00:00Z";

async fn shown(client: &Client, invoice: &str) -> Value {
    client.get(&format!("/v1/invoices/{invoice}")).await.ok()
}

/// Does something to an invoice: an empty `action` edits it.
async fn act(client: &Client, invoice: &str, action: &str, form: Form<'_>) -> Answer {
    client.post(format!("/v1/invoices/{invoice}/{action}").trim_end_matches('/'), form).await
}

/// The invoices of a subscription, oldest first.
async fn of(client: &Client, subscription: &str) -> Vec<Value> {
    client.list(&format!("/v1/invoices?subscription={subscription}")).await
}

/// The id of its scheduled invoice.
async fn scheduled(client: &Client, subscription: &str) -> String {
    let path = format!("/v1/invoices?subscription={subscription}&status=scheduled");
    let [one] = <[Value; 1]>::try_from(client.list(&path).await).unwrap();
    assert_eq!((&one["issued_at"], &one["charges"]), (&Value::Null, &json!([])));
    one["id"].as_str().unwrap().to_owned()
}
