//! Three sides with objects of every kind: an account's test side and live side, and another account's test side.

use std::collections::BTreeMap;

use billing::id::{EventId, Slot, WebhookDeliveryId};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use teiki::api_keys::{KeyKind, key_hash};
use teiki::routes::{Method, ROUTES, Route};
use teiki::web::Access;

use super::super::client::Client;
use super::super::shop::{GOOD, Merchant, account, id_of, soon};
use super::examples::examples;
use crate::installation::{DUE_AT, Installation, Side as Owner, WRITTEN_AT};

/// Ids by the name of their place in an address.
pub(in crate::api) type Objects = BTreeMap<&'static str, String>;

/// A key that may read, of the first account's test side.
const RESTRICTED: &str = "rk_test_000102030405060708090a0b0c0d0e0f1011121314151617";
/// A key of nobody.
const UNKNOWN: &str = "sk_test_ffffffffffffffffffffffffffffffffffffffffffffffff";
/// On the live side things are written directly: nothing can be paid there yet. This is what is written about people.
const LIVE_MARKER: &str = "taro@example.jp";

/// The POSTs that change nothing.
const READING_POSTS: &[&str] = &["/v1/plan_switches/preview"];

/// What a key may do, said a second time.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Power(KeyKind);

impl Power {
    pub(in crate::api) fn may(self, route: &Route) -> bool {
        let access = route.operation.access;
        match self.0 {
            KeyKind::Secret => true,
            KeyKind::Restricted if route.method == Method::Get => access != Access::Write,
            KeyKind::Restricted => READING_POSTS.contains(&route.path),
            KeyKind::Public => access == Access::Public,
        }
    }
}

/// The accounts, as they were made.
pub(in crate::api) struct Keys {
    one: Value,
    other: Value,
}

impl Keys {
    pub(in crate::api) async fn make(installation: &Installation) -> Self {
        let [one, other] = ["one", "other"].map(|name| account(&installation.place, name));
        let row = vec![
            ("id", "key_restricted".into()),
            ("account_id", one["account"].as_str().unwrap().into()),
            ("mode", "test".into()),
            ("kind", "restricted".into()),
            ("hash", crate::installation::Is::Bytes(key_hash(RESTRICTED).to_vec())),
            ("last4", "1617".into()),
            ("created_at", WRITTEN_AT.into()),
        ];
        installation.insert("api_keys", row).await;
        Self { one, other }
    }

    pub(in crate::api) fn unknown(&self, url: &str) -> Client {
        Client::new(url, Some(UNKNOWN))
    }

    /// The secret keys of all four sides.
    pub(in crate::api) fn secrets(&self, url: &str) -> Vec<Client> {
        let of = |account: &Value| {
            let merchant = Merchant::new(account, url);
            [merchant.test, merchant.live]
        };
        [of(&self.one), of(&self.other)].concat()
    }
}

/// A side with its keys and objects.
pub(in crate::api) struct Side {
    pub(in crate::api) name: &'static str,
    /// A word that is in its objects and nowhere else.
    pub(in crate::api) marker: &'static str,
    pub(in crate::api) secret: Client,
    others: Vec<(Client, KeyKind)>,
    pub(in crate::api) objects: Objects,
}

/// All sides; the first one has every kind of key.
pub(in crate::api) struct Sides([Side; 3]);

impl Sides {
    pub(in crate::api) async fn fill(installation: &Installation, keys: &Keys, url: &str) -> Self {
        let [one, other] = [&keys.one, &keys.other].map(|account| Merchant::new(account, url));
        let restricted = Client::new(url, Some(RESTRICTED));
        let mut sides = Self::filled(installation, [one, other], restricted).await;
        for (side, account) in sides.0.iter_mut().zip([&keys.one, &keys.one, &keys.other]) {
            let account = account["account"].as_str().unwrap();
            let mode = if side.name == "live" { "live" } else { "test" };
            let id = delivery(installation, (account, mode), &side.objects["webhook_endpoint"]).await;
            side.objects.insert("webhook_delivery", id);
        }
        sides
    }

