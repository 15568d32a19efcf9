//! SQL of the tests of the API: what it does not show yet.

use std::sync::Mutex;
use std::sync::mpsc::channel;

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

/// How many charges are not final; those aside that wait for a request and were never sent.
pub(super) async fn open_charges(db: &Db) -> i64 {
    let read = db.read(|tx| {
        let row = tx.query_one(
            "select count(*) from charges
             where status not in ('succeeded', 'failed', 'void') and not (status = 'requires_customer' and sent_at is null)",
            &[],
        )?;
        row.i64(0)
    });
    read.await.unwrap()
}

/// The states of all charges.
pub(super) async fn charge_states(db: &Db) -> Vec<String> {
    let read = db.read(|tx| {
        let rows = tx.query("select status from charges order by slot, id", &[])?;
        rows.iter().map(|row| row.text(0)).collect::<Result<_, Error>>()
    });
    read.await.unwrap()
}

/// The secret of a webhook endpoint as it is stored.
pub(super) async fn sealed_secret(db: &Db, endpoint: &str) -> Vec<u8> {
    let id = endpoint.to_owned();
    let read = db.read(move |tx| {
        tx.query_one("select secret from webhook_endpoints where id = $1", &[Value::Text(&id)])?.bytes(0)
    });
    read.await.unwrap()
}

/// An idempotency key as it is stored.
#[derive(Debug)]
pub(super) struct StoredKey {
    pub(super) key_hash: Vec<u8>,
    pub(super) request_hash: Vec<u8>,
    /// Everything of it that is text.
    pub(super) texts: String,
}

pub(super) async fn idempotency_keys(db: &Db) -> Vec<StoredKey> {
    let read = db.read(|tx| {
        let rows = tx.query(
            "select key_hash, request_hash, account_id || mode || coalesce(holder, '') || coalesce(done, '') || coalesce(answer, '')
             from idempotency_keys order by created_at",
            &[],
        )?;
        rows.iter()
            .map(|row| Ok(StoredKey { key_hash: row.bytes(0)?, request_hash: row.bytes(1)?, texts: row.text(2)? }))
            .collect::<Result<_, Error>>()
    });
    read.await.unwrap()
}

/// Makes all keys look as if the processes that work on them had been gone for long.
pub(super) async fn abandon(db: &Db) {
    let abandoned = db.write(|tx| {
        tx.execute(
            "update idempotency_keys set holder = 'elsewhere', held_at = 0, status = null, answer = null",
            &[],
        )
    });
    let abandoned: Result<u64, Error> = abandoned.await;
    assert!(abandoned.unwrap() > 0);
}

/// Holds a key's row; on SQLite, where one transaction writes at a time, everything.
pub(super) fn lock_key(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    tx.lock_many("select id from api_keys where id = $1", &[Column::Text(vec![id])]).map(drop)
}

/// The same of a customer.
pub(super) fn lock_customer(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    tx.lock_many("select id from customers where id = $1", &[Column::Text(vec![id])]).map(drop)
}

/// The same of a plan.
pub(super) fn lock_plan(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    tx.lock_many("select id from plans where id = $1", &[Column::Text(vec![id])]).map(drop)
}

