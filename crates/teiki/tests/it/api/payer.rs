//! Requests that move money, which are under way when something happens to the server or to the gateway.

use serde_json::Value;
use tokio::task::JoinHandle;

use super::client::{Answer, Client, Form};
use super::life::Life;
use super::shop::{DECLINED, GOOD, Subscription, id_of};
use crate::tds::merchant::Merchant as CardHolder;

/// The instant at which the clocks of these tests stand.
const START: &str = "2027-01-15T06:00:00Z";
/// The first renewal of who subscribed at that time.
const RENEWAL: &str = "2027-02-15T06:00:00Z";

/// A customer whose next payment is a request that moves money.
pub(super) struct Payer {
    pub(super) what: What,
    pub(super) customer: String,
    /// The subscription that there is before the request.
    pub(super) before: Option<Subscription>,
    /// The invoice that was open before it.
    open: Option<String>,
    path: String,
    form: Vec<(&'static str, String)>,
    /// The key of its request.
    key: String,
}

/// What of a subscription a payment decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Sale,
    /// Of which the card holder has been asked.
    Finish,
    First,
    Change,
    /// Of one that was paused, and whose period is over.
    Resume,
    /// Of one that is past due: pays what is open.
    ResumePastDue,
    /// The open invoice of one that is past due.
    Pay,
}

impl What {
    /// Every kind.
    pub(super) const ALL: [Self; 7] =
        [Self::Sale, Self::Finish, Self::First, Self::Change, Self::Resume, Self::ResumePastDue, Self::Pay];

    /// How many charges its customer has before the request, and how many of them took money.
    const fn earlier(self) -> (usize, usize) {
        match self {
            Self::Sale | Self::Finish | Self::First => (0, 0),
            Self::Change | Self::Resume => (1, 1),
            // The renewal was declined.
            Self::ResumePastDue | Self::Pay => (2, 1),
        }
    }

    /// How often money was taken before the request.
    pub(super) const fn paid_before(self) -> usize {
        self.earlier().1
    }
}

impl Payer {
    /// Someone who will pay with a card of the sandbox's `rule`. Needs the plans of [`plans`].
    pub(super) async fn of(client: &Client, what: What, rule: &str) -> Self {
        let (customer, before) = match what {
            What::Sale | What::Finish | What::First => (client.customer(rule).await, None),
            What::Change => {
                let customer = client.customer(GOOD).await;
                let running = client.subscribe(&customer, "basic", &[]).await;
                client.pay_with(&customer, rule).await;
                (customer, Some(running))
            }
            What::Resume => paused(client, rule).await,
            What::ResumePastDue | What::Pay => past_due(client, rule).await,
        };
        let open = match what {
            What::ResumePastDue | What::Pay => Some(open_invoice(client, &customer).await),
            What::Sale | What::Finish | What::First | What::Change | What::Resume => None,
        };
        let about = match what {
            What::Sale | What::First => None,
            What::Finish => Some(confirmed_charge(client, &customer).await),
            What::Change | What::Resume | What::ResumePastDue => {
                before.as_ref().map(|before| before.id.clone())
            }
            What::Pay => open.clone(),
        };
        let (path, form) = request(what, &customer, about.as_deref());
        let key = format!("payment of {customer}");
        Self { what, customer, before, open, path, form, key }
    }

