//! A file of an import: bytes to text, whatever program wrote it.
//!
//! The encoding is the one that is said; else the one of the byte order mark; else UTF-8 if the bytes are
//! valid UTF-8; else Shift_JIS (with the characters of Windows-31J) if they look like it. Anything else is
//! an error that names the line. Does not look at what the text means.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use clap::ValueEnum;
use encoding_rs::{SHIFT_JIS, UTF_8};

use super::problem::{Place, Problems, Source};

/// Largest file: about a million subscribers. All of it is in memory at once.
const FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How the bytes of a file are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// Unicode.
    #[value(name = "utf-8", alias = "utf8")]
    Utf8,
    /// The encoding of Japanese Windows.
    #[value(name = "shift_jis", alias = "sjis", alias = "shift-jis", alias = "cp932")]
    ShiftJis,
}

/// The text of a file without its byte order mark; `None` with a problem when there is none.
pub(super) fn read(
    path: &Path,
    source: Source,
    said: Option<Encoding>,
    problems: &mut Problems,
) -> Option<String> {
    match read_bytes(path) {
        Ok(bytes) => match decode(bytes, said) {
            Ok(text) => Some(text),
            Err(Undecodable { line, text }) => {
                problems.add(Place { source, line, column: None }, text);
                None
            }
        },
        Err(text) => {
            problems.add(Place::file(source), text);
            None
        }
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| {
        let known = [
            (ErrorKind::NotFound, "there is no such file"),
            (ErrorKind::PermissionDenied, "this user may not read the file"),
            (ErrorKind::IsADirectory, "this is a folder, not a file"),
        ];
        let text = known.iter().find(|(kind, _)| *kind == error.kind()).map(|(_, text)| (*text).to_owned());
        text.unwrap_or_else(|| format!("the file cannot be read: {error}"))
    };
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= FILE_BYTES_MAX => Ok(bytes),
        Ok(_) | Err(_) => Err(format!(
            "the file is larger than {} MiB; split it and import the parts",
            FILE_BYTES_MAX / 1024 / 1024
        )),
    }
}

/// Why bytes are not text.
#[derive(Debug, PartialEq, Eq)]
struct Undecodable {
    line: Option<u64>,
    text: String,
}

fn decode(bytes: Vec<u8>, said: Option<Encoding>) -> Result<String, Undecodable> {
    let marked = encoding_rs::Encoding::for_bom(&bytes);
    match (said, marked) {
        (Some(Encoding::Utf8), _) => decode_as(UTF_8, &bytes),
        (Some(Encoding::ShiftJis), _) => decode_as(SHIFT_JIS, &bytes),
        (None, Some((encoding, _))) => decode_as(encoding, &bytes),
        (None, None) => String::from_utf8(bytes).or_else(|error| decode_unmarked(error.as_bytes())),
    }
}

/// Bytes that are not UTF-8 and do not say what they are.
fn decode_unmarked(bytes: &[u8]) -> Result<String, Undecodable> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let guess = detector.guess(Some(b"jp"), Utf8Detection::Deny);
    if guess == SHIFT_JIS
        && let Ok(text) = decode_as(SHIFT_JIS, bytes)
    {
        return Ok(text);
    }
    let looks = if guess == SHIFT_JIS { String::new() } else { format!(" (it looks like {})", guess.name()) };
    let line = decode_as(UTF_8, bytes).err().and_then(|error| error.line);
    let text =
        format!("not UTF-8, and the file is not Shift_JIS{looks}; save it as UTF-8 or say its --encoding");
    Err(Undecodable { line, text })
}

/// Without the byte order mark of `encoding`, and without replacing anything.
fn decode_as(encoding: &'static encoding_rs::Encoding, bytes: &[u8]) -> Result<String, Undecodable> {
    let (text, has_errors) = encoding.decode_with_bom_removal(bytes);
    if !has_errors {
        return Ok(text.into_owned());
    }
    let good = text.find(char::REPLACEMENT_CHARACTER).map_or(text.as_ref(), |end| &text[..end]);
    let line = 1 + line_breaks(good.as_bytes());
    Err(Undecodable { line: Some(line), text: format!("has bytes that are not {}", encoding.name()) })
}

