//! An installation of a test's own on each engine, with rows that are written directly.
//!
//! What is written here is whole: the doctor finds nothing wrong with it until a test breaks it.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

use std::path::PathBuf;

use billing::id::{
    AccountId, ChargeId, ConnectionId, DerivationKey, EntryId, EventId, InvoiceId, PaymentMethodId, Slot,
    SubscriptionId,
};
use billing::mode::Mode;
use db::{Column, Db, Error, OnConflict, Options};
use jiff::Timestamp;
use teiki::accounts;
use teiki::schema::MIGRATIONS;

use crate::place::{Place, Ran};

/// When everything here was written: 2026-01-31T00:00:00Z.
pub(crate) const WRITTEN_AT: i64 = 1_769_817_600_000_000;
/// When what is scheduled is due: 2100-02-28T00:00:00Z.
pub(crate) const DUE_AT: i64 = 4_107_456_000_000_000;

/// A value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Is {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
    Flag(bool),
    NoText,
    NoNumber,
}

impl From<i64> for Is {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Is {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Is {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl Is {
    fn column(&self) -> Column<'_> {
        match self {
            Self::Number(value) => Column::I64(vec![*value]),
            Self::Text(value) => Column::Text(vec![value]),
            Self::Bytes(value) => Column::Bytes(vec![value]),
            Self::Flag(value) => Column::Bool(vec![*value]),
            Self::NoText => Column::OptText(vec![None]),
            Self::NoNumber => Column::OptI64(vec![None]),
        }
    }
}

/// Named values of one row.
pub(crate) type Row = Vec<(&'static str, Is)>;

/// A row as the database takes it.
pub(crate) fn columns(row: &Row) -> Vec<(&'static str, Column<'_>)> {
    row.iter().map(|(name, value)| (*name, value.column())).collect()
}

/// A subscription that was written.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) slot: i64,
    /// The card that pays.
    pub(crate) card: String,
    side: Side,
}

/// An invoice with its charge.
#[derive(Clone, Debug)]
pub(crate) struct Paid {
    pub(crate) invoice: String,
    pub(crate) charge: String,
}

/// One side of an account.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) account: String,
    pub(crate) mode: &'static str,
}

/// A place with a migrated database.
pub(crate) struct Installation {
    pub(crate) place: Place,
    pub(crate) db: Db,
}

/// Runs a test on SQLite and on PostgreSQL.
pub(crate) async fn on_both(test: impl AsyncFn(&Installation)) {
    on_sqlite(&test).await;
    on_postgres(test).await;
}

/// Runs a test on SQLite.
pub(crate) async fn on_sqlite(test: impl AsyncFn(&Installation)) {
    on(Place::sqlite(), &test).await;
}

/// Runs a test on PostgreSQL; of what it alone has, as several charging processes.
pub(crate) async fn on_postgres(test: impl AsyncFn(&Installation)) {
    on(Place::postgres(), &test).await;
}

async fn on(place: Place, test: &impl AsyncFn(&Installation)) {
    let installation = Installation::new(place).await;
    test(&installation).await;
    installation.db.close().await;
}

impl Installation {
    async fn new(place: Place) -> Self {
        let options = Options { readers: 1, writers: 1, create: true, ..Options::default() };
        let db = Db::open(&place.url.parse().unwrap(), &options).await.unwrap();
        db.migrate(MIGRATIONS).await.unwrap();
        Self { place, db }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.file(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.place.run(arguments)
    }

    pub(crate) async fn insert(&self, table: &'static str, row: Row) {
        self.db.write(move |tx| tx.insert_many(table, &columns(&row), OnConflict::Fail)).await.unwrap();
    }

    /// Changes the one row with these keys.
    pub(crate) async fn change(&self, table: &'static str, keys: Row, set: Row) {
        assert_eq!(self.change_each(table, keys, set).await, 1);
    }

    /// Changes every row that has these values, and says how many those were.
    pub(crate) async fn change_each(&self, table: &'static str, keys: Row, set: Row) -> u64 {
        let changed: Result<u64, Error> =
            self.db.write(move |tx| tx.update_many(table, &columns(&keys), &columns(&set), "")).await;
        changed.unwrap()
    }

    pub(crate) async fn delete(&self, table: &'static str, keys: Row) {
        let deleted: Result<u64, Error> =
            self.db.write(move |tx| tx.delete_many(table, &columns(&keys))).await;
        assert_eq!(deleted.unwrap(), 1);
    }

    /// An account; its test side.
    pub(crate) async fn account(&self, name: &str) -> Side {
        let now = Timestamp::from_microsecond(WRITTEN_AT).unwrap();
        let created = accounts::create(&self.db, name, &[], now).await.unwrap();
        Side { account: created.account, mode: "test" }
    }

    async fn connection(&self, side: &Side) -> String {
        let account: AccountId = side.account.parse().unwrap();
        let mode: Mode = side.mode.parse().unwrap();
        let key = accounts::derivation_key(&self.db).await.unwrap();
        let now = Timestamp::from_microsecond(WRITTEN_AT).unwrap();
        let connected: Result<ConnectionId, Error> = self
            .db
            .write(move |tx| accounts::ensure_connection(tx, &key, (account, mode), "sandbox", now))
            .await;
        connected.unwrap().to_string()
    }

    /// A subscription with customer, payment method, first event and scheduled invoice. `clock` is `real` or a
    /// test clock.
    pub(crate) async fn subscription(
        &self,
        side: &Side,
        customer: &str,
        status: &str,
        clock: &str,
    ) -> Subscription {
        let slot = Slot::of_key(customer);
        let at = Timestamp::from_microsecond(WRITTEN_AT).unwrap();
        let seed = seed(&[&side.account, side.mode, customer]);
        let subscription = Subscription {
            id: SubscriptionId::random(slot, at, &seed).to_string(),
            customer: customer.to_owned(),
            slot: slot.as_i64(),
            card: PaymentMethodId::random(slot, at, &seed).to_string(),
            side: side.clone(),
        };
        let method = subscription.card.clone();
        let connection = self.connection(side).await;
        self.insert("customers", customer_row(&subscription, clock)).await;
        self.insert("payment_methods", payment_method_row(&subscription, &method, &connection)).await;
        self.insert("subscriptions", subscription_row(&subscription, (status, clock), &method)).await;
        self.insert("events", event_row(&subscription, 1)).await;
        self.scheduled(&subscription, 7, clock).await;
        subscription
    }

    /// A scheduled invoice. Returns its id.
    pub(crate) async fn scheduled(&self, of: &Subscription, cycle: i64, clock: &str) -> String {
        let id = invoice_id(of, cycle);
        let mut row = invoice_row(of, &id, (cycle, clock));
        row.extend([
            ("status", "scheduled".into()),
            ("amount_paid", 0.into()),
            ("due_at", DUE_AT.into()),
            ("next_action_at", DUE_AT.into()),
            ("charge_count", 0.into()),
        ]);
        self.insert("invoices", row).await;
        id
    }

    /// A paid invoice with its charge and ledger entries.
    pub(crate) async fn paid(&self, of: &Subscription, cycle: i64) -> Paid {
        let invoice = invoice_id(of, cycle);
        let mut row = invoice_row(of, &invoice, (cycle, "real"));
        row.extend([
            ("status", "paid".into()),
            ("amount_paid", 980.into()),
            ("tax", r#"[{"percent":10,"gross":980,"tax":89}]"#.into()),
            ("due_at", WRITTEN_AT.into()),
            ("opened_at", WRITTEN_AT.into()),
            ("paid_at", WRITTEN_AT.into()),
            ("charge_count", 1.into()),
        ]);
        self.insert("invoices", row).await;
        let charge = self.charge(of, &invoice, "succeeded").await;
        for (number, debit, credit, amount, charge) in [
            (0, "receivable", "revenue", 891, None),
            (1, "receivable", "consumption_tax", 89, None),
            (2, "gateway", "receivable", 980, Some(&charge)),
        ] {
            self.insert("ledger_entries", entry_row(of, &invoice, (number, charge), (debit, credit, amount)))
                .await;
        }
        Paid { invoice, charge }
    }

    /// An open invoice of 980 yen with its ledger entry.
    pub(crate) async fn open(&self, of: &Subscription, cycle: i64) -> String {
        let invoice = invoice_id(of, cycle);
        let mut row = invoice_row(of, &invoice, (cycle, "real"));
        row.extend([
            ("status", "open".into()),
            ("amount_paid", 0.into()),
            ("due_at", WRITTEN_AT.into()),
            ("opened_at", WRITTEN_AT.into()),
            ("charge_count", 1.into()),
        ]);
        self.insert("invoices", row).await;
        self.insert("ledger_entries", entry_row(of, &invoice, (0, None), ("receivable", "revenue", 980)))
            .await;
        invoice
    }

    /// A charge of 980 yen for an invoice. Returns its id.
    pub(crate) async fn charge(&self, of: &Subscription, invoice: &str, status: &str) -> String {
        let at = Timestamp::from_microsecond(WRITTEN_AT).unwrap();
        let id = ChargeId::random(slot_of(of), at, &seed(&[invoice, status])).to_string();
        self.insert("charges", charge_row(of, &id, (invoice, status))).await;
        id
    }
}

/// Bytes that stand for randomness, the same for the same parts.
fn seed(parts: &[&str]) -> [u8; 32] {
    let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    DerivationKey::new(&[7; 32]).unwrap().digest(&parts)
}

fn slot_of(of: &Subscription) -> Slot {
    Slot::of_key(&of.customer)
}

fn invoice_id(of: &Subscription, cycle: i64) -> String {
    let at = Timestamp::from_microsecond(WRITTEN_AT + cycle * 1_000_000).unwrap();
    InvoiceId::random(slot_of(of), at, &seed(&[&of.id])).to_string()
}

fn owned(of: &Subscription) -> Row {
    vec![("slot", of.slot.into()), ("account_id", (&of.side.account).into()), ("mode", of.side.mode.into())]
}

fn customer_row(of: &Subscription, clock: &str) -> Row {
    let mut row = owned(of);
    row.extend([
        ("id", (&of.customer).into()),
        ("name", "山田 太郎".into()),
        ("email", "taro@example.jp".into()),
        ("default_payment_method_id", Is::NoText),
        ("clock_id", clock.into()),
        ("created_at", WRITTEN_AT.into()),
        ("sequence", WRITTEN_AT.into()),
    ]);
    row
}

fn payment_method_row(of: &Subscription, id: &str, connection: &str) -> Row {
    let mut row = owned(of);
    row.extend([
        ("id", id.into()),
        ("customer_id", (&of.customer).into()),
        ("connection_id", connection.into()),
        ("gateway_token", "tok".into()),
        ("brand", "Visa".into()),
        ("last4", "0042".into()),
        ("expires_on", "2030-12".into()),
        ("created_at", WRITTEN_AT.into()),
        ("sequence", WRITTEN_AT.into()),
    ]);
    row
}

fn subscription_row(of: &Subscription, (status, clock): (&str, &str), method: &str) -> Row {
    let mut row = owned(of);
    row.extend([
        ("id", (&of.id).into()),
        ("clock_id", clock.into()),
        ("customer_id", (&of.customer).into()),
        ("plan_id", "monthly".into()),
        ("payment_method_id", method.into()),
        ("status", status.into()),
        ("cancel_reason", if status == "canceled" { "requested".into() } else { Is::NoText }),
        ("anchor_on", "2025-08-31".into()),
        ("next_cycle", 1.into()),
        ("remaining", Is::NoNumber),
        ("calendar", "anchor".into()),
        ("renewal_failure", "open".into()),
        ("period_start", WRITTEN_AT.into()),
        ("period_end", DUE_AT.into()),
        ("prorate", Is::Flag(false)),
        ("event_number", 1.into()),
        ("started_at", WRITTEN_AT.into()),
        ("created_at", WRITTEN_AT.into()),
        ("sequence", WRITTEN_AT.into()),
    ]);
    row
}

/// Event number `number` of a subscription.
pub(crate) fn event_row(of: &Subscription, number: i64) -> Row {
    let at = Timestamp::from_microsecond(WRITTEN_AT).unwrap();
    let mut row = owned(of);
    row.extend([
        ("id", (&EventId::random(slot_of(of), at, &seed(&[&of.id, &number.to_string()])).to_string()).into()),
        ("history_id", (&of.id).into()),
        ("number", number.into()),
        ("type", "subscription.created".into()),
        ("object_id", (&of.id).into()),
        ("data", r#"{"status":"active","plan":"monthly","period":[0,1]}"#.into()),
        ("billing_at", WRITTEN_AT.into()),
        ("recorded_at", WRITTEN_AT.into()),
    ]);
    row
}

fn invoice_row(of: &Subscription, id: &str, (cycle, clock): (i64, &str)) -> Row {
    let mut row = owned(of);
    row.extend([
        ("id", id.into()),
        ("clock_id", clock.into()),
        ("customer_id", (&of.customer).into()),
        ("subscription_id", (&of.id).into()),
        ("plan_id", "monthly".into()),
        ("obligation", (&format!("cycle:{cycle}:{}", of.id)).into()),
        ("cycle", cycle.into()),
        ("currency", "jpy".into()),
        ("amount", 980.into()),
        ("amount_credited", 0.into()),
        ("lines", "[]".into()),
        ("due_on", (&format!("2026-0{cycle}-28")).into()),
        ("period_start", WRITTEN_AT.into()),
        ("period_end", DUE_AT.into()),
        ("created_at", WRITTEN_AT.into()),
    ]);
    row
}

fn charge_row(of: &Subscription, id: &str, (invoice, status): (&str, &str)) -> Row {
    let mut row = owned(of);
    let is_final = ["succeeded", "failed", "void"].contains(&status);
    row.extend([
        ("id", id.into()),
        ("clock_id", "real".into()),
        ("customer_id", (&of.customer).into()),
        ("subscription_id", (&of.id).into()),
        ("invoice_id", invoice.into()),
        ("payment_method_id", "pm".into()),
        ("connection_id", "gwc".into()),
        ("number", 1.into()),
        ("status", status.into()),
        ("amount", 980.into()),
        ("currency", "jpy".into()),
        ("idempotency_key", "0123456789abcdef".into()),
        ("actor", "schedule".into()),
        ("surplus", Is::Flag(false)),
        ("frozen", Is::Flag(false)),
        ("gateway_charge_id", (&format!("gw_{id}")).into()),
        ("billing_at", WRITTEN_AT.into()),
        ("sent_at", WRITTEN_AT.into()),
        ("tries", 0.into()),
        ("check_at", if is_final { Is::NoNumber } else { DUE_AT.into() }),
        ("settled_at", if is_final { WRITTEN_AT.into() } else { Is::NoNumber }),
        ("created_at", WRITTEN_AT.into()),
    ]);
    row
}

/// A ledger entry: (number, charge), (debit, credit, amount).
pub(crate) fn entry_row(
    of: &Subscription,
    invoice: &str,
    (number, charge): (i64, Option<&String>),
    (debit, credit, amount): (&str, &str, i64),
) -> Row {
    let at = Timestamp::from_microsecond(WRITTEN_AT).unwrap();
    let mut row = owned(of);
    row.extend([
        (
            "id",
            (&EntryId::random(slot_of(of), at, &seed(&[invoice, &number.to_string()])).to_string()).into(),
        ),
        ("kind", "invoice_issued".into()),
        ("invoice_id", invoice.into()),
        ("charge_id", charge.map_or(Is::NoText, Is::from)),
        ("debit", debit.into()),
        ("credit", credit.into()),
        ("amount", amount.into()),
        ("currency", "jpy".into()),
        ("posted_at", WRITTEN_AT.into()),
    ]);
    row
}
