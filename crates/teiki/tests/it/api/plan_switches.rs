//! Plan switches: all subscriptions of a plan go over to another one from an instant on (specs/billing-cases.md E25, E30).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::{Client, Form};
use super::life::Life;
use super::shop::{GOOD, Merchant, account, charged, id_of, in_a_shop, must_be_well, seconds, soon};
use super::store::{lock_plan, reservations, while_held};
use crate::installation::on_both;
use crate::serve::Server;

/// 2019-10-01 00:00 in Tokyo.
pub(super) const TAX_CHANGE: &str = "2019-09-30T15:00:00Z";

/// Makes a switch, and waits until it is reserved for all.
pub(super) async fn switch(
    client: &Client,
    (plan, next_plan): (&str, &str),
    at: &str,
    exclude: &[&str],
) -> Value {
    let at = seconds(at).to_string();
    let mut form = vec![("plan", plan), ("next_plan", next_plan), ("effective_at", at.as_str())];
    form.extend(exclude.iter().map(|id| ("exclude[]", *id)));
    let made = client.post("/v1/plan_switches", &form).await.ok();
    assert_eq!(made["status"], "reserving");
    settled(client, &id_of(&made)).await
}

/// The switch when nothing of it is left to do.
pub(super) async fn settled(client: &Client, id: &str) -> Value {
    let path = format!("/v1/plan_switches/{id}");
    let done = soon("the end of the work on a plan switch", async || {
        let shown = client.get(&path).await.ok();
        ["scheduled", "undone"].contains(&shown["status"].as_str().unwrap()).then_some(shown)
    });
    done.await
}

/// Undoes a switch, and waits until it is.
pub(super) async fn undo(client: &Client, id: &str) -> Value {
    client.post(&format!("/v1/plan_switches/{id}/undo"), &[]).await.ok();
    settled(client, id).await
}

/// The subscriptions that stand so to a switch, oldest first.
pub(super) async fn members(client: &Client, id: &str, standing: &str) -> Vec<String> {
    let found = client.list(&format!("/v1/plan_switches/{id}/subscriptions?status={standing}")).await;
    found.iter().map(id_of).collect()
}

pub(super) async fn plans(client: &Client) {
    client.plan("basic", 1_080, &[]).await;
    client.plan("plus", 1_100, &[]).await;
    client.plan("other", 500, &[]).await;
}

#[tokio::test]
async fn e30_renewals_before_the_instant_keep_the_old_price_and_those_at_it_have_the_new_one() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            plans(client).await;
            let mut born = Vec::new();
            for at in [
                "2019-08-30T14:59:59Z",
                "2019-08-31T15:00:00Z",
                "2019-08-31T15:00:01Z",
                "2019-09-10T00:00:00Z",
            ] {
                let life = Life::begin(client, at).await;
                let customer = life.customer(GOOD).await;
                let id = client.subscribe(&customer, "basic", &[]).await.id;
                born.push((life, customer, id));
            }
            let excluded = born[3].2.clone();
            let made = switch(client, ("basic", "plus"), TAX_CHANGE, &[&excluded]).await;
            let id = id_of(&made);
            assert_eq!(
                (&made["status"], &made["subscriptions"], &made["amount_before"], &made["amount_after"]),
                (&json!("scheduled"), &json!(3), &json!(3_240), &json!(3_300))
            );
            // Who joins later is listed, and keeps the plan.
            let late = born[0].0.customer(GOOD).await;
            let late_id = client.subscribe(&late, "basic", &[]).await.id;
            assert_eq!(members(client, &id, "joined").await, [late_id]);
            assert_eq!(members(client, &id, "excluded").await, [excluded]);
            let reserved = members(client, &id, "reserved").await;
            assert_eq!(reserved, born[..3].iter().map(|one| one.2.clone()).collect::<Vec<_>>());
            for (life, ..) in &born {
                life.advance("2019-11-05T00:00:00Z").await;
            }
            let prices = async |customer: &str| -> Vec<i64> {
                client.charges(customer).await.into_iter().map(|charge| charge.1).collect()
            };
            assert_eq!(prices(&born[0].1).await, [1_080, 1_080, 1_100], "at 23:59:59");
            assert_eq!(prices(&born[1].1).await, [1_080, 1_100, 1_100], "at 00:00:00");
            assert_eq!(prices(&born[2].1).await, [1_080, 1_100, 1_100], "at 00:00:01");
            assert_eq!(prices(&born[3].1).await, [1_080, 1_080], "left out");
            assert_eq!(prices(&late).await, [1_080, 1_080, 1_080], "joined later");
            assert_eq!(members(client, &id, "switched").await, reserved);
            let now = client.get(&format!("/v1/subscriptions/{}", born[1].2)).await.ok();
            assert_eq!(
                (&now["plan"]["id"], &now["plan_switch"], &now["next_cycle_plan"]),
                (&json!("plus"), &json!(id), &Value::Null)
            );
            client.post(&format!("/v1/plan_switches/{id}/undo"), &[]).await.refused(400, "already_effective");
            let error = [("subscription", born[1].2.as_str())];
            client
                .post(&format!("/v1/plan_switches/{id}/exclude"), &error)
                .await
                .refused(400, "already_effective");
        }
    })
    .await;
}

