//! What an import changes: the files against each other, against the schedule and against what is stored.
//!
//! A row that is stored as it is changes nothing and is not looked at further, so the same file may come
//! again after its dates have passed. A row or plan that is stored otherwise is an error that shows both.
//! Pure: reads and writes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use billing::calendar::{Anchor, Calendar, CalendarError, Cycle, Interval, Period};
use billing::plan::Plan;
use billing::renewal::{self, AccountTerms, Offer};
use jiff::Timestamp;
use jiff::civil::{Date, Time};

use super::plans::{self, PlanFile};
use super::problem::{Place, Problems, Source, shown};
use super::subscribers::{self, Identity, Parsed, Subscriber, View};

/// What rows are checked against.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Of the account.
    pub(super) terms: AccountTerms,
    /// The day before which nothing may be charged, in the account's zone.
    pub(super) today: Date,
    /// Whether that day is a test clock's.
    pub(super) has_clock: bool,
}

/// What the database holds of what the files name.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// By id.
    pub(super) plans: BTreeMap<String, Arc<Plan>>,
    /// What is kept of the rows that were imported before, as JSON by column.
    pub(super) rows: HashMap<Identity, String>,
    /// By id.
    pub(super) customers: HashMap<String, Customer>,
}

/// What an import knows of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Customer {
    pub(super) name: String,
    pub(super) email: String,
    /// Whether it follows real time and no test clock.
    pub(super) is_in_real_time: bool,
}

/// A subscription to be stored.
#[derive(Clone, Debug)]
pub(super) struct NewSubscription {
    pub(super) row: Subscriber,
    pub(super) terms: Terms,
    /// Whether this row makes its customer.
    pub(super) is_new_customer: bool,
}

/// What follows from a row and its plan.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) plan: Arc<Plan>,
    /// The first one that teiki charges.
    pub(super) cycle: Cycle,
    /// What has been paid for already: the period before that one.
    pub(super) period: Period,
    /// Local midnight of the anchor.
    pub(super) started_at: Timestamp,
}

/// What an import stores.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) plans: Vec<Arc<Plan>>,
    pub(super) plans_unchanged: usize,
    pub(super) subscriptions: Vec<NewSubscription>,
    pub(super) subscriptions_unchanged: usize,
}

/// Compares the files with what is stored. What is wrong is added to `problems`.
pub(super) fn changes(
    frame: &Frame,
    file: &PlanFile,
    rows: Vec<Parsed>,
    mut stored: Stored,
    problems: &mut Problems,
) -> Changes {
    let mut changes = Changes::default();
    for (id, row) in &file.plans {
        match stored.plans.get(id) {
            Some(same) if **same == row.plan => changes.plans_unchanged += 1,
            Some(other) => refuse_changed_plan(row, other, problems),
            None => {
                let plan = Arc::new(row.plan.clone());
                stored.plans.insert(id.clone(), Arc::clone(&plan));
                changes.plans.push(plan);
            }
        }
    }
    let mut new_customers = HashSet::new();
    for row in rows {
        let view = row.view();
        let identity = view.identity();
        let kept = identity.as_ref().and_then(|identity| stored.rows.get(identity));
        match (row, kept) {
            (Parsed::Whole(row), Some(kept)) if *kept == row.fields => changes.subscriptions_unchanged += 1,
            (Parsed::Whole(row), Some(kept)) => refuse_changed_row(&row, kept, problems),
            // What is wrong with it has been reported; its dates may be in the past.
            (Parsed::Refused(_), Some(_)) => {}
            (row, None) => {
                let is_new = identity.is_some();
                let terms = new_terms(frame, file, &row.view(), is_new, &stored, problems);
                if let (Parsed::Whole(row), Some(terms)) = (row, terms) {
                    let customer = &row.identity.customer_id;
                    let is_new_customer =
                        !stored.customers.contains_key(customer) && new_customers.insert(customer.clone());
                    changes.subscriptions.push(NewSubscription { row, terms, is_new_customer });
                }
            }
        }
    }
    // Neighbours in the tables are written together.
    changes.subscriptions.sort_by_key(|new| new.row.slot);
    changes
}

fn refuse_changed_plan(row: &plans::PlanRow, stored: &Plan, problems: &mut Problems) {
    for ((column, old), (_, new)) in plans::fields(stored).into_iter().zip(plans::fields(&row.plan)) {
        if old != new {
            let text = format!(
                "{} in the file, but the plan {} is stored with {}; give other terms another id",
                shown(&new),
                shown(&row.plan.id),
                shown(&old),
            );
            problems.add(Place::column(Source::Plans, row.line, column), text);
        }
    }
}

fn refuse_changed_row(row: &Subscriber, kept: &str, problems: &mut Problems) {
    type ByColumn = BTreeMap<String, String>;
    let (Ok(old), Ok(new)) =
        (serde_json::from_str::<ByColumn>(kept), serde_json::from_str::<ByColumn>(&row.fields))
    else {
        let place = Place::line(Source::Subscribers, row.line);
        problems.add(place, "the row was imported before, and what is kept of it cannot be read");
        return;
    };
    for &column in subscribers::COLUMNS {
        let value = |fields: &ByColumn| fields.get(column).cloned().unwrap_or_default();
        let (old, new) = (value(&old), value(&new));
        if old != new {
            let text = format!(
                "{} in the file, but the row was imported with {}; an import changes nothing that is stored",
                shown(&new),
                shown(&old),
            );
            problems.add(Place::column(Source::Subscribers, row.line, column), text);
        }
    }
}

