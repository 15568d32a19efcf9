//! Undoing plan switches: what comes back is what is still there, and nobody is switched by one that is undone.

use serde_json::{Value, json};

use super::client::Client;
use super::life::Life;
use super::plan_switches::{TAX_CHANGE, members, plans, settled, switch, undo};
use super::shop::{GOOD, charged, id_of, in_a_shop, seconds};

/// A customer of basic since September, whose October renewal has the next plan.
async fn member(life: &Life<'_>) -> String {
    let customer = life.customer(GOOD).await;
    life.client.subscribe(&customer, "basic", &[]).await.id
}

/// A subscription and its scheduled invoice.
async fn shown(client: &Client, id: &str) -> (Value, Value) {
    let path = format!("/v1/invoices?subscription={id}&status=scheduled");
    let [invoice] = <[Value; 1]>::try_from(client.list(&path).await).unwrap();
    (client.get(&format!("/v1/subscriptions/{id}")).await.ok(), invoice)
}

/// Edits the scheduled invoice.
async fn agree(client: &Client, id: &str, form: &[(&str, &str)]) {
    let invoice = id_of(&shown(client, id).await.1);
    client.post(&format!("/v1/invoices/{invoice}"), form).await.ok();
}

#[tokio::test]
async fn a_switch_that_was_undone_does_not_come_back_when_the_one_over_it_goes() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            plans(client).await;
            let life = Life::begin(client, "2019-09-10T00:00:00Z").await;
            let id = member(&life).await;
            agree(client, &id, &[("amount", "700")]).await;
            let before = shown(client, &id).await;
            for leaves_out in [false, true] {
                let first = id_of(&switch(client, ("basic", "plus"), TAX_CHANGE, &[]).await);
                let second = id_of(&switch(client, ("basic", "other"), TAX_CHANGE, &[]).await);
                assert_eq!(shown(client, &id).await.1["amount"], 500);
                if leaves_out {
                    let form = [("subscription", id.as_str())];
                    client.post(&format!("/v1/plan_switches/{first}/exclude"), &form).await.ok();
                } else {
                    undo(client, &first).await;
                }
                assert_eq!(shown(client, &id).await.0["plan_switch"], json!(second));
                undo(client, &second).await;
                assert_eq!(shown(client, &id).await, before, "left out: {leaves_out}");
            }
            // One that stands does.
            let first = id_of(&switch(client, ("basic", "plus"), TAX_CHANGE, &[]).await);
            let second = id_of(&switch(client, ("basic", "other"), TAX_CHANGE, &[]).await);
            undo(client, &second).await;
            let (subscription, invoice) = shown(client, &id).await;
            assert_eq!((&subscription["plan_switch"], &invoice["amount"]), (&json!(first), &json!(1_100)));
            undo(client, &first).await;
            assert_eq!(shown(client, &id).await, before);
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_person_agreed_after_a_switch_stays_when_it_is_undone() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        plans(client).await;
        client.plan("weekly", 300, &[("interval", "week")]).await;
        let life = Life::begin(client, "2019-09-10T00:00:00Z").await;
        let (priced, more, moved) = (member(&life).await, member(&life).await, member(&life).await);
        for id in [&priced, &more, &moved] {
            agree(client, id, &[("amount", "700")]).await;
        }
        let day = seconds("2019-10-25T00:00:00Z").to_string();
        agree(client, &moved, &[("due_at", &day)]).await;
        let before = shown(client, &moved).await;
        let made = id_of(&switch(client, ("basic", "weekly"), TAX_CHANGE, &[]).await);
        // The day is not one of the week that is paid now.
        assert_eq!(shown(client, &moved).await.1["due_at"], seconds("2019-10-10T00:00:00Z"));
        agree(client, &priced, &[("amount", "500"), ("memo", "agreed")]).await;
        client.act(&more, "", &[("quantity", "3")]).await.ok();
        undo(client, &made).await;
        let (_, invoice) = shown(client, &priced).await;
        assert_eq!(
            (&invoice["amount"], &invoice["memo"], &invoice["plan"]),
            (&json!(500), &json!("agreed"), &json!("basic"))
        );
        // Three cost what three cost: the price was for one.
        assert_eq!(shown(client, &more).await.1["amount"], 3_240);
        assert_eq!(shown(client, &moved).await, before);
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_was_deleted_meanwhile_is_not_reserved_again() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        plans(client).await;
        let life = Life::begin(client, "2019-09-10T00:00:00Z").await;
        let id = member(&life).await;
        let before = shown(client, &id).await;
        client.act(&id, "", &[("next_cycle_plan", "other")]).await.ok();
        let made = id_of(&switch(client, ("basic", "plus"), TAX_CHANGE, &[]).await);
        client.delete("/v1/plans/other").await.ok();
        undo(client, &made).await;
        assert_eq!(shown(client, &id).await, before);
    })
    .await;
}

