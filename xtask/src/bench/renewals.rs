//! `bench renewals`: rounds of teiki and of the floor by turns, each on a fresh copy of the same database.
//!
//! Order: make the subscribers, all due at one instant, once; try every batch size and number of connections of the floor
//! once and keep the best three; then by turns teiki and those three. After each floor every table of both databases must
//! have the same rows with the same bytes. The best median of the three is the floor.

use clap::Args;
use jiff::civil::date;
use serde::Serialize;

use super::measure::{Milli, Round, Summary, table};
use super::scratch::Scratch;
use super::subscribers::{self, Crowd};
use super::{EngineName, Failed, Where, floor_postgres, floor_sqlite, process};

/// Batch sizes that the floor is tried with.
const BATCHES: [usize; 3] = [64, 256, 1_000];
/// Connections that the floor is tried with on PostgreSQL; SQLite has one writer.
const CONNECTIONS: [usize; 3] = [1, 2, 4];
/// Of all that were tried once, so many are run in every round; the one with the best median counts.
const FINALISTS: usize = 3;
/// Where the test clock of the subscribers starts.
const CLOCK: &str = "2027-01-01T00:00:00+09:00";
/// About processes, not about renewals.
const NOT_COMPARED: [&str; 1] = ["leases"];

#[derive(Args)]
pub(crate) struct RenewalsArguments {
    #[command(flatten)]
    pub(crate) place: Where,
    /// Renewals of one round.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) count: u64,
    /// Rounds of each side.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=17))]
    pub(crate) rounds: u64,
    /// Instead of the floor: the same renewals out of many subscribers with a long history, and without the history.
    #[arg(long)]
    pub(crate) growth: bool,
    /// With --growth: subscribers, of whom --count are due.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) subscribers: u64,
    /// With --growth: months of history that each of them has.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=24))]
    pub(crate) months: i32,
}

/// How the floor is written.
#[derive(Clone, Copy, Debug, Serialize)]
struct Variant {
    batch: usize,
    connections: usize,
}

#[derive(Serialize)]
struct Tried {
    #[serde(flatten)]
    variant: Variant,
    per_second: u64,
}

#[derive(Serialize)]
struct Report {
    engine: String,
    count: u64,
    teiki: Summary,
    floor: Summary,
    floor_variant: Variant,
    /// Teiki's median through the floor's.
    ratio: Milli,
    floor_tried: Vec<Tried>,
    /// Rows of each table after a round, the same on both sides.
    tables: Vec<(String, u64)>,
}

/// One run.
struct Run<'a> {
    arguments: &'a RenewalsArguments,
    scratch: Scratch,
    account: String,
}

pub(crate) fn run(arguments: &RenewalsArguments) -> Result<(), Failed> {
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
    let report = run.compare()?;
    if place.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", text(&report));
    }
    Ok(())
}