#[tokio::test]
async fn a_preview_says_who_how_many_and_how_much_and_changes_nothing() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        plans(client).await;
        let life = Life::begin(client, "2019-09-10T00:00:00Z").await;
        let mut ids = Vec::new();
        for quantity in ["1", "2", "5"] {
            let customer = life.customer(GOOD).await;
            ids.push(client.subscribe(&customer, "basic", &[("quantity", quantity)]).await.id);
        }
        let at = seconds(TAX_CHANGE).to_string();
        let form = [
            ("plan", "basic"),
            ("next_plan", "plus"),
            ("effective_at", &at),
            ("exclude[]", &ids[2]),
            ("exclude[]", &ids[2]),
            ("limit", "1"),
        ];
        let seen = client.post("/v1/plan_switches/preview", &form).await.ok();
        let expected = [("subscriptions", 2), ("amount_before", 3_240), ("amount_after", 3_300)];
        for (name, value) in expected {
            assert_eq!(seen[name], value, "{name}");
        }
        assert_eq!(seen["first"].as_array().unwrap().iter().map(id_of).collect::<Vec<_>>(), [ids[1].clone()]);
        assert_eq!(client.list("/v1/plan_switches?").await, Vec::<Value>::new());
        assert_eq!(reservations(&shop.installation.db).await, 0);
        let made = switch(client, ("basic", "plus"), TAX_CHANGE, &[&ids[2], &ids[2]]).await;
        assert_eq!(made["exclude"], json!([ids[2]]));
        for (name, value) in expected {
            assert_eq!(made[name], value, "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_waits_for_nobody_who_writes() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        plans(client).await;
        client.subscribe(&client.customer(GOOD).await, "basic", &[]).await;
        let at = seconds("2099-01-01T00:00:00Z").to_string();
        let form = [("plan", "basic"), ("next_plan", "plus"), ("effective_at", at.as_str())];
        let previewing = async {
            let seen = client.post("/v1/plan_switches/preview", &form).await.ok();
            assert_eq!((&seen["subscriptions"], &seen["amount_after"]), (&json!(1), &json!(1_100)));
        };
        while_held(&shop.installation.db, |tx| lock_plan(tx, "basic"), previewing).await;
    })
    .await;
}

