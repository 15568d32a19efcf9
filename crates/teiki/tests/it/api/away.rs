//! A gateway that cannot be reached: nothing was charged, and a repeat can succeed once it is back.

use super::client::{Client, Form};
use super::gateway::Gateway;
use super::shop::{Merchant, account, id_of, must_be_well, soon};
use crate::installation::{Installation, on_both};
use crate::serve::Server;
use crate::tds::merchant::Merchant as CardHolder;

/// A sandbox in this process that can go away and come back.
async fn sandbox(installation: &Installation, port: u16) -> sandbox::Server {
    let config = sandbox::Config {
        listen: ([127, 0, 0, 1], port).into(),
        book: installation.file("sandbox-book.jsonl"),
        faults: sandbox::Faults::default(),
        seed: 7,
    };
    sandbox::start(config).await.unwrap()
}

/// The references of what the book says was taken.
fn booked(installation: &Installation) -> Vec<String> {
    let book = sandbox::read_book(installation.file("sandbox-book.jsonl")).unwrap();
    book.into_iter().map(|line| line.reference.unwrap()).collect()
}

const SALE: [(&str, &str); 2] = [("amount", "500"), ("currency", "jpy")];

fn of(token: &str) -> Vec<(&str, &str)> {
    [&SALE[..], &[("card", token)]].concat()
}

async fn is_used(client: &Client, token: &str) -> bool {
    client.get(&format!("/v1/tokens/{token}")).await.ok()["used"] == true
}

/// A token whose card holder has confirmed.
async fn confirmed(merchant: &Merchant) -> String {
    let form = [("sandbox_token", "sbx_ok"), ("three_d_secure", "true")];
    let token = id_of(&merchant.test.post("/v1/tokens", &form).await.ok());
    let page = CardHolder::with_page(merchant.test.url(), merchant.public.key().unwrap());
    assert_eq!(page.answer(&token, "succeed", "").await.status, 200);
    merchant.test.post(&format!("/v1/tokens/{token}/tds_finish"), &[]).await.ok();
    token
}

/// A charge that was surely not sent.
async fn must_be_away(client: &Client, form: Form<'_>) -> String {
    let error = client.post("/v1/charges", form).await.refused(500, "pg_wrong");
    let charge = error["charge"].as_str().unwrap();
    let shown = client.get(&format!("/v1/charges/{charge}")).await.ok();
    assert_eq!((&shown["paid"], &shown["state"]), (&false.into(), &"void".into()));
    charge.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_charge_was_never_sent_is_charged_when_the_gateway_is_back() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let gateway = sandbox(installation, 0).await;
        let port = gateway.url().rsplit_once(':').unwrap().1.parse().unwrap();
        let server = Server::start(&installation.place, &["--sandbox", &gateway.url()]);
        let merchant = Merchant::new(&created, &server.url());
        let client = &merchant.test;
        let first = client.post("/v1/charges", &of(&client.token("sbx_ok").await)).await.ok();
        let plain = client.token("sbx_ok").await;
        let keyed = client.token("sbx_ok").await;
        let asked = confirmed(&merchant).await;
        let given = client.token("sbx_ok").await;
        gateway.stop().await;

        let ways = [(client.clone(), plain), (client.keyed("order-1"), keyed), (client.clone(), asked)];
        let mut void = Vec::new();
        for (client, token) in &ways {
            for _ in 0..2 {
                void.push(must_be_away(client, &of(token)).await);
                assert!(!is_used(client, token).await, "{token}");
            }
        }
        // What was given back is as good as new: a customer may have it.
        must_be_away(client, &of(&given)).await;
        client.post("/v1/customers", &[("card", &given)]).await.ok();
        assert!(is_used(client, &given).await);
        client.post("/v1/charges", &of(&given)).await.refused(400, "token_already_used");

        let gateway = sandbox(installation, port).await;
        let mut taken = vec![id_of(&first)];
        for (client, token) in &ways {
            // While the breaker is open nothing is sent, and it says so.
            let paid = soon("it is paid", async || {
                let answer = client.post("/v1/charges", &of(token)).await;
                if answer.status == 200 {
                    return Some(answer.body);
                }
                answer.refused(500, "pg_wrong");
                None
            });
            taken.push(id_of(&paid.await));
            assert!(is_used(client, token).await, "{token}");
            client.keyed("another").post("/v1/charges", &of(token)).await.refused(400, "token_already_used");
        }
        let again = client.keyed("order-1").post("/v1/charges", &of(&ways[1].1)).await;
        assert!(again.is_replay && again.body["id"] == taken[2].as_str(), "{again:?}");
        assert_eq!(booked(installation), taken);
        assert!(void.iter().all(|charge| !taken.contains(charge)), "{void:?}");
        assert_eq!(server.stop(), Some(0));
        gateway.stop().await;
        must_be_well(&installation.place);
    })
    .await;
}

