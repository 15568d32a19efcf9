//! The books: ledger entries of invoices and charges, written in the transaction of their cause.

use billing::id::{AccountId, ChargeId, DerivationKey, InvoiceId};
use billing::ledger::Entry;
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;

mod store;

/// An entry with what it is about.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// Whose books.
    pub account: AccountId,
    /// Test or live.
    pub mode: Mode,
    /// The invoice that it is about.
    pub invoice: InvoiceId,
    /// The charge that caused it, if one did.
    pub charge: Option<ChargeId>,
    /// Its place in its posting; makes its id unique.
    pub number: u64,
    /// Debit, credit, amount.
    pub entry: Entry,
    /// Billing time.
    pub at: Timestamp,
}

/// Writes entries in the caller's transaction. Doing so twice is refused by their derived ids.
pub fn insert(tx: &mut Tx<'_>, key: &DerivationKey, entries: &[NewEntry]) -> Result<(), db::Error> {
    store::insert_entries(tx, key, entries)
}
