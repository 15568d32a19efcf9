//! The text of `teiki doctor`: one line for what is well, a paragraph for what is not, a verdict.

use super::{Check, Level, Report};

pub(super) fn text(report: &Report) -> String {
    let mut lines: Vec<String> = report.checks.iter().map(paragraph).collect();
    lines.push(verdict(report));
    lines.join("\n")
}

fn paragraph(check: &Check) -> String {
    let level = match check.level {
        Level::Ok => "ok",
        Level::Warning => "WARNING",
        Level::Problem => "PROBLEM",
    };
    let mut text = format!("{level:<8} {:<16} {}", check.name, check.found);
    for row in &check.named {
        text.push_str(&format!("\n           {row}"));
    }
    if let Some(todo) = check.todo {
        text.push_str(&format!("\n         → {todo}"));
    }
    text
}

fn verdict(report: &Report) -> String {
    match (report.problems, report.warnings) {
        (0, 0) => "All is well.".to_owned(),
        (0, warnings) => format!("No problems; {}.", counted(warnings, "warning")),
        (problems, warnings) => {
            format!("{}, {}.", counted(problems, "problem"), counted(warnings, "warning"))
        }
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
