//! A world for tests of the charge line: subscribers on both engines and a gateway that does as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use billing::Timestamp;
use billing::decline::DeclineClass;
use billing::id::AccountId;
use billing::mode::Mode;
use billing::resolution::{Capabilities, Idempotency};
use gateway::{
    ActionReply, ActionRequest, ActionTruth, Alarm, ChargeReply, ChargeRequest, Gateway, Lookup, Outcome,
    Refusal, Truth,
};
use serde_json::Value;
use teiki::accounts::{self, Account};
use teiki::app::App;
use teiki::charges::Outgoing;
use teiki::charges::resolve::{Pass, resolve, take_over};
use teiki::gateways;
use teiki::line::{Line, Scope};
use teiki::output::Format;
use teiki::renewals::prepare::{Prepared, Task, prepare};
use teiki::renewals::work::{Ended, until_done};
use teiki::renewals::{Lane, due};

use crate::installation::Installation;

/// What the gateway does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Succeed,
    Decline,
    /// Executes it, and the answer is lost.
    SucceedSilently,
    /// Does nothing, and nobody knows.
    Vanish,
    /// Was never reached.
    Refuse,
    /// Says that the key was used with other parameters.
    Mismatch,
    /// Refuses the request itself, before it looks at its key.
    Reject,
}

type Script = fn(token: &str, request: usize) -> Does;

/// A gateway with a book of its own, which is what the tests believe.
pub(crate) struct Scripted {
    capabilities: Capabilities,
    script: Script,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: BTreeMap<String, usize>,
    keys: Vec<String>,
    book: Vec<(ChargeRequest, Truth)>,
}

/// Declared with no quiet period, so that tests need not wait.
pub(crate) fn quick(idempotency: Idempotency) -> Capabilities {
    Capabilities {
        idempotency,
        lookup_by_reference: true,
        lookup_lag_ms: 0,
        max_processing_ms: 0,
        request_timeout_ms: 0,
        lookup_spacing_ms: 0,
        rate_per_second: None,
    }
}

impl Scripted {
    pub(crate) fn new(capabilities: Capabilities, script: Script) -> Arc<Self> {
        Arc::new(Self { capabilities, script, state: Mutex::default() })
    }

    /// Successful charges by token.
    pub(crate) fn successes(&self) -> BTreeMap<String, usize> {
        let state = self.state.lock().expect("no test panics while it holds this");
        let mut successes = BTreeMap::new();
        for (request, truth) in &state.book {
            if truth.outcome == Outcome::Succeeded {
                *successes.entry(request.token.clone()).or_default() += 1;
            }
        }
        successes
    }

    /// Every key that was sent, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.state.lock().expect("no test panics while it holds this").keys.clone()
    }
}

#[async_trait]
impl Gateway for Scripted {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn charge(&self, request: &ChargeRequest) -> ChargeReply {
        // Others get a turn here, as with a real network.
        tokio::task::yield_now().await;
        let mut state = self.state.lock().expect("no test panics while it holds this");
        state.keys.push(request.idempotency_key.clone());
        let count = state.requests.entry(request.token.clone()).or_default();
        *count += 1;
        let does = (self.script)(&request.token, *count);
        if does == Does::Reject {
            let refusal = Refusal::InvalidRequest { code: "unknown_token".into() };
            return ChargeReply::NotExecuted { reason: "refused".into(), refusal };
        }
        if matches!(self.capabilities.idempotency, Idempotency::Strong { .. })
            && let Some((_, truth)) =
                state.book.iter().find(|(known, _)| known.idempotency_key == request.idempotency_key)
        {
            return ChargeReply::Known(truth.clone());
        }
        let lost = |alarm| ChargeReply::Unknown { reason: "lost".into(), alarm };
        let outcome = match does {
            Does::Succeed | Does::SucceedSilently => Outcome::Succeeded,
            Does::Decline => {
                Outcome::Declined { code: "insufficient_funds".into(), class: DeclineClass::Funds }
            }
            Does::Vanish => return lost(None),
            Does::Refuse | Does::Reject => {
                return ChargeReply::NotSent { reason: "refused".into() };
            }
            Does::Mismatch => return lost(Some(Alarm::KeyMismatch)),
        };
        let truth = Truth {
            gateway_charge_id: format!("gw_{}", state.book.len()),
            reference: request.reference.to_string(),
            amount: request.amount,
            outcome,
        };
        state.book.push((request.clone(), truth.clone()));
        if does == Does::SucceedSilently { lost(None) } else { ChargeReply::Known(truth) }
    }

    async fn act(&self, _: &ActionRequest) -> ActionReply {
        ActionReply::NotSent { reason: "these tests do nothing to charges".into() }
    }

    async fn find_action(&self, _: &str, _: &str) -> Lookup<ActionTruth> {
        Lookup::Absent
    }

    async fn find_by_id(&self, id: &str) -> Lookup {
        let state = self.state.lock().expect("no test panics while it holds this");
        let found = state.book.iter().find(|(_, truth)| truth.gateway_charge_id == id);
        found.map_or(Lookup::Absent, |(_, truth)| Lookup::Found(truth.clone()))
    }

    async fn find_by_reference(&self, reference: &str) -> Lookup {
        let state = self.state.lock().expect("no test panics while it holds this");
        let mut found: Vec<Truth> = state
            .book
            .iter()
            .filter(|(_, truth)| truth.reference == reference)
            .map(|(_, truth)| truth.clone())
            .collect();
        match found.len() {
            0 => Lookup::Absent,
            1 => Lookup::Found(found.remove(0)),
            _ => Lookup::Several(found),
        }
    }
}

