//! SQL stands in `store.rs`, in the crate `db`, in a benchmark's floor and in a proof's checker, and nowhere else, so that
//! what a feature asks of the database is read in one place.

use crate::tidy::sql::{is_sql, may_hold_sql};
use crate::tidy::tree::Tree;
use crate::tidy::{Finding, OWN_FOLDER};

/// Looks at every string literal of every other Rust file, tests too.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let elsewhere = |path: &str| !may_hold_sql(path) && !path.starts_with(OWN_FOLDER);
    for source in tree.sources().iter().filter(|source| elsewhere(&source.path)) {
        for (line, _) in source.literals().filter(|(_, text)| is_sql(text)) {
            findings.push(Finding {
                path: source.path.clone(),
                line,
                rule: "sql-place",
                text: "SQL outside of `store.rs`; make it a function there, named by its intent".to_owned(),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    #[test]
    fn sql_outside_of_a_store_is_found() {
        let text = "//! A.\nconst A: &str = \"select id from plans\";\n";
        let found = places(
            check,
            &[("crates/teiki/src/plans/api.rs", text), ("crates/teiki/tests/it/plans.rs", text)],
        );
        assert_eq!(found, ["crates/teiki/src/plans/api.rs:2", "crates/teiki/tests/it/plans.rs:2"]);
    }

    #[test]
    fn sql_in_a_store_and_sentences_anywhere_are_fine() {
        let sql = "//! A.\nconst A: &str = \"select id from plans\";\n";
        let sentence = "//! A.\nconst A: &str = \"select a plan from the list\";\n";
        assert!(
            places(
                check,
                &[("crates/teiki/src/plans/store.rs", sql), ("crates/teiki/src/plans/api.rs", sentence)]
            )
            .is_empty()
        );
    }
}
