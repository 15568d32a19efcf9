//! No file names a folder of one person's machine.

use crate::tidy::tree::Tree;
use crate::tidy::{Finding, OWN_FOLDER};

const FORBIDDEN: [&str; 3] = ["/home/", "/root/", "/Users/"];
/// Texts that others wrote.
const EXEMPT: [&str; 2] = ["LICENSE", "Cargo.lock"];

/// Looks at every line of every text.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in
        tree.texts().filter(|(path, _)| !EXEMPT.contains(path) && !path.starts_with(OWN_FOLDER))
    {
        for (index, line) in text.lines().enumerate() {
            if let Some(folder) = FORBIDDEN.iter().find(|folder| line.contains(**folder)) {
                findings.push(Finding {
                    path: path.to_owned(),
                    line: index + 1,
                    rule: "local-paths",
                    text: format!(
                        "a path under {folder} exists on one machine only; write it relative, or as a setting"
                    ),
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    #[test]
    fn a_path_of_one_machine_is_found() {
        let files = [
            ("docs/a.md", "x\nsee /home/ada/teiki"),
            ("b.toml", "path = \"/Users/ada\""),
            ("LICENSE", "/root/"),
        ];
        assert_eq!(places(check, &files), ["b.toml:1", "docs/a.md:2"]);
        assert!(places(check, &[("docs/a.md", "data in /var/lib/teiki")]).is_empty());
    }
}
