//! `teiki serve` as a process: real time, holds, a stop and a kill in the middle, and several servers on one database.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::installation::{Installation, on_both, on_postgres};
use crate::place::Place;

/// What must happen soon must have happened by then; only a failing test waits so long.
/// It is less than the time after which a charge that a dead process was sending is looked after anyway.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Server {
    child: Child,
    address: String,
}

/// In its place, what a server says on standard error.
const LOG: &str = "serve.log";

impl Server {
    pub(crate) fn start(place: &Place, more: &[&str]) -> Self {
        Self::start_with(place, more, &[])
    }

    /// The same with environment variables.
    pub(crate) fn start_with(place: &Place, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = File::options().create(true).append(true).open(place.file(LOG)).unwrap();
        let mut child = place
            .command(&[&["serve", "--listen", "127.0.0.1:0", "--json"], more].concat())
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        let greeting: Value = serde_json::from_str(&greeting).unwrap();
        let address = greeting["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { child, address }
    }

    /// What the servers of a place said.
    pub(crate) fn log(place: &Place) -> String {
        std::fs::read_to_string(place.file(LOG)).unwrap_or_default()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Status and body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        answer(self.ask(&format!("GET {path} HTTP/1.1\r\nhost: teiki\r\nconnection: close\r\n\r\n")))
    }

    fn ask(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    pub(crate) fn wait_for(&self, name: &str, value: u64) {
        soon(&format!("{name} = {value}"), || self.metric(name) == value);
    }

    /// Waits until the scheduler has looked this often.
    pub(crate) fn wait_for_ticks(&self, count: u64) {
        soon("a few ticks", || self.metric("teiki_scheduler_ticks_total") >= count);
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Asks it to stop; its exit code.
    pub(crate) fn stop(self) -> Option<i32> {
        self.signal("-TERM");
        self.ended()
    }

    /// Its exit code, once it has stopped; it was asked to, and asked again it would break off.
    pub(crate) fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

/// Status and body.
fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process is waited for, which has no channel to this one"
)]
fn soon(what: &str, is_true: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_true() {
        assert!(started.elapsed() < PATIENCE, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const PLANS: &str =
    "id,name,amount,currency,tax_category,interval,interval_count,trial_days,setup_fee,instalments
monthly,月額,980,jpy,standard,month,1,0,0,
";

/// An account with this many subscribers who are due today, at an hour that has passed.
fn account(installation: &Installation, subscribers: u32) -> String {
    account_with_key(installation, subscribers).0
}

/// The same with its secret key.
pub(crate) fn account_with_key(installation: &Installation, subscribers: u32) -> (String, String) {
    let now = teiki::clock::now();
    let zones = ["Asia/Tokyo", "Europe/London", "Pacific/Auckland"];
    let local = zones.map(|zone| now.in_tz(zone).unwrap());
    let local = local.iter().find(|local| (10..23).contains(&local.hour())).unwrap();
    let zone = local.time_zone().iana_name().unwrap();
    let created =
        installation.place.run(&["account", "create", "みどり農園", "--zone", zone, "--json"]).json();
    let account = created["account"].as_str().unwrap().to_owned();
    let mut rows = String::from(
        "customer_id,name,email,plan_id,billing_anchor,next_charge_on,remaining_charges,valid_until,gateway,payment_token,card_brand,card_last4,card_exp\n",
    );
    let today = local.date();
    for number in 0..subscribers {
        let row = format!(
            "c{number:05},顧客,c@example.com,monthly,{today},{today},,,sandbox,sbx_ok.c{number:05},Visa,4242,2099-07\n"
        );
        rows.push_str(&row);
    }
    let (plans, people) = (installation.place.file("plans.csv"), installation.place.file("subscribers.csv"));
    std::fs::write(&plans, PLANS).unwrap();
    std::fs::write(&people, rows).unwrap();
    let [plans, people] = [plans, people].map(|path| path.display().to_string());
    installation
        .place
        .run(&["import", "--account", &account, "--plans", &plans, "--subscribers", &people])
        .text();
    (account, created["test"]["secret_key"].as_str().unwrap().to_owned())
}

/// How often each token was charged, by the sandbox's own book.
fn booked(installation: &Installation) -> BTreeMap<String, usize> {
    let book = std::fs::read_to_string(installation.place.file("sandbox-book.jsonl")).unwrap_or_default();
    let mut booked = BTreeMap::new();
    // A line that is being written is none yet.
    for line in book.rsplit_once('\n').map_or("", |whole| whole.0).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        *booked.entry(line["token"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    booked
}

fn is_all_settled(installation: &Installation) -> bool {
    let status = installation.place.run(&["status", "--json"]).json();
    status["accounts"].as_array().unwrap().iter().all(|account| {
        account["charges_under_way"].as_object().unwrap().is_empty()
            && account["open_invoices"].as_array().unwrap().is_empty()
    })
}

fn assert_each_charged_once(installation: &Installation, subscribers: usize) {
    let booked = booked(installation);
    assert_eq!(booked.len(), subscribers);
    assert!(booked.values().all(|&count| count == 1), "{booked:?}");
    let doctor = installation.place.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
}

#[tokio::test]
async fn what_is_due_is_charged_by_itself_once_and_a_hold_stops_it() {
    on_both(async |installation| {
        let account = account(installation, 20);
        installation.place.run(&["hold", "on", "--account", &account, "--reason", "not yet"]).text();
        let server = Server::start(&installation.place, &[]);
        server.wait_for("teiki_held_accounts", 1);
        assert_eq!(server.metric("teiki_charges_succeeded_total"), 0);
        installation.place.run(&["hold", "off", "--account", &account]).text();
        server.wait_for("teiki_charges_succeeded_total", 20);
        server.wait_for("teiki_events_delivered_total", 20 * 4);
        assert_eq!(server.get("/healthz").0, 200);
        assert_eq!(server.stop(), Some(0));
        let again = Server::start(&installation.place, &[]);
        soon("a few ticks", || again.metric("teiki_scheduler_ticks_total") >= 4);
        assert_eq!(again.metric("teiki_charges_succeeded_total"), 0);
        assert_eq!(again.stop(), Some(0));
        assert_each_charged_once(installation, 20);
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_is_taken_up_where_it_stood() {
    on_both(async |installation| {
        account(installation, 1_500);
        for least in [1, 300, 600] {
            let server = Server::start(&installation.place, &[]);
            soon("some are charged", || booked(installation).len() >= least);
            server.signal("-KILL");
        }
        let server = Server::start(&installation.place, &[]);
        soon("all are charged", || booked(installation).len() == 1_500);
        soon("all is settled", || is_all_settled(installation));
        assert_eq!(server.stop(), Some(0));
        assert_each_charged_once(installation, 1_500);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_database_share_the_work_and_take_over() {
    on_postgres(async |installation| {
        let account = account(installation, 40);
        installation.place.run(&["hold", "on", "--reason", "until all are there"]).text();
        let book = installation.place.file("sandbox-book.jsonl");
        let sandbox = sandbox::start(sandbox::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            book,
            faults: sandbox::Faults::default(),
            seed: 0,
        });
        let sandbox = sandbox.await.unwrap();
        let url = sandbox.url();
        let start = || Server::start(&installation.place, &["--sandbox", &url]);
        let first = start();
        first.wait_for("teiki_lanes", 4);
        let second = start();
        second.wait_for("teiki_lanes", 2);
        first.wait_for("teiki_lanes", 2);
        let third = start();
        first.signal("-KILL");
        second.wait_for("teiki_lanes", 2);
        third.wait_for("teiki_lanes", 2);
        installation.place.run(&["hold", "off"]).text();
        let charged = |server: &Server| server.metric("teiki_charges_succeeded_total");
        soon("all are charged", || charged(&second) + charged(&third) == 40);
        assert!(charged(&second) > 0 && charged(&third) > 0, "both had a part");
        assert_eq!(second.stop(), Some(0));
        third.wait_for("teiki_lanes", 4);
        assert_eq!(third.stop(), Some(0));
        sandbox.stop().await;
        let charges =
            installation.place.run(&["export", "charges", "--account", &account, "--format", "jsonl"]);
        assert_eq!(charges.text().lines().count(), 40);
        assert_each_charged_once(installation, 40);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_test_and_of_live_mode_have_all_lanes_each() {
    on_postgres(async |installation| {
        account(installation, 20);
        installation.place.run(&["hold", "on", "--reason", "until all are there"]).text();
        let test = Server::start(&installation.place, &[]);
        test.wait_for("teiki_lanes", 4);
        let live = Server::start(&installation.place, &["--mode", "live"]);
        live.wait_for("teiki_lanes", 4);
        test.wait_for_ticks(8);
        assert_eq!((test.metric("teiki_lanes"), live.metric("teiki_lanes")), (4, 4));
        installation.place.run(&["hold", "off"]).text();
        test.wait_for("teiki_charges_succeeded_total", 20);
        assert_eq!((test.stop(), live.stop()), (Some(0), Some(0)));
        assert_each_charged_once(installation, 20);
    })
    .await;
}

#[test]
fn a_file_that_nobody_uses_stands_alone_without_its_log() {
    let place = Place::sqlite();
    let alone = |after: &str| {
        let mut files: Vec<_> = std::fs::read_dir(place.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("teiki.db") && !name.ends_with(".charging"))
            .collect();
        files.sort();
        assert_eq!(files, ["teiki.db"], "after {after}");
    };
    place.run(&["account", "create", "みどり農園"]).text();
    alone("account create");
    for command in ["status", "hold", "doctor"] {
        place.run(&[command]).text();
        alone(command);
    }
    let server = Server::start(&place, &[]);
    soon("a tick", || server.metric("teiki_scheduler_ticks_total") >= 1);
    assert_eq!(server.stop(), Some(0));
    alone("serve");
}
