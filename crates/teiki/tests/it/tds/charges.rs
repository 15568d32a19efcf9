//! Charges that wait for their card holder.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::merchant::{Merchant, booked, outlive, text};
use crate::installation::on_both;
use crate::serve::Server;

/// What must happen soon must have happened by then.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_charge_waits_for_its_card_holder_and_is_then_charged_once() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let id = merchant.waiting("4242424242424242", &[]).await;
        let pending = merchant.get(&format!("/v1/charges/{id}")).await;
        let shown = [
            "paid",
            "captured",
            "captured_at",
            "expired_at",
            "three_d_secure_status",
            "failure_code",
            "state",
        ]
        .map(|name| pending[name].clone());
        let expected = json!([false, false, null, null, "unverified", null, "requires_customer"]);
        assert_eq!(json!(shown), expected);
        let (status, code, _) = merchant.finish_of_charge(&id).await;
        assert_eq!((status, code.as_str()), (400, "three_d_secure_incompleted"));
        for action in ["capture", "refund", "reauth", "tds_finish"] {
            let (status, body) = merchant.post(&format!("/v1/charges/{id}/{action}"), &[]).await;
            assert_eq!(
                (status, text(&body["error"], "code")),
                (400, "three_d_secure_incompleted"),
                "{action}"
            );
            assert!(text(&body["error"], "message").contains(&format!("/v1/tds/{id}/start")), "{body}");
        }
        let led = merchant.answer(&id, "succeed", "http://localhost:3000/back").await;
        assert_eq!(led.location.as_deref(), Some("http://localhost:3000/back"));
        // The first answer counts.
        let again = merchant.page(&merchant.start(&id, ""), None, "en").await;
        assert!(!again.text.contains("<form"), "{}", again.text);
        assert_eq!(merchant.get(&format!("/v1/charges/{id}")).await["three_d_secure_status"], "verified");
        assert_eq!(booked(installation), Vec::<String>::new(), "nothing has been sent");

        let at_once = futures_util::future::join_all((0..4).map(|_| merchant.finish_of_charge(&id))).await;
        for (status, _, charge) in at_once.into_iter().chain([merchant.finish_of_charge(&id).await]) {
            assert_eq!(status, 200, "{charge}");
            assert_eq!([&charge["paid"], &charge["captured"]], [&json!(true), &json!(true)], "{charge}");
            assert!(charge["captured_at"].as_i64() >= charge["created"].as_i64(), "{charge}");
        }
        assert_eq!(booked(installation), [id.as_str()]);

        let reserved =
            merchant.waiting("4242424242424242", &[("capture", "false"), ("expiry_days", "3")]).await;
        assert_eq!(merchant.get(&format!("/v1/charges/{reserved}")).await["expired_at"], Value::Null);
        merchant.answer(&reserved, "succeed", "").await;
        let (status, _, charge) = merchant.finish_of_charge(&reserved).await;
        assert_eq!(
            (status, &charge["paid"], &charge["captured"]),
            (200, &json!(true), &json!(false)),
            "{charge}"
        );
        assert!(charge["expired_at"].as_i64() > charge["created"].as_i64(), "{charge}");

        let declined = merchant.waiting("4000000000080319", &[]).await;
        merchant.answer(&declined, "succeed", "").await;
        for _ in 0..2 {
            let (status, code, body) = merchant.finish_of_charge(&declined).await;
            assert_eq!((status, code.as_str()), (402, "card_declined"));
            assert_eq!(body["error"]["charge"], declined.as_str());
        }
        assert_eq!(server.stop(), Some(0));
        let doctor = installation.run(&["doctor"]);
        assert_eq!(doctor.code, 0, "{doctor:?}");
    })
    .await;
}

