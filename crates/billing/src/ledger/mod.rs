//! Double entry, append-only: every entry moves an amount from one account to another.
//!
//! One entry is one 仕訳 with a debit (借方) and a credit (貸方) of the same amount, so a posting that
//! does not balance cannot be written down (docs/decisions/0002). Each posting has its own file:
//! [`invoice_issued`], [`invoice_voided`], [`charge_succeeded`], [`paid_outside`], [`surplus`], [`refund`], [`fee`].

use crate::money::Money;

pub mod charge_succeeded;
pub mod fee;
pub mod invoice_issued;
pub mod invoice_voided;
pub mod paid_outside;
pub mod refund;
pub mod surplus;

/// An account of the books. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// What customers owe (売掛金).
    Receivable,
    /// What was earned, without tax (売上高).
    Revenue,
    /// Tax received for the state (仮受消費税).
    ConsumptionTax,
    /// What a gateway holds for the merchant until it pays out (未収入金).
    Gateway,
    /// What was received by other means than a gateway (現金預金).
    Cash,
    /// Money of customers that no invoice asks for (預り金).
    Surplus,
    /// What gateways take (支払手数料).
    Fees,
}

impl Account {
    /// Every account.
    pub const ALL: [Self; 7] = [
        Self::Receivable,
        Self::Revenue,
        Self::ConsumptionTax,
        Self::Gateway,
        Self::Cash,
        Self::Surplus,
        Self::Fees,
    ];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receivable => "receivable",
            Self::Revenue => "revenue",
            Self::ConsumptionTax => "consumption_tax",
            Self::Gateway => "gateway",
            Self::Cash => "cash",
            Self::Surplus => "surplus",
            Self::Fees => "fees",
        }
    }
}

/// One entry: `amount`, always positive, from `credit` to `debit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The posting it belongs to; persisted, keep stable.
    pub kind: &'static str,
    /// The account that grows.
    pub debit: Account,
    /// The account it comes from.
    pub credit: Account,
    /// Positive.
    pub amount: Money,
}

/// An entry, or none for an amount of zero. A negative amount turns the two sides around.
fn entry(kind: &'static str, debit: Account, credit: Account, amount: Money) -> Option<Entry> {
    match amount.minor {
        0 => None,
        minor if minor > 0 => Some(Entry { kind, debit, credit, amount }),
        minor => minor.checked_neg().map(|minor| Entry {
            kind,
            debit: credit,
            credit: debit,
            amount: Money::new(minor, amount.currency),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::money::Rounding;
    use crate::tax::tax_of;

    fn balances(entries: &[Entry]) -> BTreeMap<Account, i64> {
        let mut balances = BTreeMap::new();
        for entry in entries {
            *balances.entry(entry.debit).or_default() += entry.amount.minor;
            *balances.entry(entry.credit).or_default() -= entry.amount.minor;
        }
        balances
    }

    #[test]
    fn a_worked_example_from_invoice_to_refund() {
        let lines = [(Some(10), Money::yen(980)), (Some(8), Money::yen(1_080)), (None, Money::yen(500))];
        let tax = tax_of(&lines, Rounding::Floor).expect("fits");
        let mut books = invoice_issued::entries(&tax);
        assert_eq!(balances(&books)[&Account::Receivable], 2_560);
        books.extend(charge_succeeded::entries(Money::yen(2_560)));
        books.extend(fee::entries(Money::yen(92)));
        books.extend(refund::entries(&tax));
        let seen: Vec<_> = balances(&books).into_iter().collect();
        insta::assert_snapshot!(format!("{seen:?}"), @"[(Receivable, 0), (Revenue, 0), (ConsumptionTax, 0), (Gateway, -92), (Fees, 92)]");
        assert_eq!(seen.iter().map(|balance| balance.1).sum::<i64>(), 0);
    }

    proptest! {
        #[test]
        fn refunds_in_any_parts_take_back_what_the_invoice_posted(
            amounts in prop::collection::vec((0_i64..3_000, prop_oneof![Just(Some(10)), Just(Some(8)), Just(None)]), 1..4),
            cuts in prop::collection::vec(0_i64..9_000, 0..6),
        ) {
            let lines: Vec<_> = amounts.iter().map(|&(yen, percent)| (percent, Money::yen(yen))).collect();
            let tax = tax_of(&lines, Rounding::HalfUp).expect("fits");
            let whole: i64 = amounts.iter().map(|amount| amount.0).sum();
            let mut steps: Vec<i64> = cuts.into_iter().map(|cut| cut.min(whole)).chain([0, whole]).collect();
            steps.sort_unstable();
            let mut books = invoice_issued::entries(&tax);
            books.extend(charge_succeeded::entries(Money::yen(whole)));
            for step in steps.windows(2) {
                let part = refund::between(&tax, Money::yen(step[0]), Money::yen(step[1])).expect("fits");
                let entries = refund::entries(&part);
                prop_assert!(entries.iter().all(|entry| entry.credit == Account::Gateway));
                prop_assert_eq!(entries.iter().map(|entry| entry.amount.minor).sum::<i64>(), step[1] - step[0]);
                books.extend(entries);
            }
            prop_assert!(balances(&books).values().all(|&balance| balance == 0), "{:?}", balances(&books));
        }
    }

    #[test]
    fn a_void_invoice_leaves_nothing_and_one_paid_outside_leaves_cash() {
        let lines = [(Some(10), Money::yen(980)), (Some(8), Money::yen(1_080))];
        let tax = tax_of(&lines, Rounding::Floor).expect("fits");
        let mut books = invoice_issued::entries(&tax);
        books.extend(invoice_voided::entries(&tax));
        assert!(balances(&books).values().all(|&balance| balance == 0));
        let mut books = invoice_issued::entries(&tax);
        books.extend(paid_outside::entries(Money::yen(2_060)));
        assert_eq!((balances(&books)[&Account::Receivable], balances(&books)[&Account::Cash]), (0, 2_060));
    }

    #[test]
    fn nothing_is_posted_for_nothing() {
        assert_eq!(charge_succeeded::entries(Money::yen(0)), []);
        let mut books = surplus::entries(Money::yen(5));
        assert_eq!(books[0].credit, Account::Surplus);
        books.extend(surplus::refund(Money::yen(5)));
        assert!(balances(&books).values().all(|&balance| balance == 0));
    }
}
