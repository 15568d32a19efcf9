//! Nothing of the schema is forgotten: every table, and every column of it, is exported, or stands here with the reason why it
//! is not. A table or column of a later migration that is in neither place fails the test. And a page costs the same however
//! many rows there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::Visit;
use teiki::exports::Subject;

use super::columns::HEADERS;
use crate::constraints::store;
use crate::installation::{on_both, on_sqlite};
use crate::sql::path_of;
use crate::sql::store::steps;

/// A column that is not exported, and why.
type Left = (&'static str, &'static str);

/// What every row has that says whose it is, and where it lies.
const KEYS: [&str; 3] = ["slot", "account_id", "mode"];

const COUNTER: &str = "numbers the events of its history, which have their numbers";
const ORDER: &str = "orders rows of the same instant";
const RESOLVING: &str = "how its outcome is being found out";

/// (table, the exports that show it, what of it they do not show)
const EXPORTED: &[(&str, Subject, &[Left])] = &[
    ("accounts", Subject::Accounts, &[]),
    ("customers", Subject::Customers, &[("event_number", COUNTER), ("sequence", ORDER)]),
    (
        "payment_methods",
        Subject::Cards,
        &[
            ("connection_id", "shown as the gateway's name"),
            ("gateway_token", "what the card is charged with: a secret"),
            ("fingerprint", "tells which cards have the same number"),
            ("sequence", ORDER),
        ],
    ),
    ("tokens", Subject::Tokens, &[]),
    ("three_d_secure_requests", Subject::ThreeDSecureRequests, &[]),
    ("plans", Subject::Plans, &[("event_number", COUNTER)]),
    (
        "plan_switches",
        Subject::PlanSwitches,
        &[
            ("place", "how far the reservation is"),
            ("passed_over", "how far the reservation is"),
            ("begun_at", "whether it can still be undone"),
            ("event_number", COUNTER),
        ],
    ),
    (
        "subscriptions",
        Subject::Subscriptions,
        &[
            ("switch_former", "what an undone plan switch gives back"),
            ("anchor_cycle", "counts cycles, which invoices have"),
            ("next_cycle", "counts cycles, which invoices have"),
            ("billed", "whether there is any invoice"),
            ("pending_invoice_id", "a request that is being paid"),
            ("change_count", "makes the ids of invoices differ"),
            ("event_number", COUNTER),
            ("sequence", ORDER),
        ],
    ),
    (
        "invoices",
        Subject::Invoices,
        &[
            ("charge_count", "counts its charges"),
            ("in_request", "what a decline does to it"),
            ("on_paid", "what its payment does to the subscription"),
            ("event_number", COUNTER),
        ],
    ),
    (
        "charges",
        Subject::Charges,
        &[
            ("connection_id", "shown as the gateway's name"),
            ("frozen", RESOLVING),
            ("note", "for the operator"),
            ("last_sent_at", RESOLVING),
            ("absent_at", RESOLVING),
            ("tries", RESOLVING),
            ("check_at", RESOLVING),
            ("action_count", "counts its actions"),
        ],
    ),
    (
        "charge_actions",
        Subject::ChargeActions,
        &[
            ("note", "for the operator"),
            ("frozen", RESOLVING),
            ("last_sent_at", RESOLVING),
            ("absent_at", RESOLVING),
            ("tries", RESOLVING),
            ("check_at", RESOLVING),
        ],
    ),
    ("dunning_cases", Subject::DunningCases, &[]),
    ("ledger_entries", Subject::Ledger, &[]),
    ("events", Subject::Events, &[]),
    (
        "webhook_endpoints",
        Subject::WebhookEndpoints,
        &[
            ("secret", "signs what is sent"),
            ("former_secret", "signs what is sent"),
            ("token", "proves who sends"),
            ("failed_at", "when it was disabled follows from it"),
            ("event_number", COUNTER),
        ],
    ),
    (
        "webhook_deliveries",
        Subject::WebhookDeliveries,
        &[
            ("history_id", "its event has it"),
            ("number", "its event has it"),
            ("claims", "processes that ended over it"),
        ],
    ),
    (
        "test_clocks",
        Subject::TestClocks,
        &[("from_time", "how much of its way is done"), ("event_number", COUNTER)],
    ),
];

