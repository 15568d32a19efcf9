//! Merchants whose server is running: what they sell, to whom, and what has come of it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, Form};
use crate::installation::{Installation, on_both};
use crate::place::Place;
use crate::serve::Server;

/// What must happen soon must have happened by then; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(90);
/// Pause between the first two looks; it grows, for while somebody asks a server works in small steps.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(300);

/// A card that works.
pub(super) const GOOD: &str = "4242424242424242";
/// Another one.
pub(super) const ALSO_GOOD: &str = "5555555555554444";
/// A card of which a token can be made, and every payment is declined.
pub(super) const DECLINED: &str = "4000000000080319";
/// A card that pays at most 10,000 yen.
pub(super) const SMALL: &str = "4000000000080202";

/// A merchant with all of its keys.
pub(super) struct Merchant {
    pub(super) account: String,
    pub(super) test: Client,
    pub(super) public: Client,
    pub(super) live: Client,
    pub(super) live_public: Client,
}

impl Merchant {
    /// Makes an account; its clients call the server at `url`.
    pub(super) fn new(created: &Value, url: &str) -> Self {
        let client = |mode: &str, kind: &str| Client::new(url, created[mode][kind].as_str());
        Self {
            account: created["account"].as_str().unwrap().to_owned(),
            test: client("test", "secret_key"),
            public: client("test", "public_key"),
            live: client("live", "secret_key"),
            live_public: client("live", "public_key"),
        }
    }
}

/// Makes an account and shows its keys.
pub(super) fn account(place: &Place, name: &str) -> Value {
    place.run(&["account", "create", name, "--json"]).json()
}

/// Two merchants and their server: one as accounts are made, one in PAY.JP's own ways.
pub(super) struct Shop<'a> {
    pub(super) installation: &'a Installation,
    pub(super) teiki: Merchant,
    pub(super) payjp: Merchant,
    pub(super) server: Server,
}

impl Shop<'_> {
    /// Both ways, where they make no difference.
    pub(super) fn both(&self) -> [&Client; 2] {
        [&self.teiki.test, &self.payjp.test]
    }
}

/// Runs a test in a shop on each engine. Afterwards the doctor must find nothing wrong.
pub(super) async fn in_a_shop(test: impl AsyncFn(&Shop<'_>)) {
    on_both(async |installation| {
        let [teiki, payjp] = ["teiki", "payjp"].map(|name| account(&installation.place, name));
        let id = payjp["account"].as_str().unwrap();
        let ways = ["account", "set", id, "calendar=payjp", "renewal_failure=payjp"];
        installation.place.run(&ways).text();
        let server = Server::start(&installation.place, &[]);
        let [teiki, payjp] = [teiki, payjp].map(|created| Merchant::new(&created, &server.url()));
        let shop = Shop { installation, teiki, payjp, server };
        test(&shop).await;
        assert_eq!(shop.server.stop(), Some(0));
        must_be_well(&installation.place);
    })
    .await;
}

/// The doctor finds nothing wrong.
pub(super) fn must_be_well(place: &Place) {
    let doctor = place.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
}

/// Looks until `found` gives something.
pub(super) async fn soon<T>(what: &str, found: impl AsyncFn() -> Option<T>) -> T {
    let (started, mut pause) = (Instant::now(), LOOK_PAUSE);
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not come true");
        tokio::time::sleep(pause).await;
        pause = LOOK_PAUSE_MAX.min(pause * 2);
    }
}

/// Seconds of an instant.
pub(super) fn seconds(at: &str) -> i64 {
    at.parse::<Timestamp>().unwrap().as_second()
}

/// An instant as it is written here.
pub(super) fn instant(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().to_string()
}

/// A subscription as the API shows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) start: i64,
    pub(super) customer: String,
    pub(super) plan: Plan,
    pub(super) next_cycle_plan: Option<Plan>,
    pub(super) status: String,
    pub(super) current_period_start: i64,
    pub(super) current_period_end: i64,
    pub(super) trial_start: Option<i64>,
    pub(super) trial_end: Option<i64>,
    pub(super) paused_at: Option<i64>,
    pub(super) canceled_at: Option<i64>,
    pub(super) resumed_at: Option<i64>,
    pub(super) prorate: bool,
    pub(super) quantity: i64,
    pub(super) remaining_instalments: Option<i64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) id: String,
}

