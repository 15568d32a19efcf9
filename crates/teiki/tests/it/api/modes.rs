//! A server charges one mode: what asks for the other is refused and leaves no trace.

use billing::id::{AccountId, PaymentMethodId, Slot};
use billing::mode::Mode;
use db::Error;
use teiki::payment_methods::{self, MethodRow};

use super::life::Life;
use super::shop::{GOOD, Merchant, account, must_be_well, seconds};
use super::store::{connections, open_charges};
use crate::installation::{Side, on_both};
use crate::serve::Server;

const SALE: [(&str, &str); 2] = [("amount", "500"), ("currency", "jpy")];

#[tokio::test]
async fn a_server_charges_one_mode_and_refuses_the_other_without_a_trace() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let live = Side { account: created["account"].as_str().unwrap().to_owned(), mode: "live" };
        let subscription = installation.subscription(&live, "cus_live", "active", "real").await;
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(&created, &server.url());
        let customer = merchant.test.customer(GOOD).await;
        let token = merchant.test.token(GOOD).await;
        let of_customer = [&SALE[..], &[("customer", "cus_live"), ("card", &subscription.card)]].concat();
        let error = merchant.live.post("/v1/charges", &of_customer).await.refused(400, "mode_not_charged");
        assert!(error["message"].as_str().unwrap().contains("--mode live"), "{error}");
        assert_eq!(server.stop(), Some(0));

        let before = connections(&installation.db).await;
        let server = Server::start(&installation.place, &["--mode", "live"]);
        let merchant = Merchant::new(&created, &server.url());
        let card = [("card[number]", GOOD), ("card[exp_month]", "12"), ("card[exp_year]", "2090")];
        merchant.public.post("/v1/tokens", &card).await.refused(400, "mode_not_charged");
        for payer in [("card", &token), ("customer", &customer)] {
            let form = [&SALE[..], &[(payer.0, payer.1.as_str())]].concat();
            let error = merchant.test.post("/v1/charges", &form).await.refused(400, "mode_not_charged");
            assert!(error["message"].as_str().unwrap().contains("--mode test"), "{error}");
        }
        assert_eq!(merchant.test.get(&format!("/v1/tokens/{token}")).await.ok()["used"], false);
        assert_eq!(merchant.test.get("/v1/charges").await.ok()["count"], 0);
        assert_eq!(connections(&installation.db).await, before);
        assert_eq!(open_charges(&installation.db).await, 0);
        assert_eq!(server.stop(), Some(0));

        // What was made before is charged by a server of its mode.
        let server = Server::start(&installation.place, &[]);
        let merchant = Merchant::new(&created, &server.url());
        merchant.test.post("/v1/charges", &[&SALE[..], &[("card", &token)]].concat()).await.ok();
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test]
async fn a_server_of_live_mode_moves_no_test_clock() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let server = Server::start(&installation.place, &[]);
        let client = Merchant::new(&created, &server.url()).test;
        let life = Life::begin(&client, "2027-01-01T00:00:00Z").await;
        let customer = life.customer(GOOD).await;
        client.plan("daily", 500, &[("interval", "day")]).await;
        client.subscribe(&customer, "daily", &[]).await;
        installation.place.run(&["hold", "on", "--reason", "it waits on its way"]).text();
        server.wait_for("teiki_held_accounts", 1);
        life.set_out("2027-01-02T12:00:00Z").await;
        assert_eq!(server.stop(), Some(0));

        let server = Server::start(&installation.place, &["--mode", "live"]);
        installation.place.run(&["hold", "off"]).text();
        let client = Merchant::new(&created, &server.url()).test;
        let path = format!("/v1/test_clocks/{}", life.clock);
        let farther = seconds("2027-02-01T00:00:00Z").to_string();
        let form = [("frozen_time", farther.as_str())];
        client.post(&format!("{path}/advance"), &form).await.refused(400, "mode_not_charged");
        server.wait_for_ticks(8);
        assert_eq!(client.get(&path).await.ok()["status"], "advancing");
        assert_eq!(server.stop(), Some(0));

        let server = Server::start(&installation.place, &[]);
        let client = Merchant::new(&created, &server.url()).test;
        Life { client: &client, clock: life.clock.clone() }.arrive().await;
        assert_eq!(client.get("/v1/charges").await.ok()["count"], 2);
        assert_eq!(server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test]
async fn a_card_is_never_stored_with_the_connection_of_another_side() {
    on_both(async |installation| {
        let [one, other] = ["one", "other"].map(|name| account(&installation.place, name));
        let server = Server::start(&installation.place, &[]);
        let client = Merchant::new(&one, &server.url()).test;
        let token = client.get(&format!("/v1/tokens/{}", client.token(GOOD).await)).await.ok();
        let card: PaymentMethodId = token["card"]["id"].as_str().unwrap().parse().unwrap();
        let [one, other]: [AccountId; 2] =
            [one, other].map(|account| account["account"].as_str().unwrap().parse().unwrap());
        for side in [(one, Mode::Live), (other, Mode::Test), (other, Mode::Live)] {
            let stored: Result<(), Error> = installation
                .db
                .write(move |tx| {
                    let method = payment_methods::find(tx, (one, Mode::Test), card)?.unwrap();
                    let at = teiki::clock::now();
                    let copy = MethodRow { id: PaymentMethodId::random(Slot(0), at, &[7; 32]), ..method };
                    payment_methods::insert(tx, side, &copy)
                })
                .await;
            assert!(matches!(stored, Err(Error::Assertion(_))), "{stored:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_live_mode_does_not_have_is_refused_by_the_name_that_was_sent() {
    on_both(async |installation| {
        let server = Server::start(&installation.place, &[]);
        let live = Merchant::new(&account(&installation.place, "one"), &server.url()).live;
        let error =
            live.post("/v1/tokens", &[("sandbox_token", "sbx_ok")]).await.refused(400, "invalid_card");
        assert_eq!(error["param"], "sandbox_token");
        assert!(!error["message"].as_str().unwrap().contains("number"), "{error}");
        let form = [("resource_id", "car_1")];
        let error = live.post("/v1/three_d_secure_requests", &form).await;
        assert_eq!(error.refused(400, "three_d_secure_unavailable")["param"], "resource_id");
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
