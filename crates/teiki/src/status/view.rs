//! The text of `teiki status`: one block for each account, then what to do next.

use std::collections::BTreeMap;

use billing::money::Currency;
use jiff::Timestamp;

use super::{AccountStatus, Day, List, NextDue, OpenInvoices, Outbox, Status, Total, UnderWay};
use crate::accounts::REAL_CLOCK;
use crate::holds;

pub(super) fn text(status: &Status) -> String {
    if status.accounts.is_empty() {
        return "There is no account yet.\nNext: teiki account create 'NAME' makes one and shows its keys."
            .to_owned();
    }
    status.accounts.iter().map(|account| block(account, status)).collect::<Vec<_>>().join("\n\n")
}

fn block(account: &AccountStatus, status: &Status) -> String {
    let mut lines =
        vec![format!("{}  {}  ({} side, {})", account.name, account.account, status.mode, account.zone)];
    let mut row = |label: &str, text: String| lines.push(format!("  {label:<16} {text}"));
    if let Some(hold) = &account.held {
        let scope = if hold.scope == holds::ALL { "with every account" } else { "this account" };
        row(
            "HELD",
            format!(
                "{scope}, since {} by {}: {}",
                at(hold.placed_at, &account.zone),
                hold.actor,
                hold.reason
            ),
        );
    }
    row("subscriptions", subscriptions(&account.subscriptions));
    if let Some(clock) = &account.test_clock {
        row(
            "test clock",
            format!("{}, began {}", at(clock.now, &account.zone), at(clock.started_at, &account.zone)),
        );
    }
    for day in &account.days {
        row(&format!("today ({})", clock_name(day)), plan(day));
        row("next due", next_due(day.next_due.as_ref(), &account.zone));
    }
    row("charges", charges(&account.charges_under_way, &account.zone));
    row("open invoices", open_invoices(&account.open_invoices));
    row("dunning", dunning(&account.dunning));
    row(
        "parked",
        listed(&account.parked, "none: every live subscription is billed", |parked| {
            format!("{}: {}", parked.subscription, parked.reason)
        }),
    );
    row(
        "alarms",
        listed(&account.alarms, "none is open", |alarm| {
            format!(
                "{} {} {}: {}",
                at(alarm.raised_at, &account.zone),
                alarm.kind,
                alarm.subject,
                alarm.message
            )
        }),
    );
    row("outbox", outbox(&account.outbox, &account.zone));
    lines.extend(next_steps(account).into_iter().map(|step| format!("  Next: {step}")));
    lines.join("\n")
}

fn clock_name(day: &Day) -> &'static str {
    if day.clock == REAL_CLOCK { "real" } else { "clock" }
}

fn subscriptions(by_status: &BTreeMap<String, i64>) -> String {
    if by_status.is_empty() {
        return "none yet".to_owned();
    }
    let parts: Vec<String> =
        by_status.iter().map(|(status, count)| format!("{} {status}", grouped(*count))).collect();
    format!("{}: {}", grouped(by_status.values().sum()), parts.join(", "))
}

fn plan(day: &Day) -> String {
    let word = if day.is_plan_stored { "planned" } else { "on schedule" };
    if day.planned == Total::default() && day.opened == Total::default() {
        return format!("{}: nothing {word}", day.day);
    }
    format!("{}: {} {word}; opened so far {}", day.day, total(day.planned), total(day.opened))
}

fn total(total: Total) -> String {
    let noun = if total.count == 1 { "invoice" } else { "invoices" };
    format!("{} {noun} of {}", grouped(total.count), grouped(total.amount))
}

fn next_due(next: Option<&NextDue>, zone: &str) -> String {
    match next {
        None => "nothing waits for its time".to_owned(),
        Some(due) => {
            format!(
                "{}  {} of {}, {}",
                at(due.at, zone),
                due.invoice,
                due.subscription,
                money(due.amount, &due.currency)
            )
        }
    }
}

fn charges(under_way: &BTreeMap<String, UnderWay>, zone: &str) -> String {
    if under_way.is_empty() {
        return "none is under way: every outcome is known".to_owned();
    }
    let part = |(status, charges): (&String, &UnderWay)| {
        let check = charges.next_check_at.map_or_else(|| "never".to_owned(), |check| at(check, zone));
        format!(
            "{} {status} (oldest {}, next check {check})",
            grouped(charges.count),
            at(charges.oldest_at, zone)
        )
    };
    under_way.iter().map(part).collect::<Vec<_>>().join("; ")
}

