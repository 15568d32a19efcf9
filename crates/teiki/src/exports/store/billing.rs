//! Pages of what is owed, collected and posted.

use db::{Error, Row, Tx};

use super::Keys;

pub(super) fn charges_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select c.slot, c.id, c.invoice_id, c.customer_id, c.subscription_id, i.plan_id, i.cycle, i.due_on, c.amount,
                c.currency, c.status, c.surplus, c.failure_code, c.failure_class, c.gateway_charge_id, c.idempotency_key,
                c.billing_at, c.created_at, c.settled_at, c.number, c.payment_method_id, g.gateway, c.actor, c.capture,
                c.captured_at, c.expires_at, c.amount_refunded, c.refund_reason, c.description, c.metadata,
                c.three_d_secure_status, c.reserve_days, c.confirmed_at, c.sent_at, c.resolved_by, nullif(c.clock_id, 'real')
         from charges c
         left join invoices i on i.slot = c.slot and i.id = c.invoice_id and i.account_id = c.account_id and i.mode = c.mode
         left join gateway_connections g on g.id = c.connection_id and g.account_id = c.account_id and g.mode = c.mode
         where (c.slot, c.id) > ($1, $2) and c.account_id || '' = $3 and c.mode || '' = $4
         order by c.slot, c.id limit $5",
        &keys.of_slots(),
    )
}

pub(super) fn charge_actions_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, charge_id, number, kind, status, amount, currency, reason, expires_at, failure_code, refusal,
                gateway_action_id, idempotency_key, actor, billing_at, created_at, sent_at, settled_at,
                nullif(clock_id, 'real')
         from charge_actions
         where (slot, id) > ($1, $2) and account_id || '' = $3 and mode || '' = $4
         order by slot, id limit $5",
        &keys.of_slots(),
    )
}

pub(super) fn invoices_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, customer_id, subscription_id, plan_id, cycle, obligation, status, amount, amount_paid,
                amount_credited, tax, currency, due_on, due_at, period_start, period_end, next_action_at, opened_at, paid_at,
                created_at, amount_outside, memo, reason, lines, nullif(clock_id, 'real')
         from invoices
         where (slot, id) > ($1, $2) and account_id || '' = $3 and mode || '' = $4
         order by slot, id limit $5",
        &keys.of_slots(),
    )
}

pub(super) fn dunning_cases_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, subscription_id, invoice_id, status, failure_code, failure_class, next_retry_at, opened_at, closed_at
         from dunning_cases
         where (slot, id) > ($1, $2) and account_id || '' = $3 and mode || '' = $4
         order by slot, id limit $5",
        &keys.of_slots(),
    )
}

/// With the test clock of the invoice, also one that is deleted.
pub(super) fn ledger_entries_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select l.slot, l.id, l.posted_at, l.kind, l.invoice_id, l.charge_id, l.debit, l.credit, l.amount, l.currency,
                t.id, t.deleted_at
         from ledger_entries l
         left join invoices i on i.slot = l.slot and i.id = l.invoice_id and i.account_id = l.account_id and i.mode = l.mode
         left join test_clocks t on t.id = i.clock_id and t.account_id = l.account_id
         where (l.slot, l.id) > ($1, $2) and l.account_id || '' = $3 and l.mode || '' = $4
         order by l.slot, l.id limit $5",
        &keys.of_slots(),
    )
}
