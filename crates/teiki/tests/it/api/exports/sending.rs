//! How files are sent: page by page as they are taken, to few at once, and never as if they were whole when they are not.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use db::{Column, OnConflict};

use super::super::client::Client;
use super::super::shop::{Merchant, account, soon};
use super::{path, rest, rows, take};
use crate::exports::many_entries;
use crate::installation::{Installation, Side, on_both};
use crate::serve::Server;

/// A merchant with its server, and another one.
struct World<'a> {
    installation: &'a Installation,
    server: Server,
    merchant: Merchant,
    other: Merchant,
}

/// Runs a test on each engine.
async fn in_a_world(test: impl AsyncFn(&World<'_>)) {
    on_both(async |installation| {
        let [merchant, other] = ["one", "other"].map(|name| account(&installation.place, name));
        let server = Server::start(&installation.place, &[]);
        let [merchant, other] = [merchant, other].map(|created| Merchant::new(&created, &server.url()));
        let world = World { installation, server, merchant, other };
        test(&world).await;
        assert_eq!(world.server.stop(), Some(0));
    })
    .await;
}

impl World<'_> {
    fn side(&self) -> Side {
        Side { account: self.merchant.account.clone(), mode: "test" }
    }

    /// Events with long data, more than all buffers between the server and a client can hold.
    async fn long_events(&self) {
        for page in 0..PAGES {
            let ids = (0..ROWS).map(|number| event_id(page * ROWS + number)).collect();
            write_events(self.installation, &self.merchant.account, ids).await;
        }
    }
}

/// Rows of a page, as `teiki::exports` has it, and how many pages there are.
const ROWS: usize = 1_000;
const PAGES: usize = 4;
/// What an event tells; 48 MB in all.
const LENGTH: usize = 12_000;

fn event_id(number: usize) -> String {
    format!("ev_00{number:027}")
}

async fn write_events(installation: &Installation, account: &str, ids: Vec<String>) {
    let account = account.to_owned();
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(LENGTH));
    let write = installation.db.write(move |tx| {
        let (count, at) = (ids.len(), 1_769_817_600_000_000);
        let text = |value| Column::Text(vec![value; count]);
        let ids = || Column::Text(ids.iter().map(String::as_str).collect());
        let columns = [
            ("slot", Column::I64(vec![0; count])),
            ("id", ids()),
            ("account_id", text(&account)),
            ("mode", text("test")),
            ("history_id", ids()),
            ("number", Column::I64(vec![1; count])),
            ("type", text("plan.created")),
            ("object_id", text("monthly")),
            ("data", text(&data)),
            ("billing_at", Column::I64(vec![at; count])),
            ("recorded_at", Column::I64(vec![at; count])),
        ];
        tx.insert_many("events", &columns, OnConflict::Fail)
    });
    let written: Result<u64, db::Error> = write.await;
    written.unwrap();
}

/// Makes an event one that no version has written.
async fn break_event(installation: &Installation, number: usize) {
    let key = vec![("slot", 0.into()), ("id", (&event_id(number)).into())];
    installation.change("events", key, vec![("data", "{".into())]).await;
}

#[tokio::test]
async fn rows_that_were_there_come_once_while_others_are_written() {
    in_a_world(async |world| {
        world.long_events().await;
        let mut response = world.merchant.test.begin(&path("events", "?format=jsonl")).await;
        let mut bytes = response.chunk().await.unwrap().unwrap().to_vec();
        // Before all pages, between the rows of the first, and after all of them.
        let late = ["ev_00", "ev_00000000000000000000000000050x", "ev_01"].map(str::to_owned);
        write_events(world.installation, &world.merchant.account, late.to_vec()).await;
        let rest = rest(response).await;
        bytes.extend_from_slice(&rest.bytes);
        assert!(rest.is_whole);
        let text = String::from_utf8(bytes).unwrap();
        let ids: Vec<&str> = text.lines().map(|line| &line["{\"event_id\":\"".len()..][..32]).collect();
        assert!(ids.is_sorted(), "by slot, then id");
        assert_eq!(ids.iter().filter(|id| !id.starts_with("ev_00")).count(), 1, "what comes after is seen");
        let own: BTreeSet<String> =
            ids.iter().filter(|id| id.starts_with("ev_00")).map(|id| (*id).to_owned()).collect();
        assert_eq!((ids.len() - 1, own), (ROWS * PAGES, (0..ROWS * PAGES).map(event_id).collect()));
    })
    .await;
}

#[tokio::test]
async fn many_short_pages_come_in_order() {
    in_a_world(async |world| {
        let count = many_entries(world.installation, &world.side()).await;
        let csv = take(&world.merchant.test, "ledger", "").await.text();
        let ids: Vec<&str> = csv.lines().skip(1).map(|line| &line[..32]).collect();
        assert!(ids.len() == count && ids.is_sorted());
        let written = world.installation.run(&["export", "ledger", "--account", &world.merchant.account]);
        assert_eq!(csv, written.text());
    })
    .await;
}

