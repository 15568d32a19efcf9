//! Migrations keep the one-text, two-engine, slot-first form: names with a number, portable column types, and in every
//! customer-owned table keys that begin with `slot`. `-- catalogue` on the line of `create table` marks the others; a name
//! that begins with `_` is the machinery's own.

use crate::tidy::Finding;
use crate::tidy::tree::Tree;

const TYPES: [&str; 4] = ["bigint", "text", "bytea", "boolean"];
const ENGINES: [&str; 3] = ["sqlite", "postgres", "citus"];
/// Words that begin a constraint, not a column.
const CONSTRAINTS: [&str; 6] = ["primary", "unique", "check", "foreign", "constraint", "exclude"];

/// Looks at every `migrations/*.sql`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        let Some(name) = path.strip_prefix("migrations/").and_then(|name| name.strip_suffix(".sql")) else {
            continue;
        };
        let finding = |line, text| Finding { path: path.to_owned(), line, rule: "migrations", text };
        if !is_name(name) {
            findings.push(finding(
                1,
                "is not called NNNN_name.sql or NNNN_name.{sqlite,postgres,citus}.sql; rename it".to_owned(),
            ));
        }
        for (line, fault) in faults(text) {
            findings.push(finding(line, fault));
        }
    }
    findings
}

fn is_name(name: &str) -> bool {
    let (name, engine) = name.split_once('.').unwrap_or((name, ENGINES[0]));
    let (number, words) = name.split_once('_').unwrap_or((name, ""));
    let is_word = |found: char| found.is_ascii_lowercase() || found.is_ascii_digit() || found == '_';
    number.len() == 4
        && number.chars().all(|digit| digit.is_ascii_digit())
        && !words.is_empty()
        && words.chars().all(is_word)
        && ENGINES.contains(&engine)
}

/// A table, from its statement.
struct Table<'a> {
    line: usize,
    name: &'a str,
    is_catalogue: bool,
    /// Its columns and constraints in lower case, each with its line.
    items: Vec<(usize, String)>,
}

fn faults(text: &str) -> Vec<(usize, String)> {
    let sql = blanked(text).to_lowercase();
    let tables = tables(text, &sql);
    let mut faults: Vec<(usize, String)> = tables.iter().flat_map(table_faults).collect();
    faults.extend(added_columns(&sql).into_iter().filter_map(|(line, column)| type_fault(line, &column)));
    let owned =
        |name: &str| tables.iter().any(|table| table.name.eq_ignore_ascii_case(name) && table.is_owned());
    for (line, table, columns) in unique_indexes(&sql) {
        if owned(&table) && !begins_with_slot(&columns) {
            faults.push((
                line,
                format!(
                    "a unique index of `{table}` does not begin with `slot`, as Citus needs; put it first"
                ),
            ));
        }
    }
    faults
}

impl Table<'_> {
    fn is_owned(&self) -> bool {
        !self.is_catalogue && !self.name.starts_with('_')
    }
}

fn table_faults(table: &Table) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let mut has_slot_key = false;
    for (line, item) in &table.items {
        let first = item.split([' ', '(']).next().unwrap_or_default();
        if !CONSTRAINTS.contains(&first) {
            faults.extend(type_fault(*line, item));
        }
        has_slot_key |= after(item, "primary key").is_some_and(begins_with_slot);
        if table.is_owned() && after(item, "unique").is_some_and(|columns| !begins_with_slot(columns)) {
            faults.push((
                *line,
                format!(
                    "a unique constraint of `{}` does not begin with `slot`, as Citus needs; put it first",
                    table.name
                ),
            ));
        }
    }
    if table.is_owned() && !has_slot_key {
        let advice = "begin it with `slot`, or mark a table without customers `-- catalogue`";
        faults.push((
            table.line,
            format!("the primary key of `{}` does not begin with `slot`; {advice}", table.name),
        ));
    }
    faults
}

fn type_fault(line: usize, column: &str) -> Option<(usize, String)> {
    let mut words = column.split_whitespace();
    let (name, kind) = (words.next()?, words.next().unwrap_or_default());
    (!TYPES.contains(&kind)).then(|| (line, format!("column `{name}` is `{kind}`; use BIGINT, TEXT, BYTEA or BOOLEAN, which both engines keep alike")))
}

fn after<'a>(item: &'a str, words: &str) -> Option<&'a str> {
    item.find(words).map(|at| &item[at + words.len()..])
}

fn begins_with_slot(columns: &str) -> bool {
    let first = columns.trim_start().strip_prefix('(').and_then(|columns| columns.split([',', ')']).next());
    first.is_some_and(|column| column.trim() == "slot")
}

/// Every `create table` of `sql`, which is `text` blanked and in lower case.
fn tables<'a>(text: &'a str, sql: &str) -> Vec<Table<'a>> {
    let mut tables = Vec::new();
    for (at, start) in sql.match_indices("create table") {
        let head = at + start.len();
        let Some(open) = sql[head..].find('(').map(|open| head + open) else {
            continue;
        };
        let Some(line_text) = text[at..].lines().next() else {
            continue;
        };
        let name = text[head..open].split_whitespace().last().unwrap_or_default();
        let is_catalogue = line_text.contains("-- catalogue");
        tables.push(Table { line: line_at(sql, at), name, is_catalogue, items: items(sql, open + 1) });
    }
    tables
}

