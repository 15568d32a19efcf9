//! What answers tell of what was sent: the right name, and nothing that is not so.

use serde_json::Value;

use super::shop::{DECLINED, GOOD, in_a_shop};

#[tokio::test]
async fn a_charge_tells_of_its_reservation_only_while_there_is_one() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let customer = client.customer(GOOD).await;
        let reserve = |customer| {
            let form = [("amount", "500"), ("currency", "jpy"), ("capture", "false"), ("customer", customer)];
            async move { client.post("/v1/charges", &form).await }
        };
        // A product is accepted and not used.
        let form = [("amount", "500"), ("currency", "jpy"), ("customer", &customer), ("product", "prd_x")];
        client.post("/v1/charges", &form).await.ok();
        client.post("/v1/charges", &form[..2]).await.refused(400, "no_payment_method");

        let reserved = reserve(&customer).await.ok();
        assert!(reserved["expired_at"].is_i64(), "{reserved}");
        let path = format!("/v1/charges/{}", reserved["id"].as_str().unwrap());
        let captured = client.post(&format!("{path}/capture"), &[]).await.ok();
        assert_eq!(captured["expired_at"], Value::Null);
        let broke = client.customer(DECLINED).await;
        let error = reserve(&broke).await.refused(402, "card_declined");
        let failed = client.get(&format!("/v1/charges/{}", error["charge"].as_str().unwrap())).await.ok();
        assert_eq!((&failed["state"], &failed["expired_at"]), (&"failed".into(), &Value::Null));
    })
    .await;
}

#[tokio::test]
async fn what_is_missing_is_named_as_what_was_asked_for() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        for object in ["transfer", "term", "statement", "balance"] {
            let error = client.get(&format!("/v1/{object}s/x")).await.refused(404, "invalid_id");
            assert_eq!(error["message"], format!("No such {object}: x"));
        }
        for object in ["statement", "balance"] {
            let answer = client.post(&format!("/v1/{object}s/x/statement_urls"), &[]).await;
            assert_eq!(answer.refused(404, "invalid_id")["message"], format!("No such {object}: x"));
        }
        for (month, year) in [("+5", "2090"), ("5", "+209"), ("", "2090"), ("13", "2090")] {
            let card = [("card[number]", GOOD), ("card[exp_month]", month), ("card[exp_year]", year)];
            let answer = client.post("/v1/tokens", &card).await;
            assert!([400, 402].contains(&answer.status), "{answer:?}");
        }
    })
    .await;
}

/// What a gateway said to a repeat of a request says nothing of the first one.
#[tokio::test]
async fn why_a_charge_might_have_failed_is_not_told_while_that_is_not_known() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let customer = client.customer(DECLINED).await;
        let form = [("amount", "500"), ("currency", "jpy"), ("customer", customer.as_str())];
        let error = client.post("/v1/charges", &form).await.refused(402, "card_declined");
        let id = error["charge"].as_str().unwrap();
        let known = client.get(&format!("/v1/charges/{id}")).await.ok();
        assert!(known["decline_code"].is_string(), "{known}");
        shop.installation
            .change("charges", vec![("id", id.into())], vec![("status", "unknown".into())])
            .await;
        let unknown = client.get(&format!("/v1/charges/{id}")).await.ok();
        assert_eq!((&unknown["failure_code"], &unknown["decline_code"]), (&Value::Null, &Value::Null));
        shop.installation.change("charges", vec![("id", id.into())], vec![("status", "failed".into())]).await;
    })
    .await;
}
