//! `teiki export`: what stands in the files, for whom, and what is left when it goes wrong.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use db::{Column, OnConflict};
use serde_json::{Value, json};

use crate::installation::{Installation, Is, Row, Side, Subscription, on_both};
use crate::place::Ran;

mod columns;
mod schema;

use columns::HEADERS;

/// What [`Installation::subscription`] and [`Installation::paid`] write.
const WRITTEN: [&str; 7] = ["customers", "cards", "subscriptions", "charges", "invoices", "ledger", "events"];

fn export(installation: &Installation, side: &Side, subject: &str, more: &[&str]) -> Ran {
    let arguments = ["export", subject, "--account", &side.account, "--mode", side.mode];
    installation.run(&[&arguments, more].concat())
}

fn objects(ran: &Ran) -> Vec<Value> {
    ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn key(of: &Subscription, id: &str) -> Row {
    vec![("slot", of.slot.into()), ("id", id.into())]
}

#[tokio::test]
async fn an_empty_export_is_a_header_or_nothing() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        for (subject, header) in HEADERS.iter().filter(|(subject, _)| *subject != "accounts") {
            assert_eq!(export(installation, &side, subject, &[]).text(), *header);
            assert_eq!(export(installation, &side, subject, &["--format", "jsonl"]).text(), "");
            assert_eq!(export(installation, &side, subject, &["--bom"]).text(), format!("\u{feff}{header}"));
        }
        assert_eq!(export(installation, &side, "charges", &["--bom", "--format", "jsonl"]).code, 2);
        assert_eq!(export(installation, &side, "alarms", &[]).code, 2);
    })
    .await;
}

#[tokio::test]
async fn an_account_is_one_row_and_the_same_on_both_sides() {
    on_both(async |installation| {
        let side = installation.account("=みどり農園").await;
        let csv = export(installation, &side, "accounts", &[]);
        let row = format!(
            "{},'=みどり農園,,Asia/Tokyo,09:00:00,floor,anchor,open,generous,,2026-01-31T00:00:00Z\n",
            side.account
        );
        assert_eq!(csv.text().split_once('\n').unwrap().1, row);
        let live = Side { mode: "live", ..side };
        assert_eq!(export(installation, &live, "accounts", &[]).out, csv.out);
    })
    .await;
}

#[tokio::test]
async fn a_subscription_is_exported_with_customer_payment_method_and_next_charge() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        let subscription = installation.subscription(&side, "cus_1", "trialing", "real").await;
        installation.paid(&subscription, 1).await;
        let csv = export(installation, &side, "subscriptions", &[]);
        let (_, row) = csv.text().split_once('\n').unwrap();
        let expected = format!(
            "{},cus_1,山田 太郎,taro@example.jp,monthly,trial,,2025-08-31,2026-07-28,,,,Visa,0042,2030-12,\
             2026-01-31T00:00:00Z,2026-01-31T00:00:00Z,1,{},,,,anchor,open,false,2026-01-31T00:00:00Z,2100-02-28T00:00:00Z,\
             ,,,,,{{}},,\n",
            subscription.id, subscription.card
        );
        assert_eq!(row, expected);
        let set = vec![
            ("anchor_time", "10:30:00".into()),
            ("remaining", 2.into()),
            ("valid_until", "2027-01-01".into()),
        ];
        installation.change("subscriptions", key(&subscription, &subscription.id), set).await;
        let object = &objects(&export(installation, &side, "subscriptions", &["--format", "jsonl"]))[0];
        assert_eq!(object["billing_anchor"], "2025-08-31T10:30:00");
        assert_eq!((&object["remaining"], &object["valid_until"]), (&json!(2), &json!("2027-01-01")));
        assert_eq!(
            (&object["cancel_reason"], &object["next_charge_on"]),
            (&Value::Null, &json!("2026-07-28"))
        );
    })
    .await;
}