/// Its card holder has confirmed this charge, and no other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_charge_with_3d_secure_that_was_never_sent_is_over_and_says_so() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let gateway = sandbox(installation, 0).await;
        let port = gateway.url().rsplit_once(':').unwrap().1.parse().unwrap();
        let server = Server::start(&installation.place, &["--sandbox", &gateway.url()]);
        let merchant = Merchant::new(&created, &server.url());
        let client = &merchant.test;
        let customer = client.customer("sbx_ok").await;
        let sale = [&SALE[..], &[("customer", customer.as_str()), ("three_d_secure", "true")]].concat();
        let page = CardHolder::with_page(client.url(), merchant.public.key().unwrap());
        let waiting = async || {
            let charge = id_of(&client.post("/v1/charges", &sale).await.ok());
            assert_eq!(page.answer(&charge, "succeed", "").await.status, 200);
            format!("/v1/charges/{charge}/tds_finish")
        };
        let finish = waiting().await;
        gateway.stop().await;
        let must_be_over = async || {
            let error = client.post(&finish, &[]).await.refused(500, "pg_wrong");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("make a new one") && !message.contains("try again"), "{message}");
        };
        must_be_over().await;
        let gateway = sandbox(installation, port).await;
        let finish_anew = waiting().await;
        client.post(&finish_anew, &[]).await.ok();
        must_be_over().await;
        assert_eq!(booked(installation).len(), 1);
        assert_eq!(server.stop(), Some(0));
        gateway.stop().await;
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_stays_used_while_its_charge_may_still_have_succeeded() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        // Neither an answer nor a look-up says what became of it.
        let gateway = Gateway::start(&installation.place, "idempotency=none,lookup-lag=600000,drop-after=1");
        let server = Server::start(&installation.place, &["--sandbox", &gateway.url]);
        let client = Merchant::new(&created, &server.url()).test;
        let token = client.token("sbx_ok").await;
        client.post("/v1/charges", &of(&token)).await.refused(500, "payment_unknown");
        assert!(is_used(&client, &token).await);
        client.post("/v1/charges", &of(&token)).await.refused(400, "token_already_used");
        // A decline is the last word: PAY.JP's tokens work once.
        drop(gateway);
        drop(server);
        let server = Server::start(&installation.place, &[]);
        let client = Merchant::new(&created, &server.url()).test;
        let declined = client.token("sbx_decline_card_declined").await;
        client.post("/v1/charges", &of(&declined)).await.refused(402, "card_declined");
        assert!(is_used(&client, &declined).await);
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_was_never_there_is_told_as_one_that_is_away() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let server = Server::start(&installation.place, &["--sandbox", "http://127.0.0.1:9"]);
        let client = Merchant::new(&created, &server.url()).test;
        let token = client.token("sbx_ok").await;
        let error = client.post("/v1/charges", &of(&token)).await.refused(500, "pg_wrong");
        assert!(error["message"].as_str().unwrap().contains("Nothing was charged"), "{error}");
        assert!(!is_used(&client, &token).await);
        assert_eq!(server.stop(), Some(0));
        assert!(Server::log(&installation.place).contains("http://127.0.0.1:9"));
    })
    .await;
}
