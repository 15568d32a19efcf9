//! SQL of what is done to charges.

use billing::charge;
use billing::charge_action::{Kind, Plan, Refusal, State};
use billing::id::{AccountId, ChargeActionId, ChargeId, ConnectionId, InvoiceId};
use billing::invoice;
use billing::mode::Mode;
use billing::money::{Currency, Money};
use db::{Error, Row, Tx, Value};
use jiff::Timestamp;

use super::News;
use crate::actor::Actor;
use crate::renewals::Lane;
use crate::stored::{count, instant, opt_instant, parsed, unreadable};

/// What a charge has, as far as a new action needs it.
pub(super) struct Subject {
    pub(super) connection: ConnectionId,
    pub(super) gateway_charge_id: Option<String>,
    pub(super) action_count: i64,
    /// Whether an action is under way.
    pub(super) has_open: bool,
}

pub(super) fn subject(tx: &mut Tx<'_>, charge: ChargeId) -> Result<Subject, Error> {
    let row = tx.query_one(
        "select c.connection_id, c.gateway_charge_id, c.action_count,
                exists (select 1 from charge_actions a where a.slot = c.slot and a.charge_id = c.id
                        and a.status in ('prepared', 'sending', 'unknown', 'pending'))
         from charges c where c.slot = $1 and c.id = $2",
        &[Value::I64(charge.slot().as_i64()), Value::Text(charge.as_str())],
    )?;
    Ok(Subject {
        connection: parsed(&row, 0, "charges.connection_id", "an id")?,
        gateway_charge_id: row.opt_text(1)?,
        action_count: row.i64(2)?,
        has_open: row.bool(3)?,
    })
}

/// An action that is about to be sent.
pub(super) struct NewAction {
    pub(super) id: ChargeActionId,
    pub(super) charge: ChargeId,
    pub(super) side: (AccountId, Mode),
    pub(super) clock: String,
    pub(super) number: i64,
    pub(super) plan: Plan,
    pub(super) idempotency_key: String,
    pub(super) reason: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) billing_at: Timestamp,
    pub(super) check_at: Timestamp,
}

/// Writes an action as being sent at the real time `now`, and counts it.
pub(super) fn insert(tx: &mut Tx<'_>, action: &NewAction, now: Timestamp) -> Result<(), Error> {
    count_action(tx, action)?;
    tx.execute(
        "insert into charge_actions (slot, id, account_id, mode, clock_id, charge_id, number, kind, status, amount, currency,
                idempotency_key, actor, reason, expires_at, frozen, billing_at, sent_at, last_sent_at, tries, check_at,
                created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'sending', $9, $10, $11, $12, $13, $14, false, $15, $16, $16, 0, $17, $16)",
        &[
            Value::I64(action.id.slot().as_i64()),
            Value::Text(action.id.as_str()),
            Value::Text(action.side.0.as_str()),
            Value::Text(action.side.1.as_str()),
            Value::Text(&action.clock),
            Value::Text(action.charge.as_str()),
            Value::I64(action.number),
            Value::Text(action.plan.kind.as_str()),
            Value::I64(action.plan.amount.minor),
            Value::Text(action.plan.amount.currency.code()),
            Value::Text(&action.idempotency_key),
            Value::Text(Actor::Api.as_str()),
            Value::from(action.reason.as_deref()),
            Value::from(action.expires_at.map(Timestamp::as_microsecond)),
            Value::I64(action.billing_at.as_microsecond()),
            Value::I64(now.as_microsecond()),
            Value::I64(action.check_at.as_microsecond()),
        ],
    )?;
    Ok(())
}

fn count_action(tx: &mut Tx<'_>, action: &NewAction) -> Result<(), Error> {
    let counted = tx.execute(
        "update charges set action_count = $3 where slot = $1 and id = $2 and action_count < $3",
        &[
            Value::I64(action.charge.slot().as_i64()),
            Value::Text(action.charge.as_str()),
            Value::I64(action.number),
        ],
    )?;
    must_be_one(counted, action.charge.as_str())
}

