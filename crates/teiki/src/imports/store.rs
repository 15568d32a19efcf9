//! SQL of imports: what is stored of what the files name, and the rows that an import adds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use billing::calendar::Interval;
use billing::guard::DayTotal;
use billing::id::{AccountId, ConnectionId, PaymentMethodId, Slot, SubscriptionId};
use billing::mode::Mode;
use billing::money::Money;
use billing::plan::{FirstCharge, Plan};
use billing::subscription::State;
use db::{Column, Error, OnConflict, Row, Tx};
use jiff::Timestamp;
use jiff::civil::Date;

use super::check::{Customer, NewSubscription};
use super::subscribers::{Identity, Subscriber};
use crate::accounts::REAL_CLOCK;
use crate::stored::{self, unreadable};

/// Whose rows, and in which time they live.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) account: AccountId,
    pub(super) mode: Mode,
    /// A test clock's id, or the real clock.
    pub(super) clock_id: String,
    /// Billing time.
    pub(super) billing_at: Timestamp,
    /// Real time.
    pub(super) now: Timestamp,
    /// An import has days, which PAY.JP's calendar has not.
    pub(super) calendar: &'static str,
    /// What the account wants of a failed renewal.
    pub(super) renewal_failure: &'static str,
}

/// A new subscription with the ids of what is stored for it.
pub(super) struct Addition<'a> {
    pub(super) new: &'a NewSubscription,
    pub(super) subscription: SubscriptionId,
    pub(super) payment_method: PaymentMethodId,
}

