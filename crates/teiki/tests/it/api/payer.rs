//! Requests that move money, which are under way when something happens to the server or to the gateway.

use tokio::task::JoinHandle;

use super::client::{Answer, Client, Form};
use super::life::Life;
use super::shop::{GOOD, Subscription};

/// The instant at which the clocks of these tests stand.
const START: &str = "2027-01-15T06:00:00Z";

/// A customer whose next payment is a request that moves money.
pub(super) struct Payer {
    pub(super) customer: String,
    /// The subscription that there is before the request.
    pub(super) before: Option<Subscription>,
    path: String,
    form: Vec<(&'static str, String)>,
    /// The key of its request.
    key: String,
}

/// What of a subscription a payment decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Sale,
    First,
    Change,
    /// Of one that was paused, and whose period is over.
    Resume,
}

impl Payer {
    /// Someone who will pay with a card of the sandbox's `rule`. Needs the plans of [`plans`].
    pub(super) async fn of(client: &Client, what: What, rule: &str) -> Self {
        let (customer, before) = match what {
            What::Sale | What::First => (client.customer(rule).await, None),
            What::Change => {
                let customer = client.customer(GOOD).await;
                let running = client.subscribe(&customer, "basic", &[]).await;
                client.pay_with(&customer, rule).await;
                (customer, Some(running))
            }
            What::Resume => {
                let life = Life::begin(client, START).await;
                let customer = life.customer(GOOD).await;
                let id = client.subscribe(&customer, "basic", &[]).await.id;
                client.act(&id, "pause", &[]).await.ok();
                life.advance("2027-03-15T06:00:00Z").await;
                client.pay_with(&customer, rule).await;
                (customer, Some(client.subscription(&id).await))
            }
        };
        let (path, form) = request(what, &customer, before.as_ref());
        let key = format!("payment of {customer}");
        Self { customer, before, path, form, key }
    }

    /// Sends the request, with the same key each time; the answer may never come.
    pub(super) fn begin(&self, client: &Client) -> JoinHandle<reqwest::Result<Answer>> {
        let (client, path, form) = (client.keyed(&self.key), self.path.clone(), self.form.clone());
        tokio::spawn(async move {
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let form: Form<'_> = &form;
            client.try_send(reqwest::Method::POST, &path, form).await
        })
    }

    /// How the charge of the request ended, if there is one: `paid`, `open`, or why not. It is the newest.
    pub(super) async fn outcome(&self, client: &Client) -> Option<String> {
        let charges = client.charges(&self.customer).await;
        let earlier = usize::from(self.before.is_some());
        assert!(charges.len() <= earlier + 1, "{charges:?}");
        charges.into_iter().nth(earlier).map(|charge| charge.2)
    }

    /// The subscription that there is now.
    pub(super) async fn subscription(&self, client: &Client) -> Option<Subscription> {
        let found = client.list(&format!("/v1/customers/{}/subscriptions?", self.customer)).await;
        assert!(found.len() <= 1, "{found:?}");
        found.into_iter().next().map(Subscription::of)
    }

    /// The subscription is as the payment has it: done, or as before.
    pub(super) async fn must_stand(&self, client: &Client, what: What, is_paid: bool) {
        let now = self.subscription(client).await;
        match (what, is_paid) {
            (What::Sale, _) | (What::First, false) => assert_eq!(now, None),
            (What::Change | What::Resume, false) => assert_eq!(now, self.before),
            (What::First | What::Resume, true) => {
                let now = now.unwrap();
                assert_eq!((now.status.as_str(), now.plan.id.as_str()), ("active", "basic"));
            }
            (What::Change, true) => {
                let now = now.unwrap();
                assert_eq!((now.status.as_str(), now.plan.id.as_str()), ("active", "plus"));
            }
        }
    }
}

fn request(
    what: What,
    customer: &str,
    before: Option<&Subscription>,
) -> (String, Vec<(&'static str, String)>) {
    let of = |before: Option<&Subscription>| before.unwrap().id.clone();
    match what {
        What::Sale => (
            "/v1/charges".to_owned(),
            vec![
                ("amount", "700".to_owned()),
                ("currency", "jpy".to_owned()),
                ("customer", customer.to_owned()),
            ],
        ),
        What::First => (
            "/v1/subscriptions".to_owned(),
            vec![("customer", customer.to_owned()), ("plan", "basic".to_owned())],
        ),
        What::Change => (format!("/v1/subscriptions/{}", of(before)), vec![("plan", "plus".to_owned())]),
        What::Resume => (format!("/v1/subscriptions/{}/resume", of(before)), Vec::new()),
    }
}

/// The plans of these tests.
pub(super) async fn plans(client: &Client) {
    client.plan("basic", 1_000, &[]).await;
    client.plan("plus", 1_500, &[]).await;
}
