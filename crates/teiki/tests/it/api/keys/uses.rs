//! When keys were last used: written behind the requests, at most once an hour, whatever the database does meanwhile.

use std::time::{Duration, Instant};

use db::Engine;
use jiff::Timestamp;
use serde_json::Value;

use super::super::client::Client;
use super::super::shop::{id_of, in_a_shop, soon};
use super::super::store;
use super::{made, opens, shown};
use crate::installation::Installation;
use crate::place::with_client;

/// A request that waited for a write would take longer: statements wait 10 seconds for a lock.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn last_used(owner: &Client, id: &str) -> Option<i64> {
    shown(owner, id).await["last_used_at"].as_i64()
}

async fn soon_used(owner: &Client, id: &str) -> i64 {
    soon("the use of a key", async || last_used(owner, id).await).await
}

/// Says that a key was last used at this second.
async fn set_used(installation: &Installation, id: &str, second: i64) {
    let set = vec![("last_used_at", (second * 1_000_000).into())];
    installation.change("api_keys", vec![("id", id.into())], set).await;
}

#[tokio::test]
async fn a_use_is_written_behind_the_request_and_again_after_an_hour() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let (body, client) = made(owner, "restricted", &[]).await;
        let (id, made_at) = (id_of(&body), body["created"].as_i64().unwrap());
        assert_eq!(last_used(owner, &id).await, None, "a key that nobody uses");
        assert!(opens(&client).await);
        assert!(soon_used(owner, &id).await >= made_at);
        for (age, is_written) in [(3_500, false), (3_700, true)] {
            let old = made_at - age;
            set_used(shop.installation, &id, old).await;
            assert!(opens(&client).await);
            // What another key has noted later is written no sooner.
            let (fence, used) = made(owner, "public", &[]).await;
            assert!(opens(&used).await);
            soon_used(owner, &id_of(&fence)).await;
            assert_eq!(last_used(owner, &id).await != Some(old), is_written, "{age}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_that_may_not_do_what_it_wants_was_used_and_an_unknown_one_was_not() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let (body, public) = made(owner, "public", &[]).await;
        assert_eq!(public.get("/v1/customers").await.status, 401);
        soon_used(owner, &id_of(&body)).await;
        let revoked: Value = owner.delete(&format!("/v1/api_keys/{}", id_of(&body))).await.ok();
        let old = Timestamp::from_second(revoked["created"].as_i64().unwrap() - 7_200).unwrap();
        set_used(shop.installation, &id_of(&body), old.as_second()).await;
        assert!(!opens(&public).await);
        let (fence, used) = made(owner, "public", &[]).await;
        assert!(opens(&used).await);
        soon_used(owner, &id_of(&fence)).await;
        assert_eq!(last_used(owner, &id_of(&body)).await, Some(old.as_second()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_do_not_wait_for_a_use_that_cannot_be_written_yet() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let (body, client) = made(owner, "public", &[]).await;
        let id = id_of(&body);
        let using = async {
            let started = Instant::now();
            for _ in 0..3 {
                assert!(opens(&client).await);
            }
            assert_eq!(last_used(owner, &id_of(&body)).await, None);
            assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
        };
        store::while_held(&shop.installation.db, move |tx| store::lock_key(tx, &id), using).await;
        soon_used(owner, &id_of(&body)).await;
    })
    .await;
}

/// While it stands, no use can be written, and everything else can.
fn forbid_uses(installation: &Installation, is_forbidden: bool) {
    let url = &installation.place.url;
    let (sqlite, postgres) = if is_forbidden {
        (
            "create trigger no_uses before update of last_used_at on api_keys begin select raise(abort, 'no'); end",
            "create function no_uses() returns trigger language plpgsql as 'begin raise ''no''; end';
             create trigger no_uses before update of last_used_at on api_keys for each row execute function no_uses()",
        )
    } else {
        ("drop trigger no_uses", "drop trigger no_uses on api_keys; drop function no_uses()")
    };
    match (installation.db.engine(), url.strip_prefix("sqlite:")) {
        (Engine::Sqlite, Some(path)) => {
            rusqlite::Connection::open(path).unwrap().execute_batch(sqlite).unwrap()
        }
        (_, _) => with_client(url, |client| client.batch_execute(postgres)).unwrap(),
    }
}

#[tokio::test]
async fn a_use_that_could_not_be_written_is_written_later() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let (body, client) = made(owner, "public", &[]).await;
        forbid_uses(shop.installation, true);
        assert!(opens(&client).await);
        soon("a write that fails", async || {
            let log = crate::serve::Server::log(&shop.installation.place);
            log.contains("when keys were last used could not be written").then_some(())
        })
        .await;
        assert!(opens(&client).await);
        forbid_uses(shop.installation, false);
        soon_used(owner, &id_of(&body)).await;
    })
    .await;
}
