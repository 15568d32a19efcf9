//! Revoking and rolling, here and from the command line; the last secret key stays.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use teiki::api_keys::{find_caller, key_hash};

use super::super::client::Client;
use super::super::shop::{Shop, id_of, in_a_shop};
use super::{ids, made, opens, secret_of, shown};

/// Whether the key in this answer opens anything at this second.
async fn opens_at(shop: &Shop<'_>, body: &Value, second: i64) -> bool {
    let now = Timestamp::from_second(second).unwrap();
    let hash = key_hash(secret_of(body));
    shop.installation.db.read(move |tx| find_caller(tx, &hash, now)).await.unwrap().is_some()
}

async fn roll(owner: &Client, id: &str, expires_in: &str) -> super::super::client::Answer {
    let form: &[(&str, &str)] = if expires_in.is_empty() { &[] } else { &[("expires_in", expires_in)] };
    owner.post(&format!("/v1/api_keys/{id}/roll"), form).await
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_from_then_on() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        for kind in ["secret", "public", "restricted"] {
            let (body, client) = made(owner, kind, &[]).await;
            let path = format!("/v1/api_keys/{}", id_of(&body));
            assert!(opens(&client).await);
            let revoked = owner.delete(&path).await.ok();
            client.get("/v1/accounts/brands").await.refused(401, "invalid_api_key");
            assert!(revoked["revoked_at"].as_i64().unwrap() >= body["created"].as_i64().unwrap());
            // Again it stays as it is.
            assert_eq!(owner.delete(&path).await.ok()["revoked_at"], revoked["revoked_at"]);
            assert_eq!(owner.post(&path, &[("name", "old")]).await.ok()["name"], "old");
            owner.post(&format!("{path}/roll"), &[]).await.refused(400, "api_key_not_in_use");
        }
    })
    .await;
}

#[tokio::test]
async fn a_rolled_key_lives_until_it_expires_and_its_successor_stays() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let (old, client) = made(owner, "restricted", &[("name", "reports")]).await;
        let id = id_of(&old);
        let new = roll(owner, &id, "3600").await.ok();
        assert_eq!((&new["kind"], &new["name"]), (&old["kind"], &old["name"]));
        assert_eq!((&new["expires_at"], &new["revoked_at"]), (&json!(null), &json!(null)));
        assert!(opens(&client).await && opens(&owner.with_key(secret_of(&new))).await);
        let expires_at = shown(owner, &id).await["expires_at"].as_i64().unwrap();
        assert_eq!(expires_at, new["created"].as_i64().unwrap() + 3_600);
        // Stored to the microsecond, shown in seconds.
        for (second, is_alive) in [(expires_at - 1, true), (expires_at, true), (expires_at + 1, false)] {
            assert_eq!(opens_at(shop, &old, second).await, is_alive, "{second}");
            assert!(opens_at(shop, &new, second).await);
        }
        // Rolled again it does not live longer, but may end sooner.
        roll(owner, &id, "604800").await.ok();
        assert_eq!(shown(owner, &id).await["expires_at"], expires_at);
        roll(owner, &id, "60").await.ok();
        assert!(shown(owner, &id).await["expires_at"].as_i64().unwrap() < expires_at);
        roll(owner, &id, "").await.ok();
        assert!(!opens(&client).await);
        roll(owner, &id, "60").await.refused(400, "api_key_not_in_use");
        for wrong in ["-1", "604801", "soon"] {
            roll(owner, &id_of(&new), wrong).await.refused(400, "invalid_numerical_value");
        }
    })
    .await;
}

#[tokio::test]
async fn an_expired_key_is_no_key() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let (body, client) = made(owner, "public", &[]).await;
        let past =
            Timestamp::from_second(body["created"].as_i64().unwrap()).unwrap() - SignedDuration::from_secs(1);
        let keys = vec![("id", (&id_of(&body)).into())];
        shop.installation.change("api_keys", keys, vec![("expires_at", past.as_microsecond().into())]).await;
        client.get("/v1/accounts/brands").await.refused(401, "invalid_api_key");
        roll(owner, &id_of(&body), "60").await.refused(400, "api_key_not_in_use");
    })
    .await;
}

