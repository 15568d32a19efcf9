//! The report: what the year has come to, from teiki's own tables, and what the gateway's book says of it.
//!
//! Every number of teiki comes from a feature that has it already (`clocks`, `status`, `doctor`); only the open
//! invoices by class and the balances of the books are read here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use billing::decline::DeclineClass;
use serde::Serialize;

use super::audit::{Audit, audit};
use super::directory::Directory;
use super::{FIRST, LAST, Request, store};
use crate::accounts::Account;
use crate::app::{App, Setting};
use crate::clocks::bill::Billed;
use crate::failure::Failure;
use crate::{clock, clocks, doctor, status};

/// The answer to `teiki demo`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The directory that holds everything.
    pub dir: String,
    /// The database in it.
    pub database: String,
    /// The demo's account.
    pub account: String,
    /// The first day that was billed.
    pub first_day: String,
    /// The last one.
    pub last_day: String,
    /// How many subscribers were imported.
    pub subscribers: u32,
    /// Their subscriptions by status, at the end.
    pub subscriptions: BTreeMap<String, i64>,
    /// Charges that took money.
    pub charged: Sum,
    /// Declines by reason, most frequent first.
    pub failed: Vec<Failed>,
    /// Answers of the gateway that got lost.
    pub lost_answers: LostAnswers,
    /// Open invoices by the class of what stopped them.
    pub open: Vec<Open>,
    /// Charges whose outcome is not known yet.
    pub unknown: i64,
    /// Money collected by month, in yen.
    pub revenue_by_month: BTreeMap<String, i64>,
    /// The books of teiki.
    pub ledger: Ledger,
    /// The book of the gateway against the merchant's files.
    pub book: Book,
    /// Real milliseconds from the first file to the last check.
    pub took_ms: u64,
    /// Commands that work in the demo's directory.
    pub next: Vec<Next>,
}

/// So many, of so much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many.
    pub count: i64,
    /// Yen.
    pub amount: i64,
}

/// Declines for one reason.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// The gateway's code.
    pub code: String,
    /// What it means.
    pub class: DeclineClass,
    /// How many.
    pub count: i64,
}

/// Answers that got lost, and how teiki found out what had become of the charge.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LostAnswers {
    /// Outcomes that were not known at first.
    pub count: u64,
    /// Found out by sending the same key again.
    pub found_by_same_key: u64,
    /// Found out by looking up.
    pub found_by_look_up: u64,
}

/// Open invoices of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Open {
    /// The class: the stored name.
    pub class: String,
    /// How many.
    pub invoices: i64,
    /// What is owed, in yen.
    pub owed: i64,
}

impl Open {
    /// The class, if it is one.
    pub(super) fn kind(&self) -> Option<DeclineClass> {
        serde_json::from_value(serde_json::Value::String(self.class.clone())).ok()
    }
}

/// What the books hold, and whether that is what it must be.
#[derive(Clone, Debug, Serialize)]
pub struct Ledger {
    /// Debits less credits of each account, in yen; they add up to zero.
    pub balances: BTreeMap<String, i64>,
    /// What open invoices owe; the receivable must be the same.
    pub owed: i64,
    /// Receivable is what is owed, the gateway holds what was charged, nothing is surplus, the sum is zero.
    pub balances_agree: bool,
    /// Problems that `teiki doctor` finds; it compares invoice by invoice.
    pub doctor_problems: usize,
}

/// The audit of the gateway's book.
#[derive(Clone, Debug, Serialize)]
pub struct Book {
    /// No charge double, none missed, none of another amount, and the sum is the one of teiki's charges.
    pub agrees: bool,
    /// The numbers.
    #[serde(flatten)]
    pub audit: Audit,
}

/// Something to try.
#[derive(Clone, Debug, Serialize)]
pub struct Next {
    /// What it is.
    pub what: What,
    /// The command, ready to be pasted.
    pub command: String,
}

/// What a suggested command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Where the account stands.
    Status,
    /// The installation is checked.
    Doctor,
    /// Charges as a file.
    ExportCharges,
    /// Open and paid invoices as a file.
    ExportInvoices,
    /// Another year is billed.
    Run,
    /// Charging is stopped.
    HoldOn,
    /// It goes on.
    HoldOff,
    /// teiki is killed again and again.
    ProofKill,
}

impl Report {
    /// Whether everything is as it must be.
    pub fn is_right(&self) -> bool {
        self.book.agrees && self.ledger.balances_agree && self.ledger.doctor_problems == 0
    }
}

