//! A charge collects an invoice: the gateway owes the merchant, the customer no longer does.

use super::{Account, Entry, entry};
use crate::money::Money;

const KIND: &str = "charge_succeeded";

/// The entries of a charge of `amount`.
pub fn entries(amount: Money) -> Vec<Entry> {
    entry(KIND, Account::Gateway, Account::Receivable, amount).into_iter().collect()
}