/// Does this while `hold` holds something.
pub(super) async fn while_held(
    db: &Db,
    hold: impl Fn(&mut Tx<'_>) -> Result<(), Error> + Send + 'static,
    doing: impl Future<Output = ()>,
) {
    let ((release, released), (tell, is_held)) = (channel::<()>(), channel());
    let released = Mutex::new(released);
    let holding = db.write(move |tx| {
        hold(tx)?;
        tell.send(()).unwrap();
        // An error means that the test has failed.
        let _ = released.lock().unwrap().recv();
        Ok::<_, Error>(())
    });
    let doing = async {
        tokio::task::block_in_place(|| is_held.recv()).unwrap();
        doing.await;
        release.send(()).unwrap();
    };
    let (held, ()) = tokio::join!(holding, doing);
    held.unwrap();
}

/// How many subscriptions have anything of a reservation.
pub(super) async fn reservations(db: &Db) -> i64 {
    let read = db.read(|tx| {
        let row = tx.query_one(
            "select count(*) from subscriptions
             where next_plan_id is not null or next_plan_from is not null or plan_switch_id is not null
                   or switch_former is not null",
            &[],
        )?;
        row.i64(0)
    });
    read.await.unwrap()
}

/// What stored cards are charged with, and the traces of their numbers.
pub(super) async fn card_secrets(db: &Db) -> Vec<String> {
    let read = db.read(|tx| {
        let rows =
            tx.query("select gateway_token, fingerprint from payment_methods order by slot, id", &[])?;
        let each = rows.iter().map(|row| Ok::<_, Error>([Some(row.text(0)?), row.opt_text(1)?]));
        Ok(each.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().flatten().collect())
    });
    let read: Result<Vec<String>, Error> = read.await;
    read.unwrap()
}

/// A subscription and what is left of it: its status, the payment that it waits for, and the status of its dunning case.
pub(super) async fn standing(db: &Db, id: &str) -> (String, Option<String>, Option<String>) {
    let id = id.to_owned();
    let read = db.read(move |tx| {
        let row = tx.query_one(
            "select s.status, s.pending_invoice_id, d.status
             from subscriptions s left join dunning_cases d on d.slot = s.slot and d.subscription_id = s.id
             where s.id = $1",
            &[Value::Text(&id)],
        )?;
        Ok::<_, Error>((row.text(0)?, row.opt_text(1)?, row.opt_text(2)?))
    });
    read.await.unwrap()
}

/// Makes a collected charge one that is to be found out now and cannot be read, or as it was again.
pub(super) async fn make_unreadable(db: &Db, id: &str, is_unreadable: bool) {
    let id = id.to_owned();
    let written = db.write(move |tx| {
        let (status, currency, check_at) =
            if is_unreadable { ("unknown", "xxx", Some(1)) } else { ("succeeded", "jpy", None) };
        tx.execute(
            "update charges set status = $2, currency = $3, check_at = $4 where id = $1",
            &[Value::Text(&id), Value::Text(status), Value::Text(currency), Value::from(check_at)],
        )
    });
    let written: Result<u64, Error> = written.await;
    assert_eq!(written.unwrap(), 1);
}

/// Everything that is in a database of PostgreSQL, as text.
pub(super) fn every_row(client: &mut postgres::Client) -> String {
    let tables = client.query_one(
        "select string_agg(cast(query_to_xml('select * from ' || quote_ident(table_name), true, true, '') as text), '')
         from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'",
        &[],
    );
    tables.unwrap().get(0)
}

/// The gateway connections of all sides: mode and gateway.
pub(super) async fn connections(db: &Db) -> Vec<(String, String)> {
    let read = db.read(|tx| {
        let rows =
            tx.query("select mode, gateway from gateway_connections order by mode, gateway, id", &[])?;
        rows.iter().map(|row| Ok::<_, Error>((row.text(0)?, row.text(1)?))).collect()
    });
    read.await.unwrap()
}

/// Takes a table away, so that nothing can be read of it, or puts it back.
pub(super) async fn take_away(db: &Db, table: &str, is_away: bool) {
    let away = format!("{table}_away");
    let (from, to) = if is_away { (table, away.as_str()) } else { (away.as_str(), table) };
    let statement = format!("alter table {from} rename to {to}");
    let renamed: Result<u64, Error> = db.write(move |tx| tx.execute(&statement, &[])).await;
    renamed.unwrap();
}

/// Every commit that has a new row of `table` loses its connection, until it is stopped again; on PostgreSQL.
pub(super) fn lose_commits(client: &mut postgres::Client, table: &str) {
    let made = client.batch_execute(&format!(
        "create function lose() returns trigger language plpgsql as
         $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
         create constraint trigger loses after insert on {table} deferrable initially deferred
         for each row execute function lose()"
    ));
    made.unwrap();
}

/// They are kept again.
pub(super) fn keep_commits(client: &mut postgres::Client, table: &str) {
    client.batch_execute(&format!("drop trigger loses on {table}; drop function lose")).unwrap();
}
