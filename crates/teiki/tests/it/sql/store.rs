//! SQL of the tests of statements: what PostgreSQL plans.

use postgres::Client;

/// The primary key of a table, with account and mode if the table has them.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) table: String,
    columns: Vec<String>,
    types: Vec<String>,
}

/// The keys of all tables.
pub(super) fn keys(client: &mut Client) -> Vec<Key> {
    let rows = client.query(
        "select cast(k.conname as text), cast(cast(k.conrelid as regclass) as text),
                array_agg(cast(a.attname as text) order by a.attnum),
                array_agg(format_type(a.atttypid, null) order by a.attnum)
         from pg_constraint k join pg_attribute a on a.attrelid = k.conrelid
             and (a.attnum = any (k.conkey) or a.attname in ('account_id', 'mode'))
         where k.contype = 'p' and k.connamespace = to_regnamespace('public')
         group by k.conname, k.conrelid",
        &[],
    );
    let keys = rows.expect("the keys").into_iter();
    keys.map(|row| Key { name: row.get(0), table: row.get(1), columns: row.get(2), types: row.get(3) })
        .collect()
}

/// What would be done, with the settings of a writing session, for a row with this key.
pub(super) fn plan_of_look_up(client: &mut Client, key: &Key) -> String {
    let conditions: Vec<String> =
        key.columns.iter().enumerate().map(|(i, column)| format!("{column} = ${}", i + 1)).collect();
    let look_up = format!(
        "set plan_cache_mode = force_generic_plan; set enable_seqscan = off;
         set enable_hashjoin = off; set enable_mergejoin = off;
         prepare look_up ({}) as select * from {} where {}",
        key.types.join(", "),
        key.table,
        conditions.join(" and ")
    );
    client.batch_execute(&look_up).expect("a look-up");
    let nulls = vec!["null"; key.columns.len()].join(", ");
    let plan = client.query(&format!("explain execute look_up ({nulls})"), &[]).expect("a plan");
    client.batch_execute("deallocate look_up").expect("it was prepared");
    plan.iter().map(|line| line.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}
