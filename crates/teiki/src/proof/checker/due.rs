//! What is due, computed from the two input files.

use std::collections::BTreeMap;
use std::path::Path;

use super::calendar::Day;

/// What one token owes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    /// Its due days, in order.
    pub(super) days: Vec<Day>,
    /// The price of each.
    pub(super) amount: i64,
    pub(super) currency: String,
}

struct Plan {
    amount: i64,
    currency: String,
}

/// What every token owes until `last`. Error: a file, a column or a value that cannot be read.
pub(super) fn read(plans: &Path, subscribers: &Path, last: Day) -> Result<BTreeMap<String, Owed>, String> {
    let plans = read_plans(plans)?;
    let mut due = BTreeMap::new();
    for row in rows(subscribers)? {
        let of =
            |column: &str| row.get(column).ok_or_else(|| format!("subscribers.csv has no column {column}"));
        let day =
            |column: &str| Day::parse(of(column)?).ok_or_else(|| format!("{} is not a day", row[column]));
        let plan = plans.get(of("plan_id")?).ok_or("subscribers.csv names a plan that plans.csv has not")?;
        let left = match of("remaining_charges")?.as_str() {
            "" => i64::MAX,
            count => count.parse().map_err(|_| format!("{count} is not a count"))?,
        };
        let (first, wanted) = (day("next_charge_on")?, day("billing_anchor")?.day);
        let days = (0..left).map(|k| first.months_later(k, wanted)).take_while(|&day| day <= last).collect();
        let owed = Owed { days, amount: plan.amount, currency: plan.currency.clone() };
        if due.insert(of("payment_token")?.clone(), owed).is_some() {
            return Err(
                "a payment token stands in two rows; the checker tells subscriptions by it".to_owned()
            );
        }
    }
    Ok(due)
}

fn read_plans(path: &Path) -> Result<BTreeMap<String, Plan>, String> {
    rows(path)?
        .into_iter()
        .map(|mut row| {
            let mut of =
                |column: &str| row.remove(column).ok_or_else(|| format!("plans.csv has no column {column}"));
            if (of("interval")?.as_str(), of("interval_count")?.as_str()) != ("month", "1") {
                return Err("the checker knows monthly plans only".to_owned());
            }
            let amount = of("amount")?.parse().map_err(|_| "an amount is not a number")?;
            Ok((of("id")?, Plan { amount, currency: of("currency")? }))
        })
        .collect()
}

/// The rows of a file without quotes, by column.
fn rows(path: &Path) -> Result<Vec<BTreeMap<String, String>>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines
        .map(|line| {
            let values: Vec<&str> = line.split(',').collect();
            if values.len() != columns.len() || line.contains('"') {
                return Err(format!("{} has a row that the checker cannot read", path.display()));
            }
            Ok(columns
                .iter()
                .zip(values)
                .map(|(column, value)| ((*column).to_owned(), value.to_owned()))
                .collect())
        })
        .collect()
}
