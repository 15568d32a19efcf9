//! `teiki status`: what it says of an installation.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

use billing::id::{AlarmId, ClockId, DunningCaseId, Slot};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::installation::{DUE_AT, Installation, Is, Row, Side, Subscription, WRITTEN_AT, on_both};

fn owned(side: &Side) -> Row {
    vec![("account_id", (&side.account).into()), ("mode", side.mode.into())]
}

fn with(side: &Side, more: Row) -> Row {
    [owned(side), more].concat()
}

fn key(subscription: &Subscription) -> Row {
    vec![("slot", subscription.slot.into()), ("id", (&subscription.id).into())]
}

/// The status of one account as JSON.
fn status(installation: &Installation, side: &Side) -> Value {
    let ran = installation.run(&["status", "--account", &side.account, "--mode", side.mode, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let status = ran.json();
    assert_eq!(status["mode"], side.mode);
    assert_eq!(status["accounts"].as_array().map(Vec::len), Some(1));
    status["accounts"][0].clone()
}

async fn test_clock(installation: &Installation, side: &Side, at: i64) -> String {
    let id = ClockId::random(Slot(0), Timestamp::UNIX_EPOCH, &[1; 32]).to_string();
    let row = vec![
        ("id", (&id).into()),
        ("account_id", (&side.account).into()),
        ("started_at", WRITTEN_AT.into()),
        ("frozen_time", at.into()),
        ("status", "ready".into()),
        ("created_at", WRITTEN_AT.into()),
    ];
    installation.insert("test_clocks", row).await;
    let account = vec![("id", (&side.account).into())];
    installation.change("accounts", account, vec![("test_clock_id", (&id).into())]).await;
    id
}

#[tokio::test]
async fn an_installation_without_accounts_says_how_to_make_one() {
    on_both(async |installation| {
        assert!(installation.run(&["status"]).text().contains("teiki account create"));
        assert_eq!(installation.run(&["status", "--json"]).json(), json!({"mode": "test", "accounts": []}));
        let missing = installation.run(&["status", "--account", "acct_0000000000000000000000000aa"]);
        assert_eq!(missing.code, 2, "{missing:?}");
    })
    .await;
}

#[tokio::test]
async fn an_empty_account_has_a_sentence_for_everything() {
    on_both(async |installation| {
        let side = installation.account("みどり農園").await;
        let ran = installation.run(&["status"]);
        for sentence in [
            "みどり農園",
            "(test side, Asia/Tokyo)",
            "none yet",
            "nothing on schedule",
            "nothing waits for its time",
            "every outcome is known",
            "nothing is owed",
            "no case is open",
            "every live subscription is billed",
            "none is open",
            "everything is delivered",
            &format!("Next: teiki import --account {}", side.account),
        ] {
            assert!(ran.text().contains(sentence), "{sentence}: {}", ran.out);
        }
        assert!(!ran.out.contains("HELD"));
        let empty = status(installation, &side);
        assert_eq!((&empty["held"], &empty["test_clock"]), (&Value::Null, &Value::Null));
        assert_eq!(empty["subscriptions"], json!({}));
        assert_eq!(empty["outbox"], json!({"count": 0, "oldest_at": null}));
        assert_eq!(empty["parked"], json!({"count": 0, "first": []}));
    })
    .await;
}

#[tokio::test]
async fn numbers_are_those_of_the_account_and_the_side() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        let other = installation.account("B").await;
        let live = Side { mode: "live", ..side.clone() };
        let first = installation.subscription(&side, "cus_1", "trialing", "real").await;
        let second = installation.subscription(&side, "cus_2", "past_due", "real").await;
        installation.subscription(&live, "cus_1", "active", "real").await;
        installation.subscription(&other, "cus_1", "active", "real").await;
        installation.paid(&first, 1).await;
        let owed = installation.open(&second, 1).await;
        installation.charge(&second, &owed, "unknown").await;
        write_what_waits(installation, &side, (&first, &second), &owed).await;

        let shown = status(installation, &side);
        assert_eq!(shown["subscriptions"], json!({"past_due": 1, "trial": 1}));
        assert_eq!(shown["open_invoices"], json!([{"currency": "jpy", "count": 1, "owed": 980}]));
        assert_eq!(shown["dunning"], json!({"funds": 1}));
        assert_eq!(
            shown["parked"]["first"],
            json!([{"subscription": first.id, "reason": "its plan is missing"}])
        );
        assert_eq!(
            (&shown["alarms"]["count"], &shown["alarms"]["first"][0]["kind"]),
            (&json!(1), &json!("surplus"))
        );
        assert_eq!(shown["outbox"], json!({"count": 1, "oldest_at": "2026-01-31T00:00:00Z"}));
        let unknown =
            json!({"count": 1, "oldest_at": "2026-01-31T00:00:00Z", "next_check_at": "2100-02-28T00:00:00Z"});
        assert_eq!(shown["charges_under_way"], json!({"unknown": unknown}));
        let due = &shown["days"][0]["next_due"];
        assert_eq!((&due["at"], &due["amount"]), (&json!("2100-02-28T00:00:00Z"), &json!(980)));
        for elsewhere in [&live, &other] {
            let shown = status(installation, elsewhere);
            assert_eq!(shown["subscriptions"], json!({"active": 1}));
            assert_eq!((&shown["open_invoices"], &shown["outbox"]["count"]), (&json!([]), &json!(0)));
            assert_eq!((&shown["parked"]["count"], &shown["alarms"]["count"]), (&json!(0), &json!(0)));
            assert_eq!((&shown["dunning"], &shown["charges_under_way"]), (&json!({}), &json!({})));
        }
        text_tells(installation, &side);
    })
    .await;
}

