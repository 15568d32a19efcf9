//! An issued invoice becomes void: what its issue posted is taken back, for each rate.

use super::{Account, Entry, entry};
use crate::money::Money;
use crate::tax::TaxedSum;

const KIND: &str = "invoice_voided";

/// The entries for an invoice with these sums per rate.
pub fn entries(tax: &[TaxedSum]) -> Vec<Entry> {
    tax.iter()
        .flat_map(|sum| {
            let net = Money::new(sum.gross.minor - sum.tax.minor, sum.gross.currency);
            [
                entry(KIND, Account::Revenue, Account::Receivable, net),
                entry(KIND, Account::ConsumptionTax, Account::Receivable, sum.tax),
            ]
        })
        .flatten()
        .collect()
}
