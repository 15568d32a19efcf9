//! Who sees nothing of it: another account, the live side, a public key.

use serde_json::json;

use super::merchant::{Merchant, text};
use crate::installation::on_both;
use crate::serve::Server;

#[tokio::test]
async fn another_account_and_the_live_side_see_nothing() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let other = Merchant::new(installation, &server);
        let customer = merchant.customer().await;
        let card = text(&customer["cards"]["data"][0], "id");
        let requests = "/v1/three_d_secure_requests";
        let token = merchant.token("4242424242424242", &[("three_d_secure", "true")]).await;
        let charge = merchant.waiting("4242424242424242", &[]).await;
        let request = merchant.made(requests, &[("resource_id", card)]).await;
        let (token, request) = (text(&token, "id"), text(&request, "id"));
        assert_eq!(other.refused(requests, &[("resource_id", card)]).await.0, 404);
        assert_eq!(other.get(requests).await["count"], 0);
        let paths = [format!("/v1/tokens/{token}/tds_finish"), format!("/v1/charges/{charge}/tds_finish")];
        let live = merchant.key("live", "secret");
        for path in &paths {
            assert_eq!(other.refused(path, &[]).await, (404, "invalid_id".to_owned()), "{path}");
            assert_eq!(merchant.call(live, "POST", path, &[]).await.0, 404, "{path}");
        }
        for key in [live, other.key("test", "secret")] {
            assert_eq!(merchant.call(key, "GET", &format!("{requests}/{request}"), &[]).await.0, 404);
        }
        let live_public = merchant.key("live", "public");
        for id in [token, &charge, request] {
            assert_eq!(other.page(&other.start(id, ""), None, "en").await.status, 404, "{id}");
            let path = format!("/v1/tds/{id}/start?publickey={live_public}");
            assert_eq!(merchant.page(&path, None, "en").await.status, 404, "{id}");
        }
        // A public key finishes tokens, and charges nothing.
        let public = merchant.key("test", "public");
        assert_eq!(merchant.call(public, "POST", &paths[1], &[]).await.0, 401);
        assert_eq!(merchant.call(public, "POST", requests, &[("resource_id", card)]).await.0, 401);

        let unavailable = (400, json!("three_d_secure_unavailable"));
        let sale = [("amount", "500"), ("currency", "jpy"), ("card", token), ("three_d_secure", "true")];
        let of_token = [("sandbox_token", "sbx_ok"), ("three_d_secure", "true")];
        for (path, form) in [
            ("/v1/charges", &sale[..]),
            ("/v1/tokens", &of_token[..]),
            (requests, &[("resource_id", card)][..]),
        ] {
            let (status, body) = merchant.call(live, "POST", path, form).await;
            assert_eq!((status, body["error"]["code"].clone()), unavailable, "{path}");
        }
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
