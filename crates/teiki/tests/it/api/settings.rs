//! Settings of an account: over HTTP, on the command line, and what they affect.

use serde_json::{Value, json};

use super::client::Client;
use super::life::Life;
use super::shop::{DECLINED, GOOD, charged, id_of, in_a_shop};
use crate::installation::on_both;

const PATH: &str = "/v1/account_settings";
const START: &str = "2027-01-15T06:00:00Z";

/// What an account has that was made without any.
fn by_default() -> Value {
    json!({
        "object": "account_settings", "calendar": "anchor", "renewal_failure": "open", "zone": "Asia/Tokyo",
        "charge_window": "09:00", "test_clock": null, "rate_limits": "generous", "email": null,
    })
}

async fn settings(client: &Client) -> Value {
    client.get(PATH).await.ok()
}

#[tokio::test]
async fn each_setting_is_changed_alone_and_shown_in_its_own_form() {
    // Name, what is sent, what is shown.
    const TABLE: [(&str, &str, &str); 9] = [
        ("calendar", "payjp", "payjp"),
        ("renewal_failure", "payjp", "payjp"),
        ("zone", "America/New_York", "America/New_York"),
        ("zone", "utc", "UTC"),
        ("zone", "asia/tokyo", "Asia/Tokyo"),
        ("charge_window", "00:00", "00:00"),
        ("charge_window", "23:59", "23:59"),
        ("email", "shop@example.com", "shop@example.com"),
        ("email", "", ""),
    ];
    in_a_shop(async |shop| {
        let (client, live) = (&shop.teiki.test, &shop.teiki.live);
        let mut expected = by_default();
        assert_eq!(settings(client).await, expected);
        for (name, sent, shown) in TABLE {
            expected[name] = if shown.is_empty() { Value::Null } else { shown.into() };
            assert_eq!(client.post(PATH, &[(name, sent)]).await.ok(), expected, "{name}={sent}");
            // Both modes have the same.
            assert_eq!((settings(client).await, settings(live).await), (expected.clone(), expected.clone()));
        }
        let clock = Life::begin(client, START).await.clock;
        let following = client.post(PATH, &[("test_clock", &clock)]).await.ok();
        assert_eq!(following["test_clock"], clock);
        let made = client.post("/v1/customers", &[]).await.ok();
        assert_eq!(made["test_clock"], clock);
        client.post(PATH, &[("test_clock", "")]).await.ok();
        assert_eq!(client.post("/v1/customers", &[]).await.ok()["test_clock"], Value::Null);
        assert_eq!(settings(client).await, expected);
        // The command line shows and takes the same.
        let account = shop.teiki.account.as_str();
        let set =
            |setting: &str| shop.installation.run(&["account", "set", account, setting, "--json"]).json();
        expected["charge_window"] = "10:30".into();
        assert_eq!(set("charge_window=10:30"), expected);
        // PAY.JP's own limits are lower than what this test asks, so it does not stay with them.
        expected["rate_limits"] = "payjp".into();
        assert_eq!(client.post(PATH, &[("rate_limits", "payjp")]).await.ok(), expected);
        expected["rate_limits"] = "generous".into();
        assert_eq!(set("rate_limits=generous"), expected);
        expected["email"] = "shop@example.com".into();
        assert_eq!(set("email=shop@example.com"), expected);
        assert_eq!(settings(client).await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_setting_is_refused_by_name_and_changes_nothing() {
    const TABLE: [(&str, &str); 16] = [
        ("calendar", "julian"),
        ("calendar", "Payjp"),
        ("renewal_failure", "retry"),
        ("zone", "Asia/Edo"),
        ("zone", ""),
        ("charge_window", "9:00"),
        ("charge_window", "24:00"),
        ("charge_window", "09:60"),
        ("charge_window", ""),
        ("test_clock", "clk_00000000000000000000000000000"),
        ("rate_limits", "none"),
        ("email", "notmail"),
        ("email", "a b@example.com"),
        ("email", "a@example.com\r\nbcc: b@example.com"),
        ("email", "a@example.com\u{7}"),
        ("email", "@"),
    ];
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        for (name, wrong) in TABLE {
            let other = if name == "calendar" { ("rate_limits", "payjp") } else { ("calendar", "payjp") };
            let error = client.post(PATH, &[other, (name, wrong)]).await.refused(400, "invalid_setting");
            assert_eq!(error["param"], name, "{name}={wrong:?}");
            // The message does not break lines.
            let message = error["message"].as_str().unwrap();
            assert!(!message.contains(char::is_control), "{message:?}");
            // The same on the command line.
            let setting = format!("{name}={wrong}");
            let ran = shop.installation.run(&["account", "set", &shop.teiki.account, &setting]);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
            assert!(ran.error.contains(name), "{ran:?}");
        }
        client.post(PATH, &[("colour", "green")]).await.refused(400, "invalid_param_key");
        let long = format!("{}@example.com", "a".repeat(250));
        client.post(PATH, &[("email", &long)]).await.refused(400, "invalid_string_length");
        // A test clock of somebody else is none.
        let theirs = Life::begin(&shop.payjp.test, START).await.clock;
        let error = client.post(PATH, &[("test_clock", &theirs)]).await.refused(400, "invalid_setting");
        assert_eq!(error["param"], "test_clock");
        assert_eq!(settings(client).await, by_default());
    })
    .await;
}

#[tokio::test]
async fn a_changed_setting_is_for_new_subscriptions_only() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        // Midnight of the first of June in Japan: the calendars part here.
        let life = Life::begin(client, "2019-05-31T15:00:00Z").await;
        let mut made = Vec::new();
        for way in [("anchor", "open"), ("payjp", "payjp"), ("anchor", "payjp"), ("payjp", "open")] {
            client.post(PATH, &[("calendar", way.0), ("renewal_failure", way.1)]).await.ok();
            let customer = life.customer(GOOD).await;
            let id = client.subscribe(&customer, "basic", &[]).await.id;
            made.push((id, customer, way));
        }
        client.post(PATH, &[("calendar", "anchor"), ("renewal_failure", "open")]).await.ok();
        life.advance("2019-07-31T15:00:00Z").await;
        let ways = async || {
            for (id, _, way) in &made {
                let shown = client.get(&format!("/v1/subscriptions/{id}")).await.ok();
                assert_eq!((&shown["calendar"], &shown["renewal_failure"]), (&way.0.into(), &way.1.into()));
            }
        };
        ways().await;
        for (_, customer, way) in &made {
            let last = client.charges(customer).await.pop().unwrap().0;
            let expected = if way.0 == "anchor" { "2019-07-31T15:00:00Z" } else { "2019-07-30T15:00:00Z" };
            assert_eq!(last, expected, "{way:?}");
            client.pay_with(customer, DECLINED).await;
        }
        life.advance("2019-09-01T00:00:00Z").await;
        ways().await;
        for (id, _, way) in &made {
            let expected = if way.1 == "open" { "past_due" } else { "paused" };
            assert_eq!(client.subscription(id).await.status, expected, "{way:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_zone_stays_while_dates_are_counted_in_it() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("basic", 1_000, &[]).await;
        let life = Life::begin(client, START).await;
        let (one, other) = (life.customer(GOOD).await, life.customer(GOOD).await);
        let id = client.subscribe(&one, "basic", &[]).await.id;
        client.subscribe(&other, "basic", &[]).await;
        let away = [("zone", "Europe/Paris")];
        let locked = async |client: &Client| {
            let error = client.post(PATH, &away).await.refused(400, "invalid_setting");
            assert_eq!(error["param"], "zone");
            assert!(
                error["message"].as_str().unwrap().contains("while the account has subscriptions"),
                "{error}"
            );
        };
        // The zone is that of both modes. What it is already can be said again.
        locked(client).await;
        locked(&shop.teiki.live).await;
        client.post(PATH, &[("zone", "asia/tokyo"), ("charge_window", "10:00")]).await.ok();
        client.delete(&format!("/v1/subscriptions/{id}")).await.ok();
        locked(client).await;
        client.delete(&format!("/v1/customers/{other}")).await.ok();
        // Deleted ones have no dates to come.
        assert_eq!(client.post(PATH, &away).await.ok()["zone"], "Europe/Paris");
        let made = client.subscribe(&one, "basic", &[]).await;
        assert_eq!(made.status, "active");
    })
    .await;
}

#[tokio::test]
async fn another_charge_window_is_for_what_is_scheduled_from_then_on() {
    in_a_shop(async |shop| {
        let client = &shop.teiki.test;
        client.plan("first", 1_000, &[("billing_day", "1")]).await;
        client.plan("basic", 700, &[]).await;
        let life = Life::begin(client, START).await;
        let [by_day, by_instant] = [life.customer(GOOD).await, life.customer(GOOD).await];
        client.subscribe(&by_day, "first", &[]).await;
        client.subscribe(&by_instant, "basic", &[]).await;
        client.post(PATH, &[("charge_window", "15:00")]).await.ok();
        life.advance("2027-04-01T06:00:00Z").await;
        // Nine in Japan as it was announced, then three in the afternoon.
        let all = [
            ("2027-02-01T00:00:00Z", 1_000, "paid"),
            ("2027-03-01T06:00:00Z", 1_000, "paid"),
            ("2027-04-01T06:00:00Z", 1_000, "paid"),
        ];
        assert_eq!(client.charges(&by_day).await, charged(&all));
        // An anchor with a time of day has its own.
        let all = [START, "2027-02-15T06:00:00Z", "2027-03-15T06:00:00Z"].map(|at| (at, 700, "paid"));
        assert_eq!(client.charges(&by_instant).await, charged(&all));
    })
    .await;
}

#[tokio::test]
async fn an_account_is_made_with_settings_or_not_at_all() {
    // Name of the setting, its flag, what is given, and what is shown; what is wrong has nothing to show.
    const TABLE: [(&str, &str, &str, Option<&str>); 12] = [
        ("calendar", "--calendar", "payjp", Some("payjp")),
        ("renewal_failure", "--renewal-failure", "payjp", Some("payjp")),
        ("charge_window", "--charge-window", "10:30", Some("10:30")),
        ("rate_limits", "--rate-limits", "payjp", Some("payjp")),
        ("zone", "--zone", "europe/paris", Some("Europe/Paris")),
        ("email", "--email", "shop@example.com", Some("shop@example.com")),
        ("calendar", "--calendar", "julian", None),
        ("renewal_failure", "--renewal-failure", "never", None),
        ("charge_window", "--charge-window", "noon", None),
        ("rate_limits", "--rate-limits", "none", None),
        ("zone", "--zone", "Asia/Edo", None),
        ("email", "--email", "bad", None),
    ];
    on_both(async |installation| {
        let mut made = Vec::new();
        for (name, flag, value, shown) in TABLE {
            let ran = installation.run(&["account", "create", "one", flag, value, "--json"]);
            match shown {
                Some(shown) => made.push((id_of_account(&ran.json()), name, shown)),
                None => {
                    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
                    assert!(ran.error.contains(name), "{ran:?}");
                }
            }
        }
        for (account, name, shown) in &made {
            let mut expected = by_default();
            expected[*name] = (*shown).into();
            // Setting what there is changes nothing, and shows it.
            let setting = format!("{name}={shown}");
            assert_eq!(installation.run(&["account", "set", account, &setting, "--json"]).json(), expected);
        }
        let status = installation.run(&["status", "--json"]).json();
        assert_eq!(status["accounts"].as_array().unwrap().len(), made.len(), "{status}");
    })
    .await;
}

fn id_of_account(created: &Value) -> String {
    id_of(&json!({"id": created["account"]}))
}