fn text_tells(installation: &Installation, side: &Side) {
    let text = installation.run(&["status", "--account", &side.account]);
    for part in [
        "2: 1 past_due, 1 trial",
        "1, ¥980 owed",
        "1 funds",
        "its plan is missing",
        "1 unknown (oldest 2026-01-31 09:00",
    ] {
        assert!(text.text().contains(part), "{part}: {}", text.out);
    }
    assert_eq!(installation.run(&["status"]).text().matches("test side").count(), 2);
}

/// A parked subscription, a dunning case, an alarm (and a closed one) and a delivery.
async fn write_what_waits(
    installation: &Installation,
    side: &Side,
    (first, second): (&Subscription, &Subscription),
    owed: &str,
) {
    installation
        .change("subscriptions", key(first), vec![("parked_reason", "its plan is missing".into())])
        .await;
    let case = DunningCaseId::random(Slot(0), Timestamp::UNIX_EPOCH, &[1; 32]).to_string();
    let case = with(
        side,
        vec![
            ("slot", second.slot.into()),
            ("id", (&case).into()),
            ("subscription_id", (&second.id).into()),
            ("invoice_id", owed.into()),
            ("status", "open".into()),
            ("failure_code", "insufficient_funds".into()),
            ("failure_class", "funds".into()),
            ("opened_at", WRITTEN_AT.into()),
        ],
    );
    installation.insert("dunning_cases", case).await;
    for (number, closed) in [(1, Is::NoNumber), (2, WRITTEN_AT.into())] {
        let id = AlarmId::random(Slot(0), Timestamp::UNIX_EPOCH, &[number; 32]).to_string();
        let alarm = with(
            side,
            vec![
                ("slot", 0.into()),
                ("id", (&id).into()),
                ("kind", "surplus".into()),
                ("subject", owed.into()),
                ("message", "refund it".into()),
                ("raised_at", WRITTEN_AT.into()),
                ("closed_at", closed),
            ],
        );
        installation.insert("alarms", alarm).await;
    }
    let event = crate::installation::event_row(second, 2);
    let id = event.iter().find(|(name, _)| *name == "id").map(|(_, id)| id.clone()).unwrap();
    installation.insert("events", event).await;
    let delivery = vec![
        ("slot", second.slot.into()),
        ("event_id", id),
        ("sink", "log".into()),
        ("deliver_at", WRITTEN_AT.into()),
        ("attempts", 0.into()),
    ];
    installation.insert("outbox", delivery).await;
}

