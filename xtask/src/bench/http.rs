//! `bench http`: `teiki run` against a sandbox of its own process, and a bare client against the same one.
//!
//! All are due at one instant. Two kinds of sandbox are tried: one that takes its time as gateways do, and one that answers
//! at once. Each round starts a sandbox with an empty book; teiki and the bare client take turns in who
//! comes first. Timed are the whole of `run`'s work, from its word that it begins to its end (preparing, charging, settling,
//! delivery, totals), and the bare client from its first byte to its last answer.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use jiff::civil::date;
use serde::Serialize;
use serde_json::Value;
use teiki::charges::pace::CONCURRENCY;

use super::measure::{Milli, Rates};
use super::process::Server;
use super::renewals::engine_name;
use super::scratch::Scratch;
use super::subscribers::{self, Crowd};
use super::{Failed, Where, floor_http, teiki_program};

const CLOCK: &str = "2027-01-01T00:00:00+09:00";
const UNTIL: &str = "2027-01-20T00:00:00+09:00";

#[derive(Args)]
pub(crate) struct HttpArguments {
    #[command(flatten)]
    place: Where,
    /// Charges of one round, all due at one instant.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    count: u64,
    /// Rounds of each side.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// What the sandbox does to requests, such as latency=20-80. May be given several times. Without it there are
    /// two: answers after 5 to 20 ms, and answers at once.
    #[arg(long, default_values_t = ["latency=5-20".to_owned(), String::new()], value_name = "SPEC")]
    faults: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    engine: String,
    count: u64,
    rounds: u64,
    concurrency: usize,
    sandboxes: Vec<Case>,
}

/// One kind of sandbox.
#[derive(Serialize)]
struct Case {
    faults: String,
    teiki_per_second: Rates,
    bare_per_second: Rates,
    /// Teiki's median through the bare client's.
    ratio: Milli,
}

/// One run.
struct Run<'a> {
    arguments: &'a HttpArguments,
    scratch: Scratch,
    account: String,
}

