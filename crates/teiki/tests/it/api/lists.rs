//! What holds of every list: what it is asked for with, and where it begins.

use std::collections::BTreeSet;

use teiki::routes::{Method, ROUTES};

use super::client::Client;
use super::life::Life;
use super::shop::{ALSO_GOOD, GOOD, SMALL, id_of, in_a_shop, soon};

const START: &str = "2027-01-01T00:00:00Z";

/// A list, and the address at which one of its rows is deleted; empty if rows are never deleted. Addresses have the names of
/// `Shelf`'s ids in them.
const LISTS: [(&str, &str); 19] = [
    ("/v1/api_keys", "/v1/api_keys/{}"),
    ("/v1/balances", ""),
    ("/v1/charges", ""),
    ("/v1/customers", "/v1/customers/{}"),
    ("/v1/customers/{customer}/cards", "/v1/customers/{customer}/cards/{}"),
    ("/v1/customers/{customer}/subscriptions", "/v1/subscriptions/{}"),
    ("/v1/events", ""),
    ("/v1/exports", ""),
    ("/v1/invoices", ""),
    ("/v1/plan_switches", ""),
    ("/v1/plan_switches/{plan_switch}/subscriptions", ""),
    ("/v1/plans", "/v1/plans/{}"),
    ("/v1/statements", ""),
    ("/v1/subscriptions", "/v1/subscriptions/{}"),
    ("/v1/terms", ""),
    ("/v1/test_clocks", "/v1/test_clocks/{}"),
    ("/v1/three_d_secure_requests", ""),
    ("/v1/transfers", ""),
    ("/v1/webhook_endpoints", "/v1/webhook_endpoints/{}"),
];
/// What only has rows when a server sends something.
const DELIVERIES: &str = "/v1/webhook_endpoints/{webhook_endpoint}/deliveries";

/// Whose lists there are.
struct Shelf {
    customer: String,
    plan_switch: String,
    webhook_endpoint: String,
}

impl Shelf {
    /// Three rows in each list that can be deleted from.
    async fn fill(client: &Client) -> Self {
        let customer = client.customer(GOOD).await;
        for (number, id) in ["one", "two", "three"].into_iter().enumerate() {
            client.post("/v1/customers", &[("id", id)]).await.ok();
            client.plan(id, 500, &[]).await;
            client.subscribe(&customer, id, &[]).await;
            Life::begin(client, START).await;
            client.post("/v1/api_keys", &[("kind", "restricted")]).await.ok();
            let url = format!("https://receiver.invalid/{number}");
            client.post("/v1/webhook_endpoints", &[("url", &url)]).await.ok();
        }
        for card in [ALSO_GOOD, SMALL] {
            client.pay_with(&customer, card).await;
        }
        for id in ["four", "five", "six"] {
            client.plan(id, 500, &[]).await;
        }
        let form = [("plan", "four"), ("next_plan", "five"), ("effective_at", "4000000000")];
        let plan_switch = id_of(&client.post("/v1/plan_switches", &form).await.ok());
        let endpoints = client.get("/v1/webhook_endpoints").await.ok();
        Self { customer, plan_switch, webhook_endpoint: id_of(&endpoints["data"][2]) }
    }

    fn path(&self, path: &str) -> String {
        path.replace("{customer}", &self.customer)
            .replace("{plan_switch}", &self.plan_switch)
            .replace("{webhook_endpoint}", &self.webhook_endpoint)
    }
}

#[test]
fn every_list_is_in_the_table() {
    let all = ROUTES.iter().filter(|route| route.method == Method::Get && route.operation.answer.is_list());
    let all: BTreeSet<&str> = all.map(|route| route.path).collect();
    let known: BTreeSet<&str> = LISTS.iter().map(|list| list.0).chain([DELIVERIES]).collect();
    assert_eq!(all, known);
}

