//! SQL of the books.

use billing::id::{ChargeId, DerivationKey, EntryId};
use db::{Column, Error, OnConflict, Tx};

use super::NewEntry;
use crate::stored::slots;

pub(super) fn insert_entries(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    entries: &[NewEntry],
) -> Result<(), Error> {
    let ids: Vec<_> = entries
        .iter()
        .map(|new| {
            let parent = new.charge.as_ref().map_or(new.invoice.as_str(), ChargeId::as_str);
            EntryId::derive(key, parent, new.invoice.slot(), new.at, new.number)
        })
        .collect();
    let columns = [
        ("slot", slots(ids.iter().map(EntryId::slot))),
        ("id", Column::Text(ids.iter().map(EntryId::as_str).collect())),
        ("account_id", Column::Text(entries.iter().map(|new| new.account.as_str()).collect())),
        ("mode", Column::Text(entries.iter().map(|new| new.mode.as_str()).collect())),
        ("kind", Column::Text(entries.iter().map(|new| new.entry.kind).collect())),
        ("invoice_id", Column::Text(entries.iter().map(|new| new.invoice.as_str()).collect())),
        (
            "charge_id",
            Column::OptText(entries.iter().map(|new| new.charge.as_ref().map(ChargeId::as_str)).collect()),
        ),
        ("debit", Column::Text(entries.iter().map(|new| new.entry.debit.as_str()).collect())),
        ("credit", Column::Text(entries.iter().map(|new| new.entry.credit.as_str()).collect())),
        ("amount", Column::I64(entries.iter().map(|new| new.entry.amount.minor).collect())),
        ("currency", Column::Text(entries.iter().map(|new| new.entry.amount.currency.code()).collect())),
        ("posted_at", Column::I64(entries.iter().map(|new| new.at.as_microsecond()).collect())),
    ];
    tx.insert_many("ledger_entries", &columns, OnConflict::Fail)?;
    Ok(())
}
