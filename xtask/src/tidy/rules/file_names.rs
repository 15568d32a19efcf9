//! No file or folder of code has a name that could hold anything.

use crate::tidy::Finding;
use crate::tidy::tree::Tree;

const FORBIDDEN: [&str; 10] =
    ["util", "utils", "helper", "helpers", "common", "misc", "manager", "types", "data", "info"];

/// Looks at every part of the path of every Rust file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in tree.paths() {
        let Some(stem) = path.strip_suffix(".rs") else {
            continue;
        };
        if let Some(name) = stem.split('/').find(|part| FORBIDDEN.contains(part)) {
            findings.push(Finding {
                path: path.to_owned(),
                line: 1,
                rule: "file-names",
                text: format!(
                    "`{name}` names anything; name the file after what it does, or put it where it is used"
                ),
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
    fn names_that_hold_anything_are_found() {
        let files = [("crates/teiki/src/plans/utils.rs", ""), ("crates/teiki/tests/common/mod.rs", "")];
        assert_eq!(
            places(check, &files),
            ["crates/teiki/src/plans/utils.rs:1", "crates/teiki/tests/common/mod.rs:1"]
        );
        assert!(places(check, &[("crates/teiki/src/plans/store.rs", ""), ("docs/common.md", "")]).is_empty());
    }
}
