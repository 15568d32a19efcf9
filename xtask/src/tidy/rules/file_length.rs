//! Files are short: a Rust file without its tests has at most 500 lines, `ARCHITECTURE.md` at most 200.

use syn::spanned::Spanned;

use super::{is_for_tests, is_test_file};
use crate::tidy::Finding;
use crate::tidy::source::Source;
use crate::tidy::tree::Tree;

const RUST_LINES_MAX: usize = 500;
const ARCHITECTURE_LINES_MAX: usize = 200;

/// Counts the lines before the tests at the end; files of tests have no limit, nor have other documents.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let long = |path: &str, lines: usize, lines_max: usize, advice: &str| Finding {
        path: path.to_owned(),
        line: lines_max + 1,
        rule: "file-length",
        text: format!("{lines} lines, more than {lines_max}; {advice}"),
    };
    let mut findings = Vec::new();
    for source in tree.sources().iter().filter(|source| !is_test_file(&source.path)) {
        let lines = lines_without_tests(source);
        if lines > RUST_LINES_MAX {
            findings.push(long(
                &source.path,
                lines,
                RUST_LINES_MAX,
                "give a part that has a name of its own its own file",
            ));
        }
    }
    let lines = tree.text("ARCHITECTURE.md").map_or(0, |text| text.lines().count());
    if lines > ARCHITECTURE_LINES_MAX {
        findings.push(long(
            "ARCHITECTURE.md",
            lines,
            ARCHITECTURE_LINES_MAX,
            "say less, or move details to docs/",
        ));
    }
    findings
}

fn lines_without_tests(source: &Source) -> usize {
    let all = source.text.lines().count();
    let Some(syn::Item::Mod(last)) = source.syntax.items.last() else {
        return all;
    };
    if !is_for_tests(&last.attrs) || last.content.is_none() {
        return all;
    }
    let first_line = last.attrs.first().map_or_else(|| last.span(), Spanned::span).start().line;
    first_line.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    fn lines(count: usize) -> String {
        "const _: () = ();\n".repeat(count)
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(600));
        let short = format!("{}{tests}", lines(500));
        let long = format!("{}{tests}", lines(501));
        let tests_first = format!("{tests}{}", lines(1));
        let found = places(
            check,
            &[("a.rs", &short), ("b.rs", &long), ("c.rs", &tests_first), ("x/tests/d.rs", &lines(600))],
        );
        assert_eq!(found, ["b.rs:501", "c.rs:501"]);
    }

    #[test]
    fn only_the_architecture_is_limited_among_documents() {
        let text = "words\n".repeat(201);
        assert_eq!(
            places(check, &[("ARCHITECTURE.md", &text), ("README.md", &text)]),
            ["ARCHITECTURE.md:201"]
        );
        assert!(places(check, &[("ARCHITECTURE.md", &text[6..])]).is_empty());
    }
}