/// What stands between the commas from `start` to the closing bracket.
fn items(sql: &str, start: usize) -> Vec<(usize, String)> {
    let mut items = Vec::new();
    let mut depth = 0_usize;
    let mut from = start;
    for (offset, character) in sql[start..].char_indices() {
        let at = start + offset;
        match character {
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ')' | ',' if depth == 0 => {
                let item = sql[from..at].split_whitespace().collect::<Vec<_>>().join(" ");
                let first_word = from + sql[from..at].len() - sql[from..at].trim_start().len();
                items.push((line_at(sql, first_word), item));
                from = at + 1;
            }
            _ => {}
        }
        if character == ')' && from == at + 1 {
            break;
        }
    }
    items
}

/// What follows each `add column`.
fn added_columns(sql: &str) -> Vec<(usize, String)> {
    let column = |(at, words): (usize, &str)| {
        let rest = sql[at + words.len()..].trim_start();
        let rest = rest.strip_prefix("if not exists").unwrap_or(rest);
        (line_at(sql, at), rest.split([';', ',']).next().unwrap_or_default().to_owned())
    };
    sql.match_indices("add column").map(column).collect()
}

/// Line, table and columns of each `create unique index`.
fn unique_indexes(sql: &str) -> Vec<(usize, String, String)> {
    let index = |(at, _): (usize, &str)| {
        let (_, rest) = sql[at..].split_once(" on ")?;
        let open = rest.find('(')?;
        Some((line_at(sql, at), rest[..open].trim().to_owned(), rest[open..].to_owned()))
    };
    sql.match_indices("create unique index").filter_map(index).collect()
}

fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The text with its comments and quoted texts as blanks, every other byte and every line in its place.
fn blanked(text: &str) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let ends = [("--", "\n"), ("/*", "*/"), ("'", "'")];
        let hidden = ends.iter().find(|(start, _)| rest.starts_with(start)).map(|(start, end)| {
            let inside =
                rest[start.len()..].find(end).map_or(rest.len(), |found| start.len() + found + end.len());
            // The end of a comment's line stays.
            if *end == "\n" && inside < rest.len() { inside - 1 } else { inside }
        });
        let length = hidden.unwrap_or(first.len_utf8());
        let keep = |byte: u8| {
            if hidden.is_none() || byte == b'\n' { char::from(byte) } else { ' ' }
        };
        if first.is_ascii() {
            blanked.extend(rest.bytes().take(length).map(keep));
        } else {
            blanked.extend(std::iter::repeat_n(' ', length));
        }
        rest = &rest[length..];
    }
    blanked
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    fn lines(sql: &str) -> Vec<String> {
        places(check, &[("migrations/0001_core.sql", sql)])
    }

    #[test]
    fn names_have_a_number_words_and_perhaps_an_engine() {
        for name in ["1_core", "0001", "0001_Core", "0001_core.mysql", "0001_core.sqlite.x"] {
            let path = format!("migrations/{name}.sql");
            assert_eq!(places(check, &[(path.as_str(), "")]), [format!("{path}:1")], "{name}");
        }
        assert!(
            places(check, &[("migrations/0001_core.sql", ""), ("migrations/0002_core.citus.sql", "")])
                .is_empty()
        );
    }

    #[test]
    fn a_customer_owned_table_begins_its_keys_with_slot() {
        assert_eq!(
            lines("\ncreate table a (\n  id TEXT not null,\n  primary key (id)\n);"),
            ["migrations/0001_core.sql:2"]
        );
        assert_eq!(
            lines("create table a (slot BIGINT, id TEXT,\n primary key (id, slot));"),
            ["migrations/0001_core.sql:1"]
        );
        assert_eq!(
            lines("create table a (slot BIGINT, primary key (slot),\n unique (b));"),
            ["migrations/0001_core.sql:2"]
        );
        let index =
            "create table a (slot BIGINT, primary key (slot));\ncreate unique index b on a (c, slot);";
        assert_eq!(lines(index), ["migrations/0001_core.sql:2"]);
    }

    #[test]
    fn columns_have_portable_types() {
        let sql = "create table a ( -- catalogue, 日本\n  id TEXT primary key, -- of (all\n  at TIMESTAMPTZ,\n  j JSONB\n);";
        assert_eq!(lines(sql), ["migrations/0001_core.sql:3", "migrations/0001_core.sql:4"]);
        assert_eq!(lines("alter table a add column b REAL;"), ["migrations/0001_core.sql:1"]);
    }

    #[test]
    fn the_form_of_the_design_is_fine() {
        let sql = "-- create table x (id INT)\ncreate table _m (id TEXT primary key);\ncreate table p ( -- catalogue\n id TEXT, unique (id)\n);\n\
                   create table if not exists a (\n  slot BIGINT not null,\n  k TEXT check (k in ('a, b)', 'c')),\n  ok BOOLEAN, b BYTEA,\n\
                   primary key (slot, k),\n  constraint u unique (slot, b)\n) /* clustered */;\nalter table a add column c BIGINT;\n\
                   create unique index i on a (slot, ok) where ok;\ncreate unique index j on p (id);";
        assert_eq!(lines(sql), Vec::<String>::new());
    }
}
