//! What is refused, and changes nothing.

use super::merchant::{BEGINNING, DAY, GOOD, Merchant, assert_well, booked, money};
use crate::installation::on_both;
use crate::serve::Server;

/// Asks for what must be refused with these statuses and codes, and looks whether the charge is as it was.
fn check(merchant: &Merchant<'_>, server: &Server, charge: &str, cases: &[(&str, &str, u16, &str)]) {
    for &(action, form, status, code) in cases {
        let before = merchant.shown(server, charge);
        merchant.refused(server, charge, (action, form), (status, code));
        assert_eq!(merchant.shown(server, charge), before, "{action} {form}");
    }
}

#[tokio::test]
async fn every_refusal_has_its_code_and_changes_nothing() {
    on_both(async |installation| {
        let merchant = Merchant::on_a_clock(installation).await;
        let server = Server::start(&installation.place, &[]);
        let reserved = merchant.charge(&server, GOOD, "amount=500&capture=false");
        let taken = merchant.charge(&server, GOOD, "amount=500");
        wrong_amounts_and_states(&merchant, &server, &reserved, &taken);
        check_none(&merchant, &server, &reserved);
        merchant.set_clock(BEGINNING + 7 * DAY).await;
        let cases = [
            ("capture", "", 400, "charge_expired"),
            ("reauth", "", 400, "operation_not_allowed_on_no_authorized_charge"),
        ];
        check(&merchant, &server, &reserved, &cases);
        merchant.set_clock(BEGINNING + 180 * DAY + 1).await;
        check(&merchant, &server, &taken, &[("refund", "", 400, "refund_limit_exceeded")]);
        merchant.set_clock(BEGINNING + 180 * DAY).await;
        merchant.done(&server, &taken, "refund", "");
        assert_eq!(server.stop(), Some(0));
        assert_eq!(
            (booked(installation, "refunded"), booked(installation, "voided")),
            (vec![500], vec![500])
        );
        assert!(booked(installation, "captured").is_empty());
        assert_well(installation);
    })
    .await;
}

fn wrong_amounts_and_states(merchant: &Merchant<'_>, server: &Server, reserved: &str, taken: &str) {
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
    check(merchant, server, reserved, &cases);
    let cases = [("capture", "", 400, "already_captured"), ("reauth", "", 400, "already_captured")];
    check(merchant, server, taken, &cases);
    let released = merchant.charge(server, GOOD, "amount=500&capture=false");
    let shown = merchant.done(server, &released, "refund", "amount=500");
    assert_eq!(money(&shown), (true, false, true, 500, "void"));
    let cases = [
        ("capture", "", 400, "cant_capture_refunded_charge"),
        ("refund", "", 400, "already_refunded"),
        ("reauth", "", 400, "cant_reauth_refunded_charge"),
    ];
    check(merchant, server, &released, &cases);
    let (_, token) = merchant.post(server, "/v1/tokens", "sandbox_token=sbx_decline_card_declined");
    let form = format!("amount=500&currency=jpy&card={}", token["id"].as_str().unwrap());
    let (status, declined) = merchant.post(server, "/v1/charges", &form);
    assert_eq!(status, 402, "{declined}");
    let cases = ["capture", "refund", "reauth"].map(|action| (action, "", 400, "failed_payment"));
    check(merchant, server, declined["error"]["charge"].as_str().unwrap(), &cases);
}

/// A charge that the account does not have.
fn check_none(merchant: &Merchant<'_>, server: &Server, charge: &str) {
    merchant.refused(server, "ch_none", ("refund", ""), (404, "invalid_id"));
    let other = Merchant::new(merchant.installation);
    for action in ["capture", "refund", "reauth"] {
        other.refused(server, charge, (action, ""), (404, "invalid_id"));
    }
}

#[tokio::test]
async fn a_hold_stops_what_takes_money_and_not_what_gives_it_back() {
    on_both(async |installation| {
        let merchant = Merchant::new(installation);
        let server = Server::start(&installation.place, &[]);
        let reserved = merchant.charge(&server, GOOD, "amount=500&capture=false");
        let taken = merchant.charge(&server, GOOD, "amount=500");
        installation.run(&["hold", "on", "--reason", "a rehearsal"]).text();
        for action in ["capture", "reauth"] {
            merchant.refused(&server, &reserved, (action, ""), (503, "charging_held"));
        }
        merchant.done(&server, &taken, "refund", "amount=100");
        merchant.done(&server, &reserved, "refund", "");
        assert_eq!(
            (booked(installation, "refunded"), booked(installation, "voided")),
            (vec![100], vec![500])
        );
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
