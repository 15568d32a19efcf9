//! SQL of the tests of constraints: what the engines' catalogues say of the schema.

use std::collections::BTreeSet;

use db::{Db, Engine, Error};

/// Table, column and type in lower case, in the order of the tables' definitions.
pub(crate) async fn columns(db: &Db) -> Vec<[String; 3]> {
    // Each engine has a catalogue of its own.
    let sql = match db.engine() {
        Engine::Sqlite => {
            "select t.name, c.name, lower(c.type) from sqlite_schema t join pragma_table_info(t.name) c
             where t.type = 'table' order by t.name, c.cid"
        }
        Engine::Postgres => {
            "select cast(table_name as text), cast(column_name as text), cast(data_type as text)
             from information_schema.columns where table_schema = 'public' order by table_name, ordinal_position"
        }
    };
    let read = db.read(move |tx| {
        let rows = tx.query(sql, &[])?;
        rows.iter().map(|row| Ok::<_, Error>([row.text(0)?, row.text(1)?, row.text(2)?])).collect()
    });
    read.await.expect("the catalogue reads")
}

/// Names of all constraints and unique indexes but NOT NULL, on PostgreSQL; those of the migrations' own table left out.
pub(super) async fn constraints(db: &Db) -> BTreeSet<String> {
    let read = db.read(|tx| {
        let rows = tx.query(
            "select cast(c.conname as text) from pg_constraint c join pg_class t on t.oid = c.conrelid
             where t.relnamespace = cast('public' as regnamespace) and left(t.relname, 1) <> '_' and c.contype <> 'n'
             union
             select cast(i.relname as text) from pg_index x join pg_class i on i.oid = x.indexrelid
                    join pg_class t on t.oid = x.indrelid
             where t.relnamespace = cast('public' as regnamespace) and left(t.relname, 1) <> '_' and x.indisunique",
            &[],
        )?;
        rows.iter().map(|row| row.text(0)).collect::<Result<_, Error>>()
    });
    read.await.expect("the catalogue reads")
}
