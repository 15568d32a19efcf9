//! The file of plans: rows to plans that make sense.
//!
//! Does not look into the database; [`super::check`] compares with what is there.

use std::collections::{BTreeMap, BTreeSet};

use billing::calendar::{Interval, Unit};
use billing::money::{Currency, Money};
use billing::plan::{FirstCharge, INSTALMENTS_MAX, Plan, TRIAL_DAYS_MAX};
use billing::tax::TaxCategory;

use super::field::{self, Refusal};
use super::problem::{Problems, Source, shown};
use super::record::{self, Row};

/// The columns, in the order of the documentation.
pub(super) const COLUMNS: &[&str] = &[
    "id",
    "name",
    "amount",
    "currency",
    "tax_category",
    "interval",
    "interval_count",
    "trial_days",
    "setup_fee",
    "instalments",
];

/// A plan and where it stands.
#[derive(Clone, Debug)]
pub(super) struct PlanRow {
    pub(super) line: u64,
    pub(super) plan: Plan,
}

/// What a file of plans holds.
#[derive(Clone, Debug, Default)]
pub(super) struct PlanFile {
    /// The plans by id.
    pub(super) plans: BTreeMap<String, PlanRow>,
    /// Ids of rows that were refused: whoever refers to them is not to blame.
    pub(super) refused: BTreeSet<String>,
    /// Whether all ids of the file are known.
    pub(super) is_read: bool,
}

impl PlanFile {
    /// Whether a reference to `id`, which is in no plan, is to be reported.
    pub(super) fn is_surely_without(&self, id: &str) -> bool {
        self.is_read && !self.refused.contains(id)
    }
}

/// Reads the file.
pub(super) fn read(text: String, problems: &mut Problems) -> PlanFile {
    let mut file = PlanFile::default();
    let rows = record::read(text, Source::Plans, COLUMNS, problems, |row| {
        let before = row.problem_count();
        let id = row.read("id", field::id);
        let plan = parse(row, id.as_deref());
        let id = id?;
        match plan.filter(|_| row.problem_count() == before) {
            Some(plan) => add(&mut file, row, id, plan),
            None => {
                file.refused.insert(id);
            }
        }
        Some(())
    });
    // A plan that cannot be named cannot be told from the one that a subscriber means.
    file.is_read = rows.is_some_and(|rows| !rows.has_refused);
    file
}

fn add(file: &mut PlanFile, row: &mut Row<'_>, id: String, plan: Plan) {
    match file.plans.get(&id) {
        Some(first) => {
            let text =
                format!("the plan {} is on line {} already; an id is used once", shown(&id), first.line);
            row.refuse("id", text);
        }
        None => {
            file.plans.insert(id, PlanRow { line: row.line, plan });
        }
    }
}

/// The plan of a row, with all of its problems reported. It is a plan only if there were none.
fn parse(row: &mut Row<'_>, id: Option<&str>) -> Option<Plan> {
    let name = row.read("name", field::name);
    let amount = row.read("amount", field::whole_number);
    let currency = row.read("currency", named::<Currency>);
    let tax_category = row.read("tax_category", named::<TaxCategory>);
    let unit = row.read("interval", named::<Unit>);
    let interval_count = row.read("interval_count", field::whole_number);
    let trial_days = row
        .read("trial_days", |value| field::optional(value, |value| field::count(value, 0, TRIAL_DAYS_MAX)));
    let setup_fee = row.read("setup_fee", |value| field::optional(value, field::whole_number));
    let instalments = row
        .read("instalments", |value| field::optional(value, |value| field::count(value, 1, INSTALMENTS_MAX)));
    // What could not be read stands as something harmless, so that the rest is still checked.
    let interval = interval(row, unit.unwrap_or(Unit::Month), interval_count.unwrap_or(1));
    let minor = |amount| Money::new(amount, currency.unwrap_or(Currency::Jpy));
    let draft = Plan {
        id: id.unwrap_or_default().to_owned(),
        name: name.unwrap_or_default(),
        amount: minor(amount.unwrap_or(0)),
        tax_category: tax_category.unwrap_or(TaxCategory::Standard),
        interval: interval.or(Interval::try_new(Unit::Month, 1).ok())?,
        billing_day: None,
        first_charge: FirstCharge::Now,
        trial_days: trial_days.flatten().unwrap_or(0),
        setup_fee: minor(setup_fee.flatten().unwrap_or(0)),
        instalments: instalments.flatten(),
    };
    let refusals = draft.refusals();
    for refused in &refusals {
        row.refuse(refused.field, format!("must be {}, not {}", refused.allowed, refused.found));
    }
    Some(draft)
}

fn interval(row: &mut Row<'_>, unit: Unit, count: i64) -> Option<Interval> {
    match Interval::try_new(unit, count) {
        Ok(interval) => Some(interval),
        Err(error) => {
            row.refuse("interval_count", without_column(&error.to_string()));
            None
        }
    }
}