fn must_be_one(changed: u64, id: &str) -> Result<(), Error> {
    if changed == 1 { Ok(()) } else { Err(Error::Assertion(format!("{changed} rows of {id} were changed"))) }
}

/// What became of an action.
pub(super) struct Outcome {
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) failure_code: Option<String>,
    pub(super) refusal: Option<Refusal>,
}

pub(super) fn outcome(tx: &mut Tx<'_>, action: ChargeActionId) -> Result<Outcome, Error> {
    let row = tx.query_one(
        "select kind, status, failure_code, refusal from charge_actions where slot = $1 and id = $2",
        &[Value::I64(action.slot().as_i64()), Value::Text(action.as_str())],
    )?;
    Ok(Outcome {
        kind: kind_of(&row, 0)?,
        state: state_of(&row, 1)?,
        failure_code: row.opt_text(2)?,
        refusal: refusal_of(&row, 3)?,
    })
}

fn kind_of(row: &Row, i: usize) -> Result<Kind, Error> {
    let text = row.str(i)?;
    Kind::from_stored(text).ok_or_else(|| unreadable("charge_actions.kind", "a kind", text))
}

fn state_of(row: &Row, i: usize) -> Result<State, Error> {
    let text = row.str(i)?;
    State::from_stored(text).ok_or_else(|| unreadable("charge_actions.status", "a status", text))
}

fn refusal_of(row: &Row, i: usize) -> Result<Option<Refusal>, Error> {
    let Some(text) = row.opt_str(i)? else {
        return Ok(None);
    };
    let unreadable = || unreadable("charge_actions.refusal", "a refusal", text);
    Refusal::from_stored(text).map(Some).ok_or_else(unreadable)
}

/// An action with its charge and invoice, as far as settling needs them.
pub(super) struct ActionRow {
    pub(super) id: ChargeActionId,
    pub(super) number: i64,
    pub(super) state: State,
    pub(super) plan: Plan,
    pub(super) reason: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
    frozen: bool,
    tries: i64,
    last_sent_at: Option<Timestamp>,
    absent_at: Option<Timestamp>,
    failure_code: Option<String>,
    refusal: Option<Refusal>,
    pub(super) charge_state: charge::State,
    pub(super) charge_amount: Money,
    pub(super) charge_refunded: i64,
    pub(super) charge_surplus: bool,
    pub(super) invoice: InvoiceId,
    pub(super) invoice_state: invoice::State,
    pub(super) invoice_credited: i64,
    pub(super) in_request: bool,
    tax: Option<String>,
}

impl ActionRow {
    /// The tax of its invoice, which every issued one has.
    pub(super) fn tax(&self) -> Result<&str, Error> {
        self.tax.as_deref().ok_or_else(|| Error::Assertion(format!("invoice {} has no tax", self.invoice)))
    }
}

