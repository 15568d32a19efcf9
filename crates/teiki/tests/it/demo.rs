//! `teiki demo` through its edge: the report adds up, its commands work, and it replaces only what it made.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::place::Ran;

fn run(folder: &Path, args: &[&str], language: &str) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_teiki"))
        .args(args)
        .current_dir(folder)
        .env_remove("TEIKI_DATABASE")
        .env_remove("TEIKI_DATA")
        .env_remove("LC_ALL")
        .env_remove("LC_MESSAGES")
        .env("LANG", language)
        .output()
        .expect("the binary runs");
    Ran::of(output)
}

fn number(report: &Value, path: &str) -> i64 {
    report.pointer(path).and_then(Value::as_i64).expect("a number of the report")
}

fn sum(report: &Value, list: &str, field: &str) -> i64 {
    let rows = report[list].as_array().expect("a list");
    rows.iter().map(|row| row[field].as_i64().expect("a number")).sum()
}

/// The numbers of one report that must be the same.
fn check_numbers(report: &Value) {
    let (collected, amount) = (number(report, "/charged/count"), number(report, "/charged/amount"));
    let declined = sum(report, "failed", "count");
    assert_eq!(report["book"]["agrees"], true, "{report}");
    assert_eq!(number(report, "/book/double"), 0);
    assert_eq!(number(report, "/book/missed"), 0);
    assert_eq!(number(report, "/book/wrong_amount"), 0);
    assert_eq!(number(report, "/book/collected"), collected);
    assert_eq!(number(report, "/book/collected_amount"), amount);
    assert_eq!(number(report, "/book/declined"), declined);
    assert_eq!(number(report, "/book/due"), collected + declined);
    assert!(collected > 600 && declined > 3, "{report}");
    assert_eq!(sum(report, "open", "invoices"), declined, "nothing retries a decline yet");
    assert_eq!(sum(report, "open", "owed"), number(report, "/ledger/owed"));
    assert_eq!(number(report, "/ledger/balances/receivable"), number(report, "/ledger/owed"));
    assert_eq!(number(report, "/ledger/balances/gateway"), amount);
    assert_eq!(report["ledger"]["balances_agree"], true);
    assert_eq!(number(report, "/ledger/doctor_problems"), 0);
    let months = report["revenue_by_month"].as_object().expect("months");
    assert_eq!(months.len(), 12);
    assert_eq!(months.values().filter_map(Value::as_i64).sum::<i64>(), amount);
    assert_eq!(number(report, "/lost_answers/count"), 1);
    assert_eq!(number(report, "/lost_answers/found_by_same_key"), 1);
    assert_eq!(number(report, "/unknown"), 0);
    let by_status = report["subscriptions"].as_object().expect("statuses");
    assert_eq!(by_status.values().filter_map(Value::as_i64).sum::<i64>(), 60);
}

/// The suggested commands, as a person pastes them. The last two take long and are tried elsewhere.
fn check_commands(folder: &Path, report: &Value) {
    let next = report["next"].as_array().expect("commands");
    assert_eq!(next.len(), 8);
    for step in &next[..6] {
        let command = step["command"].as_str().expect("a command");
        let ran = Command::new("sh").args(["-c", command]).current_dir(folder).output().expect("a shell");
        assert!(ran.status.success(), "{command}: {ran:?}");
    }
    for (file, least) in [("charges.csv", 600), ("invoices.csv", 660)] {
        let text = std::fs::read_to_string(folder.join(file)).expect("the export");
        assert!(text.lines().count() > least, "{file}");
    }
}

#[test]
fn a_year_adds_up_and_a_second_run_replaces_the_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("a demo");
    let args = ["demo", "--dir", "a demo", "--subscribers", "60"];
    let first = run(folder.path(), &args, "ja_JP.UTF-8");
    assert_eq!(first.code, 0, "{first:?}");
    for part in ["一致: 二重請求 0 件、請求漏れ 0 件", "残高不足", "2027-12   ¥", "█"] {
        assert!(first.out.contains(part), "{part}: {}", first.out);
    }
    let files =
        || ["plans.csv", "subscribers.csv"].map(|name| std::fs::read(dir.join(name)).expect("a file"));
    let (written, marked) = (files(), dir.join("made-by-teiki-demo.json"));
    assert!(marked.exists());
    std::fs::write(dir.join("mine.txt"), "mine").expect("the folder can be written");

    let second = run(folder.path(), &[args.as_slice(), &["--json"]].concat(), "C");
    assert_eq!((second.code, second.error.as_str()), (0, ""), "{second:?}");
    assert_eq!(files(), written, "the same subscribers");
    assert!(dir.join("mine.txt").exists(), "what a person put there stays");
    let report = second.json();
    assert!(!first.out.contains(report["account"].as_str().expect("an account")), "it began anew");
    check_numbers(&report);
    check_commands(folder.path(), &report);
}

/// A run that must be refused with the directory as it was.
fn check_refused(folder: &TempDir, word: &str) {
    let dir = folder.path().join("teiki-demo");
    let before = names(&dir);
    let ran = run(folder.path(), &["demo", "--subscribers", "1"], "C");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.error.contains(word) && ran.error.contains("teiki-demo") && ran.error.contains("--dir"),
        "{}",
        ran.error
    );
    assert_eq!(names(&dir), before);
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_directory_that_no_demo_made_is_not_touched() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("teiki-demo");
    std::fs::create_dir(&dir).expect("a folder");
    check_refused(&folder, "was not made by");
    std::fs::write(dir.join("teiki.db"), "mine").expect("a file");
    check_refused(&folder, "was not made by");
    std::fs::write(dir.join("made-by-teiki-demo.json"), "{\"made_by\":\"me\",\"version\":\"1\"}")
        .expect("a file");
    check_refused(&folder, "was not made by");
    assert_eq!(std::fs::read_to_string(dir.join("teiki.db")).expect("a file"), "mine");
    std::fs::remove_dir_all(&dir).expect("it is ours");
    std::fs::write(&dir, "a file").expect("a file");
    check_refused(&folder, "was not made by");
}

#[test]
fn a_directory_in_which_teiki_is_at_work_is_not_touched() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("teiki-demo");
    std::fs::create_dir(&dir).expect("a folder");
    let mark = "{\"made_by\":\"teiki demo\",\"version\":\"0.1.0\"}";
    std::fs::write(dir.join("made-by-teiki-demo.json"), mark).expect("a file");
    let url = format!("sqlite:{}", dir.join("teiki.db").display());
    let lock = db::ChargingLock::acquire(&url.parse().expect("a URL")).expect("nobody has it");
    check_refused(&folder, &format!("process {}", std::process::id()));
    drop(lock);
}

#[test]
fn what_was_asked_for_is_checked_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for args in
        [["demo", "--mode", "live"], ["demo", "--subscribers", "0"], ["demo", "--subscribers", "50001"]]
    {
        let ran = run(folder.path(), &args, "C");
        assert_eq!(ran.code, 2, "{ran:?}");
    }
    assert_eq!(names(folder.path()), Vec::<String>::new());
}
