//! SQL of charges that are not final: which must be sent, looked after or found out.

use std::collections::BTreeSet;

use billing::charge::State;
use billing::decline::DeclineClass;
use billing::event::History;
use billing::id::{ChargeId, ConnectionId};
use billing::mode::Mode;
use billing::money::{Currency, Money};
use db::{Column, Error, Row, Tx, Value};
use jiff::Timestamp;

use super::decline_of;
use crate::actor::Actor;
use crate::line::Scope;
use crate::renewals::Lane;
use crate::stored::{count, instant, opt_instant, parsed, slots, unreadable};

/// A charge that must be sent, looked after or found out.
pub(in crate::charges) struct CheckRow {
    pub(in crate::charges) charge: ChargeId,
    pub(in crate::charges) history: History,
    pub(in crate::charges) connection: ConnectionId,
    pub(in crate::charges) state: State,
    pub(in crate::charges) amount: Money,
    pub(in crate::charges) capture: bool,
    pub(in crate::charges) idempotency_key: String,
    pub(in crate::charges) gateway_token: String,
    pub(in crate::charges) billing_at: Timestamp,
    pub(in crate::charges) frozen: bool,
    /// What the gateway said to a repeat of its request.
    pub(in crate::charges) decline: Option<(String, DeclineClass)>,
    pub(in crate::charges) gateway_charge_id: Option<String>,
    pub(in crate::charges) sent_at: Option<Timestamp>,
    pub(in crate::charges) last_sent_at: Option<Timestamp>,
    pub(in crate::charges) absent_at: Option<Timestamp>,
    pub(in crate::charges) tries: u32,
}

/// Which charges' time to be checked has come.
pub(in crate::charges) struct Due<'a> {
    pub(in crate::charges) scope: &'a Scope,
    pub(in crate::charges) lane: Lane,
    pub(in crate::charges) connection: ConnectionId,
    pub(in crate::charges) until: Timestamp,
}

/// Those that have never been sent, or those that have, oldest first. What waits for its card holder before it is sent is
/// never among them.
pub(in crate::charges) fn due(
    tx: &mut Tx<'_>,
    due: &Due<'_>,
    is_unsent: bool,
    limit: i64,
) -> Result<Vec<CheckRow>, Error> {
    let rows = tx.query(
        "select c.id, c.subscription_id, c.connection_id, c.status, c.amount, c.currency, c.idempotency_key,
                m.gateway_token, coalesce(c.confirmed_at, c.billing_at), c.frozen, c.gateway_charge_id, c.sent_at, c.last_sent_at, c.absent_at,
                c.tries, c.invoice_id, c.capture, c.failure_code, c.failure_class
         from charges c join payment_methods m on m.slot = c.slot and m.id = c.payment_method_id
         where c.check_at <= $1 and c.account_id = $2 and c.mode = $3 and c.clock_id = $4 and c.slot >= $5 and c.slot <= $6
           and c.connection_id = $7 and (c.status = 'prepared') = $8
           and (c.status <> 'requires_customer' or c.sent_at is not null)
         order by c.check_at, c.slot, c.id limit $9",
        &[
            Value::I64(due.until.as_microsecond()),
            Value::Text(due.scope.account.as_str()),
            Value::Text(due.scope.mode.as_str()),
            Value::Text(&due.scope.clock),
            Value::I64(due.lane.first),
            Value::I64(due.lane.last),
            Value::Text(due.connection.as_str()),
            Value::Bool(is_unsent),
            Value::I64(limit),
        ],
    )?;
    rows.iter().map(check_of).collect()
}

/// Whatever in a lane was to be checked later than `now` is to be checked now.
pub(in crate::charges) fn hasten(
    tx: &mut Tx<'_>,
    mode: Mode,
    lane: Lane,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "update charges set check_at = $1
         where check_at > $1 and mode = $2 and slot >= $3 and slot <= $4
             and status in ('prepared', 'sending', 'unknown', 'pending', 'requires_customer', 'authorized')",
        &[
            Value::I64(now.as_microsecond()),
            Value::Text(mode.as_str()),
            Value::I64(lane.first),
            Value::I64(lane.last),
        ],
    )
    .map(|_| ())
}

