//! Every constraint of the schema bites, on SQLite and on PostgreSQL: what it forbids is refused in its name, and the
//! nearest rows that it allows are let in. A constraint of a later migration that stands in no table here is found.
//!
//! Rows are made from the engine's list of columns: row 1 holds 1 or "1" in all of them, row 2 holds 2 or "2". Each
//! attempt is a transaction of its own, and nothing of it is kept.

use std::collections::{BTreeMap, BTreeSet};

use billing::charge::State;
use db::{Db, Engine, Error, OnConflict};

use crate::installation::{Is, Row, columns, on_both};

pub(crate) mod store;

/// Primary keys, unique constraints and unique indexes: (name, table, columns).
const UNIQUE: &[(&str, &str, &[&str])] = &[
    ("accounts_pkey", "accounts", &["id"]),
    ("api_keys_pkey", "api_keys", &["id"]),
    ("api_keys_hash_key", "api_keys", &["hash"]),
    ("secret_keys_pkey", "secret_keys", &["id"]),
    ("holds_pkey", "holds", &["scope"]),
    ("gateway_connections_pkey", "gateway_connections", &["id"]),
    (
        "gateway_connections_account_id_mode_gateway_key",
        "gateway_connections",
        &["account_id", "mode", "gateway"],
    ),
    ("test_clocks_pkey", "test_clocks", &["id"]),
    ("plans_pkey", "plans", &["account_id", "mode", "id"]),
    ("leases_pkey", "leases", &["name"]),
    ("day_plans_pkey", "day_plans", &["account_id", "mode", "clock_id", "day"]),
    ("day_runs_pkey", "day_runs", &["account_id", "mode", "clock_id", "day", "lane"]),
    ("customers_pkey", "customers", &["slot", "account_id", "mode", "id"]),
    ("payment_methods_pkey", "payment_methods", &["slot", "id"]),
    ("tokens_pkey", "tokens", &["slot", "id"]),
    ("three_d_secure_requests_pkey", "three_d_secure_requests", &["slot", "id"]),
    ("subscriptions_pkey", "subscriptions", &["slot", "id"]),
    (
        "imported_rows_pkey",
        "imported_rows",
        &["slot", "account_id", "mode", "customer_id", "plan_id", "billing_anchor"],
    ),
    ("invoices_pkey", "invoices", &["slot", "id"]),
    ("invoices_obligation", "invoices", &["slot", "obligation"]),
    ("charges_pkey", "charges", &["slot", "id"]),
    ("charges_open", "charges", &["slot", "invoice_id"]),
    ("charges_success", "charges", &["slot", "invoice_id"]),
    ("charges_gateway_id", "charges", &["slot", "connection_id", "gateway_charge_id"]),
    ("charge_actions_pkey", "charge_actions", &["slot", "id"]),
    ("charge_actions_number", "charge_actions", &["slot", "charge_id", "number"]),
    ("charge_actions_open", "charge_actions", &["slot", "charge_id"]),
    ("dunning_cases_pkey", "dunning_cases", &["slot", "id"]),
    ("dunning_cases_invoice", "dunning_cases", &["slot", "invoice_id"]),
    ("ledger_entries_pkey", "ledger_entries", &["slot", "id"]),
    ("events_pkey", "events", &["slot", "id"]),
    ("events_number", "events", &["slot", "number", "history_id"]),
    ("plan_switches_pkey", "plan_switches", &["id"]),
    ("idempotency_keys_pkey", "idempotency_keys", &["slot", "account_id", "mode", "key_hash"]),
    ("outbox_pkey", "outbox", &["slot", "event_id", "sink"]),
    ("webhook_endpoints_pkey", "webhook_endpoints", &["id"]),
    ("webhook_deliveries_pkey", "webhook_deliveries", &["slot", "id"]),
    ("alarms_pkey", "alarms", &["slot", "id"]),
];