/// How long an ordinary request may take beside clients that take nothing; only a failing test waits so long.
const QUICK: Duration = Duration::from_secs(10);

#[tokio::test]
async fn slow_clients_hold_nobody_up_and_there_are_two_of_an_account() {
    in_a_world(async |world| {
        world.long_events().await;
        let client = &world.merchant.test;
        // They have the head of their answers and take no more: one for each connection that reads the database.
        let slow = [client.begin(&path("events", "")).await, client.begin(&path("events", "")).await];
        let began = Instant::now();
        for _ in 0..20 {
            client.get("/v1/customers").await.ok();
            world.other.test.get("/v1/plans").await.ok();
        }
        take(&world.other.test, "events", "").await.text();
        assert!(began.elapsed() < QUICK, "{:?}", began.elapsed());
        for key in [client, &world.merchant.live] {
            let third = key.begin(&path("plans", "")).await;
            assert_eq!(
                (third.status().as_u16(), third.headers()["retry-after"].to_str().unwrap()),
                (429, "10")
            );
            key.get(&path("plans", "")).await.refused(429, "over_capacity");
        }
        // What is refused for another reason takes no place.
        client.get(&path("plans", "?format=xml")).await.refused(400, "invalid_format");
        // One leaves, the other one goes on to its end.
        let [one, other] = slow;
        drop(one);
        has_room(client).await;
        assert_eq!(rest(other).await.text().lines().count(), ROWS * PAGES + 1);
        has_room(client).await;
    })
    .await;
}

/// Waits until an export can be had.
async fn has_room(client: &Client) {
    let is_taken = async || (client.get(&path("plans", "")).await.status == 200).then_some(());
    soon("room for another export", is_taken).await;
}

#[tokio::test]
async fn a_page_is_read_when_the_former_one_is_taken() {
    in_a_world(async |world| {
        world.long_events().await;
        let response = world.merchant.test.begin(&path("events", "?format=jsonl")).await;
        // It would read the last page long before if it did not wait for its client.
        world.merchant.test.get("/v1/plans").await.ok();
        let changed = event_id(ROWS * PAGES - 1);
        let key = vec![("slot", 0.into()), ("id", (&changed).into())];
        world.installation.change("events", key, vec![("object_id", "changed".into())]).await;
        let text = rest(response).await.text();
        let last = text.lines().last().unwrap();
        assert!(last.contains(&changed) && last.contains("\"object_id\":\"changed\""));
    })
    .await;
}

#[tokio::test]
async fn a_page_that_fails_cuts_the_answer_off() {
    in_a_world(async |world| {
        world.long_events().await;
        break_event(world.installation, ROWS + 7).await;
        for query in ["", "?format=jsonl"] {
            let taken = super::rest(world.merchant.test.begin(&path("events", query)).await).await;
            assert!(!taken.is_whole, "{query}: a file with a page missing ended like a whole one");
            let header = usize::from(query.is_empty());
            let lines = taken.bytes.iter().filter(|byte| **byte == b'\n').count();
            assert!(lines <= ROWS + header, "{lines} lines of {ROWS}");
        }
        let log = Server::log(&world.installation.place);
        let row = event_id(ROWS + 7);
        assert!(log.contains("an answer was cut off") && log.contains(&row), "{log}");
        // Nothing is left of it: the place is given back, and other exports go on.
        has_room(&world.merchant.test).await;
        assert_eq!(rows(&world.merchant.test, "accounts").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_first_page_that_fails_is_an_ordinary_error() {
    in_a_world(async |world| {
        world.long_events().await;
        break_event(world.installation, 3).await;
        for _ in 0..5 {
            let error = world.merchant.test.get(&path("events", "")).await.refused(500, "payjp_wrong");
            assert!(!error["message"].as_str().unwrap().contains(&event_id(3)), "{error}");
        }
        assert!(Server::log(&world.installation.place).contains(&event_id(3)));
        has_room(&world.merchant.test).await;
    })
    .await;
}

/// Within this a server stops beside a client that takes nothing.
const STOPS_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_server_stops_and_cuts_off_what_is_not_taken() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(&created, &server.url());
        let other = Merchant::new(&account(&installation.place, "other"), &server.url());
        let world = World { installation, server, merchant, other };
        world.long_events().await;
        let slow = world.merchant.test.begin(&path("events", "")).await;
        let began = Instant::now();
        let stopped = tokio::task::spawn_blocking(move || world.server.stop()).await.unwrap();
        assert_eq!(stopped, Some(0));
        assert!(began.elapsed() < STOPS_WITHIN, "{:?}", began.elapsed());
        let taken = rest(slow).await;
        assert!(!taken.is_whole && taken.bytes.len() < ROWS * PAGES * LENGTH);
    })
    .await;
}