impl Run<'_> {
    fn compare(&mut self) -> Result<Report, Failed> {
        let variants = variants(self.arguments.place.engine);
        let rounds = usize::try_from(self.arguments.rounds)?;
        let total = 1 + variants.len() + rounds * (1 + FINALISTS);
        let bar = subscribers::rounds_bar(total, self.arguments.place.json);
        // It only gives the floor its rows.
        self.teiki()?;
        bar.inc(1);
        let mut tried = Vec::new();
        for variant in variants {
            tried.push(Tried { variant, per_second: self.floor(variant)?.per_second() });
            bar.inc(1);
        }
        let mut finalists = finalists(&tried);
        let (mut teiki, mut tables) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            teiki.push(self.teiki()?);
            bar.inc(1);
            for (variant, rounds) in &mut finalists {
                rounds.push(self.floor(*variant)?);
                bar.inc(1);
                tables = self.same_tables()?;
            }
        }
        bar.finish_and_clear();
        let summaries = finalists.iter().map(|(variant, rounds)| Ok((*variant, Summary::of(rounds)?)));
        let summaries = summaries.collect::<Result<Vec<_>, Failed>>()?;
        let best = summaries.into_iter().max_by_key(|(_, summary)| summary.per_second.median);
        let (floor_variant, floor) = best.ok_or("no floor was tried")?;
        let teiki = Summary::of(&teiki)?;
        Ok(Report {
            engine: engine_name(self.arguments.place.engine).to_owned(),
            count: self.arguments.count,
            ratio: Milli::of(teiki.per_second.median, floor.per_second.median),
            teiki,
            floor,
            floor_variant,
            floor_tried: tried,
            tables,
        })
    }

    fn teiki(&mut self) -> Result<Round, Failed> {
        let url = self.scratch.copy("subscribers", "teiki")?;
        let count = self.arguments.count.to_string();
        process::round(&["teiki", "--database", &url, "--account", &self.account, "--count", &count])
    }

    fn floor(&mut self, variant: Variant) -> Result<Round, Failed> {
        let source = self.scratch.url("teiki")?;
        let url = self.scratch.copy("subscribers", "floor")?;
        let (batch, connections) = (variant.batch.to_string(), variant.connections.to_string());
        process::round(&[
            "floor",
            "--source",
            &source,
            "--database",
            &url,
            "--batch",
            &batch,
            "--connections",
            &connections,
        ])
    }

    /// Rows of each table. Error: the two sides differ.
    fn same_tables(&self) -> Result<Vec<(String, u64)>, Failed> {
        let tables = match self.arguments.place.engine {
            EngineName::Sqlite => floor_sqlite::tables,
            EngineName::Postgres => floor_postgres::tables,
        };
        let (teiki, floor) = (tables(&self.scratch.url("teiki")?)?, tables(&self.scratch.url("floor")?)?);
        let mut counts = Vec::new();
        for (of_teiki, of_floor) in teiki.into_iter().zip(floor) {
            let (name, count, _) = &of_teiki;
            if NOT_COMPARED.contains(&name.as_str()) {
                continue;
            }
            if of_teiki != of_floor {
                let other = of_floor.1;
                return Err(format!(
                    "{name} differs: teiki wrote {count} rows and the floor {other}, or other bytes"
                )
                .into());
            }
            counts.push((name.clone(), *count));
        }
        Ok(counts)
    }
}

/// The best of those that were tried, with no rounds yet.
fn finalists(tried: &[Tried]) -> Vec<(Variant, Vec<Round>)> {
    let mut best: Vec<&Tried> = tried.iter().collect();
    best.sort_by_key(|tried| std::cmp::Reverse(tried.per_second));
    best.iter().take(FINALISTS).map(|tried| (tried.variant, Vec::new())).collect()
}

fn variants(engine: EngineName) -> Vec<Variant> {
    let connections: &[usize] = match engine {
        EngineName::Sqlite => &CONNECTIONS[..1],
        EngineName::Postgres => &CONNECTIONS,
    };
    let of = |&batch| connections.iter().map(move |&connections| Variant { batch, connections });
    BATCHES.iter().flat_map(of).collect()
}

pub(crate) const fn engine_name(engine: EngineName) -> &'static str {
    match engine {
        EngineName::Sqlite => "sqlite",
        EngineName::Postgres => "postgres",
    }
}

fn text(report: &Report) -> String {
    let Variant { batch, connections } = report.floor_variant;
    let sides = [
        ("teiki".to_owned(), report.teiki),
        (format!("floor, batch {batch}, connections {connections}"), report.floor),
    ];
    let mut text =
        format!("{} renewals on {}; counts are per renewal\n{}", report.count, report.engine, table(&sides));
    text.push_str(&format!("teiki ÷ floor  {}\n\nthe floor was tried once with\n", report.ratio));
    for Tried { variant, per_second } in &report.floor_tried {
        text.push_str(&format!(
            "  batch {:>5}, connections {}  {per_second:>7}/s\n",
            variant.batch, variant.connections
        ));
    }
    let rows: Vec<String> = report.tables.iter().map(|(name, count)| format!("{name} {count}")).collect();
    text.push_str(&format!("rows, the same on both sides: {}\n", rows.join(", ")));
    text
}
