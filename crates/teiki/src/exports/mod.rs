//! Exports: one kind of rows of one side of an account as CSV or JSON Lines, at any size.
//!
//! ```text
//! page of rows (a read of its own) → records → file, standard output or body of an answer → next page, by key
//! ```
//! Rows come in the order of (slot, id): by customer group, and in each group by the time that the id
//! carries. Only that order has an index at every size, and it does not change from one export to the next.
//! A row that was there when the export began is in it exactly once; one that is written meanwhile may be.
//! Memory is one page. Nothing is guessed: a stored value that no version has written ends the export with
//! an error that names its row. What runs over HTTP is counted in [`places`].

use std::io::{self, Write};

use billing::id::AccountId;
use billing::mode::Mode;
use db::Db;

use crate::failure::Failure;

pub mod api;
pub mod cli;
mod fields;
pub mod places;
mod store;
mod view;

/// Rows of the first page: few enough that it fits a few megabytes also where every row has the longest texts.
const PAGE_ROWS_FIRST: usize = 100;
/// Rows of any page: large enough that a page's fixed cost disappears, small enough that the others who read the database
/// hardly wait for it.
const PAGE_ROWS_MAX: usize = 1_000;
/// A page is meant to have so many bytes at most, by how many the former one had: what an export keeps in memory.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// A page has at most so many times the rows of the former one, whose rows may have been the short ones.
const GROWTH_MAX: usize = 4;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The account with its settings: one row, the same on both sides.
    Accounts,
    /// Who pays.
    Customers,
    /// Stored ways to pay.
    Cards,
    /// What stands for a card until it is used.
    Tokens,
    /// Stored cards whose holders are asked.
    ThreeDSecureRequests,
    /// Offers.
    Plans,
    /// All subscriptions of a plan that go over to another one.
    PlanSwitches,
    /// Subscriptions with customer, payment method and next charge.
    Subscriptions,
    /// Bills, the scheduled ones too.
    Invoices,
    /// Attempts to collect, with the period they are for.
    Charges,
    /// What was done to charges later.
    ChargeActions,
    /// Efforts to recover an invoice.
    DunningCases,
    /// Double entry.
    Ledger,
    /// Everything that happened.
    Events,
    /// Where events are sent.
    WebhookEndpoints,
    /// What was sent there.
    WebhookDeliveries,
    /// Simulated times; on the test side.
    TestClocks,
}

impl Subject {
    /// Every subject, in the order in which one would read them.
    pub const ALL: [Self; 17] = [
        Self::Accounts,
        Self::Customers,
        Self::Cards,
        Self::Tokens,
        Self::ThreeDSecureRequests,
        Self::Plans,
        Self::PlanSwitches,
        Self::Subscriptions,
        Self::Invoices,
        Self::Charges,
        Self::ChargeActions,
        Self::DunningCases,
        Self::Ledger,
        Self::Events,
        Self::WebhookEndpoints,
        Self::WebhookDeliveries,
        Self::TestClocks,
    ];

    /// The name on the command line and in the address; keep stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Customers => "customers",
            Self::Cards => "cards",
            Self::Tokens => "tokens",
            Self::ThreeDSecureRequests => "three_d_secure_requests",
            Self::Plans => "plans",
            Self::PlanSwitches => "plan_switches",
            Self::Subscriptions => "subscriptions",
            Self::Invoices => "invoices",
            Self::Charges => "charges",
            Self::ChargeActions => "charge_actions",
            Self::DunningCases => "dunning_cases",
            Self::Ledger => "ledger",
            Self::Events => "events",
            Self::WebhookEndpoints => "webhook_endpoints",
            Self::WebhookDeliveries => "webhook_deliveries",
            Self::TestClocks => "test_clocks",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.as_str() == name)
    }
}

impl clap::ValueEnum for Subject {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.as_str()))
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

    /// The media type, without its parameters.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Jsonl => "application/jsonl",
        }
    }

    /// The media type of an answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Jsonl => "application/jsonl",
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

/// A part of an export: the rows of one page as they are written.
#[derive(Debug)]
pub struct Part {
    /// The bytes of the file that follow those of the former part.
    pub bytes: Vec<u8>,
    /// How many rows are in them.
    pub rows: u64,
}

/// An export on its way, page by page. Between two pages it holds nothing but its place.
pub struct Pages {
    db: Db,
    request: Request,
    /// Where the next page begins; `None` after the last one.
    after: Option<store::Cursor>,
    /// How many rows it is to have.
    rows: usize,
    is_first: bool,
}

impl Pages {
    /// Before its first page.
    pub fn new(db: Db, request: Request) -> Self {
        Self { db, request, after: Some(store::Cursor::start()), rows: PAGE_ROWS_FIRST, is_first: true }
    }

    /// Reads the next part; `None` after the last one. The first is there even without rows: a CSV file has a header.
    pub async fn next(&mut self) -> Result<Option<Part>, ExportError> {
        let Some(after) = self.after.take() else {
            return Ok(None);
        };
        let (request, rows) = (self.request, self.rows);
        let page = self.db.read(move |tx| store::page(tx, request, &after, rows)).await?;
        let bytes = view::part(&request, self.is_first, &page.records)?;
        self.rows = rows_after(page.records.len(), bytes.len());
        self.is_first = false;
        self.after = page.next;
        Ok(Some(Part { bytes, rows: u64::try_from(page.records.len()).unwrap_or(u64::MAX) }))
    }
}

/// How many rows the next page is to have, after one of so many rows and bytes.
fn rows_after(rows: usize, bytes: usize) -> usize {
    let bytes_of_row = bytes.div_ceil(rows.max(1)).max(1);
    (PAGE_BYTES / bytes_of_row).clamp(1, (rows * GROWTH_MAX).clamp(1, PAGE_ROWS_MAX))
}

/// Writes all rows to `out` and answers with their number. `progress` is told the number so far after each page.
pub async fn export<W: Write>(
    db: &Db,
    request: Request,
    mut out: W,
    progress: impl Fn(u64),
) -> Result<u64, ExportError> {
    let mut pages = Pages::new(db.clone(), request);
    let mut written: u64 = 0;
    while let Some(part) = pages.next().await? {
        out.write_all(&part.bytes)?;
        written += part.rows;
        progress(written);
    }
    out.flush()?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_while_they_are_small_and_shrink_when_rows_are_long() {
        for (rows, bytes, next) in [
            (100, 20_000, 400),
            (400, 80_000, 1_000),
            (1_000, 200_000, 1_000),
            (100, 8 * 1024 * 1024, 49),
            (1, 100 * 1024 * 1024, 1),
            (0, 0, 1),
        ] {
            assert_eq!(rows_after(rows, bytes), next, "{rows} rows of {bytes} bytes");
        }
    }
}
