//! The book on disk: the shape of its lines, reading it, opening it for appending.
//!
//! Does not write lines (`writer` does) and keeps nothing in memory (`index` does). Order: the line, reading for audits,
//! opening with lock and repair. Limit: a line is at most [`LINE_BYTES_MAX`] long.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest line that is accepted; a line of ours is below 3 KiB, as the fields it repeats are limited.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// One executed charge, or one thing done to a charge later. Persisted: keep the names stable; every field is always
/// written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BookLine {
    /// Billing time stated in the request, else the real time; UTC.
    pub at: Timestamp,
    /// Real time of the execution; UTC.
    pub recorded_at: Timestamp,
    /// `sch_…` of a charge, `scp_…` of a capture, `svd_…` of a void, `sra_…` of a reauthorization, `srf_…` of a refund; the
    /// digits are the number of the line in hexadecimal.
    pub id: String,
    /// The charge that this was done to; null for a charge.
    pub charge: Option<String>,
    /// The token charged; of what was done to a charge, the token of that charge.
    pub token: String,
    /// Minor units, at least 1: what was charged or authorized, captured, given back. Of a void: what was released.
    pub amount: i64,
    /// Three letters, as the request had them.
    pub currency: String,
    /// The reference that the request gave; always present for a charge.
    pub reference: Option<String>,
    /// The key that the request gave, recognised or not.
    pub idempotency_key: Option<String>,
    /// Of a charge: whether its money was to be taken at once; absent in books from before authorizations, which means
    /// yes. Null for what was done to a charge.
    #[serde(default)]
    pub capture: Option<bool>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it was declined; null otherwise.
    pub code: Option<String>,
}

/// What came of an executed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The money was taken.
    Succeeded,
    /// Nothing was taken or reserved; with a charge named, its authorization was not renewed.
    Declined,
    /// Money was reserved; with a charge named, its authorization was renewed.
    Authorized,
    /// Reserved money was taken, all or a part; the rest was released.
    Captured,
    /// Reserved money was released.
    Voided,
    /// Money that had been taken was given back.
    Refunded,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Charge,
    Action(Action),
}

/// What can be done to a charge after it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Capture,
    Void,
    Reauth,
    Refund,
}

impl Action {
    /// The word of addresses and answers.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Reauth => "reauth",
            Self::Refund => "refund",
        }
    }
}

impl BookLine {
    pub(crate) fn kind(&self) -> Kind {
        match (self.outcome, &self.charge) {
            (Outcome::Succeeded, _) | (Outcome::Declined | Outcome::Authorized, None) => Kind::Charge,
            (Outcome::Declined | Outcome::Authorized, Some(_)) => Kind::Action(Action::Reauth),
            (Outcome::Captured, _) => Kind::Action(Action::Capture),
            (Outcome::Voided, _) => Kind::Action(Action::Void),
            (Outcome::Refunded, _) => Kind::Action(Action::Refund),
        }
    }
}

/// Why a book cannot be read or opened.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The operating system refused.
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        /// What was being tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A complete line is not a line of a book.
    #[error("{} is damaged in line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Another sandbox has the book open.
    #[error("{} is in use by another sandbox; stop that one or name another book", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

/// Reads all complete lines of a book, in order; works beside a running sandbox.
///
/// A last line without its line end is being written or was cut by a crash; it was never confirmed and is left out.
///
/// # Errors
/// [`BookError::Io`] when the file cannot be read, [`BookError::Line`] when a complete line is damaged.
pub fn read_book(path: impl AsRef<Path>) -> Result<Vec<BookLine>, BookError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(io_error("open", path))?;
    let mut lines = Vec::new();
    for_each_line(&file, path, |text, number| {
        lines.push(parse_line(text, number).map_err(|reason| damaged(path, number, reason))?);
        Ok(())
    })?;
    Ok(lines)
}

/// Opens a file for appending, makes it if need be, and locks it until it is closed.
pub(crate) fn open_locked(path: &Path) -> Result<File, BookError> {
    let is_new = !path.exists();
    // It names tokens, amounts and idempotency keys, which concern nobody else on the machine.
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    let file = options.open(path).map_err(io_error("open", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(BookError::InUse { path: path.to_owned() });
        }
        Err(TryLockError::Error(source)) => return Err(io_error("lock", path)(source)),
    }
    if is_new {
        sync_folder_of(path)?;
    }
    Ok(file)
}

