//! `cargo xtask tidy`: the rules of the tree that neither the compiler nor clippy knows.
//!
//! Order: read the tree once ([`tree`], [`source`], [`manifest`]), give it to each rule in [`rules`], print what they found as
//! `path:line: rule: what, and what to do`. A rule is a plain function from a tree to findings, so its tests give it a tree of
//! a few texts in memory. The same rules run over the real repository as a test. Nothing is repaired, nothing is written.

mod manifest;
mod rules;
mod source;
mod sql;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use tree::Tree;

/// Rules write examples of what they forbid, so text and SQL rules do not read this folder.
const OWN_FOLDER: &str = "xtask/src/tidy/";

/// One place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from 1; 1 also for what concerns a file as a whole.
    line: usize,
    rule: &'static str,
    /// What is wrong, and what to do.
    text: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.text)
    }
}

/// Prints every finding over the repository at `root`; fails if there is one.
pub(crate) fn run(root: &Path) -> ExitCode {
    let tree = match Tree::read(root) {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("tidy: could not read {}: {error}", root.display());
            return ExitCode::FAILURE;
        }
    };
    let findings = findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing found", tree.paths().count());
        ExitCode::SUCCESS
    } else {
        eprintln!("tidy: {} findings", findings.len());
        ExitCode::FAILURE
    }
}

/// What all rules find, by path and line.
fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = tree.unreadable().to_vec();
    for rule in rules::ALL {
        findings.extend(rule(tree));
    }
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::{findings, tree::Tree};

    #[test]
    fn the_repository_is_tidy() {
        let tree = Tree::read(&crate::repository_root()).expect("the repository can be read");
        let lines: Vec<String> = findings(&tree).iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "cargo xtask tidy:\n{}", lines.join("\n"));
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_finding() {
        let tree = Tree::of(&[("crates/billing/src/lib.rs", "//! Broken.\nfn (")]);
        assert!(findings(&tree).iter().any(|finding| finding.rule == "parse"));
    }

    #[test]
    fn a_finding_prints_its_place_first() {
        let finding = super::Finding { path: "a.rs".into(), line: 3, rule: "some-rule", text: "what".into() };
        assert_eq!(finding.to_string(), "a.rs:3: some-rule: what");
    }
}
