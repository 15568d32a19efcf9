//! Every SQL literal of every `store.rs` is prepared on both engines: one text for both.

use std::path::{Path, PathBuf};

use syn::visit::Visit;
use teiki::schema::MIGRATIONS;

use crate::installation::{on_both, on_postgres as on_postgres_only};
use crate::place::with_client;

mod store;

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
                (Some(path), statement) => on_sqlite(path, statement),
                (None, statement) => on_postgres(&installation.place.url, statement),
            };
            assert_eq!(prepared, Ok(()), "{}: {statement}", file.display());
        }
    })
    .await;
}

fn on_sqlite(path: &str, statement: &str) -> Result<(), String> {
    let connection = rusqlite::Connection::open(path).map_err(|error| error.to_string())?;
    connection.prepare(&statement.replace('$', "?")).map(|_| ()).map_err(|error| error.to_string())
}

fn on_postgres(url: &str, statement: &str) -> Result<(), String> {
    with_client(url, |client| client.prepare(statement).map(drop).map_err(|error| format!("{error:?}")))
}

#[tokio::test]
async fn in_an_empty_database_what_is_looked_up_by_key_is_found_by_key() {
    on_postgres_only(async |installation| {
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