#[tokio::test]
async fn e25_the_later_order_wins() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        plans(client).await;
        let life = Life::begin(client, "2019-09-10T00:00:00Z").await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            let customer = life.customer(GOOD).await;
            ids.push((client.subscribe(&customer, "basic", &[]).await.id, customer));
        }
        // By request before the switch, and after it; a change at once; a cancel before, and after it.
        client.act(&ids[0].0, "", &[("next_cycle_plan", "other")]).await.ok();
        client.act(&ids[3].0, "cancel", &[]).await.ok();
        let first = id_of(&switch(client, ("basic", "plus"), TAX_CHANGE, &[]).await);
        assert_eq!(members(client, &first, "reserved").await.len(), 5);
        client.act(&ids[1].0, "", &[("next_cycle_plan", "other")]).await.ok();
        client.act(&ids[2].0, "", &[("plan", "other")]).await.ok();
        client.act(&ids[4].0, "cancel", &[]).await.ok();
        let left = members(client, &first, "reserved").await;
        assert_eq!(left, [ids[0].0.clone(), ids[3].0.clone(), ids[4].0.clone()]);
        // Another switch replaces the first for whom it is.
        client.plan("third", 2_000, &[]).await;
        let second = id_of(&switch(client, ("basic", "third"), TAX_CHANGE, &[&ids[1].0, &ids[4].0]).await);
        assert_eq!(members(client, &first, "reserved").await, [ids[4].0.clone()]);
        // Of the first one only that which has ended is left: undone, nobody is counted.
        let undone = undo(client, &first).await;
        assert_eq!((&undone["subscriptions"], &undone["amount_after"]), (&json!(0), &json!(0)));
        client.act(&ids[3].0, "resume", &[]).await.ok();
        life.advance("2019-10-12T00:00:00Z").await;
        let last = async |place: usize| client.charges(&ids[place].1).await.pop().unwrap();
        let renewed = "2019-10-10T00:00:00Z";
        assert_eq!(last(0).await, charged(&[(renewed, 2_000, "paid")])[0]);
        assert_eq!(last(1).await, charged(&[(renewed, 500, "paid")])[0], "by request, after the switch");
        assert_eq!(last(2).await, charged(&[(renewed, 500, "paid")])[0], "changed at once");
        assert_eq!(last(3).await, charged(&[(renewed, 2_000, "paid")])[0], "its end was undone");
        assert_eq!(client.charges(&ids[4].1).await.len(), 1, "it has ended");
        assert_eq!(members(client, &second, "switched").await, [ids[0].0.clone(), ids[3].0.clone()]);
    })
    .await;
}

