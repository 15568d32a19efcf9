//! Every SQL literal of every `store.rs` is prepared on both engines: one text for both. And none is carried out in a way that
//! takes longer the more an account has.

use std::path::{Path, PathBuf};

use syn::visit::Visit;
use teiki::schema::MIGRATIONS;

use crate::installation::{Installation, on_both, on_postgres, on_sqlite};
use crate::place::with_client;

pub(crate) mod store;

/// Statements that ask an engine for its own version stand side by side, one for each.
const ONLY_SQLITE: &str = "select sqlite_version()";
const ONLY_POSTGRES: &str = "select current_setting('server_version')";

/// String literals that are statements.
#[derive(Default)]
struct Literals(Vec<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        let text = literal.value();
        let is_statement = ["select ", "insert into ", "update ", "delete from "]
            .iter()
            .any(|start| text.starts_with(start));
        if is_statement {
            self.0.push(text);
        }
    }
}

/// Files named `store.rs`, or in a folder `store`, under `folder`.
fn stores(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the source is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            stores(&path, found);
        } else if path.file_name().is_some_and(|name| name == "store.rs")
            || path.parent().is_some_and(|p| p.ends_with("store"))
        {
            found.push(path);
        }
    }
}

fn statements() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    stores(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut statements = Vec::new();
    for file in files {
        let source = std::fs::read_to_string(&file).expect("a source reads");
        let mut literals = Literals::default();
        literals.visit_file(&syn::parse_file(&source).expect("a source parses"));
        statements.extend(literals.0.into_iter().map(|statement| (file.clone(), statement)));
    }
    statements
}

#[tokio::test]
async fn every_statement_is_understood_by_both_engines() {
    let statements = statements();
    assert!(statements.len() > 60, "only {} statements were found", statements.len());
    on_both(async |installation| {
        assert!(!MIGRATIONS.is_empty());
        for (file, statement) in &statements {
            let prepared = match (installation.place.url.strip_prefix("sqlite:"), statement.as_str()) {
                (Some(_), ONLY_POSTGRES) | (None, ONLY_SQLITE) => continue,
                (Some(path), statement) => prepared_by_sqlite(path, statement),
                (None, statement) => prepared_by_postgres(&installation.place.url, statement),
            };
            assert_eq!(prepared, Ok(()), "{}: {statement}", file.display());
        }
    })
    .await;
}

fn prepared_by_sqlite(path: &str, statement: &str) -> Result<(), String> {
    let connection = rusqlite::Connection::open(path).map_err(|error| error.to_string())?;
    connection.prepare(&statement.replace('$', "?")).map(|_| ()).map_err(|error| error.to_string())
}

fn prepared_by_postgres(url: &str, statement: &str) -> Result<(), String> {
    with_client(url, |client| client.prepare(statement).map(drop).map_err(|error| format!("{error:?}")))
}

/// The file of a database of SQLite.
pub(crate) fn path_of(installation: &Installation) -> &str {
    installation.place.url.strip_prefix("sqlite:").expect("a database of SQLite")
}

#[tokio::test]
async fn in_an_empty_database_what_is_looked_up_by_key_is_found_by_key() {
    on_postgres(async |installation| {
        with_client(&installation.place.url, |client| {
            let keys = store::keys(client);
            assert!(keys.len() > 20, "only {} tables were found", keys.len());
            for key in keys {
                let plan = store::plan_of_look_up(client, &key);
                let by_key = format!("using {} ", key.name);
                assert!(plan.contains(&by_key), "{} by its key and account:\n{plan}", key.table);
            }
        });
    })
    .await;
}

/// What goes over everything on purpose: the doctor and the demo check all rows, `status` counts them, and pages of exports
/// go through all slots in order (`exports::schema` looks at those).
const READS_ALL: [&str; 4] = ["doctor/store.rs", "demo/store.rs", "status/store.rs", "exports/store/"];

#[tokio::test]
async fn on_sqlite_no_statement_goes_over_all_rows_of_a_slot() {
    on_sqlite(async |installation| {
        let connection = rusqlite::Connection::open(path_of(installation)).unwrap();
        let shape = store::Shape::of(&connection);
        assert!(shape.slotted.len() > 12, "tables with slots: {:?}", shape.slotted);
        let statements = statements().into_iter().filter(|(file, statement)| {
            !READS_ALL.iter().any(|all| file.to_string_lossy().contains(all)) && statement != ONLY_POSTGRES
        });
        for (file, statement) in statements {
            let steps = store::steps(&connection, &statement);
            let wide: Vec<_> = steps.iter().filter(|step| shape.is_wide(step, &statement)).collect();
            assert!(wide.is_empty(), "{wide:?} of {}: {statement}\n{steps:#?}", file.display());
        }
    })
    .await;
}

#[tokio::test]
async fn every_index_of_sqlite_has_its_numbers() {
    on_sqlite(async |installation| {
        let connection = rusqlite::Connection::open(path_of(installation)).unwrap();
        let without = store::indexes_without_statistics(&connection);
        assert!(without.is_empty(), "run the text of 0007_statistics again after making {without:?}");
    })
    .await;
}
