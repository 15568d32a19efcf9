//! The OpenAPI document: what is kept is what the code says, and every answer that a test sees is one that it describes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};
use teiki::openapi;

use crate::place::Place;
use crate::serve::Server;

/// Where the document is kept, from this package.
const KEPT: &str = "../../docs/api/openapi.json";

/// The document, and what reads each schema of it.
struct Document {
    document: Value,
    validators: BTreeMap<String, Validator>,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let document = openapi::document();
    let mut schemas = document["components"]["schemas"].clone();
    schemas.as_object_mut().unwrap().values_mut().for_each(close);
    let validators = schemas.as_object().unwrap().keys().map(|name| {
        let schema =
            json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": schemas}});
        (name.clone(), jsonschema::draft202012::new(&schema).unwrap())
    });
    Document { validators: validators.collect(), document }
});

/// Clients must live with new fields; a test must not see one that is not described.
fn close(schema: &mut Value) {
    if schema["type"] == "object" && schema.get("additionalProperties").is_none() {
        schema["additionalProperties"] = json!(false);
    }
}

impl Document {
    /// The operation that a request reaches; `None` if it reaches none.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let asked: Vec<&str> = path.split('/').collect();
        let mut reached: Vec<(&String, &Value)> = self.document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(known, _)| fits(known, &asked))
            .collect();
        // A word comes before a variable.
        reached.sort_by_key(|(known, _)| known.matches('{').count());
        reached
            .first()
            .map(|(_, methods)| &methods[method.to_ascii_lowercase()])
            .filter(|known| known.is_object())
    }

    /// The response of this operation with this status.
    fn response<'a>(&'a self, operation: &'a Value, status: u16) -> Option<&'a Value> {
        let response = operation["responses"].get(status.to_string())?;
        match response["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')),
            None => Some(response),
        }
    }

    #[track_caller]
    fn must_fit(&self, name: &str, body: &Value) {
        let faults: Vec<String> = self.validators[name]
            .iter_errors(body)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "not a {name} as the document has it: {faults:#?} in {body:#}");
    }
}

fn fits(known: &str, asked: &[&str]) -> bool {
    let known: Vec<&str> = known.split('/').collect();
    known.len() == asked.len()
        && known
            .iter()
            .zip(asked)
            .all(|(known, asked)| known == asked || known.starts_with('{') && !asked.is_empty())
}

/// The answer to a request is one that the document describes: its status, its media type, and every field.
#[track_caller]
pub(super) fn must_describe(method: &str, path: &str, (status, media_type, body): (u16, &str, &Value)) {
    let document = &*DOCUMENT;
    let Some(operation) = document.operation(method, path) else {
        return document.must_fit("Error", body);
    };
    let response = document.response(operation, status);
    let response = response
        .unwrap_or_else(|| panic!("{method} {path} answers {status}, which is not described: {body}"));
    let content = response["content"].get(media_type);
    let content =
        content.unwrap_or_else(|| panic!("{method} {path} answers {media_type}, which is not described"));
    let Some(schema) = content["schema"]["$ref"].as_str() else {
        assert_eq!(content["schema"], json!({"type": "string"}));
        return assert!(body.is_string(), "{method} {path} is a file: {body}");
    };
    document.must_fit(schema.rsplit('/').next().unwrap(), body);
    events_in(body).for_each(|event| must_tell_of_an_object(document, event));
}

fn events_in(body: &Value) -> impl Iterator<Item = &Value> {
    let rows = body["data"].as_array().into_iter().flatten();
    std::iter::once(body).chain(rows).filter(|object| object["object"] == "event")
}

/// What an event tells of is today an object as it is described, or the answer to its deletion.
#[track_caller]
fn must_tell_of_an_object(document: &Document, event: &Value) {
    let told = &event["data"];
    let name = match told["object"].as_str() {
        None => "Deleted",
        Some("card") => "Card",
        Some("charge") => "Charge",
        Some("customer") => "Customer",
        Some("invoice") => "Invoice",
        Some("plan") => "Plan",
        Some("plan_switch") => "PlanSwitch",
        Some("subscription") => "Subscription",
        Some("test_clock") => "TestClock",
        Some("token") => "Token",
        Some("webhook_endpoint") => "WebhookEndpoint",
        Some(other) => panic!("an event of a {other}: {event}"),
    };
    document.must_fit(name, told);
}

#[test]
fn the_document_that_is_kept_is_the_one_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == openapi::text(),
        "docs/api/openapi.json is not what the code says: run cargo xtask openapi and read the difference"
    );
}

#[test]
fn every_schema_says_what_its_fields_are() {
    let schemas = &DOCUMENT.document["components"]["schemas"];
    for (name, schema) in schemas.as_object().unwrap() {
        assert_eq!(schema["type"], "object", "{name}");
        let properties = schema["properties"].as_object();
        for (field, property) in properties.into_iter().flatten() {
            assert!(property.is_object(), "{name}.{field} may be anything");
            assert_ne!(property["type"], "number", "{name}.{field}: amounts are whole");
        }
    }
}

#[tokio::test]
async fn the_document_is_served_without_a_key() {
    let place = Place::sqlite();
    let server = Server::start(&place, &[]);
    let url = format!("{}{}", server.url(), openapi::PATH);
    let http = reqwest::Client::new();
    let answer = http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("access-control-allow-origin"), "*");
    let tag = header("etag");
    assert_eq!(answer.text().await.unwrap(), openapi::text());
    for (known, status) in [(tag.as_str(), 304), ("\"other\"", 200)] {
        let again = http.get(&url).header("if-none-match", known).send().await.unwrap();
        assert_eq!((again.status().as_u16(), again.headers()["etag"] == tag), (status, true));
    }
    assert_eq!(http.delete(&url).send().await.unwrap().status(), 400);
    assert_eq!(server.stop(), Some(0));
}
