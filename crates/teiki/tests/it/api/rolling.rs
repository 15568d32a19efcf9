//! Servers that come and go while requests pay: what one of them gives up is taken over by another, and paid once.

use std::time::Duration;

use super::client::Client;
use super::gateway::Gateway;
use super::shop::{GOOD, Merchant, account, must_be_well, soon};
use super::store::open_charges;
use crate::installation::{on_both, on_postgres};
use crate::serve::{Server, account_with_key};

/// At one request a second these wait for their turn when the server is told to stop.
const PAYMENTS: usize = 8;

#[tokio::test]
async fn a_payment_that_a_stopping_server_gives_up_is_paid_once_by_its_repeat() {
    on_postgres(async |installation| {
        let created = account(&installation.place, "one");
        let gateway = Gateway::start(&installation.place, "rate=1");
        let start = || Server::start(&installation.place, &["--sandbox", &gateway.url]);
        let (first, second) = (start(), start());
        first.wait_for_ticks(6);
        let [to_first, to_second] =
            [&first, &second].map(|server| Merchant::new(&created, &server.url()).test);
        let mut under_way = Vec::new();
        for number in 0..PAYMENTS {
            let (customer, amount) = (to_first.customer(GOOD).await, (1_000 + number).to_string());
            let (client, repeat) =
                [&to_first, &to_second].map(|client| client.keyed(&format!("k{number}"))).into();
            under_way.push((
                repeat,
                customer.clone(),
                amount.clone(),
                tokio::spawn(async move {
                    let form = [("amount", amount.as_str()), ("currency", "jpy"), ("customer", &customer)];
                    client.post("/v1/charges", &form).await
                }),
            ));
        }
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        first.signal("-TERM");
        for (repeat, customer, amount, answer) in under_way {
            let answer = answer.await.unwrap();
            if answer.status == 200 {
                continue;
            }
            // It was told that nothing was charged, or that nothing is known: either way it repeats until it is paid.
            let form = [("amount", amount.as_str()), ("currency", "jpy"), ("customer", &customer)];
            let paid = async || (repeat.post("/v1/charges", &form).await.status == 200).then_some(());
            soon("a repeat is paid", paid).await;
        }
        let settled = async || (open_charges(&installation.db).await == 0).then_some(());
        soon("everything is settled", settled).await;
        let booked = gateway.successes();
        assert_eq!(booked.len(), PAYMENTS, "{booked:?}");
        assert!(booked.values().all(|count| *count == 1), "{booked:?}");
        assert_eq!((first.ended(), second.stop()), (Some(0), Some(0)));
        must_be_well(&installation.place);
    })
    .await;
}

#[tokio::test]
async fn after_a_hold_is_released_requests_pay_though_nothing_is_due_any_more() {
    on_both(async |installation| {
        let (account, key) = account_with_key(installation, 1);
        let place = &installation.place;
        place.run(&["hold", "on", "--account", &account, "--reason", "prices"]).text();
        let server = Server::start(place, &[]);
        // Long enough for the work that is due to have begun, and to have found the hold.
        server.wait_for_ticks(4);
        let client = Client::new(&server.url(), Some(&key));
        let due = client.list("/v1/subscriptions?").await.remove(0);
        client.delete(&format!("/v1/subscriptions/{}", due["id"].as_str().unwrap())).await.ok();
        let customer = client.customer(GOOD).await;
        let form = [("amount", "500"), ("currency", "jpy"), ("customer", customer.as_str())];
        client.post("/v1/charges", &form).await.refused(503, "charging_held");
        place.run(&["hold", "off", "--account", &account]).text();
        server.wait_for("teiki_held_accounts", 0);
        client.post("/v1/charges", &form).await.ok();
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}
