//! A gateway keeps a fee.

use super::{Account, Entry, entry};
use crate::money::Money;

const KIND: &str = "gateway_fee";

/// The entries of a fee of `amount`.
pub fn entries(amount: Money) -> Vec<Entry> {
    entry(KIND, Account::Fees, Account::Gateway, amount).into_iter().collect()
}