    async fn filled(installation: &Installation, [one, other]: [Merchant; 2], restricted: Client) -> Self {
        let live = live_objects(installation, &one).await;
        Self([
            Side {
                name: "test",
                marker: "markeroftest",
                objects: Side::objects_of_test(&one.test, "markeroftest").await,
                secret: one.test,
                others: vec![(one.public, KeyKind::Public), (restricted, KeyKind::Restricted)],
            },
            Side { name: "live", marker: LIVE_MARKER, objects: live, secret: one.live, others: Vec::new() },
            Side {
                name: "other",
                marker: "markerofother",
                objects: Side::objects_of_test(&other.test, "markerofother").await,
                secret: other.test,
                others: Vec::new(),
            },
        ])
    }

    pub(in crate::api) fn all(&self) -> [&Side; 3] {
        [&self.0[0], &self.0[1], &self.0[2]]
    }

    /// Everything that each side's own key reads. The settings are those of the account, so they are read with the test key.
    pub(in crate::api) async fn snapshots(&self) -> Vec<BTreeMap<String, Value>> {
        let mut snapshots = Vec::new();
        for side in self.all() {
            let mut read = BTreeMap::new();
            let is_of_side = |route: &&Route| side.name != "live" || route.path != "/v1/account_settings";
            for route in ROUTES.iter().filter(|route| route.method == Method::Get).filter(is_of_side) {
                for request in examples(route).iter().filter_map(|it| it.own(route, &side.objects)) {
                    if side.name == "live" && request.sends("/v1/exports/accounts") {
                        continue;
                    }
                    let answer = request.send(&side.secret).await;
                    read.insert(format!("{request:?}"), without_uses(answer.body));
                }
            }
            snapshots.push(read);
        }
        snapshots
    }
}

impl Side {
    /// Whether both are sides of one account.
    pub(in crate::api) fn is_of_account_of(&self, side: &Self) -> bool {
        (self.name == "other") == (side.name == "other")
    }

    /// Its keys, and what each may do.
    pub(in crate::api) fn clients(&self) -> Vec<(&Client, Power)> {
        let secret = (&self.secret, Power(KeyKind::Secret));
        let others = self.others.iter().map(|(client, kind)| (client, Power(*kind)));
        std::iter::once(secret).chain(others).collect()
    }

    /// Objects of every kind on a test side: a customer who has a subscription, and a plan that nobody has.
    pub(in crate::api) async fn objects_of_test(client: &Client, marker: &str) -> Objects {
        let clock = [("frozen_time", "1800000000"), ("name", marker)];
        let clock = client.post("/v1/test_clocks", &clock).await.ok();
        let price = [("amount", "1000"), ("currency", "jpy"), ("interval", "month"), ("name", marker)];
        let had = id_of(&client.post("/v1/plans", &price).await.ok());
        let plan = id_of(&client.post("/v1/plans", &price).await.ok());
        let card = client.token(GOOD).await;
        let person = [("card", card.as_str()), ("description", marker), ("metadata[a]", marker)];
        let customer = client.post("/v1/customers", &person).await.ok();
        let id = id_of(&customer);
        let subscribed = [("customer", id.as_str()), ("plan", had.as_str()), ("metadata[a]", marker)];
        let subscription = id_of(&client.post("/v1/subscriptions", &subscribed).await.ok());
        let sale = [("amount", "500"), ("currency", "jpy"), ("customer", &id), ("description", marker)];
        let charge = client.post("/v1/charges", &sale).await.ok();
        let invoice = charge["invoice"].as_str().unwrap().to_owned();
        let charge = id_of(&charge);
        let events = client.list(&format!("/v1/events?resource_id={charge}")).await;
        let endpoint = endpoint(client, marker).await;
        let card = customer["default_card"].as_str().unwrap();
        let asked = client.post("/v1/three_d_secure_requests", &[("resource_id", card)]).await.ok();
        let key = client.post("/v1/api_keys", &[("kind", "restricted"), ("name", marker)]).await.ok();
        let next_plan = id_of(&client.post("/v1/plans", &price).await.ok());
        Objects::from([
            ("api_key", id_of(&key)),
            ("plan_switch", plan_switch(client, &plan, &next_plan).await),
            ("next_plan", next_plan),
            ("test_clock", id_of(&clock)),
            ("plan", plan),
            ("customer", id),
            ("card", card.to_owned()),
            ("three_d_secure_request", id_of(&asked)),
            ("token", client.token("sbx_ok").await),
            ("subscription", subscription),
            ("charge", charge),
            ("invoice", invoice),
            ("event", id_of(&events[0])),
            ("webhook_endpoint", endpoint),
        ])
    }
}

