//! The checker: computes by itself what was due and compares it with the gateway's book and teiki's tables.
//!
//! It uses nothing of `billing` and no query of teiki's: its calendar is [`calendar`], what is due comes from
//! the input files ([`due`]), what was taken from the book ([`book`]), the rest from the tables ([`tables`]).
//! Subscriptions are told apart by their payment token, which only one of them has. The book is believed
//! first: tables can look perfect when money was taken twice.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use db::Db;
use serde::Serialize;

mod book;
mod calendar;
mod due;
mod tables;

use book::Taken;
use calendar::Day;
use due::Owed;
use tables::Tables;

/// What the checker is given.
pub(super) struct Evidence<'a> {
    pub(super) plans: &'a Path,
    pub(super) subscribers: &'a Path,
    pub(super) book: &'a Path,
    /// The last day on which a cycle counts: `2028-09-30`.
    pub(super) last_day: &'a str,
}

/// What the checker found. Every count but the first four must be 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Findings {
    /// Due cycles, from the input files.
    pub(super) due: u64,
    /// Unknown outcomes found out by resending the same key.
    pub(super) resolved_by_replay: u64,
    /// Unknown outcomes found out by looking up.
    pub(super) resolved_by_lookup: u64,
    /// Charges proven never to have been executed, whose invoice was then charged anew.
    pub(super) voided: u64,
    /// Second successes of a due cycle.
    pub(super) doubles: u64,
    /// Due cycles without a success.
    pub(super) missed: u64,
    /// Successes before their due cycle.
    pub(super) early: u64,
    /// Differences in the ledger: the sum of all balances, and receivables against what is open; minor units.
    pub(super) ledger_sum: u64,
    /// Deliveries that wait.
    pub(super) outbox_left: u64,
    /// Charges whose outcome is not known.
    pub(super) unknown_left: u64,
    /// Successes of another amount, of nobody's token, or of which the tables know nothing (or only they know).
    pub(super) strange: u64,
}

impl Findings {
    /// Whether nothing is wrong.
    pub(super) fn is_clean(&self) -> bool {
        [
            self.doubles,
            self.missed,
            self.early,
            self.ledger_sum,
            self.outbox_left,
            self.unknown_left,
            self.strange,
        ]
        .iter()
        .all(|&count| count == 0)
    }
}

/// Checks everything. Error: evidence that cannot be read.
pub(super) async fn check(evidence: &Evidence<'_>, db: &Db) -> Result<Findings, String> {
    let last = Day::parse(evidence.last_day).ok_or("the last day is not a day")?;
    let due = due::read(evidence.plans, evidence.subscribers, last)?;
    let taken = book::read(evidence.book)?;
    let tables = tables::read(db).await.map_err(|error| format!("the tables cannot be read: {error}"))?;
    Ok(compare(&due, &taken, &tables))
}

fn compare(due: &BTreeMap<String, Owed>, taken: &[Taken], tables: &Tables) -> Findings {
    let mut findings = Findings {
        due: due.values().map(|owed| count(owed.days.len())).sum(),
        resolved_by_replay: tables.by_replay,
        resolved_by_lookup: tables.by_lookup,
        voided: tables.voided,
        ledger_sum: ledger_sum(tables),
        outbox_left: tables.outbox,
        unknown_left: tables.not_final,
        strange: tables.surplus,
        ..Findings::default()
    };
    let mut by_token: BTreeMap<&str, Vec<&Taken>> = BTreeMap::new();
    for taken in taken {
        by_token.entry(&taken.token).or_default().push(taken);
    }
    for (token, owed) in due {
        match_token(owed, by_token.remove(token.as_str()).unwrap_or_default(), &mut findings);
    }
    findings.strange += by_token.values().map(|strays| count(strays.len())).sum::<u64>();
    let in_book: HashSet<&String> = taken.iter().map(|taken| &taken.id).collect();
    findings.strange += count(tables.succeeded.iter().filter(|id| !in_book.contains(id)).count());
    // A double is known to the book alone and counted above.
    let unknown_to_tables = count(in_book.iter().filter(|id| !tables.succeeded.contains(**id)).count());
    findings.strange += unknown_to_tables.saturating_sub(findings.doubles + findings.early);
    findings
}

