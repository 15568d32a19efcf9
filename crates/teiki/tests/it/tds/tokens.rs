//! Tokens: used when their 3-D Secure is finished.

use serde_json::{Value, json};

use super::merchant::{Merchant, outlive, text};
use crate::installation::on_both;
use crate::serve::Server;

#[tokio::test]
async fn a_token_is_used_when_its_3d_secure_is_finished() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let public = merchant.key("test", "public");
        let form = [
            ("card[number]", "4242424242424242"),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2099"),
            ("three_d_secure", "true"),
        ];
        let (status, token) = merchant.call(public, "POST", "/v1/tokens", &form).await;
        assert_eq!((status, &token["card"]["three_d_secure_status"]), (200, &json!("unverified")));
        let id = text(&token, "id");
        let (path, finish) = (format!("/v1/tokens/{id}"), format!("/v1/tokens/{id}/tds_finish"));
        let unverified = (400, "unverified_token".to_owned());
        let customer = merchant.customer().await;
        let cards = format!("/v1/customers/{}/cards", text(&customer, "id"));
        let sale = [("amount", "500"), ("currency", "jpy"), ("card", id)];
        for (path, form) in [("/v1/customers", &sale[2..]), (&cards, &sale[2..]), ("/v1/charges", &sale[..])]
        {
            assert_eq!(merchant.refused(path, form).await, unverified, "{path}");
        }
        assert_eq!(merchant.refused(&finish, &[]).await, (400, "three_d_secure_incompleted".to_owned()));

        let led = merchant.answer(id, "succeed", "https://shop.example/back?a=1&b=2").await;
        assert_eq!((led.status, led.location.as_deref()), (303, Some("https://shop.example/back?a=1&b=2")));
        assert_eq!(merchant.get(&path).await["card"]["three_d_secure_status"], "verified");
        assert_eq!(merchant.refused("/v1/charges", &sale).await, unverified, "it must be finished as well");
        for _ in 0..2 {
            let (status, finished) = merchant.call(public, "POST", &finish, &[]).await;
            assert_eq!((status, &finished["used"]), (200, &json!(false)), "{finished}");
        }
        let customer = merchant.made("/v1/customers", &[("card", id)]).await;
        assert_eq!(customer["cards"]["data"][0]["three_d_secure_status"], "verified");
        assert_eq!(merchant.refused("/v1/charges", &sale).await.1, "token_already_used");
        let plain = merchant.token("4242424242424242", &[]).await;
        assert_eq!(plain["card"]["three_d_secure_status"], Value::Null);
        let path = format!("/v1/tokens/{}/tds_finish", text(&plain, "id"));
        assert_eq!(merchant.refused(&path, &[]).await, (400, "not_in_three_d_secure_flow".to_owned()));
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_token_that_failed_or_ran_out_is_never_used() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let failed = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        let id = text(&failed, "id");
        let finish = format!("/v1/tokens/{id}/tds_finish");
        let page = merchant.answer(id, "fail", "").await;
        assert_eq!((page.status, page.text.contains("3-D Secure is done")), (200, true), "{}", page.text);
        assert_eq!(merchant.refused(&finish, &[]).await, (402, "three_d_secure_failed".to_owned()));
        assert_eq!(merchant.refused("/v1/customers", &[("card", id)]).await.1, "unverified_token");
        let again = merchant.page(&merchant.start(id, "https://shop.example/"), None, "en").await;
        assert!(
            again.text.contains("https://shop.example/") && !again.text.contains("<form"),
            "{}",
            again.text
        );

        let late = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        let id = text(&late, "id");
        assert_eq!(merchant.answer(id, "succeed", "").await.status, 200);
        let forgotten = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        for token in [&late, &forgotten] {
            let id = text(token, "id");
            outlive(installation, "tokens", id, "made_at").await;
            let refused = merchant.refused(&format!("/v1/tokens/{id}/tds_finish"), &[]).await;
            assert_eq!(refused, (400, "three_d_secure_expired".to_owned()));
            assert_eq!(merchant.refused("/v1/customers", &[("card", id)]).await.1, "unverified_token");
        }
        let page = merchant.page(&merchant.start(text(&forgotten, "id"), ""), None, "en").await;
        assert_eq!((page.status, page.text.contains("is over")), (400, true), "{}", page.text);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
