//! The rows of the floor: read once, kept column by column, cut into batches.
//!
//! Every renewal has the same number of rows in each statement, so a batch of renewals is a range of every statement's rows.
//! That is asserted, for the floor would otherwise write charges whose invoice is in another batch.

use std::ops::Range;

use teiki::renewals::Lane;

use super::Failed;
use super::floor::{DAY, DELIVER, Kind, PREPARE, SETTLE, Statement};

/// A column of rows; a null is `None`.
pub(crate) enum Cells {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
}

impl Cells {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Int => Self::Int(Vec::new()),
            Kind::Text => Self::Text(Vec::new()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Int(cells) => cells.len(),
            Self::Text(cells) => cells.len(),
        }
    }

    fn ints(&self) -> &[Option<i64>] {
        match self {
            Self::Int(cells) => cells,
            Self::Text(_) => &[],
        }
    }

    fn text(&self, row: usize) -> Option<String> {
        match self {
            Self::Int(_) => None,
            Self::Text(cells) => cells.get(row).cloned().flatten(),
        }
    }
}

/// A statement with all of its rows.
pub(crate) struct Rows {
    pub(crate) statement: &'static Statement,
    pub(crate) columns: Vec<Cells>,
    per_renewal: usize,
}

/// The plan of the day.
pub(crate) struct Day {
    pub(crate) key: [String; 4],
    pub(crate) planned: [i64; 2],
}

/// Renewals that share transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    renewals: Range<usize>,
    pub(crate) lane: i64,
    /// Count and yen of the renewals, for the run of the day.
    pub(crate) opened: [i64; 2],
    /// The first of all: it writes the plan of the day.
    pub(crate) is_first: bool,
}

/// Everything that a round of teiki has written.
pub(crate) struct Floor {
    pub(crate) renewals: usize,
    pub(crate) prepare: Vec<Rows>,
    pub(crate) settle: Vec<Rows>,
    pub(crate) deliver: Vec<Rows>,
    pub(crate) day: Day,
    lanes: Vec<(i64, Range<usize>)>,
    amounts: Vec<i64>,
}

impl Rows {
    /// Its rows of a batch.
    pub(crate) fn range(&self, batch: &Batch) -> Range<usize> {
        batch.renewals.start * self.per_renewal..batch.renewals.end * self.per_renewal
    }
}

impl Floor {
    /// Reads everything by `read`, which runs a query and answers column by column. `lanes`: as many as teiki had.
    pub(crate) fn of(
        lanes: i64,
        read: impl Fn(&str, &[Kind]) -> Result<Vec<Cells>, Failed>,
    ) -> Result<Self, Failed> {
        let all = |statements: &'static [Statement]| -> Result<Vec<Rows>, Failed> {
            statements.iter().map(|statement| rows(statement, &read)).collect()
        };
        let (mut prepare, mut settle, mut deliver) = (all(&PREPARE)?, all(&SETTLE)?, all(&DELIVER)?);
        let renewals = count(&prepare[0].columns);
        for rows in prepare.iter_mut().chain(&mut settle).chain(&mut deliver) {
            let found = count(&rows.columns);
            if renewals == 0 || !found.is_multiple_of(renewals) {
                let table = rows.statement.table;
                return Err(format!(
                    "{found} rows of {table} are not the same for each of {renewals} renewals"
                )
                .into());
            }
            rows.per_renewal = found / renewals;
        }
        let slots = prepare[0].columns[0].ints();
        let lanes = Lane::cut(lanes).iter().map(|lane| (lane.number, range_of(slots, lane))).collect();
        let place = PREPARE[2]
            .columns()
            .position(|column| column.name == "amount")
            .ok_or("charges have no amount")?;
        let amounts = prepare[2].columns[place].ints().iter().map(|amount| amount.unwrap_or(0)).collect();
        Ok(Self { renewals, prepare, settle, deliver, day: day(&read)?, lanes, amounts })
    }

    /// The batches of each lane.
    pub(crate) fn batches(&self, size: usize) -> Vec<Vec<Batch>> {
        let batch = |lane: i64, start: usize, end: usize| Batch {
            renewals: start..end,
            lane,
            opened: [i64::try_from(end - start).unwrap_or(i64::MAX), self.amounts[start..end].iter().sum()],
            is_first: start == 0,
        };
        self.lanes
            .iter()
            .map(|(lane, range)| {
                range
                    .clone()
                    .step_by(size)
                    .map(|start| batch(*lane, start, range.end.min(start + size)))
                    .collect()
            })
            .collect()
    }
}

