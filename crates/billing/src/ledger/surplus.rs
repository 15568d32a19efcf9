//! Money was taken that no open invoice asks for: it is owed back to the customer.

use super::{Account, Entry, entry};
use crate::money::Money;

const KIND: &str = "charge_surplus";

/// The entries of a surplus charge of `amount`.
pub fn entries(amount: Money) -> Vec<Entry> {
    entry(KIND, Account::Gateway, Account::Surplus, amount).into_iter().collect()
}

const REFUND: &str = "surplus_refund";

/// The entries of giving `amount` of it back.
pub fn refund(amount: Money) -> Vec<Entry> {
    entry(REFUND, Account::Surplus, Account::Gateway, amount).into_iter().collect()
}
