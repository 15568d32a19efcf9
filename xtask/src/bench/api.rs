//! `bench api`: the HTTP API beside a bare handler, idle and while many renewals are charged, and with few charges and many.
//!
//! 1. Idle: clients read a charge, list charges and make charges, one kind after another.
//! 2. The same while another account's test clock moves over one instant at which all of its subscribers are due, in the
//!    same server. The clock must still be on its way at the end, else the numbers would be those of an idle server.
//! 3. The same reads with a history of few charges and of many, each made by teiki itself.
//!
//! Every client has a key of its own, for rate limits are by key.

use std::time::Duration;

use clap::Args;
use jiff::civil::date;
use jiff::{Span, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::load::{Answered, Ask, Clients};
use super::measure::Milli;
use super::process::{self, Server};
use super::renewals::engine_name;
use super::scratch::Scratch;
use super::subscribers::{self, Crowd};
use super::{Failed, Where, floor_api, teiki_program};

const CLOCK: &str = "2027-01-01T00:00:00+09:00";
/// After the instant at which all are due, in seconds.
const UNTIL: &str = "1800300000";
/// Clients that ask at once.
const CLIENTS: usize = 16;

#[derive(Args)]
pub(crate) struct ApiArguments {
    #[command(flatten)]
    place: Where,
    /// Renewals of the run beside which the API is asked.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    renewals: u64,
    /// Charges of the long history; the short one has 1,000. 0 leaves this part out.
    #[arg(long, default_value_t = 1_000_000)]
    charges: u64,
    /// How long each kind of request is sent.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

#[derive(Serialize)]
struct Report {
    engine: String,
    clients: usize,
    bare: Answered,
    run: Run,
    /// By kind of request: idle, under the run, and p99 of the second through the first.
    asked: Vec<Kind>,
    histories: Vec<History>,
}

/// The run beside which requests are sent.
#[derive(Serialize)]
struct Run {
    renewals: u64,
    /// While nobody asks for anything.
    alone_per_second: u64,
}

#[derive(Serialize)]
struct Kind {
    name: &'static str,
    idle: Answered,
    under_run: Answered,
    p99_ratio: Milli,
    /// What the run does meanwhile.
    renewals_per_second: u64,
}

#[derive(Serialize)]
struct History {
    charges: u64,
    /// In the order of [`Self::asks`].
    reads: Vec<(&'static str, Answered)>,
}

/// A server, and what it takes to ask it.
struct Asked {
    /// Ends with it.
    _server: Server,
    url: String,
    keys: Vec<String>,
}

pub(crate) fn run(arguments: &ApiArguments) -> Result<(), Failed> {
    let mut scratch = Scratch::new(&arguments.place)?;
    let (bare, run, asked) = under_run(&mut scratch, arguments)?;
    let mut histories = Vec::new();
    if arguments.charges > 0 {
        for charges in [1_000, arguments.charges] {
            histories.push(history(&mut scratch, arguments, charges)?);
        }
    }
    let report = Report {
        engine: engine_name(arguments.place.engine).to_owned(),
        clients: CLIENTS,
        bare,
        run,
        asked,
        histories,
    };
    if arguments.place.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn print(report: &Report) {
    let line = |name: &str, answered: &Answered| {
        println!(
            "{name:<34} {:>9} {:>9} {:>9}",
            answered.per_second, answered.p50_micros, answered.p99_micros
        );
    };
    println!("{} clients on {}, one request after another each", report.clients, report.engine);
    println!("{:<34} {:>9} {:>9} {:>9}", "", "per s", "p50 µs", "p99 µs");
    line("bare axum handler", &report.bare);
    for kind in &report.asked {
        line(&format!("{}, idle", kind.name), &kind.idle);
        line(&format!("{}, under a run", kind.name), &kind.under_run);
        println!(
            "  p99 under the run ÷ idle  {}; renewals meanwhile {} per s",
            kind.p99_ratio, kind.renewals_per_second
        );
    }
    println!("  {} renewals, while nobody asks {} per s", report.run.renewals, report.run.alone_per_second);
    for history in &report.histories {
        println!("{} charges:", history.charges);
        for (name, answered) in &history.reads {
            line(name, answered);
        }
    }
    if let [few, many] = report.histories.as_slice() {
        for ((name, few), (_, many)) in few.reads.iter().zip(&many.reads) {
            println!("  {name}: p50 with many ÷ few  {}", Milli::of(many.p50_micros, few.p50_micros));
        }
    }
}

impl Asked {
    /// A server on a database, with keys for an account there.
    fn start(url: &str, scratch: &Scratch, account: &str) -> Result<Self, Failed> {
        let folder = scratch.folder().to_str().ok_or("the scratch folder's name is not UTF-8")?;
        let at = ["--json", "--database", url, "--data-dir", folder];
        let mut keys = Vec::new();
        for _ in 0..CLIENTS {
            let key = ["account", "key-create", account, "--kind", "secret"];
            let made = process::output(std::process::Command::new(teiki_program()?).args(at).args(key))?;
            let made: Value = serde_json::from_str(&made)?;
            keys.push(made["secret"].as_str().ok_or("no key was made")?.to_owned());
        }
        // As a server's log is: a file.
        let log = std::fs::File::create(scratch.folder().join("server.log"))?;
        let serve = [&at[..], &["serve", "--listen", "127.0.0.1:0"]].concat();
        let server = Server::start(&teiki_program()?, &serve, log)?;
        let greeting: Value = serde_json::from_str(&server.greeting)?;
        let url = greeting["url"].as_str().ok_or("the server does not say where it is")?.to_owned();
        Ok(Self { _server: server, url, keys })
    }

    fn send(&self, ask: &Ask, seconds: u64) -> Result<Answered, Failed> {
        let clients = Clients { url: &self.url, keys: &self.keys, lasting: Duration::from_secs(seconds) };
        clients.send(ask)
    }

    /// One request; its answer.
    fn ask(&self, ask: &Ask) -> Result<Value, Failed> {
        Ok(serde_json::from_str(&self.text(ask)?)?)
    }

    fn text(&self, ask: &Ask) -> Result<String, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let key = self.keys.first().ok_or("no key")?;
        let request = ask.request(&client, &self.url, key);
        Ok(runtime.block_on(async { request.send().await?.error_for_status()?.text().await })?)
    }

    /// Renewals charged in each of these seconds while `work` is done, which says how many charges it made itself.
    fn renewals_during(
        &self,
        seconds: u64,
        work: impl FnOnce() -> Result<u64, Failed>,
    ) -> Result<u64, Failed> {
        let before = self.charged()?;
        let made = work()?;
        Ok(self.charged()?.saturating_sub(before).saturating_sub(made) / seconds)
    }

    /// Charges that the server has settled as succeeded since its start.
    fn charged(&self) -> Result<u64, Failed> {
        let metrics = self.text(&Ask::Get("/metrics".to_owned()))?;
        let count = metrics.lines().find_map(|line| line.strip_prefix("teiki_charges_succeeded_total "));
        Ok(count.ok_or("the server does not count its charges")?.parse()?)
    }

    /// A customer with a card that pays.
    fn customer(&self) -> Result<String, Failed> {
        let post =
            |path: &str, form: Vec<(&'static str, String)>| self.ask(&Ask::Post(path.to_owned(), form));
        let text = |value: &Value| value["id"].as_str().map(str::to_owned).ok_or("an object without an id");
        let token = text(&post("/v1/tokens", vec![("sandbox_token", "sbx_ok".to_owned())])?)?;
        Ok(text(&post("/v1/customers", vec![("card", token)])?)?)
    }
}

/// The three kinds of requests, idle and under the run; and the bare handler.
fn under_run(scratch: &mut Scratch, arguments: &ApiArguments) -> Result<(Answered, Run, Vec<Kind>), Failed> {
    let url = scratch.make("run")?;
    let crowd = Crowd {
        count: arguments.renewals,
        groups: 1,
        first_on: date(2027, 1, 15),
        clock: Some(CLOCK.to_owned()),
    };
    let account = subscribers::make(&url, scratch.folder(), &crowd, arguments.place.json)?;
    scratch.tidy_up("run")?;
    let asked = Asked::start(&url, scratch, &account)?;
    // New customers live in real time, so that the clock does not stand in their way.
    asked.ask(&Ask::Post("/v1/account_settings".to_owned(), vec![("test_clock", String::new())]))?;
    let clock = asked.ask(&Ask::Get("/v1/test_clocks".to_owned()))?["data"][0]["id"]
        .as_str()
        .ok_or("the account has no test clock")?
        .to_owned();
    let sale =
        vec![("amount", "500".to_owned()), ("currency", "jpy".to_owned()), ("customer", asked.customer()?)];
    let made = asked.ask(&Ask::Post("/v1/charges".to_owned(), sale.clone()))?;
    let id = made["id"].as_str().ok_or("a charge without an id")?;
    let kinds = [
        ("GET /v1/charges/:id", Ask::Get(format!("/v1/charges/{id}"))),
        ("GET /v1/charges", Ask::Get("/v1/charges?limit=10".to_owned())),
        ("POST /v1/charges", Ask::Post("/v1/charges".to_owned(), sale)),
    ];
    let answer = scratch.folder().join("answer.json");
    std::fs::write(&answer, made.to_string())?;
    let bare = bare(&answer, &asked, arguments.seconds)?;
    let mut idle = Vec::new();
    for (_, ask) in &kinds {
        idle.push(asked.send(ask, arguments.seconds)?);
    }
    let path = format!("/v1/test_clocks/{clock}");
    asked.ask(&Ask::Post(format!("{path}/advance"), vec![("frozen_time", UNTIL.to_owned())]))?;
    let alone_per_second = asked.renewals_during(arguments.seconds, || {
        std::thread::park_timeout(Duration::from_secs(arguments.seconds));
        Ok(0)
    })?;
    let mut under = Vec::new();
    for (_, ask) in &kinds {
        let mut answered = None;
        let renewals = asked.renewals_during(arguments.seconds, || {
            let sent = answered.insert(asked.send(ask, arguments.seconds)?);
            Ok(if matches!(ask, Ask::Post(..)) { sent.per_second * arguments.seconds } else { 0 })
        })?;
        under.extend(answered.map(|answered| (answered, renewals)));
    }
    if asked.ask(&Ask::Get(path))?["status"] != "advancing" {
        return Err("the run was over before all was measured: use more --renewals or fewer --seconds".into());
    }
    let asked = kinds.iter().zip(idle).zip(under);
    let asked = asked.map(|((kind, idle), (under_run, renewals_per_second))| Kind {
        name: kind.0,
        idle,
        under_run,
        p99_ratio: Milli::of(under_run.p99_micros, idle.p99_micros),
        renewals_per_second,
    });
    Ok((bare, Run { renewals: arguments.renewals, alone_per_second }, asked.collect()))
}

fn bare(answer: &std::path::Path, asked: &Asked, seconds: u64) -> Result<Answered, Failed> {
    let server = floor_api::start(answer)?;
    let greeting: Value = serde_json::from_str(&server.greeting)?;
    let url = greeting["url"].as_str().ok_or("the bare server does not say where it is")?;
    let clients = Clients { url, keys: &asked.keys, lasting: Duration::from_secs(seconds) };
    clients.send(&Ask::Get("/".to_owned()))
}

/// Reads with a history of that many charges.
fn history(scratch: &mut Scratch, arguments: &ApiArguments, charges: u64) -> Result<History, Failed> {
    const MONTHS: u64 = 10;
    let name = format!("history{charges}");
    let url = scratch.make(&name)?;
    let first_on = date(2027, 1, 11).checked_sub(Span::new().try_months(i64::try_from(MONTHS)?)?)?;
    let start = date(2027, 1, 1).checked_sub(Span::new().try_months(i64::try_from(MONTHS)?)?)?;
    let crowd = Crowd {
        count: (charges / MONTHS).max(1),
        groups: 1,
        first_on,
        clock: Some(format!("{start}T00:00:00+09:00")),
    };
    let account = subscribers::make(&url, scratch.folder(), &crowd, arguments.place.json)?;
    let until: Timestamp = CLOCK.parse()?;
    let until = until.to_string();
    let mut round = vec!["history", "--database", &url, "--account", &account, "--until", &until];
    if arguments.place.json {
        round.push("--quiet");
    }
    process::round::<()>(&round)?;
    scratch.tidy_up(&name)?;
    let asked = Asked::start(&url, scratch, &account)?;
    let mut reads = Vec::new();
    for (name, path) in History::asks(&asked)? {
        reads.push((name, asked.send(&Ask::Get(path), arguments.seconds)?));
    }
    drop(asked);
    scratch.remove(&name)?;
    Ok(History { charges, reads })
}

impl History {
    /// What is read of a history: the newest charge, whose it is, and a page of each list.
    fn asks(asked: &Asked) -> Result<[(&'static str, String); 6], Failed> {
        let newest = asked.ask(&Ask::Get("/v1/charges?limit=1".to_owned()))?;
        let newest = &newest["data"][0];
        let id = newest["id"].as_str().ok_or("there is no charge")?;
        let customer = newest["customer"].as_str().ok_or("it has no customer")?;
        Ok([
            ("GET /v1/charges/:id", format!("/v1/charges/{id}")),
            ("GET /v1/charges", "/v1/charges?limit=10".to_owned()),
            ("GET /v1/customers/:id", format!("/v1/customers/{customer}")),
            ("GET /v1/customers", "/v1/customers?limit=10".to_owned()),
            ("GET /v1/subscriptions?customer=", format!("/v1/subscriptions?limit=10&customer={customer}")),
            ("GET /v1/invoices", "/v1/invoices?limit=10".to_owned()),
        ])
    }
}
