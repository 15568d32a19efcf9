//! Which texts are SQL, and where SQL may stand.
//!
//! A text is SQL if it begins like a statement, or holds a numbered parameter beside a word of SQL (a piece of one).
//! Sentences such as "select a plan from the list" are not. Nothing is parsed; what is built from pieces without either sign
//! is not recognised.

/// Words that a sentence puts after "from" or "into", and SQL does not.
const ARTICLES: [&str; 12] =
    ["the", "a", "an", "this", "that", "each", "every", "your", "its", "their", "one", "all"];

/// What a select has and a sentence has not.
const SELECT_SIGNS: [&str; 9] = ["*", "(", "$", "=", "_", " where ", " order by ", " limit ", " join "];

/// Whether `text` is a statement or a piece of one.
pub(super) fn is_sql(text: &str) -> bool {
    let text = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let words: Vec<&str> = text.split(' ').collect();
    let after = |position: usize| words.get(position).is_some_and(|word| !ARTICLES.contains(word));
    match words.as_slice() {
        ["select", ..] if is_select(&text, &words) => true,
        ["insert", "into", _, ..] | ["delete", "from", _, ..] => after(2),
        ["update", _, "set", _, ..]
        | ["update", _, _, "set", _, ..]
        | ["update", _, "as", _, "set", _, ..] => after(1),
        ["with", "recursive", ..] => true,
        ["with", _, "as", "not" | "materialized", ..] => true,
        ["with", _, "as", next, ..] => next.starts_with('('),
        ["create" | "drop" | "alter", "table", _, ..] => after(2),
        ["create" | "drop", "index", _, ..] | ["create", "unique", "index", ..] | ["pragma", _, ..] => true,
        _ => is_piece(&text),
    }
}

fn is_select(text: &str, words: &[&str]) -> bool {
    let Some(from) = words.iter().position(|word| *word == "from") else {
        return false;
    };
    let Some(source) = words.get(from + 1) else {
        return false;
    };
    let ends_with_table = words.len() == from + 2;
    !ARTICLES.contains(source) && (ends_with_table || SELECT_SIGNS.iter().any(|sign| text.contains(sign)))
}

fn is_piece(text: &str) -> bool {
    let has_parameter =
        text.split('$').skip(1).any(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
    let words = ["where ", "values (", "order by ", " and ", " set ", " limit "];
    has_parameter && words.iter().any(|word| text.contains(word))
}

/// `sql` in lower case with its quoted texts emptied, so that only its own words are left.
pub(super) fn without_quotes(sql: &str) -> String {
    sql.to_lowercase().split('\'').step_by(2).collect::<Vec<_>>().join("''")
}

/// Whether `word` stands in `sql` as a word of its own.
pub(super) fn has_word(sql: &str, word: &str) -> bool {
    let is_inside =
        |character: Option<char>| character.is_some_and(|found| found.is_alphanumeric() || found == '_');
    sql.match_indices(word).any(|(at, _)| {
        !is_inside(sql[..at].chars().next_back()) && !is_inside(sql[at + word.len()..].chars().next())
    })
}

/// A feature's `store.rs`, or a file in a folder `store` (a long one in parts, or its tests).
pub(super) fn is_store(path: &str) -> bool {
    path.starts_with("crates/") && (path.ends_with("/store.rs") || path.contains("/store/"))
}

/// Whether SQL may stand in the file at `path`.
pub(super) fn may_hold_sql(path: &str) -> bool {
    let proof = path.starts_with("crates/teiki/") && path.contains("/proof/");
    is_store(path)
        || path.starts_with("crates/db/")
        || proof && (path.ends_with("/checker.rs") || path.contains("/checker/"))
        || path.starts_with("xtask/src/bench/floor")
}

#[cfg(test)]
mod tests {
    use super::{has_word, is_sql, may_hold_sql, without_quotes};

    #[test]
    fn statements_and_their_pieces_are_sql() {
        for text in [
            "select id from plans",
            "\n    SELECT count(*)\n    FROM charges",
            "select id, name from plans p where p.id = $1",
            "select 1 from {table} where slot = $1",
            "insert into plans (id) values ($1)",
            "update plans set name = $1",
            "update plans as p set name = $1",
            "delete from plans",
            "with due as (select 1) select * from due",
            "create table plans (id TEXT)",
            "create unique index a on b (c)",
            "alter table plans add column x TEXT",
            "pragma journal_mode",
            " where slot = $1",
        ] {
            assert!(is_sql(text), "{text}");
        }
    }

    #[test]
    fn sentences_are_not_sql() {
        for text in [
            "select a plan from the list (below)",
            "Select a file",
            "Choose from 3",
            "update the plan",
            "delete from the list",
            "insert into the ledger",
            "with a key as its name",
            "create table",
            "costs $1",
            "",
        ] {
            assert!(!is_sql(text), "{text}");
        }
    }

    #[test]
    fn sql_has_its_places() {
        for path in [
            "crates/teiki/src/plans/store.rs",
            "crates/teiki/src/proof/checker.rs",
            "crates/db/src/many.rs",
            "xtask/src/bench/floor.rs",
        ] {
            assert!(may_hold_sql(path), "{path}");
        }
        for path in [
            "crates/teiki/src/plans/api.rs",
            "crates/teiki/src/proof/mod.rs",
            "crates/sim/src/checker.rs",
            "xtask/src/bench/mod.rs",
        ] {
            assert!(!may_hold_sql(path), "{path}");
        }
    }

    #[test]
    fn words_are_whole_and_not_quoted() {
        assert!(has_word("a interval b", "interval"));
        assert!(!has_word("interval_unit", "interval"));
        assert_eq!(without_quotes("a = 'It::is' AND b"), "a = '' and b");
    }
}