/// How many lines end in `text`, by LF, CRLF or CR.
pub(super) fn line_breaks(text: &[u8]) -> u64 {
    let ends = text.iter().enumerate().filter(|&(place, &byte)| match byte {
        b'\n' => true,
        b'\r' => text.get(place + 1) != Some(&b'\n'),
        _ => false,
    });
    ends.fold(0, |count, _| count + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "id,name\n1,髙橋 ①㈱ ﾔﾏﾀﾞ\n2,吉田さんの野菜ボックス\n";

    fn utf16(bom: [u8; 2], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        bom.into_iter().chain(TEXT.encode_utf16().flat_map(bytes)).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let shift_jis = SHIFT_JIS.encode(TEXT).0.into_owned();
        let with_mark = [b"\xEF\xBB\xBF", TEXT.as_bytes()].concat();
        let cases = [
            ("UTF-8", TEXT.as_bytes().to_vec(), None),
            ("UTF-8, said", TEXT.as_bytes().to_vec(), Some(Encoding::Utf8)),
            ("UTF-8 with a mark", with_mark.clone(), None),
            ("UTF-8 with a mark, said", with_mark, Some(Encoding::Utf8)),
            ("Shift_JIS, detected", shift_jis.clone(), None),
            ("Shift_JIS, said", shift_jis, Some(Encoding::ShiftJis)),
            ("UTF-16LE", utf16([0xFF, 0xFE], u16::to_le_bytes), None),
            ("UTF-16BE", utf16([0xFE, 0xFF], u16::to_be_bytes), None),
        ];
        for (name, bytes, said) in cases {
            assert_eq!(decode(bytes, said).as_deref(), Ok(TEXT), "{name}");
        }
    }

    #[test]
    fn short_shift_jis_is_detected() {
        for text in ["a,b\n1,顧客1\n", "名前\n", "x,山\n", "a,b\r\n1,山田 ﾊﾅｺ\r\n2,ﾔﾏﾀﾞ\r\n"]
        {
            let bytes = SHIFT_JIS.encode(text).0.into_owned();
            assert_eq!(decode(bytes, None).as_deref(), Ok(text), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error_that_names_the_line() {
        let said = decode(b"a\r\nb\r\n\r\nc\xFFd\n".to_vec(), Some(Encoding::Utf8));
        assert_eq!(said, Err(Undecodable { line: Some(4), text: "has bytes that are not UTF-8".to_owned() }));
        let said = decode(b"a\rb\x81\n".to_vec(), Some(Encoding::ShiftJis));
        assert_eq!(
            said,
            Err(Undecodable { line: Some(2), text: "has bytes that are not Shift_JIS".to_owned() })
        );
        // Half-width katakana alone read as EUC-JP too: the merchant says which it is.
        let katakana = SHIFT_JIS.encode("1,ﾔﾏﾀﾞ\n").0.into_owned();
        assert!(decode(katakana.clone(), None).is_err());
        assert_eq!(decode(katakana, Some(Encoding::ShiftJis)).as_deref(), Ok("1,ﾔﾏﾀﾞ\n"));
        let euc = encoding_rs::EUC_JP.encode(TEXT).0.into_owned();
        let error = decode(euc, None).expect_err("EUC-JP is not read");
        assert_eq!(error.line, Some(2));
        assert!(error.text.contains("looks like EUC-JP"), "{}", error.text);
    }

    #[test]
    fn lines_are_counted_as_editors_do() {
        for (text, count) in
            [("", 0), ("a\nb", 1), ("a\r\nb\r\n", 2), ("a\rb\r", 2), ("\n\r\n\r", 3), ("\r\r\n", 2)]
        {
            assert_eq!(line_breaks(text.as_bytes()), count, "{text:?}");
        }
    }
}