#[tokio::test]
async fn charges_invoices_entries_and_events_are_exported_with_every_column() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        let subscription = installation.subscription(&side, "cus_1", "active", "real").await;
        let paid = installation.paid(&subscription, 1).await;
        let lines = |subject: &str, more: &[&str]| objects(&export(installation, &side, subject, &[&["--format", "jsonl"], more].concat()));
        let charge = &lines("charges", &[])[0];
        let expected = json!({
            "charge_id": paid.charge, "invoice_id": paid.invoice, "customer_id": "cus_1", "subscription_id": subscription.id,
            "plan_id": "monthly", "cycle": 1, "due_on": "2026-01-28", "amount": 980, "currency": "jpy", "status": "succeeded",
            "surplus": false, "failure_code": null, "failure_class": null, "gateway_charge_id": format!("gw_{}", paid.charge),
            "idempotency_key": "0123456789abcdef", "billing_at": "2026-01-31T00:00:00Z",
            "created_at": "2026-01-31T00:00:00Z", "settled_at": "2026-01-31T00:00:00Z", "number": 1, "card_id": "pm",
            "gateway": null, "actor": "schedule", "capture": true, "captured_at": null, "expires_at": null, "amount_refunded": 0,
            "refund_reason": null, "description": null, "metadata": null, "three_d_secure_status": null, "reserve_days": null,
            "confirmed_at": null, "sent_at": "2026-01-31T00:00:00Z", "resolved_by": null, "test_clock_id": null,
        });
        assert_eq!(charge, &expected);
        let invoices = lines("invoices", &[]);
        assert_eq!(invoices.len(), 2);
        let invoice = invoices.iter().find(|invoice| invoice["status"] == "paid").unwrap();
        assert_eq!(invoice["tax"], json!([{"percent": 10, "gross": 980, "tax": 89}]), "a document in the document");
        assert_eq!((&invoice["amount_paid"], &invoice["next_action_at"]), (&json!(980), &Value::Null));
        let scheduled = invoices.iter().find(|invoice| invoice["status"] == "scheduled").unwrap();
        assert_eq!((&scheduled["tax"], &scheduled["next_action_at"]), (&Value::Null, &json!("2100-02-28T00:00:00Z")));
        let sums: Vec<_> = lines("ledger", &[]).iter().map(|entry| entry["amount"].as_i64().unwrap()).collect();
        assert_eq!((sums.len(), sums.iter().sum::<i64>()), (3, 1_960));
        let event = &lines("events", &[])[0];
        let then = json!({"status": "active", "plan": "monthly", "period": [0, 1]});
        assert_eq!((&event["number"], &event["data"]), (&json!(1), &then));
        let csv = export(installation, &side, "events", &[]);
        assert!(csv.text().contains(r#","{""status"":""active"",""plan"":""monthly"",""period"":[0,1]}","#), "{csv:?}");
        for (subject, header) in HEADERS.iter().filter(|(subject, _)| WRITTEN.contains(subject)) {
            let object = &lines(subject, &[])[0];
            assert_eq!(object.as_object().unwrap().len(), header.split(',').count(), "{subject}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_rows_of_the_account_and_the_side_are_exported() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        let live = Side { mode: "live", ..side.clone() };
        let other = installation.account("B").await;
        let mut own = BTreeSet::new();
        for side in [&side, &live, &other] {
            let subscription = installation.subscription(side, "cus_1", "active", "real").await;
            installation.paid(&subscription, 1).await;
            own.insert(subscription.id.clone());
        }
        assert_eq!(own.len(), 3);
        for subject in WRITTEN {
            let rows = |side: &Side| {
                let ran = export(installation, side, subject, &["--format", "jsonl"]);
                ran.text().lines().map(str::to_owned).collect::<Vec<String>>()
            };
            let each = [&side, &live, &other].map(rows);
            let count = match subject {
                "ledger" => 3,
                "invoices" => 2,
                _ => 1,
            };
            assert!(each.iter().all(|rows| rows.len() == count), "{subject}: {each:?}");
            let all: BTreeSet<&String> = each.iter().flatten().collect();
            let are_apart = subject != "customers";
            assert_eq!(all.len(), if are_apart { 3 * count } else { 1 }, "{subject}");
        }
    })
    .await;
}

/// Names that a customer may give, and how a spreadsheet gets them.
const NAMES: [(&str, &str); 8] = [
    ("=1+1", "'=1+1"),
    ("+81 90", "'+81 90"),
    ("-x", "'-x"),
    ("@cmd", "'@cmd"),
    ("\tx", "'\tx"),
    ("\rx", "\"'\rx\""),
    ("＝HYPERLINK(\"x\")", "\"'＝HYPERLINK(\"\"x\"\")\""),
    ("a, \"b\"\nc", "\"a, \"\"b\"\"\nc\""),
];

#[tokio::test]
async fn a_customer_cannot_put_a_formula_into_the_merchants_spreadsheet() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        let subscription = installation.subscription(&side, "cus_1", "active", "real").await;
        for (name, expected) in NAMES {
            let customer = vec![("slot", subscription.slot.into()), ("id", "cus_1".into())];
            installation.change("customers", customer, vec![("name", name.into())]).await;
            let csv = export(installation, &side, "subscriptions", &[]);
            assert!(csv.text().contains(&format!(",cus_1,{expected},taro@")), "{name:?}: {csv:?}");
            assert_eq!(
                objects(&export(installation, &side, "subscriptions", &["--format", "jsonl"]))[0]["name"],
                name
            );
        }
    })
    .await;
}

