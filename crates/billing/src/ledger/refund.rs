//! Money goes back to the customer: revenue and tax of these sums are taken back, for each rate.
//!
//! Of a whole that goes back in parts, each posts what lies [`between`] what had gone back before and after it: whatever
//! the parts, their entries add up to those of the whole.

use super::{Account, Entry, entry};
use crate::money::Money;
use crate::tax::{TaxError, TaxedSum, part_of};

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

/// The sums that go back when of `whole` first `before` and then `after` has gone back. Errors: more than the whole, less
/// than before.
pub fn between(whole: &[TaxedSum], before: Money, after: Money) -> Result<Vec<TaxedSum>, TaxError> {
    let (gone, going) = (part_of(whole, before)?, part_of(whole, after)?);
    let less = |after: Money, before: Money| after.minus(before);
    gone.iter()
        .zip(&going)
        .map(|(before, after)| {
            Ok(TaxedSum {
                percent: after.percent,
                gross: less(after.gross, before.gross)?,
                tax: less(after.tax, before.tax)?,
            })
        })
        .collect()
}
