//! No object of another account or of the other mode can be read or changed: every route, with every kind of key, with the
//! ids of objects of each side.
//!
//! The requests are made from the table of routes and from `examples`; a route without an example fails the test.

pub(super) mod examples;
pub(super) mod sides;

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use teiki::routes::{Method, ROUTES, Route};

use self::examples::{Place, Request, examples};
use self::sides::{Keys, Objects, Side, Sides};
use super::client::{Answer, Client};
use super::shop::must_be_well;
use crate::installation::on_both;
use crate::serve::Server;

/// Requests under way at once: refusals are quick, and the server takes several.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn no_object_of_another_account_or_of_the_other_mode_is_readable_or_changeable() {
    on_both(async |installation| {
        let keys = Keys::make(installation).await;
        let server = Server::start(&installation.place, &[]);
        let sides = Sides::fill(installation, &keys, &server.url()).await;
        let before = sides.snapshots().await;
        foreign_objects_are_nobody_elses(&sides).await;
        must_be_the_same(&before, &sides.snapshots().await, "a foreign request changed something");
        forbidden_keys_are_refused(&sides, &Client::new(&server.url(), None), &keys.unknown(&server.url()))
            .await;
        must_be_the_same(&before, &sides.snapshots().await, "a forbidden key changed something");
        own_objects_are_ones_own(&sides).await;
        let after = sides.snapshots().await;
        must_be_the_same(&before[1..], &after[1..], "the work of one side changed another");
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

/// What the sides read is what they read before; a difference is shown by its request.
#[track_caller]
fn must_be_the_same(before: &[BTreeMap<String, Value>], after: &[BTreeMap<String, Value>], why: &str) {
    for (before, after) in before.iter().zip(after) {
        for (request, answer) in before {
            assert_eq!(after.get(request), Some(answer), "{why}: {request}");
        }
    }
}

/// Every route with an id of each other side in each place, and in all places.
async fn foreign_objects_are_nobody_elses(sides: &Sides) {
    let mut attempts = Vec::new();
    for own in sides.all() {
        for foreign in sides.all().into_iter().filter(|foreign| foreign.name != own.name) {
            for (client, kind) in own.clients() {
                let reached = ROUTES.iter().filter(|route| kind.may(route));
                attempts.extend(
                    reached
                        .flat_map(|route| trespasses(route, own, foreign))
                        .map(|request| (client, foreign, request)),
                );
            }
        }
    }
    assert!(attempts.len() > 500, "only {} attempts", attempts.len());
    stream::iter(attempts)
        .for_each_concurrent(AT_ONCE, async |(client, foreign, request)| {
            let answer = request.send(client).await;
            must_be_refused(&request, &answer);
            must_tell_nothing(&request, &answer, foreign);
        })
        .await;
}

/// The requests to a route with a foreign id in one of its places, and in all of them.
fn trespasses(route: &Route, own: &Side, foreign: &Side) -> Vec<Request> {
    let mut requests = Vec::new();
    // Settings are those of the account, whatever key they are changed with: its test clock is named to both sides.
    if route.path == "/v1/account_settings" && own.is_of_account_of(foreign) {
        return requests;
    }
    for example in examples(route) {
        let places = example.places();
        let all = places.clone();
        let mut choices: Vec<Vec<Place>> = places.into_iter().map(|place| vec![place]).collect();
        if choices.len() > 1 {
            choices.push(all);
        }
        let with = |choice: &Vec<Place>| example.request(route, &own.objects, &foreign.objects, choice);
        requests.extend(choices.iter().filter_map(with));
    }
    requests
}

/// 404 for an address; for a parameter an error or a list without rows.
fn must_be_refused(request: &Request, answer: &Answer) {
    let is_empty_list = answer.status == 200 && answer.body["object"] == "list" && answer.body["count"] == 0;
    let is_right = match answer.status {
        404 => true,
        400 => !request.is_foreign_address,
        200 => !request.is_foreign_address && request.method == Method::Get && is_empty_list,
        _ => false,
    };
    assert!(is_right, "{answer:?}");
}

/// Nothing of the foreign side is in the answer but the ids that were sent.
fn must_tell_nothing(request: &Request, answer: &Answer, foreign: &Side) {
    let text = answer.body.to_string();
    assert!(!text.contains(foreign.marker), "{answer:?}");
    for id in foreign.objects.values().filter(|id| !request.sends(id)) {
        assert!(!text.contains(id.as_str()), "{id}: {answer:?}");
    }
}

/// Without a key, with an unknown one, and with keys that may not: 401, also with ids that there are.
async fn forbidden_keys_are_refused(sides: &Sides, nobody: &Client, unknown: &Client) {
    let own = sides.all()[0];
    for route in ROUTES {
        for request in examples(route).iter().filter_map(|example| example.own(route, &own.objects)) {
            assert_eq!(request.send(nobody).await.refused(401, "no_api_key")["type"], "auth_error");
            assert_eq!(request.send(unknown).await.refused(401, "invalid_api_key")["type"], "auth_error");
            for (client, kind) in own.clients() {
                if !kind.may(route) {
                    let answer = request.send(client).await;
                    assert_eq!(answer.status, 401, "{answer:?}");
                    must_tell_nothing(&request, &answer, own);
                }
            }
        }
    }
}

/// The key that may do something can do it, so that the refusals above are no accident.
async fn own_objects_are_ones_own(sides: &Sides) {
    let own = sides.all()[0];
    for route in ROUTES {
        for example in examples(route) {
            // What is changed is new, so that no example spoils the next one.
            let fresh;
            let objects: &Objects = match route.method {
                Method::Get => &own.objects,
                Method::Post | Method::Delete => {
                    fresh = Side::objects_of_test(&own.secret, own.marker).await;
                    &fresh
                }
            };
            let Some(request) = example.own(route, objects) else { continue };
            let answer = request.send(&own.secret).await;
            assert_eq!(answer.status, example.own_status, "{answer:?}");
            if route.method != Method::Get {
                // A side has room for so many keys.
                own.secret.delete(&format!("/v1/api_keys/{}", objects["api_key"])).await.ok();
                // There may be a few only; this one may have been deleted just now.
                let path = format!("/v1/webhook_endpoints/{}", objects["webhook_endpoint"]);
                own.secret.delete(&path).await;
            }
        }
    }
    reading_keys_read(sides).await;
}

/// Live objects are read with the live key, test objects with the restricted one, tokens with the public one.
async fn reading_keys_read(sides: &Sides) {
    for side in sides.all() {
        for (client, kind) in side.clients() {
            let read = ROUTES.iter().filter(|route| route.method == Method::Get && kind.may(route));
            for route in read {
                for example in examples(route) {
                    if let Some(request) = example.own(route, &side.objects) {
                        let answer = request.send(client).await;
                        assert_eq!(answer.status, example.own_status, "{answer:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn the_same_chosen_id_is_another_object_on_each_side() {
    on_both(async |installation| {
        let keys = Keys::make(installation).await;
        let server = Server::start(&installation.place, &[]);
        let clients = keys.secrets(&server.url());
        for (number, client) in clients.iter().enumerate() {
            let text = number.to_string();
            client.plan("gold", 1_000, &[("name", &text)]).await;
            client.post("/v1/customers", &[("id", "gold"), ("description", &text)]).await.ok();
        }
        clients[0].delete("/v1/plans/gold").await.ok();
        clients[0].delete("/v1/customers/gold").await.ok();
        clients[0].get("/v1/plans/gold").await.refused(404, "invalid_id");
        for (number, client) in clients.iter().enumerate().skip(1) {
            let plan = client.get("/v1/plans/gold").await.ok();
            assert_eq!(plan["name"], Value::from(number.to_string()));
            let customer = client.get("/v1/customers/gold").await.ok();
            assert_eq!(customer["description"], Value::from(number.to_string()));
            let events = client.list("/v1/events?resource_id=gold").await;
            assert_eq!(events.len(), 2, "{events:?}");
        }
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
