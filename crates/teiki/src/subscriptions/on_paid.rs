//! What the payment of an invoice does to its subscription: written with the invoice, applied when it is paid.

use billing::agreement::Course;
use billing::event::Kind;
use billing::renewal::Renewed;
use serde::{Deserialize, Serialize};

use crate::stored::unreadable;

/// Persisted as JSON in `invoices.on_paid`; only ever add fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPaid {
    /// A renewal whose failure would pause the subscription.
    Renewed(Renewed),
    /// What a request asked for.
    Asked(Box<Asked>),
    /// Nothing further: a request pays an open invoice.
    Debt,
}

/// What a request makes of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What holds from then on.
    pub course: Course,
    /// The name of the event that tells it.
    pub event: String,
    /// What it shows of its moves from then on.
    pub stamps: Stamps,
    /// The merchant's texts from then on, as JSON; none leaves them.
    #[serde(default)]
    pub metadata: Option<String>,
}

/// What a subscription shows of its moves, in microseconds of billing time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps {
    /// When it was stopped.
    pub paused_at: Option<i64>,
    /// When it was canceled.
    pub canceled_at: Option<i64>,
    /// When it went on.
    pub resumed_at: Option<i64>,
}

impl OnPaid {
    /// As stored.
    pub fn to_json(&self) -> Result<String, db::Error> {
        serde_json::to_string(self).map_err(|error| db::Error::Assertion(format!("on_paid: {error}")))
    }

    /// From what is stored.
    pub fn from_json(text: &str) -> Result<Self, db::Error> {
        serde_json::from_str(text).map_err(|_| unreadable("invoices.on_paid", "what a payment does", text))
    }
}

impl Asked {
    /// The event that tells it.
    pub fn kind(&self) -> Result<Kind, db::Error> {
        self.event.parse().map_err(|_| unreadable("invoices.on_paid", "an event", &self.event))
    }
}