#[tokio::test]
async fn every_list_begins_after_a_row_that_was_deleted_and_names_the_parameter_of_one_that_never_was() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let shelf = Shelf::fill(client).await;
        for (list, deletion) in LISTS.into_iter().chain([(DELIVERIES, "")]) {
            let path = shelf.path(list);
            let unknown = client.get(&format!("{path}?starting_after=nope")).await.refused(404, "invalid_id");
            assert_eq!(unknown["param"], "starting_after", "{path}");
            client.get(&format!("{path}?limit=3&offset=0&since=0&until=4000000000")).await.ok();
            if deletion.is_empty() {
                continue;
            }
            let page = client.get(&format!("{path}?limit=1")).await.ok();
            let first = id_of(&page["data"][0]);
            let after = format!("{path}?starting_after={first}&limit=100");
            let ids = async || -> Vec<String> {
                client.get(&after).await.ok()["data"].as_array().unwrap().iter().map(id_of).collect()
            };
            let expected = ids().await;
            assert!(!expected.is_empty(), "{path} has two rows");
            client.delete(&shelf.path(deletion).replace("{}", &first)).await.ok();
            assert_eq!(ids().await, expected, "{path}");
        }
    })
    .await;
}

/// Everything that a list has, page by page.
async fn walked(client: &Client, list: &str, limit: usize) -> Vec<String> {
    let (mut walked, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{list}&limit={limit}{after}")).await.ok();
        walked.extend(page["data"].as_array().unwrap().iter().map(id_of));
        if page["has_more"] == false {
            return walked;
        }
        after = format!("&starting_after={}", walked.last().unwrap());
    }
}

#[tokio::test]
async fn events_of_few_types_are_those_of_all_without_the_others() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let shelf = Shelf::fill(client).await;
        let path = format!("/v1/plan_switches/{}", shelf.plan_switch);
        let is_reserved = async || (client.get(&path).await.ok()["status"] != "reserving").then_some(());
        soon("the reservation, which is the last event", is_reserved).await;
        let all = client.get("/v1/events?type=*&limit=100").await.ok();
        let of = |belongs: &dyn Fn(&str) -> bool| -> Vec<String> {
            let events = all["data"].as_array().unwrap().iter();
            events.filter(|event| belongs(event["type"].as_str().unwrap())).map(id_of).collect()
        };
        let lists: [(&str, Vec<String>); 5] = [
            ("type=plan.created", of(&|kind| kind == "plan.created")),
            ("type=customer.*", of(&|kind| kind.starts_with("customer."))),
            ("object=subscription", of(&|kind| kind.starts_with("subscription."))),
            ("type=*", of(&|_| true)),
            ("type=invoice.payment_failed", Vec::new()),
        ];
        for (filter, expected) in lists {
            let list = format!("/v1/events?{filter}");
            assert_eq!(expected.is_empty(), filter.contains("failed"), "{filter}");
            for limit in [1, 4, 100] {
                assert_eq!(walked(client, &list, limit).await, expected, "{filter} by {limit}");
            }
            for offset in 0..expected.len() {
                let page = client.get(&format!("{list}&limit=3&offset={offset}")).await.ok();
                let ids: Vec<String> = page["data"].as_array().unwrap().iter().map(id_of).collect();
                assert_eq!(ids, expected[offset..expected.len().min(offset + 3)], "{filter} from {offset}");
            }
        }
        let unknown = client.get("/v1/events?object=nothing").await.ok();
        assert_eq!(unknown["count"], 0);
    })
    .await;
}

#[tokio::test]
async fn exports_are_one_page_unless_fewer_are_asked_for() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let all = client.get("/v1/exports").await.ok();
        assert_eq!((&all["has_more"], all["count"].as_u64()), (&false.into(), Some(17)));
        let mut walked = Vec::new();
        let mut after = String::new();
        loop {
            let page = client.get(&format!("/v1/exports?limit=5{after}")).await.ok();
            walked.extend(page["data"].as_array().unwrap().clone());
            if page["has_more"] == false {
                break;
            }
            after = format!("&starting_after={}", id_of(walked.last().unwrap()));
        }
        assert_eq!(walked, *all["data"].as_array().unwrap());
        let second = client.get("/v1/exports?limit=1&offset=1").await.ok();
        assert_eq!(second["data"][0], all["data"][1]);
    })
    .await;
}