pub(super) fn standing(tx: &mut Tx<'_>, action: ChargeActionId) -> Result<ActionRow, Error> {
    let row = tx.query_one(
        "select a.id, a.number, a.status, a.kind, a.amount, a.currency, a.reason, a.expires_at, a.frozen, a.tries,
                a.last_sent_at, a.absent_at, a.failure_code, a.refusal, c.status, c.amount, c.amount_refunded, c.surplus,
                i.id, i.status, i.amount_credited, i.in_request, i.tax
         from charge_actions a join charges c on c.slot = a.slot and c.id = a.charge_id
              join invoices i on i.slot = c.slot and i.id = c.invoice_id
         where a.slot = $1 and a.id = $2",
        &[Value::I64(action.slot().as_i64()), Value::Text(action.as_str())],
    )?;
    let (charge_state, invoice_state) = (row.str(14)?, row.str(19)?);
    let currency: Currency = parsed(&row, 5, "charge_actions.currency", "a currency")?;
    Ok(ActionRow {
        id: parsed(&row, 0, "charge_actions.id", "an id")?,
        number: row.i64(1)?,
        state: state_of(&row, 2)?,
        plan: Plan { kind: kind_of(&row, 3)?, amount: Money::new(row.i64(4)?, currency) },
        reason: row.opt_text(6)?,
        expires_at: opt_instant(&row, 7, "charge_actions.expires_at")?,
        frozen: row.bool(8)?,
        tries: row.i64(9)?,
        last_sent_at: opt_instant(&row, 10, "charge_actions.last_sent_at")?,
        absent_at: opt_instant(&row, 11, "charge_actions.absent_at")?,
        failure_code: row.opt_text(12)?,
        refusal: refusal_of(&row, 13)?,
        charge_state: charge::State::from_stored(charge_state)
            .ok_or_else(|| unreadable("charges.status", "a status", charge_state))?,
        charge_amount: Money::new(row.i64(15)?, currency),
        charge_refunded: row.i64(16)?,
        charge_surplus: row.bool(17)?,
        invoice: parsed(&row, 18, "invoices.id", "an id")?,
        invoice_state: invoice::State::from_stored(invoice_state)
            .ok_or_else(|| unreadable("invoices.status", "a status", invoice_state))?,
        invoice_credited: row.i64(20)?,
        in_request: row.bool(21)?,
        tax: row.opt_text(22)?,
    })
}

/// Writes a final state, if the action is still in the one that was read.
pub(super) fn finish(
    tx: &mut Tx<'_>,
    row: &ActionRow,
    next: State,
    news: &News,
    now: Timestamp,
) -> Result<(), Error> {
    let failure = news.failure.as_ref();
    let changed = tx.execute(
        "update charge_actions set status = $4, gateway_action_id = $5, failure_code = $6, refusal = $7, note = $8,
                check_at = null, settled_at = $9
         where slot = $1 and id = $2 and status = $3",
        &[
            Value::I64(row.id.slot().as_i64()),
            Value::Text(row.id.as_str()),
            Value::Text(row.state.as_str()),
            Value::Text(next.as_str()),
            Value::from(news.gateway_action_id.as_deref()),
            Value::from(failure.map(|failure| failure.0.as_str())),
            Value::from(failure.and_then(|failure| failure.1).map(Refusal::as_str)),
            Value::from(news.note.as_deref()),
            Value::I64(now.as_microsecond()),
        ],
    )?;
    must_be_one(changed, row.id.as_str())
}

/// Writes that an action is still not final, and when to look again.
pub(super) fn keep_open(tx: &mut Tx<'_>, row: &ActionRow, news: &News, now: Timestamp) -> Result<(), Error> {
    let failure = news.failure.as_ref();
    let code = failure.map(|failure| failure.0.as_str()).or(row.failure_code.as_deref());
    let refusal = failure.and_then(|failure| failure.1).or(row.refusal);
    let micros = |at: Option<Timestamp>| Value::from(at.map(Timestamp::as_microsecond));
    let changed = tx.execute(
        "update charge_actions set status = 'unknown', failure_code = $4, refusal = $5, note = $6, frozen = $7,
                last_sent_at = $8, absent_at = $9, tries = $10, check_at = $11
         where slot = $1 and id = $2 and status = $3",
        &[
            Value::I64(row.id.slot().as_i64()),
            Value::Text(row.id.as_str()),
            Value::Text(row.state.as_str()),
            Value::from(code),
            Value::from(refusal.map(Refusal::as_str)),
            Value::from(news.note.as_deref()),
            Value::Bool(row.frozen || news.freeze),
            // Until when one may be on its way never moves back.
            micros(news.sent_at.max(row.last_sent_at)),
            micros(news.absent_at.or(row.absent_at)),
            Value::I64(if row.state == State::Sending { 0 } else { row.tries + 1 }),
            micros(Some(news.check_at.unwrap_or(now))),
        ],
    )?;
    must_be_one(changed, row.id.as_str())
}

