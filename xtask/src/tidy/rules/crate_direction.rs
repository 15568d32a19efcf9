//! Crates depend one way, so that rules know nothing of storage and production knows nothing of its tests.

use crate::tidy::Finding;
use crate::tidy::manifest::{Dependency, Manifest, Table};
use crate::tidy::tree::Tree;

/// Which of our crates each crate may use; the second list is for its tests.
const ALLOWED: [(&str, &[&str], &[&str]); 7] = [
    ("billing", &[], &[]),
    ("db", &[], &[]),
    ("sandbox", &[], &[]),
    ("gateway", &["billing"], &["sandbox"]),
    ("teiki", &["billing", "db", "gateway", "sandbox"], &[]),
    ("sim", &["billing", "db", "gateway", "sandbox", "teiki"], &[]),
    ("xtask", &["billing", "db", "gateway", "sandbox", "teiki", "sim"], &[]),
];

/// Compares the dependency tables of every crate with [`ALLOWED`].
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree.manifests().iter().filter(|manifest| !manifest.name.is_empty()) {
        let finding =
            |line, text| Finding { path: manifest.path.clone(), line, rule: "crate-direction", text };
        let Some((_, normal, tests)) = ALLOWED.iter().find(|(name, ..)| *name == manifest.name) else {
            let text = format!(
                "`{}` has no place among the crates; say in tidy's crate_direction.rs what it may use",
                manifest.name
            );
            findings.push(finding(1, text));
            continue;
        };
        for dependency in manifest.dependencies.iter().filter(|dependency| is_ours(&dependency.name)) {
            if !is_allowed(dependency, manifest, normal, tests) {
                let text = format!(
                    "`{}` must not use `{}`; see the layout in ARCHITECTURE.md",
                    manifest.name, dependency.name
                );
                findings.push(finding(dependency.line, text));
            }
        }
    }
    findings
}

fn is_ours(name: &str) -> bool {
    ALLOWED.iter().any(|(ours, ..)| *ours == name)
}

fn is_allowed(dependency: &Dependency, manifest: &Manifest, normal: &[&str], tests: &[&str]) -> bool {
    let name = dependency.name.as_str();
    let of_tests = dependency.table == Table::Dev && (tests.contains(&name) || manifest.name == name);
    normal.contains(&name) || of_tests
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    fn found(name: &str, table: &str, dependency: &str) -> usize {
        let text = format!(
            "[package]\nname = \"{name}\"\n[{table}]\nserde.workspace = true\n{dependency}.workspace = true\n"
        );
        places(check, &[("crates/x/Cargo.toml", &text)]).len()
    }

    #[test]
    fn an_edge_against_the_direction_is_found() {
        for (name, table, dependency) in [
            ("billing", "dependencies", "db"),
            ("billing", "dev-dependencies", "sandbox"),
            ("db", "dependencies", "billing"),
            ("sandbox", "dependencies", "billing"),
            ("gateway", "dependencies", "db"),
            ("gateway", "dependencies", "sandbox"),
            ("teiki", "dev-dependencies", "sim"),
            ("sim", "dependencies", "xtask"),
        ] {
            assert_eq!(found(name, table, dependency), 1, "{name} → {dependency}");
        }
        assert_eq!(found("novel", "dependencies", "serde_json"), 1);
    }

    #[test]
    fn the_edges_of_the_design_are_fine() {
        for (name, table, dependency) in [
            ("gateway", "dependencies", "billing"),
            ("gateway", "dev-dependencies", "sandbox"),
            ("teiki", "dependencies", "sandbox"),
            ("sim", "dependencies", "teiki"),
            ("xtask", "dependencies", "sim"),
        ] {
            assert_eq!(found(name, table, dependency), 0, "{name} → {dependency}");
        }
    }
}
