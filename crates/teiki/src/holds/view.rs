//! What `teiki hold` says.

use serde::Serialize;

use super::{ALL, Hold, Placed, Released};

/// The answer to `teiki hold`.
#[derive(Debug, Serialize)]
pub(super) struct Holds {
    /// All that are in force.
    pub(super) holds: Vec<Hold>,
}

pub(super) fn placed(placed: &Placed) -> String {
    let hold = &placed.hold;
    let lead = if placed.changed {
        "Charging is now held for"
    } else {
        "Charging was held already, and the first hold stays, for"
    };
    format!("{lead} {}\n{}\nNext: {} lets it go on.", subject(&hold.scope), details(hold), off(&hold.scope))
}

pub(super) fn released(answer: &Released) -> String {
    let subject = subject(&answer.scope);
    let mut text = match &answer.released {
        Some(hold) => format!("Released the hold of {subject}\n{}", details(hold)),
        None => format!("There was no hold of {subject}; nothing changed."),
    };
    for hold in &answer.remaining {
        text.push_str(&format!(
            "\nStill held: {}\n{}\nNext: {}",
            self::subject(&hold.scope),
            details(hold),
            off(&hold.scope)
        ));
    }
    if answer.released.is_some() && answer.remaining.is_empty() {
        text.push_str("\nA running `teiki serve` or `teiki run` goes on by itself; else start one.");
    }
    text
}

pub(super) fn list(answer: &Holds) -> String {
    if answer.holds.is_empty() {
        return "Nothing is held: charging runs for every account.".to_owned();
    }
    let each = |hold: &Hold| {
        format!("Held: {}\n{}\n  release  {}", subject(&hold.scope), details(hold), off(&hold.scope))
    };
    answer.holds.iter().map(each).collect::<Vec<_>>().join("\n")
}

fn details(hold: &Hold) -> String {
    format!("  reason   {}\n  since    {} (by {})", hold.reason, hold.placed_at, hold.actor)
}

fn subject(scope: &str) -> String {
    if scope == ALL { "every account".to_owned() } else { format!("account {scope}") }
}

/// The command that releases a scope.
pub(super) fn off(scope: &str) -> String {
    if scope == ALL { "`teiki hold off`".to_owned() } else { format!("`teiki hold off --account {scope}`") }
}
