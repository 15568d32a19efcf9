//! Functions are short: at most 70 lines from `fn` to the closing brace, outside of tests.

use proc_macro2::Span;
use syn::visit::{self, Visit};

use super::{is_for_tests, is_test_file};
use crate::tidy::Finding;
use crate::tidy::tree::Tree;

const LINES_MAX: usize = 70;

/// Looks at every function that has a body, also at those inside `impl`, traits and other functions; not inside macros.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources().iter().filter(|source| !is_test_file(&source.path)) {
        let mut visitor = Functions { path: &source.path, findings: &mut findings };
        visitor.visit_file(&source.syntax);
    }
    findings
}

struct Functions<'a> {
    path: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &syn::Signature, end: Span) {
        let first = signature.fn_token.span.start().line;
        let lines = end.end().line + 1 - first;
        if lines > LINES_MAX {
            let name = &signature.ident;
            self.findings.push(Finding {
                path: self.path.to_owned(),
                line: first,
                rule: "function-length",
                text: format!("`{name}` has {lines} lines, more than {LINES_MAX}; move a step into a function of its own"),
            });
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            self.measure(&item.sig, item.block.brace_token.span.close());
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            self.measure(&item.sig, item.block.brace_token.span.close());
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block.brace_token.span.close());
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    fn function(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2))
    }

    #[test]
    fn a_long_function_is_found_wherever_it_stands() {
        assert!(places(check, &[("a.rs", &function(70))]).is_empty());
        assert_eq!(places(check, &[("a.rs", &function(71))]), ["a.rs:1"]);
        assert_eq!(places(check, &[("a.rs", &format!("impl A {{\n{}}}", function(71)))]), ["a.rs:2"]);
        assert_eq!(places(check, &[("a.rs", &format!("trait A {{\n{}}}", function(71)))]), ["a.rs:2"]);
    }

    #[test]
    fn tests_may_be_long() {
        let test = format!("#[test]\n{}", function(99));
        let module = format!("#[cfg(test)]\nmod tests {{\n{}}}", function(99));
        assert!(
            places(check, &[("a.rs", &test), ("b.rs", &module), ("x/tests/it/c.rs", &function(99))])
                .is_empty()
        );
    }
}