/// Gives each success to the due cycle it paid: that of its time, else an earlier one that was not paid yet.
/// What is left over paid nothing that was owed.
fn match_token(owed: &Owed, mut taken: Vec<&Taken>, findings: &mut Findings) {
    taken.sort_by_key(|taken| taken.at);
    let mut paid = vec![false; owed.days.len()];
    let mut over = Vec::new();
    for taken in taken {
        if taken.amount != owed.amount || taken.currency != owed.currency {
            findings.strange += 1;
        }
        let begun = owed.days.iter().take_while(|day| day.opening() <= taken.at).count();
        match (0..begun).rev().find(|&cycle| !paid[cycle]) {
            Some(cycle) => paid[cycle] = true,
            None => over.push(begun),
        }
    }
    for begun in over {
        // Nothing was owed: it came before a cycle that was then not charged, or it paid one twice.
        match paid.get(begun) {
            Some(false) => findings.early += 1,
            Some(true) | None if begun > 0 => findings.doubles += 1,
            Some(true) | None => findings.early += 1,
        }
    }
    findings.missed += count(paid.iter().filter(|is_paid| !**is_paid).count());
}

fn ledger_sum(tables: &Tables) -> u64 {
    let sum: i64 = tables.balances.values().sum();
    let receivable = tables.balances.get("receivable").copied().unwrap_or(0);
    sum.unsigned_abs() + (receivable - tables.open_amount).unsigned_abs()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: i64 = 1_200;

    fn owed() -> BTreeMap<String, Owed> {
        let day = |text| Day::parse(text).expect("a day");
        let days = vec![day("2028-01-31"), day("2028-02-29"), day("2028-03-31")];
        BTreeMap::from([("sbx_ok.a".to_owned(), Owed { days, amount: PRICE, currency: "jpy".to_owned() })])
    }

    /// Findings for successes at these times (UTC), with tables that fit what was due.
    fn found(times: &[&str]) -> Findings {
        let taken: Vec<Taken> = times
            .iter()
            .zip(1..)
            .map(|(at, number)| Taken {
                id: format!("sch_{number}"),
                token: "sbx_ok.a".to_owned(),
                at: calendar::instant(at).expect("an instant"),
                amount: PRICE,
                currency: "jpy".to_owned(),
            })
            .collect();
        let succeeded = taken.iter().take(3).map(|taken| taken.id.clone()).collect();
        let tables = Tables { succeeded, ..Tables::default() };
        compare(&owed(), &taken, &tables)
    }

    fn wrong(times: &[&str]) -> (u64, u64, u64) {
        let findings = found(times);
        (findings.doubles, findings.missed, findings.early)
    }

    #[test]
    fn doubles_missed_and_early_charges_are_told_apart() {
        let [jan, feb, mar] = ["2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"];
        assert!(found(&[jan, feb, mar]).is_clean());
        assert_eq!(wrong(&[jan, feb, feb, mar]), (1, 0, 0), "twice on its day");
        assert_eq!(wrong(&[jan, feb, "2028-03-05T00:00:00Z", mar]), (1, 0, 0), "again some days later");
        assert_eq!(wrong(&[jan, feb, mar, mar, mar]), (2, 0, 0), "three times");
        assert_eq!(wrong(&[jan, mar]), (0, 1, 0), "never");
        assert_eq!(wrong(&[jan, "2028-02-28T23:59:59Z", mar]), (0, 1, 1), "a second before its time");
        assert_eq!(wrong(&["2028-01-30T00:00:00Z", jan, feb, mar]), (0, 0, 1), "before the first");
        assert_eq!(wrong(&[jan, mar, mar]), (0, 0, 0), "late, but once");
    }

    #[test]
    fn money_that_only_one_side_knows_of_and_books_that_differ_are_found() {
        let all = ["2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"];
        let taken = |amount, token: &str| Taken {
            id: "sch_9".to_owned(),
            token: token.to_owned(),
            at: calendar::instant(all[0]).expect("an instant"),
            amount,
            currency: "jpy".to_owned(),
        };
        let stray = compare(&BTreeMap::new(), &[taken(PRICE, "sbx_ok.x")], &Tables::default());
        assert_eq!(stray.strange, 2, "nobody's, and the tables know nothing of it");
        let phantom = Tables { succeeded: HashSet::from(["sch_1".to_owned()]), ..Tables::default() };
        assert_eq!(compare(&BTreeMap::new(), &[], &phantom).strange, 1, "only the tables know it");
        let wrong_amount = compare(&owed(), &[taken(PRICE + 1, "sbx_ok.a")], &Tables::default());
        assert!(wrong_amount.strange >= 1 && wrong_amount.missed == 2);
        let books = Tables { balances: BTreeMap::from([("receivable".to_owned(), 7)]), ..Tables::default() };
        assert_eq!(
            compare(&BTreeMap::new(), &[], &books).ledger_sum,
            14,
            "a sum that is not zero, and nothing is open"
        );
    }
}
