//! Stored cards: asked for by a request.

use serde_json::{Value, json};

use super::merchant::{Merchant, outlive, text};
use crate::installation::on_both;
use crate::serve::Server;

#[tokio::test]
async fn a_stored_card_is_asked_for_by_a_request() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(installation, &server);
        let customer = merchant.customer().await;
        let (customer, card) = (text(&customer, "id"), text(&customer["cards"]["data"][0], "id"));
        let requests = "/v1/three_d_secure_requests";
        assert_eq!(merchant.refused(requests, &[]).await, (400, "missing_param".to_owned()));
        let token = merchant.token("4242424242424242", &[]).await;
        for wrong in ["car_unknown", customer, text(&token["card"], "id")] {
            assert_eq!(merchant.refused(requests, &[("resource_id", wrong)]).await.0, 404, "{wrong}");
        }
        let created = merchant.made(requests, &[("resource_id", card)]).await;
        let id = text(&created, "id");
        assert_eq!((id.len(), &id[..5]), (32, "tdsr_"));
        let expected = json!({
            "object": "three_d_secure_request", "id": id, "resource_id": card, "livemode": false,
            "created": created["created"], "state": "created", "started_at": null, "result_received_at": null,
            "finished_at": null, "expired_at": null, "tenant_id": null, "three_d_secure_status": "unverified",
        });
        assert_eq!(created, expected);
        let path = format!("{requests}/{id}");
        merchant.page(&merchant.start(id, ""), None, "ja").await;
        let started = merchant.get(&path).await;
        assert_eq!((text(&started, "state"), started["started_at"].is_i64()), ("in_progress", true));
        assert_eq!(merchant.answer(id, "succeed", "https://shop.example/").await.status, 303);
        let finished = merchant.get(&path).await;
        assert_eq!(
            [text(&finished, "state"), text(&finished, "three_d_secure_status")],
            ["finished", "verified"]
        );
        assert!(finished["result_received_at"].is_i64() && finished["finished_at"].is_i64(), "{finished}");
        let shown = merchant.get(&format!("/v1/customers/{customer}/cards/{card}")).await;
        assert_eq!(shown["three_d_secure_status"], "verified");
        let told = merchant.get(&format!("/v1/events?resource_id={card}&type=customer.card.updated")).await;
        assert_eq!(told["count"], 1, "{told}");

        let second = merchant.made(requests, &[("resource_id", card)]).await;
        let late = text(&second, "id");
        outlive(installation, "three_d_secure_requests", late, "made_at").await;
        let late_request = merchant.get(&format!("{requests}/{late}")).await;
        assert_eq!((text(&late_request, "state"), late_request["expired_at"].is_i64()), ("created", true));
        assert_eq!(merchant.page(&merchant.start(late, ""), None, "en").await.status, 400);
        let ids = |list: &Value| -> Vec<String> {
            list["data"].as_array().unwrap().iter().map(|row| text(row, "id").to_owned()).collect()
        };
        let all = merchant.get(requests).await;
        // The late one was made earlier now, and is still the newer one of billing time.
        assert_eq!(ids(&all).len(), 2);
        assert_eq!(ids(&merchant.get(&format!("{requests}?resource_id={card}&limit=1")).await).len(), 1);
        assert_eq!(merchant.get(&format!("{requests}?resource_id=car_other")).await["count"], 0);
        assert_eq!(merchant.get(&format!("{requests}?tenant_id=ten_x")).await["count"], 0);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
