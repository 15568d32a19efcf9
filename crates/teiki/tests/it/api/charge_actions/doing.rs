//! What is done to charges, and what their books say then.

use serde_json::Value;

use super::super::shop::{must_be_well, soon};
use super::owner::{BEGINNING, DAY, OK, Owner, booked, money};
use crate::installation::on_both;
use crate::serve::{Server, account_with_key};

#[tokio::test]
async fn a_part_of_a_reservation_is_captured_and_then_refunded_in_parts() {
    on_both(async |installation| {
        let owner = Owner::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let client = owner.at(&server);
        let charge = client.charge(OK, &[("amount", "500"), ("capture", "false")]).await;
        owner.set_clock(BEGINNING + 3 * DAY).await;
        let captured = client.done(&charge, "capture", &[("amount", "401")]).await;
        assert_eq!(money(&captured), (true, true, true, 99, "succeeded"));
        assert_eq!(captured["captured_at"], BEGINNING + 3 * DAY);
        assert_eq!((&captured["expired_at"], &captured["amount"]), (&Value::Null, &500.into()));
        client.ask(&charge, "refund", &[("amount", "402")]).await.refused(400, "refund_amount_gt_net");
        let reasoned = client.done(&charge, "refund", &[("amount", "7"), ("refund_reason", "返品")]).await;
        assert_eq!(money(&reasoned), (true, true, true, 106, "succeeded"));
        assert_eq!(reasoned["refund_reason"], "返品");
        assert_eq!(client.done(&charge, "refund", &[("amount", "1")]).await["refund_reason"], "返品");
        let rest = client.done(&charge, "refund", &[("refund_reason", "")]).await;
        assert_eq!(money(&rest), (true, true, true, 500, "succeeded"));
        assert_eq!(rest["refund_reason"], "");
        client.ask(&charge, "refund", &[]).await.refused(400, "already_refunded");
        assert_eq!(client.charge_shown(&charge).await, rest);
        assert_eq!(server.stop(), Some(0));
        assert_eq!(booked(installation, "captured"), [401]);
        assert_eq!(booked(installation, "refunded"), [7, 1, 393]);
        let charges =
            ["charge.succeeded", "charge.captured", "charge.refunded", "charge.refunded", "charge.refunded"];
        let events: Vec<String> =
            owner.events().into_iter().filter(|kind| kind.starts_with("charge.")).collect();
        assert_eq!(events, charges);
        let told = owner.exported("events").into_iter().find(|event| event["type"] == "charge.captured");
        assert_eq!(told.unwrap()["data"]["amount_refunded"], 99);
        let invoice = &owner.exported("invoices")[0];
        assert_eq!((&invoice["amount_paid"], &invoice["amount_credited"]), (&401.into(), &500.into()));
        let balances = owner.balances();
        assert!(balances.len() == 4 && balances.values().all(|&balance| balance == 0), "{balances:?}");
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test]
async fn a_reservation_is_renewed_from_now_on_or_stays_as_it_was() {
    on_both(async |installation| {
        let owner = Owner::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let client = owner.at(&server);
        let rule = "sbx_decline_insufficient_funds_from_20270104";
        let charge =
            client.charge(rule, &[("amount", "500"), ("capture", "false"), ("expiry_days", "3")]).await;
        // The last second of the third day in Japan.
        let end = |days: i64| BEGINNING + days * DAY - 9 * 3_600 - 1;
        assert_eq!(client.charge_shown(&charge).await["expired_at"], end(3));
        owner.set_clock(BEGINNING + DAY).await;
        let renewed = client.done(&charge, "reauth", &[("expiry_days", "60")]).await;
        assert_eq!(renewed["expired_at"], end(61));
        assert_eq!(money(&renewed), (true, false, false, 0, "authorized"));
        owner.set_clock(BEGINNING + 4 * DAY).await;
        let declined = client.ask(&charge, "reauth", &[]).await.refused(402, "card_declined");
        assert_eq!(declined["charge"], charge);
        assert_eq!(client.charge_shown(&charge).await, renewed);
        let captured = client.done(&charge, "capture", &[]).await;
        assert_eq!(money(&captured), (true, true, false, 0, "succeeded"));
        assert_eq!(server.stop(), Some(0));
        assert_eq!(booked(installation, "captured"), [500]);
        let events = owner.events();
        assert_eq!(events.iter().filter(|kind| *kind == "charge.updated").count(), 1, "{events:?}");
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test]
async fn a_card_from_abroad_is_reserved_for_seven_days_at_most() {
    on_both(async |installation| {
        let owner = Owner::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let client = owner.at(&server);
        // The last second of a day in Japan.
        let end = |days: i64| BEGINNING + days * DAY - 9 * 3_600 - 1;
        let reserved = async |card: &str, days: &str| {
            let form = [("amount", "500"), ("capture", "false"), ("expiry_days", days)];
            client.charge(card, &form).await
        };
        let (abroad, here) = ("4000000900000003", "4242424242424242");
        let mut charges = Vec::new();
        for (card, days, expected) in [(abroad, "3", 3), (abroad, "30", 7), (here, "30", 30)] {
            let charge = reserved(card, days).await;
            assert_eq!(client.charge_shown(&charge).await["expired_at"], end(expected), "{card} {days}");
            charges.push(charge);
        }
        owner.set_clock(BEGINNING + DAY).await;
        for (charge, expected) in charges.iter().zip([8, 8, 61]) {
            let renewed = client.done(charge, "reauth", &[("expiry_days", "60")]).await;
            assert_eq!(renewed["expired_at"], end(expected));
        }
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test]
async fn a_renewal_is_refunded_in_the_books_of_its_subscription() {
    on_both(async |installation| {
        let (account, key) = account_with_key(installation, 1);
        let owner = Owner { installation, account, key };
        let server = Server::start(&installation.place, &[]);
        let client = owner.at(&server);
        soon("it is charged", async || (booked(installation, "succeeded") == [980]).then_some(())).await;
        let charge = soon("it is settled", async || {
            let charge = owner.exported("charges")[0].clone();
            (charge["status"] == "succeeded").then_some(charge)
        });
        let id = charge.await["charge_id"].as_str().unwrap().to_owned();
        for amount in ["333", "1"] {
            client.done(&id, "refund", &[("amount", amount)]).await;
        }
        let shown = client.done(&id, "refund", &[]).await;
        assert_eq!(money(&shown), (true, true, true, 980, "succeeded"));
        assert!(shown["subscription"].as_str().is_some());
        assert_eq!(server.stop(), Some(0));
        let balances = owner.balances();
        assert!(balances.len() == 4 && balances.values().all(|&balance| balance == 0), "{balances:?}");
        assert_eq!(owner.events().iter().filter(|kind| *kind == "charge.refunded").count(), 3);
        must_be_well(&installation.place);
    })
    .await;
}