fn open_invoices(open: &[OpenInvoices]) -> String {
    if open.is_empty() {
        return "none: nothing is owed".to_owned();
    }
    let part =
        |open: &OpenInvoices| format!("{}, {} owed", grouped(open.count), money(open.owed, &open.currency));
    open.iter().map(part).collect::<Vec<_>>().join("; ")
}

fn dunning(by_class: &BTreeMap<String, i64>) -> String {
    if by_class.is_empty() {
        return "no case is open".to_owned();
    }
    by_class
        .iter()
        .map(|(class, count)| format!("{} {class}", grouped(*count)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn listed<T>(list: &List<T>, empty: &str, line: impl Fn(&T) -> String) -> String {
    if list.count == 0 {
        return empty.to_owned();
    }
    let mut text = grouped(list.count);
    for item in &list.first {
        text.push_str(&format!("\n    {}", line(item)));
    }
    let more = list.count - i64::try_from(list.first.len()).unwrap_or(list.count);
    if more > 0 {
        text.push_str(&format!("\n    and {} more", grouped(more)));
    }
    text
}

fn outbox(outbox: &Outbox, zone: &str) -> String {
    match outbox.oldest_at {
        None => "empty: everything is delivered".to_owned(),
        Some(oldest) => format!("{} waiting, the oldest since {}", grouped(outbox.count), at(oldest, zone)),
    }
}

fn next_steps(account: &AccountStatus) -> Vec<String> {
    let mut steps = Vec::new();
    let id = &account.account;
    if let Some(hold) = &account.held {
        let off = if hold.scope == holds::ALL {
            "teiki hold off".to_owned()
        } else {
            format!("teiki hold off --account {id}")
        };
        steps.push(format!("{off} lets charging go on, when the reason is gone"));
    }
    if account.subscriptions.is_empty() {
        steps.push(format!("teiki import --account {id} --plans plans.csv --subscribers subscribers.csv"));
    }
    if account.charges_under_way.contains_key("unknown") {
        steps.push(
            "unknown charges are found out by `teiki serve` or `teiki run`; never charge them again by hand"
                .to_owned(),
        );
    }
    if !account.dunning.is_empty() {
        steps.push(format!(
            "failed payments are not retried by themselves: `teiki export invoices --account {id}` lists the open ones"
        ));
    }
    if account.parked.count > 0 {
        steps.push(format!(
            "correct what the parked subscriptions lack, then: teiki unpark --account {}",
            account.account
        ));
    }
    steps
}

/// An instant in the account's zone, to the minute; in UTC if the zone cannot show it.
fn at(at: Timestamp, zone: &str) -> String {
    at.in_tz(zone).map_or_else(|_| at.to_string(), |local| local.strftime("%Y-%m-%d %H:%M").to_string())
}

/// A whole number with a comma every three digits.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 2);
    if number < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Minor units of a stored currency, as people write them.
pub(crate) fn money(minor: i64, currency: &str) -> String {
    match currency.parse() {
        Ok(Currency::Jpy) => format!("¥{}", grouped(minor)),
        Ok(Currency::Usd) => {
            let sign = if minor < 0 { "-" } else { "" };
            let (dollars, cents) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
            format!("{sign}${}.{cents:02}", grouped(i64::try_from(dollars).unwrap_or(i64::MAX)))
        }
        Err(_) => format!("{} {currency}", grouped(minor)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_amounts_are_grouped() {
        let shown: Vec<String> = [0, 7, 999, 1_000, -1_234_567, i64::MIN].into_iter().map(grouped).collect();
        assert_eq!(shown, ["0", "7", "999", "1,000", "-1,234,567", "-9,223,372,036,854,775,808"]);
        assert_eq!(money(1_980, "jpy"), "¥1,980");
        assert_eq!(money(-123_405, "usd"), "-$1,234.05");
    }

    #[test]
    fn instants_are_shown_where_the_account_is() {
        assert_eq!(at(Timestamp::UNIX_EPOCH, "Asia/Tokyo"), "1970-01-01 09:00");
    }
}