#[tokio::test]
async fn a_switch_that_someone_has_done_is_not_undone_also_when_they_have_gone_on() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            plans(client).await;
            let life = Life::begin(client, "2019-09-10T00:00:00Z").await;
            let later = Life::begin(client, "2019-09-10T00:00:00Z").await;
            let (id, other) = (member(&life).await, member(&later).await);
            let made = id_of(&switch(client, ("basic", "plus"), TAX_CHANGE, &[]).await);
            life.advance("2019-10-10T00:00:00Z").await;
            client.act(&id, "", &[("next_cycle_plan", "other")]).await.ok();
            let path = format!("/v1/plan_switches/{made}/undo");
            client.post(&path, &[]).await.refused(400, "already_effective");
            let form = [("subscription", other.as_str())];
            client.post(&format!("/v1/plan_switches/{made}/exclude"), &form).await.ok();
        }
    })
    .await;
}

/// Whichever comes first: the undo is refused, or nobody is switched.
#[tokio::test]
async fn members_on_their_way_are_not_switched_by_a_switch_that_is_undone() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            client.plan("basic", 1_080, &[("interval", "day")]).await;
            client.plan("plus", 1_100, &[("interval", "day")]).await;
            let life = Life::begin(client, "2019-08-20T00:00:00Z").await;
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            let made = id_of(&switch(client, ("basic", "plus"), TAX_CHANGE, &[]).await);
            life.set_out("2019-10-03T00:00:00Z").await;
            let answer = client.post(&format!("/v1/plan_switches/{made}/undo"), &[]).await;
            life.arrive().await;
            let is_undone = answer.status == 200;
            let now = settled(client, &made).await;
            assert_eq!(now["status"], if is_undone { "undone" } else { "scheduled" });
            let (plan, yen) = if is_undone { ("basic", 1_080) } else { ("plus", 1_100) };
            assert_eq!(client.subscription(&id).await.plan.id, plan);
            let last = client.charges(&customer).await.pop().unwrap();
            assert_eq!(last, charged(&[("2019-10-03T00:00:00Z", yen, "paid")])[0]);
            let path = format!("/v1/plan_switches/{made}/subscriptions?status=switched");
            assert_eq!(client.list(&path).await.len(), usize::from(!is_undone));
        }
    })
    .await;
}

#[tokio::test]
async fn a_resume_and_the_end_of_a_trial_do_a_switch_whose_time_has_come() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            plans(client).await;
            let life = Life::begin(client, "2019-09-10T00:00:00Z").await;
            let (paused, early) = (member(&life).await, member(&life).await);
            let customer = life.customer(GOOD).await;
            let end = seconds("2019-12-24T00:00:00Z").to_string();
            let trial = client.subscribe(&customer, "basic", &[("trial_end", &end)]).await.id;
            let made = id_of(&switch(client, ("basic", "plus"), TAX_CHANGE, &[]).await);
            for id in [&paused, &early] {
                client.act(id, "pause", &[]).await.ok();
            }
            // Before its time it is not the switch that is done, but what is ordered.
            client.act(&early, "resume", &[]).await.ok();
            client.act(&early, "", &[("plan", "plus"), ("prorate", "false")]).await.ok();
            assert_eq!(
                client.get(&format!("/v1/subscriptions/{early}")).await.ok()["plan_switch"],
                Value::Null
            );
            life.advance("2019-10-20T00:00:00Z").await;
            client.act(&paused, "resume", &[]).await.ok();
            client.act(&trial, "", &[("trial_end", "now")]).await.ok();
            for id in [&paused, &trial] {
                let shown = client.get(&format!("/v1/subscriptions/{id}")).await.ok();
                assert_eq!((id_of(&shown["plan"]).as_str(), &shown["plan_switch"]), ("plus", &json!(made)));
            }
            let mut switched = members(client, &made, "switched").await;
            switched.sort();
            let mut both = vec![paused, trial];
            both.sort();
            assert_eq!(switched, both);
            let path = format!("/v1/plan_switches/{made}/undo");
            client.post(&path, &[]).await.refused(400, "already_effective");
        }
    })
    .await;
}
