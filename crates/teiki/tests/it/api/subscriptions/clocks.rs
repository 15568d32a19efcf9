//! Test clocks: everything follows its own, and nothing follows another.

use serde_json::Value;

use super::super::life::Life;
use super::super::shop::{GOOD, charged, id_of, in_a_shop, seconds, soon};
use super::super::store::make_unreadable;
use crate::serve::Server;

const START: &str = "2027-01-15T06:00:00Z";
const FEBRUARY: &str = "2027-02-15T06:00:00Z";

#[tokio::test]
async fn created_and_the_limit_of_refunds_follow_the_clock() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let shown = client.get(&format!("/v1/customers/{customer}")).await.ok();
        assert_eq!(shown["created"], seconds(START));
        assert_eq!(shown["cards"]["data"][0]["created"], seconds(START));
        assert_eq!(shown["test_clock"], life.clock.as_str());
        life.advance(FEBRUARY).await;
        let sale = [("amount", "500"), ("currency", "jpy"), ("customer", customer.as_str())];
        let charge = client.post("/v1/charges", &sale).await.ok();
        assert_eq!(
            (&charge["created"], &charge["captured_at"]),
            (&seconds(FEBRUARY).into(), &seconds(FEBRUARY).into())
        );
        let refund = format!("/v1/charges/{}/refund", id_of(&charge));
        life.advance("2027-08-14T06:00:00Z").await;
        client.post(&refund, &[("amount", "100")]).await.ok();
        life.advance("2027-08-14T06:00:01Z").await;
        client.post(&refund, &[("amount", "100")]).await.refused(400, "refund_limit_exceeded");
    })
    .await;
}

#[tokio::test]
async fn two_clocks_side_by_side_do_not_disturb_each_other() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_000, &[("interval", "week")]).await;
            let (one, two) =
                (Life::begin(client, START).await, Life::begin(client, "2050-05-05T05:05:05Z").await);
            let [of_one, of_two] = [one.customer(GOOD).await, two.customer(GOOD).await];
            let in_real_time = client.customer(GOOD).await;
            let first = client.subscribe(&of_one, "basic", &[]).await;
            client.subscribe(&of_two, "basic", &[]).await;
            client.subscribe(&in_real_time, "basic", &[]).await;
            one.advance("2027-03-15T00:00:00Z").await;
            assert_eq!(client.charges(&of_one).await.len(), 9);
            assert_eq!(client.charges(&of_two).await.len(), 1);
            // On their way at once.
            one.set_out("2027-07-15T00:00:00Z").await;
            two.advance("2050-09-05T00:00:00Z").await;
            one.arrive().await;
            assert_eq!(client.charges(&of_one).await.len(), 26);
            assert_eq!(client.charges(&of_two).await.len(), 18);
            assert_eq!(client.charges(&in_real_time).await.len(), 1);
            // One of them goes, with its people; their charges stay.
            client.delete(&format!("/v1/test_clocks/{}", one.clock)).await.ok();
            client.get(&format!("/v1/test_clocks/{}", one.clock)).await.refused(404, "invalid_id");
            client.get(&format!("/v1/customers/{of_one}")).await.refused(404, "invalid_id");
            client.get(&format!("/v1/subscriptions/{}", first.id)).await.refused(404, "invalid_id");
            assert_eq!(client.charges(&of_one).await.len(), 26);
            two.advance("2050-09-12T00:00:00Z").await;
            assert_eq!(client.charges(&of_two).await.len(), 19);
            let listed = client.get("/v1/test_clocks").await.ok();
            assert_eq!((&listed["count"], id_of(&listed["data"][0])), (&1.into(), two.clock.clone()));
        }
    })
    .await;
}