#[tokio::test]
async fn without_a_stored_plan_the_day_is_counted_from_the_schedule_until_it_ends() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        // 2100-02-27T23:59:59 in Tokyo, whose day ends nine hours before the invoice is due in UTC.
        let late = DUE_AT - 9 * 3_600_000_000 - 1_000_000;
        let clock = test_clock(installation, &side, late).await;
        installation.subscription(&side, "cus_1", "active", &clock).await;
        let shown = status(installation, &side);
        assert_eq!(shown["test_clock"]["now"], "2100-02-27T14:59:59Z");
        let day = &shown["days"][0];
        assert_eq!((&day["clock"], &day["day"]), (&json!(clock), &json!("2100-02-27")));
        assert_eq!(
            (&day["planned"], &day["is_plan_stored"]),
            (&json!({"count": 0, "amount": 0}), &json!(false))
        );
        assert_eq!(shown["days"].as_array().map(Vec::len), Some(1), "nobody lives by real time");

        let clock_key = vec![("id", (&clock).into())];
        installation.change("test_clocks", clock_key, vec![("frozen_time", (late + 1_000_000).into())]).await;
        let day = &status(installation, &side)["days"][0];
        assert_eq!(
            (&day["day"], &day["planned"]),
            (&json!("2100-02-28"), &json!({"count": 1, "amount": 980}))
        );
    })
    .await;
}

#[tokio::test]
async fn a_stored_plan_of_the_day_is_shown_with_what_its_lanes_have_opened() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        let clock = test_clock(installation, &side, DUE_AT).await;
        installation.subscription(&side, "cus_1", "active", &clock).await;
        let on = |more: Row| {
            with(&side, [vec![("clock_id", (&clock).into()), ("day", "2100-02-28".into())], more].concat())
        };
        installation
            .insert("day_plans", on(vec![("planned_count", 6.into()), ("planned_amount", 5_880.into())]))
            .await;
        for lane in [0, 1] {
            let lane =
                vec![("lane", lane.into()), ("opened_count", 2.into()), ("opened_amount", 1_960.into())];
            installation.insert("day_runs", on(lane)).await;
        }
        let day = &status(installation, &side)["days"][0];
        assert_eq!(
            (&day["planned"], &day["is_plan_stored"]),
            (&json!({"count": 6, "amount": 5_880}), &json!(true))
        );
        assert_eq!(day["opened"], json!({"count": 4, "amount": 3_920}));
        let text = installation.run(&["status"]);
        assert!(
            text.text().contains("6 invoices of 5,880 planned; opened so far 4 invoices of 3,920"),
            "{}",
            text.out
        );
    })
    .await;
}

#[tokio::test]
async fn a_held_account_is_shown_with_the_command_that_releases_it() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        installation.run(&["hold", "on", "--account", &side.account, "--reason", "guard: too many"]).text();
        assert_eq!(status(installation, &side)["held"]["reason"], "guard: too many");
        let text = installation.run(&["status"]);
        assert!(text.text().contains("guard: too many"), "{}", text.out);
        assert!(text.out.contains(&format!("teiki hold off --account {}", side.account)), "{}", text.out);
    })
    .await;
}

#[tokio::test]
async fn lists_are_cut_and_counts_are_not() {
    on_both(async |installation| {
        let side = installation.account("A").await;
        for number in 0..22 {
            let customer = format!("cus_{number}");
            let subscription = installation.subscription(&side, &customer, "active", "real").await;
            installation
                .change("subscriptions", key(&subscription), vec![("parked_reason", "reason".into())])
                .await;
        }
        let parked = &status(installation, &side)["parked"];
        assert_eq!((&parked["count"], parked["first"].as_array().map(Vec::len)), (&json!(22), Some(20)));
        assert!(installation.run(&["status"]).text().contains("and 2 more"));
    })
    .await;
}
