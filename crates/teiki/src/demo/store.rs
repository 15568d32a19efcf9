//! SQL of the demo's report: what is still open, and the books.

use std::collections::BTreeMap;

use billing::id::AccountId;
use billing::mode::Mode;
use db::{Error, Tx, Value};

use super::report::Open;

/// Invoices that are still owed, by the class of what stopped them, the largest sum first.
pub(super) fn open_by_class(tx: &mut Tx<'_>, account: AccountId, mode: Mode) -> Result<Vec<Open>, Error> {
    let rows = tx.query(
        "select d.failure_class, count(*), cast(sum(i.amount - i.amount_paid - i.amount_credited) as bigint)
         from dunning_cases d join invoices i on i.slot = d.slot and i.id = d.invoice_id
         where d.account_id = $1 and d.mode = $2 and d.status = 'open' and i.status = 'open'
         group by d.failure_class order by 3 desc, 1",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?;
    rows.iter()
        .map(|row| Ok(Open { class: row.text(0)?, invoices: row.i64(1)?, owed: row.i64(2)? }))
        .collect()
}

/// What each account of the books holds: debits less credits.
pub(super) fn balances(
    tx: &mut Tx<'_>,
    account: AccountId,
    mode: Mode,
) -> Result<BTreeMap<String, i64>, Error> {
    let rows = tx.query(
        "select name, cast(sum(amount) as bigint) from (
             select debit as name, amount from ledger_entries where account_id = $1 and mode = $2
             union all select credit, -amount from ledger_entries where account_id = $1 and mode = $2
         ) as sides
         group by name order by name",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?;
    rows.iter().map(|row| Ok((row.text(0)?, row.i64(1)?))).collect()
}
