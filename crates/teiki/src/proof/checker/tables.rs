//! What teiki's own tables say at the end, read by plain SQL.

use std::collections::{BTreeMap, HashSet};

use db::{Db, Error, Tx};

/// The end state of the tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    /// Charges that are not final.
    pub(super) not_final: u64,
    /// Successes that no invoice asked for.
    pub(super) surplus: u64,
    /// Unknown outcomes found out by resending the same key, and by looking up.
    pub(super) by_replay: u64,
    pub(super) by_lookup: u64,
    /// Charges proven never to have been executed.
    pub(super) voided: u64,
    /// The gateway's ids of all successful charges.
    pub(super) succeeded: HashSet<String>,
    /// What open invoices still ask for.
    pub(super) open_amount: i64,
    /// Rows that were not delivered.
    pub(super) outbox: u64,
    /// Debits minus credits of each account of the books.
    pub(super) balances: BTreeMap<String, i64>,
}

/// Reads everything in one snapshot.
pub(super) async fn read(db: &Db) -> Result<Tables, Error> {
    db.read(|tx| {
        let mut tables = Tables { outbox: outbox(tx)?, open_amount: open_amount(tx)?, ..Tables::default() };
        read_charges(tx, &mut tables)?;
        tables.balances = balances(tx)?;
        Ok(tables)
    })
    .await
}

fn read_charges(tx: &mut Tx<'_>, tables: &mut Tables) -> Result<(), Error> {
    for row in tx.query("select status, surplus, resolved_by, gateway_charge_id from charges", &[])? {
        match row.str(0)? {
            "succeeded" => {
                tables.succeeded.extend(row.opt_text(3)?);
                tables.surplus += u64::from(row.bool(1)?);
            }
            "void" => tables.voided += 1,
            "failed" => {}
            _ => tables.not_final += 1,
        }
        match row.opt_str(2)? {
            Some("replay") => tables.by_replay += 1,
            Some("lookup") => tables.by_lookup += 1,
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn outbox(tx: &mut Tx<'_>) -> Result<u64, Error> {
    Ok(tx.query_one("select count(*) from outbox", &[])?.i64(0)?.unsigned_abs())
}

fn open_amount(tx: &mut Tx<'_>) -> Result<i64, Error> {
    tx.query_one(
        "select cast(coalesce(sum(amount - amount_paid - amount_credited), 0) as bigint) from invoices
         where status in ('open', 'uncollectible')",
        &[],
    )?
    .i64(0)
}

fn balances(tx: &mut Tx<'_>) -> Result<BTreeMap<String, i64>, Error> {
    let mut balances = BTreeMap::new();
    let rows = tx.query(
        "select debit, credit, cast(sum(amount) as bigint) from ledger_entries group by debit, credit",
        &[],
    )?;
    for row in rows {
        let amount = row.i64(2)?;
        *balances.entry(row.text(0)?).or_default() += amount;
        *balances.entry(row.text(1)?).or_default() -= amount;
    }
    Ok(balances)
}
