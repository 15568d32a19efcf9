//! `billing` computes and nothing else: no input or output, no clock, no randomness, no threads or async, no floats.

use crate::tidy::Finding;
use crate::tidy::source::{Kind, Source};
use crate::tidy::tree::Tree;

/// Tokens that must not follow each other there, with blanks between them.
const FORBIDDEN: [&str; 14] = [
    "async fn",
    "async {",
    "async move",
    "f32",
    "f64",
    "println !",
    "print !",
    "eprintln !",
    "eprint !",
    "rand",
    "getrandom",
    "tokio",
    "now (",
    "unsafe",
];
/// Modules of the standard library that reach outside.
const FORBIDDEN_STD: [&str; 7] = ["time", "fs", "net", "env", "thread", "process", "io"];

/// Looks at every token of `crates/billing/src`, tests too, but not at comments and texts.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources().iter().filter(|source| source.path.starts_with("crates/billing/src/")) {
        let mut found: Vec<(usize, String)> = std_uses(source);
        for pattern in FORBIDDEN {
            found.extend(source.lines_of(pattern).into_iter().map(|line| (line, pattern.replace(' ', ""))));
        }
        let floats = source.tokens.iter().filter(|token| token.kind == Kind::Float);
        found.extend(floats.map(|token| (token.line, "a float".to_owned())));
        findings.extend(found.into_iter().map(|(line, what)| Finding {
            path: source.path.clone(),
            line,
            rule: "purity",
            text: format!(
                "`{what}` in billing, which only computes; take the value as a parameter, or do it in `teiki`"
            ),
        }));
    }
    findings
}

/// `std::time`, also as `use std::{fmt, time}`.
fn std_uses(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, window) in source.tokens.windows(3).enumerate() {
        let [first, second, third] = window else { continue };
        if !first.is("std") || !second.is("::") {
            continue;
        }
        let names = if third.is("{") { grouped(source, index + 3) } else { vec![index + 2] };
        for name in names {
            let token = &source.tokens[name];
            if let Some(module) = FORBIDDEN_STD.iter().find(|module| token.is(module)) {
                found.push((token.line, format!("std::{module}")));
            }
        }
    }
    found
}

/// Positions of the first word of each path in a group that begins at `start`.
fn grouped(source: &Source, start: usize) -> Vec<usize> {
    let mut positions = vec![start];
    let mut depth = 0_usize;
    for (position, token) in source.tokens.iter().enumerate().skip(start) {
        if token.is("{") {
            depth += 1;
        } else if token.is("}") && depth == 0 {
            break;
        } else if token.is("}") {
            depth -= 1;
        } else if token.is(",") && depth == 0 {
            positions.push(position + 1);
        }
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::rules::places;

    #[test]
    fn what_reaches_outside_is_found_in_billing() {
        for code in [
            "use std::time::Instant;",
            "use std::{fmt, fs};",
            "fn f() { std::env::var(a) }",
            "async fn f() {}",
            "fn f(a: f64) {}",
            "const A: u8 = b(1.5);",
            "fn f() { println!() }",
            "use tokio::spawn;",
            "fn f() { rand::random() }",
            "fn f() { Timestamp::now() }",
        ] {
            let text = format!("//! A.\n{code}\n");
            assert_eq!(
                places(check, &[("crates/billing/src/a.rs", &text)]),
                ["crates/billing/src/a.rs:2"],
                "{code}"
            );
            assert!(places(check, &[("crates/teiki/src/a.rs", &text)]).is_empty(), "{code}");
        }
    }

    #[test]
    fn computing_is_fine_and_words_are_only_words() {
        let text = "//! Knows no std::time and no f64.\nuse std::{collections::{BTreeMap, env}, fmt};\n\
                    // async fn\nfn f(now: Timestamp) { g(\"println!\", now) }\n";
        assert!(places(check, &[("crates/billing/src/a.rs", text)]).is_empty());
    }
}
