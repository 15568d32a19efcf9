//! The floor: what a person who knows every row in advance could do by hand.
//!
//! It takes the rows that a round of teiki has written and writes the same ones, byte for byte, into a fresh copy of the same
//! database: same schema, indexes, constraints and durability. It reads nothing, plans nothing, asks no gateway. What it does
//! keep are the three transactions that the promise needs: the intent before anything is sent, the outcome, the delivery.
//!
//! | transaction | statements for each batch |
//! |---|---|
//! | [`PREPARE`] | open invoices, next invoices, charges, entries, events, outbox, subscriptions, run of the day |
//! | [`SETTLE`] | charges, invoices, entries, events, outbox, subscriptions |
//! | [`DELIVER`] | outbox |
//!
//! Statements are prepared once. PostgreSQL gets the rows of a batch as one array for each column, SQLite row by row in a
//! loop, which is the fastest there. What is the same in every row stands in the text of the statement. `floor_rows` reads
//! the rows, `floor_sqlite` and `floor_postgres` write them; the caller tries batch sizes and connections and takes the best.

use clap::Args;

use super::floor_rows::Floor;
use super::measure::Round;
use super::teiki_round::LogMeter;
use super::{Failed, floor_postgres, floor_sqlite, process};

#[derive(Args)]
pub(crate) struct FloorArguments {
    /// The finished database of a round of teiki, whose rows are taken.
    #[arg(long)]
    source: String,
    /// The fresh copy to write to.
    #[arg(long)]
    database: String,
    /// Renewals of one batch.
    #[arg(long)]
    batch: usize,
    /// Connections that write side by side.
    #[arg(long)]
    connections: usize,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Text,
}

/// A column that is written from the rows.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Where its value is read, if it is not the column of that name.
    pub(crate) read: Option<&'static str>,
}

const fn int(name: &'static str) -> Column {
    Column { name, kind: Kind::Int, read: None }
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, read: None }
}

