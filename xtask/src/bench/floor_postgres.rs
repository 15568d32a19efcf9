//! The floor on PostgreSQL: several connections, each with its own lanes of slots; a statement carries the rows of a batch as
//! one array for each column.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use postgres::types::ToSql;
use postgres::{Client, NoTls, Statement};

use super::Failed;
use super::floor::{DAY_PLAN, DAY_RUN, Kind};
use super::floor_rows::{Batch, Cells, Floor, Rows};
use super::measure::Round;

/// Runs a query and answers column by column.
pub(crate) fn read(url: &str, sql: &str, kinds: &[Kind]) -> Result<Vec<Cells>, Failed> {
    let mut client = Client::connect(url, NoTls)?;
    let mut columns: Vec<Cells> = kinds.iter().copied().map(Cells::of).collect();
    for row in client.query(sql, &[])? {
        for (place, cells) in columns.iter_mut().enumerate() {
            match cells {
                Cells::Int(cells) => cells.push(row.try_get(place)?),
                Cells::Text(cells) => cells.push(row.try_get(place)?),
            }
        }
    }
    Ok(columns)
}

/// A connection with everything prepared.
struct Writer<'f> {
    client: Client,
    floor: &'f Floor,
    steps: [(&'f [Rows], Vec<Statement>); 3],
    day_plan: Statement,
    day_run: Statement,
    round: Round,
}

/// Writes everything in batches of `size` renewals over so many connections.
pub(crate) fn write(url: &str, floor: &Floor, size: usize, connections: usize) -> Result<Round, Failed> {
    let lanes = floor.batches(size);
    let mut writers = (0..connections).map(|_| Writer::open(url, floor)).collect::<Result<Vec<_>, _>>()?;
    // One more for this thread, which reads the time.
    let start = Barrier::new(connections + 1);
    let (micros, rounds) = thread::scope(|scope| {
        let running: Vec<_> = writers
            .iter_mut()
            .enumerate()
            .map(|(number, writer)| {
                let mine = lanes.iter().skip(number).step_by(connections);
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    mine.flatten().try_for_each(|batch| writer.write(batch)).map(|()| writer.round)
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        let rounds: Result<Vec<Round>, Failed> = running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a connection's thread panicked".into())))
            .collect();
        (started.elapsed().as_micros(), rounds)
    });
    let sum = |of: fn(&Round) -> u64, rounds: &[Round]| rounds.iter().map(of).sum();
    let rounds = rounds?;
    let transactions = sum(|round| round.transactions, &rounds);
    Ok(Round {
        count: u64::try_from(floor.renewals)?,
        micros: u64::try_from(micros)?,
        transactions,
        syncs: transactions,
        round_trips: sum(|round| round.round_trips, &rounds),
        rows: sum(|round| round.rows, &rounds),
        ..Round::default()
    })
}

impl<'f> Writer<'f> {
    fn open(url: &str, floor: &'f Floor) -> Result<Self, Failed> {
        let mut client = Client::connect(url, NoTls)?;
        client.batch_execute("set synchronous_commit = on")?;
        let mut prepared = |rows: &'f [Rows]| -> Result<(&'f [Rows], Vec<Statement>), Failed> {
            let texts = rows.iter().map(|rows| client.prepare(&rows.statement.for_postgres()));
            Ok((rows, texts.collect::<Result<_, _>>()?))
        };
        let steps = [prepared(&floor.prepare)?, prepared(&floor.settle)?, prepared(&floor.deliver)?];
        let (day_plan, day_run) = (client.prepare(DAY_PLAN)?, client.prepare(DAY_RUN)?);
        Ok(Self { client, floor, steps, day_plan, day_run, round: Round::default() })
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Failed> {
        for number in 0..self.steps.len() {
            self.client.batch_execute("begin")?;
            let (rows, texts) = &self.steps[number];
            for (rows, text) in rows.iter().zip(texts) {
                let arrays = arrays(rows, batch);
                let parameters: Vec<_> = arrays.iter().map(Array::parameter).collect();
                let written = self.client.execute(text, &parameters)?;
                if written != u64::try_from(rows.range(batch).len())? {
                    return Err(
                        format!("{written} rows of a batch of {} were there", rows.statement.table).into()
                    );
                }
                self.round.rows += written;
                self.round.round_trips += 1;
            }
            if number == 0 {
                self.write_day(batch)?;
            }
            self.client.batch_execute("commit")?;
            self.round.round_trips += 2;
            self.round.transactions += 1;
        }
        Ok(())
    }

    fn write_day(&mut self, batch: &Batch) -> Result<(), Failed> {
        let day = &self.floor.day;
        let ([account, mode, clock, on], [count, amount]) = (&day.key, &day.planned);
        if batch.is_first {
            self.round.rows +=
                self.client.execute(&self.day_plan, &[account, mode, clock, on, count, amount])?;
            self.round.round_trips += 1;
        }
        let [opened, yen] = &batch.opened;
        self.round.rows +=
            self.client.execute(&self.day_run, &[account, mode, clock, on, &batch.lane, opened, yen])?;
        self.round.round_trips += 1;
        Ok(())
    }
}

/// The rows of a batch in one column.
enum Array<'r> {
    Int(&'r [Option<i64>]),
    Text(&'r [Option<String>]),
}

fn arrays<'r>(rows: &'r Rows, batch: &Batch) -> Vec<Array<'r>> {
    let range = rows.range(batch);
    let column = |cells: &'r Cells| match cells {
        Cells::Int(cells) => Array::Int(&cells[range.clone()]),
        Cells::Text(cells) => Array::Text(&cells[range.clone()]),
    };
    rows.columns.iter().map(column).collect()
}

impl Array<'_> {
    fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Array::Int(cells) => cells,
            Array::Text(cells) => cells,
        }
    }
}

/// Rows and the hash of all bytes of each table, in the order of the tables' names.
pub(crate) fn tables(url: &str) -> Result<Vec<(String, u64, String)>, Failed> {
    let mut client = Client::connect(url, NoTls)?;
    let names = client
        .query("select tablename from pg_tables where schemaname = 'public' order by tablename", &[])?;
    names
        .iter()
        .map(|row| {
            let name: String = row.try_get(0)?;
            let row = client.query_one(
                &format!(
                    "select count(*), cast(coalesce(sum(hashtextextended(cast(t as text), 0)), 0) as text) from {name} t"
                ),
                &[],
            )?;
            Ok((name, u64::try_from(row.try_get::<_, i64>(0)?)?, row.try_get(1)?))
        })
        .collect()
}