/// Money that was reserved is taken at `at`; `refunded` is what was not.
pub(super) fn capture(tx: &mut Tx<'_>, charge: ChargeId, refunded: i64, at: Timestamp) -> Result<(), Error> {
    let changed = tx.execute(
        "update charges set captured_at = $3, amount_refunded = $4 where slot = $1 and id = $2",
        &[
            Value::I64(charge.slot().as_i64()),
            Value::Text(charge.as_str()),
            Value::I64(at.as_microsecond()),
            Value::I64(refunded),
        ],
    )?;
    must_be_one(changed, charge.as_str())
}

/// So much of a charge was given back by now. A reason that is not given keeps the former one.
pub(super) fn give_back(
    tx: &mut Tx<'_>,
    charge: ChargeId,
    refunded: i64,
    reason: Option<&str>,
) -> Result<(), Error> {
    let changed = tx.execute(
        "update charges set amount_refunded = $3, refund_reason = coalesce($4, refund_reason) where slot = $1 and id = $2",
        &[
            Value::I64(charge.slot().as_i64()),
            Value::Text(charge.as_str()),
            Value::I64(refunded),
            Value::from(reason),
        ],
    )?;
    must_be_one(changed, charge.as_str())
}

/// A reservation now ends at `until`.
pub(super) fn reserve(tx: &mut Tx<'_>, charge: ChargeId, until: Option<Timestamp>) -> Result<(), Error> {
    let changed = tx.execute(
        "update charges set expires_at = $3 where slot = $1 and id = $2",
        &[
            Value::I64(charge.slot().as_i64()),
            Value::Text(charge.as_str()),
            Value::from(until.map(Timestamp::as_microsecond)),
        ],
    )?;
    must_be_one(changed, charge.as_str())
}

/// So much of an invoice is not asked for any more.
pub(super) fn credit(tx: &mut Tx<'_>, invoice: InvoiceId, credited: i64) -> Result<(), Error> {
    let changed = tx.execute(
        "update invoices set amount_credited = $3 where slot = $1 and id = $2",
        &[Value::I64(invoice.slot().as_i64()), Value::Text(invoice.as_str()), Value::I64(credited)],
    )?;
    must_be_one(changed, invoice.as_str())
}

/// The tax of what an invoice of a request is paid with.
pub(super) fn retax(tx: &mut Tx<'_>, invoice: InvoiceId, tax: &str) -> Result<(), Error> {
    let changed = tx.execute(
        "update invoices set tax = $3 where slot = $1 and id = $2 and in_request",
        &[Value::I64(invoice.slot().as_i64()), Value::Text(invoice.as_str()), Value::Text(tax)],
    )?;
    must_be_one(changed, invoice.as_str())
}

/// An action whose outcome must be found out.
#[derive(Clone, Debug)]
pub(super) struct CheckRow {
    pub(super) action: ChargeActionId,
    pub(super) charge: ChargeId,
    pub(super) side: (AccountId, Mode),
    pub(super) connection: ConnectionId,
    pub(super) gateway_charge_id: String,
    pub(super) state: State,
    pub(super) plan: Plan,
    pub(super) idempotency_key: String,
    pub(super) billing_at: Timestamp,
    pub(super) frozen: bool,
    /// What the gateway said to a repeat.
    pub(super) failure: Option<(String, Option<Refusal>)>,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) last_sent_at: Option<Timestamp>,
    pub(super) absent_at: Option<Timestamp>,
    pub(super) tries: u32,
    pub(super) check_at: Timestamp,
}

/// Whatever in a lane was to be checked later than `now` is to be checked now.
pub(super) fn hasten(tx: &mut Tx<'_>, mode: Mode, lane: Lane, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update charge_actions set check_at = $1
         where check_at > $1 and mode = $2 and slot >= $3 and slot <= $4
             and status in ('prepared', 'sending', 'unknown', 'pending')",
        &[
            Value::I64(now.as_microsecond()),
            Value::Text(mode.as_str()),
            Value::I64(lane.first),
            Value::I64(lane.last),
        ],
    )
    .map(|_| ())
}

