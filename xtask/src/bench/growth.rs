//! `bench renewals --growth`: renewals of few among many subscribers, with a long history and without.
//!
//! The history is not made up: teiki has billed every month of it, so its rows lie where they would lie. The subscribers are
//! due in groups, one a day; each round takes the next group, in both databases by turns. At full size (1,000,000
//! subscribers, 12 months) it takes a long time and tens of gigabytes; smaller sizes show the same.

use jiff::civil::date;
use jiff::{Span, Timestamp};
use serde::Serialize;

use super::measure::{Milli, Round, Summary, table};
use super::renewals::{RenewalsArguments, engine_name};
use super::scratch::Scratch;
use super::subscribers::{self, Crowd};
use super::{Failed, process};

/// The timed rounds are in the month that begins here.
const CLOCK: &str = "2027-01-01T00:00:00+09:00";
/// Days of a month that groups may be due on, from the 11th to the 27th, which every month has.
const GROUPS_MAX: u64 = 17;

#[derive(Serialize)]
struct Report {
    engine: String,
    count: u64,
    subscribers: u64,
    months: i32,
    with_history: Summary,
    without_history: Summary,
    /// Time with the history through time without.
    growth: Milli,
}

struct Side {
    name: &'static str,
    account: String,
    rounds: Vec<Round>,
}

pub(crate) fn run(arguments: &RenewalsArguments) -> Result<(), Failed> {
    let groups = (arguments.subscribers / arguments.count).min(GROUPS_MAX);
    if groups < arguments.rounds || !arguments.subscribers.is_multiple_of(groups) {
        return Err(format!(
            "--subscribers must be a multiple of --count, at least {} times as many",
            arguments.rounds
        )
        .into());
    }
    let count = arguments.subscribers / groups;
    if count != arguments.count {
        return Err(format!("--subscribers may be at most {GROUPS_MAX} times --count").into());
    }
    let is_quiet = arguments.place.json;
    let mut scratch = Scratch::new(&arguments.place)?;
    let mut sides = [
        Side { name: "with", account: with_history(&mut scratch, arguments, groups)?, rounds: Vec::new() },
        Side {
            name: "without",
            account: without_history(&mut scratch, arguments, groups)?,
            rounds: Vec::new(),
        },
    ];
    let rounds = usize::try_from(2 * arguments.rounds)?;
    let bar = subscribers::rounds_bar(rounds, is_quiet);
    for _ in 0..arguments.rounds {
        for side in &mut sides {
            scratch.settle_down()?;
            let url = scratch.url(side.name)?;
            let count = count.to_string();
            let round = ["teiki", "--database", &url, "--account", &side.account, "--count", &count];
            side.rounds.push(process::round(&round)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let [with, without] = sides;
    let (with_history, without_history) = (Summary::of(&with.rounds)?, Summary::of(&without.rounds)?);
    print(
        arguments,
        &Report {
            engine: engine_name(arguments.place.engine).to_owned(),
            count,
            subscribers: arguments.subscribers,
            months: arguments.months,
            growth: Milli::of(without_history.per_second.median, with_history.per_second.median),
            with_history,
            without_history,
        },
    )
}

fn print(arguments: &RenewalsArguments, report: &Report) -> Result<(), Failed> {
    if arguments.place.json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    let sides = [
        (format!("with {} months of history", report.months), report.with_history),
        ("without history".to_owned(), report.without_history),
    ];
    println!(
        "{} renewals out of {} subscribers on {}; counts are per renewal",
        report.count, report.subscribers, report.engine
    );
    print!("{}", table(&sides));
    println!("growth: time with ÷ time without  {}", report.growth);
    Ok(())
}

fn without_history(
    scratch: &mut Scratch,
    arguments: &RenewalsArguments,
    groups: u64,
) -> Result<String, Failed> {
    let url = scratch.make("without")?;
    let crowd = Crowd {
        count: arguments.subscribers,
        groups,
        first_on: date(2027, 1, 11),
        clock: Some(CLOCK.to_owned()),
    };
    let account = subscribers::make(&url, scratch.folder(), &crowd, arguments.place.json)?;
    scratch.tidy_up("without")?;
    Ok(account)
}

fn with_history(scratch: &mut Scratch, arguments: &RenewalsArguments, groups: u64) -> Result<String, Failed> {
    let url = scratch.make("with")?;
    let back = Span::new().try_months(arguments.months)?;
    let first_on = date(2027, 1, 11).checked_sub(back)?;
    let clock = format!("{}T00:00:00+09:00", date(2027, 1, 1).checked_sub(back)?);
    let crowd = Crowd { count: arguments.subscribers, groups, first_on, clock: Some(clock) };
    let account = subscribers::make(&url, scratch.folder(), &crowd, arguments.place.json)?;
    scratch.tidy_up("with")?;
    let until: Timestamp = CLOCK.parse()?;
    let until = until.to_string();
    let mut history = vec!["history", "--database", &url, "--account", &account, "--until", &until];
    if arguments.place.json {
        history.push("--quiet");
    }
    process::round::<()>(&history)?;
    scratch.tidy_up("with")?;
    Ok(account)
}
