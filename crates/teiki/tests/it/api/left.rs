//! Clients that leave while the server does what they asked for.

use std::io::Write;
use std::net::TcpStream;

use super::client::Client;
use super::shop::{GOOD, Merchant, account, must_be_well};
use super::store::{charge_states, lock_customer, while_held};
use crate::installation::on_both;
use crate::serve::Server;

/// So many clients leave.
const CLIENTS: usize = 4;

/// Sends a sale without an `Idempotency-Key`, and waits for no answer.
fn ask(server: &Server, key: &str, customer: &str) -> TcpStream {
    let form = format!("amount=500&currency=jpy&customer={customer}");
    let length = form.len();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST /v1/charges HTTP/1.1\r\nhost: teiki\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{form}").as_bytes()).unwrap();
    stream
}

/// The server has come as far as it can with what came before: whatever comes later was answered.
async fn has_caught_up(client: &Client) {
    for _ in 0..20 {
        client.get("/v1/charges").await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_leaves_no_charge_unsent() {
    on_both(async |installation| {
        let created = account(&installation.place, "one");
        let server = Server::start(&installation.place, &[]);
        let client = Merchant::new(&created, &server.url()).test;
        let customer = client.customer(GOOD).await;
        let leaving = async {
            let key = created["test"]["secret_key"].as_str().unwrap();
            let asked: Vec<_> = (0..CLIENTS).map(|_| ask(&server, key, &customer)).collect();
            has_caught_up(&client).await;
            drop(asked);
            has_caught_up(&client).await;
        };
        let payer = customer.clone();
        while_held(&installation.db, move |tx| lock_customer(tx, &payer), leaving).await;
        // It ends what it is at: a charge is sent, or given up for the stop. What was only written down would stay as it is.
        assert_eq!(server.stop(), Some(0));
        let states = charge_states(&installation.db).await;
        let are_final = states.iter().all(|state| ["succeeded", "void"].contains(&state.as_str()));
        assert!(are_final && !states.is_empty(), "{states:?}");
        must_be_well(&installation.place);
    })
    .await;
}