/// Actions of an account and lane, whatever their clock, whose time to be checked is not after `until`, oldest first.
pub(super) fn open_until(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    lane: Lane,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<CheckRow>, Error> {
    let rows = tx.query(
        "select a.id, a.charge_id, c.connection_id, c.gateway_charge_id, a.status, a.kind, a.amount, a.currency,
                a.idempotency_key, a.billing_at, a.frozen, a.failure_code, a.refusal, a.sent_at, a.last_sent_at, a.absent_at,
                a.tries, a.check_at
         from charge_actions a join charges c on c.slot = a.slot and c.id = a.charge_id
         where a.check_at <= $1 and a.account_id = $2 and a.mode = $3 and a.slot >= $4 and a.slot <= $5
         order by a.check_at, a.slot, a.id limit $6",
        &[
            Value::I64(until.as_microsecond()),
            Value::Text(side.0.as_str()),
            Value::Text(side.1.as_str()),
            Value::I64(lane.first),
            Value::I64(lane.last),
            Value::I64(limit),
        ],
    )?;
    rows.iter().map(|row| check_of(row, side)).collect()
}

fn check_of(row: &Row, side: (AccountId, Mode)) -> Result<CheckRow, Error> {
    let currency: Currency = parsed(row, 7, "charge_actions.currency", "a currency")?;
    let refusal = refusal_of(row, 12)?;
    Ok(CheckRow {
        action: parsed(row, 0, "charge_actions.id", "an id")?,
        charge: parsed(row, 1, "charge_actions.charge_id", "an id")?,
        side,
        connection: parsed(row, 2, "charges.connection_id", "an id")?,
        gateway_charge_id: row.text(3)?,
        state: state_of(row, 4)?,
        plan: Plan { kind: kind_of(row, 5)?, amount: Money::new(row.i64(6)?, currency) },
        idempotency_key: row.text(8)?,
        billing_at: instant(row, 9, "charge_actions.billing_at")?,
        frozen: row.bool(10)?,
        failure: row.opt_text(11)?.map(|code| (code, refusal)),
        sent_at: opt_instant(row, 13, "charge_actions.sent_at")?,
        last_sent_at: opt_instant(row, 14, "charge_actions.last_sent_at")?,
        absent_at: opt_instant(row, 15, "charge_actions.absent_at")?,
        tries: count(row, 16, "charge_actions.tries")?,
        check_at: instant(row, 17, "charge_actions.check_at")?,
    })
}

/// Marks an action as being sent again, before any byte leaves: until the first of the times one may be on its way, which never
/// moves back. `false`: it is no longer as it was read, another process has it.
pub(super) fn mark_sending(
    tx: &mut Tx<'_>,
    action: ChargeActionId,
    was_to_be_checked_at: Timestamp,
    (on_its_way_until, check_at): (Timestamp, Timestamp),
) -> Result<bool, Error> {
    let changed = tx.execute(
        "update charge_actions set status = 'unknown', absent_at = null, check_at = $5,
                last_sent_at = case when last_sent_at > $4 then last_sent_at else $4 end
         where slot = $1 and id = $2 and check_at = $3",
        &[
            Value::I64(action.slot().as_i64()),
            Value::Text(action.as_str()),
            Value::I64(was_to_be_checked_at.as_microsecond()),
            Value::I64(on_its_way_until.as_microsecond()),
            Value::I64(check_at.as_microsecond()),
        ],
    )?;
    Ok(changed == 1)
}

/// Looks at an action that is not final again at `until`.
pub(super) fn postpone(tx: &mut Tx<'_>, action: ChargeActionId, until: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update charge_actions set check_at = $3 where slot = $1 and id = $2 and check_at is not null",
        &[
            Value::I64(action.slot().as_i64()),
            Value::Text(action.as_str()),
            Value::I64(until.as_microsecond()),
        ],
    )?;
    Ok(())
}
