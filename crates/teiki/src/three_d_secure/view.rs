//! A request for 3-D Secure as the API shows it.

use billing::mode::Mode;
use billing::three_d_secure::{LIMIT, Status, ends_at};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::RequestRow;
use crate::web::list::{is_live, seconds};

/// The results of 3-D Secure, and null where it was not asked for.
pub const STATUSES_OR_NULL: [Option<&str>; 6] =
    [Some("unverified"), Some("verified"), Some("attempted"), Some("failed"), Some("error"), None];

/// A request for 3-D Secure of a stored card. PAY.JP's object; the result is received and finished at once, so that
/// `result_received` is never seen.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ThreeDSecureRequest")]
pub struct RequestView {
    #[schemars(extend("const" = "three_d_secure_request"))]
    object: &'static str,
    id: String,
    /// The card.
    resource_id: String,
    livemode: bool,
    /// When it was made, in seconds since 1970, by the clock that its customer lives by.
    created: i64,
    #[schemars(extend("enum" = ["created", "in_progress", "finished"]))]
    state: &'static str,
    /// When the page was first opened.
    started_at: Option<i64>,
    result_received_at: Option<i64>,
    finished_at: Option<i64>,
    /// When it ended without an answer of the card holder.
    expired_at: Option<i64>,
    /// Always null.
    tenant_id: Option<String>,
    #[schemars(with = "String", extend("enum" = &STATUSES_OR_NULL[..5]))]
    three_d_secure_status: Status,
}

impl RequestView {
    /// From its row, at the real time `now`.
    pub fn of(mode: Mode, request: &RequestRow, now: Timestamp) -> Self {
        let state = match (request.started_at, request.finished_at) {
            (_, Some(_)) => "finished",
            (Some(_), None) => "in_progress",
            (None, None) => "created",
        };
        let is_expired = request.finished_at.is_none() && now >= ends_at(request.made_at);
        Self {
            object: "three_d_secure_request",
            id: request.id.to_string(),
            resource_id: request.card.to_string(),
            livemode: is_live(mode),
            created: seconds(request.created_at),
            state,
            started_at: request.started_at.map(seconds),
            result_received_at: request.finished_at.map(seconds),
            finished_at: request.finished_at.map(seconds),
            expired_at: is_expired.then(|| seconds(request.created_at).saturating_add(LIMIT.as_secs())),
            tenant_id: None,
            three_d_secure_status: request.status,
        }
    }
}
