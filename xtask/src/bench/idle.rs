//! `bench idle`: what `teiki serve` costs a machine while nobody is due.
//!
//! The subscribers live in real time and are due in years. The server is a process of its own; its CPU time over the window
//! and the most memory it ever had are read from `/proc`. On PostgreSQL the server's own processes are not counted.

use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use jiff::civil::date;
use serde::Serialize;
use teiki::progress;
use tokio::time::sleep;

use super::measure::Milli;
use super::process::{Server, TICKS_PER_SECOND, cpu_ticks, peak_kib};
use super::renewals::engine_name;
use super::scratch::Scratch;
use super::subscribers::{self, Crowd};
use super::{Failed, Where, teiki_program};

/// After its start the server may look around before it is watched, in seconds.
const SETTLE_SECONDS: u64 = 5;

#[derive(Args)]
pub(crate) struct IdleArguments {
    #[command(flatten)]
    place: Where,
    /// Subscribers, none of whom is due.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    subscribers: u64,
    /// How long the server is watched.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

#[derive(Serialize)]
struct Report {
    engine: String,
    subscribers: u64,
    seconds: u64,
    /// CPU seconds in a minute.
    cpu_seconds_per_minute: Milli,
    peak_kib: u64,
}

pub(crate) fn run(arguments: &IdleArguments) -> Result<(), Failed> {
    let place = &arguments.place;
    let mut scratch = Scratch::new(place)?;
    let url = scratch.make("subscribers")?;
    let crowd = Crowd { count: arguments.subscribers, groups: 1, first_on: date(2099, 1, 15), clock: None };
    subscribers::make(&url, scratch.folder(), &crowd, place.json)?;
    scratch.tidy_up("subscribers")?;
    let (ticks, peak) = watch(&url, &scratch, arguments)?;
    let report = Report {
        engine: engine_name(place.engine).to_owned(),
        subscribers: arguments.subscribers,
        seconds: arguments.seconds,
        cpu_seconds_per_minute: Milli::of(ticks * 60, TICKS_PER_SECOND * arguments.seconds),
        peak_kib: peak,
    };
    if place.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("`teiki serve` on {} with {} subscribers, none due", report.engine, report.subscribers);
        println!(
            "  CPU seconds in a minute  {}  (watched for {} s)",
            report.cpu_seconds_per_minute, report.seconds
        );
        println!("  peak memory              {} MiB", report.peak_kib / 1_024);
    }
    Ok(())
}

/// Ticks of CPU time in the window, and the peak memory.
fn watch(url: &str, scratch: &Scratch, arguments: &IdleArguments) -> Result<(u64, u64), Failed> {
    let folder = scratch.folder().to_str().ok_or("the scratch folder's name is not UTF-8")?;
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database", url, "--data-dir", folder];
    let server = Server::start(&teiki_program()?, &serve, Stdio::inherit())?;
    let bar = progress::bar("watching, seconds", Some(arguments.seconds), arguments.place.json);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        sleep(Duration::from_secs(SETTLE_SECONDS)).await;
        let before = cpu_ticks(server.id())?;
        for _ in 0..arguments.seconds {
            sleep(Duration::from_secs(1)).await;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok((cpu_ticks(server.id())? - before, peak_kib(&server.id().to_string())?))
    })
}
