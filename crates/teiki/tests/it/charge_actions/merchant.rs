//! A merchant at a running server, what its charges show, and what the gateway has booked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::installation::{Installation, Is};
use crate::serve::Server;

const CLOCK: &str = "clk_0001a1fec43d81417c558e2cd88aa";
/// Where the test clock begins: 2027-01-01T00:00:00Z.
pub(super) const BEGINNING: i64 = 1_798_761_600;
pub(super) const DAY: i64 = 86_400;
pub(super) const GOOD: &str = "sbx_ok";

/// An account with its test key.
pub(super) struct Merchant<'a> {
    pub(super) installation: &'a Installation,
    pub(super) account: String,
    pub(super) key: String,
}

impl<'a> Merchant<'a> {
    pub(super) fn new(installation: &'a Installation) -> Self {
        let created = installation.run(&["account", "create", "みどり農園", "--json"]).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { installation, account: text(&created["account"]), key: text(&created["test"]["secret_key"]) }
    }

    /// The same, on a test clock that stands at [`BEGINNING`].
    pub(super) async fn on_a_clock(installation: &'a Installation) -> Self {
        let merchant = Self::new(installation);
        let micros = BEGINNING * 1_000_000;
        let clock = vec![
            ("id", CLOCK.into()),
            ("account_id", (&merchant.account).into()),
            ("name", Is::NoText),
            ("started_at", micros.into()),
            ("frozen_time", micros.into()),
            ("status", "ready".into()),
            ("created_at", micros.into()),
        ];
        installation.insert("test_clocks", clock).await;
        let keys = vec![("id", (&merchant.account).into())];
        installation.change("accounts", keys, vec![("test_clock_id", CLOCK.into())]).await;
        merchant
    }

    pub(super) async fn set_clock(&self, seconds: i64) {
        let frozen = vec![("frozen_time", (seconds * 1_000_000).into())];
        self.installation.change("test_clocks", vec![("id", CLOCK.into())], frozen).await;
    }

    pub(super) fn post(&self, server: &Server, path: &str, form: &str) -> (u16, Value) {
        server.call(&self.key, path, Some(form))
    }

    /// A charge with a card of the sandbox's `rule`.
    pub(super) fn charge(&self, server: &Server, rule: &str, form: &str) -> String {
        let (status, token) = self.post(server, "/v1/tokens", &format!("sandbox_token={rule}"));
        assert_eq!(status, 200, "{token}");
        let form = format!("{form}&currency=jpy&card={}", token["id"].as_str().unwrap());
        let (status, charge) = self.post(server, "/v1/charges", &form);
        assert_eq!(status, 200, "{charge}");
        charge["id"].as_str().unwrap().to_owned()
    }

    pub(super) fn act(&self, server: &Server, charge: &str, action: &str, form: &str) -> (u16, Value) {
        self.post(server, &format!("/v1/charges/{charge}/{action}"), form)
    }

    /// An action that succeeds.
    pub(super) fn done(&self, server: &Server, charge: &str, action: &str, form: &str) -> Value {
        let (status, shown) = self.act(server, charge, action, form);
        assert_eq!(status, 200, "{action} {form}: {shown}");
        shown
    }

    pub(super) fn shown(&self, server: &Server, charge: &str) -> Value {
        server.call(&self.key, &format!("/v1/charges/{charge}"), None).1
    }

    /// Asks for what must be refused.
    #[track_caller]
    pub(super) fn refused(
        &self,
        server: &Server,
        charge: &str,
        (action, form): (&str, &str),
        expected: (u16, &str),
    ) {
        let (status, body) = self.act(server, charge, action, form);
        let code = body["error"]["code"].as_str().unwrap_or_default();
        assert_eq!((status, code), expected, "{action} {form}: {body}");
        assert_eq!(body["error"]["status"], status);
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

/// Amounts of the lines of the sandbox's book with this outcome.
pub(super) fn booked(installation: &Installation, outcome: &str) -> Vec<i64> {
    let book = std::fs::read_to_string(installation.file("sandbox-book.jsonl")).unwrap_or_default();
    // A line that is being written is none yet.
    let whole = book.rsplit_once('\n').map_or("", |whole| whole.0);
    let lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["outcome"] == outcome).map(|line| line["amount"].as_i64().unwrap()).collect()
}

pub(super) fn assert_well(installation: &Installation) {
    let doctor = installation.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
}

/// What a charge shows of its money.
pub(super) fn money(charge: &Value) -> (bool, bool, bool, i64, &str) {
    let is = |name: &str| charge[name].as_bool().unwrap();
    let refunded = charge["amount_refunded"].as_i64().unwrap();
    (is("paid"), is("captured"), is("refunded"), refunded, charge["state"].as_str().unwrap())
}
