//! Lists: which page was asked for, and how a page is answered.
//!
//! Newest first: by `created`, then by the order in which the rows were made, so that it holds under a clock that stands
//! still. `offset` counts rows; `starting_after` takes the id of the last row seen and costs the same on every page.

use billing::mode::Mode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::params::{Param, Params};

/// Most rows of a page.
pub const LIMIT_MAX: i64 = 100;
/// Rows of a page when none is asked for.
const LIMIT_DEFAULT: i64 = 10;
/// Farthest offset: beyond it a cursor is the way.
const OFFSET_MAX: i64 = 1_000_000;

/// The parameter `limit`.
pub const LIMIT: Param =
    Param::int("limit", (1, LIMIT_MAX), "invalid_numerical_value", "Rows of the page, 1 to 100.");
/// The parameter `offset`.
pub const OFFSET: Param =
    Param::int("offset", (0, OFFSET_MAX), "invalid_numerical_value", "Rows to pass over from the newest.");
/// The parameter `since`.
pub const SINCE: Param = Param::instant("since", "Only what was created at this time or later.");
/// The parameter `until`.
pub const UNTIL: Param = Param::instant("until", "Only what was created at this time or before.");
/// The parameter `starting_after`.
pub const STARTING_AFTER: Param = Param::id(
    "starting_after",
    "The id of the last row of the former page, also if it was deleted since: the rows after it.",
);

/// Which page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// Rows of the page.
    pub limit: i64,
    /// Rows passed over.
    pub offset: i64,
    /// First `created` that belongs to it, in microseconds.
    pub since: i64,
    /// Last `created` that belongs to it, in microseconds.
    pub until: i64,
    /// The id after which it begins.
    pub after: Option<String>,
}

/// The place of a row in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its `created` in microseconds.
    pub created_at: i64,
    /// Its place among those of the same instant.
    pub sequence: i64,
    /// Its id.
    pub id: String,
}

impl Place {
    /// Before every row: where a list begins.
    pub fn newest() -> Self {
        // Ids are ASCII, so that this text comes after all of them.
        Self { created_at: i64::MAX, sequence: i64::MAX, id: "\u{10ffff}".to_owned() }
    }
}

impl Page {
    /// From the parameters of a list.
    pub fn of(params: &Params) -> Result<Self, ApiError> {
        let micros = |seconds: i64| seconds.saturating_mul(1_000_000);
        let page = Self {
            limit: params.int("limit").unwrap_or(LIMIT_DEFAULT),
            offset: params.int("offset").unwrap_or(0),
            since: params.int("since").map_or(i64::MIN, micros),
            until: params.int("until").map_or(i64::MAX, |seconds| micros(seconds).saturating_add(999_999)),
            after: params.text("starting_after").map(str::to_owned),
        };
        if page.after.is_some() && page.offset > 0 {
            return Err(ApiError::param(
                "invalid_querystring",
                "offset",
                "Use either offset or starting_after.",
            ));
        }
        Ok(page)
    }

    /// The whole list of an object that shows its newest rows, as `cards` of a customer.
    pub const fn embedded() -> Self {
        Self { limit: LIMIT_DEFAULT, offset: 0, since: i64::MIN, until: i64::MAX, after: None }
    }

    /// The row after which it begins; none if it begins with the newest one. `find` gives it also when it was deleted since, so
    /// that whoever deletes while paging can go on. Error: there never was such a row.
    pub fn last_seen<T>(
        &self,
        find: impl FnOnce(&str) -> Result<T, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        let found = self.after.as_deref().map(find).transpose();
        found.map_err(|error| error.about_param(STARTING_AFTER.name))
    }

    /// How many rows to read: one more says whether there is more.
    pub const fn rows(&self) -> i64 {
        self.limit + 1
    }
}

/// A page of a list, newest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    #[schemars(extend("const" = "list"))]
    object: &'static str,
    /// How many items this page has.
    #[schemars(with = "i64", range(min = 0, max = 100))]
    count: usize,
    data: Vec<T>,
    /// Whether there are items after these.
    has_more: bool,
    /// The path of the list, without its query.
    url: String,
}

impl<T> List<T> {
    /// The page of `rows`, which may hold one more than asked for. `url` is the path of the list, from `/v1`.
    pub fn new(page: &Page, mut rows: Vec<T>, url: impl Into<String>) -> Self {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Self { object: "list", count: rows.len(), data: rows, has_more, url: url.into() }
    }

    /// A list that is always shown as a whole.
    pub fn whole(rows: Vec<T>, url: impl Into<String>) -> Self {
        Self { object: "list", count: rows.len(), data: rows, has_more: false, url: url.into() }
    }

    /// A list without rows.
    pub fn empty(url: impl Into<String>) -> Self {
        Self::whole(Vec::new(), url)
    }
}

/// Seconds of an instant, as every object shows it.
pub fn seconds(at: Timestamp) -> i64 {
    at.as_second()
}

/// Whether an object of this mode is live.
pub fn is_live(mode: Mode) -> bool {
    mode == Mode::Live
}