impl Subscription {
    pub(super) fn of(body: Value) -> Self {
        serde_json::from_value(body).unwrap()
    }

    /// Where it stands: status, plan, and period as instants.
    pub(super) fn standing(&self) -> (&str, &str, String, String) {
        let (start, end) = (self.current_period_start, self.current_period_end);
        (&self.status, &self.plan.id, instant(start), instant(end))
    }

    /// Compares where it stands.
    #[track_caller]
    pub(super) fn stands(&self, status: &str, plan: &str, (start, end): (&str, &str)) {
        assert_eq!(self.standing(), (status, plan, start.to_owned(), end.to_owned()), "{self:?}");
    }
}

/// A charge: when, how much, and `paid` or why not.
pub(super) type Charged = (String, i64, String);

/// The same as one would write it.
pub(super) fn charged(rows: &[(&str, i64, &str)]) -> Vec<Charged> {
    rows.iter().map(|(at, amount, how)| ((*at).to_owned(), *amount, (*how).to_owned())).collect()
}

/// What a merchant does with its secret key.
impl Client {
    /// A token of a card number, or of the sandbox.
    pub(super) async fn token(&self, card: &str) -> String {
        let made = if card.starts_with("sbx_") {
            self.post("/v1/tokens", &[("sandbox_token", card)]).await
        } else {
            let form = [("card[number]", card), ("card[exp_month]", "12"), ("card[exp_year]", "2090")];
            self.post("/v1/tokens", &form).await
        };
        id_of(&made.ok())
    }

    /// A customer in real time with a card.
    pub(super) async fn customer(&self, card: &str) -> String {
        let token = self.token(card).await;
        id_of(&self.post("/v1/customers", &[("card", &token)]).await.ok())
    }

    /// Another card, which pays from now on.
    pub(super) async fn pay_with(&self, customer: &str, card: &str) {
        let token = self.token(card).await;
        let form = [("card", token.as_str()), ("default", "true")];
        self.post(&format!("/v1/customers/{customer}/cards"), &form).await.ok();
    }

    /// A plan by the month; `more` may say otherwise.
    pub(super) async fn plan(&self, id: &str, amount: i64, more: Form<'_>) {
        let amount = amount.to_string();
        let mut form = vec![("id", id), ("amount", amount.as_str()), ("currency", "jpy")];
        if !more.iter().any(|(name, _)| *name == "interval") {
            form.push(("interval", "month"));
        }
        form.extend(more);
        self.post("/v1/plans", &form).await.ok();
    }

    /// A new subscription.
    pub(super) async fn subscribe(&self, customer: &str, plan: &str, more: Form<'_>) -> Subscription {
        let form = [&[("customer", customer), ("plan", plan)], more].concat();
        Subscription::of(self.post("/v1/subscriptions", &form).await.ok())
    }

    /// A subscription that there is.
    pub(super) async fn subscription(&self, id: &str) -> Subscription {
        Subscription::of(self.get(&format!("/v1/subscriptions/{id}")).await.ok())
    }

    /// Does something to a subscription: an empty `action` updates it.
    pub(super) async fn act(&self, id: &str, action: &str, form: Form<'_>) -> super::client::Answer {
        let path = format!("/v1/subscriptions/{id}/{action}");
        self.post(path.trim_end_matches('/'), form).await
    }

    /// All charges of a customer, oldest first.
    pub(super) async fn charges(&self, customer: &str) -> Vec<Charged> {
        let rows = self.list(&format!("/v1/charges?customer={customer}")).await;
        rows.iter().map(charged_of).collect()
    }

    /// All rows of a list whose path has a query, oldest first.
    pub(super) async fn list(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        loop {
            let page = self.get(&format!("{path}&limit=100&offset={}", rows.len())).await.ok();
            assert_eq!(page["count"], page["data"].as_array().unwrap().len());
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                rows.reverse();
                return rows;
            }
        }
    }
}

fn charged_of(charge: &Value) -> Charged {
    let how = match (charge["paid"].as_bool().unwrap(), charge["failure_code"].as_str()) {
        (true, None) => "paid",
        (false, Some(code)) => code,
        (false, None) => "open",
        (true, Some(_)) => panic!("paid and failed: {charge}"),
    };
    (instant(charge["created"].as_i64().unwrap()), charge["amount"].as_i64().unwrap(), how.to_owned())
}

/// The id of an object.
#[track_caller]
pub(super) fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}
