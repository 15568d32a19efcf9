//! Reading stored values as the types of `billing`. A value that no version has written is an error that
//! names its column; it never becomes a guess.

use std::str::FromStr;

use billing::id::Slot;
use db::{Column, Error, Row};
use jiff::Timestamp;

/// Longest stored text that an error shows, in bytes.
const SHOWN_MAX: usize = 80;

/// A stored text that does not read. The error is logged: it shows a word, a number or a date, and of anything else only
/// the length, for that may be about people.
pub fn unreadable(column: &str, expected: &'static str, found: &str) -> Error {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+:., ".contains(&byte);
    let found = if found.len() <= SHOWN_MAX && found.bytes().all(is_word) {
        format!("{found:?}")
    } else {
        format!("a text of {} characters", found.chars().count())
    };
    Error::Decode { column: column.to_owned(), expected, found }
}

/// Column `i` as anything that reads from text: an id, a date, a name of a state.
pub fn parsed<T: FromStr>(row: &Row, i: usize, column: &str, expected: &'static str) -> Result<T, Error> {
    let text = row.str(i)?;
    text.parse().map_err(|_| unreadable(column, expected, text))
}

/// Column `i` as an instant.
pub fn instant(row: &Row, i: usize, column: &str) -> Result<Timestamp, Error> {
    let micros = row.i64(i)?;
    Timestamp::from_microsecond(micros).map_err(|_| unreadable(column, "an instant", &micros.to_string()))
}

/// Column `i` as an instant or nothing.
pub fn opt_instant(row: &Row, i: usize, column: &str) -> Result<Option<Timestamp>, Error> {
    row.opt_i64(i)?
        .map(|micros| {
            Timestamp::from_microsecond(micros)
                .map_err(|_| unreadable(column, "an instant", &micros.to_string()))
        })
        .transpose()
}

/// Column `i` as a count that fits 32 bits.
pub fn count(row: &Row, i: usize, column: &str) -> Result<u32, Error> {
    let number = row.i64(i)?;
    u32::try_from(number).map_err(|_| unreadable(column, "a count", &number.to_string()))
}

/// Slots as a column of keys.
pub fn slots<'a>(slots: impl Iterator<Item = Slot>) -> Column<'a> {
    Column::I64(slots.map(Slot::as_i64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_read_is_named_and_nothing_about_people_is_shown() {
        let of = |found: &str| unreadable("charges.status", "a status", found).to_string();
        assert!(of("payd").contains("\"payd\""), "{}", of("payd"));
        for secret in [r#"{"name":"TARO"}"#, "山田 太郎", &"a".repeat(SHOWN_MAX + 1)] {
            let shown = of(secret);
            assert!(!shown.contains(secret) && shown.contains("characters"), "{shown}");
        }
    }
}
