//! SQL of invoices as the API shows them.
//!
//! Whose an invoice is is asked as `account_id || '' = …` where its key is known: a PostgreSQL that has not counted yet would go
//! through all invoices of the account otherwise, by the index of their lists, which has the id in it too.

use billing::calendar::Period;
use billing::id::{AccountId, InvoiceId, Slot, SubscriptionId};
use billing::invoice::{Line, State};
use billing::mode::Mode;
use billing::money::Money;
use billing::tax::TaxedSum;
use db::{Column, Error, Row, Tx, Value};
use jiff::Timestamp;

use super::lines_from;
use crate::invoices::tax_from_json;
use crate::stored::{count, instant, opt_instant, parsed, slots, unreadable};
use crate::web::list::{Page, Place};

/// An invoice as it is shown.
#[derive(Clone, Debug)]
pub struct ShownRow {
    /// Its id.
    pub id: InvoiceId,
    /// Where it stands.
    pub state: State,
    /// Who pays, when it is a customer.
    pub customer: Option<String>,
    /// The agreement that it belongs to; a single sale has none.
    pub subscription: Option<SubscriptionId>,
    pub(in crate::invoices) plan: Option<String>,
    pub(in crate::invoices) amount: Money,
    pub(in crate::invoices) amount_paid: i64,
    pub(in crate::invoices) amount_credited: i64,
    pub(in crate::invoices) amount_outside: i64,
    pub(in crate::invoices) lines: Vec<Line>,
    pub(in crate::invoices) tax: Vec<TaxedSum>,
    pub(in crate::invoices) due_at: Timestamp,
    pub(in crate::invoices) period: Period,
    pub(in crate::invoices) charge_count: u64,
    pub(in crate::invoices) memo: Option<String>,
    pub(in crate::invoices) reason: Option<String>,
    /// When it is charged next by itself; none while a person must act, and where its subscription ends instead.
    pub(in crate::invoices) next_action_at: Option<Timestamp>,
    pub(in crate::invoices) opened_at: Option<Timestamp>,
    pub(in crate::invoices) paid_at: Option<Timestamp>,
}

impl ShownRow {
    /// Its place in lists: by when it is due.
    pub(in crate::invoices) fn place(&self) -> Place {
        Place { created_at: self.due_at.as_microsecond(), sequence: 0, id: self.id.to_string() }
    }

    /// What is still owed.
    pub(in crate::invoices) fn owed(&self) -> Money {
        Money::new(self.amount.minor - self.amount_paid - self.amount_credited, self.amount.currency)
    }
}

/// The invoices with these ids that the side has, in the order of the ids.
pub(in crate::invoices) fn find_many(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    ids: &[InvoiceId],
) -> Result<Vec<ShownRow>, Error> {
    let rows = tx.select_many(
        "select id, status, customer_id, subscription_id, plan_id, currency, amount, amount_paid, amount_credited, lines, tax,
                due_at, period_start, period_end, charge_count, opened_at, paid_at, amount_outside, memo, reason,
                case when exists (select 1 from subscriptions s where s.slot = invoices.slot and s.id = invoices.subscription_id
                                  and s.status = 'canceled') then null else next_action_at end
         from invoices where slot = $1 and id = $2 and account_id || '' = $3 and mode || '' = $4",
        &[
            slots(ids.iter().map(InvoiceId::slot)),
            Column::Text(ids.iter().map(InvoiceId::as_str).collect()),
            Column::Text(vec![account.as_str(); ids.len()]),
            Column::Text(vec![mode.as_str(); ids.len()]),
        ],
    )?;
    rows.iter().map(|(_, row)| shown_of(row)).collect()
}

