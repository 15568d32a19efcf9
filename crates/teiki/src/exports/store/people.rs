//! Pages of those who pay, what they pay with, and what they have subscribed to.

use std::collections::BTreeMap;

use db::{Error, Row, Tx, Value};

use super::Keys;
use crate::exports::Request;

pub(super) fn customers_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, name, email, description, metadata, default_payment_method_id, nullif(clock_id, 'real'),
                created_at, deleted_at
         from customers
         where (slot, id) > ($1, $2) and account_id || '' = $3 and mode || '' = $4
         order by slot, id limit $5",
        &keys.of_slots(),
    )
}

/// Neither the gateway's token nor the trace of the number: the one is of use to nobody else, the other is for teiki alone.
pub(super) fn cards_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select m.slot, m.id, m.customer_id, g.gateway, m.brand, m.last4, m.expires_on, m.details, m.metadata, m.created_at,
                m.deleted_at
         from payment_methods m
         left join gateway_connections g on g.id = m.connection_id and g.account_id = m.account_id and g.mode = m.mode
         where (m.slot, m.id) > ($1, $2) and m.account_id || '' = $3 and m.mode || '' = $4
         order by m.slot, m.id limit $5",
        &keys.of_slots(),
    )
}

pub(super) fn tokens_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, payment_method_id, created_at, made_at, used_at, confirmed_at
         from tokens
         where (slot, id) > ($1, $2) and account_id || '' = $3 and mode || '' = $4
         order by slot, id limit $5",
        &keys.of_slots(),
    )
}

pub(super) fn three_d_secure_requests_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, payment_method_id, status, created_at, made_at, started_at, finished_at
         from three_d_secure_requests
         where (slot, id) > ($1, $2) and account_id || '' = $3 and mode || '' = $4
         order by slot, id limit $5",
        &keys.of_slots(),
    )
}

/// The empty text stands for `next_charge_on`: see [`next_charges`].
pub(super) fn subscriptions_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select s.slot, s.id, s.customer_id, c.name, c.email, s.plan_id, s.status, s.cancel_reason,
                s.anchor_on || coalesce('T' || s.anchor_time, ''), '', s.remaining, s.valid_until, s.parked_reason,
                m.brand, m.last4, m.expires_on, s.started_at, s.created_at, s.quantity, s.payment_method_id, s.next_plan_id,
                s.next_plan_from, s.plan_switch_id, s.calendar, s.renewal_failure, s.prorate, s.period_start, s.period_end,
                s.trial_start, s.trial_end, s.paused_at, s.canceled_at, s.resumed_at, s.metadata, nullif(s.clock_id, 'real'),
                s.deleted_at
         from subscriptions s
         left join customers c on c.slot = s.slot and c.account_id = s.account_id || '' and c.mode = s.mode || '' and c.id = s.customer_id
         left join payment_methods m on m.slot = s.slot and m.id = s.payment_method_id
             and m.account_id = s.account_id || '' and m.mode = s.mode || ''
         where (s.slot, s.id) > ($1, $2) and s.account_id = $3 and s.mode = $4
         order by s.slot, s.id limit $5",
        &keys.of_slots(),
    )
}

/// The date of the scheduled invoice of each subscription in a range of slots. No index leads from a
/// subscription to its invoices, so that a join would read all of them for every page.
pub(super) fn next_charges(
    tx: &mut Tx<'_>,
    request: Request,
    slots: (i64, i64),
) -> Result<BTreeMap<String, String>, Error> {
    let rows = tx.query(
        "select subscription_id, min(due_on) from invoices
         where slot >= $1 and slot <= $2 and account_id || '' = $3 and mode || '' = $4 and status = 'scheduled'
         group by subscription_id",
        &[
            Value::I64(slots.0),
            Value::I64(slots.1),
            Value::Text(request.account.as_str()),
            Value::Text(request.mode.as_str()),
        ],
    )?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}
