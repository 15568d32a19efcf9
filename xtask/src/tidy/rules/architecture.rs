//! What `ARCHITECTURE.md` names in backticks exists: paths in the tree, and types in the code.
//!
//! A name is a path if it has a `/` or ends like a file; relative to the root or to a crate's `src`, and a bare file name may
//! stand anywhere. URL paths begin with `/`. `*` stands for anything; a name with `<`, `{` or `…` is a pattern and not checked,
//! nor is what stands in fences, which is drawn. A name in CamelCase must be a word of some Rust file.

use std::collections::BTreeSet;

use crate::tidy::tree::Tree;
use crate::tidy::{Finding, OWN_FOLDER};

const PATH: &str = "ARCHITECTURE.md";
const FILE_ENDINGS: [&str; 4] = [".rs", ".sql", ".toml", ".md"];

/// Looks at every inline code of the page.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.text(PATH) else {
        // That it is missing is found by the rule of required files.
        return Vec::new();
    };
    let words = words_of_code(tree);
    let mut findings = Vec::new();
    for (line, name) in inline_codes(page) {
        let finding = |text| Finding { path: PATH.to_owned(), line, rule: "architecture", text };
        if is_path(name) {
            if !exists(tree, name) {
                findings.push(finding(format!("`{name}` is not in the tree; correct the name")));
            }
            continue;
        }
        for part in types_in(name).filter(|part| !words.contains(part)) {
            findings.push(finding(format!("`{part}` is not in the code; correct the name")));
        }
    }
    findings
}

/// Inline codes with their lines, outside of fences.
fn inline_codes(page: &str) -> Vec<(usize, &str)> {
    let mut codes = Vec::new();
    let mut in_fence = false;
    for (index, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence {
            codes.extend(line.split('`').skip(1).step_by(2).map(|code| (index + 1, code)));
        }
    }
    codes
}

fn is_path(name: &str) -> bool {
    let is_plain = !name.contains(char::is_whitespace) && !name.contains("://");
    is_plain
        && !name.starts_with('/')
        && (name.contains('/') || FILE_ENDINGS.iter().any(|ending| name.ends_with(ending)))
}

fn exists(tree: &Tree, name: &str) -> bool {
    if name.contains(['<', '{', '…']) {
        return true;
    }
    let name = name.trim_start_matches("./").trim_end_matches('/');
    tree.paths().any(|path| {
        let in_crate = path.split_once("/src/").map(|(_, rest)| rest);
        let file = path.rsplit('/').next().filter(|_| !name.contains('/'));
        [Some(path), in_crate, file].into_iter().flatten().any(|place| is_at(name, place))
    })
}

/// Whether `place` is what `name` names, or is inside of it.
fn is_at(name: &str, place: &str) -> bool {
    let mut parts = place.split('/');
    name.split('/').all(|wanted| parts.next().is_some_and(|part| matches_glob(wanted, part)))
}

/// Whether `text` is `pattern`, in which each `*` stands for any characters.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches_glob(rest, &text[at..]))
}

/// The CamelCase words of a name like `Db::write` or `Money`; none if it is anything but a path of words.
fn types_in(name: &str) -> impl Iterator<Item = &str> {
    let name = name.trim_end_matches("()").trim_end_matches('!');
    let is_name = !name.is_empty()
        && name.chars().all(|found| found.is_ascii_alphanumeric() || matches!(found, '_' | ':'));
    let is_type = |part: &&str| {
        part.starts_with(|first: char| first.is_ascii_uppercase())
            && part.contains(|any: char| any.is_ascii_lowercase())
    };
    name.split("::").filter(move |part| is_name && is_type(part))
}

fn words_of_code(tree: &Tree) -> BTreeSet<&str> {
    let code = tree.texts().filter(|(path, _)| path.ends_with(".rs") && !path.starts_with(OWN_FOLDER));
    code.flat_map(|(_, text)| text.split(|found: char| !found.is_alphanumeric() && found != '_')).collect()
}

#[cfg(test)]
mod tests {
    use super::{check, matches_glob};
    use crate::tidy::rules::places;

    fn lines(page: &str) -> Vec<String> {
        let code = [
            ("crates/db/src/tx.rs", "struct Tx;"),
            ("crates/teiki/src/plans/store.rs", "fn f() {}"),
            ("docs/a.md", "x"),
        ];
        places(check, &[code.as_slice(), &[("ARCHITECTURE.md", page)]].concat())
    }

    #[test]
    fn names_that_do_not_exist_are_found() {
        for name in [
            "crates/db/src/gone.rs",
            "gone.rs",
            "gone/",
            "plan/store.rs",
            "docs/*.rs",
            "Gone",
            "Gone::f",
            "Tx::Gone",
            "store",
        ] {
            let wanted: &[&str] = if name == "store" { &[] } else { &["ARCHITECTURE.md:2"] };
            assert_eq!(lines(&format!("Words.\nSee `{name}`.\n")), wanted, "{name}");
        }
    }

    #[test]
    fn names_that_exist_and_what_is_no_name_are_fine() {
        for name in [
            "crates/db/src/tx.rs",
            "crates/db",
            "crates/db/",
            "./docs/",
            "docs/*.md",
            "crates/*/src",
            "store.rs",
            "plans/",
            "plans/store.rs",
            "/v1/charges",
            "Tx",
            "Tx::write()",
            "cargo xtask tidy",
            "docs/<name>.md",
            "SQL",
            "a → B",
            "GET /v1",
        ] {
            assert_eq!(lines(&format!("See `{name}`.\n")), Vec::<String>::new(), "{name}");
        }
        assert!(lines("```text\nsee `Gone`\n```\n").is_empty());
    }

    #[test]
    fn globs_match_any_characters() {
        assert!(matches_glob("a*c*", "abcd") && matches_glob("*", "") && !matches_glob("a*c", "abd"));
    }
}
