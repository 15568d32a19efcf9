//! The records of a file: text to rows of named fields, each with its line as an editor counts.
//!
//! The first record is the header: every column exactly once, in any order. Blank lines, and lines of
//! nothing but separators, are skipped. A row with a card number, or with the wrong number of fields, is
//! refused before anything reads it, so that no error repeats a card number.

use csv::{ReaderBuilder, StringRecord};

use super::field::{Refusal, fold};
use super::file::line_breaks;
use super::problem::{Place, Problems, Source, shown};
use crate::card_number;

/// Most rows of one file: an import is one transaction, and all of it is in memory at once.
const ROWS_MAX: usize = 500_000;
/// Longest field in characters, before the limits of each column.
const FIELD_CHARS_MAX: usize = 1_000;
/// Stands on a line of its own after the text. When a record has swallowed it, a quotation mark was left
/// open. A private character: it begins no file.
const END: &str = "\u{F8FF}end";
/// The column whose text may have line breaks (a spreadsheet's Alt+Enter): they become spaces.
const NAME: &str = "name";

/// What a file holds.
pub(super) struct Rows<T> {
    /// What became of the rows that were read, in order.
    pub(super) read: Vec<T>,
    /// Whether there are rows that were refused.
    pub(super) has_refused: bool,
}

/// Reads every row with `parse`, which answers `None` for a row that it refused. `None` when the header
/// cannot be read, so that nothing is known about the rows.
pub(super) fn read<T>(
    mut text: String,
    source: Source,
    columns: &'static [&'static str],
    problems: &mut Problems,
    mut parse: impl FnMut(&mut Row<'_>) -> Option<T>,
) -> Option<Rows<T>> {
    text.push('\n');
    text.push_str(END);
    let mut records = Records::new(&text);
    let mut record = StringRecord::new();
    let header = match records.next(&mut record) {
        Next::Record(line) => Header::read(&record, line, source, columns, problems)?,
        Next::Unclosed(line) => {
            problems.add(Place::line(source, line), UNCLOSED);
            return None;
        }
        Next::End => {
            problems.add(
                Place::file(source),
                format!("the file is empty; its first line is {}", columns.join(",")),
            );
            return None;
        }
    };
    let mut rows = Rows { read: Vec::new(), has_refused: false };
    for number in 1.. {
        let line = match records.next(&mut record) {
            Next::Record(line) => line,
            Next::Unclosed(line) => {
                problems.add(Place::line(source, line), UNCLOSED);
                rows.has_refused = true;
                break;
            }
            Next::End => break,
        };
        if number > ROWS_MAX {
            problems.add(Place::line(source, line), format!("a file has at most {ROWS_MAX} rows; split it"));
            rows.has_refused = true;
            break;
        }
        let mut row = Row { line, record: &record, header: &header, problems: &mut *problems };
        let parsed = if row.is_fit() { parse(&mut row) } else { None };
        rows.has_refused |= parsed.is_none();
        rows.read.extend(parsed);
    }
    Some(rows)
}

const UNCLOSED: &str = "a quotation mark that is opened here is never closed";

/// The records of a text that ends with [`END`].
struct Records<'a> {
    reader: csv::Reader<&'a [u8]>,
    text: &'a [u8],
    // Everything before `counted` has `line - 1` line breaks.
    counted: usize,
    line: u64,
}

enum Next {
    /// It begins on this line.
    Record(u64),
    /// A quotation mark of the record that begins on this line is open at the end of the file.
    Unclosed(u64),
    End,
}

impl<'a> Records<'a> {
    fn new(text: &'a str) -> Self {
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        Self { reader, text: text.as_bytes(), counted: 0, line: 1 }
    }

    /// The next record that is not blank.
    fn next(&mut self, record: &mut StringRecord) -> Next {
        loop {
            // Reading text from memory that is valid UTF-8, in any shape, does not fail.
            if !self.reader.read_record(record).unwrap_or(false) {
                return Next::End;
            }
            if record.len() == 1 && record.get(0) == Some(END) {
                return Next::End;
            }
            let line = self.line_of(record);
            if record.iter().next_back().is_some_and(|field| field.ends_with(END)) {
                return Next::Unclosed(line);
            }
            if record.iter().any(|field| !field.trim().is_empty()) {
                return Next::Record(line);
            }
        }
    }

