//! Money goes back to the customer: revenue and tax of these sums are taken back, for each rate.

use super::{Account, Entry, entry};
use crate::money::Money;
use crate::tax::TaxedSum;

const KIND: &str = "refund";

/// The entries of a refund with these sums per rate.
pub fn entries(tax: &[TaxedSum]) -> Vec<Entry> {
    tax.iter()
        .flat_map(|sum| {
            let net = Money::new(sum.gross.minor - sum.tax.minor, sum.gross.currency);
            [
                entry(KIND, Account::Revenue, Account::Gateway, net),
                entry(KIND, Account::ConsumptionTax, Account::Gateway, sum.tax),
            ]
        })
        .flatten()
        .collect()
}
