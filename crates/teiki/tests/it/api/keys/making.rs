//! Making keys, what each kind may do, and that nothing shows them again.

use serde_json::json;

use super::super::shop::{GOOD, id_of, in_a_shop};
use super::{made, secret_of, shown};
use crate::installation::WRITTEN_AT;
use crate::serve::Server;

#[tokio::test]
async fn a_key_is_shown_in_the_answer_that_makes_it_and_opens_its_own_mode() {
    in_a_shop(async |shop| {
        for (owner, mode) in [(&shop.teiki.test, "test"), (&shop.teiki.live, "live")] {
            for (kind, prefix) in [("secret", "sk"), ("public", "pk"), ("restricted", "rk")] {
                let (mut body, client) = made(owner, kind, &[("name", "店の鍵")]).await;
                let secret = secret_of(&body).to_owned();
                assert!(secret.starts_with(&format!("{prefix}_{mode}_")), "of {kind} {mode}");
                let brands = client.get("/v1/accounts/brands").await.ok();
                assert_eq!(brands["livemode"], mode == "live");
                body.as_object_mut().unwrap().remove("secret");
                let id = id_of(&body);
                let mut shown = shown(owner, &id).await;
                // The request above was its first.
                shown["last_used_at"].take();
                assert_eq!(shown, body);
                let created = body["created"].as_i64().unwrap();
                let expected = json!({
                    "id": id, "object": "api_key", "livemode": mode == "live", "kind": kind, "name": "店の鍵",
                    "last4": secret[secret.len() - 4..], "created": created, "last_used_at": null, "expires_at": null,
                    "revoked_at": null,
                });
                assert_eq!(body, expected);
            }
        }
        for wrong in [vec![], vec![("kind", "private")], vec![("kind", "")]] {
            let refused = shop.teiki.test.post("/v1/api_keys", &wrong).await;
            assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!("kind")), "{refused:?}");
        }
        let long = "長".repeat(101);
        let form = [("kind", "public"), ("name", &long)];
        shop.teiki.test.post("/v1/api_keys", &form).await.refused(400, "invalid_string_length");
    })
    .await;
}

#[tokio::test]
async fn each_kind_may_do_what_it_is_for() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let (_, secret) = made(owner, "secret", &[]).await;
        let (_, public) = made(owner, "public", &[]).await;
        let (_, restricted) = made(owner, "restricted", &[]).await;
        let customer = secret.customer(GOOD).await;
        let path = format!("/v1/customers/{customer}");
        restricted.get(&path).await.ok();
        public.token(GOOD).await;
        for (client, is_to_read) in [(&public, false), (&restricted, true)] {
            assert_eq!(client.get(&path).await.status == 200, is_to_read);
            for path in ["/v1/customers", "/v1/api_keys"] {
                assert_eq!(client.post(path, &[]).await.status, 401);
            }
            assert_eq!(client.get("/v1/api_keys").await.status, 401);
        }
        let token = public.token(GOOD).await;
        let path = format!("/v1/tokens/{token}");
        restricted.get(&path).await.ok();
        for path in ["/v1/tokens", &format!("{path}/tds_finish")] {
            assert_eq!(restricted.post(path, &[("sandbox_token", "sbx_ok")]).await.status, 401);
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_is_given_changed_and_cleared() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let (body, _) = made(owner, "public", &[]).await;
        let path = format!("/v1/api_keys/{}", id_of(&body));
        assert_eq!(body["name"], json!(null));
        for (form, name) in
            [(vec![("name", "one")], json!("one")), (vec![], json!("one")), (vec![("name", "")], json!(null))]
        {
            assert_eq!(owner.post(&path, &form).await.ok()["name"], name);
        }
        owner.post(&path, &[("kind", "secret")]).await.refused(400, "invalid_param_key");
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_newest_first_in_pages() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.live;
        let mut made_here = Vec::new();
        for _ in 0..3 {
            made_here.push(id_of(&made(owner, "restricted", &[]).await.0));
        }
        let page = owner.get("/v1/api_keys?limit=2").await.ok();
        assert_eq!((&page["url"], &page["has_more"]), (&json!("/v1/api_keys"), &json!(true)));
        let first: Vec<String> = page["data"].as_array().unwrap().iter().map(id_of).collect();
        assert_eq!(first, [made_here[2].clone(), made_here[1].clone()]);
        let rest = owner.get(&format!("/v1/api_keys?starting_after={}", first[1])).await.ok();
        assert_eq!((rest["count"].as_i64(), id_of(&rest["data"][0])), (Some(3), made_here[0].clone()));
        assert_eq!(owner.get("/v1/api_keys?until=1").await.ok()["count"], 0);
        owner.get("/v1/api_keys?starting_after=key_none").await.refused(404, "invalid_id");
    })
    .await;
}

