//! Live mode takes no card number, whatever it is.

use super::shop::in_a_shop;
use super::store::card_secrets;

#[tokio::test]
async fn in_live_mode_no_card_number_is_taken_or_repeated() {
    in_a_shop(async |shop| {
        for client in [&shop.teiki.live, &shop.teiki.live_public] {
            // Test cards, PAY.JP's `test_card_on_livemode`; one as banks issue them; and nothing like a card.
            for (number, code, param) in [
                ("4242424242424242", "card_number_refused", "card[number]"),
                ("4000000000000002", "card_number_refused", "card[number]"),
                ("4539578763621486", "card_number_refused", "card[number]"),
                ("1", "invalid_card", "card"),
            ] {
                let card = [("card[number]", number), ("card[exp_month]", "12"), ("card[exp_year]", "2090")];
                let error = client.post("/v1/tokens", &card).await.refused(400, code);
                assert_eq!((&error["type"], &error["param"]), (&"client_error".into(), &param.into()));
                assert!(!error["message"].as_str().unwrap().contains(number), "{error}");
            }
        }
        assert_eq!(card_secrets(&shop.installation.db).await, [] as [String; 0]);
    })
    .await;
}
