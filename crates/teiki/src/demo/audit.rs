//! The audit: what the gateway's own book says, compared with the two files that the merchant gave.
//!
//! Reads nothing that teiki wrote. From the files follows which token must be charged on which day and how
//! much; the book says what was. *Double* is money taken more than once for one day of one token, or on a day
//! on which nothing was due; *missed* is a day that was due and of which the book has no charge at all. Money that was
//! reserved and taken later counts for the day of its charge.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sandbox::{BookLine, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::directory::{self, Directory};
use super::merchant::{PlanRow, SubscriberRow, charge_day};
use super::{FIRST, LAST, ZONE};
use crate::failure::Failure;
use crate::gateways;

/// What the comparison gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Charges that were due by the files.
    pub due: u64,
    /// Lines of the book that took money.
    pub collected: u64,
    /// Their sum in yen.
    pub collected_amount: i64,
    /// Lines of the book that were declined.
    pub declined: u64,
    /// Money taken a second time, or when nothing was due.
    pub double: u64,
    /// Due, and not in the book.
    pub missed: u64,
    /// Taken with another amount or currency than the plan's.
    pub wrong_amount: u64,
}

impl Audit {
    /// Whether the book is as the files want it.
    pub fn agrees(&self) -> bool {
        (self.double, self.missed, self.wrong_amount) == (0, 0, 0)
    }
}

/// A token on a day.
type Duty = (String, Date);

/// What the book has for a duty.
#[derive(Default)]
struct Found {
    collected: u64,
    declined: u64,
    amounts: Vec<(i64, String)>,
}

/// Compares the files with the book.
pub(super) fn audit(directory: &Directory) -> Result<Audit, Failure> {
    let plans: Vec<PlanRow> = read(&directory.file(directory::PLANS))?;
    let subscribers: Vec<SubscriberRow> = read(&directory.file(directory::SUBSCRIBERS))?;
    let book = sandbox::read_book(directory.file(gateways::BOOK))
        .map_err(|error| Failure::failed(format!("the gateway's book cannot be read: {error}")))?;
    let plans: BTreeMap<&str, &PlanRow> = plans.iter().map(|plan| (plan.id.as_str(), plan)).collect();
    let duties = duties(&plans, &subscribers)?;
    Ok(compare(&duties, by_duty(&book)?))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Failure> {
    csv::Reader::from_path(path)
        .and_then(|mut reader| reader.deserialize().collect())
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", path.display())))
}

/// What is due in the year, with the amount and currency of its plan.
fn duties<'a>(
    plans: &BTreeMap<&str, &'a PlanRow>,
    subscribers: &[SubscriberRow],
) -> Result<HashMap<Duty, &'a PlanRow>, Failure> {
    let mut duties = HashMap::new();
    for row in subscribers {
        let plan = plans
            .get(row.plan_id.as_str())
            .ok_or_else(|| Failure::failed(format!("there is no plan {}", row.plan_id)))?;
        let interval = (plan.interval.as_str(), plan.interval_count);
        let days = (0..)
            .map_while(|cycle| charge_day(row.billing_anchor, interval, cycle))
            .skip_while(|day| *day < row.next_charge_on)
            .take_while(|day| *day <= LAST)
            .filter(|day| *day >= FIRST)
            .take(row.remaining_charges.map_or(usize::MAX, |left| left as usize));
        duties.extend(days.map(|day| ((row.payment_token.clone(), day), *plan)));
    }
    Ok(duties)
}

fn by_duty(book: &[BookLine]) -> Result<HashMap<Duty, Found>, Failure> {
    let zone = TimeZone::get(ZONE).map_err(|error| Failure::failed(error.to_string()))?;
    let charges = book.iter().filter(|line| line.charge.is_none());
    let charged_at: HashMap<&str, Timestamp> = charges.map(|line| (line.id.as_str(), line.at)).collect();
    let mut found: HashMap<Duty, Found> = HashMap::new();
    for line in book {
        let at = line.charge.as_deref().and_then(|charge| charged_at.get(charge)).copied();
        let day = at.unwrap_or(line.at).to_zoned(zone.clone()).date();
        let entry = found.entry((line.token.clone(), day)).or_default();
        match line.outcome {
            Outcome::Succeeded | Outcome::Captured => {
                entry.collected += 1;
                entry.amounts.push((line.amount, line.currency.clone()));
            }
            Outcome::Declined if line.charge.is_none() => entry.declined += 1,
            // Nothing is taken by reserving, and a renewal that is declined is no charge.
            Outcome::Declined | Outcome::Authorized | Outcome::Voided => {}
            // The demo gives nothing back.
            Outcome::Refunded => {}
        }
    }
    Ok(found)
}

