//! The first requests of a new account.

use futures_util::future::join_all;

use super::shop::{GOOD, in_a_shop};

#[tokio::test]
async fn the_first_tokens_may_be_made_at_once() {
    in_a_shop(async |shop| {
        for client in shop.both() {
            // Each makes the account's connection to the sandbox if there is none yet.
            join_all((0..16).map(|_| client.token(GOOD))).await;
        }
    })
    .await;
}
