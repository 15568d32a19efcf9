//! Who owns the charges, what it does to them, what they show, and what the gateway has booked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::client::{Answer, Client, Form};
use super::super::shop::{account, id_of};
use crate::installation::{Installation, Is};
use crate::serve::Server;

const CLOCK: &str = "clk_0001a1fec43d81417c558e2cd88aa";
/// Where the test clock begins: 2027-01-01T00:00:00Z.
pub(super) const BEGINNING: i64 = 1_798_761_600;
pub(super) const DAY: i64 = 86_400;
pub(super) const OK: &str = "sbx_ok";

/// An account with its test key, whichever server runs.
pub(super) struct Owner<'a> {
    pub(super) installation: &'a Installation,
    pub(super) account: String,
    pub(super) key: String,
}

impl<'a> Owner<'a> {
    pub(super) fn new(installation: &'a Installation) -> Self {
        let created = account(&installation.place, "みどり農園");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { installation, account: text(&created["account"]), key: text(&created["test"]["secret_key"]) }
    }

    /// The same, on a test clock that stands at [`BEGINNING`].
    pub(super) async fn on_a_clock(installation: &'a Installation) -> Self {
        let owner = Self::new(installation);
        let micros = BEGINNING * 1_000_000;
        let clock = vec![
            ("id", CLOCK.into()),
            ("account_id", (&owner.account).into()),
            ("name", Is::NoText),
            ("started_at", micros.into()),
            ("frozen_time", micros.into()),
            ("status", "ready".into()),
            ("created_at", micros.into()),
        ];
        installation.insert("test_clocks", clock).await;
        let keys = vec![("id", (&owner.account).into())];
        installation.change("accounts", keys, vec![("test_clock_id", CLOCK.into())]).await;
        owner
    }

    /// Its client of this server.
    pub(super) fn at(&self, server: &Server) -> Client {
        Client::new(&server.url(), Some(&self.key))
    }

    pub(super) async fn set_clock(&self, seconds: i64) {
        let frozen = vec![("frozen_time", (seconds * 1_000_000).into())];
        self.installation.change("test_clocks", vec![("id", CLOCK.into())], frozen).await;
    }

    pub(super) fn exported(&self, subject: &str) -> Vec<Value> {
        let arguments = ["export", subject, "--account", &self.account, "--format", "jsonl"];
        let ran = self.installation.run(&arguments);
        ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the accounts of the ledger hold.
    pub(super) fn balances(&self) -> BTreeMap<String, i64> {
        let mut balances = BTreeMap::new();
        for entry in self.exported("ledger") {
            let amount = entry["amount"].as_i64().unwrap();
            for (side, sign) in [("debit", 1), ("credit", -1)] {
                *balances.entry(entry[side].as_str().unwrap().to_owned()).or_default() += sign * amount;
            }
        }
        balances
    }

    /// Types of the events, in the order of their history.
    pub(super) fn events(&self) -> Vec<String> {
        let mut events = self.exported("events");
        events.sort_by_key(|event| event["number"].as_i64());
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

/// What a merchant does to its charges.
impl Client {
    /// A charge with a card of the sandbox's `rule`.
    pub(super) async fn charge(&self, rule: &str, form: Form<'_>) -> String {
        let token = self.token(rule).await;
        let form = [form, &[("currency", "jpy"), ("card", &token)]].concat();
        id_of(&self.post("/v1/charges", &form).await.ok())
    }

    pub(super) async fn charge_shown(&self, charge: &str) -> Value {
        self.get(&format!("/v1/charges/{charge}")).await.ok()
    }

    /// Asks for an action.
    pub(super) async fn ask(&self, charge: &str, action: &str, form: Form<'_>) -> Answer {
        self.post(&format!("/v1/charges/{charge}/{action}"), form).await
    }

    /// An action that succeeds.
    pub(super) async fn done(&self, charge: &str, action: &str, form: Form<'_>) -> Value {
        self.ask(charge, action, form).await.ok()
    }
}

/// Amounts of the lines of the sandbox's book with this outcome.
pub(super) fn booked(installation: &Installation, outcome: &str) -> Vec<i64> {
    let book = std::fs::read_to_string(installation.file("sandbox-book.jsonl")).unwrap_or_default();
    // A line that is being written is none yet.
    let whole = book.rsplit_once('\n').map_or("", |whole| whole.0);
    let lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["outcome"] == outcome).map(|line| line["amount"].as_i64().unwrap()).collect()
}

/// What a charge shows of its money.
pub(super) fn money(charge: &Value) -> (bool, bool, bool, i64, &str) {
    let is = |name: &str| charge[name].as_bool().unwrap();
    let refunded = charge["amount_refunded"].as_i64().unwrap();
    (is("paid"), is("captured"), is("refunded"), refunded, charge["state"].as_str().unwrap())
}