#[tokio::test]
async fn undone_everything_is_as_it_was() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            plans(client).await;
            client.plan("yearly", 12_000, &[("interval", "year")]).await;
            let life = Life::begin(client, "2019-09-10T00:00:00Z").await;
            let mut ids = Vec::new();
            for quantity in ["1", "3", "1", "1"] {
                let customer = life.customer(GOOD).await;
                ids.push(client.subscribe(&customer, "basic", &[("quantity", quantity)]).await.id);
            }
            // One with a price of a person, one with another plan for its next cycle, one that is paused.
            let path = format!("/v1/invoices?subscription={}&status=scheduled", ids[0]);
            let invoice = format!("/v1/invoices/{}", id_of(&client.list(&path).await[0]));
            let moved = seconds("2019-10-20T00:00:00Z").to_string();
            client.post(&invoice, &[("amount", "700"), ("due_at", &moved)]).await.ok();
            client.act(&ids[1], "", &[("next_cycle_plan", "other")]).await.ok();
            client.act(&ids[2], "pause", &[]).await.ok();
            let state = async || {
                let mut invoices = client.list("/v1/invoices?").await;
                invoices.extend(client.list("/v1/subscriptions?").await);
                invoices
            };
            let before = state().await;
            for next_plan in ["plus", "yearly"] {
                let made = switch(client, ("basic", next_plan), TAX_CHANGE, &[]).await;
                assert_eq!(made["subscriptions"], 4);
                let changed = state().await;
                assert_ne!(changed, before);
                // One on the way, the others at once.
                let path = format!("/v1/plan_switches/{}/exclude", id_of(&made));
                for id in [&ids[0], &ids[0]] {
                    client.post(&path, &[("subscription", id)]).await.ok();
                }
                client
                    .post(&path, &[("subscription", "sub_none")])
                    .await
                    .refused(400, "invalid_subscription");
                let undone = undo(client, &id_of(&made)).await;
                assert_eq!((&undone["status"], &undone["subscriptions"]), (&json!("undone"), &json!(0)));
                assert_eq!((&undone["amount_before"], &undone["amount_after"]), (&json!(0), &json!(0)));
                assert!(undone["undone_by"].as_str().is_some() && undone["undone_at"].is_i64());
                assert_eq!(state().await, before, "{next_plan}");
                let path = format!("/v1/plan_switches/{}", id_of(&made));
                client.post(&format!("{path}/undo"), &[]).await.refused(400, "already_undone");
                client
                    .post(&format!("{path}/exclude"), &[("subscription", &ids[1])])
                    .await
                    .refused(400, "already_undone");
                // What is left is the audit.
                assert_eq!(client.get(&path).await.ok(), undone);
                for kind in ["created", "scheduled", "undone"] {
                    let told = format!("/v1/events?resource_id={}&type=plan_switch.{kind}", id_of(&made));
                    assert_eq!(client.list(&told).await.len(), 1, "{kind}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_switch_is_asked_to_be_is_checked() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        plans(client).await;
        let customer = client.customer(GOOD).await;
        let other = client.subscribe(&customer, "other", &[]).await.id;
        let at = seconds("2090-01-01T00:00:00Z").to_string();
        let right: [(&str, &str); 3] = [("plan", "basic"), ("next_plan", "plus"), ("effective_at", &at)];
        let wrong: [(&str, &str, u16, &str); 8] = [
            ("plan", "none", 404, "invalid_plan"),
            ("next_plan", "none", 404, "invalid_plan"),
            ("next_plan", "basic", 400, "invalid_plan"),
            ("effective_at", "soon", 400, "invalid_effective_at"),
            ("exclude[]", "sub_none", 400, "invalid_subscription"),
            ("exclude[]", &other, 400, "invalid_subscription"),
            ("exclude[a]", "b", 400, "invalid_subscription"),
            ("color", "red", 400, "invalid_param_key"),
        ];
        for (name, value, status, code) in wrong {
            let mut form: Vec<(&str, &str)> = right.into_iter().filter(|given| given.0 != name).collect();
            form.push((name, value));
            for path in ["/v1/plan_switches", "/v1/plan_switches/preview"] {
                let error = client.post(path, &form).await.refused(status, code);
                assert_eq!(error["param"], name.trim_end_matches("[]").trim_end_matches("[a]"), "{name}");
            }
        }
        for missing in right {
            let form: Vec<(&str, &str)> = right.into_iter().filter(|given| *given != missing).collect();
            client.post("/v1/plan_switches", &form).await.refused(400, "missing_param");
        }
        let live: Form<'_> = &[("plan", "a"), ("next_plan", "b"), ("effective_at", "1000000000")];
        for id in ["a", "b"] {
            shop.teiki.live.plan(id, 1_000, &[]).await;
        }
        shop.teiki.live.post("/v1/plan_switches", live).await.refused(400, "invalid_effective_at");
        client.get("/v1/plan_switches/psw_none").await.refused(404, "invalid_id");
        let made = switch(client, ("basic", "plus"), "2090-01-01T00:00:00Z", &[]).await;
        assert_eq!((&made["status"], &made["subscriptions"]), (&json!("scheduled"), &json!(0)));
        client
            .get(&format!("/v1/plan_switches/{}/subscriptions?status=gone", id_of(&made)))
            .await
            .refused(400, "invalid_status");
    })
    .await;
}

#[tokio::test]
async fn who_is_on_the_way_is_reserved_when_its_clock_has_arrived() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_080, &[("interval", "day")]).await;
        client.plan("plus", 1_100, &[("interval", "day")]).await;
        let life = Life::begin(client, "2019-09-10T00:00:00Z").await;
        let customer = life.customer(GOOD).await;
        client.subscribe(&customer, "basic", &[]).await;
        life.set_out("2019-12-10T00:00:00Z").await;
        let made = switch(client, ("basic", "plus"), "2019-12-12T00:00:00Z", &[]).await;
        assert_eq!(made["subscriptions"], 1);
        life.arrive().await;
        life.advance("2019-12-13T00:00:00Z").await;
        let last: Vec<i64> =
            client.charges(&customer).await.into_iter().rev().take(3).map(|charge| charge.1).collect();
        assert_eq!(last, [1_100, 1_100, 1_080]);
    })
    .await;
}