/// Everything about the billed year.
pub(super) async fn report(
    app: &App,
    setting: &Setting,
    (account, directory): (&Account, &Directory),
    (request, billed): (&Request, &Billed),
) -> Result<Report, Failure> {
    let side = (account.id, app.mode);
    let line = &billed.line;
    let charged = Sum { count: billed.totals.charges_succeeded, amount: billed.totals.amount_succeeded };
    let id = account.id.to_string();
    let stands = status::status(&app.db, app.mode, Some(&id), clock::now()).await?;
    let stands = stands.accounts.into_iter().next();
    let owed = stands.iter().flat_map(|account| &account.open_invoices).map(|open| open.owed).sum();
    let database = format!("sqlite:{}", directory.path.join("teiki.db").display());
    Ok(Report {
        dir: directory.path.display().to_string(),
        first_day: FIRST.to_string(),
        last_day: LAST.to_string(),
        subscribers: request.subscribers,
        subscriptions: stands.map(|account| account.subscriptions).unwrap_or_default(),
        charged,
        failed: failed(clocks::failures(line, side).await?),
        lost_answers: lost_answers(billed),
        open: app.db.read(move |tx| store::open_by_class(tx, side.0, side.1)).await?,
        unknown: billed.totals.unknown,
        revenue_by_month: clocks::revenue_by_month(line, side).await?,
        ledger: ledger(app, setting, account, (owed, charged)).await?,
        book: book(directory, charged)?,
        took_ms: 0,
        next: next(&request.program, &database, &directory.path, &id),
        account: id,
        database,
    })
}

fn failed(by_code: Vec<(String, i64)>) -> Vec<Failed> {
    by_code.into_iter().map(|(code, count)| Failed { class: DeclineClass::of(&code), code, count }).collect()
}

fn lost_answers(billed: &Billed) -> LostAnswers {
    let counters = &billed.line.counters;
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    LostAnswers {
        count: of(&counters.unknown),
        found_by_same_key: of(&counters.resolved_by_replay),
        found_by_look_up: of(&counters.resolved_by_lookup),
    }
}

async fn ledger(
    app: &App,
    setting: &Setting,
    account: &Account,
    (owed, charged): (i64, Sum),
) -> Result<Ledger, Failure> {
    let (id, mode) = (account.id, app.mode);
    let balances = app.db.read(move |tx| store::balances(tx, id, mode)).await?;
    let of = |name: &str| balances.get(name).copied().unwrap_or_default();
    let balances_agree = of("receivable") == owed
        && of("gateway") == charged.amount
        && of("surplus") == 0
        && balances.values().sum::<i64>() == 0;
    Ok(Ledger { balances, owed, balances_agree, doctor_problems: doctor::doctor(setting).await.problems })
}

fn book(directory: &Directory, charged: Sum) -> Result<Book, Failure> {
    let audit = audit(directory)?;
    let is_same =
        (i64::try_from(audit.collected), audit.collected_amount) == (Ok(charged.count), charged.amount);
    Ok(Book { agrees: audit.agrees() && is_same, audit })
}

fn next(program: &str, database: &str, dir: &Path, account: &str) -> Vec<Next> {
    let program = quoted(program);
    let on = format!("{program} --database {}", quoted(database));
    let data = quoted(&dir.display().to_string());
    let step = |what, command| Next { what, command };
    vec![
        step(What::Status, format!("{on} status")),
        step(What::Doctor, format!("{on} doctor")),
        step(What::ExportCharges, format!("{on} export charges --account {account} --output charges.csv")),
        step(
            What::ExportInvoices,
            format!("{on} export invoices --account {account} --bom --output invoices.csv"),
        ),
        step(What::HoldOn, format!("{on} hold on --account {account} --reason 'trying it'")),
        step(What::HoldOff, format!("{on} hold off --account {account}")),
        step(
            What::Run,
            format!("{on} --data-dir {data} run --account {account} --until 2028-12-31T23:59:59+09:00"),
        ),
        step(What::ProofKill, format!("{program} proof kill --engine sqlite --renewals 5000 --kills-min 50")),
    ]
}

/// A word of a command line.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:=+,@".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_for_a_shell_where_they_must_be() {
        for (word, expected) in [
            ("target/release/teiki", "target/release/teiki"),
            ("sqlite:./a b/teiki.db", "'sqlite:./a b/teiki.db'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
