//! SQL of the tests of statements: what the engines plan.

use postgres::Client;
use rusqlite::Connection;

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

/// How SQLite goes about a statement.
pub(crate) fn steps(connection: &Connection, statement: &str) -> Vec<String> {
    let text = format!("explain query plan {}", statement.replace('$', "?"));
    let mut explained = connection.prepare(&text).expect("a statement");
    let none = vec![rusqlite::types::Null; explained.parameter_count()];
    let steps = explained.query_map(rusqlite::params_from_iter(none), |row| row.get(3)).expect("a plan");
    steps.collect::<Result<_, _>>().expect("its steps")
}

/// Tables whose key begins with the slot, and indexes of a few of a table's rows.
pub(super) struct Shape {
    pub(super) slotted: Vec<String>,
    partial: Vec<String>,
}

impl Shape {
    pub(super) fn of(connection: &Connection) -> Self {
        let slotted = "select t.name from sqlite_schema t join pragma_table_info(t.name) c
                       where t.type = 'table' and c.name = 'slot' and c.pk = 1";
        let partial = "select l.name from sqlite_schema t join pragma_index_list(t.name) l
                       where t.type = 'table' and l.partial = 1";
        Self { slotted: texts(connection, slotted), partial: texts(connection, partial) }
    }

    /// Whether a step reads every row of a slot, or of an account although it is told the customer.
    pub(super) fn is_wide(&self, step: &str, statement: &str) -> bool {
        let words: Vec<&str> = step.split(' ').collect();
        let is_of_few = self.partial.iter().any(|index| words.contains(&index.as_str()));
        let is_any_customer = step.contains("_by_time ") && statement.contains("customer_id = $");
        let is_slot = step.ends_with("(slot=?)") || step.contains("(slot>?") || step.contains("(ANY(");
        let is_scan = words.first() == Some(&"SCAN")
            && words.get(1).is_some_and(|name| self.is_slotted(name, statement));
        is_any_customer || ((is_slot || is_scan) && !is_of_few)
    }

    /// Whether this is the name of such a table, or another name for one in the statement.
    fn is_slotted(&self, name: &str, statement: &str) -> bool {
        self.slotted.iter().any(|table| table == name || statement.contains(&format!("{table} {name} ")))
    }
}

/// Indexes about which SQLite has to guess.
pub(super) fn indexes_without_statistics(connection: &Connection) -> Vec<String> {
    let text = "select l.name from sqlite_schema t join pragma_index_list(t.name) l
                where t.type = 'table' and l.name not in (select idx from sqlite_stat1)
                    and not (l.origin = 'pk' and t.name in (select idx from sqlite_stat1))";
    texts(connection, text)
}

fn texts(connection: &Connection, text: &str) -> Vec<String> {
    let mut found = connection.prepare(text).expect("a statement");
    let rows = found.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("texts")
}
