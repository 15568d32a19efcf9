//! A dependency is chosen once: in the workspace's `Cargo.toml`, under a comment with its reason and licence. Crates only
//! name it.

use crate::tidy::Finding;
use crate::tidy::manifest::{Dependency, Table};
use crate::tidy::tree::Tree;

/// A word of one of these in the comment counts as its licence.
const LICENCES: [&str; 9] =
    ["MIT", "Apache-2.0", "BSD", "ISC", "Unlicense", "MPL-2.0", "Zlib", "CC0", "public domain"];

/// Looks at every line of the dependency tables; path dependencies, which are ours, need no reason.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree.manifests() {
        let mut commented = "";
        for dependency in &manifest.dependencies {
            let fault = match dependency.table {
                Table::Workspace => workspace_fault(dependency, commented),
                Table::Normal | Table::Dev | Table::Build => member_fault(dependency),
            };
            if !dependency.comment.is_empty() {
                commented = &dependency.name;
            }
            let finding = |text| Finding {
                path: manifest.path.clone(),
                line: dependency.line,
                rule: "dependencies",
                text,
            };
            findings.extend(fault.map(finding));
        }
    }
    findings
}

/// `commented` is the last dependency before this one that has a comment; one of its family shares it.
fn workspace_fault(dependency: &Dependency, commented: &str) -> Option<String> {
    let name = &dependency.name;
    let is_ours = dependency.value.contains("path =");
    let family = |name: &str| name.split(['-', '_']).next().unwrap_or_default().to_owned();
    let shares_comment = dependency.comment.is_empty() && family(commented) == family(name);
    let has_licence = LICENCES.iter().any(|licence| dependency.comment.contains(licence));
    if is_ours || shares_comment || has_licence {
        return None;
    }
    Some(format!("`{name}` has no comment with its reason and licence; say what it saves us from writing"))
}

fn member_fault(dependency: &Dependency) -> Option<String> {
    let value: String = dependency.value.split_whitespace().collect();
    let of_workspace = value.starts_with(".workspace=true") || value.starts_with("={workspace=true");
    let name = &dependency.name;
    (!of_workspace).then(|| {
        format!("`{name}` is chosen here; choose it in the workspace and write `{name}.workspace = true`")
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    #[test]
    fn a_choice_without_reason_or_licence_is_found() {
        let text = "[workspace.dependencies]\nours = { path = \"x\" }\n# JSON. MIT.\nserde = \"1\"\nserde_json = \"1\"\n\
                    syn = \"1\"\n# Words without a licence.\nhex = \"1\"\n";
        assert_eq!(places(check, &[("Cargo.toml", text)]), ["Cargo.toml:6", "Cargo.toml:8"]);
    }

    #[test]
    fn a_crate_only_names_its_dependencies() {
        let text = "[dependencies]\na.workspace = true\nb = { workspace = true, features = [\"x\"] }\nc = \"1\"\n\
                    d = { path = \"../d\" }\n[dev-dependencies.e]\nversion = \"1\"\n";
        let found = places(check, &[("crates/a/Cargo.toml", text)]);
        assert_eq!(found, ["crates/a/Cargo.toml:4", "crates/a/Cargo.toml:5", "crates/a/Cargo.toml:6"]);
    }
}
