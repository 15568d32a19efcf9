//! Endpoints as the API shows them. Secrets are shown by the two requests that make them, and nowhere else.

use billing::mode::Mode;
use schemars::JsonSchema;
use serde::Serialize;

use super::EndpointRow;
use super::keys::Keys;
use super::signature;
use crate::web::list::is_live;

/// A webhook endpoint. It is not printed, for it may hold secrets.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "WebhookEndpoint")]
pub struct EndpointView {
    #[schemars(extend("const" = "webhook_endpoint"))]
    object: &'static str,
    id: String,
    livemode: bool,
    created: i64,
    url: String,
    description: Option<String>,
    /// The types that are sent; null is those that PAY.JP has.
    enabled_events: Option<Vec<String>>,
    #[schemars(extend("enum" = ["enabled", "disabled"]))]
    status: &'static str,
    disabled_reason: Option<&'static str>,
    failing_since: Option<i64>,
    /// Until when the former secret signs as well.
    former_secret_until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The signing secret, in the answer to the request that made it; null in a repeat of that.
    secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl EndpointView {
    /// Without its secrets.
    pub fn of(mode: Mode, row: &EndpointRow) -> Self {
        Self {
            object: "webhook_endpoint",
            id: row.id.to_string(),
            livemode: is_live(mode),
            created: row.created_at.div_euclid(1_000_000),
            url: row.url.clone(),
            description: row.description.clone(),
            enabled_events: row.filter.list().map(<[String]>::to_vec),
            status: row.status.as_str(),
            disabled_reason: row.status.reason(),
            failing_since: row.health.failing_since.map(|at| at.as_second()),
            former_secret_until: row.sealed.former.as_ref().map(|former| former.1.as_second()),
            secret: None,
            token: None,
        }
    }

    /// With them, for the answer to the request that made them.
    #[must_use]
    pub fn with_secrets(self, keys: &Keys) -> Self {
        let token = String::from_utf8_lossy(keys.token.expose()).into_owned();
        Self { secret: Some(signature::shown(&keys.secret)), token: Some(token), ..self }
    }
}

/// The answer to a repeat of the request that made secrets: they are kept nowhere in clear.
#[derive(Clone, Serialize)]
pub struct KeptView {
    #[serde(flatten)]
    endpoint: EndpointView,
    secret: (),
    token: (),
}

impl KeptView {
    /// An endpoint without its secrets.
    pub const fn of(endpoint: EndpointView) -> Self {
        Self { endpoint, secret: (), token: () }
    }
}
