//! The floor on SQLite: one connection, prepared statements for one row in a loop, settings as teiki has them.

use std::time::Instant;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};
use sha2::{Digest, Sha256};

use super::Failed;
use super::floor::{DAY_PLAN, DAY_RUN, Kind};
use super::floor_rows::{Batch, Cells, Day, Floor, Rows};
use super::measure::Round;

fn open(url: &str) -> Result<Connection, Failed> {
    let path = url.strip_prefix("sqlite:").ok_or("not the URL of an SQLite file")?;
    let connection = Connection::open(path)?;
    for (setting, value) in [
        ("journal_mode", "wal"),
        ("synchronous", "full"),
        ("foreign_keys", "on"),
        ("cell_size_check", "on"),
        ("temp_store", "memory"),
        ("cache_size", "-65536"),
        ("journal_size_limit", "67108864"),
    ] {
        connection.pragma_update(None, setting, value)?;
    }
    Ok(connection)
}

/// Runs a query and answers column by column.
pub(crate) fn read(url: &str, sql: &str, kinds: &[Kind]) -> Result<Vec<Cells>, Failed> {
    let connection = open(url)?;
    let mut statement = connection.prepare(sql)?;
    let mut columns: Vec<Cells> = kinds.iter().copied().map(Cells::of).collect();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (place, cells) in columns.iter_mut().enumerate() {
            match cells {
                Cells::Int(cells) => cells.push(row.get(place)?),
                Cells::Text(cells) => cells.push(row.get(place)?),
            }
        }
    }
    Ok(columns)
}

/// Writes everything in batches of `size` renewals.
pub(crate) fn write(url: &str, floor: &Floor, size: usize) -> Result<Round, Failed> {
    let connection = open(url)?;
    let batches = floor.batches(size).concat();
    let mut round = Round { count: u64::try_from(floor.renewals)?, ..Round::default() };
    let prepared = |rows: &[Rows]| -> Result<Vec<Statement<'_>>, Failed> {
        rows.iter().map(|rows| Ok(connection.prepare(&rows.statement.for_sqlite())?)).collect()
    };
    let mut steps =
        [&floor.prepare, &floor.settle, &floor.deliver].map(|rows| prepared(rows).map(|texts| (rows, texts)));
    let mut begin = connection.prepare("begin immediate")?;
    let mut commit = connection.prepare("commit")?;
    let started = Instant::now();
    for batch in &batches {
        for (number, step) in steps.iter_mut().enumerate() {
            let (rows, texts) = step.as_mut().map_err(|error| error.to_string())?;
            begin.raw_execute()?;
            for (rows, text) in rows.iter().zip(texts) {
                round.rows += write_rows(text, rows, batch)?;
                round.round_trips += 1;
            }
            if number == 0 {
                round.rows += write_day(&connection, &floor.day, batch)?;
                round.round_trips += 1 + u64::from(batch.is_first);
            }
            commit.raw_execute()?;
            round.round_trips += 2;
            round.transactions += 1;
        }
    }
    round.micros = u64::try_from(started.elapsed().as_micros())?;
    round.syncs = round.transactions;
    Ok(round)
}

fn write_rows(text: &mut Statement<'_>, rows: &Rows, batch: &Batch) -> Result<u64, Failed> {
    let range = rows.range(batch);
    for row in range.clone() {
        for (place, cells) in rows.columns.iter().enumerate() {
            let value = match cells {
                Cells::Int(cells) => cells[row].map_or(ValueRef::Null, ValueRef::Integer),
                Cells::Text(cells) => cells[row].as_deref().map_or(ValueRef::Null, ValueRef::from),
            };
            text.raw_bind_parameter(place + 1, ToSqlOutput::Borrowed(value))?;
        }
        if text.raw_execute()? != 1 {
            return Err(format!("a row of {} was not there", rows.statement.table).into());
        }
    }
    Ok(u64::try_from(range.len())?)
}

fn write_day(connection: &Connection, day: &Day, batch: &Batch) -> Result<u64, Failed> {
    let ([account, mode, clock, on], [count, amount]) = (&day.key, day.planned);
    if batch.is_first {
        let mut plan = connection.prepare_cached(&numbered(DAY_PLAN))?;
        plan.execute((account, mode, clock, on, count, amount))?;
    }
    let mut run = connection.prepare_cached(&numbered(DAY_RUN))?;
    run.execute((account, mode, clock, on, batch.lane, batch.opened[0], batch.opened[1]))?;
    Ok(1 + u64::from(batch.is_first))
}

fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

/// Rows and the hash of all bytes of each table, in the order of the tables' names.
pub(crate) fn tables(url: &str) -> Result<Vec<(String, u64, String)>, Failed> {
    let connection = open(url)?;
    let mut names = connection.prepare(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite%' order by name",
    )?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    names.into_iter().map(|name| table(&connection, name)).collect()
}

/// Tables of customers keep their rows in the order of their key.
fn table(connection: &Connection, name: String) -> Result<(String, u64, String), Failed> {
    let mut statement = connection.prepare(&format!("select * from {name}"))?;
    let width = statement.column_count();
    let (mut count, mut hash) = (0, Sha256::new());
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        count += 1;
        for place in 0..width {
            match row.get_ref(place)? {
                ValueRef::Null => hash.update([0]),
                ValueRef::Integer(value) => hash.update(value.to_be_bytes()),
                ValueRef::Real(_) => return Err(format!("{name} holds a float").into()),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    hash.update(bytes.len().to_be_bytes());
                    hash.update(bytes);
                }
            }
        }
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((name, count, hash))
}
