//! A test clock with those who live by it.

use serde_json::Value;

use super::client::Client;
use super::shop::{id_of, seconds, soon};

/// A test clock.
pub(super) struct Life<'a> {
    pub(super) client: &'a Client,
    pub(super) clock: String,
}

impl<'a> Life<'a> {
    /// A clock that stands at `at`.
    pub(super) async fn begin(client: &'a Client, at: &str) -> Self {
        let frozen = seconds(at).to_string();
        let made = client.post("/v1/test_clocks", &[("frozen_time", frozen.as_str())]).await.ok();
        Self { client, clock: id_of(&made) }
    }

    /// A customer who lives by it, with a card; without one if it is empty.
    pub(super) async fn customer(&self, card: &str) -> String {
        let mut form = vec![("test_clock", self.clock.clone())];
        if !card.is_empty() {
            form.push(("card", self.client.token(card).await));
        }
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        id_of(&self.client.post("/v1/customers", &form).await.ok())
    }

    /// Sends it on its way.
    pub(super) async fn set_out(&self, to: &str) {
        let to = seconds(to).to_string();
        let path = format!("/v1/test_clocks/{}/advance", self.clock);
        let moving = self.client.post(&path, &[("frozen_time", to.as_str())]).await.ok();
        assert_eq!(moving["status"], "advancing");
    }

    /// Waits until it has arrived.
    pub(super) async fn arrive(&self) -> Value {
        let path = format!("/v1/test_clocks/{}", self.clock);
        let arrived = soon("the clock's arrival", async || {
            let clock = self.client.get(&path).await.ok();
            (clock["status"] != "advancing").then_some(clock)
        });
        let arrived = arrived.await;
        assert_eq!((arrived["status"].as_str(), arrived["unresolved"].as_i64()), (Some("ready"), Some(0)));
        arrived
    }

    /// Moves it, and waits until everything on the way is billed.
    pub(super) async fn advance(&self, to: &str) {
        self.set_out(to).await;
        assert_eq!(self.arrive().await["frozen_time"], seconds(to));
    }
}
