//! An invoice: the bill and the debt, for one obligation.
//!
//! States: scheduled (予約中) → open → paid, void (skipped, merged) or uncollectible. An obligation is the
//! right to collect one thing once; the database keeps it unique.

use serde::{Deserialize, Serialize};

use crate::id::SubscriptionId;
use crate::money::Money;
use crate::proration::Share;
use crate::tax::TaxCategory;

/// Where an invoice stands. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Will be opened at its charge time; may still be edited.
    Scheduled,
    /// Issued and not settled.
    Open,
    /// Collected.
    Paid,
    /// Cancelled: skipped, merged, or refused inside a request.
    Void,
    /// Given up.
    Uncollectible,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Scheduled, Self::Open, Self::Paid, Self::Void, Self::Uncollectible];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }

    /// From the stored name; `None` for one that no version has written.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether `next` may follow. An uncollectible debt may still be paid, for truth is always writable.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Scheduled => matches!(next, Self::Open | Self::Void),
            Self::Open => matches!(next, Self::Paid | Self::Void | Self::Uncollectible),
            Self::Uncollectible => matches!(next, Self::Paid),
            Self::Paid | Self::Void => false,
        }
    }
}

/// What a line is for. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// One period of a plan.
    Plan,
    /// Part of a period of a plan (日割り).
    Proration,
    /// The set-up fee of a plan.
    SetupFee,
    /// A single sale.
    Sale,
    /// What makes the sum the one that a person has set; may be negative.
    Adjustment,
}

/// One row of a bill. Persisted as JSON; only ever add fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it is for.
    pub kind: LineKind,
    /// The plan it comes from; empty for a single sale.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan: String,
    /// What is paid for it, in minor units of the invoice's currency, with tax.
    pub amount: i64,
    /// The tax inside `amount`.
    pub tax_category: TaxCategory,
    /// How many of the plan `amount` is for; at least 1. Left out of the JSON where it is 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub quantity: u32,
    /// The part of the period that `amount` is for; `None` is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_one(quantity: &u32) -> bool {
    *quantity == 1
}

/// The least that a person may set an invoice to, in yen, besides nothing: gateways refuse less.
pub const AMOUNT_MIN: i64 = 50;

/// The lines of an invoice whose sum a person has set to `amount`: those that it had, and the difference as a line taxed
/// like the first. A former adjustment is replaced. `None` if a sum does not fit.
pub fn adjusted(lines: &[Line], amount: Money) -> Option<Vec<Line>> {
    let mut lines: Vec<Line> =
        lines.iter().filter(|line| line.kind != LineKind::Adjustment).cloned().collect();
    let sum = total(&lines, Money::new(0, amount.currency))?;
    let difference = amount.minus(sum).ok()?;
    if let (Some(first), true) = (lines.first(), difference.minor != 0) {
        let adjustment = Line {
            kind: LineKind::Adjustment,
            plan: first.plan.clone(),
            amount: difference.minor,
            tax_category: first.tax_category,
            quantity: 1,
            share: None,
        };
        lines.push(adjustment);
    }
    Some(lines)
}

/// The sum of the lines, in the invoice's currency. `None` if it does not fit.
pub fn total(lines: &[Line], zero: Money) -> Option<Money> {
    lines.iter().try_fold(zero, |sum, line| sum.plus(Money::new(line.amount, sum.currency)).ok())
}

/// The obligation of cycle `cycle` of a subscription: `cycle:12:sub_…`. Persisted; keep stable.
/// The number comes first, so that the index grows where this month's invoices are, not all over (decision 0008).
pub fn cycle_obligation(subscription: SubscriptionId, cycle: u32) -> String {
    format!("cycle:{cycle}:{subscription}")
}

/// The obligation of the bill that request number `number` makes, which is paid inside it: `change:3:sub_…`. The
/// numbers count the bills that requests have made for a subscription, declined ones included, so that no number comes
/// twice. Persisted; keep stable.
pub fn change_obligation(subscription: SubscriptionId, number: u32) -> String {
    format!("change:{number}:{subscription}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_states_with_all_states() {
        let mut table = String::new();
        for state in State::ALL {
            let next: Vec<_> =
                State::ALL.into_iter().filter(|&next| state.may_become(next)).map(State::as_str).collect();
            table.push_str(&format!("{} -> {}\n", state.as_str(), next.join(", ")));
            assert_eq!(State::from_stored(state.as_str()), Some(state));
        }
        insta::assert_snapshot!(table, @r"
        scheduled -> open, void
        open -> paid, void, uncollectible
        paid -> 
        void -> 
        uncollectible -> paid
        ");
    }

    #[test]
    fn an_obligation_names_subscription_and_cycle() {
        let id: SubscriptionId = "sub_a7000000000000e4b18654fde50d".parse().expect("a valid id");
        assert_eq!(cycle_obligation(id, 12), "cycle:12:sub_a7000000000000e4b18654fde50d");
        assert_eq!(change_obligation(id, 3), "change:3:sub_a7000000000000e4b18654fde50d");
    }

    #[test]
    fn a_line_of_one_whole_period_is_stored_as_it_always_was() {
        let stored = r#"{"kind":"plan","plan":"basic","amount":980,"tax_category":"standard"}"#;
        let line: Line = serde_json::from_str(stored).expect("reads");
        assert_eq!((line.quantity, line.share), (1, None));
        assert_eq!(serde_json::to_string(&line).expect("writes"), stored);
        let part = Line {
            kind: LineKind::Proration,
            quantity: 2,
            share: Some(Share { days: 5, of_days: 31 }),
            ..line
        };
        assert_eq!(
            serde_json::to_string(&part).expect("writes"),
            r#"{"kind":"proration","plan":"basic","amount":980,"tax_category":"standard","quantity":2,"share":{"days":5,"of_days":31}}"#
        );
    }
}
