//! SQL of the tests of the API: what it does not show yet.

use db::{Column, Db, Error, Tx, Value};

/// Invoices of a subscription by their due time: status and amount.
pub(super) async fn invoices(db: &Db, subscription: &str) -> Vec<(String, i64)> {
    let id = subscription.to_owned();
    let read = db.read(move |tx| {
        let rows = tx.query(
            "select status, amount from invoices where subscription_id = $1 order by due_at, cycle, id",
            &[Value::Text(&id)],
        )?;
        rows.iter().map(|row| Ok::<_, Error>((row.text(0)?, row.i64(1)?))).collect()
    });
    read.await.unwrap()
}

/// How many charges are not final.
pub(super) async fn open_charges(db: &Db) -> i64 {
    let read = db.read(|tx| {
        let row = tx.query_one(
            "select count(*) from charges where status not in ('succeeded', 'failed', 'void')",
            &[],
        )?;
        row.i64(0)
    });
    read.await.unwrap()
}

/// Holds a key's row; on SQLite, where one transaction writes at a time, everything.
pub(super) fn lock_key(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    tx.lock_many("select id from api_keys where id = $1", &[Column::Text(vec![id])]).map(drop)
}
