//! Nothing is left for later or silenced: no `#[allow]`, no `#[ignore]`, no unfinished code, no reminders.

use crate::tidy::source::Source;
use crate::tidy::sql::has_word;
use crate::tidy::tree::Tree;
use crate::tidy::{Finding, OWN_FOLDER};

/// Tokens that must not follow each other, and what to do instead.
const CODE: [(&str, &str); 8] = [
    ("# [ allow", "`#[allow]`; mend it, or write `#[expect(…, reason = \"…\")]`"),
    ("# ! [ allow", "`#![allow]`; mend it, or write `#![expect(…, reason = \"…\")]`"),
    ("# [ ignore", "`#[ignore]`; assert what happens today and say why it is wrong"),
    ("todo !", "`todo!`; finish it, or leave the whole thing out"),
    ("unimplemented !", "`unimplemented!`; finish it, or leave the whole thing out"),
    (", allow (", "`allow` in an attribute; mend it, or write `expect(…, reason = \"…\")`"),
    (", ignore ]", "`ignore` in an attribute; assert what happens today and say why it is wrong"),
    (", ignore )", "`ignore` in an attribute; assert what happens today and say why it is wrong"),
];
const REMINDERS: [&str; 4] = ["FIXME", "XXX", "HACK", "TODO"];
/// Where people write reminders; documents may speak of them, and `.min.js` is written by others.
const REMINDER_ENDINGS: [&str; 8] = [".rs", ".sql", ".toml", ".html", ".css", ".js", ".ftl", ".sh"];

/// Looks at the tokens of every Rust file, and for reminders at the words of everything that is code.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tree.sources().iter().flat_map(code).collect();
    for (path, text) in tree.texts().filter(|(path, _)| may_remind(path)) {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = REMINDERS.iter().find(|word| has_word(line, word)) {
                let text = format!("`{word}`; do it now, or open an issue");
                findings.push(Finding { path: path.to_owned(), line: index + 1, rule: "markers", text });
            }
        }
    }
    findings
}

fn code(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (pattern, text) in CODE {
        let in_attribute = |line: &usize| !pattern.starts_with(',') || is_attribute(source, *line);
        for line in source.lines_of(pattern).into_iter().filter(in_attribute) {
            findings.push(Finding {
                path: source.path.clone(),
                line,
                rule: "markers",
                text: text.to_owned(),
            });
        }
    }
    findings
}

/// Whether `line` begins as an attribute, so that a call or a list with such a word in it is none.
fn is_attribute(source: &Source, line: usize) -> bool {
    source.text.lines().nth(line - 1).is_some_and(|text| text.trim_start().starts_with('#'))
}

fn may_remind(path: &str) -> bool {
    !path.starts_with(OWN_FOLDER)
        && !path.ends_with(".min.js")
        && REMINDER_ENDINGS.iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    #[test]
    fn silenced_and_unfinished_code_is_found() {
        for code in [
            "#[allow(unused)]\nfn f() {}",
            "#![allow(unused)]",
            "#[cfg_attr(test, allow(unused))]\nfn f() {}",
            "#[ignore]\nfn f() {}",
            "#[ignore = \"slow\"]\nfn f() {}",
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"x\") }",
            "// FIXME",
        ] {
            assert_eq!(places(check, &[("a.rs", code)]), ["a.rs:1"], "{code}");
        }
    }

    #[test]
    fn speaking_of_them_is_fine() {
        let text = "//! Never `#[allow(x)]`.\n#[expect(unused, reason = \"x\")]\nfn f() { g(\"#[ignore]\", allow(1), ignore) }\n";
        assert!(places(check, &[("a.rs", text), ("a.md", "TODO"), ("a.sql", "-- XXXX")]).is_empty());
    }
}
