//! The text of the report: aligned columns, a bar for each month.
//!
//! Words come from `words`, amounts from `status`. Columns are aligned by what a terminal shows: a Japanese
//! character is two columns wide.

use super::report::{Failed, Report};
use super::words::Words;
use crate::status::view::{grouped, money};

/// Columns of the longest bar.
const BAR_MAX: i64 = 44;

/// The whole report.
pub(super) fn text(report: &Report, words: &Words) -> String {
    [
        head(report, words),
        charges(report, words),
        open(report, words),
        revenue(report, words),
        checks(report, words),
        next(report, words),
    ]
    .concat()
    .join("\n")
}

fn yen(amount: i64) -> String {
    money(amount, "jpy")
}

/// How many columns a terminal needs for it.
fn width(text: &str) -> usize {
    let is_wide = |letter: char| matches!(letter, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}');
    text.chars().map(|letter| if is_wide(letter) { 2 } else { 1 }).sum()
}

enum Side {
    Left,
    Right,
}

/// Rows as lines: each column as wide as its widest cell, without blanks at the end.
fn table<const N: usize>(rows: &[[String; N]], sides: [Side; N]) -> Vec<String> {
    let widths: Vec<usize> =
        (0..N).map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&sides).zip(&widths).map(|((cell, side), &wanted)| {
            let blanks = " ".repeat(wanted - width(cell));
            match side {
                Side::Left => format!("{cell}{blanks}"),
                Side::Right => format!("{blanks}{cell}"),
            }
        });
        let line = cells.collect::<Vec<_>>().join("   ");
        format!("  {}", line.trim_end())
    };
    rows.iter().map(line).collect()
}

fn head(report: &Report, words: &Words) -> Vec<String> {
    let by_status = report.subscriptions.iter().map(|(status, count)| {
        let status = (words.status)(status).unwrap_or(status);
        format!("{} {status}", grouped(*count))
    });
    let by_status = by_status.collect::<Vec<_>>().join(", ");
    let rows = [
        [words.period, &format!("{} – {}", report.first_day, report.last_day)],
        [words.subscribers, &format!("{}: {by_status}", grouped(i64::from(report.subscribers)))],
        [words.place, &format!("{}  ({})", report.dir, report.account)],
    ];
    let rows = rows.map(|row| row.map(str::to_owned));
    [vec![words.title.to_owned()], table(&rows, [Side::Left, Side::Left])].concat()
}

fn charges(report: &Report, words: &Words) -> Vec<String> {
    let declined: i64 = report.failed.iter().map(|failed| failed.count).sum();
    let lost = i64::try_from(report.lost_answers.count).unwrap_or(i64::MAX);
    let mut rows = vec![
        [words.succeeded.to_owned(), grouped(report.charged.count), yen(report.charged.amount)],
        [words.declined.to_owned(), grouped(declined), String::new()],
        [words.lost.to_owned(), grouped(lost), words.lost_note.to_owned()],
    ];
    if report.unknown > 0 {
        rows.push([
            words.still_unknown.to_owned(),
            grouped(report.unknown),
            words.still_unknown_note.to_owned(),
        ]);
    }
    let mut lines = vec![String::new(), words.head_charges.to_owned()];
    lines.extend(table(&rows, [Side::Left, Side::Right, Side::Left]));
    lines.push(String::new());
    lines.push(words.head_reasons.to_owned());
    let rows: Vec<_> = report.failed.iter().map(|failed| reason(failed, words)).collect();
    lines.extend(table(&rows, [Side::Left, Side::Right, Side::Left]));
    lines
}

fn reason(failed: &Failed, words: &Words) -> [String; 3] {
    let code = &failed.code;
    let named = (words.reason)(code).map_or_else(|| code.clone(), |reason| format!("{reason} ({code})"));
    [named, grouped(failed.count), (words.class)(failed.class).name.to_owned()]
}