/// Calls `visit` with each complete line (without its end) and its number from 1, and answers the bytes they take.
pub(crate) fn for_each_line(
    file: &File,
    path: &Path,
    mut visit: impl FnMut(&[u8], u64) -> Result<(), BookError>,
) -> Result<u64, BookError> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut text = Vec::new();
    let (mut number, mut bytes) = (0, 0);
    loop {
        text.clear();
        let read = reader.read_until(b'\n', &mut text).map_err(io_error("read", path))?;
        if text.pop() != Some(b'\n') {
            return Ok(bytes);
        }
        number += 1;
        visit(&text, number)?;
        bytes += as_u64(read);
    }
}

/// Cuts off what follows the last complete line and says so.
pub(crate) fn cut_torn_tail(file: &File, path: &Path, complete_bytes: u64) -> Result<(), BookError> {
    let length = file.metadata().map_err(io_error("measure", path))?.len();
    if length == complete_bytes {
        return Ok(());
    }
    let torn = length - complete_bytes;
    eprintln!(
        "sandbox: {}: cut off {torn} bytes of a last line that a crash left unfinished",
        path.display()
    );
    file.set_len(complete_bytes).map_err(io_error("shorten", path))?;
    file.sync_all().map_err(io_error("sync", path))
}

/// Reads one line and checks that its id is the one of its place, and that what was done to a charge names an earlier one.
pub(crate) fn parse_line(text: &[u8], number: u64) -> Result<BookLine, String> {
    if text.len() > LINE_BYTES_MAX {
        return Err(format!("it is longer than {LINE_BYTES_MAX} bytes"));
    }
    let line: BookLine = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let expected = id_of(line.kind(), number);
    if line.id != expected {
        return Err(format!("its id is {}, but its place makes it {expected}", line.id));
    }
    let is_earlier = |charge: &str| charge_number(charge).is_some_and(|charge| charge < number);
    match (line.kind(), line.charge.as_deref()) {
        (Kind::Charge, None) => Ok(line),
        (Kind::Action(_), Some(charge)) if is_earlier(charge) => Ok(line),
        (Kind::Charge, Some(_)) | (Kind::Action(_), _) => {
            Err("it names no earlier charge, or should not".to_owned())
        }
    }
}

/// Reads the line that lies at `offset`, as written by this process or checked when the book was opened.
pub(crate) fn read_line_at(file: &File, offset: u64, bytes: usize) -> io::Result<BookLine> {
    let mut text = vec![0; bytes];
    file.read_exact_at(&mut text, offset)?;
    serde_json::from_slice(&text).map_err(io::Error::from)
}

/// The id that the line with this number has.
pub(crate) fn id_of(kind: Kind, number: u64) -> String {
    let prefix = match kind {
        Kind::Charge => "sch",
        Kind::Action(Action::Capture) => "scp",
        Kind::Action(Action::Void) => "svd",
        Kind::Action(Action::Reauth) => "sra",
        Kind::Action(Action::Refund) => "srf",
    };
    format!("{prefix}_{number:012x}")
}

/// The number of the line of a charge id; nothing where the text is no such id.
pub(crate) fn charge_number(id: &str) -> Option<u64> {
    let number = u64::from_str_radix(id.strip_prefix("sch_")?, 16).ok()?;
    (id == id_of(Kind::Charge, number)).then_some(number)
}

pub(crate) fn as_u64(count: usize) -> u64 {
    u64::try_from(count).expect("a count in memory fits in 64 bits")
}

pub(crate) fn damaged(path: &Path, line: u64, reason: String) -> BookError {
    BookError::Line { path: path.to_owned(), line, reason }
}

pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BookError {
    let path = path.to_owned();
    move |source| BookError::Io { doing, path, source }
}

/// A new file survives a crash only when its folder was synced too.
fn sync_folder_of(path: &Path) -> Result<(), BookError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync the folder of", path))
}