#[tokio::test]
async fn while_a_clock_is_on_its_way_its_customers_are_read_and_not_changed() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        client.plan("trial", 1_000, &[("trial_days", "1")]).await;
        let life = Life::begin(client, START).await;
        let (customer, slow) = (life.customer(GOOD).await, life.customer("sbx_timeout_before_1").await);
        let id = client.subscribe(&customer, "basic", &[]).await.id;
        // The first request of this card hangs: so long the clock stands at the end of the trial.
        client.subscribe(&slow, "trial", &[]).await;
        let token = client.token(GOOD).await;
        life.set_out(FEBRUARY).await;
        let card = client.get(&format!("/v1/customers/{customer}")).await.ok()["default_card"].clone();
        let of_customer = format!("/v1/customers/{customer}");
        let of_card = format!("{of_customer}/cards/{}", card.as_str().unwrap());
        let of_clock = format!("/v1/test_clocks/{}", life.clock);
        let far = seconds("2028-01-01T00:00:00Z").to_string();
        let ours = ("customer", customer.as_str());
        let money = [("amount", "500"), ("currency", "jpy"), ours];
        for (path, form) in [
            (of_customer.clone(), &[("description", "x")] as &[(&str, &str)]),
            (format!("{of_customer}/cards"), &[("card", &token)]),
            (of_card.clone(), &[("name", "x")]),
            ("/v1/customers".to_owned(), &[("test_clock", &life.clock)]),
            ("/v1/charges".to_owned(), &money),
            ("/v1/subscriptions".to_owned(), &[ours, ("plan", "trial")]),
            (format!("/v1/subscriptions/{id}"), &[("metadata[a]", "b")]),
            (format!("/v1/subscriptions/{id}/pause"), &[]),
            (format!("/v1/subscriptions/{id}/cancel"), &[]),
            (format!("/v1/subscriptions/{id}/resume"), &[]),
            (format!("{of_clock}/advance"), &[("frozen_time", &far)]),
        ] {
            client.post(&path, form).await.refused(409, "test_clock_advancing");
        }
        for preview in ["", "&change=cancel", "&quantity=2"] {
            let path = format!("/v1/invoices/preview?subscription={id}&count=2{preview}");
            assert_eq!(client.get(&path).await.ok()["current_period_end"], seconds(FEBRUARY));
        }
        for path in [of_customer.clone(), of_card, format!("/v1/subscriptions/{id}"), of_clock.clone()] {
            client.delete(&path).await.refused(409, "test_clock_advancing");
        }
        assert_eq!(client.subscription(&id).await.status, "active");
        // Nothing of this holds for others.
        client.customer(GOOD).await;
        assert_eq!(client.get(&of_clock).await.ok()["status"], "advancing");
        life.arrive().await;
        let all = [(START, 1_000, "paid"), (FEBRUARY, 1_000, "paid")];
        assert_eq!(client.charges(&customer).await, charged(&all));
        assert_eq!(client.charges(&slow).await, charged(&[("2027-01-16T06:00:00Z", 1_000, "paid")]));
        client.post(&of_customer, &[("description", "x")]).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_clock_goes_forward_only_and_in_test_mode_only() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        for (second, is_right) in [(946_684_799, false), (946_684_800, true), (4_133_980_800_i64, false)] {
            let second = second.to_string();
            let answer = client.post("/v1/test_clocks", &[("frozen_time", &second)]).await;
            if is_right {
                answer.ok();
            } else {
                answer.refused(400, "invalid_timestamp");
            }
        }
        let life = Life::begin(client, START).await;
        let path = format!("/v1/test_clocks/{}/advance", life.clock);
        for to in [seconds(START), seconds(START) - 1] {
            client.post(&path, &[("frozen_time", &to.to_string())]).await.refused(400, "invalid_timestamp");
        }
        client.post(&path, &[]).await.refused(400, "missing_param");
        let far = [("frozen_time", "1900000000")];
        shop.teiki.live.post("/v1/test_clocks", &far).await.refused(400, "test_mode_only");
        shop.teiki.live.post(&path, &far).await.refused(404, "invalid_id");
        let form = [("test_clock", life.clock.as_str())];
        shop.teiki.live.post("/v1/customers", &form).await.refused(400, "invalid_test_clock");
        shop.payjp.test.post("/v1/customers", &form).await.refused(404, "invalid_id");
        // One who has not come to the clock by request never does.
        let customer = client.customer(GOOD).await;
        let form = [("test_clock", life.clock.as_str())];
        client.post(&format!("/v1/customers/{customer}"), &form).await.refused(400, "invalid_param_key");
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_stands_stays_so_when_looking_at_it_fails_and_one_that_fails_shows_where() {
    in_a_shop(async |shop| {
        let (client, db) = (&shop.teiki.test, &shop.installation.db);
        let life = Life::begin(client, START).await;
        let customer = life.customer(GOOD).await;
        let sale = [("amount", "500"), ("currency", "jpy"), ("customer", customer.as_str())];
        let charge = id_of(&client.post("/v1/charges", &sale).await.ok());
        let path = format!("/v1/test_clocks/{}", life.clock);
        make_unreadable(db, &charge, true).await;
        let log = || Server::log(&shop.installation.place);
        soon("a failing look", async || log().contains("could not be found out").then_some(())).await;
        let standing = client.get(&path).await.ok();
        assert_eq!((&standing["status"], &standing["unresolved"]), (&"ready".into(), &1.into()));
        // On its way it cannot go on, and says so once.
        life.set_out(FEBRUARY).await;
        let failed = soon("the end of its way", async || {
            let clock = client.get(&path).await.ok();
            (clock["status"] != "advancing").then_some(clock)
        });
        let failed = failed.await;
        assert_eq!((&failed["status"], &failed["progress"]), (&"failed".into(), &0.into()));
        assert_eq!(
            (&failed["frozen_time"], &failed["target_time"]),
            (&seconds(START).into(), &seconds(FEBRUARY).into())
        );
        soon("another failing look", async || {
            (log().matches("could not be found out").count() > 1).then_some(())
        })
        .await;
        assert_eq!(client.list("/v1/events?type=test_clock.failed").await.len(), 1);
        assert_eq!(client.get(&path).await.ok(), failed);
        make_unreadable(db, &charge, false).await;
        life.advance(FEBRUARY).await;
        assert_eq!(client.get(&path).await.ok()["target_time"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn clocks_that_wait_for_an_unknown_charge_leave_places_to_others() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("trial", 1_000, &[("trial_days", "1")]).await;
        let mut waiting = Vec::new();
        for _ in 0..9 {
            let life = Life::begin(client, START).await;
            let customer = life.customer("sbx_timeout_before_99").await;
            client.subscribe(&customer, "trial", &[]).await;
            life.set_out(FEBRUARY).await;
            waiting.push(life);
        }
        for other in [client, &shop.payjp.test] {
            let life = Life::begin(other, START).await;
            life.advance(FEBRUARY).await;
        }
        for life in waiting {
            let clock = client.get(&format!("/v1/test_clocks/{}", life.clock)).await.ok();
            assert_eq!(clock["status"], "advancing");
        }
    })
    .await;
}
