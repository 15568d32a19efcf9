//! Every Rust file begins by saying what it is: `//!`, after an optional shebang and inner attributes.

use crate::tidy::Finding;
use crate::tidy::source::without_shebang;
use crate::tidy::tree::Tree;

/// Looks at the first line of every Rust file that is not empty, a shebang or an attribute.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let headless = tree.texts().filter(|(path, text)| path.ends_with(".rs") && !has_header(text));
    let finding = |(path, _): (&str, &str)| Finding {
        path: path.to_owned(),
        line: 1,
        rule: "module-header",
        text: "begins without `//!`; say what the file decides or does, and what it does not".to_owned(),
    };
    headless.map(finding).collect()
}

fn has_header(text: &str) -> bool {
    let mut in_attribute = false;
    for line in without_shebang(text).lines().map(str::trim) {
        if in_attribute || line.starts_with("#![") {
            in_attribute = !line.ends_with(']');
        } else if !line.is_empty() {
            return line.strip_prefix("//!").is_some_and(|words| !words.trim().is_empty());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    #[test]
    fn a_file_without_a_header_is_found() {
        let files = [
            ("a.rs", "fn f() {}\n"),
            ("b.rs", "// Words.\n"),
            ("c.rs", ""),
            ("d.rs", "//!\nfn f() {}\n"),
            ("e.md", "x"),
        ];
        assert_eq!(places(check, &files), ["a.rs:1", "b.rs:1", "c.rs:1", "d.rs:1"]);
    }

    #[test]
    fn a_header_may_follow_a_shebang_and_attributes() {
        let files = [("a.rs", "//! A.\n"), ("b.rs", "#!/usr/bin/env x\n\n#![cfg(\n    unix\n)]\n//! B.\n")];
        assert!(places(check, &files).is_empty());
    }
}