#[tokio::test]
async fn the_last_secret_key_that_lasts_is_neither_revoked_nor_rolled_away() {
    in_a_shop(async |shop| {
        for owner in [&shop.teiki.test, &shop.teiki.live] {
            let first = ids(owner, "secret").await.remove(0);
            let path = format!("/v1/api_keys/{first}");
            owner.delete(&path).await.refused(400, "last_secret_key");
            roll(owner, &first, "").await.refused(400, "last_secret_key");
            assert_eq!(
                ids(owner, "secret").await,
                std::slice::from_ref(&first),
                "a refused roll leaves no successor"
            );
            // One that expires does not count.
            let second = roll(owner, &first, "3600").await.ok();
            owner.delete(&format!("/v1/api_keys/{}", id_of(&second))).await.refused(400, "last_secret_key");
            owner.delete(&path).await.ok();
            let successor = owner.with_key(secret_of(&second));
            assert!(!opens(owner).await && opens(&successor).await);
            // Public keys may all go.
            let public = ids(&successor, "public").await.remove(0);
            successor.delete(&format!("/v1/api_keys/{public}")).await.ok();
        }
    })
    .await;
}

#[tokio::test]
async fn two_secret_keys_that_revoke_each_other_at_once_leave_one() {
    in_a_shop(async |shop| {
        let mut owner = shop.teiki.test.clone();
        for _ in 0..5 {
            let first = ids(&owner, "secret").await;
            let (body, other) = made(&owner, "secret", &[]).await;
            let others = format!("/v1/api_keys/{}", id_of(&body));
            let own = format!("/v1/api_keys/{}", first.last().unwrap());
            tokio::join!(owner.delete(&others), other.delete(&own));
            match (opens(&owner).await, opens(&other).await) {
                (true, false) => {}
                (false, true) => owner = other,
                (one, two) => panic!("{one} {two}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_command_line_lists_makes_and_revokes_keys_beside_a_server() {
    in_a_shop(async |shop| {
        let (place, account) = (&shop.installation.place, shop.teiki.account.as_str());
        let run = |arguments: &[&str]| place.run(&[&["account"], arguments].concat());
        let listed = |mode: &str| run(&["keys", account, "--mode", mode, "--json"]).json();
        let create =
            ["key-create", account, "--kind", "secret", "--mode", "live", "--name", "shop", "--json"];
        let new = run(&create).json();
        let client = shop.teiki.live.with_key(secret_of(&new));
        assert!(opens(&client).await);
        let id = id_of(&new);
        let live = listed("live");
        assert_eq!((live["mode"].as_str(), live["keys"].as_array().unwrap().len()), (Some("live"), 3));
        assert_eq!((&live["keys"][2]["id"], &live["keys"][2]["name"]), (&new["id"], &json!("shop")));
        assert_eq!(listed("test")["keys"].as_array().unwrap().len(), 2);
        let crossed = run(&["key-revoke", account, &id]);
        assert_eq!(crossed.code, 2, "{crossed:?}");
        assert!(crossed.error.contains(&id), "{crossed:?}");
        let text = run(&["keys", account, "--mode", "live"]);
        assert!(text.text().contains(&id) && !text.out.contains(secret_of(&new)), "{text:?}");
        run(&["key-revoke", account, &id, "--mode", "live"]).text();
        assert!(!opens(&client).await);
        let last = live["keys"].as_array().unwrap().iter().find(|key| key["kind"] == "secret").unwrap();
        let refused = run(&["key-revoke", account, &id_of(last), "--mode", "live"]);
        assert!(refused.code == 2 && refused.error.contains("last secret key"), "{refused:?}");
        let long = "n".repeat(101);
        assert_eq!(run(&["key-create", account, "--kind", "public", "--name", &long]).code, 2);
        assert_eq!(run(&["keys", "acct_none"]).code, 2);
    })
    .await;
}