fn rows(
    statement: &'static Statement,
    read: impl Fn(&str, &[Kind]) -> Result<Vec<Cells>, Failed>,
) -> Result<Rows, Failed> {
    let kinds: Vec<Kind> = statement.columns().map(|column| column.kind).collect();
    let columns = read(&statement.source(), &kinds)?;
    Ok(Rows { statement, columns, per_renewal: 0 })
}

fn count(columns: &[Cells]) -> usize {
    columns.first().map_or(0, Cells::len)
}

fn day(read: impl Fn(&str, &[Kind]) -> Result<Vec<Cells>, Failed>) -> Result<Day, Failed> {
    let columns = read(DAY, &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Int])?;
    let missing = "the round of teiki has not one plan of the day";
    let [account, mode, clock, day, count, amount] = columns.as_slice() else {
        return Err(missing.into());
    };
    let key = [account, mode, clock, day].map(|cells| cells.text(0).unwrap_or_default());
    let planned = [count, amount].map(|cells| cells.ints().first().copied().flatten().unwrap_or(0));
    if count.len() == 1 { Ok(Day { key, planned }) } else { Err(missing.into()) }
}

/// The renewals of a lane; rows are in the order of their slots.
fn range_of(slots: &[Option<i64>], lane: &Lane) -> Range<usize> {
    let before = |slot: i64| slots.partition_point(|found| found.unwrap_or(0) < slot);
    before(lane.first)..before(lane.last + 1)
}

#[cfg(test)]
mod tests {
    use super::super::floor::DAY;
    use super::{Cells, Failed, Floor, Kind};

    /// Two renewals in slot 0, one in slot 255; everything has one row for each.
    fn rows(sql: &str, kinds: &[Kind]) -> Result<Vec<Cells>, Failed> {
        let count = if sql == DAY { 1 } else { 3 };
        let slots = [0, 0, 255].map(Some);
        let column = |kind: &Kind| match kind {
            Kind::Int => Cells::Int(slots[..count].to_vec()),
            Kind::Text => Cells::Text(vec![Some("a".to_owned()); count]),
        };
        Ok(kinds.iter().map(column).collect())
    }

    #[test]
    fn a_batch_stays_in_its_lane() {
        let floor = Floor::of(4, rows).expect("as many rows for each renewal");
        let batches = floor.batches(64);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 0, 1]);
        assert_eq!(floor.prepare[0].range(&batches[0][0]), 0..2);
        assert_eq!(floor.prepare[0].range(&batches[3][0]), 2..3);
        assert!(batches[0][0].is_first && !batches[3][0].is_first);
        assert_eq!(batches[3][0].opened, [1, 255]);
        assert_eq!(floor.batches(1).concat().len(), 3);
    }

    #[test]
    fn rows_that_are_not_the_same_for_each_renewal_are_refused() {
        let uneven = |sql: &str, kinds: &[Kind]| {
            let mut columns = rows(sql, kinds)?;
            if sql.contains("ledger_entries")
                && let Some(Cells::Int(cells)) = columns.first_mut()
            {
                cells.push(Some(255));
            }
            Ok(columns)
        };
        let refused = Floor::of(1, uneven).err().map(|error| error.to_string());
        assert_eq!(
            refused.as_deref(),
            Some("4 rows of ledger_entries are not the same for each of 3 renewals")
        );
    }
}