/// The invoices for these obligations that the side has.
pub(in crate::invoices) fn of_obligations(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    slot: Slot,
    obligations: &[String],
) -> Result<Vec<ShownRow>, Error> {
    let rows = tx.select_many(
        "select id, status, customer_id, subscription_id, plan_id, currency, amount, amount_paid, amount_credited, lines, tax,
                due_at, period_start, period_end, charge_count, opened_at, paid_at, amount_outside, memo, reason,
                case when exists (select 1 from subscriptions s where s.slot = invoices.slot and s.id = invoices.subscription_id
                                  and s.status = 'canceled') then null else next_action_at end
         from invoices where slot = $1 and obligation = $2 and account_id || '' = $3 and mode || '' = $4",
        &[
            Column::I64(vec![slot.as_i64(); obligations.len()]),
            Column::Text(obligations.iter().map(String::as_str).collect()),
            Column::Text(vec![account.as_str(); obligations.len()]),
            Column::Text(vec![mode.as_str(); obligations.len()]),
        ],
    )?;
    rows.iter().map(|(_, row)| shown_of(row)).collect()
}

/// What a list is read with: which part of an account's invoices, and from where on.
fn range<'a>((account, mode): &'a (AccountId, Mode), page: &Page, from: &'a Place) -> [Value<'a>; 8] {
    [
        Value::Text(account.as_str()),
        Value::Text(mode.as_str()),
        Value::I64(from.created_at),
        Value::Text(&from.id),
        Value::I64(page.since),
        Value::I64(page.until),
        Value::I64(page.rows()),
        Value::I64(page.offset),
    ]
}

fn ids_of(rows: &[Row]) -> Result<Vec<InvoiceId>, Error> {
    rows.iter().map(|row| parsed(row, 0, "invoices.id", "an id")).collect()
}

/// All invoices of a side: of each status no more than could be shown, by its index, merged. Without that bound PostgreSQL would
/// sort all of them.
pub(in crate::invoices) fn list(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    (page, from): (&Page, &Place),
) -> Result<Vec<InvoiceId>, Error> {
    let rows = tx.query(
        "select id, due_at from (select id, due_at from invoices where account_id = $1 and mode = $2 and status = 'scheduled'
                and (due_at, id) < ($3, $4) and due_at >= $5 and due_at <= $6
                order by due_at desc, id desc limit cast($7 as bigint) + cast($8 as bigint)) scheduled_ones
         union all
         select id, due_at from (select id, due_at from invoices where account_id = $1 and mode = $2 and status = 'open'
                and (due_at, id) < ($3, $4) and due_at >= $5 and due_at <= $6
                order by due_at desc, id desc limit cast($7 as bigint) + cast($8 as bigint)) open_ones
         union all
         select id, due_at from (select id, due_at from invoices where account_id = $1 and mode = $2 and status = 'paid'
                and (due_at, id) < ($3, $4) and due_at >= $5 and due_at <= $6
                order by due_at desc, id desc limit cast($7 as bigint) + cast($8 as bigint)) paid_ones
         union all
         select id, due_at from (select id, due_at from invoices where account_id = $1 and mode = $2 and status = 'void'
                and (due_at, id) < ($3, $4) and due_at >= $5 and due_at <= $6
                order by due_at desc, id desc limit cast($7 as bigint) + cast($8 as bigint)) void_ones
         union all
         select id, due_at from (select id, due_at from invoices where account_id = $1 and mode = $2 and status = 'uncollectible'
                and (due_at, id) < ($3, $4) and due_at >= $5 and due_at <= $6
                order by due_at desc, id desc limit cast($7 as bigint) + cast($8 as bigint)) uncollectible_ones
         order by due_at desc, id desc limit $7 offset $8",
        &range(&side, page, from),
    )?;
    ids_of(&rows)
}