    /// The line on which a record begins. The reader's own count is of LF alone, and its position is
    /// that of the blank lines before the record.
    fn line_of(&mut self, record: &StringRecord) -> u64 {
        let position = record.position().map_or(0, csv::Position::byte);
        let position = usize::try_from(position).unwrap_or(self.text.len()).min(self.text.len());
        let blank = self.text[position..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let start = position + blank;
        self.line += line_breaks(&self.text[self.counted.min(start)..start]);
        self.counted = start;
        self.line
    }
}

/// Where each column stands.
struct Header {
    source: Source,
    columns: &'static [&'static str],
    // As long as `columns`: the place of each in a record.
    places: Vec<usize>,
    // How many fields every record has.
    width: usize,
}

impl Header {
    fn read(
        record: &StringRecord,
        line: u64,
        source: Source,
        columns: &'static [&'static str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.count();
        let place = Place::line(source, line);
        let names: Vec<String> = record.iter().map(|name| fold(name).into_owned()).collect();
        for (number, name) in (1..).zip(&names) {
            let column = columns.iter().find(|&column| column == name);
            if card_number::is_in(name) {
                problems.add(place, format!("the header's field {number} {CARD_NUMBER}"));
            } else if column.is_none() {
                let known = columns.join(", ");
                problems.add(place, format!("unknown column {}; the columns are {known}", shown(name)));
            } else if names.iter().filter(|other| *other == name).count() > 1
                && names.iter().position(|other| other == name) == Some(number - 1)
            {
                problems.add(place, format!("the column {name} is there more than once"));
            }
        }
        let places: Vec<_> =
            columns.iter().map(|column| names.iter().position(|name| name == column)).collect();
        for (column, found) in columns.iter().zip(&places) {
            if found.is_none() {
                problems.add(place, format!("the column {column} is missing"));
            }
        }
        let places = places.into_iter().collect::<Option<Vec<_>>>()?;
        (problems.count() == before).then_some(Self { source, columns, places, width: names.len() })
    }
}

/// The end of a sentence about a field, which does not show it.
const CARD_NUMBER: &str =
    "looks like a card number, which must never be stored here; remove it (it is not shown)";

/// One record, field by field.
pub(super) struct Row<'a> {
    /// The line on which it begins.
    pub(super) line: u64,
    record: &'a StringRecord,
    header: &'a Header,
    problems: &'a mut Problems,
}

impl Row<'_> {
    /// What `parse` makes of the field in `column`. A refusal becomes a problem.
    pub(super) fn read<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        match clean(self.field(column), column == NAME).and_then(|value| parse(&value)) {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refuse(column, refusal);
                None
            }
        }
    }

    /// How many problems there are in all files so far.
    pub(super) const fn problem_count(&self) -> usize {
        self.problems.count()
    }

    /// Adds a problem with a field.
    pub(super) fn refuse(&mut self, column: &'static str, refusal: impl Into<String>) {
        self.problems.add(Place::column(self.header.source, self.line, column), refusal);
    }

    fn field(&self, column: &str) -> &str {
        let columns = self.header.columns.iter().zip(&self.header.places);
        let place = columns.into_iter().find(|(name, _)| **name == column).map(|(_, &place)| place);
        place.and_then(|place| self.record.get(place)).unwrap_or("")
    }

    /// Whether it may be read at all.
    fn is_fit(&mut self) -> bool {
        let place = Place::line(self.header.source, self.line);
        let before = self.problems.count();
        for (number, field) in self.record.iter().enumerate() {
            if card_number::is_in(field) {
                let name =
                    self.header.places.iter().position(|&at| at == number).map(|at| self.header.columns[at]);
                self.problems.add(Place { column: name, ..place }, CARD_NUMBER);
            }
        }
        if self.record.len() != self.header.width {
            let (found, expected) = (self.record.len(), self.header.width);
            self.problems.add(place, format!("the row has {found} fields, the header has {expected}"));
        }
        self.problems.count() == before
    }
}