impl Column {
    const fn from(mut self, read: &'static str) -> Self {
        self.read = Some(read);
        self
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Insert,
    Update,
    Delete,
}

/// One statement of a transaction: the same for all batches.
pub(crate) struct Statement {
    pub(crate) verb: Verb,
    pub(crate) table: &'static str,
    /// What the row is found by; none for an insert.
    pub(crate) keys: &'static [Column],
    pub(crate) values: &'static [Column],
    /// Columns that are the same in every row, with their SQL literal; a delete finds its rows by them too.
    pub(crate) fixed: &'static [(&'static str, &'static str)],
    /// Where the rows are read; they are called `r`.
    pub(crate) rows: &'static str,
}

const SUBSCRIBED: &str = "r.slot, r.subscription_id";

pub(crate) const PREPARE: [Statement; 7] = [
    Statement {
        verb: Verb::Update,
        table: "invoices",
        keys: &[int("slot"), text("id")],
        values: &[text("tax"), int("opened_at")],
        fixed: &[("status", "'open'"), ("charge_count", "1"), ("next_action_at", "null")],
        rows: "invoices r where r.opened_at is not null",
    },
    Statement {
        verb: Verb::Insert,
        table: "invoices",
        keys: &[],
        values: &[
            int("slot"),
            text("id"),
            text("account_id"),
            text("mode"),
            text("clock_id"),
            text("customer_id"),
            text("subscription_id"),
            text("plan_id"),
            text("obligation"),
            int("cycle"),
            text("currency"),
            int("amount"),
            text("lines"),
            text("due_on"),
            int("due_at"),
            int("period_start"),
            int("period_end"),
            int("next_action_at"),
            int("created_at"),
        ],
        fixed: &[("status", "'scheduled'"), ("amount_paid", "0"), ("amount_credited", "0"), ("charge_count", "0")],
        rows: "invoices r where r.status = 'scheduled'",
    },
    Statement {
        verb: Verb::Insert,
        table: "charges",
        keys: &[],
        values: &[
            int("slot"),
            text("id"),
            text("account_id"),
            text("mode"),
            text("clock_id"),
            text("customer_id"),
            text("subscription_id"),
            text("invoice_id"),
            text("payment_method_id"),
            text("connection_id"),
            int("number"),
            int("amount"),
            text("currency"),
            text("idempotency_key"),
            text("actor"),
            int("billing_at"),
            int("sent_at"),
            int("last_sent_at"),
            // Settling has emptied it; any instant after sending has as many bytes.
            int("check_at").from("r.created_at + 8000000"),
            int("created_at"),
        ],
        fixed: &[("status", "'sending'"), ("surplus", "false"), ("frozen", "false"), ("tries", "0")],
        rows: "charges r where r.number = 1",
    },
    Statement {
        verb: Verb::Insert,
        table: "ledger_entries",
        keys: &[],
        values: &[
            int("slot"),
            text("id"),
            text("account_id"),
            text("mode"),
            text("kind"),
            text("invoice_id"),
            text("debit"),
            text("credit"),
            int("amount"),
            text("currency"),
            int("posted_at"),
        ],
        fixed: &[],
        rows: "(select l.*, i.subscription_id from ledger_entries l join invoices i on i.slot = l.slot and i.id = l.invoice_id
                where l.charge_id is null) r where true",
    },
    events("(select e.*, e.history_id as subscription_id from events e) r where r.number > 1 and r.type = 'invoice.opened'"),
    outbox("(select e.*, e.history_id as subscription_id from events e) r where r.number > 1 and r.type = 'invoice.opened'"),
    Statement {
        verb: Verb::Update,
        table: "subscriptions",
        keys: &[int("slot"), text("id").from("r.subscription_id")],
        values: &[
            int("event_number").from("r.number"),
            int("period_start"),
            int("period_end"),
            int("next_cycle"),
        ],
        fixed: &[("status", "'active'"), ("billed", "true")],
        rows: "(select e.slot, e.number, s.id as subscription_id, s.period_start, s.period_end, s.next_cycle
                from events e join subscriptions s on s.slot = e.slot and s.id = e.history_id
                where e.number > 1 and e.type = 'invoice.opened') r where true",
    },
];

pub(crate) const SETTLE: [Statement; 6] = [
    Statement {
        verb: Verb::Update,
        table: "charges",
        keys: &[int("slot"), text("id")],
        values: &[text("gateway_charge_id"), int("settled_at")],
        fixed: &[("status", "'succeeded'"), ("check_at", "null")],
        rows: "charges r where r.number = 1",
    },
    Statement {
        verb: Verb::Update,
        table: "invoices",
        keys: &[int("slot"), text("id")],
        values: &[int("amount_paid"), int("paid_at")],
        fixed: &[("status", "'paid'")],
        rows: "invoices r where r.status = 'paid'",
    },
    Statement {
        verb: Verb::Insert,
        table: "ledger_entries",
        keys: &[],
        values: &[
            int("slot"),
            text("id"),
            text("account_id"),
            text("mode"),
            text("kind"),
            text("invoice_id"),
            text("charge_id"),
            text("debit"),
            text("credit"),
            int("amount"),
            text("currency"),
            int("posted_at"),
        ],
        fixed: &[],
        rows: "(select l.*, c.subscription_id from ledger_entries l join charges c on c.slot = l.slot and c.id = l.charge_id) r
               where true",
    },
    events("(select e.*, e.history_id as subscription_id from events e) r where r.number > 1 and r.type <> 'invoice.opened'"),
    outbox("(select e.*, e.history_id as subscription_id from events e) r where r.number > 1 and r.type <> 'invoice.opened'"),
    // The last event of a renewal.
    Statement {
        verb: Verb::Update,
        table: "subscriptions",
        keys: &[int("slot"), text("id").from("r.subscription_id")],
        values: &[int("event_number").from("r.number")],
        fixed: &[("status", "'active'")],
        rows: "(select e.slot, e.history_id as subscription_id, max(e.number) as number from events e where e.number > 1
                group by e.slot, e.history_id) r where true",
    },
];