/// A row refers to another: (name, table, columns, table of the other, its columns).
type Foreign = (&'static str, &'static str, &'static [&'static str], &'static str, &'static [&'static str]);

const FOREIGN: &[Foreign] = &[
    ("api_keys_account_id_fkey", "api_keys", &["account_id"], "accounts", &["id"]),
    ("gateway_connections_account_id_fkey", "gateway_connections", &["account_id"], "accounts", &["id"]),
    ("test_clocks_account_id_fkey", "test_clocks", &["account_id"], "accounts", &["id"]),
    ("plans_account_id_fkey", "plans", &["account_id"], "accounts", &["id"]),
    ("day_plans_account_id_fkey", "day_plans", &["account_id"], "accounts", &["id"]),
    ("day_runs_account_id_fkey", "day_runs", &["account_id"], "accounts", &["id"]),
    ("customers_account_id_fkey", "customers", &["account_id"], "accounts", &["id"]),
    (
        "payment_methods_connection_id_fkey",
        "payment_methods",
        &["connection_id"],
        "gateway_connections",
        &["id"],
    ),
    (
        "payment_methods_slot_account_id_mode_customer_id_fkey",
        "payment_methods",
        &["slot", "account_id", "mode", "customer_id"],
        "customers",
        &["slot", "account_id", "mode", "id"],
    ),
    ("plan_switches_account_id_fkey", "plan_switches", &["account_id"], "accounts", &["id"]),
    ("idempotency_keys_account_id_fkey", "idempotency_keys", &["account_id"], "accounts", &["id"]),
    ("tokens_account_id_fkey", "tokens", &["account_id"], "accounts", &["id"]),
    (
        "three_d_secure_requests_account_id_fkey",
        "three_d_secure_requests",
        &["account_id"],
        "accounts",
        &["id"],
    ),
    (
        "subscriptions_slot_account_id_mode_customer_id_fkey",
        "subscriptions",
        &["slot", "account_id", "mode", "customer_id"],
        "customers",
        &["slot", "account_id", "mode", "id"],
    ),
    ("webhook_endpoints_account_id_fkey", "webhook_endpoints", &["account_id"], "accounts", &["id"]),
];

/// A check: (name, its text, which is SQLite's name of it), (table, column), (refused, nearest allowed).
type Check = ((&'static str, &'static str), (&'static str, &'static str), (Is, Is));

fn checks() -> [Check; 18] {
    let least = |number: i64| (Is::from(number - 1), Is::from(number));
    let (amount, paid, credited) = ("amount >= 0", "amount_paid >= 0", "amount_credited >= 0");
    let outside = "amount_outside >= 0";
    [
        (
            ("api_keys_kind_check", "kind in ('secret', 'public', 'restricted')"),
            ("api_keys", "kind"),
            ("private".into(), "public".into()),
        ),
        (("plans_amount_check", amount), ("plans", "amount"), least(0)),
        (("plans_interval_count_check", "interval_count >= 1"), ("plans", "interval_count"), least(1)),
        (
            ("plans_billing_day_check", "billing_day between 1 and 31"),
            ("plans", "billing_day"),
            (32.into(), 31.into()),
        ),
        (("plans_trial_days_check", "trial_days >= 0"), ("plans", "trial_days"), least(0)),
        (("plans_setup_fee_check", "setup_fee >= 0"), ("plans", "setup_fee"), least(0)),
        (("plans_instalments_check", "instalments >= 1"), ("plans", "instalments"), least(1)),
        (("subscriptions_quantity_check", "quantity >= 1"), ("subscriptions", "quantity"), least(1)),
        (("subscriptions_remaining_check", "remaining >= 0"), ("subscriptions", "remaining"), least(0)),
        (("invoices_amount_check", amount), ("invoices", "amount"), least(0)),
        (("invoices_amount_paid_check", paid), ("invoices", "amount_paid"), least(0)),
        (("invoices_amount_credited_check", credited), ("invoices", "amount_credited"), least(0)),
        (("invoices_amount_outside_check", outside), ("invoices", "amount_outside"), least(0)),
        (("charges_amount_check", "amount > 0"), ("charges", "amount"), least(1)),
        (("charges_amount_refunded_check", "amount_refunded >= 0"), ("charges", "amount_refunded"), least(0)),
        (("charge_actions_amount_check", "amount > 0"), ("charge_actions", "amount"), least(1)),
        (("ledger_entries_amount_check", "amount > 0"), ("ledger_entries", "amount"), least(1)),
        (("ledger_entries_check", "debit <> credit"), ("ledger_entries", "credit"), ("1".into(), "2".into())),
    ]
}

/// Of the table that has one row.
const INSTALLATION: [&str; 2] = ["installation_pkey", "installation_id_check"];

#[tokio::test]
async fn every_constraint_of_the_schema_has_its_example_here() {
    on_both(async |installation| {
        // Only PostgreSQL has names for all of them; what a migration gives to SQLite alone is not seen.
        if installation.db.engine() == Engine::Sqlite {
            return;
        }
        let examples: BTreeSet<String> = (UNIQUE.iter().map(|unique| unique.0))
            .chain(FOREIGN.iter().map(|foreign| foreign.0))
            .chain(checks().iter().map(|check| check.0.0))
            .chain(INSTALLATION)
            .map(str::to_owned)
            .collect();
        let schema = store::constraints(&installation.db).await;
        let lonely: Vec<&String> = schema.symmetric_difference(&examples).collect();
        assert!(lonely.is_empty(), "in the schema or here, but not in both: {lonely:?}");
    })
    .await;
}

#[tokio::test]
async fn a_second_row_with_the_same_key_is_refused_and_one_with_a_part_of_it_is_not() {
    on_both(async |installation| {
        let schema = Schema::of(&installation.db).await;
        for (name, table, key) in UNIQUE {
            let [one, two] = [1, 2].map(|n| changed(schema.row(table, n), &condition(name)));
            let same = schema.attempt(table, [&one, &mixed(&two, &one, key)]).await;
            let error = same.expect_err(name);
            assert!(error.violates(name), "{name}: {error}");
            for part in *key {
                let others: Vec<&str> = key.iter().filter(|column| *column != part).copied().collect();
                let neighbour = schema.attempt(table, [&one, &mixed(&two, &one, &others)]).await;
                assert!(neighbour.is_ok(), "{name} with another {part}: {neighbour:?}");
            }
        }
    })
    .await;
}

/// What a row must hold so that a partial index has it.
fn condition(unique: &str) -> Row {
    match unique {
        "charges_open" | "charge_actions_open" => vec![("status", "prepared".into())],
        "charges_success" => vec![("status", "succeeded".into())],
        _ => vec![],
    }
}

#[tokio::test]
async fn an_invoice_has_one_charge_that_is_not_final_and_one_success_that_counts() {
    on_both(async |installation| {
        let schema = Schema::of(&installation.db).await;
        let charge = |n, state: State, surplus| {
            let status = ("status", state.as_str().into());
            changed(schema.row("charges", n), &vec![status, ("surplus", Is::Flag(surplus))])
        };
        let states = || State::ALL.into_iter().flat_map(|state| [(state, false), (state, true)]);
        for (first, second) in states().flat_map(|first| states().map(move |second| (first, second))) {
            let one = charge(1, first.0, first.1);
            let two = mixed(&charge(2, second.0, second.1), &one, &["slot", "invoice_id"]);
            let refused = schema.attempt("charges", [&one, &two]).await.err();
            let expected = if !first.0.is_final() && !second.0.is_final() {
                Some("charges_open")
            } else if first == (State::Succeeded, false) && second == first {
                Some("charges_success")
            } else {
                None
            };
            let is_as_expected = match (&refused, expected) {
                (Some(error), Some(name)) => error.violates(name),
                (refused, expected) => refused.is_none() && expected.is_none(),
            };
            assert!(is_as_expected, "{first:?}, {second:?}: {refused:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn charges_that_the_gateway_has_not_named_do_not_collide() {
    on_both(async |installation| {
        let schema = Schema::of(&installation.db).await;
        let unnamed = vec![("gateway_charge_id", Is::NoText)];
        let [one, two] = [1, 2].map(|n| changed(schema.row("charges", n), &unnamed));
        let two = mixed(&two, &one, &["slot", "connection_id"]);
        assert!(schema.attempt("charges", [&one, &two]).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_row_refers_to_one_that_is_there() {
    on_both(async |installation| {
        let schema = Schema::of(&installation.db).await;
        for (name, table, key, ..) in FOREIGN {
            let [one, two, three] = [1, 2, 3].map(|n| schema.row(table, n));
            let known = schema.attempt(table, [&one, &two]).await;
            assert!(known.is_ok(), "{name}: {known:?}");
            for column in *key {
                // Another account, mode or customer is there as well, but not together with the rest.
                let other = if key.len() > 1 { &two } else { &three };
                let stray = mixed(&one, other, &[column]);
                let mut writes = Vec::new();
                for (n, row) in [(1, &one), (2, &two)] {
                    schema.add_parents(&mut writes, (table, row), n);
                }
                writes.push((table, stray, OnConflict::Fail));
                let error = attempt(&schema.db, writes).await.expect_err(name);
                let said = schema.said("SQLite does not say which", name);
                let is_refused = matches!(&error, Error::ForeignKey { constraint, .. } if constraint == said);
                assert!(is_refused, "{name} with another {column}: {error}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_value_out_of_range_is_refused_and_the_last_one_within_is_not() {
    on_both(async |installation| {
        let schema = Schema::of(&installation.db).await;
        for ((name, text), (table, column), (refused, allowed)) in checks() {
            let holding = |value| changed(schema.row(table, 1), &vec![(column, value)]);
            let error = schema.attempt(table, [&holding(refused)]).await.expect_err(name);
            let said = schema.said(text, name);
            let is_refused = matches!(&error, Error::Check { constraint, .. } if constraint == said);
            assert!(is_refused, "{name}: {error}");
            let neighbour = schema.attempt(table, [&holding(allowed)]).await;
            assert!(neighbour.is_ok(), "{name}: {neighbour:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn there_is_one_installation() {
    on_both(async |installation| {
        let schema = Schema::of(&installation.db).await;
        let [key, id] = INSTALLATION;
        // The migrations have written row 1.
        let again = schema.attempt("installation", [&schema.row("installation", 1)]).await;
        assert!(again.as_ref().is_err_and(|error| error.violates(key)), "{again:?}");
        let second = schema.attempt("installation", [&schema.row("installation", 2)]).await;
        let said = schema.said("id = 1", id);
        assert!(matches!(&second, Err(Error::Check { constraint, .. }) if constraint == said), "{second:?}");
    })
    .await;
}

/// A database, and the columns of its tables with their types.
struct Schema {
    db: Db,
    tables: BTreeMap<String, Vec<(&'static str, String)>>,
}

type Write = (&'static str, Row, OnConflict);

impl Schema {
    async fn of(db: &Db) -> Self {
        let mut tables: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for [table, column, kind] in store::columns(db).await {
            // The names in a `Row` live for ever.
            tables.entry(table).or_default().push((&*column.leak(), kind));
        }
        Self { db: db.clone(), tables }
    }

    /// Row `n` of a table: every column holds `n`, but for those that a check keeps from it.
    fn row(&self, table: &str, n: i64) -> Row {
        let value = |column, kind| match (table, column, kind) {
            ("api_keys", "kind", _) => "secret".into(),
            ("ledger_entries", "credit", _) => "credit".into(),
            (_, _, "bigint") => n.into(),
            (_, _, "text") => (&n.to_string()).into(),
            (_, _, "bytea" | "blob") => Is::Bytes(n.to_be_bytes().to_vec()),
            (_, _, "boolean") => Is::Flag(false),
            _ => panic!("{table}.{column} is {kind}"),
        };
        self.tables[table].iter().map(|(column, kind)| (*column, value(column, kind))).collect()
    }

    /// The rows, numbered from 1, each after those that it refers to.
    fn with_parents<const N: usize>(&self, table: &'static str, rows: [&Row; N]) -> Vec<Write> {
        let mut writes = Vec::new();
        for (n, row) in (1..).zip(rows) {
            self.add_parents(&mut writes, (table, row), n);
            writes.push((table, row.clone(), OnConflict::Fail));
        }
        writes
    }

    fn add_parents(&self, writes: &mut Vec<Write>, (table, row): (&str, &Row), n: i64) {
        for (_, _, key, parent, parent_key) in FOREIGN.iter().filter(|foreign| foreign.1 == table) {
            let value = |column| row.iter().find(|cell| cell.0 == column).expect("a column").1.clone();
            let id: Row = (parent_key.iter().copied()).zip(key.iter().copied().map(value)).collect();
            let parent_row = changed(self.row(parent, n), &id);
            self.add_parents(writes, (parent, &parent_row), n);
            writes.push((parent, parent_row, OnConflict::Nothing));
        }
    }

    async fn attempt<const N: usize>(&self, table: &'static str, rows: [&Row; N]) -> Result<(), Error> {
        attempt(&self.db, self.with_parents(table, rows)).await
    }

    fn said<'a>(&self, on_sqlite: &'a str, on_postgres: &'a str) -> &'a str {
        match self.db.engine() {
            Engine::Sqlite => on_sqlite,
            Engine::Postgres => on_postgres,
        }
    }
}

/// The row with other values in some columns.
fn changed(mut row: Row, set: &Row) -> Row {
    for (column, value) in set {
        row.iter_mut().find(|cell| cell.0 == *column).expect("a column").1 = value.clone();
    }
    row
}

/// The row with these columns of another row of its table.
fn mixed(row: &Row, other: &Row, columns: &[&str]) -> Row {
    let cells = row.iter().zip(other);
    cells.map(|(own, other)| if columns.contains(&own.0) { other } else { own }.clone()).collect()
}

/// Why nothing of an attempt is kept.
enum Undone {
    Accepted,
    Refused(Error),
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Whether the database takes these rows, one after the other.
async fn attempt(db: &Db, writes: Vec<Write>) -> Result<(), Error> {
    let tried = db.write(move |tx| {
        for (table, row, on_conflict) in &writes {
            tx.insert_many(table, &columns(row), *on_conflict)?;
        }
        Err::<(), _>(Undone::Accepted)
    });
    match tried.await {
        Ok(()) | Err(Undone::Accepted) => Ok(()),
        Err(Undone::Refused(error)) => Err(error),
    }
}
