//! Lists of invoices: by time, by each filter and by all of them, page by page.

use std::collections::BTreeSet;

use super::super::client::Client;
use super::super::life::Life;
use super::super::shop::{DECLINED, GOOD, id_of, in_a_shop, seconds};
use super::*;

/// Customers, subscriptions and sales of which there are invoices of every status.
struct Filled {
    one: String,
    other: String,
    subscription: String,
}

impl Filled {
    async fn fill(client: &Client) -> Self {
        client.plan("basic", 1_000, &[]).await;
        client.plan("plus", 1_500, &[]).await;
        let life = Life::begin(client, START).await;
        let (one, other) = (life.customer(GOOD).await, life.customer(GOOD).await);
        let subscription = client.subscribe(&one, "basic", &[]).await.id;
        client.subscribe(&one, "plus", &[]).await;
        let deleted = client.subscribe(&other, "plus", &[]).await.id;
        client.pay_with(&other, DECLINED).await;
        life.advance("2027-03-20T00:00:00Z").await;
        client.delete(&format!("/v1/subscriptions/{deleted}")).await.ok();
        client.subscribe(&other, "basic", &[("trial_end", &seconds(APRIL).to_string())]).await;
        life.advance("2027-04-16T00:00:00Z").await;
        for _ in 0..2 {
            let sale = [("amount", "500"), ("currency", "jpy"), ("customer", one.as_str())];
            client.post("/v1/charges", &sale).await.ok();
        }
        let id = scheduled(client, &subscription).await;
        act(client, &id, "skip", &[("reason", "on holiday")]).await.ok();
        Self { one, other, subscription }
    }
}

fn place(invoice: &Value) -> (i64, &str) {
    (invoice["due_at"].as_i64().unwrap(), invoice["id"].as_str().unwrap())
}

/// Ids of a list that was read page by page behind a cursor, newest first.
async fn by_cursor(client: &Client, path: &str, limit: usize) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let after = ids.last().map(|id| format!("&starting_after={id}")).unwrap_or_default();
        let page = client.get(&format!("{path}&limit={limit}{after}")).await.ok();
        let data = page["data"].as_array().unwrap();
        assert!(data.len() == limit || page["has_more"] == false, "{page}");
        ids.extend(data.iter().map(id_of));
        if page["has_more"] == false {
            return ids;
        }
    }
}

#[tokio::test]
async fn invoices_are_listed_by_when_they_are_due_with_every_filter() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let filled = Filled::fill(client).await;
        let all = client.list("/v1/invoices?").await;
        let statuses: BTreeSet<&str> = all.iter().map(|row| row["status"].as_str().unwrap()).collect();
        assert_eq!(Vec::from_iter(statuses), ["open", "paid", "scheduled", "uncollectible", "void"]);
        assert!(all.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])), "oldest first, each once");
        for row in &all {
            assert_eq!(*row, shown(client, row["id"].as_str().unwrap()).await);
        }
        let filters = [
            ("status", vec!["scheduled", "open", "paid", "void", "uncollectible"]),
            ("plan", vec!["basic", "plus", "none"]),
            ("customer", vec![filled.one.as_str(), &filled.other, "nobody"]),
            ("subscription", vec![filled.subscription.as_str(), "sub_none"]),
        ];
        let mut queries = vec![(String::new(), Vec::new())];
        for (name, values) in &filters {
            let more: Vec<_> = queries
                .iter()
                .flat_map(|(query, asked): &(String, Vec<(&str, &str)>)| {
                    values.iter().map(move |value| {
                        (format!("{query}&{name}={value}"), [asked.as_slice(), &[(*name, *value)]].concat())
                    })
                })
                .collect();
            queries.extend(more);
        }
        for (query, asked) in &queries {
            let expected: Vec<&Value> =
                all.iter().filter(|row| asked.iter().all(|(name, value)| row[name] == *value)).collect();
            let listed = client.list(&format!("/v1/invoices?{query}")).await;
            assert_eq!(Vec::from_iter(&listed), expected, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_of_invoices_neither_overlap_nor_leave_anything_out() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let filled = Filled::fill(client).await;
        let customer = format!("customer={}", filled.one);
        for query in ["", "plan=basic", "status=paid", "status=scheduled&plan=plus", customer.as_str()] {
            let path = format!("/v1/invoices?{query}");
            let mut expected: Vec<String> = client.list(&path).await.iter().map(id_of).collect();
            expected.reverse();
            for limit in [1, 2, 3, 100] {
                assert_eq!(by_cursor(client, &path, limit).await, expected, "{query} by {limit}");
            }
            let offset = client.get(&format!("{path}&limit=2&offset=1")).await.ok();
            let two: Vec<String> = offset["data"].as_array().unwrap().iter().map(id_of).collect();
            assert_eq!(two, expected[1..3.min(expected.len())], "{query}");
        }
        let (since, until) = (seconds(FEBRUARY), seconds(MARCH));
        let in_range = client.list(&format!("/v1/invoices?since={since}&until={until}")).await;
        assert!(in_range.len() >= 4 && in_range.iter().all(|row| (since..=until).contains(&place(row).0)));
        let before = client.list(&format!("/v1/invoices?until={}", since - 1)).await;
        let after = client.list(&format!("/v1/invoices?since={}", until + 1)).await;
        let all = client.list("/v1/invoices?").await.len();
        assert_eq!(before.len() + in_range.len() + after.len(), all);
        client.get("/v1/invoices?status=done").await.refused(400, "invalid_status");
        client.get("/v1/invoices?starting_after=in_none").await.refused(404, "invalid_id");
    })
    .await;
}

#[tokio::test]
async fn without_invoices_the_list_is_empty() {
    in_a_shop(async |shop| {
        let page = shop.teiki.test.get("/v1/invoices").await.ok();
        assert_eq!(
            page,
            json!({"object": "list", "count": 0, "data": [], "has_more": false, "url": "/v1/invoices"})
        );
    })
    .await;
}