/// Twelve and a half pages of ledger entries in two slots.
pub(crate) async fn many_entries(installation: &Installation, side: &Side) -> usize {
    const COUNT: usize = 12_500;
    let account = side.account.clone();
    let write = installation.db.write(move |tx| {
        let ids: Vec<String> =
            (0..COUNT).map(|number| format!("le_{:02x}{number:027}", number % 2)).collect();
        let text = |value: &'static str| Column::Text(vec![value; COUNT]);
        let columns = [
            ("slot", Column::I64((0..2).cycle().take(COUNT).collect())),
            ("id", Column::Text(ids.iter().map(String::as_str).collect())),
            ("account_id", Column::Text(vec![&account; COUNT])),
            ("mode", text("test")),
            ("kind", text("gateway_fee")),
            ("invoice_id", text("in_1")),
            ("debit", text("fees")),
            ("credit", text("gateway")),
            ("amount", Column::I64(vec![1; COUNT])),
            ("currency", text("jpy")),
            ("posted_at", Column::I64(vec![0; COUNT])),
        ];
        tx.insert_many("ledger_entries", &columns, OnConflict::Fail)
    });
    write.await.unwrap();
    COUNT
}

#[tokio::test]
async fn every_row_of_many_pages_comes_once_in_the_same_order() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        let count = many_entries(installation, &side).await;
        let first = export(installation, &side, "ledger", &[]);
        let ids: Vec<&str> = first.text().lines().skip(1).map(|line| &line[..32]).collect();
        assert_eq!(ids.len(), count);
        assert!(ids.is_sorted(), "by slot, then id");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), count);
        assert_eq!(export(installation, &side, "ledger", &[]).text(), first.out);
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_the_export_quietly() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        many_entries(installation, &side).await;
        let mut child = installation
            .place
            .command(&["export", "ledger", "--account", &side.account])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        // Dropped after one line, with most of the export unread.
        BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("entry_id,"));
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.error.as_str()), (0, ""), "{ran:?}");
    })
    .await;
}

/// What is in the folder of an installation besides its database.
fn files(installation: &Installation) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(installation.place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("teiki.db"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_is_replaced_when_the_export_is_complete_and_else_stays_as_it_was() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        let subscription = installation.subscription(&side, "cus_1", "active", "real").await;
        let path = installation.file("out.csv");
        let path = path.to_str().unwrap();
        std::fs::write(path, "old").unwrap();
        let written = export(installation, &side, "subscriptions", &["--output", path, "--json"]);
        let expected = json!({
            "export": "subscriptions", "account": side.account, "mode": "test", "format": "csv", "rows": 1, "output": path,
        });
        assert_eq!((written.code, written.json(), written.error.as_str()), (0, expected, ""));
        let content = std::fs::read_to_string(path).unwrap();
        assert_eq!(content, export(installation, &side, "subscriptions", &[]).out);
        assert_eq!(files(installation), ["out.csv"]);

        installation.change("subscriptions", key(&subscription, &subscription.id), vec![("status", "odd".into())]).await;
        let failed = export(installation, &side, "subscriptions", &["--output", path]);
        assert_eq!(failed.code, 1, "{failed:?}");
        let expected = format!("status of {} is not a name that teiki writes but \"odd\"", subscription.id);
        assert!(failed.error.contains(&expected), "{failed:?}");
        assert_eq!(std::fs::read_to_string(path).unwrap(), content);
        assert_eq!(files(installation), ["out.csv"]);

        for place in ["no/such/folder.csv", "."] {
            let place = installation.file(place);
            let refused = export(installation, &side, "charges", &["--output", place.to_str().unwrap()]);
            assert_eq!(refused.code, 2, "{refused:?}");
        }
        assert_eq!(files(installation), ["out.csv"]);
    })
    .await;
}

#[tokio::test]
async fn a_stored_value_that_no_version_has_written_is_an_error_that_names_its_row() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        let subscription = installation.subscription(&side, "cus_1", "active", "real").await;
        let paid = installation.paid(&subscription, 1).await;
        let breaks = [
            ("charges", "charges", &paid.charge, vec![("status", "captured".into())]),
            (
                "charges",
                "charges",
                &paid.charge,
                vec![("status", "succeeded".into()), ("created_at", i64::MAX.into())],
            ),
            ("invoices", "invoices", &paid.invoice, vec![("tax", "{".into())]),
            ("invoices", "invoices", &paid.invoice, vec![("tax", Is::NoText), ("currency", "yen".into())]),
        ];
        for (subject, table, id, set) in breaks {
            let changed = format!("{set:?}");
            installation.change(table, key(&subscription, id), set).await;
            let failed = export(installation, &side, subject, &[]);
            assert_eq!(failed.code, 1, "{changed}: {failed:?}");
            assert!(failed.error.contains(id.as_str()), "{changed}: {failed:?}");
        }
        let lost = installation.subscription(&side, "cus_2", "active", "real").await;
        let charge = installation.charge(&lost, "in_lost", "failed").await;
        installation
            .change("charges", key(&subscription, &paid.charge), vec![("created_at", 0.into())])
            .await;
        let failed = export(installation, &side, "charges", &[]);
        assert!(failed.code == 1 && failed.error.contains(&format!("cycle of {charge}")), "{failed:?}");
    })
    .await;
}