fn open(report: &Report, words: &Words) -> Vec<String> {
    let mut lines = vec![String::new(), words.head_open.to_owned()];
    if report.open.is_empty() {
        lines.push(format!("  {}", words.nothing_open));
        return lines;
    }
    let counted = |count: i64| format!("{} {}", grouped(count), words.invoices);
    let mut rows: Vec<_> = report
        .open
        .iter()
        .map(|open| {
            let class = open.kind().map(words.class);
            [
                class.as_ref().map_or_else(|| open.class.clone(), |class| class.name.to_owned()),
                counted(open.invoices),
                yen(open.owed),
                class.map_or("", |class| class.next_step).to_owned(),
            ]
        })
        .collect();
    rows.push([
        words.total.to_owned(),
        counted(report.open.iter().map(|open| open.invoices).sum()),
        yen(report.open.iter().map(|open| open.owed).sum()),
        String::new(),
    ]);
    lines.extend(table(&rows, [Side::Left, Side::Right, Side::Right, Side::Left]));
    lines.extend(words.open_note.iter().map(|line| format!("  {line}")));
    lines
}

fn revenue(report: &Report, words: &Words) -> Vec<String> {
    let most = report.revenue_by_month.values().copied().max().unwrap_or(0).max(1);
    let rows: Vec<_> = report
        .revenue_by_month
        .iter()
        .map(|(month, &amount)| [month.clone(), yen(amount), bar(amount, most)])
        .collect();
    let mut lines = vec![String::new(), words.head_revenue.to_owned()];
    lines.extend(table(&rows, [Side::Left, Side::Right, Side::Left]));
    lines
}

/// A bar to the nearest half column.
fn bar(amount: i64, most: i64) -> String {
    let halves = amount.saturating_mul(2 * BAR_MAX) / most;
    let full = usize::try_from(halves / 2).unwrap_or(0);
    let half = if halves % 2 == 1 { "▌" } else { "" };
    format!("{}{half}", "█".repeat(full))
}

fn checks(report: &Report, words: &Words) -> Vec<String> {
    let of = |name: &str| yen(report.ledger.balances.get(name).copied().unwrap_or_default());
    let books = if report.ledger.balances_agree { words.ledger_balances } else { words.ledger_wrong };
    let books = books
        .replace("{receivable}", &of("receivable"))
        .replace("{owed}", &yen(report.ledger.owed))
        .replace("{gateway}", &of("gateway"));
    let doctor = match report.ledger.doctor_problems {
        0 => words.doctor_ok.to_owned(),
        problems => words.doctor_wrong.replace("{problems}", &problems.to_string()),
    };
    let audit = &report.book.audit;
    let fill = |text: &str| {
        [
            ("{double}", audit.double),
            ("{missed}", audit.missed),
            ("{wrong}", audit.wrong_amount),
            ("{due}", audit.due),
            ("{collected}", audit.collected),
            ("{declined}", audit.declined),
        ]
        .into_iter()
        .fold(text.to_owned(), |text, (name, count)| {
            text.replace(name, &grouped(i64::try_from(count).unwrap_or(i64::MAX)))
        })
    };
    let book = if report.book.agrees { words.book_agrees } else { words.book_wrong };
    let rows = [
        [words.ledger.to_owned(), books],
        [words.doctor.to_owned(), doctor],
        [words.book.to_owned(), fill(book)],
        [String::new(), fill(words.book_note)],
    ];
    let mut lines = vec![String::new(), words.head_checks.to_owned()];
    lines.extend(table(&rows, [Side::Left, Side::Left]));
    lines
}

fn next(report: &Report, words: &Words) -> Vec<String> {
    let tenths = report.took_ms / 100;
    let seconds = format!("{}.{}", tenths / 10, tenths % 10);
    let mut lines = vec![
        String::new(),
        words.took.replace("{seconds}", &seconds),
        String::new(),
        words.head_next.to_owned(),
    ];
    for next in &report.next {
        lines.push(format!("  # {}", (words.what)(next.what)));
        lines.push(format!("  {}", next.command));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        let rows = [["残高不足", "12"], ["funds", "3"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows, [Side::Left, Side::Right]), ["  残高不足   12", "  funds       3"]);
    }

    #[test]
    fn bars_are_as_long_as_their_share() {
        assert_eq!(width(&bar(100, 100)), 44);
        assert_eq!(bar(0, 100), "");
        assert_eq!(bar(2, 176), "▌");
    }
}