#[tokio::test]
async fn a_mode_has_room_for_a_hundred_keys_in_use() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        for number in 0..98 {
            let row = vec![
                ("id", format!("key_{number}").as_str().into()),
                ("account_id", (&shop.teiki.account).into()),
                ("mode", "test".into()),
                ("kind", "public".into()),
                ("hash", crate::installation::Is::Bytes(vec![number; 32])),
                ("last4", "0000".into()),
                ("created_at", WRITTEN_AT.into()),
            ];
            shop.installation.insert("api_keys", row).await;
        }
        owner.post("/v1/api_keys", &[("kind", "public")]).await.refused(400, "too_many_api_keys");
        owner
            .post("/v1/api_keys/key_0/roll", &[("expires_in", "60")])
            .await
            .refused(400, "too_many_api_keys");
        owner.post("/v1/api_keys/key_0/roll", &[]).await.ok();
        owner.delete("/v1/api_keys/key_1").await.ok();
        made(owner, "public", &[]).await;
        made(&shop.teiki.live, "public", &[]).await;
        made(&shop.payjp.test, "public", &[]).await;
    })
    .await;
}

#[tokio::test]
async fn what_a_key_may_not_do_counts_against_its_limit() {
    in_a_shop(async |shop| {
        shop.installation.place.run(&["account", "set", &shop.payjp.account, "rate_limits=payjp"]).text();
        let mut answers = Vec::new();
        for _ in 0..20 {
            let answer = shop.payjp.public.get("/v1/charges").await;
            answers.push(answer.status);
        }
        assert_eq!(answers[..2], [401, 401]);
        assert!(answers.contains(&429), "{answers:?}");
    })
    .await;
}

#[tokio::test]
async fn a_key_is_nowhere_but_in_the_answer_that_made_it() {
    in_a_shop(async |shop| {
        let owner = &shop.teiki.test;
        let (body, client) = made(owner, "secret", &[("name", "shop")]).await;
        let rolled = owner.post(&format!("/v1/api_keys/{}/roll", id_of(&body)), &[]).await.ok();
        let revoked = client.get("/v1/customers").await.refused(401, "invalid_api_key");
        let place = &shop.installation.place;
        let account = shop.teiki.account.as_str();
        let mut places = vec![
            revoked.to_string(),
            json!(owner.list("/v1/api_keys?").await).to_string(),
            json!(owner.list("/v1/events?").await).to_string(),
            shown(owner, &id_of(&rolled)).await.to_string(),
            place.run(&["account", "keys", account, "--json"]).out,
            place.run(&["status"]).out,
            Server::log(place),
        ];
        for file in ["teiki.db", "teiki.db-wal"] {
            let bytes = std::fs::read(place.file(file)).unwrap_or_default();
            places.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        for secret in [secret_of(&body), secret_of(&rolled)] {
            let random = secret.rsplit_once('_').unwrap().1;
            assert!(places.iter().all(|text| !text.contains(random)), "a key was found");
        }
    })
    .await;
}
