//! SQL of the tests of the API: what it does not show yet.

use db::{Db, Error, Value};

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
