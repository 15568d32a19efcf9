//! An open invoice is paid by other means, as by bank transfer: the merchant has the money, the customer owes no longer.

use super::{Account, Entry, entry};
use crate::money::Money;

const KIND: &str = "paid_outside";

/// The entries of a payment of `amount`.
pub fn entries(amount: Money) -> Vec<Entry> {
    entry(KIND, Account::Cash, Account::Receivable, amount).into_iter().collect()
}
