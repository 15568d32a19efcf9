//! A proof for people to read.

use std::fmt::Write as _;

use clap::ValueEnum;

use super::Report;

/// The report as a table. What must be 0 stands below the line.
pub(super) fn text(report: &Report) -> String {
    let named = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let idempotency = named(report.sandbox_idempotency.to_possible_value());
    let broken = report.broken.map_or(String::new(), |broken| format!(", broken: {}", broken.name()));
    let mut text = format!(
        "proof kill: {}, sandbox idempotency {idempotency}{broken}, seed {}\n",
        report.engine, report.seed
    );
    let found = &report.findings;
    let recovery = format!(
        "median {} ms, p99 {} ms (of {} restarts)",
        report.recovery_median_ms, report.recovery_p99_ms, report.recoveries
    );
    let above = [
        ("renewals due", format!("{} ({} subscribers, {} s)", found.due, report.subscribers, report.seconds)),
        (
            "kills counted",
            format!("{} (of {}; at least {})", report.kills_counted, report.kills, report.kills_min),
        ),
        ("charges in flight when killed", report.charges_in_flight.to_string()),
        ("unknown, resolved by replay", found.resolved_by_replay.to_string()),
        ("unknown, resolved by look-up", found.resolved_by_lookup.to_string()),
        ("proven absent, charged anew", found.voided.to_string()),
        ("restart to first new charge", recovery),
    ];
    let below = [
        ("charges strange to book or tables", found.strange),
        ("unknown left", found.unknown_left),
        ("doubles", found.doubles),
        ("missed", found.missed),
        ("early", found.early),
        ("ledger sum", found.ledger_sum),
        ("outbox left", found.outbox_left),
    ];
    let below = below.map(|(label, count)| (label, count.to_string()));
    // Writing to a String cannot fail.
    for (label, value) in above {
        let _ = writeln!(text, "  {label:<34} {value}");
    }
    text.push_str("  must be 0:\n");
    for (label, value) in below {
        let _ = writeln!(text, "  {label:<34} {value}");
    }
    text.push_str(if report.passed { "passed" } else { "FAILED" });
    text
}
