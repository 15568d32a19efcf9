//! What a round measured, what several rounds of a side say together, and how that is shown.
//!
//! Integers only. A share such as rows per renewal is in thousandths, which [`Milli`] prints as a decimal number.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::Failed;

/// One round of one side.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Renewals (or charges) done.
    pub(crate) count: u64,
    /// How long they took, in microseconds.
    pub(crate) micros: u64,
    /// Transactions committed, reading ones too.
    pub(crate) transactions: u64,
    /// Committed transactions that wrote: how often the disk was waited for, at most.
    pub(crate) syncs: u64,
    /// Statements sent, with begin and commit; a many-row statement is one.
    pub(crate) round_trips: u64,
    /// Rows inserted, updated or deleted.
    pub(crate) rows: u64,
    /// PostgreSQL: bytes of write-ahead log. SQLite: all that the process wrote, which is the log and its checkpoints.
    pub(crate) log_bytes: u64,
    /// The most memory that the process had, in KiB.
    pub(crate) peak_kib: u64,
}

/// Thousandths, shown as a decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Milli(pub(crate) u64);

impl Milli {
    /// `part` of `whole`; nothing of nothing is 0.
    pub(crate) fn of(part: u64, whole: u64) -> Self {
        let thousandths = (u128::from(part) * 1_000).checked_div(u128::from(whole));
        Self(u64::try_from(thousandths.unwrap_or(0)).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000))
    }
}

impl Serialize for Milli {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: serde_json::Number = self.to_string().parse().map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

/// The least, the middle and the most of what the rounds of a side did in a second.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Rates {
    pub(crate) min: u64,
    pub(crate) median: u64,
    pub(crate) max: u64,
}

impl Rates {
    pub(crate) fn of(mut rates: Vec<u64>) -> Result<Self, Failed> {
        rates.sort_unstable();
        match (rates.first(), rates.get(rates.len() / 2), rates.last()) {
            (Some(&min), Some(&median), Some(&max)) => Ok(Self { min, median, max }),
            _ => Err("no round was run".into()),
        }
    }
}

/// What the rounds of one side say; what is counted comes from the round in the middle.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) rounds: usize,
    pub(crate) per_second: Rates,
    pub(crate) transactions_per_renewal: Milli,
    pub(crate) syncs_per_renewal: Milli,
    pub(crate) round_trips_per_renewal: Milli,
    pub(crate) rows_per_renewal: Milli,
    pub(crate) log_bytes_per_renewal: u64,
    pub(crate) peak_kib: u64,
}

impl Round {
    /// How many in a second.
    pub(crate) fn per_second(&self) -> u64 {
        Milli::of(self.count.saturating_mul(1_000), self.micros).0
    }
}

impl Summary {
    pub(crate) fn of(rounds: &[Round]) -> Result<Self, Failed> {
        let per_second = Rates::of(rounds.iter().map(Round::per_second).collect())?;
        let middle =
            rounds.iter().find(|round| round.per_second() == per_second.median).ok_or("no round was run")?;
        let each = |counted: u64| Milli::of(counted, middle.count);
        Ok(Self {
            rounds: rounds.len(),
            per_second,
            transactions_per_renewal: each(middle.transactions),
            syncs_per_renewal: each(middle.syncs),
            round_trips_per_renewal: each(middle.round_trips),
            rows_per_renewal: each(middle.rows),
            log_bytes_per_renewal: middle.log_bytes / middle.count.max(1),
            peak_kib: rounds.iter().map(|round| round.peak_kib).max().unwrap_or(0),
        })
    }
}

/// A table with a side in each line.
pub(crate) fn table(sides: &[(String, Summary)]) -> String {
    let mut text = format!(
        "{:<34} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9}\n",
        "", "min/s", "median/s", "max/s", "txs", "syncs", "trips", "rows", "log B", "peak MiB"
    );
    for (name, side) in sides {
        let line = format!(
            "{name:<34} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9}\n",
            side.per_second.min,
            side.per_second.median,
            side.per_second.max,
            side.transactions_per_renewal,
            side.syncs_per_renewal,
            side.round_trips_per_renewal,
            side.rows_per_renewal,
            side.log_bytes_per_renewal,
            side.peak_kib / 1_024,
        );
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Milli, Rates};

    #[test]
    fn thousandths_are_shown_as_decimal_numbers() {
        assert_eq!(Milli::of(2, 3).to_string(), "0.666");
        assert_eq!(Milli::of(9, 4).to_string(), "2.250");
        assert_eq!(Milli::of(1, 0).to_string(), "0.000");
        assert_eq!(serde_json::to_string(&Milli(1_050)).expect("a number"), "1.05");
    }

    #[test]
    fn the_median_of_a_side_is_one_of_its_rounds() {
        let rates = Rates::of(vec![30, 10, 20]).expect("three rounds");
        assert_eq!((rates.min, rates.median, rates.max), (10, 20, 30));
        assert!(Rates::of(Vec::new()).is_err());
    }
}
