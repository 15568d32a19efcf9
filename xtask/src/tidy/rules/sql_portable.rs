//! SQL is one text for both engines: no `::` casts, parameters are `$n`, and no clock, date arithmetic or randomness, because
//! times and ids are made before the statement.

use crate::tidy::sql::{has_word, is_sql, is_store, without_quotes};
use crate::tidy::tree::Tree;
use crate::tidy::{Finding, OWN_FOLDER};

/// Words of clocks and of dates.
const CLOCK_WORDS: [&str; 8] = [
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "interval",
    "strftime",
    "julianday",
    "date_trunc",
];
/// Calls of clocks, of dates and of randomness.
const CALLS: [&str; 8] = [
    "now",
    "extract",
    "random",
    "randomblob",
    "datetime",
    "clock_timestamp",
    "statement_timestamp",
    "gen_random_uuid",
];

/// Looks at every SQL literal outside of the crate `db`; at parameters and clocks in the stores.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let subject = |path: &str| !path.starts_with("crates/db/") && !path.starts_with(OWN_FOLDER);
    for source in tree.sources().iter().filter(|source| subject(&source.path)) {
        for (line, text) in source.literals().filter(|(_, text)| is_sql(text)) {
            let finding = |text| Finding { path: source.path.clone(), line, rule: "sql-portable", text };
            findings.extend(faults(&without_quotes(text), is_store(&source.path)).into_iter().map(finding));
        }
    }
    findings
}

fn faults(sql: &str, in_store: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if sql.contains("::") {
        faults.push("a `::` cast; write `cast(… as …)`, which both engines know".to_owned());
    }
    if !in_store {
        return faults;
    }
    if sql.contains('?') {
        faults.push("a `?` in SQL; number the parameters `$1`, `$2` …".to_owned());
    }
    let word = CLOCK_WORDS.iter().filter(|word| has_word(sql, word)).copied();
    let call = CALLS
        .iter()
        .filter(|call| has_word(sql, call) && sql.replace(' ', "").contains(&format!("{call}(")))
        .copied();
    for name in word.chain(call) {
        faults.push(format!("`{name}` in SQL; compute it before the statement and give it as a parameter"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    fn found(path: &str, sql: &str) -> usize {
        places(check, &[(path, &format!("//! A.\nconst A: &str = \"{sql}\";\n"))]).len()
    }

    #[test]
    fn casts_are_found_everywhere_but_in_db() {
        let sql = "select a::text from b where c = 'x'";
        assert_eq!(found("crates/teiki/src/a/store.rs", sql), 1);
        assert_eq!(found("xtask/src/bench/floor.rs", sql), 1);
        assert_eq!(found("crates/db/src/a.rs", sql), 0);
        assert_eq!(found("crates/teiki/src/a/store.rs", "select a from b where c = 'x::y?'"), 0);
    }

    #[test]
    fn clocks_randomness_and_question_marks_are_found_in_stores() {
        for sql in [
            "select id from b where at < now()",
            "update b set at = current_timestamp",
            "select id from b where at < $1 + interval '1 day'",
            "select extract (year from at) from b",
            "select id from b order by random() limit 1",
            "delete from b where id = ?",
        ] {
            assert_eq!(found("crates/teiki/src/a/store.rs", sql), 1, "{sql}");
        }
        assert_eq!(
            found("crates/teiki/src/a/store.rs", "select interval_unit, known from b where at = $1"),
            0
        );
    }
}
