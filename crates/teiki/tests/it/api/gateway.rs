//! `teiki sandbox` as a process of its own, and its book.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use sandbox::{Outcome, read_book};
use serde_json::Value;

use crate::place::Place;

/// A running sandbox.
pub(super) struct Gateway {
    child: Child,
    pub(super) url: String,
    book: PathBuf,
}

impl Gateway {
    pub(super) fn start(place: &Place, faults: &str) -> Self {
        let book = place.file("book.jsonl");
        let mut child = place
            .command(&[
                "sandbox",
                "--listen",
                "127.0.0.1:0",
                "--book",
                "book.jsonl",
                "--faults",
                faults,
                "--json",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        let greeting: Value = serde_json::from_str(&greeting).unwrap();
        Self { child, url: greeting["url"].as_str().unwrap().to_owned(), book }
    }

    /// How often money was taken, by the rule of the token and what makes it unique. The second opinion.
    pub(super) fn successes(&self) -> BTreeMap<String, usize> {
        let mut successes = BTreeMap::new();
        for line in read_book(&self.book).unwrap().iter().filter(|line| line.outcome == Outcome::Succeeded) {
            *successes.entry(line.token.clone()).or_default() += 1;
        }
        successes
    }

    /// How many requests hang, or have hung.
    pub(super) fn hung(&self) -> usize {
        let state = std::fs::read_to_string(self.book.with_extension("jsonl.state")).unwrap_or_default();
        state.matches("sbx_timeout_").count()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
