//! The page in the browser.

use super::merchant::{Merchant, between, text};
use crate::installation::on_both;
use crate::serve::Server;

#[tokio::test]
async fn the_page_is_plain_and_lets_in_only_whom_it_was_made_for() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let token = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        let id = text(&token, "id");
        let back = "https://shop.example:8443/back?x=\"<y>";
        assert_eq!(merchant.page(&merchant.start(id, back), None, "en").await.status, 400, "not an address");
        let back = "https://shop.example:8443/back?x='y'";
        let page = merchant.page(&merchant.start(id, back), None, "en-US,en").await;
        assert_eq!(page.status, 200, "{}", page.text);
        let policy = "default-src 'none'; style-src 'self'; form-action 'self' https://shop.example:8443; \
                      base-uri 'none'; frame-ancestors 'none'";
        assert_eq!(page.policy, policy);
        for never in ["<script", "<style", "style=", " on", "javascript:", "<農園>"] {
            let rest = page.text.replace("Choose how the card holder answers to go on to the shop.", "");
            assert!(!rest.contains(never), "{never}: {rest}");
        }
        assert!(
            page.text.contains("みどり&lt;農園&gt;") && page.text.contains("lang=\"en\""),
            "{}",
            page.text
        );
        let japanese = merchant.page(&merchant.start(id, ""), None, "ja").await;
        assert!(japanese.text.contains("認証に成功する") && japanese.text.contains("認証に失敗する"));
        let style = merchant.page("/assets/page.css", None, "ja").await;
        assert_eq!((style.status, style.text.contains("button")), (200, true));

        let start = |key: &str, more: &str| format!("/v1/tds/{id}/start?publickey={key}{more}");
        let public = merchant.key("test", "public");
        for key in ["", "pk_test_0", merchant.key("test", "secret"), "%00"] {
            let page = merchant.page(&start(key, ""), None, "ja").await;
            assert_eq!((page.status, page.text.contains("公開鍵")), (401, true), "{key}: {}", page.text);
        }
        for back in ["javascript:alert(1)", "%2F%2Fevil.example", "a.b.c"] {
            let page = merchant.page(&start(public, &format!("&back_url={back}")), None, "en").await;
            assert_eq!(page.status, 400, "{back}");
        }
        for unknown in ["tok_1", "cus_1", "car_0000000000000000000000000000", "%ff"] {
            let page =
                merchant.page(&format!("/v1/tds/{unknown}/start?publickey={public}"), None, "en").await;
            assert_eq!(page.status, 404, "{unknown}");
        }

        // A form of another address, of another way back, or made by someone else.
        let action = format!("/v1/tds/{id}");
        let own = between(&page.text, "name=\"token\" value=\"", "\"").to_owned();
        let other = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        for (action, back, token) in [
            (action.as_str(), back, "0"),
            (&action, "https://evil.example/", &own),
            (&format!("/v1/tds/{}", text(&other, "id")), back, &own),
        ] {
            let form = [("publickey", public), ("back_url", back), ("token", token), ("result", "succeed")];
            assert_eq!(merchant.page(action, Some(&form), "en").await.status, 403, "{action}");
        }
        for result in ["", "verified"] {
            let form = [("publickey", public), ("back_url", back), ("token", &own), ("result", result)];
            assert_eq!(merchant.page(&action, Some(&form), "en").await.status, 403, "{result}");
        }
        let unchanged = merchant.get(&format!("/v1/tokens/{id}")).await;
        assert_eq!(unchanged["card"]["three_d_secure_status"], "unverified");
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