/// A field without space around, with no control character left in it.
fn clean(field: &str, may_have_line_breaks: bool) -> Result<String, Refusal> {
    let mut value = field.trim().to_owned();
    if value.chars().nth(FIELD_CHARS_MAX).is_some() {
        return Err(format!("the field is longer than {FIELD_CHARS_MAX} characters"));
    }
    if may_have_line_breaks && value.contains(['\n', '\r']) {
        value = value
            .split(['\n', '\r'])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
    }
    match value.chars().find(|letter| letter.is_control()) {
        Some('\n' | '\r') => Err("has a line break inside".to_owned()),
        Some(control) => Err(format!("has a control character inside (U+{:04X})", u32::from(control))),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::problem::Files;

    const COLUMNS: &[&str] = &["id", "name"];

    /// The rows as `line: id | name`, and what is wrong.
    fn check(text: &str) -> (Vec<String>, String) {
        let mut problems = Problems::default();
        let rows = read(text.to_owned(), Source::Plans, COLUMNS, &mut problems, |row| {
            let id = row.read("id", |value| Ok(value.to_owned()))?;
            let name = row.read("name", |value| Ok(value.to_owned()))?;
            Some(format!("{}: {id} | {name}", row.line))
        });
        let files = Files { plans: "p.csv".into(), subscribers: "s.csv".into() };
        let wrong = problems.check(&files).map_or_else(|failure| failure.message, |()| String::new());
        let wrong = wrong.split_once('\n').map_or(String::new(), |(_, list)| list.to_owned());
        (rows.map(|rows| rows.read).unwrap_or_default(), wrong)
    }

    #[test]
    fn lines_are_those_of_an_editor() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["", "id,name", "1,a", "", "  ", ",", "2,\"b", "c\"", "", "\"3\",d", ""].join(end);
            let (rows, wrong) = check(&text);
            assert_eq!(rows, ["3: 1 | a", "7: 2 | b c", "10: 3 | d"], "{end:?}");
            assert_eq!(wrong, "");
        }
        let (rows, _) = check("id,name\r\n\r\n\n1,a\n\r\n2,b\r\n\"3\n\n\",c\n4,d");
        assert_eq!(rows, ["4: 1 | a", "6: 2 | b", "7: 3 | c", "10: 4 | d"]);
    }

    #[test]
    fn columns_are_found_by_name() {
        let (rows, wrong) = check("\"ｎａｍｅ\", id \n\" a \"\"b\"\", c　\",1\n");
        assert_eq!((rows.as_slice(), wrong.as_str()), (["2: 1 | a \"b\", c".to_owned()].as_slice(), ""));
    }

    #[test]
    fn wrong_headers_are_named() {
        let table = [
            ("", "p.csv: the file is empty; its first line is id,name"),
            ("\n\n", "p.csv: the file is empty; its first line is id,name"),
            ("\nid\n1\n", "p.csv:2: the column name is missing"),
            ("id,name,id\n", "p.csv:1: the column id is there more than once"),
            ("id,name,nmae\n", "p.csv:1: unknown column nmae; the columns are id, name"),
            ("id,name,\n", "p.csv:1: unknown column (empty); the columns are id, name"),
            ("id,\"name\n1,a\n", "p.csv:1: a quotation mark that is opened here is never closed"),
        ];
        for (text, expected) in table {
            assert_eq!(check(text), (vec![], expected.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn wrong_rows_are_named_and_the_others_read() {
        let table = [
            ("1\n", "p.csv:3: the row has 1 fields, the header has 2"),
            ("1,a,b\n", "p.csv:3: the row has 3 fields, the header has 2"),
            ("1,a\u{0}\n", "p.csv:3: name: has a control character inside (U+0000)"),
            ("\"1\n1\",a\n", "p.csv:3: id: has a line break inside"),
        ];
        for (row, expected) in table {
            let (rows, wrong) = check(&format!("id,name\n0,z\n{row}9,y\n"));
            assert_eq!(wrong, expected, "{row:?}");
            assert_eq!(rows.len(), 2, "{row:?}");
        }
        let long = format!("id,name\n1,{}\n", "a".repeat(FIELD_CHARS_MAX + 1));
        assert_eq!(check(&long).1, "p.csv:2: name: the field is longer than 1000 characters");
        let open = check("id,name\n0,z\n1,\"a\n2,b\n");
        assert_eq!(open.1, "p.csv:3: a quotation mark that is opened here is never closed");
    }

    #[test]
    fn card_numbers_are_refused_anywhere_and_never_shown() {
        for text in [
            "id,name\n1,4242 4242 4242 4242\n",
            "id,name\n4242424242424242,a\n",
            "id,name\n1,a,４２４２４２４２４２４２４２４２\n",
            "id,name,4242424242424242\n1,a,b\n",
        ] {
            let (rows, wrong) = check(text);
            assert!(wrong.contains("looks like a card number"), "{wrong}");
            assert!(!wrong.contains("4242") && !wrong.contains("４２４２"), "{wrong}");
            assert!(rows.is_empty());
        }
    }
}