/// An account with subscribers whose first charge is on 2027-01-31, 09:00 Tokyo.
pub(crate) struct World<'a> {
    pub(crate) installation: &'a Installation,
    pub(crate) account: Account,
    pub(crate) scope: Scope,
}

const PLANS: &str =
    "id,name,amount,currency,tax_category,interval,interval_count,trial_days,setup_fee,instalments
monthly,月額,980,jpy,standard,month,1,0,0,
daily,毎日,150,jpy,reduced,day,1,0,0,
twice,2回払い,5000,jpy,standard,month,1,0,0,2
";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a valid instant")
}

/// The first due instant of every world.
pub(crate) const DUE: &str = "2027-01-31T09:00:00+09:00";

impl<'a> World<'a> {
    /// `subscribers` are (name, plan); the token of each is `tok.<name>`.
    pub(crate) async fn new(installation: &'a Installation, subscribers: &[(&str, &str)]) -> Self {
        let side = installation.account("みどり農園").await;
        let mut rows = String::from(
            "customer_id,name,email,plan_id,billing_anchor,next_charge_on,remaining_charges,valid_until,gateway,payment_token,card_brand,card_last4,card_exp\n",
        );
        for (name, plan) in subscribers {
            let remaining = if *plan == "twice" { "2" } else { "" };
            let row = format!(
                "{name},顧客,{name}@example.com,{plan},2026-12-31,2027-01-31,{remaining},,sandbox,tok.{name},Visa,4242,2032-07\n"
            );
            rows.push_str(&row);
        }
        installation.place.write("plans.csv", PLANS);
        installation.place.write("subscribers.csv", rows);
        let clock = "2027-01-01T00:00:00+09:00";
        let account = side.account.as_str();
        let files = ["--plans", "plans.csv", "--subscribers", "subscribers.csv"];
        let import = ["import", "--account", account, "--clock", clock];
        installation.run(&[import.as_slice(), &files].concat()).text();
        let account = accounts::get(&installation.db, account).await.expect("the account is there");
        let id = account.id;
        let clock = installation
            .db
            .read(move |tx| accounts::find_clock(tx, id))
            .await
            .expect("reads")
            .expect("has a clock");
        let scope = Scope { account: id, mode: Mode::Test, clock: clock.id.to_string(), lease: None };
        Self { installation, account, scope }
    }

    /// A charging process of its own on the same database.
    pub(crate) async fn line(&self, gateway: &Arc<Scripted>) -> Arc<Line> {
        let db = self.installation.db.clone();
        let key = accounts::derivation_key(&db).await.expect("there is a key");
        let app = App { db, key, mode: Mode::Test, format: Format::Json };
        let connection =
            gateways::sandbox_connection(&app, self.account.id).await.expect("there is a connection");
        Arc::new(Line::new(
            app.db,
            app.key,
            app.mode,
            vec![(connection, Arc::clone(gateway) as Arc<dyn Gateway>)],
        ))
    }

    pub(crate) async fn bill(&self, line: &Arc<Line>, now: &str) -> Ended {
        until_done(line, &self.scope, &self.account.terms, at(now), &[Lane::ALL])
            .await
            .expect("the line works")
    }

    pub(crate) async fn resolve(&self, line: &Arc<Line>, now: &str) -> usize {
        self.take_over(line).await;
        self.look(line, now).await
    }

    /// Looks at what is due to be checked, as a process does that has been there before.
    pub(crate) async fn look(&self, line: &Arc<Line>, now: &str) -> usize {
        let pass = Pass { scope: self.scope.clone(), lane: Lane::ALL, billing: at(now) };
        resolve(line, &pass).await.expect("the line works")
    }

    /// Whoever was at work before is gone.
    pub(crate) async fn take_over(&self, line: &Line) {
        let (mode, now) = (self.scope.mode, teiki::clock::now());
        line.db.write(move |tx| take_over(tx, mode, Lane::ALL, now)).await.expect("writes");
    }

    pub(crate) fn id(&self) -> AccountId {
        self.account.id
    }

    /// Rows of an export, oldest first.
    pub(crate) fn export(&self, what: &str) -> Vec<Value> {
        let account = self.account.id.to_string();
        let ran = self.installation.run(&["export", what, "--account", &account, "--format", "jsonl"]);
        ran.text().lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// One column of an export as sorted texts.
    pub(crate) fn column(&self, what: &str, column: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut values: Vec<String> = self.export(what).iter().map(|row| text(&row[column])).collect();
        values.sort();
        values
    }

    /// The doctor finds no fault in the books and schedules.
    pub(crate) fn assert_healthy(&self) {
        let ran = self.installation.run(&["doctor"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

/// Prepares what is due, as a process does that is suspended before it sends.
pub(super) async fn prepared(world: &World<'_>, line: &Line) -> Vec<Outgoing> {
    let due = due(&line.db, &world.scope, Lane::ALL, at(DUE), 1_000).await.expect("reads");
    let now = teiki::clock::now();
    let (scope, terms) = (world.scope.clone(), world.account.terms.clone());
    let task = Task { scope, terms, lane: Lane::ALL, billing: at(DUE), real: now };
    match prepare(line, &task, due).await.expect("writes") {
        Prepared::Ready(outgoing) => outgoing,
        stopped @ (Prepared::Held(_) | Prepared::Fenced) => panic!("{stopped:?}"),
    }
}
