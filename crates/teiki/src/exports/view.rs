//! How records are written: CSV that no spreadsheet can be attacked with, or JSON Lines.

use std::io::{self, Write};

use super::fields::{Field, fields};
use super::store::Cell;
use super::{FileFormat, Request};

/// The bytes of a page's rows. The first part of a CSV file begins with its header, also without rows.
pub(super) fn part(request: &Request, is_first: bool, records: &[Vec<Cell>]) -> io::Result<Vec<u8>> {
    let fields = fields(request.subject);
    let mut bytes = Vec::new();
    match request.format {
        FileFormat::Csv => {
            if is_first && request.bom {
                bytes.extend("\u{feff}".as_bytes());
            }
            write_csv(&mut bytes, fields, is_first, records)?;
        }
        FileFormat::Jsonl => {
            for record in records {
                write_json_line(&mut bytes, fields, record)?;
            }
        }
    }
    Ok(bytes)
}

fn write_csv(
    bytes: &mut Vec<u8>,
    fields: &[Field],
    has_header: bool,
    records: &[Vec<Cell>],
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(bytes);
    if has_header {
        writer.write_record(fields.iter().map(|field| field.name)).map_err(io::Error::other)?;
    }
    for record in records {
        for cell in record {
            write_csv_field(&mut writer, cell)?;
        }
        writer.write_record(None::<&[u8]>).map_err(io::Error::other)?;
    }
    writer.flush()
}

fn write_csv_field<W: Write>(writer: &mut csv::Writer<W>, cell: &Cell) -> io::Result<()> {
    match cell {
        Cell::Empty => writer.write_field(""),
        Cell::Number(number) => writer.write_field(number.to_string()),
        Cell::Flag(flag) => writer.write_field(if *flag { "true" } else { "false" }),
        Cell::Text(text) | Cell::Json(text) if is_formula(text) => writer.write_field(format!("'{text}")),
        Cell::Text(text) | Cell::Json(text) => writer.write_field(text),
    }
    .map_err(io::Error::other)
}

/// Whether a spreadsheet may take a text for a formula: by its first character, in its full-width form too,
/// which Japanese Excel reads alike.
/// Source: OWASP, "CSV Injection".
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// An object with the fields in their order, on one line.
fn write_json_line<W: Write>(out: &mut W, fields: &[Field], record: &[Cell]) -> io::Result<()> {
    for (place, (field, cell)) in fields.iter().zip(record).enumerate() {
        out.write_all(if place == 0 { b"{" } else { b"," })?;
        serde_json::to_writer(&mut *out, field.name)?;
        out.write_all(b":")?;
        match cell {
            Cell::Empty => out.write_all(b"null")?,
            Cell::Number(number) => serde_json::to_writer(&mut *out, number)?,
            Cell::Flag(flag) => serde_json::to_writer(&mut *out, flag)?,
            Cell::Text(text) => serde_json::to_writer(&mut *out, text)?,
            // Written anew, so that it stands on one line whatever its stored form is.
            Cell::Json(text) => {
                serde_json::to_writer(&mut *out, &serde_json::from_str::<serde_json::Value>(text)?)?
            }
        }
    }
    out.write_all(b"}\n")
}

#[cfg(test)]
mod tests {
    use billing::id::{AccountId, Slot};
    use billing::mode::Mode;

    use super::*;
    use crate::exports::Subject;

    /// A record of ledger entries that begins with these cells.
    fn record(first: &[Cell]) -> Vec<Cell> {
        let mut record = first.to_vec();
        record.resize(11, Cell::Empty);
        record
    }

    fn written(format: FileFormat, bom: bool, records: &[Vec<Cell>]) -> String {
        let account = AccountId::random(Slot(0), jiff::Timestamp::UNIX_EPOCH, &[0; 32]);
        let request = Request { account, mode: Mode::Test, subject: Subject::Ledger, format, bom };
        let mut bytes = part(&request, true, &[]).expect("memory takes it");
        bytes.extend(part(&request, false, records).expect("memory takes it"));
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// (what is stored, what stands in the CSV file)
    const TEXTS: [(&str, &str); 21] = [
        ("=1+1", "'=1+1"),
        ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
        ("+81", "'+81"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "\"'\r=1\""),
        ("\n=1", "\"'\n=1\""),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠x", "'＠x"),
        ("=", "'="),
        ("", ""),
        ("山田, 太郎", "\"山田, 太郎\""),
        ("a \"b\"", "\"a \"\"b\"\"\""),
        ("two\nlines", "\"two\nlines\""),
        ("a=b", "a=b"),
        (" x", " x"),
        ("'x", "'x"),
        ("𠮷野家", "𠮷野家"),
    ];

    #[test]
    fn text_that_a_spreadsheet_could_run_gets_an_apostrophe_in_csv_and_stays_raw_in_json() {
        for (stored, expected) in TEXTS {
            let record = record(&[Cell::Text(stored.to_owned()), Cell::Number(-5)]);
            let csv = written(FileFormat::Csv, false, std::slice::from_ref(&record));
            let (_, line) = csv.split_once('\n').expect("a header");
            assert_eq!(line, format!("{expected},-5,,,,,,,,,\n"), "{stored:?}");
            let json = written(FileFormat::Jsonl, false, std::slice::from_ref(&record));
            let object: serde_json::Value = serde_json::from_str(&json).expect("one object");
            assert_eq!(object["entry_id"], stored);
            assert_eq!(object["posted_at"], -5);
        }
    }

    #[test]
    fn what_is_written_as_csv_reads_back() {
        for (stored, shown) in TEXTS {
            let csv = written(FileFormat::Csv, false, &[record(&[Cell::Text(stored.to_owned())])]);
            let mut reader = csv::Reader::from_reader(csv.as_bytes());
            let read = reader.records().next().expect("a record").expect("it parses");
            let is_guarded = shown.trim_start_matches('"').starts_with('\'') && !stored.starts_with('\'');
            assert_eq!(read[0].strip_prefix('\'').filter(|_| is_guarded).unwrap_or(&read[0]), stored);
        }
    }

    #[test]
    fn an_empty_export_is_a_header_in_csv_and_nothing_in_json() {
        let header = "entry_id,posted_at,kind,invoice_id,charge_id,debit,credit,amount,currency,test_clock_id,test_clock_deleted_at\n";
        assert_eq!(written(FileFormat::Csv, false, &[]), header);
        assert_eq!(written(FileFormat::Csv, true, &[]), format!("\u{feff}{header}"));
        assert_eq!(written(FileFormat::Jsonl, false, &[]), "");
    }

    #[test]
    fn json_documents_are_nested_and_stay_on_one_line() {
        let cell = Cell::Json("{\n \"a\": [1]\n}".to_owned());
        let line = written(FileFormat::Jsonl, false, &[record(&[cell])]);
        assert!(line.starts_with("{\"entry_id\":{\"a\":[1]},") && line.lines().count() == 1, "{line}");
    }
}
