//! Pages of what the merchant has set up, and of what has happened. Tables of the catalogue have no slots: theirs is 0.

use db::{Error, Row, Tx};

use super::Keys;

/// One row; an account is not of a mode.
pub(super) fn accounts_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    let [after, account, _, limit] = keys.of_catalogue();
    tx.query(
        "select 0, id, name, email, zone, charge_window, tax_rounding, calendar, renewal_failure, rate_limits, test_clock_id,
                created_at
         from accounts
         where id > $1 and id = $2
         order by id limit $3",
        &[after, account, limit],
    )
}

pub(super) fn plans_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select 0, id, name, amount, currency, tax_category, interval_unit, interval_count, billing_day, trial_days, setup_fee,
                instalments, first_charge, metadata, created_at, deleted_at
         from plans
         where id > $1 and account_id = $2 and mode = $3
         order by id limit $4",
        &keys.of_catalogue(),
    )
}

pub(super) fn plan_switches_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select 0, id, plan_id, next_plan_id, effective_at, status, excluded, member_count, amount_before, amount_after, actor,
                undone_by, undone_at, created_at
         from plan_switches
         where id > $1 and account_id = $2 and mode = $3
         order by id limit $4",
        &keys.of_catalogue(),
    )
}

/// All of them are of the test side.
pub(super) fn test_clocks_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select 0, id, name, status, started_at, frozen_time, target_time, created_at, deleted_at
         from test_clocks
         where id > $1 and account_id = $2 and $3 = 'test'
         order by id limit $4",
        &keys.of_catalogue(),
    )
}

/// With the test clock of the subscription, sale or customer whose history it is, or that is itself. The history of a customer
/// has its id after `customer:mode:account:`.
pub(super) fn events_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select e.slot, e.id, e.history_id, e.number, e.type, e.object_id, e.data, e.billing_at, e.recorded_at,
                t.id, t.deleted_at
         from events e
         left join test_clocks t on t.account_id = e.account_id and t.id = coalesce(
             (select s.clock_id from subscriptions s where s.slot = e.slot and s.id = e.history_id),
             (select i.clock_id from invoices i where i.slot = e.slot and i.id = e.history_id),
             (select c.clock_id from customers c
              where c.slot = e.slot and c.account_id = e.account_id and c.mode = e.mode
                    and c.id = substr(e.history_id, length(e.mode) + length(e.account_id) + 12)
                    and e.history_id like 'customer:%'),
             e.history_id)
         where (e.slot, e.id) > ($1, $2) and e.account_id || '' = $3 and e.mode || '' = $4
         order by e.slot, e.id limit $5",
        &keys.of_slots(),
    )
}

/// Without secrets.
pub(super) fn webhook_endpoints_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select 0, id, url, description, enabled_events, status, disabled_reason, failing_since, former_until, created_at,
                deleted_at
         from webhook_endpoints
         where id > $1 and account_id = $2 and mode = $3
         order by id limit $4",
        &keys.of_catalogue(),
    )
}

pub(super) fn webhook_deliveries_after(tx: &mut Tx<'_>, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
    tx.query(
        "select slot, id, endpoint_id, event_id, event_type, status, attempts, next_attempt_at, last_attempt_at, last_status,
                last_error, last_duration_ms, created_at, finished_at
         from webhook_deliveries
         where (slot, id) > ($1, $2) and account_id || '' = $3 and mode || '' = $4
         order by slot, id limit $5",
        &keys.of_slots(),
    )
}
