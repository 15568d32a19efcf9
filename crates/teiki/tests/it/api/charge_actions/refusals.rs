//! What is refused, and changes nothing.

use super::super::client::Client;
use super::super::shop::must_be_well;
use super::owner::{BEGINNING, DAY, OK, Owner, booked, money};
use crate::installation::on_both;
use crate::serve::Server;

/// Asks for what must be refused with these statuses and codes, and looks whether the charge is as it was.
async fn check(client: &Client, charge: &str, cases: &[(&str, &str, u16, &str)]) {
    for &(action, form, status, code) in cases {
        let form: Vec<(&str, &str)> = form.split_once('=').into_iter().collect();
        let before = client.charge_shown(charge).await;
        client.ask(charge, action, &form).await.refused(status, code);
        assert_eq!(client.charge_shown(charge).await, before, "{action} {form:?}");
    }
}

#[tokio::test]
async fn every_refusal_has_its_code_and_changes_nothing() {
    on_both(async |installation| {
        let owner = Owner::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let client = owner.at(&server);
        let reserved = client.charge(OK, &[("amount", "500"), ("capture", "false")]).await;
        let taken = client.charge(OK, &[("amount", "500")]).await;
        wrong_amounts_and_states(&client, &reserved, &taken).await;
        check_none(&client, &Owner::new(installation).at(&server), &reserved).await;
        owner.set_clock(BEGINNING + 7 * DAY).await;
        let cases = [
            ("capture", "", 400, "charge_expired"),
            ("reauth", "", 400, "operation_not_allowed_on_no_authorized_charge"),
        ];
        check(&client, &reserved, &cases).await;
        owner.set_clock(BEGINNING + 180 * DAY + 1).await;
        check(&client, &taken, &[("refund", "", 400, "refund_limit_exceeded")]).await;
        owner.set_clock(BEGINNING + 180 * DAY).await;
        client.done(&taken, "refund", &[]).await;
        assert_eq!(server.stop(), Some(0));
        assert_eq!(
            (booked(installation, "refunded"), booked(installation, "voided")),
            (vec![500], vec![500])
        );
        assert!(booked(installation, "captured").is_empty());
        must_be_well(&installation.place);
    })
    .await;
}

async fn wrong_amounts_and_states(client: &Client, reserved: &str, taken: &str) {
    let reason = format!("refund_reason={}", "a".repeat(256));
    let cases = [
        ("capture", "amount=49", 400, "invalid_amount"),
        ("capture", "amount=10000000", 400, "invalid_amount"),
        ("capture", "amount=x", 400, "invalid_amount"),
        ("capture", "amount=501", 400, "capture_amount_gt_net"),
        ("capture", "refund_reason=a", 400, "invalid_param_key"),
        ("refund", "amount=0", 400, "invalid_refund_amount"),
        ("refund", &reason, 400, "invalid_refund_reason"),
        ("refund", "amount=499", 400, "invalid_amount_to_not_captured"),
        ("refund", "amount=501", 400, "refund_amount_gt_net"),
        ("reauth", "expiry_days=0", 400, "invalid_expiry_days"),
        ("reauth", "expiry_days=61", 400, "invalid_expiry_days"),
    ];
    check(client, reserved, &cases).await;
    let cases = [("capture", "", 400, "already_captured"), ("reauth", "", 400, "already_captured")];
    check(client, taken, &cases).await;
    let released = client.charge(OK, &[("amount", "500"), ("capture", "false")]).await;
    let shown = client.done(&released, "refund", &[("amount", "500")]).await;
    assert_eq!(money(&shown), (true, false, true, 500, "void"));
    let cases = [
        ("capture", "", 400, "cant_capture_refunded_charge"),
        ("refund", "", 400, "already_refunded"),
        ("reauth", "", 400, "cant_reauth_refunded_charge"),
    ];
    check(client, &released, &cases).await;
    let token = client.token("sbx_decline_card_declined").await;
    let sale = [("amount", "500"), ("currency", "jpy"), ("card", &token)];
    let declined = client.post("/v1/charges", &sale).await.refused(402, "card_declined");
    let cases = ["capture", "refund", "reauth"].map(|action| (action, "", 400, "failed_payment"));
    check(client, declined["charge"].as_str().unwrap(), &cases).await;
}

/// A charge that the account does not have.
async fn check_none(client: &Client, other: &Client, charge: &str) {
    client.ask("ch_none", "refund", &[]).await.refused(404, "invalid_id");
    for action in ["capture", "refund", "reauth"] {
        other.ask(charge, action, &[]).await.refused(404, "invalid_id");
    }
}

#[tokio::test]
async fn a_hold_stops_what_takes_money_and_not_what_gives_it_back() {
    on_both(async |installation| {
        let owner = Owner::new(installation);
        let server = Server::start(&installation.place, &[]);
        let client = owner.at(&server);
        let reserved = client.charge(OK, &[("amount", "500"), ("capture", "false")]).await;
        let taken = client.charge(OK, &[("amount", "500")]).await;
        installation.run(&["hold", "on", "--reason", "a rehearsal"]).text();
        for action in ["capture", "reauth"] {
            client.ask(&reserved, action, &[]).await.refused(503, "charging_held");
        }
        client.done(&taken, "refund", &[("amount", "100")]).await;
        client.done(&reserved, "refund", &[]).await;
        assert_eq!(
            (booked(installation, "refunded"), booked(installation, "voided")),
            (vec![100], vec![500])
        );
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
