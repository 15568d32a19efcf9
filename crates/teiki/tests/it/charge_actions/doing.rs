//! What is done to charges, and what their books say then.

use serde_json::Value;

use super::merchant::{BEGINNING, DAY, GOOD, Merchant, assert_well, booked, money};
use crate::installation::on_both;
use crate::serve::{Server, account_with_key, soon};

#[tokio::test]
async fn a_part_of_a_reservation_is_captured_and_then_refunded_in_parts() {
    on_both(async |installation| {
        let merchant = Merchant::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let charge = merchant.charge(&server, GOOD, "amount=500&capture=false");
        merchant.set_clock(BEGINNING + 3 * DAY).await;
        let captured = merchant.done(&server, &charge, "capture", "amount=401");
        assert_eq!(money(&captured), (true, true, true, 99, "succeeded"));
        assert_eq!(captured["captured_at"], BEGINNING + 3 * DAY);
        assert_eq!((&captured["expired_at"], &captured["amount"]), (&Value::Null, &500.into()));
        merchant.refused(&server, &charge, ("refund", "amount=402"), (400, "refund_amount_gt_net"));
        let reasoned = merchant.done(&server, &charge, "refund", "amount=7&refund_reason=%E8%BF%94%E5%93%81");
        assert_eq!(money(&reasoned), (true, true, true, 106, "succeeded"));
        assert_eq!(reasoned["refund_reason"], "返品");
        assert_eq!(merchant.done(&server, &charge, "refund", "amount=1")["refund_reason"], "返品");
        let rest = merchant.done(&server, &charge, "refund", "refund_reason=");
        assert_eq!(money(&rest), (true, true, true, 500, "succeeded"));
        assert_eq!(rest["refund_reason"], "");
        merchant.refused(&server, &charge, ("refund", ""), (400, "already_refunded"));
        assert_eq!(merchant.shown(&server, &charge), rest);
        assert_eq!(server.stop(), Some(0));
        assert_eq!(booked(installation, "captured"), [401]);
        assert_eq!(booked(installation, "refunded"), [7, 1, 393]);
        let charges =
            ["charge.succeeded", "charge.captured", "charge.refunded", "charge.refunded", "charge.refunded"];
        let events: Vec<String> =
            merchant.events().into_iter().filter(|kind| kind.starts_with("charge.")).collect();
        assert_eq!(events, charges);
        let told = merchant.exported("events").into_iter().find(|event| event["type"] == "charge.captured");
        assert_eq!(told.unwrap()["data"]["amount_refunded"], 99);
        let invoice = &merchant.exported("invoices")[0];
        assert_eq!((&invoice["amount_paid"], &invoice["amount_credited"]), (&401.into(), &500.into()));
        let balances = merchant.balances();
        assert!(balances.len() == 4 && balances.values().all(|&balance| balance == 0), "{balances:?}");
        assert_well(installation);
    })
    .await;
}

#[tokio::test]
async fn a_reservation_is_renewed_from_now_on_or_stays_as_it_was() {
    on_both(async |installation| {
        let merchant = Merchant::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let rule = "sbx_decline_insufficient_funds_from_20270104";
        let charge = merchant.charge(&server, rule, "amount=500&capture=false&expiry_days=3");
        // The last second of the third day in Japan.
        let end = |days: i64| BEGINNING + days * DAY - 9 * 3_600 - 1;
        assert_eq!(merchant.shown(&server, &charge)["expired_at"], end(3));
        merchant.set_clock(BEGINNING + DAY).await;
        let renewed = merchant.done(&server, &charge, "reauth", "expiry_days=60");
        assert_eq!(renewed["expired_at"], end(61));
        assert_eq!(money(&renewed), (true, false, false, 0, "authorized"));
        merchant.set_clock(BEGINNING + 4 * DAY).await;
        let (status, declined) = merchant.act(&server, &charge, "reauth", "");
        assert_eq!((status, &declined["error"]["charge"]), (402, &charge.as_str().into()), "{declined}");
        assert_eq!(declined["error"]["type"], "card_error");
        assert_eq!(merchant.shown(&server, &charge), renewed);
        let captured = merchant.done(&server, &charge, "capture", "");
        assert_eq!(money(&captured), (true, true, false, 0, "succeeded"));
        assert_eq!(server.stop(), Some(0));
        assert_eq!(booked(installation, "captured"), [500]);
        let events = merchant.events();
        assert_eq!(events.iter().filter(|kind| *kind == "charge.updated").count(), 1, "{events:?}");
        assert_well(installation);
    })
    .await;
}

#[tokio::test]
async fn a_renewal_is_refunded_in_the_books_of_its_subscription() {
    on_both(async |installation| {
        let (account, key) = account_with_key(installation, 1);
        let merchant = Merchant { installation, account, key };
        let server = Server::start(&installation.place, &[]);
        soon("it is charged", || booked(installation, "succeeded") == [980]);
        let charge = || merchant.exported("charges")[0].clone();
        soon("it is settled", || charge()["status"] == "succeeded");
        let id = charge()["charge_id"].as_str().unwrap().to_owned();
        for amount in [333, 1] {
            merchant.done(&server, &id, "refund", &format!("amount={amount}"));
        }
        let shown = merchant.done(&server, &id, "refund", "");
        assert_eq!(money(&shown), (true, true, true, 980, "succeeded"));
        assert!(shown["subscription"].as_str().is_some());
        assert_eq!(server.stop(), Some(0));
        let balances = merchant.balances();
        assert!(balances.len() == 4 && balances.values().all(|&balance| balance == 0), "{balances:?}");
        assert_eq!(merchant.events().iter().filter(|kind| *kind == "charge.refunded").count(), 3);
        assert_well(installation);
    })
    .await;
}