/// A word of a list that `billing` knows; its own error says which words there are.
fn named<T>(value: &str) -> Result<T, Refusal>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    field::word(value)?.parse().map_err(|error: T::Err| without_column(&error.to_string()))
}

/// The sentences of `billing` begin with the field's name, which stands before them already.
fn without_column(sentence: &str) -> String {
    sentence
        .split_once(" must be ")
        .map_or_else(|| sentence.to_owned(), |(_, rest)| format!("must be {rest}"))
}

/// A plan as texts by column: what is compared, and what is shown when it differs.
pub(super) fn fields(plan: &Plan) -> [(&'static str, String); 10] {
    [
        ("id", plan.id.clone()),
        ("name", plan.name.clone()),
        ("amount", plan.amount.minor.to_string()),
        ("currency", plan.amount.currency.code().to_owned()),
        ("tax_category", plan.tax_category.as_str().to_owned()),
        ("interval", plan.interval.unit().as_str().to_owned()),
        ("interval_count", plan.interval.count().to_string()),
        ("trial_days", plan.trial_days.to_string()),
        ("setup_fee", plan.setup_fee.minor.to_string()),
        ("instalments", plan.instalments.map(|count| count.to_string()).unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::problem::Files;

    fn check(rows: &str) -> (Vec<String>, String) {
        let mut problems = Problems::default();
        let file = read(format!("{}\n{rows}", COLUMNS.join(",")), &mut problems);
        let plans =
            file.plans.values().map(|row| fields(&row.plan).map(|(_, value)| value).join(",")).collect();
        let files = Files { plans: "plans.csv".into(), subscribers: "s.csv".into() };
        let wrong = problems.check(&files).map_or_else(|failure| failure.message, |()| String::new());
        (plans, wrong.split_once('\n').map_or(String::new(), |(_, list)| list.to_owned()))
    }

    #[test]
    fn plans_are_read() {
        let rows = "basic,ベーシック月額,980,jpy,standard,month,1,0,0,\nｓｃｈｏｏｌ,講座,２４８００,JPY,Exempt,Month,1,,,12\n";
        let (plans, wrong) = check(rows);
        assert_eq!(wrong, "");
        assert_eq!(
            plans,
            [
                "basic,ベーシック月額,980,jpy,standard,month,1,0,0,",
                "school,講座,24800,jpy,exempt,month,1,0,0,12"
            ]
        );
    }

    #[test]
    fn each_wrong_field_is_named() {
        let table = [
            (
                "p,P,x,jpy,standard,month,1,0,0,",
                "amount: x is not a whole number; write digits only, for example 3980",
            ),
            ("p,P,-1,jpy,standard,month,1,0,0,", "amount: must be 0 to 99999999, not -1"),
            ("p,P,1,eur,standard,month,1,0,0,", "currency: must be jpy or usd, not \"eur\""),
            (
                "p,P,1,jpy,none,month,1,0,0,",
                "tax_category: must be standard, reduced or exempt, not \"none\"",
            ),
            ("p,P,1,jpy,standard,moon,1,0,0,", "interval: must be day, week, month or year, not \"moon\""),
            ("p,P,1,jpy,standard,month,0,0,0,", "interval_count: must be 1 to 1000, not 0"),
            ("p,P,1,jpy,standard,month,1,-1,0,", "trial_days: must be 0 to 3650, not -1"),
            ("p,P,1,jpy,standard,month,1,9999,0,", "trial_days: must be 0 to 3650, not 9999"),
            ("p,P,1,jpy,standard,month,1,0,-5,", "setup_fee: must be 0 to 99999999, not -5"),
            ("p,P,1,jpy,standard,month,1,0,0,0", "instalments: must be 1 to 1200, not 0"),
            ("p,,1,jpy,standard,month,1,0,0,", "name: is empty"),
            (",P,1,jpy,standard,month,1,0,0,", "id: is empty"),
        ];
        for (row, expected) in table {
            assert_eq!(check(&format!("{row}\n")), (vec![], format!("plans.csv:2: {expected}")), "{row}");
        }
        let (_, wrong) = check("p,,x,eur,none,moon,y,z,w,v\n");
        assert_eq!(wrong.lines().count(), 9, "{wrong}");
        let (_, wrong) = check("p,P,-1,jpy,standard,moon,0,0,-1,\n");
        assert_eq!(wrong.lines().count(), 4, "{wrong}");
    }

    #[test]
    fn an_id_is_used_once() {
        let row = "p,P,1,jpy,standard,month,1,0,0,\n";
        let (plans, wrong) = check(&format!("{row}\n{row}"));
        assert_eq!(plans.len(), 1);
        assert_eq!(wrong, "plans.csv:4: id: the plan p is on line 2 already; an id is used once");
    }
}
