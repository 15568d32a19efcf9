//! A request for 3-D Secure as the API shows it.

use billing::mode::Mode;
use billing::three_d_secure::{LIMIT, Status, ends_at};
use jiff::Timestamp;
use serde::Serialize;

use super::RequestRow;
use crate::web::list::{is_live, seconds};

/// PAY.JP's object. The result of a stored card is received and finished at once, so that `result_received` is never seen.
#[derive(Clone, Debug, Serialize)]
pub struct RequestView {
    object: &'static str,
    id: String,
    resource_id: String,
    livemode: bool,
    created: i64,
    state: &'static str,
    started_at: Option<i64>,
    result_received_at: Option<i64>,
    finished_at: Option<i64>,
    expired_at: Option<i64>,
    tenant_id: Option<String>,
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
