//! The files that a visitor looks for are there.

use crate::tidy::Finding;
use crate::tidy::tree::Tree;

const REQUIRED: [&str; 5] = ["README.md", "README.ja.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"];

/// Looks for each of them at the root.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let finding = |path: &&str| Finding {
        path: (*path).to_owned(),
        line: 1,
        rule: "required-files",
        text: "is missing; write it".to_owned(),
    };
    REQUIRED
        .iter()
        .filter(|path| tree.text(path).is_none_or(|text| text.trim().is_empty()))
        .map(finding)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    #[test]
    fn a_missing_or_empty_file_is_found() {
        let files =
            [("README.md", "a"), ("README.ja.md", "a"), ("ARCHITECTURE.md", "a"), ("CHANGELOG.md", " \n")];
        assert_eq!(places(check, &files), ["CHANGELOG.md:1", "LICENSE:1"]);
    }
}