/// The invoices of a side that stand so; an empty `plan` is any.
pub(in crate::invoices) fn list_by_status(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    (page, from): (&Page, &Place),
    (status, plan): (State, &str),
) -> Result<Vec<InvoiceId>, Error> {
    let [account, mode, at, id, since, until, rows, offset] = range(&side, page, from);
    let values =
        [account, mode, at, id, since, until, rows, offset, Value::Text(status.as_str()), Value::Text(plan)];
    let rows = tx.query(
        "select id from invoices
         where account_id = $1 and mode = $2 and status = $9 and (due_at, id) < ($3, $4) and due_at >= $5 and due_at <= $6
               and ($10 = '' or plan_id = $10)
         order by due_at desc, id desc limit $7 offset $8",
        &values,
    )?;
    ids_of(&rows)
}

/// The invoices for a plan; an empty `status` is any.
pub(in crate::invoices) fn list_by_plan(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    (page, from): (&Page, &Place),
    (plan, status): (&str, &str),
) -> Result<Vec<InvoiceId>, Error> {
    let [account, mode, at, id, since, until, rows, offset] = range(&side, page, from);
    let values = [account, mode, at, id, since, until, rows, offset, Value::Text(plan), Value::Text(status)];
    let rows = tx.query(
        "select id from invoices
         where account_id = $1 and mode = $2 and plan_id = $9 and (due_at, id) < ($3, $4) and due_at >= $5 and due_at <= $6
               and ($10 = '' or status = $10)
         order by due_at desc, id desc limit $7 offset $8",
        &values,
    )?;
    ids_of(&rows)
}

/// The invoices of a customer's single sales, at most `limit`; an empty `status` is any.
pub(in crate::invoices) fn sales_of(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    (customer, status): (&str, &str),
    (page, from): (&Page, &Place),
    limit: i64,
) -> Result<Vec<InvoiceId>, Error> {
    let rows = tx.query(
        "select distinct i.id, i.due_at from charges c join invoices i on i.slot = c.slot and i.id = c.invoice_id
         where c.slot = $1 and c.account_id = $2 and c.mode = $3 and c.customer_id = $4 and c.subscription_id is null
               and (i.due_at, i.id) < ($5, $6) and i.due_at >= $7 and i.due_at <= $8 and ($9 = '' or i.status = $9)
         order by i.due_at desc, i.id desc limit $10",
        &[
            Value::I64(Slot::of_key(customer).as_i64()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(customer),
            Value::I64(from.created_at),
            Value::Text(&from.id),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::Text(status),
            Value::I64(limit),
        ],
    )?;
    ids_of(&rows)
}

fn shown_of(row: &Row) -> Result<ShownRow, Error> {
    let currency = parsed(row, 5, "invoices.currency", "a currency")?;
    let subscription = match row.opt_str(3)? {
        Some(_) => Some(parsed(row, 3, "invoices.subscription_id", "an id")?),
        None => None,
    };
    let status = row.str(1)?;
    Ok(ShownRow {
        id: parsed(row, 0, "invoices.id", "an id")?,
        state: State::from_stored(status).ok_or_else(|| unreadable("invoices.status", "a status", status))?,
        customer: row.opt_text(2)?,
        subscription,
        plan: row.opt_text(4)?,
        amount: Money::new(row.i64(6)?, currency),
        amount_paid: row.i64(7)?,
        amount_credited: row.i64(8)?,
        amount_outside: row.i64(17)?,
        lines: lines_from(row.str(9)?)?,
        tax: match row.opt_str(10)? {
            Some(tax) => tax_from_json(tax, currency)?,
            None => Vec::new(),
        },
        due_at: instant(row, 11, "invoices.due_at")?,
        period: Period {
            start: instant(row, 12, "invoices.period_start")?,
            end: instant(row, 13, "invoices.period_end")?,
        },
        charge_count: count(row, 14, "invoices.charge_count")?.into(),
        memo: row.opt_text(18)?,
        reason: row.opt_text(19)?,
        next_action_at: opt_instant(row, 20, "invoices.next_action_at")?,
        opened_at: opt_instant(row, 15, "invoices.opened_at")?,
        paid_at: opt_instant(row, 16, "invoices.paid_at")?,
    })
}
