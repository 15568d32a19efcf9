//! SQL of the scheduler's tick.

use billing::id::AccountId;
use billing::mode::Mode;
use db::{Error, Tx, Value};
use jiff::Timestamp;

use crate::accounts::REAL_CLOCK;

/// Whether anything of an account in real time is due or must be found out at `now`; whatever their clock, what was done to
/// charges, and charges that have waited for their card holder since `waiting_until`.
pub(super) fn has_work(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    now: Timestamp,
    waiting_until: Timestamp,
) -> Result<bool, Error> {
    let row = tx.query_one(
        "select exists (select 1 from invoices
                        where account_id = $1 and mode = $2 and clock_id = $3 and next_action_at <= $4),
                exists (select 1 from charges
                        where check_at <= $4 and account_id = $1 and mode = $2 and clock_id = $3),
                exists (select 1 from charge_actions
                        where check_at <= $4 and account_id = $1 and mode = $2),
                exists (select 1 from charges
                        where account_id = $1 and mode = $2 and status = 'requires_customer' and sent_at is null
                              and created_at <= $5)",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(REAL_CLOCK),
            Value::I64(now.as_microsecond()),
            Value::I64(waiting_until.as_microsecond()),
        ],
    )?;
    Ok(row.bool(0)? || row.bool(1)? || row.bool(2)? || row.bool(3)?)
}

/// Whether anything waits in the outbox.
pub(super) fn has_outbox(tx: &mut Tx<'_>, now: Timestamp) -> Result<bool, Error> {
    tx.query_one(
        "select exists (select 1 from outbox where deliver_at <= $1)",
        &[Value::I64(now.as_microsecond())],
    )?
    .bool(0)
}

/// A statement that only a living database answers.
pub(super) fn ping(tx: &mut Tx<'_>) -> Result<(), Error> {
    tx.query_one("select id from installation where id = 1", &[]).map(|_| ())
}
