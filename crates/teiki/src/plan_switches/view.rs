//! A plan switch as the API shows it, and what one would do.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Status, SwitchRow};
use crate::subscriptions::view::SubscriptionView;
use crate::web::list::{is_live, seconds};

/// A switch of all subscriptions of a plan to another one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "PlanSwitch")]
pub struct SwitchView {
    #[schemars(extend("const" = "plan_switch"))]
    object: &'static str,
    id: String,
    livemode: bool,
    created: i64,
    plan: String,
    next_plan: String,
    /// Renewals whose period starts then or later have the next plan; in seconds since 1970.
    effective_at: i64,
    /// Reserving and undoing go on by themselves.
    #[schemars(extend("enum" = Status::ALL.map(Status::as_str)))]
    status: &'static str,
    /// For how many it was reserved; who left it by a later order, or was deleted, is still counted until it is undone.
    subscriptions: i64,
    /// What one cycle of all of them comes to before and after, in yen with tax.
    amount_before: i64,
    amount_after: i64,
    /// The subscriptions that are left out.
    exclude: Vec<String>,
    /// The API key that asked for it, and the one that undid it.
    created_by: String,
    undone_by: Option<String>,
    undone_at: Option<i64>,
}

impl SwitchView {
    /// A stored one.
    pub fn of(row: &SwitchRow) -> Self {
        Self {
            object: "plan_switch",
            id: row.id.to_string(),
            livemode: is_live(row.side.1),
            created: row.created_at.div_euclid(1_000_000),
            plan: row.plan.clone(),
            next_plan: row.next_plan.clone(),
            effective_at: seconds(row.effective_at),
            status: row.status.as_str(),
            subscriptions: row.members,
            amount_before: row.amount_before,
            amount_after: row.amount_after,
            exclude: row.excluded.iter().map(ToString::to_string).collect(),
            created_by: row.actor.clone(),
            undone_by: row.undone_by.clone(),
            undone_at: row.undone_at.map(seconds),
        }
    }
}

/// What a switch would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "PlanSwitchPreview")]
pub struct PreviewView {
    #[schemars(extend("const" = "plan_switch_preview"))]
    pub(super) object: &'static str,
    pub(super) livemode: bool,
    pub(super) plan: String,
    pub(super) next_plan: String,
    pub(super) effective_at: i64,
    /// For how many it would be reserved.
    pub(super) subscriptions: i64,
    /// What one cycle of all of them comes to before and after, in yen with tax.
    pub(super) amount_before: i64,
    pub(super) amount_after: i64,
    /// The newest of them, as many as were asked for.
    pub(super) first: Vec<SubscriptionView>,
}
