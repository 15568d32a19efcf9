//! A subscription as the API shows it, with its plans in full.

use std::collections::BTreeMap;

use billing::mode::Mode;
use billing::subscription::State;
use db::Tx;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Filter, Side, SubscriptionRow, store};
use crate::accounts::settings::{CALENDARS, RENEWAL_FAILURES};
use crate::plans::view::PlanView;
use crate::plans::{self, PlanRow};
use crate::web::list::{Page, Place, is_live};
use crate::web::metadata::{self, Metadata};

/// Where a subscription may stand, in the words of the API.
pub const STATUSES: &[&str] = &["active", "trial", "canceled", "paused", "past_due"];

/// A running agreement of a customer with its plan. PAY.JP's object; what teiki adds begins with `quantity`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Subscription")]
pub struct SubscriptionView {
    #[schemars(extend("const" = "subscription"))]
    object: &'static str,
    id: String,
    livemode: bool,
    /// When it was made, in seconds since 1970, by the clock that its customer lives by.
    created: i64,
    /// When it began.
    start: i64,
    customer: String,
    plan: PlanView,
    /// The plan from the next renewal on; null is the same.
    next_cycle_plan: Option<PlanView>,
    /// The period that runs, in seconds since 1970; its end does not belong to it.
    current_period_start: i64,
    current_period_end: i64,
    /// `past_due`: a payment is owed and the service may go on.
    #[schemars(extend("enum" = STATUSES))]
    status: &'static str,
    /// The trial that runs or was the last one; null if there was none.
    trial_start: Option<i64>,
    trial_end: Option<i64>,
    paused_at: Option<i64>,
    canceled_at: Option<i64>,
    resumed_at: Option<i64>,
    /// Whether parts of a period are charged by the day.
    prorate: bool,
    metadata: Metadata,
    quantity: i64,
    /// How its boundaries follow: as `anchor`, or as PAY.JP's.
    #[schemars(extend("enum" = CALENDARS))]
    calendar: &'static str,
    /// What a failed renewal does: `open` leaves the invoice open, `payjp` pauses.
    #[schemars(extend("enum" = RENEWAL_FAILURES))]
    renewal_failure: &'static str,
    /// Payments still to come; null is without end.
    remaining_instalments: Option<i64>,
    /// With `next_cycle_plan`: the first start of a period that it is reserved for; null is the next renewal.
    next_cycle_plan_from: Option<i64>,
    /// The plan switch that reserved it, or that the plan came from.
    plan_switch: Option<String>,
}

/// The state in the words of the API.
pub const fn status_of(state: State) -> &'static str {
    match state {
        State::Trialing => "trial",
        State::Active => "active",
        State::PastDue => "past_due",
        State::Paused => "paused",
        State::Canceled(_) => "canceled",
    }
}

/// Subscriptions with their plans: one further read, however many they are.
pub fn of_rows(
    tx: &mut Tx<'_>,
    side: Side,
    rows: &[SubscriptionRow],
) -> Result<Vec<SubscriptionView>, db::Error> {
    let mut ids: Vec<&str> = rows.iter().map(|row| row.plan.as_str()).collect();
    ids.extend(rows.iter().filter_map(|row| row.next_plan.as_deref()));
    ids.sort_unstable();
    ids.dedup();
    let found = plans::find_many(tx, side, &ids)?;
    let plans: BTreeMap<&str, &PlanRow> = found.iter().map(|plan| (plan.id.as_str(), plan)).collect();
    rows.iter().map(|row| of(side.1, row, &plans)).collect()
}

/// One subscription.
pub fn of_row(tx: &mut Tx<'_>, side: Side, row: &SubscriptionRow) -> Result<SubscriptionView, db::Error> {
    let mut views = of_rows(tx, side, std::slice::from_ref(row))?;
    views.pop().ok_or_else(|| db::Error::Assertion("a subscription has one view".to_owned()))
}

/// The newest subscriptions of these customers, by the customer's place.
pub fn of_customers(
    tx: &mut Tx<'_>,
    side: Side,
    customers: &[&str],
    page: &Page,
) -> Result<BTreeMap<usize, Vec<SubscriptionView>>, db::Error> {
    let found = store::list_of(tx, side, customers, (page, &Place::newest()), &Filter::default())?;
    let (places, rows): (Vec<usize>, Vec<SubscriptionRow>) = found.into_iter().unzip();
    let mut views: BTreeMap<usize, Vec<SubscriptionView>> = BTreeMap::new();
    for (place, view) in places.into_iter().zip(of_rows(tx, side, &rows)?) {
        views.entry(place).or_default().push(view);
    }
    Ok(views)
}

fn of(
    mode: Mode,
    row: &SubscriptionRow,
    plans: &BTreeMap<&str, &PlanRow>,
) -> Result<SubscriptionView, db::Error> {
    let plan = |id: &str| {
        let plan = plans.get(id).ok_or_else(|| {
            db::Error::Assertion(format!("the plan {id} of subscription {} is missing", row.id))
        })?;
        PlanView::of(mode, plan)
    };
    let second = |micros: i64| micros.div_euclid(1_000_000);
    Ok(SubscriptionView {
        object: "subscription",
        id: row.id.to_string(),
        livemode: is_live(mode),
        created: second(row.created_at),
        start: second(row.started_at),
        customer: row.customer.clone(),
        plan: plan(&row.plan)?,
        next_cycle_plan: row.next_plan.as_deref().map(plan).transpose()?,
        current_period_start: second(row.period.0),
        current_period_end: second(row.period.1),
        status: status_of(row.state),
        trial_start: row.trial.map(|trial| second(trial.0)),
        trial_end: row.trial.map(|trial| second(trial.1)),
        paused_at: row.paused_at.map(second),
        canceled_at: row.canceled_at.map(second),
        resumed_at: row.resumed_at.map(second),
        prorate: row.prorate,
        metadata: metadata::from_stored(&row.metadata)?,
        quantity: row.quantity,
        calendar: row.calendar.as_str(),
        renewal_failure: row.renewal_failure.as_str(),
        remaining_instalments: row.remaining,
        next_cycle_plan_from: row.next_plan_from.map(second),
        plan_switch: row.plan_switch.clone(),
    })
}