fn compare(duties: &HashMap<Duty, &PlanRow>, found: HashMap<Duty, Found>) -> Audit {
    let mut audit = Audit {
        due: count(duties.len()),
        missed: count(duties.keys().filter(|duty| !found.contains_key(*duty)).count()),
        ..Audit::default()
    };
    for (duty, found) in found {
        audit.collected += found.collected;
        audit.declined += found.declined;
        audit.collected_amount += found.amounts.iter().map(|taken| taken.0).sum::<i64>();
        match duties.get(&duty) {
            Some(plan) => {
                audit.double += found.collected.saturating_sub(1);
                let is_wrong = |taken: &&(i64, String)| {
                    taken.0 != plan.amount || !taken.1.eq_ignore_ascii_case(&plan.currency)
                };
                audit.wrong_amount += count(found.amounts.iter().filter(is_wrong).count());
            }
            None => audit.double += found.collected,
        }
    }
    audit
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const PLANS: &str =
        "id,name,amount,currency,tax_category,interval,interval_count,trial_days,setup_fee,instalments
basic,Basic,980,jpy,standard,month,1,0,0,
short,Short,500,jpy,standard,month,1,0,0,2
";
    const SUBSCRIBERS: &str = "customer_id,name,email,plan_id,billing_anchor,next_charge_on,remaining_charges,valid_until,gateway,payment_token,card_brand,card_last4,card_exp
a,A,a@example.com,basic,2026-10-31,2027-11-30,,,sandbox,sbx_ok.a,Visa,4242,2030-01
b,B,b@example.com,short,2026-12-15,2027-01-15,1,,sandbox,sbx_ok.b,Visa,4242,2030-01
";

    fn line(token: &str, at: &str, amount: i64, outcome: Outcome) -> BookLine {
        let at = at.parse().expect("an instant");
        BookLine {
            at,
            recorded_at: at,
            id: String::new(),
            charge: None,
            token: token.to_owned(),
            amount,
            currency: "jpy".to_owned(),
            reference: None,
            idempotency_key: None,
            capture: None,
            outcome,
            code: None,
        }
    }

    fn check(book: &[BookLine]) -> (u64, u64, u64) {
        let parse = |text: &str| text.to_owned().into_bytes();
        let (plans, rows) = (parse(PLANS), parse(SUBSCRIBERS));
        let plans: Vec<PlanRow> = csv::Reader::from_reader(plans.as_slice())
            .deserialize()
            .collect::<Result<_, _>>()
            .expect("plans");
        let rows: Vec<SubscriberRow> = csv::Reader::from_reader(rows.as_slice())
            .deserialize()
            .collect::<Result<_, _>>()
            .expect("subscribers");
        let by_id = plans.iter().map(|plan| (plan.id.as_str(), plan)).collect();
        let duties = duties(&by_id, &rows).expect("duties");
        assert_eq!(duties.len(), 3, "two days of a, one of b");
        assert!(duties.contains_key(&("sbx_ok.a".to_owned(), date(2027, 12, 31))));
        let audit = compare(&duties, by_duty(book).expect("a zone"));
        (audit.double, audit.missed, audit.wrong_amount)
    }

    #[test]
    fn doubles_missed_and_wrong_amounts_are_counted() {
        let right = [
            line("sbx_ok.a", "2027-11-30T00:00:00Z", 980, Outcome::Declined),
            line("sbx_ok.a", "2027-12-31T00:00:00Z", 980, Outcome::Succeeded),
            line("sbx_ok.b", "2027-01-15T00:00:00Z", 500, Outcome::Succeeded),
        ];
        assert_eq!(check(&right), (0, 0, 0));
        assert_eq!(check(&right[1..]), (0, 1, 0));
        let again = line("sbx_ok.b", "2027-01-15T01:00:00Z", 500, Outcome::Succeeded);
        assert_eq!(check(&[right.as_slice(), &[again]].concat()), (1, 0, 0));
        let unasked = line("sbx_ok.b", "2027-02-15T00:00:00Z", 500, Outcome::Succeeded);
        assert_eq!(check(&[right.as_slice(), &[unasked]].concat()), (1, 0, 0));
        let more = line("sbx_ok.b", "2027-01-15T00:00:00Z", 501, Outcome::Succeeded);
        assert_eq!(check(&[&right[..2], &[more]].concat()), (0, 0, 1));
    }

    #[test]
    fn money_taken_later_counts_for_the_day_of_its_charge() {
        let on = |at: &str, outcome, id: &str, charge: Option<&str>| BookLine {
            id: id.to_owned(),
            charge: charge.map(str::to_owned),
            ..line("sbx_ok.b", at, 500, outcome)
        };
        let others = [
            line("sbx_ok.a", "2027-11-30T00:00:00Z", 980, Outcome::Succeeded),
            line("sbx_ok.a", "2027-12-31T00:00:00Z", 980, Outcome::Succeeded),
        ];
        let reserved = [
            on("2027-01-15T00:00:00Z", Outcome::Authorized, "sch_1", None),
            on("2027-01-16T00:00:00Z", Outcome::Declined, "sra_2", Some("sch_1")),
        ];
        let captured = [on("2027-01-20T00:00:00Z", Outcome::Captured, "scp_3", Some("sch_1"))];
        let voided = [on("2027-01-20T00:00:00Z", Outcome::Voided, "svd_3", Some("sch_1"))];
        let check = |book: &[&[BookLine]]| check(&book.concat());
        assert_eq!(check(&[&others, &reserved, &captured]), (0, 0, 0));
        assert_eq!(check(&[&others, &reserved, &voided]), (0, 0, 0));
        let twice = [line("sbx_ok.b", "2027-01-15T00:00:00Z", 500, Outcome::Succeeded)];
        assert_eq!(check(&[&others, &reserved, &captured, &twice]), (1, 0, 0));
    }
}
