//! An invoice is issued: the customer owes, revenue and tax are earned, for each rate.

use super::{Account, Entry, entry};
use crate::money::Money;
use crate::tax::TaxedSum;

const KIND: &str = "invoice_issued";

/// The entries of an invoice with these sums per rate.
pub fn entries(tax: &[TaxedSum]) -> Vec<Entry> {
    tax.iter()
        .flat_map(|sum| {
            let net = Money::new(sum.gross.minor - sum.tax.minor, sum.gross.currency);
            [
                entry(KIND, Account::Receivable, Account::Revenue, net),
                entry(KIND, Account::Receivable, Account::ConsumptionTax, sum.tax),
            ]
        })
        .flatten()
        .collect()
}