#[tokio::test]
async fn a_charge_that_failed_or_ran_out_takes_nothing() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let failed = merchant.waiting("4242424242424242", &[]).await;
        merchant.answer(&failed, "fail", "").await;
        let (status, code, body) = merchant.finish_of_charge(&failed).await;
        assert_eq!((status, code.as_str()), (402, "three_d_secure_failed"));
        assert_eq!(body["error"]["charge"], failed.as_str());

        let late = merchant.waiting("4242424242424242", &[]).await;
        merchant.answer(&late, "succeed", "").await;
        for id in [&failed, &late] {
            outlive(installation, "charges", id, "created_at").await;
            let (status, code, _) = merchant.finish_of_charge(id).await;
            assert_eq!((status, code.as_str()), (400, "three_d_secure_expired"));
            let given_up_by = Instant::now() + PATIENCE;
            let path = format!("/v1/charges/{id}");
            while merchant.get(&path).await["state"] != "void" {
                assert!(Instant::now() < given_up_by, "it was not given up");
                tokio::time::sleep(PAUSE).await;
            }
            let void = merchant.get(&path).await;
            assert_eq!([&void["paid"], &void["failure_code"]], [&json!(false), &Value::Null], "{void}");
            let (status, code, _) = merchant.finish_of_charge(id).await;
            assert_eq!((status, code.as_str()), (400, "three_d_secure_expired"));
        }
        let plain = merchant.customer().await;
        let sale = [("amount", "500"), ("currency", "jpy"), ("customer", text(&plain, "id"))];
        let charge = merchant.made("/v1/charges", &sale).await;
        assert_eq!(charge["three_d_secure_status"], Value::Null);
        let (status, code, _) = merchant.finish_of_charge(text(&charge, "id")).await;
        assert_eq!((status, code.as_str()), (400, "not_in_three_d_secure_flow"));

        // Whoever was deleted meanwhile is not charged.
        let waiting =
            merchant.made("/v1/charges", &[&sale[..], &[("three_d_secure", "true")]].concat()).await;
        let waiting = text(&waiting, "id");
        merchant.answer(waiting, "succeed", "").await;
        let path = format!("{}/v1/customers/{}", merchant.url, text(&plain, "id"));
        let deleting = merchant.client.delete(path).basic_auth(merchant.key("test", "secret"), Some(""));
        assert_eq!(deleting.send().await.unwrap().status().as_u16(), 200);
        assert_eq!(merchant.finish_of_charge(waiting).await.0, 404);
        assert_eq!(booked(installation), [text(&charge, "id")]);
        assert_eq!(server.stop(), Some(0));
        let doctor = installation.run(&["doctor"]);
        assert_eq!(doctor.code, 0, "{doctor:?}");
    })
    .await;
}

#[tokio::test]
async fn a_charge_that_waits_outlives_the_server_unsent() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let id = merchant.waiting("4242424242424242", &[]).await;
        merchant.answer(&id, "succeed", "").await;
        assert_eq!(server.stop(), Some(0));
        // A server that starts takes up all that is not final.
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant { url: server.url(), ..merchant };
        server.wait_for_ticks(3);
        let waiting = merchant.get(&format!("/v1/charges/{id}")).await;
        assert_eq!((text(&waiting, "state"), booked(installation).len()), ("requires_customer", 0));
        assert_eq!(merchant.finish_of_charge(&id).await.0, 200);
        assert_eq!(booked(installation), [id.as_str()]);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_finished_charge_whose_answer_is_lost_is_found_out_and_charged_once() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let token = merchant.made("/v1/tokens", &[("sandbox_token", "sbx_timeout_after_1")]).await;
        let sale = [
            ("amount", "500"),
            ("currency", "jpy"),
            ("card", text(&token, "id")),
            ("three_d_secure", "true"),
        ];
        let charge = merchant.made("/v1/charges", &sale).await;
        let id = text(&charge, "id");
        merchant.answer(id, "succeed", "").await;
        let (first, again) = tokio::join!(merchant.finish_of_charge(id), merchant.finish_of_charge(id));
        for (status, code, body) in [first, again] {
            assert!(status == 200 || code == "payment_unknown", "{body}");
        }
        let path = format!("/v1/charges/{id}");
        let known_by = Instant::now() + PATIENCE;
        while merchant.get(&path).await["paid"] != true {
            assert!(Instant::now() < known_by, "its outcome was not found out");
            tokio::time::sleep(PAUSE).await;
        }
        assert_eq!(booked(installation), [id]);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
