//! What is wrong with the files of an import, collected so that all of it is reported together.
//!
//! Each problem names file, line and column. The first [`SHOWN_MAX`] are kept, all are counted.

use std::fmt::Write;
use std::path::PathBuf;

use crate::failure::Failure;

/// How many problems are shown: more than a person reads at once, less than a screen's memory.
const SHOWN_MAX: usize = 100;
/// How many are kept before those that come later in the files are dropped.
const KEPT_MAX: usize = 10 * SHOWN_MAX;
/// How much of a value an error shows, in characters: enough to recognise it.
const VALUE_SHOWN_MAX: usize = 60;

/// Which of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The file of `--plans`.
    Plans,
    /// The file of `--subscribers`.
    Subscribers,
}

/// Where a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The file.
    pub(super) source: Source,
    /// The line as an editor counts, from 1; `None` is the file as a whole.
    pub(super) line: Option<u64>,
    /// The column's name; `None` is the whole line.
    pub(super) column: Option<&'static str>,
}

impl Place {
    /// A file as a whole.
    pub(super) const fn file(source: Source) -> Self {
        Self { source, line: None, column: None }
    }

    /// A whole line.
    pub(super) const fn line(source: Source, line: u64) -> Self {
        Self { source, line: Some(line), column: None }
    }

    /// A column of a line.
    pub(super) const fn column(source: Source, line: u64, column: &'static str) -> Self {
        Self { source, line: Some(line), column: Some(column) }
    }
}

/// One thing that is wrong.
#[derive(Debug)]
struct Problem {
    place: Place,
    text: String,
}

/// Everything that is wrong.
#[derive(Debug, Default)]
pub(super) struct Problems {
    kept: Vec<Problem>,
    count: usize,
}

impl Problems {
    /// Adds one. `text` is a sentence without a capital and a full stop.
    pub(super) fn add(&mut self, place: Place, text: impl Into<String>) {
        self.count += 1;
        self.kept.push(Problem { place, text: text.into() });
        if self.kept.len() > KEPT_MAX {
            self.keep_first();
        }
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    fn keep_first(&mut self) {
        self.kept.sort_by_key(|problem| (problem.place.source, problem.place.line));
        self.kept.truncate(SHOWN_MAX);
    }

    /// Nothing, or the failure that lists them.
    pub(super) fn check(mut self, files: &Files) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        self.keep_first();
        let noun = if self.count == 1 { "error" } else { "errors" };
        let mut message = format!("nothing was imported, for the files have {} {noun}:", self.count);
        for problem in &self.kept {
            let name = files.path(problem.place.source).display();
            let line = problem.place.line.map(|line| format!(":{line}")).unwrap_or_default();
            let column = problem.place.column.map(|column| format!("{column}: ")).unwrap_or_default();
            // Writing to a string does not fail.
            let _ = write!(message, "\n{name}{line}: {column}{}", problem.text);
        }
        if self.count > self.kept.len() {
            let _ = write!(message, "\nand {} more", self.count - self.kept.len());
        }
        Err(Failure::usage(message))
    }
}

/// The files of one import.
#[derive(Clone, Debug)]
pub struct Files {
    /// The plans.
    pub plans: PathBuf,
    /// The running subscriptions.
    pub subscribers: PathBuf,
}

impl Files {
    pub(super) const fn path(&self, source: Source) -> &PathBuf {
        match source {
            Source::Plans => &self.plans,
            Source::Subscribers => &self.subscribers,
        }
    }
}

/// A value as errors show it: on one line, cut, and with a name when it is empty.
pub(super) fn shown(value: &str) -> String {
    if value.is_empty() {
        return "(empty)".to_owned();
    }
    let mut shown: String = value
        .chars()
        .take(VALUE_SHOWN_MAX)
        .map(|letter| if letter.is_control() { '\u{FFFD}' } else { letter })
        .collect();
    if value.chars().nth(VALUE_SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        Files { plans: "plans.csv".into(), subscribers: "subscribers.csv".into() }
    }

    #[test]
    fn problems_come_in_the_order_of_the_files() {
        let mut problems = Problems::default();
        problems.add(Place::column(Source::Subscribers, 12, "email"), "is empty");
        problems.add(Place::line(Source::Subscribers, 3), "has 12 fields");
        problems.add(Place::file(Source::Plans), "is empty");
        let failure = problems.check(&files()).expect_err("there are problems");
        assert_eq!(
            failure.message,
            "nothing was imported, for the files have 3 errors:\n\
             plans.csv: is empty\n\
             subscribers.csv:3: has 12 fields\n\
             subscribers.csv:12: email: is empty"
        );
    }

    #[test]
    fn the_first_hundred_are_shown_and_all_are_counted() {
        let mut problems = Problems::default();
        for line in (1..=5_000).rev() {
            problems.add(Place::line(Source::Subscribers, line), "is wrong");
        }
        let message = problems.check(&files()).expect_err("there are problems").message;
        assert!(message.starts_with(
            "nothing was imported, for the files have 5000 errors:\nsubscribers.csv:1: is wrong\n"
        ));
        assert!(message.ends_with("\nsubscribers.csv:100: is wrong\nand 4900 more"), "{message}");
        assert!(Problems::default().check(&files()).is_ok());
    }

    #[test]
    fn values_are_shown_on_one_line_and_cut() {
        assert_eq!(shown(""), "(empty)");
        assert_eq!(shown("a\u{1b}[31m"), "a\u{FFFD}[31m");
        assert_eq!(shown(&"山".repeat(61)), format!("{}…", "山".repeat(60)));
    }
}