pub(super) fn find_plans(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    ids: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Arc<Plan>>, Error> {
    let keys = [
        Column::Text(vec![account.as_str(); ids.len()]),
        Column::Text(vec![mode.as_str(); ids.len()]),
        Column::Text(ids.iter().copied().collect()),
    ];
    let rows = tx.select_many(
        "select p.id, p.name, p.amount, p.currency, p.tax_category, p.interval_unit, p.interval_count, p.trial_days,
                p.setup_fee, p.instalments
         from plans p where p.account_id = $1 and p.mode = $2 and p.id = $3",
        &keys,
    )?;
    rows.iter().map(|(_, row)| Ok((row.text(0)?, Arc::new(plan_of(row)?)))).collect()
}

fn plan_of(row: &Row) -> Result<Plan, Error> {
    let currency = stored::parsed(row, 3, "plans.currency", "a currency")?;
    let unit = stored::parsed(row, 5, "plans.interval_unit", "a unit")?;
    let interval = Interval::try_new(unit, row.i64(6)?)
        .map_err(|_| unreadable("plans.interval_count", "a count of an interval", "another number"))?;
    let instalments = match row.opt_i64(9)? {
        Some(_) => Some(stored::count(row, 9, "plans.instalments")?),
        None => None,
    };
    Ok(Plan {
        id: row.text(0)?,
        name: row.opt_text(1)?.unwrap_or_default(),
        amount: Money::new(row.i64(2)?, currency),
        tax_category: stored::parsed(row, 4, "plans.tax_category", "a tax category")?,
        interval,
        billing_day: None,
        first_charge: FirstCharge::Now,
        trial_days: stored::count(row, 7, "plans.trial_days")?,
        setup_fee: Money::new(row.i64(8)?, currency),
        instalments,
    })
}

/// What is kept of those of these rows that were imported before.
pub(super) fn find_imported(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    identities: &[Identity],
) -> Result<Vec<(Identity, String)>, Error> {
    let anchors: Vec<String> =
        identities.iter().map(|identity| identity.billing_anchor.to_string()).collect();
    let keys = [
        Column::I64(identities.iter().map(|identity| Slot::of_key(&identity.customer_id).as_i64()).collect()),
        Column::Text(vec![account.as_str(); identities.len()]),
        Column::Text(vec![mode.as_str(); identities.len()]),
        Column::Text(identities.iter().map(|identity| identity.customer_id.as_str()).collect()),
        Column::Text(identities.iter().map(|identity| identity.plan_id.as_str()).collect()),
        Column::Text(anchors.iter().map(String::as_str).collect()),
    ];
    let found = tx.select_many(
        "select i.fields from imported_rows i
         where i.slot = $1 and i.account_id = $2 and i.mode = $3 and i.customer_id = $4 and i.plan_id = $5
           and i.billing_anchor = $6",
        &keys,
    )?;
    found.iter().map(|(place, row)| Ok((identities[*place].clone(), row.text(0)?))).collect()
}

pub(super) fn find_customers(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    ids: &[&str],
) -> Result<HashMap<String, Customer>, Error> {
    let keys = [
        Column::I64(ids.iter().map(|id| Slot::of_key(id).as_i64()).collect()),
        Column::Text(vec![account.as_str(); ids.len()]),
        Column::Text(vec![mode.as_str(); ids.len()]),
        Column::Text(ids.to_vec()),
    ];
    let rows = tx.select_many(
        "select c.id, c.name, c.email, c.clock_id from customers c
         where c.slot = $1 and c.account_id = $2 and c.mode = $3 and c.id = $4",
        &keys,
    )?;
    rows.iter()
        .map(|(_, row)| {
            Ok((
                row.text(0)?,
                Customer {
                    name: row.opt_text(1)?.unwrap_or_default(),
                    email: row.opt_text(2)?.unwrap_or_default(),
                    is_in_real_time: row.str(3)? == REAL_CLOCK,
                },
            ))
        })
        .collect()
}

pub(super) fn insert_plans(tx: &mut Tx<'_>, scope: &Scope, plans: &[Arc<Plan>]) -> Result<(), Error> {
    let text = |value: fn(&Plan) -> &str| Column::Text(plans.iter().map(|plan| value(plan)).collect());
    let number = |value: fn(&Plan) -> i64| Column::I64(plans.iter().map(|plan| value(plan)).collect());
    let columns = [
        ("account_id", Column::Text(vec![scope.account.as_str(); plans.len()])),
        ("mode", Column::Text(vec![scope.mode.as_str(); plans.len()])),
        ("id", text(|plan| &plan.id)),
        ("name", text(|plan| &plan.name)),
        ("amount", number(|plan| plan.amount.minor)),
        ("currency", text(|plan| plan.amount.currency.code())),
        ("tax_category", text(|plan| plan.tax_category.as_str())),
        ("interval_unit", text(|plan| plan.interval.unit().as_str())),
        ("interval_count", number(|plan| plan.interval.count())),
        ("trial_days", number(|plan| plan.trial_days.into())),
        ("setup_fee", number(|plan| plan.setup_fee.minor)),
        ("instalments", Column::OptI64(plans.iter().map(|plan| plan.instalments.map(i64::from)).collect())),
        ("created_at", Column::I64(vec![scope.now.as_microsecond(); plans.len()])),
    ];
    tx.insert_many("plans", &columns, OnConflict::Fail)?;
    Ok(())
}

/// Orders what one import makes as the rows of its file.
fn sequence(scope: &Scope, row: &Subscriber) -> i64 {
    scope.now.as_microsecond() + i64::try_from(row.line).unwrap_or(i64::MAX)
}

/// New customers, each with the payment method that is its default.
pub(super) fn insert_customers(
    tx: &mut Tx<'_>,
    scope: &Scope,
    additions: &[&Addition<'_>],
) -> Result<(), Error> {
    let rows: Vec<&Subscriber> = additions.iter().map(|one| &one.new.row).collect();
    let columns = [
        ("slot", Column::I64(rows.iter().map(|row| row.slot.as_i64()).collect())),
        ("account_id", Column::Text(vec![scope.account.as_str(); rows.len()])),
        ("mode", Column::Text(vec![scope.mode.as_str(); rows.len()])),
        ("id", Column::Text(rows.iter().map(|row| row.identity.customer_id.as_str()).collect())),
        ("name", Column::Text(rows.iter().map(|row| row.name.as_str()).collect())),
        ("email", Column::Text(rows.iter().map(|row| row.email.as_str()).collect())),
        (
            "default_payment_method_id",
            Column::Text(additions.iter().map(|one| one.payment_method.as_str()).collect()),
        ),
        ("clock_id", Column::Text(vec![scope.clock_id.as_str(); rows.len()])),
        ("created_at", Column::I64(vec![scope.billing_at.as_microsecond(); rows.len()])),
        ("sequence", Column::I64(rows.iter().map(|row| sequence(scope, row)).collect())),
    ];
    tx.insert_many("customers", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn insert_payment_methods(
    tx: &mut Tx<'_>,
    scope: &Scope,
    connection: ConnectionId,
    additions: &[Addition<'_>],
) -> Result<(), Error> {
    let text = |value: fn(&Subscriber) -> &str| {
        Column::Text(additions.iter().map(|one| value(&one.new.row)).collect())
    };
    let expiries: Vec<Option<String>> =
        additions.iter().map(|one| one.new.row.card_expires_on.map(|on| on.to_string())).collect();
    let columns = [
        ("slot", Column::I64(additions.iter().map(|one| one.new.row.slot.as_i64()).collect())),
        ("id", Column::Text(additions.iter().map(|one| one.payment_method.as_str()).collect())),
        ("account_id", Column::Text(vec![scope.account.as_str(); additions.len()])),
        ("mode", Column::Text(vec![scope.mode.as_str(); additions.len()])),
        ("customer_id", text(|row| &row.identity.customer_id)),
        ("connection_id", Column::Text(vec![connection.as_str(); additions.len()])),
        ("gateway_token", text(|row| &row.payment_token)),
        ("brand", text(|row| &row.card_brand)),
        ("last4", text(|row| &row.card_last4)),
        ("expires_on", Column::OptText(expiries.iter().map(Option::as_deref).collect())),
        ("created_at", Column::I64(vec![scope.billing_at.as_microsecond(); additions.len()])),
        ("sequence", Column::I64(additions.iter().map(|one| sequence(scope, &one.new.row)).collect())),
    ];
    tx.insert_many("payment_methods", &columns, OnConflict::Fail)?;
    Ok(())
}

/// `event_number` is that of the one event that is written with them.
pub(super) fn insert_subscriptions(
    tx: &mut Tx<'_>,
    scope: &Scope,
    additions: &[Addition<'_>],
    event_number: i64,
) -> Result<(), Error> {
    let count = additions.len();
    let rows = || additions.iter().map(|one| &one.new.row);
    let anchors: Vec<String> = rows().map(|row| row.identity.billing_anchor.to_string()).collect();
    let ends: Vec<Option<String>> = rows().map(|row| row.valid_until.map(|on| on.to_string())).collect();
    let columns = [
        ("slot", Column::I64(rows().map(|row| row.slot.as_i64()).collect())),
        ("id", Column::Text(additions.iter().map(|one| one.subscription.as_str()).collect())),
        ("account_id", Column::Text(vec![scope.account.as_str(); count])),
        ("mode", Column::Text(vec![scope.mode.as_str(); count])),
        ("clock_id", Column::Text(vec![scope.clock_id.as_str(); count])),
        ("customer_id", Column::Text(rows().map(|row| row.identity.customer_id.as_str()).collect())),
        ("plan_id", Column::Text(rows().map(|row| row.identity.plan_id.as_str()).collect())),
        (
            "payment_method_id",
            Column::Text(additions.iter().map(|one| one.payment_method.as_str()).collect()),
        ),
        ("status", Column::Text(vec![State::Active.as_str(); count])),
        ("calendar", Column::Text(vec![scope.calendar; count])),
        ("renewal_failure", Column::Text(vec![scope.renewal_failure; count])),
        ("prorate", Column::Bool(vec![false; count])),
        (
            "period_start",
            Column::I64(additions.iter().map(|one| one.new.terms.period.start.as_microsecond()).collect()),
        ),
        (
            "period_end",
            Column::I64(additions.iter().map(|one| one.new.terms.period.end.as_microsecond()).collect()),
        ),
        ("anchor_on", Column::Text(anchors.iter().map(String::as_str).collect())),
        (
            "next_cycle",
            Column::I64(additions.iter().map(|one| i64::from(one.new.terms.cycle.number) + 1).collect()),
        ),
        ("billed", Column::Bool(vec![true; count])),
        ("remaining", Column::OptI64(rows().map(|row| row.remaining.map(i64::from)).collect())),
        ("event_number", Column::I64(vec![event_number; count])),
        ("valid_until", Column::OptText(ends.iter().map(Option::as_deref).collect())),
        (
            "started_at",
            Column::I64(additions.iter().map(|one| one.new.terms.started_at.as_microsecond()).collect()),
        ),
        ("created_at", Column::I64(vec![scope.billing_at.as_microsecond(); count])),
        ("sequence", Column::I64(rows().map(|row| sequence(scope, row)).collect())),
    ];
    tx.insert_many("subscriptions", &columns, OnConflict::Fail)?;
    Ok(())
}

pub(super) fn insert_imported(
    tx: &mut Tx<'_>,
    scope: &Scope,
    additions: &[Addition<'_>],
) -> Result<(), Error> {
    let count = additions.len();
    let rows = || additions.iter().map(|one| &one.new.row);
    let anchors: Vec<String> = rows().map(|row| row.identity.billing_anchor.to_string()).collect();
    let columns = [
        ("slot", Column::I64(rows().map(|row| row.slot.as_i64()).collect())),
        ("account_id", Column::Text(vec![scope.account.as_str(); count])),
        ("mode", Column::Text(vec![scope.mode.as_str(); count])),
        ("customer_id", Column::Text(rows().map(|row| row.identity.customer_id.as_str()).collect())),
        ("plan_id", Column::Text(rows().map(|row| row.identity.plan_id.as_str()).collect())),
        ("billing_anchor", Column::Text(anchors.iter().map(String::as_str).collect())),
        ("fields", Column::Text(rows().map(|row| row.fields.as_str()).collect())),
        ("imported_at", Column::I64(vec![scope.now.as_microsecond(); count])),
    ];
    tx.insert_many("imported_rows", &columns, OnConflict::Fail)?;
    Ok(())
}

/// Adds to the plans of those days that have one already. The rows stay locked until the end.
pub(super) fn raise_day_plans(
    tx: &mut Tx<'_>,
    scope: &Scope,
    added: &BTreeMap<Date, DayTotal>,
) -> Result<(), Error> {
    let days: Vec<String> = added.keys().map(Date::to_string).collect();
    let totals: Vec<DayTotal> = added.values().copied().collect();
    let found = tx.lock_many(
        "select d.planned_count, d.planned_amount from day_plans d
         where d.account_id = $1 and d.mode = $2 and d.clock_id = $3 and d.day = $4",
        &[
            Column::Text(vec![scope.account.as_str(); days.len()]),
            Column::Text(vec![scope.mode.as_str(); days.len()]),
            Column::Text(vec![scope.clock_id.as_str(); days.len()]),
            Column::Text(days.iter().map(String::as_str).collect()),
        ],
    )?;
    let raised = found
        .iter()
        .map(|(place, row)| {
            let planned = DayTotal { count: row.i64(0)?, amount: row.i64(1)? };
            Ok((days[*place].as_str(), planned.plus(totals[*place])))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    tx.update_many(
        "day_plans",
        &[
            ("account_id", Column::Text(vec![scope.account.as_str(); raised.len()])),
            ("mode", Column::Text(vec![scope.mode.as_str(); raised.len()])),
            ("clock_id", Column::Text(vec![scope.clock_id.as_str(); raised.len()])),
            ("day", Column::Text(raised.iter().map(|(day, _)| *day).collect())),
        ],
        &[
            ("planned_count", Column::I64(raised.iter().map(|(_, total)| total.count).collect())),
            ("planned_amount", Column::I64(raised.iter().map(|(_, total)| total.amount).collect())),
        ],
        "",
    )?;
    Ok(())
}
