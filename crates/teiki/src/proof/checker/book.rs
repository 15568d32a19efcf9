//! The gateway's book, read line by line: what was taken, at once or from what was reserved, and what was given back.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::calendar::instant;

/// A charge that took money and did not give all of it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The gateway's id of it.
    pub(super) id: String,
    /// Whose token was charged.
    pub(super) token: String,
    /// The billing time that the request named, in seconds since 1970; also where the money was taken later.
    pub(super) at: i64,
    /// What was taken and not given back.
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

/// The charges of a book whose money was taken and not given back, in the order of taking. Error: what is wrong with it.
pub(super) fn read(path: &Path) -> Result<Vec<Taken>, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("the book cannot be opened: {error}"))?;
    let (mut taken, mut reserved) = (Vec::new(), HashMap::new());
    let mut given_back: HashMap<String, i64> = HashMap::new();
    for (text, number) in BufReader::new(file).lines().zip(1_u64..) {
        let text = text.map_err(|error| format!("the book cannot be read: {error}"))?;
        let line: Line =
            serde_json::from_str(&text).map_err(|error| format!("line {number} of the book: {error}"))?;
        match (line.outcome.as_str(), &line.charge) {
            ("succeeded", None) => taken.push(charge(line, number)?),
            ("authorized", None) => {
                let charge = charge(line, number)?;
                reserved.insert(charge.id.clone(), charge);
            }
            ("captured", Some(charge)) => {
                let charge = reserved.remove(charge).ok_or_else(|| {
                    format!("line {number} of the book captures {charge}, which is not reserved")
                })?;
                taken.push(Taken { amount: line.amount, ..charge });
            }
            ("voided", Some(charge)) => {
                reserved.remove(charge);
            }
            ("refunded", Some(charge)) => *given_back.entry(charge.clone()).or_default() += line.amount,
            ("declined", _) | ("authorized", Some(_)) => {}
            (other, _) => return Err(format!("line {number} of the book has the outcome {other}")),
        }
    }
    for charge in &mut taken {
        charge.amount -= given_back.get(&charge.id).copied().unwrap_or(0);
    }
    taken.retain(|charge| charge.amount > 0);
    Ok(taken)
}

fn charge(line: Line, number: u64) -> Result<Taken, String> {
    Ok(Taken {
        at: instant(&line.at).ok_or_else(|| format!("line {number} of the book has the time {}", line.at))?,
        id: line.id,
        token: line.token,
        amount: line.amount,
        currency: line.currency,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a book takes whose lines have these outcomes, charges and amounts; the id of line 1 is `1`.
    fn read_lines(lines: &[(&str, Option<&str>, i64)]) -> Result<Vec<(String, i64, i64)>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("book.jsonl");
        let text: String = lines
            .iter()
            .zip(1_u32..)
            .map(|((outcome, charge, amount), number)| {
                let line = serde_json::json!({
                    "at": format!("2028-01-0{number}T00:00:00Z"), "id": number.to_string(), "charge": charge,
                    "token": "sbx_ok", "amount": amount, "currency": "jpy", "outcome": outcome,
                });
                format!("{line}\n")
            })
            .collect();
        std::fs::write(&path, text).expect("a file");
        let days = |taken: &Taken| (taken.at - instant("2028-01-01T00:00:00Z").expect("an instant")) / 86_400;
        Ok(read(&path)?.into_iter().map(|taken| (taken.id.clone(), days(&taken) + 1, taken.amount)).collect())
    }

    #[test]
    fn what_was_taken_is_successes_and_captures_without_refunds() {
        let book = [
            ("succeeded", None, 100),
            ("declined", None, 100),
            ("authorized", None, 200),
            ("authorized", Some("3"), 200),
            ("declined", Some("3"), 200),
            ("captured", Some("3"), 150),
            ("authorized", None, 300),
            ("voided", Some("7"), 300),
        ];
        let taken = [("1".to_owned(), 1, 100), ("3".to_owned(), 3, 150)];
        assert_eq!(read_lines(&book).as_deref(), Ok(taken.as_slice()));
        let given_back = [("succeeded", None, 100), ("refunded", Some("1"), 40), ("refunded", Some("1"), 60)];
        assert_eq!(read_lines(&given_back), Ok(Vec::new()));
        assert_eq!(read_lines(&given_back[..2]), Ok(vec![("1".to_owned(), 1, 60)]));
        assert_eq!(read_lines(&[("authorized", None, 5)]), Ok(Vec::new()));
    }

    #[test]
    fn a_book_that_cannot_be_is_not_believed() {
        for book in [
            &[("captured", Some("9"), 1)][..],
            &[("authorized", None, 1), ("voided", Some("1"), 1), ("captured", Some("1"), 1)],
            &[("authorized", None, 2), ("captured", Some("1"), 1), ("captured", Some("1"), 1)],
            &[("captured", None, 1)],
            &[("refunded", None, 1)],
            &[("succeeded", Some("9"), 1)],
            &[("paid", None, 1)],
        ] {
            assert!(read_lines(book).is_err(), "{book:?}");
        }
    }
}