pub(crate) const DELIVER: [Statement; 1] = [Statement {
    verb: Verb::Delete,
    table: "outbox",
    keys: &[int("slot"), text("event_id").from("r.id")],
    values: &[],
    fixed: &[("sink", "'log'")],
    rows: "(select e.*, e.history_id as subscription_id from events e) r where r.number > 1",
}];

const fn events(rows: &'static str) -> Statement {
    Statement {
        verb: Verb::Insert,
        table: "events",
        keys: &[],
        values: const {
            &[
                int("slot"),
                text("id"),
                text("account_id"),
                text("mode"),
                text("history_id"),
                int("number"),
                text("type"),
                text("object_id"),
                text("data"),
                int("billing_at"),
                int("recorded_at"),
            ]
        },
        fixed: &[],
        rows,
    }
}

const fn outbox(rows: &'static str) -> Statement {
    Statement {
        verb: Verb::Insert,
        table: "outbox",
        keys: &[],
        values: const { &[int("slot"), text("event_id").from("r.id"), int("deliver_at").from("r.recorded_at")] },
        fixed: &[("sink", "'log'"), ("attempts", "0")],
        rows,
    }
}

/// The plan and the run of the day, which `PREPARE` writes too; a row for each lane, not for each renewal.
pub(crate) const DAY: &str =
    "select account_id, mode, clock_id, day, planned_count, planned_amount from day_plans";
pub(crate) const DAY_PLAN: &str =
    "insert into day_plans (account_id, mode, clock_id, day, planned_count, planned_amount)
     values ($1, $2, $3, $4, $5, $6)";
pub(crate) const DAY_RUN: &str =
    "insert into day_runs (account_id, mode, clock_id, day, lane, opened_count, opened_amount)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (account_id, mode, clock_id, day, lane) do update set
         opened_count = day_runs.opened_count + excluded.opened_count,
         opened_amount = day_runs.opened_amount + excluded.opened_amount";