/// What follows from a row that is not stored, with all of its problems reported. `is_new`: it is known
/// not to be stored, so its date must not be in the past.
fn new_terms(
    frame: &Frame,
    file: &PlanFile,
    row: &View<'_>,
    is_new: bool,
    stored: &Stored,
    problems: &mut Problems,
) -> Option<Terms> {
    let mut refuse =
        |column, text: String| problems.add(Place::column(Source::Subscribers, row.line, column), text);
    let mut is_right = true;
    for (column, text) in wrong_customer(frame, row, stored) {
        is_right = false;
        refuse(column, text);
    }
    let plan_id = row.plan_id?;
    let Some(plan) = stored.plans.get(plan_id) else {
        if file.is_surely_without(plan_id) {
            let id = shown(plan_id);
            refuse(
                "plan_id",
                format!("there is no plan {id}, neither in the file of plans nor in the database"),
            );
        }
        return None;
    };
    if let Some(text) = row.remaining.and_then(|remaining| wrong_remaining(plan, remaining)) {
        is_right = false;
        refuse("remaining_charges", text);
    }
    let dates = Dates { anchor: row.billing_anchor?, on: row.next_charge_on?, is_new };
    let cycle = first_cycle(frame, plan, dates).map_err(|text| refuse("next_charge_on", text)).ok()?;
    let started_at = frame
        .terms
        .zone
        .instant(dates.anchor, Time::midnight())
        .map_err(|error| refuse("billing_anchor", error.to_string()))
        .ok()?;
    let period = paid_period(frame, plan, dates.anchor, &cycle);
    is_right.then(|| Terms { plan: Arc::clone(plan), cycle, period, started_at })
}

/// The period before `cycle`. Before the first cycle there is none: then an empty one at its start.
fn paid_period(frame: &Frame, plan: &Plan, anchor: Date, cycle: &Cycle) -> Period {
    let terms = renewal::Terms { account: &frame.terms, calendar: Calendar::Anchor };
    let schedule = terms.schedule(Anchor { on: anchor, at: None, cycle: 0 }, &Offer::from(plan));
    let former = cycle.number.checked_sub(1).and_then(|number| schedule.cycle(number).ok());
    former.map_or(Period { start: cycle.period.start, end: cycle.period.start }, |former| former.period)
}

/// A stored customer keeps name, address and the time it lives in.
fn wrong_customer(frame: &Frame, row: &View<'_>, stored: &Stored) -> Vec<(&'static str, String)> {
    let Some(known) = row.customer_id.and_then(|id| stored.customers.get(id)) else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    if known.is_in_real_time == frame.has_clock {
        let text = "the customer was stored before the account had its test clock, and lives in real time; \
                    import into another account";
        wrong.push(("customer_id", text.to_owned()));
    }
    for (column, here, there) in [("name", row.name, &known.name), ("email", row.email, &known.email)] {
        if let Some(here) = here.filter(|here| here != there) {
            let text =
                format!("{} in the file, but the customer is stored with {}", shown(here), shown(there));
            wrong.push((column, text));
        }
    }
    wrong
}

/// Required exactly where the plan has instalments.
fn wrong_remaining(plan: &Plan, remaining: Option<u32>) -> Option<String> {
    let id = shown(&plan.id);
    match (plan.instalments, remaining) {
        (None, None) => None,
        (Some(most), Some(count)) if (1..=most).contains(&count) => None,
        (Some(most), Some(count)) => {
            Some(format!("must be 1 to {most}, for the plan {id} has {most} instalments, not {count}"))
        }
        (Some(most), None) => Some(format!(
            "is empty, but the plan {id} has {most} instalments; write how many charges are still to come, 1 to {most}"
        )),
        (None, Some(count)) => Some(format!("{count}, but the plan {id} has no instalments; leave it empty")),
    }
}

/// The dates of a row.
#[derive(Clone, Copy)]
struct Dates {
    anchor: Date,
    /// The next charge.
    on: Date,
    /// Whether it must not be in the past.
    is_new: bool,
}

/// The cycle of the row's next charge, or what is wrong with its date and which dates are right.
fn first_cycle(frame: &Frame, plan: &Plan, Dates { anchor, on, is_new }: Dates) -> Result<Cycle, String> {
    let right_dates = || right_dates(frame, plan.interval, anchor, on);
    let number = match plan.interval.cycle_on(anchor, on) {
        Ok(number) if on >= frame.today || !is_new => number,
        Ok(_) => {
            let whose = if frame.has_clock { "the day of the test clock" } else { "today" };
            return Err(format!("{on} is before {}, {whose}{}", frame.today, right_dates()));
        }
        Err(_) => {
            let id = shown(&plan.id);
            return Err(format!("{on} is not a charge date of plan {id} from {anchor} on{}", right_dates()));
        }
    };
    let terms = renewal::Terms { account: &frame.terms, calendar: Calendar::Anchor };
    let schedule = terms.schedule(Anchor { on: anchor, at: None, cycle: 0 }, &Offer::from(plan));
    schedule.cycle(number).map_err(|error: CalendarError| format!("{on}: {error}"))
}

/// The charge dates next to `on` that are not before the day of the clock.
fn right_dates(frame: &Frame, interval: Interval, anchor: Date, on: Date) -> String {
    let from = on.max(frame.today);
    let before = interval.cycle_on(anchor, on).err().and_then(|nearest| nearest.before);
    let after = match interval.cycle_on(anchor, from) {
        Ok(_) => Some(from),
        Err(nearest) => nearest.after,
    };
    match (before.filter(|&before| before >= frame.today), after) {
        (Some(before), Some(after)) => format!("; the nearest right dates are {before} and {after}"),
        (Some(only), None) | (None, Some(only)) => format!("; the nearest right date is {only}"),
        (None, None) => String::new(),
    }
}