/// Tables that are nobody's data, and why.
const INTERNAL: &[Left] = &[
    ("installation", "the key that ids derive from: a secret of the installation"),
    ("secret_keys", "names of keys that secrets are encrypted under"),
    ("api_keys", "what opens the account; only hashes are stored, and `GET /v1/api_keys` lists the rest"),
    ("gateway_connections", "its gateway stands in cards and charges"),
    ("holds", "the operator's: what stops charging"),
    ("alarms", "the operator's: what must be looked at"),
    ("leases", "which process works"),
    ("day_plans", "what a guard compares a day with, counted from invoices"),
    ("day_runs", "what a guard compares a day with, counted from invoices"),
    ("idempotency_keys", "hashes of requests, for 30 days"),
    ("outbox", "what the log has not been told yet"),
    (
        "imported_rows",
        "what an import compares the same file with; what it said is in customers, cards and subscriptions",
    ),
];

/// Statements of the exports.
#[derive(Default)]
struct Statements(Vec<String>);

impl<'ast> Visit<'ast> for Statements {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.push(literal.value());
    }
}

fn statements() -> Vec<String> {
    let mut found = Statements::default();
    for entry in Path::new(env!("CARGO_MANIFEST_DIR")).join("src/exports/store").read_dir().unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        found.visit_file(&syn::parse_file(&source).unwrap());
    }
    found.0
}

/// What the page of a table selects of it: the words of its list of columns, without the table's other name.
fn selected(statements: &[String], table: &str) -> BTreeSet<String> {
    let words = |statement: &String| {
        let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        let (columns, rest) = statement.strip_prefix("select ")?.split_once(" from ")?;
        let mut rest = rest.split(' ');
        let (first, alias) = (rest.next()?, rest.next()?);
        if first != table || !statement.contains(" limit $") {
            return None;
        }
        let names = columns.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_.".contains(letter)));
        let own = names.filter_map(|name| match name.split_once('.') {
            Some((of, name)) => (of == alias).then(|| name.to_owned()),
            None => Some(name.to_owned()),
        });
        Some(own.collect::<BTreeSet<String>>())
    };
    let mut pages: Vec<BTreeSet<String>> = statements.iter().filter_map(words).collect();
    assert_eq!(pages.len(), 1, "{table} has one page");
    pages.remove(0)
}

#[tokio::test]
async fn every_table_and_column_is_exported_or_is_known_not_to_be() {
    let statements = statements();
    on_both(async |installation| {
        let mut schema: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for [table, column, _] in store::columns(&installation.db).await {
            if !table.starts_with('_') && !table.starts_with("sqlite_") {
                schema.entry(table).or_default().insert(column);
            }
        }
        let exported = EXPORTED.iter().map(|(table, ..)| *table);
        let known: Vec<&str> = exported.chain(INTERNAL.iter().map(|(table, _)| *table)).collect();
        let tables: BTreeSet<&str> = schema.keys().map(String::as_str).collect();
        assert_eq!(known.iter().copied().collect::<BTreeSet<_>>(), tables, "export it, or say why not");
        assert_eq!(known.len(), tables.len(), "each stands in one place");
        for (table, _, left) in EXPORTED {
            let shown = selected(&statements, table);
            let left: BTreeSet<&str> = left.iter().map(|(column, _)| *column).collect();
            for column in &schema[*table] {
                let is_key = KEYS.contains(&column.as_str());
                let is_shown = shown.contains(column);
                assert!(is_key || is_shown != left.contains(column.as_str()), "{table}.{column}");
            }
            assert!(left.iter().all(|column| schema[*table].contains(*column)), "{table}: {left:?}");
        }
    })
    .await;
}

#[test]
fn every_export_has_a_table_and_a_header() {
    let named = Subject::ALL.map(Subject::as_str);
    assert_eq!(
        EXPORTED.iter().map(|(_, subject, _)| subject.as_str()).collect::<BTreeSet<_>>(),
        BTreeSet::from(named)
    );
    assert_eq!(HEADERS.map(|(subject, _)| subject), named);
    for reason in EXPORTED.iter().flat_map(|(.., left)| *left).chain(INTERNAL).map(|(_, reason)| reason) {
        assert!(reason.contains(' '), "{reason:?} is no reason");
    }
}

/// What an account has grows for years; to sort it for every page would take hours at a million rows.
#[tokio::test]
async fn no_page_sorts_all_rows_of_the_account() {
    on_sqlite(async |installation| {
        let connection = rusqlite::Connection::open(path_of(installation)).unwrap();
        let pages: Vec<String> = statements()
            .into_iter()
            .filter(|statement| statement.contains("slot, ") && statement.contains(" limit $"))
            .collect();
        assert_eq!(pages.len(), 12, "tables with slots");
        for page in pages {
            let steps = steps(&connection, &page);
            let sorts = steps.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
            assert!(!sorts, "{steps:#?} of {page}");
        }
    })
    .await;
}
