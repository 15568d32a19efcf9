//! Plans of several months with a billing day: what is paid for a quarter is paid once in it.

use super::super::life::Life;
use super::super::shop::{ALSO_GOOD, DECLINED, GOOD, charged, in_a_shop, seconds};

/// 2,700 yen a quarter on the first.
const QUARTERLY: [(&str, &str); 2] = [("interval_count", "3"), ("billing_day", "1")];
const JANUARY: &str = "2027-01-01T03:00:00Z";
const FEBRUARY: &str = "2027-02-01T00:00:00Z";
const MAY: &str = "2027-05-01T00:00:00Z";

#[tokio::test]
async fn a_quarter_that_begins_on_its_billing_day_is_paid_once_in_three_months() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("monthly", 1_000, &[("billing_day", "1"), ("trial_days", "10")]).await;
            client.plan("quarterly", 2_700, &QUARTERLY).await;
            let life = Life::begin(client, JANUARY).await;
            let [renewed, changed] = [life.customer(GOOD).await, life.customer(GOOD).await];
            let id = client.subscribe(&renewed, "monthly", &[]).await.id;
            client.act(&id, "", &[("next_cycle_plan", "quarterly")]).await.ok();
            let preview = client.get(&format!("/v1/invoices/preview?count=2&subscription={id}")).await.ok();
            let id = client.subscribe(&changed, "monthly", &[]).await.id;
            let now = "2027-02-01T01:00:00Z";
            life.advance(now).await;
            client.act(&id, "", &[("plan", "quarterly")]).await.ok();
            life.advance("2027-05-02T00:00:00Z").await;
            let all = [(FEBRUARY, 2_700, "paid"), (MAY, 2_700, "paid")];
            assert_eq!(client.charges(&renewed).await, charged(&all));
            let due = |number: usize| preview["invoices"][number]["due_at"].as_i64();
            assert_eq!((due(0), due(1)), (Some(seconds(FEBRUARY)), Some(seconds(MAY))), "{preview}");
            let all = [(FEBRUARY, 1_000, "paid"), (now, 2_700, "paid"), (MAY, 2_700, "paid")];
            assert_eq!(client.charges(&changed).await, charged(&all));
        }
    })
    .await;
}

#[tokio::test]
async fn a_quarter_whose_renewal_failed_is_resumed_for_all_of_it() {
    in_a_shop(async |shop| {
        let client = &shop.payjp.test;
        client.plan("quarterly", 2_700, &QUARTERLY).await;
        let life = Life::begin(client, JANUARY).await;
        let customer = life.customer(GOOD).await;
        let id = client.subscribe(&customer, "quarterly", &[]).await.id;
        life.advance("2027-02-02T00:00:00Z").await;
        client.pay_with(&customer, DECLINED).await;
        let now = "2027-05-02T00:00:00Z";
        life.advance(now).await;
        assert_eq!(client.subscription(&id).await.status, "paused");
        client.pay_with(&customer, ALSO_GOOD).await;
        client.act(&id, "resume", &[]).await.ok();
        let august = "2027-08-01T00:00:00Z";
        client.subscription(&id).await.stands("active", "quarterly", (now, august));
        life.advance("2027-08-02T00:00:00Z").await;
        let all = [
            (FEBRUARY, 2_700, "paid"),
            (MAY, 2_700, "card_declined"),
            (now, 2_700, "paid"),
            (august, 2_700, "paid"),
        ];
        assert_eq!(client.charges(&customer).await, charged(&all));
    })
    .await;
}
