//! `teiki demo`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use billing::mode::Mode;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::words::{ENGLISH, JAPANESE, Words};
use super::{FIRST, LAST, Report, Request, Watcher, ZONE, demo, view};
use crate::app::Setting;
use crate::failure::Failure;
use crate::line::Line;
use crate::output::{self, Format};
use crate::progress;

/// Fewest and most subscribers: every number fits the report, and the year fits a coffee break.
const SUBSCRIBERS: std::ops::RangeInclusive<i64> = 1..=50_000;

/// See it work: bill a simulated year of 2,000 subscribers, then check every yen.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  teiki demo
  teiki demo --subscribers 200 --json
  LANG=ja_JP.UTF-8 teiki demo --dir /tmp/teiki-demo

Everything is in --dir: the database, the two CSV files that were imported and the book of the gateway, which
is a sandbox inside this process. --database and --data-dir are not used. No money moves. A second run
replaces what the first one made; a directory that no demo made is never touched.")]
pub struct DemoArgs {
    /// The directory to work in; it is made, or was made by a former demo.
    #[arg(long, value_name = "DIR", default_value = "./teiki-demo")]
    dir: PathBuf,
    /// How many subscribers.
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(SUBSCRIBERS))]
    subscribers: u32,
}

/// Runs `teiki demo`.
pub async fn run(setting: &Setting, args: DemoArgs) -> Result<(), Failure> {
    if setting.mode != Mode::Test {
        return Err(Failure::usage("the demo works with --mode test only; it moves no money"));
    }
    let words = if is_japanese() { &JAPANESE } else { &ENGLISH };
    let request = Request {
        dir: args.dir,
        subscribers: args.subscribers,
        program: std::env::args().next().unwrap_or_else(|| "teiki".to_owned()),
    };
    let screen = Screen::new(words, setting.format == Format::Json);
    let report = demo(setting, &request, &screen).await;
    screen.clear();
    let report = report?;
    output::print(setting.format, &report, |report| view::text(report, words))?;
    judge(&report)
}

/// What the exit code says.
fn judge(report: &Report) -> Result<(), Failure> {
    if !report.is_right() {
        return Err(Failure::failed("the checks of the demo failed; please report it with the text above"));
    }
    if report.unknown > 0 {
        return Err(Failure::unfinished(format!(
            "the outcome of {} charges is not known yet; the last command above finds it out",
            report.unknown
        )));
    }
    Ok(())
}

/// The language of the environment, in the order of POSIX.
fn is_japanese() -> bool {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_some_and(|value| value.starts_with("ja"))
}

/// Live progress at a terminal, a line for each step elsewhere, nothing with `--json`.
struct Screen {
    words: &'static Words,
    is_quiet: bool,
    zone: TimeZone,
    // Made when the year begins, for a bar shows itself at once.
    year: OnceLock<ProgressBar>,
}

impl Screen {
    fn new(words: &'static Words, is_quiet: bool) -> Self {
        Self { words, is_quiet, zone: TimeZone::get(ZONE).unwrap_or(TimeZone::UTC), year: OnceLock::new() }
    }

    fn say(&self, text: &str) {
        if !self.is_quiet && !std::io::stderr().is_terminal() {
            output::tell(text);
        }
    }

    fn start_year(&self) -> ProgressBar {
        self.say(self.words.billing);
        let days = u64::try_from((LAST - FIRST).get_days() + 1).ok();
        let year = progress::bar(self.words.billing, days, self.is_quiet);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {bar:32} {msg}") {
            year.set_style(style);
        }
        // It turns while an answer of the gateway does not come.
        year.enable_steady_tick(Duration::from_millis(100));
        year
    }

    fn clear(&self) {
        if let Some(year) = self.year.get() {
            year.finish_and_clear();
        }
    }
}

impl Watcher for Screen {
    fn importing(&self, total: u64) -> ProgressBar {
        self.say(self.words.importing);
        progress::bar(self.words.importing, Some(total), self.is_quiet)
    }

    fn at(&self, line: &Line, now: Timestamp) {
        let year = self.year.get_or_init(|| self.start_year());
        let day = now.to_zoned(self.zone.clone()).date();
        year.set_position(u64::try_from((day - FIRST).get_days()).unwrap_or(0));
        year.set_prefix(day.to_string());
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &line.counters;
        let found = of(&counters.resolved_by_replay) + of(&counters.resolved_by_lookup);
        year.set_message(format!(
            "{} {}  {} {}  {} {}",
            of(&counters.succeeded),
            self.words.charged,
            of(&counters.failed),
            self.words.failed,
            of(&counters.unknown).saturating_sub(found),
            self.words.confirming,
        ));
    }

    fn checking(&self) {
        self.say(self.words.checking);
        if let Some(year) = self.year.get() {
            year.set_message(self.words.checking);
        }
    }
}