pub(crate) fn run(arguments: &HttpArguments) -> Result<(), Failed> {
    let place = &arguments.place;
    let mut scratch = Scratch::new(place)?;
    let url = scratch.make("subscribers")?;
    let crowd = Crowd {
        count: arguments.count,
        groups: 1,
        first_on: date(2027, 1, 15),
        clock: Some(CLOCK.to_owned()),
    };
    let account = subscribers::make(&url, scratch.folder(), &crowd, place.json)?;
    scratch.tidy_up("subscribers")?;
    let mut run = Run { arguments, scratch, account };
    let cases: Result<Vec<Case>, Failed> = arguments.faults.iter().map(|faults| run.case(faults)).collect();
    let report = Report {
        engine: engine_name(place.engine).to_owned(),
        count: arguments.count,
        rounds: arguments.rounds,
        concurrency: CONCURRENCY,
        sandboxes: cases?,
    };
    if place.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn print(report: &Report) {
    println!("{} charges due at one instant on {}, over HTTP", report.count, report.engine);
    let bare = format!("bare client, {} at a time", report.concurrency);
    for case in &report.sandboxes {
        let kind = if case.faults.is_empty() { "answers at once" } else { case.faults.as_str() };
        println!();
        println!("{:<34} {:>9} {:>9} {:>9}", format!("sandbox: {kind}"), "min/s", "median/s", "max/s");
        for (name, rates) in [("teiki run", case.teiki_per_second), (bare.as_str(), case.bare_per_second)] {
            println!("{name:<34} {:>9} {:>9} {:>9}", rates.min, rates.median, rates.max);
        }
        println!("teiki ÷ bare client  {}", case.ratio);
    }
}

impl Run<'_> {
    fn case(&mut self, faults: &str) -> Result<Case, Failed> {
        let (teiki, bare) = self.rounds(faults)?;
        let (teiki_per_second, bare_per_second) = (Rates::of(teiki)?, Rates::of(bare)?);
        let ratio = Milli::of(teiki_per_second.median, bare_per_second.median);
        Ok(Case { faults: faults.to_owned(), teiki_per_second, bare_per_second, ratio })
    }

    /// Charges a second of both sides.
    fn rounds(&mut self, faults: &str) -> Result<(Vec<u64>, Vec<u64>), Failed> {
        let bar = subscribers::rounds_bar(
            usize::try_from(2 * self.arguments.rounds + 1)?,
            self.arguments.place.json,
        );
        // It tells the bare client what is sent.
        self.teiki(&self.sandbox("first", faults)?)?;
        let bodies = Arc::new(floor_http::bodies(&self.scratch.url("teiki")?)?);
        bar.inc(1);
        let per_second = |micros: u64| Milli::of(self.arguments.count.saturating_mul(1_000), micros).0;
        let (mut teiki, mut bare) = (Vec::new(), Vec::new());
        for round in 0..self.arguments.rounds {
            let sandbox = self.sandbox(&format!("round-{round}"), faults)?;
            let url = sandbox_url(&sandbox)?;
            if round % 2 == 0 {
                teiki.push(per_second(self.teiki(&sandbox)?));
                bare.push(per_second(floor_http::send(&url, &bodies, CONCURRENCY)?));
            } else {
                bare.push(per_second(floor_http::send(&url, &bodies, CONCURRENCY)?));
                teiki.push(per_second(self.teiki(&sandbox)?));
            }
            bar.inc(2);
        }
        bar.finish_and_clear();
        Ok((teiki, bare))
    }

    fn sandbox(&self, name: &str, faults: &str) -> Result<Server, Failed> {
        let book = self.scratch.folder().join(format!("book-{name}{faults}.jsonl"));
        let book = book.to_str().ok_or("the scratch folder's name is not UTF-8")?;
        let sandbox = ["sandbox", "--json", "--listen", "127.0.0.1:0", "--book", book, "--faults", faults];
        Server::start(&teiki_program()?, &sandbox, Stdio::inherit())
    }

    /// One `teiki run` on a fresh copy; its microseconds.
    fn teiki(&mut self, sandbox: &Server) -> Result<u64, Failed> {
        let url = self.scratch.copy("subscribers", "teiki")?;
        let (micros, totals) = run_teiki(&url, self.scratch.folder(), &self.account, &sandbox_url(sandbox)?)?;
        if totals["charges_succeeded"].as_u64() == Some(self.arguments.count) {
            Ok(micros)
        } else {
            Err(format!("not all of {} charges succeeded: {totals}", self.arguments.count).into())
        }
    }
}

fn sandbox_url(sandbox: &Server) -> Result<String, Failed> {
    let greeting: Value = serde_json::from_str(&sandbox.greeting)?;
    Ok(greeting["url"].as_str().ok_or("the sandbox does not say where it is")?.to_owned())
}

fn run_teiki(url: &str, folder: &Path, account: &str, sandbox: &str) -> Result<(u64, Value), Failed> {
    let mut child = Command::new(teiki_program()?)
        .args(["--json", "--database", url, "--data-dir"])
        .arg(folder)
        .args(["run", "--account", account, "--until", UNTIL, "--sandbox", sandbox])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut words = BufReader::new(child.stderr.take().ok_or("no standard error")?);
    let mut ready = String::new();
    words.read_line(&mut ready)?;
    let started = Instant::now();
    if ready.trim_end() != "ready" {
        return Err(format!("`teiki run` says {ready:?}").into());
    }
    let output = child.wait_with_output()?;
    let micros = u64::try_from(started.elapsed().as_micros())?;
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut words, &mut rest)?;
    if !output.status.success() {
        return Err(format!("`teiki run` ended with {}: {rest}", output.status).into());
    }
    Ok((micros, serde_json::from_slice(&output.stdout)?))
}