/// As many as the requirement names.
const MANY: usize = 10_000;

/// An account whose test clock stands before the tax change, with that many subscribers who renew around it.
fn imported(place: &crate::place::Place) -> Value {
    let created = account(place, "many");
    let id = created["account"].as_str().unwrap();
    place.write(
        "plans.csv",
        "id,name,amount,currency,tax_category,interval,interval_count,trial_days,setup_fee,instalments\n\
         basic,Basic,1080,jpy,standard,month,1,0,0,\nplus,Plus,1100,jpy,standard,month,1,0,0,\n",
    );
    let mut rows = String::from(
        "customer_id,name,email,plan_id,billing_anchor,next_charge_on,remaining_charges,valid_until,gateway,payment_token,card_brand,card_last4,card_exp\n",
    );
    for number in 0..MANY {
        let (anchor, next) = [
            ("2019-08-29", "2019-09-29"),
            ("2019-08-30", "2019-09-30"),
            ("2019-09-01", "2019-10-01"),
            ("2019-09-02", "2019-10-02"),
        ][number % 4];
        rows.push_str(&format!(
            "c{number},n,n@example.com,basic,{anchor},{next},,,sandbox,sbx_ok.{number},Visa,4242,2032-08\n"
        ));
    }
    place.write("subscribers.csv", &rows);
    let files = ["--plans", "plans.csv", "--subscribers", "subscribers.csv"];
    let clock = ["--clock", "2019-09-20T00:00:00+09:00"];
    assert_eq!(place.run(&[&["import", "--account", id][..], &files, &clock].concat()).code, 0);
    created
}

/// How many charges there are of a day and an amount.
fn collected(place: &crate::place::Place, account: &str) -> BTreeMap<(String, String), usize> {
    place.run(&["export", "charges", "--account", account, "--output", "charges.csv"]).text();
    let text = std::fs::read_to_string(place.file("charges.csv")).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().trim_start_matches('\u{feff}').split(',').collect();
    let column = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let (on, amount, status) = (column("due_on"), column("amount"), column("status"));
    let mut counts = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[status], "succeeded");
        *counts.entry((fields[on].to_owned(), fields[amount].to_owned())).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn ten_thousand_are_switched_at_the_tax_change_and_an_undone_switch_leaves_nothing() {
    on_both(async |installation| {
        let created = imported(&installation.place);
        let account = created["account"].as_str().unwrap();
        let server = Server::start(&installation.place, &[]);
        let client = Merchant::new(&created, &server.url()).test;
        let invoices = || {
            installation
                .place
                .run(&["export", "invoices", "--account", account, "--output", "invoices.csv"])
                .text();
            std::fs::read_to_string(installation.place.file("invoices.csv")).unwrap()
        };
        let before = invoices();
        let made = switch(&client, ("basic", "plus"), TAX_CHANGE, &[]).await;
        assert_eq!(made["subscriptions"], MANY);
        assert_eq!(reservations(&installation.db).await, i64::try_from(MANY).unwrap());
        assert_ne!(invoices(), before, "those that renew from the instant on are repriced");
        assert_eq!(undo(&client, &id_of(&made)).await["status"], "undone");
        assert_eq!(reservations(&installation.db).await, 0);
        assert_eq!(invoices(), before, "nothing is left of it");
        switch(&client, ("basic", "plus"), TAX_CHANGE, &[]).await;
        let clock = client.get("/v1/account_settings").await.ok()["test_clock"].as_str().unwrap().to_owned();
        let life = Life { client: &client, clock };
        life.advance("2019-10-03T00:00:00Z").await;
        let quarter = MANY / 4;
        let expected =
            [("2019-09-29", "1080"), ("2019-09-30", "1080"), ("2019-10-01", "1100"), ("2019-10-02", "1100")];
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(on, yen)| ((on.to_owned(), yen.to_owned()), quarter)).collect();
        assert_eq!(collected(&installation.place, account), expected);
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}
