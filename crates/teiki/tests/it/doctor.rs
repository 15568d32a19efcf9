//! `teiki doctor`: finds nothing wrong with what is whole, and each thing that is broken on purpose.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

use serde_json::{Value, json};

use crate::installation::{Installation, Is, Paid, Row, Side, Subscription, WRITTEN_AT, entry_row, on_both};

/// The checks, by name, and whether the doctor was satisfied.
struct Examined {
    code: i32,
    report: Value,
    out: String,
}

fn examine(installation: &Installation) -> Examined {
    let ran = installation.run(&["doctor", "--json"]);
    Examined { code: ran.code, report: ran.json(), out: ran.out }
}

impl Examined {
    fn check(&self, name: &str) -> &Value {
        let checks = self.report["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["name"] == name)
            .unwrap_or_else(|| panic!("no check {name}: {}", self.out))
    }

    /// Names and levels of what is not well.
    fn unwell(&self) -> Vec<(String, String)> {
        let checks = self.report["checks"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        checks
            .iter()
            .map(|check| (text(&check["name"]), text(&check["level"])))
            .filter(|check| check.1 != "ok")
            .collect()
    }
}

/// An account with a paid and an open invoice of one subscription, and another subscription.
struct Whole {
    side: Side,
    first: Subscription,
    second: Subscription,
    paid: Paid,
    open: String,
}

async fn whole(installation: &Installation) -> Whole {
    let side = installation.account("みどり農園").await;
    let first = installation.subscription(&side, "cus_1", "past_due", "real").await;
    let second = installation.subscription(&side, "cus_2", "active", "real").await;
    let canceled = installation.subscription(&side, "cus_3", "canceled", "real").await;
    installation.charge(&canceled, "in_none", "failed").await;
    let paid = installation.paid(&first, 1).await;
    let open = installation.open(&first, 2).await;
    Whole { side, first, second, paid, open }
}

fn key(of: &Subscription, id: &str) -> Row {
    vec![("slot", of.slot.into()), ("id", id.into())]
}

#[tokio::test]
async fn an_installation_that_is_whole_is_well() {
    on_both(async |installation| {
        whole(installation).await;
        let ran = installation.run(&["doctor"]);
        assert!(ran.text().ends_with("All is well.\n"), "{ran:?}");
        let examined = examine(installation);
        assert_eq!((examined.code, examined.unwell()), (0, vec![]), "{}", examined.out);
        assert_eq!(examined.report["checks"].as_array().map(Vec::len), Some(18));
        let version = examined.check("database")["found"].as_str().unwrap().to_owned();
        assert!(version.starts_with("SQLite 3.") || version.starts_with("PostgreSQL 1"), "{version}");
    })
    .await;
}

/// Breaks one thing, sees that this check alone finds it at this level with this text, and mends it.
async fn breaks(
    installation: &Installation,
    (name, level, text): (&str, &str, &str),
    (table, key): (&'static str, Row),
    (broken, mended): (Row, Row),
) {
    installation.change(table, key.clone(), broken).await;
    let examined = examine(installation);
    assert_eq!(examined.unwell(), [(name.to_owned(), level.to_owned())], "{}", examined.out);
    assert_eq!(examined.code, i32::from(level == "problem"), "{}", examined.out);
    let check = examined.check(name);
    let said = format!("{} {}", check["found"], check["named"]);
    assert!(said.contains(text), "{text}: {}", examined.out);
    assert!(check["todo"].is_string(), "{}", examined.out);
    installation.change(table, key, mended).await;
    assert_eq!(examine(installation).unwell(), [], "mended");
}

#[tokio::test]
async fn each_thing_that_is_broken_in_the_books_is_found() {
    on_both(async |installation| {
        let Whole { first, second, paid, open, .. } = whole(installation).await;
        let invoice = |id: &str| ("invoices", key(&first, id));
        breaks(
            installation,
            ("ledger", "problem", &open),
            invoice(&open),
            (vec![("amount", 981.into())], vec![("amount", 980.into())]),
        )
        .await;
        breaks(
            installation,
            ("payments", "problem", &paid.invoice),
            ("charges", key(&first, &paid.charge)),
            (vec![("amount", 979.into())], vec![("amount", 980.into())]),
        )
        .await;
        breaks(
            installation,
            ("refunds", "problem", "refunded 80, what was done to it 0"),
            ("charges", key(&first, &paid.charge)),
            (vec![("amount_refunded", 80.into())], vec![("amount_refunded", 0.into())]),
        )
        .await;
        breaks(
            installation,
            ("states", "problem", "active, completed"),
            ("subscriptions", key(&second, &second.id)),
            (vec![("cancel_reason", "completed".into())], vec![("cancel_reason", Is::NoText)]),
        )
        .await;
        breaks(
            installation,
            ("events", "problem", "counts 3 events, has 1"),
            ("subscriptions", key(&second, &second.id)),
            (vec![("event_number", 3.into())], vec![("event_number", 1.into())]),
        )
        .await;
        breaks(
            installation,
            ("events", "problem", "the last is number 2"),
            ("events", vec![("slot", second.slot.into()), ("history_id", (&second.id).into())]),
            (vec![("number", 2.into())], vec![("number", 1.into())]),
        )
        .await;
        let twice = installation.scheduled(&second, 8, "real").await;
        let examined = examine(installation);
        assert_eq!(examined.unwell(), [("schedule".to_owned(), "problem".to_owned())]);
        assert!(
            examined.check("schedule")["named"][0].as_str().unwrap().contains("2 scheduled invoices"),
            "{}",
            examined.out
        );
        installation.delete("invoices", key(&second, &twice)).await;
        assert_eq!(examine(installation).unwell(), []);
    })
    .await;
}

#[tokio::test]
async fn a_live_subscription_without_a_scheduled_invoice_is_found_unless_none_is_to_come() {
    on_both(async |installation| {
        let Whole { second, .. } = whole(installation).await;
        installation
            .delete(
                "invoices",
                vec![
                    ("slot", second.slot.into()),
                    ("obligation", (&format!("cycle:7:{}", second.id)).into()),
                ],
            )
            .await;
        for (status, remaining, waits_for, is_found) in [
            ("active", Is::NoNumber, Is::NoText, true),
            ("trialing", 3.into(), Is::NoText, true),
            ("past_due", 1.into(), Is::NoText, true),
            ("active", 0.into(), Is::NoText, false),
            ("paused", Is::NoNumber, Is::NoText, false),
            // Its first payment is under way: it is active when that is paid, and gone when it is not.
            ("past_due", Is::NoNumber, "in_first".into(), false),
        ] {
            let set =
                vec![("status", status.into()), ("remaining", remaining), ("pending_invoice_id", waits_for)];
            installation.change("subscriptions", key(&second, &second.id), set).await;
            let examined = examine(installation);
            assert_eq!(
                examined.check("schedule")["level"] == "problem",
                is_found,
                "{status}: {}",
                examined.out
            );
            assert_eq!(examined.out.contains(&second.id), is_found);
        }
    })
    .await;
}

#[tokio::test]
async fn a_ledger_entry_that_no_one_wrote_is_found() {
    on_both(async |installation| {
        let Whole { side, first, open, .. } = whole(installation).await;
        installation
            .insert("ledger_entries", entry_row(&first, &open, (9, None), ("gateway", "receivable", 980)))
            .await;
        let examined = examine(installation);
        let expected = format!("{open} ({} test): owes 980, the ledger says 0", side.account);
        assert_eq!(examined.check("ledger")["named"], json!([expected]));
    })
    .await;
}

fn hours_ago(hours: i64) -> Is {
    (teiki::clock::now().as_microsecond() - hours * 3_600_000_000).into()
}

#[tokio::test]
async fn a_charge_that_stays_unknown_is_a_warning_after_an_hour_and_a_problem_after_three_days() {
    on_both(async |installation| {
        let Whole { first, open, .. } = whole(installation).await;
        let charge = installation.charge(&first, &open, "sending").await;
        let charge = ("charges", key(&first, &charge));
        let sent = |hours| vec![("sent_at", hours_ago(hours))];
        installation.change(charge.0, charge.1.clone(), sent(0)).await;
        let late = ("unknown charges", "warning", "1 charges are unknown");
        breaks(installation, late, charge.clone(), (sent(2), sent(0))).await;
        let too_late = ("unknown charges", "problem", "three days");
        breaks(installation, too_late, charge, (sent(73), sent(0))).await;
    })
    .await;
}

#[tokio::test]
async fn due_work_that_waits_is_a_problem_and_while_charging_is_held_a_warning() {
    on_both(async |installation| {
        let Whole { side, second, .. } = whole(installation).await;
        let obligation = format!("cycle:7:{}", second.id);
        let scheduled = vec![("slot", second.slot.into()), ("obligation", (&obligation).into())];
        let due = |hours| vec![("next_action_at", hours_ago(hours))];
        let late = ("due work", "problem", side.account.as_str());
        breaks(installation, late, ("invoices", scheduled.clone()), (due(2), due(0))).await;
        installation.change("invoices", scheduled, due(2)).await;
        installation.run(&["hold", "on", "--account", &side.account]).text();
        let held = examine(installation);
        let levels = ["due work", "holds"].map(|name| (name.to_owned(), "warning".to_owned()));
        assert_eq!((held.code, held.unwell()), (0, levels.to_vec()), "{}", held.out);
        let text = installation.run(&["doctor"]);
        assert!(text.text().ends_with("No problems; 2 warnings.\n"), "{}", text.out);
    })
    .await;
}

#[tokio::test]
async fn parked_subscriptions_and_surplus_charges_are_warnings() {
    on_both(async |installation| {
        let Whole { first, second, paid, .. } = whole(installation).await;
        let subscription = ("subscriptions", key(&second, &second.id));
        let parked = |reason| vec![("parked_reason", reason)];
        let found = ("parked", "warning", "1 subscriptions are parked");
        breaks(installation, found, subscription, (parked("no plan".into()), parked(Is::NoText))).await;

        let charge = installation.charge(&first, &paid.invoice, "failed").await;
        let set = |status: &str, surplus| vec![("status", status.into()), ("surplus", Is::Flag(surplus))];
        let change = (set("succeeded", true), set("failed", false));
        let found = ("surplus", "warning", charge.as_str());
        breaks(installation, found, ("charges", key(&first, &charge)), change).await;
    })
    .await;
}

#[tokio::test]
async fn a_delivery_that_waits_for_ten_minutes_is_found() {
    on_both(async |installation| {
        let Whole { second, .. } = whole(installation).await;
        let row = |at: i64| {
            vec![
                ("slot", second.slot.into()),
                ("event_id", "evnt_1".into()),
                ("sink", "log".into()),
                ("deliver_at", at.into()),
                ("attempts", 0.into()),
            ]
        };
        let now = teiki::clock::now().as_microsecond();
        installation.insert("outbox", row(now - 300_000_000)).await;
        assert_eq!(examine(installation).unwell(), []);
        let key = vec![("slot", second.slot.into()), ("event_id", "evnt_1".into())];
        installation.change("outbox", key, vec![("deliver_at", (now - 660_000_000).into())]).await;
        let examined = examine(installation);
        assert_eq!(
            (examined.code, examined.unwell()),
            (0, vec![("outbox".to_owned(), "warning".to_owned())])
        );
    })
    .await;
}

#[tokio::test]
async fn long_lists_are_cut() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        for number in 0..22 {
            let subscription =
                installation.subscription(&side, &format!("cus_{number}"), "active", "real").await;
            installation
                .change(
                    "subscriptions",
                    key(&subscription, &subscription.id),
                    vec![("event_number", 9.into())],
                )
                .await;
        }
        let examined = examine(installation);
        let check = examined.check("events");
        assert_eq!(check["named"].as_array().map(Vec::len), Some(21));
        assert_eq!(
            (&check["named"][20], check["found"].as_str().unwrap().starts_with("more than 20")),
            (&json!("and more"), true)
        );
    })
    .await;
}

