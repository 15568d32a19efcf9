//! The gateway's book, read line by line: what was taken, and what was given back.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::calendar::instant;

/// A success that was not given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The gateway's id of it.
    pub(super) id: String,
    /// Whose token was charged.
    pub(super) token: String,
    /// The billing time that the request named, in seconds since 1970.
    pub(super) at: i64,
    pub(super) amount: i64,
    pub(super) currency: String,
}

#[derive(Deserialize)]
struct Line {
    at: String,
    id: String,
    charge: Option<String>,
    token: String,
    amount: i64,
    currency: String,
    outcome: String,
}

/// The successes of a book that were not given back, in its order. Error: what is wrong with it.
pub(super) fn read(path: &Path) -> Result<Vec<Taken>, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("the book cannot be opened: {error}"))?;
    let mut taken = Vec::new();
    let mut given_back = HashSet::new();
    for (text, number) in BufReader::new(file).lines().zip(1_u64..) {
        let text = text.map_err(|error| format!("the book cannot be read: {error}"))?;
        let line: Line =
            serde_json::from_str(&text).map_err(|error| format!("line {number} of the book: {error}"))?;
        match (line.outcome.as_str(), line.charge) {
            ("succeeded", _) => taken.push(Taken {
                at: instant(&line.at)
                    .ok_or_else(|| format!("line {number} of the book has the time {}", line.at))?,
                id: line.id,
                token: line.token,
                amount: line.amount,
                currency: line.currency,
            }),
            ("refunded", Some(charge)) => {
                given_back.insert(charge);
            }
            ("declined", _) => {}
            (other, _) => return Err(format!("line {number} of the book has the outcome {other}")),
        }
    }
    taken.retain(|taken| !given_back.contains(&taken.id));
    Ok(taken)
}
