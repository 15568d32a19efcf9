//! Exports over HTTP: the list of them, and each as a file that is made while it is sent.
//!
//! A page is read when the client has taken the former one, so that a slow client holds no connection of the database and no
//! more than a page of memory. No file is stored. What fails after the first page cuts the answer off: its body has no end, and
//! every HTTP client takes it for broken.

use billing::mode::Mode;
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

use super::fields::{Field, fields};
use super::places::{OF_ACCOUNT_MAX, Place};
use super::{FileFormat, Pages, Part, Request, Subject};
use crate::failure::Failure;
use crate::web::list::{LIMIT, LIMIT_MAX, List, OFFSET, Page, SINCE, STARTING_AFTER, UNTIL, is_live};
use crate::web::operation::File;
use crate::web::params::Param;
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};

/// Where the exports are.
const PATH: &str = "/v1/exports";
/// When to come again while too many run, in seconds: most are over by then.
const RETRY_AFTER: u64 = 10;

const FORMAT: Param =
    Param::choice("format", &["csv", "jsonl"], "invalid_format", "How rows are written: csv, or jsonl.");
const BOM: Param =
    Param::bool("bom", "Whether a CSV file begins with a byte order mark, so that Excel reads it as UTF-8.");

/// One kind of rows that can be taken out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Export")]
struct ExportView {
    #[schemars(extend("const" = "export"))]
    object: &'static str,
    id: &'static str,
    livemode: bool,
    /// Where the rows are.
    path: String,
    /// In the order of a CSV file; new ones come at the end.
    columns: Vec<ColumnView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExportColumn")]
struct ColumnView {
    name: &'static str,
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["text", "integer", "boolean", "instant", "json"]))]
    kind: &'static str,
}

impl ExportView {
    fn of(mode: Mode, subject: Subject) -> Self {
        let column = |field: &Field| ColumnView { name: field.name, kind: field.read.kind() };
        Self {
            object: "export",
            id: subject.as_str(),
            livemode: is_live(mode),
            path: format!("{PATH}/{}", subject.as_str()),
            columns: fields(subject).iter().map(column).collect(),
        }
    }
}

/// GET /v1/exports
pub static LIST: Operation = Operation {
    access: Access::Read,
    object: "export",
    summary: "Lists what can be taken out, with its columns; all of it when no limit is asked for. Nothing of it has a time: since and until leave out nothing.",
    params: &[LIMIT, OFFSET, SINCE, UNTIL, STARTING_AFTER],
    answer: Shape::list::<ExportView>(),
    run: |call| Box::pin(async move { list(&call) }),
};

fn list(call: &Call) -> Result<Answer, ApiError> {
    // There are so few that they are one page, unless fewer are asked for. None has a time, so `since` and `until` leave out none.
    let limit = call.params.int("limit").unwrap_or(LIMIT_MAX);
    let page = Page { limit, ..Page::of(&call.params)? };
    let after = page.last_seen(|id| Subject::parse(id).ok_or_else(|| ApiError::not_found("export", id)))?;
    let seen = Subject::ALL.iter().position(|subject| Some(*subject) == after).map_or(0, |place| place + 1);
    let count = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
    let rows = Subject::ALL.into_iter().skip(seen.saturating_add(count(page.offset)));
    let views = rows.take(count(page.rows())).map(|subject| ExportView::of(call.caller.mode, subject));
    Answer::json(&List::new(&page, views.collect(), PATH))
}

/// GET /v1/exports/{export}
pub static GET: Operation = Operation {
    access: Access::Read,
    object: "export",
    summary: "All rows of one kind as a file. An answer that ends without its end is not whole: ask again.",
    params: &[FORMAT, BOM],
    answer: Shape::file(&[FileFormat::Csv.media_type(), FileFormat::Jsonl.media_type()]),
    run: |call| Box::pin(get(call)),
};

async fn get(call: Call) -> Result<Answer, ApiError> {
    let request = request_of(&call)?;
    if !call.has_chunks {
        let message = "An export needs HTTP/1.1: over HTTP/1.0 nobody could tell a part of it from the whole. In nginx: proxy_http_version 1.1.";
        return Err(ApiError::client("http_version_unsupported", message));
    }
    let place = call.site.exports.take(request.account).ok_or_else(|| {
        let message = format!("At most {OF_ACCOUNT_MAX} exports of an account run at once; try again later.");
        ApiError::over_capacity(RETRY_AFTER).saying(message)
    })?;
    let mut pages = Pages::new(call.site.background.clone(), request);
    // Before the answer begins, so that what is wrong at once is answered like any other error.
    let first = pages.next().await.map_err(Failure::from)?;
    let running = Running { first, pages, stopping: call.site.stopping.clone(), _place: place };
    Ok(Answer::File(File {
        name: file_name(&request, call.now),
        content_type: request.format.content_type(),
        parts: parts(running),
    }))
}

fn request_of(call: &Call) -> Result<Request, ApiError> {
    let subject = Subject::parse(call.id(0)).ok_or_else(|| ApiError::not_found("export", call.id(0)))?;
    let format = match call.params.text("format") {
        Some("jsonl") => FileFormat::Jsonl,
        _ => FileFormat::Csv,
    };
    let bom = call.params.bool("bom").unwrap_or(false);
    if bom && format == FileFormat::Jsonl {
        let message = "Invalid bom: it is for format=csv; JSON Lines have no byte order mark.";
        return Err(ApiError::param(BOM.code, BOM.name, message));
    }
    let (account, mode) = call.side();
    Ok(Request { account, mode, subject, format, bom })
}

/// As `teiki-charges-test-20270131T000000Z.csv`.
fn file_name(request: &Request, now: Timestamp) -> String {
    let at = TimeZone::UTC.to_datetime(now).strftime("%Y%m%dT%H%M%SZ");
    format!("teiki-{}-{}-{at}.{}", request.subject.as_str(), request.mode.as_str(), request.format.as_str())
}

/// An export whose answer has begun.
struct Running {
    /// What was read before that.
    first: Option<Part>,
    pages: Pages,
    stopping: watch::Receiver<bool>,
    /// Given back when the answer ends, however it does.
    _place: Place,
}

impl Running {
    /// Error: a page does not read, or the server stops.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if *self.stopping.borrow() {
            return Err(Failure::failed("the server stops"));
        }
        let part = match self.first.take() {
            Some(first) => Some(first),
            None => self.pages.next().await?,
        };
        Ok(part.map(|part| part.bytes))
    }
}

/// Each part is made when the former one was taken.
fn parts(running: Running) -> BoxStream<'static, Result<Vec<u8>, Failure>> {
    let next = async |mut running: Running| Ok(running.next().await?.map(|bytes| (bytes, running)));
    stream::try_unfold(running, next).boxed()
}