fn check_of(row: &Row) -> Result<CheckRow, Error> {
    let status = row.str(3)?;
    let currency: Currency = parsed(row, 5, "charges.currency", "a currency")?;
    Ok(CheckRow {
        charge: parsed(row, 0, "charges.id", "an id")?,
        history: history_of(row, 1, 15)?,
        connection: parsed(row, 2, "charges.connection_id", "an id")?,
        state: State::from_stored(status).ok_or_else(|| unreadable("charges.status", "a status", status))?,
        amount: Money::new(row.i64(4)?, currency),
        capture: row.bool(16)?,
        idempotency_key: row.text(6)?,
        gateway_token: row.text(7)?,
        billing_at: instant(row, 8, "charges.billing_at")?,
        frozen: row.bool(9)?,
        decline: decline_of(row, 17, 18)?,
        gateway_charge_id: row.opt_text(10)?,
        sent_at: opt_instant(row, 11, "charges.sent_at")?,
        last_sent_at: opt_instant(row, 12, "charges.last_sent_at")?,
        absent_at: opt_instant(row, 13, "charges.absent_at")?,
        tries: count(row, 14, "charges.tries")?,
    })
}

/// The history of a charge: column `subscription` is that of its subscription, `invoice` that of its invoice.
fn history_of(row: &Row, subscription: usize, invoice: usize) -> Result<History, Error> {
    let subscription = match row.opt_str(subscription)? {
        Some(_) => Some(parsed(row, subscription, "charges.subscription_id", "an id")?),
        None => None,
    };
    Ok(History::of(subscription, parsed(row, invoice, "charges.invoice_id", "an id")?))
}

/// A charge that is being sent, or was when its process died.
pub(in crate::charges) struct SendingRow {
    pub(in crate::charges) charge: ChargeId,
    pub(in crate::charges) history: History,
    /// Whether a request made it: its process may hold no lease, so that nobody knows whether it lives.
    pub(in crate::charges) in_request: bool,
    pub(in crate::charges) last_sent_at: Option<Timestamp>,
}

