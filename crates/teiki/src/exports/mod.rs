//! Exports: one kind of rows of one side of an account as CSV or JSON Lines, at any size.
//!
//! ```text
//! page of rows (a read of its own) → records → file or standard output → next page, by key
//! ```
//! Rows come in the order of (slot, id): by customer group, and in each group by the time that the id
//! carries. Only that order has an index at every size, and it does not change from one export to the next.
//! A row that was there when the export began is in it exactly once; one that is written meanwhile may be.
//! Memory is one page. Nothing is guessed: a stored value that no version has written ends the export with
//! an error that names its row.

use std::io::{self, Write};

use billing::id::AccountId;
use billing::mode::Mode;
use db::Db;

use crate::failure::Failure;

pub mod cli;
mod fields;
mod store;
mod view;

/// Rows of one page: large enough that a page's fixed cost disappears, small enough for a few megabytes.
const PAGE_ROWS: usize = 5_000;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// Attempts to collect, with the period they are for.
    Charges,
    /// Bills, the scheduled ones too.
    Invoices,
    /// Subscriptions with customer, payment method and next charge.
    Subscriptions,
    /// Double entry.
    Ledger,
    /// The history of subscriptions.
    Events,
}

impl Subject {
    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charges => "charges",
            Self::Invoices => "invoices",
            Self::Subscriptions => "subscriptions",
            Self::Ledger => "ledger",
            Self::Events => "events",
        }
    }
}

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FileFormat {
    /// Comma separated, with a header, safe to open in a spreadsheet.
    Csv,
    /// One JSON object per line, values as they are.
    Jsonl,
}

impl FileFormat {
    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// One export.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Whose rows.
    pub account: AccountId,
    /// Of which side.
    pub mode: Mode,
    /// Which rows.
    pub subject: Subject,
    /// How they are written.
    pub format: FileFormat,
    /// Whether a CSV file begins with a byte order mark, which makes Excel read it as UTF-8.
    pub bom: bool,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Reading failed, or a stored value is not one that any version has written.
    #[error("the export stopped: {0}")]
    Read(#[from] db::Error),
    /// The file or standard output takes no more.
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        Self::failed(error.to_string())
    }
}

/// Writes all rows to `out` and answers with their number. `progress` is told the number so far after each page.
pub async fn export<W: Write>(
    db: &Db,
    request: Request,
    out: W,
    progress: impl Fn(u64),
) -> Result<u64, ExportError> {
    let mut sheet = view::Sheet::start(out, &request)?;
    let mut after = store::Cursor::start();
    let mut written: u64 = 0;
    loop {
        let page = db.read(move |tx| store::page(tx, request, &after, PAGE_ROWS)).await?;
        for record in &page.records {
            sheet.write(record)?;
            written += 1;
        }
        progress(written);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    sheet.finish()?;
    Ok(written)
}