impl Statement {
    /// Keys and values, in the order of the parameters.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'static Column> {
        self.keys.iter().chain(self.values)
    }

    /// Reads its rows, renewal by renewal.
    pub(crate) fn source(&self) -> String {
        let columns: Vec<String> = self
            .columns()
            .map(|column| column.read.map_or_else(|| format!("r.{}", column.name), str::to_owned))
            .collect();
        let order = if self.rows.contains(".number > 1") && !self.rows.contains("max(") {
            format!("{SUBSCRIBED}, r.number")
        } else {
            SUBSCRIBED.to_owned()
        };
        format!("select {} from {} order by {order}", columns.join(", "), self.rows)
    }

    /// The text for one row.
    pub(crate) fn for_sqlite(&self) -> String {
        let names = self.columns().map(|column| column.name);
        match self.verb {
            Verb::Insert => {
                let names: Vec<&str> = names.chain(self.fixed.iter().map(|fixed| fixed.0)).collect();
                let values: Vec<String> = (1..=self.values.len())
                    .map(|n| format!("?{n}"))
                    .chain(self.fixed.iter().map(|fixed| fixed.1.to_owned()))
                    .collect();
                format!("insert into {} ({}) values ({})", self.table, names.join(", "), values.join(", "))
            }
            Verb::Update => {
                let set = self.set(|n| format!("?{n}"));
                format!("update {} set {set} where {}", self.table, self.found(|n| format!("?{n}")))
            }
            Verb::Delete => {
                format!("delete from {} where {}", self.table, self.found(|n| format!("?{n}")))
            }
        }
    }

    /// The text for all rows of a batch.
    pub(crate) fn for_postgres(&self) -> String {
        let arrays: Vec<String> = self
            .columns()
            .zip(1..)
            .map(|(column, n)| match column.kind {
                Kind::Int => format!("cast(${n} as bigint[])"),
                Kind::Text => format!("cast(${n} as text[])"),
            })
            .collect();
        let names: Vec<String> = (1..=arrays.len()).map(|n| format!("c{n}")).collect();
        let rows = format!("unnest({}) as u({})", arrays.join(", "), names.join(", "));
        let of_row = |n: usize| format!("u.c{n}");
        match self.verb {
            Verb::Insert => {
                let fixed =
                    |part: fn(&(&'static str, &'static str)) -> &'static str| self.fixed.iter().map(part);
                let into: Vec<&str> =
                    self.columns().map(|column| column.name).chain(fixed(|f| f.0)).collect();
                let values: Vec<String> =
                    (1..=arrays.len()).map(of_row).chain(fixed(|f| f.1).map(str::to_owned)).collect();
                format!(
                    "insert into {} ({}) select {} from {rows}",
                    self.table,
                    into.join(", "),
                    values.join(", ")
                )
            }
            Verb::Update => {
                format!(
                    "update {} set {} from {rows} where {}",
                    self.table,
                    self.set(of_row),
                    self.found(of_row)
                )
            }
            Verb::Delete => format!("delete from {} using {rows} where {}", self.table, self.found(of_row)),
        }
    }

    fn set(&self, parameter: impl Fn(usize) -> String) -> String {
        let values = self.values.iter().zip(self.keys.len() + 1..);
        let values = values.map(|(column, n)| format!("{} = {}", column.name, parameter(n)));
        let fixed = self.fixed.iter().map(|(name, value)| format!("{name} = {value}"));
        values.chain(fixed).collect::<Vec<_>>().join(", ")
    }

    fn found(&self, parameter: impl Fn(usize) -> String) -> String {
        let keys = self.keys.iter().zip(1..);
        let mut found: Vec<String> =
            keys.map(|(column, n)| format!("{}.{} = {}", self.table, column.name, parameter(n))).collect();
        if self.verb == Verb::Delete {
            found.extend(self.fixed.iter().map(|(name, value)| format!("{}.{name} = {value}", self.table)));
        }
        found.join(" and ")
    }
}

/// Runs one round and prints it.
pub(crate) fn run(arguments: &FloorArguments) -> Result<(), Failed> {
    let is_sqlite = arguments.database.starts_with("sqlite:");
    let floor = if is_sqlite {
        Floor::of(1, |sql, kinds| floor_sqlite::read(&arguments.source, sql, kinds))?
    } else {
        Floor::of(4, |sql, kinds| floor_postgres::read(&arguments.source, sql, kinds))?
    };
    let mut log = LogMeter::start(&arguments.database)?;
    let mut round: Round = if is_sqlite {
        floor_sqlite::write(&arguments.database, &floor, arguments.batch)?
    } else {
        floor_postgres::write(&arguments.database, &floor, arguments.batch, arguments.connections)?
    };
    round.log_bytes = log.stop()?;
    round.peak_kib = process::peak_kib("self")?;
    println!("{}", serde_json::to_string(&round)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{DELIVER, SETTLE};

    #[test]
    fn a_statement_is_written_for_one_row_and_for_many() {
        let pay = &SETTLE[1];
        assert_eq!(
            pay.for_sqlite(),
            "update invoices set amount_paid = ?3, paid_at = ?4, status = 'paid' where invoices.slot = ?1 and invoices.id = ?2"
        );
        assert_eq!(
            pay.for_postgres(),
            "update invoices set amount_paid = u.c3, paid_at = u.c4, status = 'paid' from unnest(cast($1 as bigint[]), \
             cast($2 as text[]), cast($3 as bigint[]), cast($4 as bigint[])) as u(c1, c2, c3, c4) \
             where invoices.slot = u.c1 and invoices.id = u.c2"
        );
        assert_eq!(
            DELIVER[0].for_sqlite(),
            "delete from outbox where outbox.slot = ?1 and outbox.event_id = ?2 and outbox.sink = 'log'"
        );
    }
}