/// Those of a scope and lane whose time to be checked is not after `until`.
pub(in crate::charges) fn sending(
    tx: &mut Tx<'_>,
    scope: &Scope,
    lane: Lane,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<SendingRow>, Error> {
    let rows = tx.query(
        "select id, subscription_id, last_sent_at, invoice_id, actor from charges
         where check_at <= $1 and account_id = $2 and mode = $3 and clock_id = $4 and slot >= $5 and slot <= $6
           and status = 'sending'
         order by check_at, slot, id limit $7",
        &[
            Value::I64(until.as_microsecond()),
            Value::Text(scope.account.as_str()),
            Value::Text(scope.mode.as_str()),
            Value::Text(&scope.clock),
            Value::I64(lane.first),
            Value::I64(lane.last),
            Value::I64(limit),
        ],
    )?;
    rows.iter()
        .map(|row| {
            Ok(SendingRow {
                charge: parsed(row, 0, "charges.id", "an id")?,
                history: history_of(row, 1, 3)?,
                in_request: row.str(4)? == Actor::Api.as_str(),
                last_sent_at: opt_instant(row, 2, "charges.last_sent_at")?,
            })
        })
        .collect()
}

/// Those of a clock that were never sent, with their histories.
pub(in crate::charges) fn unsent(tx: &mut Tx<'_>, scope: &Scope) -> Result<Vec<(ChargeId, History)>, Error> {
    let rows = tx.query(
        "select id, subscription_id, invoice_id from charges
         where check_at is not null and account_id = $1 and mode = $2 and clock_id = $3 and status = 'prepared'
         order by slot, id",
        &[Value::Text(scope.account.as_str()), Value::Text(scope.mode.as_str()), Value::Text(&scope.clock)],
    )?;
    rows.iter().map(|row| Ok((parsed(row, 0, "charges.id", "an id")?, history_of(row, 1, 2)?))).collect()
}

/// Which of these are no longer asked for: their invoice is not open, or their subscription was paused or ended meanwhile. What
/// a subscription waits for is asked for wherever it stands, as the payment with which a paused one resumes.
pub(in crate::charges) fn unwanted(
    tx: &mut Tx<'_>,
    charges: &[ChargeId],
) -> Result<BTreeSet<ChargeId>, Error> {
    let rows = tx.select_many(
        "select c.id from charges c join invoices i on i.slot = c.slot and i.id = c.invoice_id
             left join subscriptions s on s.slot = c.slot and s.id = c.subscription_id
         where c.slot = $1 and c.id = $2
             and (i.status <> 'open' or s.deleted_at is not null
                  or (s.status not in ('trialing', 'active', 'past_due')
                      and (s.pending_invoice_id is null or s.pending_invoice_id <> c.invoice_id)))",
        &[
            slots(charges.iter().map(ChargeId::slot)),
            Column::Text(charges.iter().map(ChargeId::as_str).collect()),
        ],
    )?;
    rows.iter().map(|(_, row)| parsed(row, 0, "charges.id", "an id")).collect()
}

/// A charge as it was read before it is sent (again).
pub(in crate::charges) struct Unmarked {
    pub(in crate::charges) charge: ChargeId,
    pub(in crate::charges) state: State,
    pub(in crate::charges) sent_at: Option<Timestamp>,
    /// Until when a request of it may then be on its way; never before what was read.
    pub(in crate::charges) on_its_way_until: Timestamp,
}

/// Marks charges as being sent (again) at `now`, before any byte leaves: that one was not there before says nothing any more.
/// Returns how many were still in the state that was read; another process may have taken the others.
pub(in crate::charges) fn mark_sending(
    tx: &mut Tx<'_>,
    charges: &[Unmarked],
    now: Timestamp,
    check_at: Timestamp,
) -> Result<u64, Error> {
    let keys = [
        ("slot", slots(charges.iter().map(|mark| mark.charge.slot()))),
        ("id", Column::Text(charges.iter().map(|mark| mark.charge.as_str()).collect())),
        ("status", Column::Text(charges.iter().map(|mark| mark.state.as_str()).collect())),
    ];
    let next = |state: State| {
        if state == State::Prepared { State::Sending } else { state }
    };
    let first = |mark: &Unmarked| mark.sent_at.unwrap_or(now).as_microsecond();
    let last = |mark: &Unmarked| mark.on_its_way_until.as_microsecond();
    let set = [
        ("status", Column::Text(charges.iter().map(|mark| next(mark.state).as_str()).collect())),
        ("sent_at", Column::I64(charges.iter().map(first).collect())),
        ("last_sent_at", Column::I64(charges.iter().map(last).collect())),
        ("absent_at", Column::OptI64(vec![None; charges.len()])),
        ("check_at", Column::I64(charges.iter().map(|_| check_at.as_microsecond()).collect())),
    ];
    tx.update_many("charges", &keys, &set, "")
}

/// Looks at a charge that is not final again at `until`.
pub(in crate::charges) fn postpone(tx: &mut Tx<'_>, charge: ChargeId, until: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update charges set check_at = $3 where slot = $1 and id = $2 and check_at is not null",
        &[
            Value::I64(charge.slot().as_i64()),
            Value::Text(charge.as_str()),
            Value::I64(until.as_microsecond()),
        ],
    )
    .map(|_| ())
}

/// How many charges of a scope are not final, and how many of those were never sent.
pub(in crate::charges) fn count_open(tx: &mut Tx<'_>, scope: &Scope) -> Result<(i64, i64), Error> {
    let row = tx.query_one(
        "select count(*), count(case when status = 'prepared' then 1 end) from charges
         where check_at is not null and account_id = $1 and mode = $2 and clock_id = $3",
        &[Value::Text(scope.account.as_str()), Value::Text(scope.mode.as_str()), Value::Text(&scope.clock)],
    )?;
    Ok((row.i64(0)?, row.i64(1)?))
}