#[tokio::test]
async fn a_damaged_derivation_key_is_found() {
    on_both(async |installation| {
        whole(installation).await;
        let set = |length| vec![("derivation_key", Is::Bytes(vec![1; length]))];
        let found = ("derivation key", "problem", "restore a backup");
        let key = ("installation", vec![("id", 1.into())]);
        breaks(installation, found, key, (set(31), set(32))).await;
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_stands_before_the_newest_row_is_found() {
    on_both(async |installation| {
        let Whole { side, .. } = whole(installation).await;
        let set = |at: Is| vec![("created_at", at)];
        let found = ("clock", "problem", "the clock went back");
        let account = ("accounts", vec![("id", (&side.account).into())]);
        breaks(installation, found, account, (set(hours_ago(-1)), set(WRITTEN_AT.into()))).await;
    })
    .await;
}

#[tokio::test]
async fn a_schema_of_another_version_is_found_and_nothing_else_is_judged() {
    on_both(async |installation| {
        whole(installation).await;
        let named = |name: &str| vec![("name", name.into())];
        let later = vec![("hash", "x".into()), ("applied_at", WRITTEN_AT.into())];
        installation.insert("_migrations", [named("9999_later"), later].concat()).await;
        let newer = examine(installation);
        assert_eq!(newer.unwell(), [("schema".to_owned(), "problem".to_owned())], "{}", newer.out);
        assert!(newer.out.contains("9999_later"), "{}", newer.out);
        assert_eq!(newer.report["checks"].as_array().map(Vec::len), Some(2));
        installation.delete("_migrations", named("9999_later")).await;

        installation.delete("_migrations", named("0002_installation_key")).await;
        let older = examine(installation);
        assert_eq!(older.unwell(), [("schema".to_owned(), "problem".to_owned())], "{}", older.out);
        assert!(older.out.contains("migrations are missing: 0002_installation_key"), "{}", older.out);
        assert_eq!(examine(installation).out, older.out, "the doctor applies none");

        installation.change("_migrations", named("0001_core"), vec![("hash", "x".into())]).await;
        let failed = installation.run(&["doctor"]);
        assert_eq!((failed.code, failed.error.as_str()), (1, "teiki: the doctor found a problem\n"));
        assert!(failed.out.contains("PROBLEM  schema") && failed.out.contains("0001_core"), "{failed:?}");
        assert!(failed.out.ends_with("1 problem, 0 warnings.\n"), "{failed:?}");
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    on_both(async |installation| {
        let gone = format!("sqlite:{}", installation.file("gone.db").display());
        let ran = installation.run(&["doctor", "--json", "--database", &gone]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(
            (&ran.json()["problems"], &ran.json()["checks"][0]["name"]),
            (&json!(1), &json!("database"))
        );
        assert!(!installation.file("gone.db").exists());
    })
    .await;
}