    /// One of each of these kinds and rules, made at once.
    pub(super) async fn all(
        client: &Client,
        kinds: &[What],
        rules: &[&'static str],
    ) -> Vec<(&'static str, Self)> {
        let each = kinds.iter().flat_map(|what| rules.iter().map(|rule| (*what, *rule)));
        let made = each.map(async |(what, rule)| (rule, Self::of(client, what, rule).await));
        futures_util::future::join_all(made).await
    }

    /// Sends the request, with the same key each time; the answer may never come.
    pub(super) fn begin(&self, client: &Client) -> JoinHandle<reqwest::Result<Answer>> {
        self.send(client.keyed(&self.key))
    }

    /// Sends it without a key, as a person does who clicks once more.
    pub(super) fn begin_anew(&self, client: &Client) -> JoinHandle<reqwest::Result<Answer>> {
        self.send(client.clone())
    }

    fn send(&self, client: Client) -> JoinHandle<reqwest::Result<Answer>> {
        let (path, form) = (self.path.clone(), self.form.clone());
        tokio::spawn(async move {
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let form: Form<'_> = &form;
            client.try_send(reqwest::Method::POST, &path, form).await
        })
    }

    /// How the charge of the request ended, if there is one: `paid`, `open`, or why not. It is the newest.
    pub(super) async fn outcome(&self, client: &Client) -> Option<String> {
        let charges = client.charges(&self.customer).await;
        let earlier = self.what.earlier().0;
        assert!(charges.len() <= earlier + 1, "{charges:?}");
        charges.into_iter().nth(earlier).map(|charge| charge.2)
    }

    /// The subscription that there is now.
    pub(super) async fn subscription(&self, client: &Client) -> Option<Subscription> {
        let found = client.list(&format!("/v1/customers/{}/subscriptions?", self.customer)).await;
        assert!(found.len() <= 1, "{found:?}");
        found.into_iter().next().map(Subscription::of)
    }

    /// The subscription is as the payment has it: done, or as before. So is the invoice that was open.
    pub(super) async fn must_stand(&self, client: &Client, is_paid: bool) {
        let now = self.subscription(client).await;
        match (self.what, is_paid) {
            (What::Sale | What::Finish, _) | (What::First, false) => assert_eq!(now, None),
            (What::Change | What::Resume | What::ResumePastDue | What::Pay, false) => {
                assert_eq!(now, self.before);
            }
            (What::First | What::Resume, true) => {
                let now = now.unwrap();
                assert_eq!((now.status.as_str(), now.plan.id.as_str()), ("active", "basic"));
            }
            (What::Change, true) => {
                let now = now.unwrap();
                assert_eq!((now.status.as_str(), now.plan.id.as_str()), ("active", "plus"));
            }
            (What::ResumePastDue | What::Pay, true) => {
                let (now, before) = (now.unwrap(), self.before.clone().unwrap());
                let resumed_at = if self.what == What::Pay { before.resumed_at } else { now.resumed_at };
                let paid = Subscription { status: "active".to_owned(), resumed_at, ..before };
                assert_eq!(now, paid, "the period stays");
            }
        }
        if let Some(open) = &self.open {
            let invoice = client.get(&format!("/v1/invoices/{open}")).await.ok();
            let (status, amount) = if is_paid { ("paid", 1_000) } else { ("open", 0) };
            assert_eq!(
                (invoice["status"].as_str(), invoice["amount_paid"].as_i64()),
                (Some(status), Some(amount))
            );
        }
    }
}

/// A customer whose subscription is paused, and whose period is over.
async fn paused(client: &Client, rule: &str) -> (String, Option<Subscription>) {
    let life = Life::begin(client, START).await;
    let customer = life.customer(GOOD).await;
    let id = client.subscribe(&customer, "basic", &[]).await.id;
    client.act(&id, "pause", &[]).await.ok();
    life.advance("2027-03-15T06:00:00Z").await;
    client.pay_with(&customer, rule).await;
    (customer, Some(client.subscription(&id).await))
}

/// A customer whose renewal was declined.
async fn past_due(client: &Client, rule: &str) -> (String, Option<Subscription>) {
    let life = Life::begin(client, START).await;
    let customer = life.customer(GOOD).await;
    let id = client.subscribe(&customer, "basic", &[]).await.id;
    client.pay_with(&customer, DECLINED).await;
    life.advance(RENEWAL).await;
    client.pay_with(&customer, rule).await;
    let past_due = client.subscription(&id).await;
    assert_eq!(past_due.status, "past_due");
    (customer, Some(past_due))
}

async fn open_invoice(client: &Client, customer: &str) -> String {
    let open = client.list(&format!("/v1/invoices?customer={customer}&status=open")).await;
    let [open] = <[Value; 1]>::try_from(open).unwrap();
    id_of(&open)
}

/// A charge whose card holder has been recognised, and which was never sent.
async fn confirmed_charge(client: &Client, customer: &str) -> String {
    let sale = [("amount", "700"), ("currency", "jpy"), ("customer", customer), ("three_d_secure", "true")];
    let charge = id_of(&client.post("/v1/charges", &sale).await.ok());
    // The page takes a public key.
    let key = client.post("/v1/api_keys", &[("kind", "public")]).await.ok();
    let holder = CardHolder::with_page(client.url(), key["secret"].as_str().unwrap());
    assert_eq!(holder.answer(&charge, "succeed", "").await.status, 200);
    client.delete(&format!("/v1/api_keys/{}", id_of(&key))).await.ok();
    charge
}

/// `id`: of what the request is about, unless that is the customer.
fn request(what: What, customer: &str, id: Option<&str>) -> (String, Vec<(&'static str, String)>) {
    let id = id.unwrap_or_default();
    let customer = customer.to_owned();
    match what {
        What::Sale => (
            "/v1/charges".to_owned(),
            vec![("amount", "700".to_owned()), ("currency", "jpy".to_owned()), ("customer", customer)],
        ),
        What::Finish => (format!("/v1/charges/{id}/tds_finish"), Vec::new()),
        What::First => {
            ("/v1/subscriptions".to_owned(), vec![("customer", customer), ("plan", "basic".to_owned())])
        }
        What::Change => (format!("/v1/subscriptions/{id}"), vec![("plan", "plus".to_owned())]),
        What::Resume | What::ResumePastDue => (format!("/v1/subscriptions/{id}/resume"), Vec::new()),
        What::Pay => (format!("/v1/invoices/{id}/pay"), Vec::new()),
    }
}

/// The plans of these tests.
pub(super) async fn plans(client: &Client) {
    client.plan("basic", 1_000, &[]).await;
    client.plan("plus", 1_500, &[]).await;
}