/// A plan switch that nobody belongs to, when nothing of it is left to do.
async fn plan_switch(client: &Client, plan: &str, next_plan: &str) -> String {
    let form = [("plan", plan), ("next_plan", next_plan), ("effective_at", "4000000000")];
    let id = id_of(&client.post("/v1/plan_switches", &form).await.ok());
    let scheduled = async || {
        let shown = client.get(&format!("/v1/plan_switches/{id}")).await.ok();
        (shown["status"] == "scheduled").then_some(())
    };
    soon("a plan switch is scheduled", scheduled).await;
    id
}

/// The same without when keys were last used, which every request may change.
fn without_uses(mut body: Value) -> Value {
    match &mut body {
        Value::Object(members) => {
            members.remove("last_used_at");
            members.values_mut().for_each(|member| *member = without_uses(member.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_uses(item.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    body
}

/// A webhook endpoint that takes nothing that happens here, so that nothing is sent.
async fn endpoint(client: &Client, marker: &str) -> String {
    let form = [
        ("url", "https://receiver.invalid/"),
        ("description", marker),
        ("enabled_events[]", "test_clock.failed"),
    ];
    id_of(&client.post("/v1/webhook_endpoints", &form).await.ok())
}

/// A delivery to it that was received, written directly.
pub(in crate::api) async fn delivery(
    installation: &Installation,
    (account, mode): (&str, &str),
    endpoint: &str,
) -> String {
    let at = Timestamp::from_microsecond(WRITTEN_AT).unwrap();
    let random: [u8; 32] = Sha256::digest(endpoint.as_bytes()).into();
    let id = WebhookDeliveryId::random(Slot(0), at, &random).to_string();
    let row = vec![
        ("slot", 0.into()),
        ("id", (&id).into()),
        ("account_id", account.into()),
        ("mode", mode.into()),
        ("endpoint_id", endpoint.into()),
        ("event_id", (&EventId::random(Slot(0), at, &random).to_string()).into()),
        ("event_type", "test_clock.failed".into()),
        ("history_id", (&id).into()),
        ("number", 1.into()),
        ("status", "delivered".into()),
        ("attempts", 1.into()),
        ("created_at", WRITTEN_AT.into()),
        // Long from now, so that it is not forgotten meanwhile.
        ("finished_at", DUE_AT.into()),
    ];
    installation.insert("webhook_deliveries", row).await;
    id
}

/// Objects of the live side, written directly.
async fn live_objects(installation: &Installation, merchant: &Merchant) -> Objects {
    merchant.live.plan("monthly", 980, &[("name", LIVE_MARKER)]).await;
    let owner = Owner { account: merchant.account.clone(), mode: "live" };
    let subscription = installation.subscription(&owner, "cus_of_the_live_side", "active", "real").await;
    let crate::installation::Paid { charge, invoice } = installation.paid(&subscription, 1).await;
    let path = format!("/v1/customers/{}/cards", subscription.customer);
    let cards = merchant.live.get(&path).await.ok();
    let card = id_of(&cards["data"][0]);
    let keys = vec![("slot", subscription.slot.into()), ("id", (&charge).into())];
    installation.change("charges", keys, vec![("payment_method_id", (&card).into())]).await;
    let events = merchant.live.list("/v1/events?object=plan").await;
    let endpoint = endpoint(&merchant.live, LIVE_MARKER).await;
    let price = [("amount", "50"), ("currency", "jpy"), ("interval", "month"), ("name", LIVE_MARKER)];
    let plan = id_of(&merchant.live.post("/v1/plans", &price).await.ok());
    let key = [("kind", "public"), ("name", LIVE_MARKER)];
    let next_plan = id_of(&merchant.live.post("/v1/plans", &price).await.ok());
    Objects::from([
        ("plan_switch", plan_switch(&merchant.live, &plan, &next_plan).await),
        ("next_plan", next_plan),
        ("api_key", id_of(&merchant.live.post("/v1/api_keys", &key).await.ok())),
        ("plan", plan),
        ("customer", subscription.customer.clone()),
        ("card", card),
        ("charge", charge),
        ("invoice", invoice),
        ("subscription", subscription.id.clone()),
        ("event", id_of(&events[0])),
        ("webhook_endpoint", endpoint),
    ])
}
