//! The rules, one file each. A rule is a function from the tree to what it finds.

mod architecture;
mod crate_direction;
mod dependencies;
mod file_length;
mod file_names;
mod function_length;
mod local_paths;
mod markers;
mod migrations;
mod module_header;
mod purity;
mod required_files;
mod sql_place;
mod sql_portable;

use super::Finding;
use super::tree::Tree;

/// A rule: what of the tree breaks it.
pub(super) type Rule = fn(&Tree) -> Vec<Finding>;

/// Every rule.
pub(super) const ALL: &[Rule] = &[
    architecture::check,
    crate_direction::check,
    dependencies::check,
    file_length::check,
    file_names::check,
    function_length::check,
    local_paths::check,
    markers::check,
    migrations::check,
    module_header::check,
    purity::check,
    required_files::check,
    sql_place::check,
    sql_portable::check,
];

/// Whether `path` is a file of tests only.
fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Whether the item is built for tests only: `#[cfg(test)]`, `#[test]`.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let cfg_test = || attribute.parse_args::<syn::Path>().is_ok_and(|argument| argument.is_ident("test"));
        let last = attribute.path().segments.last();
        last.is_some_and(|last| last.ident == "test") || attribute.path().is_ident("cfg") && cfg_test()
    })
}

/// Runs one rule over a few texts and gives `path:line` of each finding, for the tests of the rules.
#[cfg(test)]
fn places(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let mut findings = rule(&Tree::of(files));
    findings.sort();
    findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}
