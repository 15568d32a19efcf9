//! An event as the API shows it: `data` is the object itself, as it was then.
//!
//! An event that a request caused holds its object in full. Those of the schedule are many, and hold only what may be
//! otherwise when they are read; the rest is shown as it is then.

use std::collections::BTreeMap;

use billing::charge;
use billing::id::{AccountId, ChargeId, EventId, InvoiceId, SubscriptionId};
use billing::invoice;
use billing::mode::Mode;
use billing::subscription::State;
use db::Tx;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{EventRow, store};
use crate::stored::unreadable;
use crate::subscriptions::view::status_of;
use crate::web::list::is_live;
use crate::webhooks::deliveries;
use crate::{charges, invoices, plans, subscriptions};

/// What happened to an object. PAY.JP's object.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct EventView {
    #[schemars(extend("const" = "event"))]
    object: &'static str,
    id: String,
    livemode: bool,
    /// When it happened, in seconds since 1970, by the clock that its customer lives by.
    created: i64,
    /// What happened, as `charge.succeeded`; more types may come.
    #[serde(rename = "type")]
    kind: String,
    /// How many webhooks of it wait: one for each endpoint that has not received it yet, and one for each resend.
    pending_webhooks: i64,
    /// The test clock that what it belongs to lives by; null for real time, and for what has no time of its own.
    test_clock: Option<String>,
    /// Whether that clock is deleted: the event is all that is left.
    test_clock_deleted: bool,
    /// The object as it was then, or the answer to its deletion. An event that is older than a field does not have it.
    #[schemars(with = "serde_json::Map<String, Value>")]
    data: Value,
}

/// Events with their objects.
pub(super) fn of_rows(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    rows: Vec<EventRow>,
) -> Result<Vec<EventView>, db::Error> {
    let ids: Vec<EventId> = rows.iter().map(|row| row.id).collect();
    let pending = deliveries::pending(tx, &ids)?;
    let mut clocks = if side.1 == Mode::Test { store::clocks_of(tx, &ids)? } else { BTreeMap::new() };
    rows.into_iter()
        .zip(pending)
        .enumerate()
        .map(|(place, (row, pending_webhooks))| {
            let data = data_of(tx, side, &row)?;
            let clock = clocks.remove(&place);
            Ok(EventView {
                object: "event",
                id: row.id.to_string(),
                livemode: is_live(side.1),
                created: row.billing_at.div_euclid(1_000_000),
                kind: row.kind,
                pending_webhooks,
                test_clock_deleted: clock.as_ref().is_some_and(|clock| clock.1),
                test_clock: clock.map(|clock| clock.0),
                data,
            })
        })
        .collect()
}

fn data_of(tx: &mut Tx<'_>, side: (AccountId, Mode), row: &EventRow) -> Result<Value, db::Error> {
    let stored: Value =
        serde_json::from_str(&row.data).map_err(|_| unreadable("events.data", "an object", &row.data))?;
    if stored.get("object").is_some() || stored.get("deleted").is_some() {
        return Ok(stored);
    }
    let shown = match row.kind.split('.').next() {
        Some("charge") => charge_then(tx, side, row, &stored)?,
        Some("invoice") => invoice_then(tx, side, row, &stored)?,
        Some("subscription") => subscription_then(tx, side, row, stored.clone())?,
        Some(_) | None => None,
    };
    Ok(shown.unwrap_or(stored))
}

/// The charge as it was when the event happened.
fn charge_then(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    row: &EventRow,
    stored: &Value,
) -> Result<Option<Value>, db::Error> {
    let Ok(id) = row.object.parse::<ChargeId>() else {
        return Ok(None);
    };
    let Some(charge) = charges::view::find(tx, side, id)? else {
        return Ok(None);
    };
    let then = match row.kind.as_str() {
        "charge.failed" => {
            let code = stored.get("failure_code").and_then(Value::as_str).unwrap_or("card_declined");
            charge.at(charge::State::Failed, Some(code))
        }
        "charge.succeeded" if charge.is_reserved_first() => charge.at(charge::State::Authorized, None),
        "charge.succeeded" | "charge.captured" | "charge.surplus" => {
            charge.at(charge::State::Succeeded, None)
        }
        _ => return Ok(Some(to_value(&charge.view)?)),
    };
    Ok(Some(to_value(&then)?))
}

/// The invoice as it is now, with the status that the event gave it and the charge that this came of. Other charges are not told:
/// they have events of their own.
fn invoice_then(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    row: &EventRow,
    stored: &Value,
) -> Result<Option<Value>, db::Error> {
    let Ok(id) = row.object.parse::<InvoiceId>() else {
        return Ok(None);
    };
    let (status, came) = match row.kind.as_str() {
        "invoice.paid" => (invoice::State::Paid, charge::State::Succeeded),
        "invoice.voided" => (invoice::State::Void, charge::State::Failed),
        _ => (invoice::State::Open, charge::State::Failed),
    };
    let cause = match stored.get("charge").and_then(Value::as_str).map(str::parse::<ChargeId>) {
        Some(Ok(id)) => charges::view::find(tx, side, id)?,
        Some(Err(_)) | None => None,
    };
    let cause = cause.map(|charge| {
        let code = (came == charge::State::Failed).then(|| charge.failure_code().unwrap_or("card_declined"));
        charge.at(came, code)
    });
    let view = invoices::view::told(tx, side, id, (status, cause))?;
    view.map(|view| to_value(&view)).transpose()
}

/// What every event of the schedule holds of its subscription; newer ones hold more.
#[derive(Deserialize)]
struct Then {
    status: String,
    plan: String,
    period: (i64, i64),
}

/// The subscription as it was when the event happened.
fn subscription_then(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    row: &EventRow,
    stored: Value,
) -> Result<Option<Value>, db::Error> {
    let moves = ["paused_at", "resumed_at"].map(|name| stored.get(name).map(Value::as_i64));
    let quantity = stored.get("quantity").cloned();
    let (Ok(id), Ok(then)) = (row.object.parse::<SubscriptionId>(), serde_json::from_value::<Then>(stored))
    else {
        return Ok(None);
    };
    let Some(found) = subscriptions::find_any(tx, side, id)? else {
        return Ok(None);
    };
    let mut shown = to_value(&subscriptions::view::of_row(tx, side, &found)?)?;
    let plan = plans::find_many(tx, side, &[&then.plan])?.pop();
    let plan = plan.map(|plan| plans::view::PlanView::of(side.1, &plan)).transpose()?;
    let state = State::ALL.into_iter().find(|state| state.as_str() == then.status);
    let second = |micros: i64| json!(micros.div_euclid(1_000_000));
    let [paused_at, resumed_at] = moves.map(|at| at.map(|at| at.map_or(Value::Null, second)));
    let set = BTreeMap::from([
        ("status", state.map(|state| json!(status_of(state)))),
        ("plan", plan.map(|plan| to_value(&plan)).transpose()?),
        ("current_period_start", Some(second(then.period.0))),
        ("current_period_end", Some(second(then.period.1))),
        ("quantity", quantity),
        ("paused_at", paused_at),
        ("resumed_at", resumed_at),
    ]);
    for (name, value) in set {
        if let (Some(place), Some(value)) = (shown.get_mut(name), value) {
            *place = value;
        }
    }
    Ok(Some(shown))
}

fn to_value<T: Serialize>(value: &T) -> Result<Value, db::Error> {
    serde_json::to_value(value)
        .map_err(|error| db::Error::Assertion(format!("an object is not JSON: {error}")))
}
