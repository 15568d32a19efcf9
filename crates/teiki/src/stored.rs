//! Reading stored values as the types of `billing`. A value that no version has written is an error that
//! names its column; it never becomes a guess.

use std::str::FromStr;

use billing::id::Slot;
use db::{Column, Error, Row};
use jiff::Timestamp;

/// A stored text that does not read.
pub fn unreadable(column: &str, expected: &'static str, found: &str) -> Error {
    Error::Decode { column: column.to_owned(), expected, found: format!("{found:?}") }
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
