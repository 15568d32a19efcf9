//! The secrets of endpoints: rotated, stored encrypted, and of no use without the key file.

use serde_json::Value;

use super::super::shop::{Merchant, account, id_of, soon};
use super::receiver::Receiver;
use super::{PRIVATE, Post, status_of, with_a_server, with_its_server};
use crate::installation::{Is, on_postgres};
use crate::serve::Server;

const KEY: &str = "secret.key";

#[tokio::test]
async fn after_a_rotation_both_secrets_sign_for_a_day() {
    with_a_server(async |post| {
        let (client, receiver) = (post.test(), Receiver::start().await);
        let former = client.endpoint(&receiver, &[]).await;
        let path = format!("/v1/webhook_endpoints/{}/rotate_secret", id_of(&former));
        let rotated = client.post(&path, &[]).await.ok();
        let now = teiki::clock::now().as_second();
        let until = rotated["former_secret_until"].as_i64().unwrap();
        assert!((now + 86_340..=now + 86_400).contains(&until), "{until}");
        assert_eq!(rotated["token"], former["token"]);
        // The promise of the first rotation is kept: no second one while it holds.
        let early = client.post(&path, &[]).await.refused(409, "secret_rotated");
        let named = jiff::Timestamp::from_second(until).unwrap().to_string();
        assert!(early["message"].as_str().unwrap().contains(&named), "{early}");
        let [new, old] = [&rotated, &former].map(|shown| shown["secret"].as_str().unwrap());
        client.someone().await;
        let both = receiver.wait_for(1).await.remove(0);
        assert_eq!((both.signed_by(new), both.signed_by(old)), (Some(0), Some(1)));
        let over = vec![("former_until", (teiki::clock::now().as_microsecond() - 1).into())];
        post.set(former["id"].as_str().unwrap(), over).await;
        client.someone().await;
        let one = receiver.wait_for(2).await.remove(1);
        assert_eq!((one.signed_by(new), one.signed_by(old)), (Some(0), None));
        assert_eq!(one.header("webhook-signature").split(' ').count(), 1);
        let shown = client.shown(&former).await;
        assert_eq!((shown.get("secret"), shown.get("token")), (None, None));
        let again = client.post(&path, &[]).await.ok();
        client.someone().await;
        let both = receiver.wait_for(3).await.remove(2);
        let third = again["secret"].as_str().unwrap();
        assert_eq!(
            (both.signed_by(third), both.signed_by(new), both.signed_by(old)),
            (Some(0), Some(1), None)
        );
    })
    .await;
}

/// Starts a server that must refuse to, and gives what it said.
fn refused(post: &Post<'_>) -> String {
    let ran = post.installation.run(&["serve", "--listen", "127.0.0.1:0", "--allow-private-webhooks"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    ran.error
}

#[tokio::test]
async fn without_the_right_key_the_server_refuses_to_start_and_nothing_is_lost() {
    with_its_server(PRIVATE, async |post, server| {
        let receiver = Receiver::start().await;
        let file = post.installation.file(KEY);
        assert!(!file.exists(), "it is made when it is first needed");
        let endpoint = post.test().endpoint(&receiver, &[]).await;
        let key = std::fs::read_to_string(&file).unwrap();
        assert_eq!(server.stop(), Some(0));
        std::fs::remove_file(&file).unwrap();
        assert!(refused(&post).contains("is not there. Copy the right file"), "{}", refused(&post));
        assert!(!file.exists(), "no other one is made in its place");
        post.installation.place.write(KEY, "00".repeat(32));
        assert!(refused(&post).contains("holds another one"), "{}", refused(&post));
        post.installation.place.write(KEY, "nonsense");
        assert!(refused(&post).contains("is not a secret key"), "{}", refused(&post));
        std::fs::remove_file(&file).unwrap();
        post.installation.place.write("elsewhere", key);
        let named = [PRIVATE, &["--secret-key-file", "elsewhere"]].concat();
        let server = Server::start(&post.installation.place, &named);
        let client = post.at(&server);
        client.someone().await;
        let sent = receiver.wait_for(1).await.remove(0);
        assert_eq!(sent.signed_by(endpoint["secret"].as_str().unwrap()), Some(0));
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_key_that_goes_away_while_a_server_runs_fails_no_delivery() {
    with_its_server(PRIVATE, async |post, server| {
        let receiver = Receiver::start().await;
        let endpoint = post.test().endpoint(&receiver, &[]).await;
        // As after a restore of another installation's row.
        let id = endpoint["id"].as_str().unwrap();
        post.set(id, vec![("secret", Is::Bytes(vec![1; 80]))]).await;
        post.test().someone().await;
        soon("the operator is told", async || {
            Server::log(&post.installation.place).contains("cannot be used").then_some(())
        })
        .await;
        let waiting: Vec<Value> = post.test().deliveries(&endpoint).await;
        assert_eq!((status_of(&waiting[0]), &waiting[0]["attempts"]), ("waiting", &0.into()));
        assert_eq!(post.test().shown(&endpoint).await["failing_since"], Value::Null);
        assert_eq!(receiver.all().len(), 0);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_server_without_the_key_leaves_deliveries_to_those_that_have_it() {
    on_postgres(async |installation| {
        let created = account(&installation.place, "one");
        // Both begin before there is a key, each with a folder of its own.
        let elsewhere = [PRIVATE, &["--data-dir", "elsewhere"]].concat();
        let without = Server::start(&installation.place, &elsewhere);
        let with = Server::start(&installation.place, PRIVATE);
        let merchant = Merchant::new(&created, &with.url());
        let post = Post { installation, merchant, created };
        let receiver = Receiver::start().await;
        let endpoint = post.test().endpoint(&receiver, &[]).await;
        let other = post.at(&without);
        let form = [("url", "https://receiver.example/")];
        assert_eq!(other.post("/v1/webhook_endpoints", &form).await.status, 500);
        assert!(!installation.file("elsewhere").join(KEY).exists(), "no second key is made");
        for number in 1..=5 {
            other.someone().await;
            receiver.wait_for(number).await;
        }
        let log = soon("all are delivered", async || {
            let log = other.deliveries(&endpoint).await;
            log.iter().all(|it| status_of(it) == "delivered").then_some(log)
        })
        .await;
        assert!(log.len() == 5 && log.iter().all(|it| it["attempts"] == 1), "{log:?}");
        for server in [without, with] {
            assert_eq!(server.stop(), Some(0));
        }
        let again = installation.run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "elsewhere"]);
        assert!(again.code == 1 && again.error.contains("Copy the right file"), "{again:?}");
    })
    .await;
}
