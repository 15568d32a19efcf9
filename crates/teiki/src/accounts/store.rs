//! SQL of accounts, connections and test clocks.

use billing::calendar::Zone;
use billing::id::{AccountId, ClockId, ConnectionId};
use billing::mode::Mode;
use billing::money::Rounding;
use billing::renewal::AccountTerms;
use db::{Column, Error, Row, Tx, Value};
use jiff::Timestamp;

use super::{Account, TestClock};
use crate::stored::{instant, parsed, unreadable};
use crate::web::limits::Preset;

pub(super) fn derivation_key(tx: &mut Tx<'_>) -> Result<Vec<u8>, Error> {
    tx.query_one("select derivation_key from installation where id = 1", &[])?.bytes(0)
}

pub(super) fn insert_account(tx: &mut Tx<'_>, account: &Account, now: Timestamp) -> Result<(), Error> {
    let window = account.terms.charge_window.to_string();
    let rounding = rounding_name(account.terms.tax_rounding);
    tx.execute(
        "insert into accounts
             (id, name, zone, charge_window, tax_rounding, created_at, calendar, renewal_failure, rate_limits, email)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            Value::Text(account.id.as_str()),
            Value::Text(&account.name),
            Value::Text(account.terms.zone.name()),
            Value::Text(&window),
            Value::Text(rounding),
            Value::I64(now.as_microsecond()),
            Value::Text(account.calendar.as_str()),
            Value::Text(account.renewal_failure.as_str()),
            Value::Text(account.rate_limits.as_str()),
            Value::from(account.email.as_deref()),
        ],
    )?;
    Ok(())
}

/// Nobody else changes the account until the transaction ends.
pub(super) fn lock_account(tx: &mut Tx<'_>, account: AccountId) -> Result<(), Error> {
    tx.lock_many("select id from accounts where id = $1", &[Column::Text(vec![account.as_str()])])?;
    Ok(())
}

pub(super) fn update_account(tx: &mut Tx<'_>, account: &Account) -> Result<(), Error> {
    let window = account.terms.charge_window.to_string();
    tx.execute(
        "update accounts
         set zone = $2, charge_window = $3, calendar = $4, renewal_failure = $5, rate_limits = $6, test_clock_id = $7, email = $8
         where id = $1",
        &[
            Value::Text(account.id.as_str()),
            Value::Text(account.terms.zone.name()),
            Value::Text(&window),
            Value::Text(account.calendar.as_str()),
            Value::Text(account.renewal_failure.as_str()),
            Value::Text(account.rate_limits.as_str()),
            Value::from(account.test_clock.as_deref()),
            Value::from(account.email.as_deref()),
        ],
    )?;
    Ok(())
}

/// Whether there are subscriptions that are not deleted, on either side.
pub(super) fn has_subscriptions(tx: &mut Tx<'_>, account: AccountId) -> Result<bool, Error> {
    tx.query_one(
        "select exists (select 1 from subscriptions where account_id = $1 and deleted_at is null)",
        &[Value::Text(account.as_str())],
    )?
    .bool(0)
}

pub(super) fn has_clock(tx: &mut Tx<'_>, account: AccountId, clock: &str) -> Result<bool, Error> {
    tx.query_one(
        "select exists (select 1 from test_clocks where id = $1 and account_id = $2 and deleted_at is null)",
        &[Value::Text(clock), Value::Text(account.as_str())],
    )?
    .bool(0)
}

pub(super) fn find_account(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<Account>, Error> {
    tx.query_opt(
        "select id, name, zone, charge_window, tax_rounding, email, test_clock_id, created_at, calendar, renewal_failure, rate_limits
         from accounts where id = $1",
        &[Value::Text(id.as_str())],
    )?
    .map(|row| account_of(&row))
    .transpose()
}

pub(super) fn list_accounts(tx: &mut Tx<'_>) -> Result<Vec<Account>, Error> {
    let rows = tx.query(
        "select id, name, zone, charge_window, tax_rounding, email, test_clock_id, created_at, calendar, renewal_failure, rate_limits
         from accounts order by created_at, id",
        &[],
    )?;
    rows.iter().map(account_of).collect()
}

fn account_of(row: &Row) -> Result<Account, Error> {
    let (zone, rounding) = (row.str(2)?, row.str(4)?);
    let terms = AccountTerms {
        zone: Zone::try_new(zone).map_err(|_| unreadable("accounts.zone", "a time zone", zone))?,
        charge_window: parsed(row, 3, "accounts.charge_window", "a time")?,
        tax_rounding: rounding_of(rounding)
            .ok_or_else(|| unreadable("accounts.tax_rounding", "a rounding", rounding))?,
    };
    Ok(Account {
        id: parsed(row, 0, "accounts.id", "an id")?,
        name: row.text(1)?,
        terms,
        calendar: parsed(row, 8, "accounts.calendar", "a calendar")?,
        renewal_failure: parsed(row, 9, "accounts.renewal_failure", "open or payjp")?,
        rate_limits: Preset::from_stored(row.str(10)?)
            .ok_or_else(|| unreadable("accounts.rate_limits", "a preset", row.str(10).unwrap_or_default()))?,
        email: row.opt_text(5)?,
        test_clock: row.opt_text(6)?,
        created_at: instant(row, 7, "accounts.created_at")?,
    })
}

fn rounding_name(rounding: Rounding) -> &'static str {
    match rounding {
        Rounding::Floor => "floor",
        Rounding::HalfUp => "half_up",
        Rounding::Ceil => "ceil",
    }
}

fn rounding_of(name: &str) -> Option<Rounding> {
    [Rounding::Floor, Rounding::HalfUp, Rounding::Ceil]
        .into_iter()
        .find(|&rounding| rounding_name(rounding) == name)
}

pub(super) fn find_connection(
    tx: &mut Tx<'_>,
    account: AccountId,
    mode: Mode,
    gateway: &str,
) -> Result<Option<ConnectionId>, Error> {
    tx.query_opt(
        "select id from gateway_connections where account_id = $1 and mode = $2 and gateway = $3",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str()), Value::Text(gateway)],
    )?
    .map(|row| parsed(&row, 0, "gateway_connections.id", "an id"))
    .transpose()
}

pub(super) fn has_connection(
    tx: &mut Tx<'_>,
    (account, mode): (AccountId, Mode),
    id: ConnectionId,
) -> Result<bool, Error> {
    let found = tx.query_opt(
        "select id from gateway_connections where id = $1 and account_id = $2 and mode = $3",
        &[Value::Text(id.as_str()), Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?;
    Ok(found.is_some())
}

/// Leaves what another one has made meanwhile as it is.
pub(super) fn insert_connection(
    tx: &mut Tx<'_>,
    id: ConnectionId,
    (account, mode): (AccountId, Mode),
    gateway: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "insert into gateway_connections (id, account_id, mode, gateway, created_at) values ($1, $2, $3, $4, $5)
         on conflict do nothing",
        &[
            Value::Text(id.as_str()),
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::Text(gateway),
            Value::I64(now.as_microsecond()),
        ],
    )?;
    Ok(())
}

pub(super) fn find_clock(tx: &mut Tx<'_>, account: AccountId) -> Result<Option<TestClock>, Error> {
    tx.query_opt(
        "select c.id, c.started_at, c.frozen_time from test_clocks c join accounts a on a.test_clock_id = c.id
         where a.id = $1 and c.account_id = $1 and c.deleted_at is null",
        &[Value::Text(account.as_str())],
    )?
    .map(|row| clock_of(&row))
    .transpose()
}

/// The clock `id` of an account, and whether it is deleted.
pub(super) fn find_started(
    tx: &mut Tx<'_>,
    account: AccountId,
    id: ClockId,
) -> Result<Option<(TestClock, bool)>, Error> {
    tx.query_opt(
        "select id, started_at, frozen_time, deleted_at from test_clocks where id = $1 and account_id = $2",
        &[Value::Text(id.as_str()), Value::Text(account.as_str())],
    )?
    .map(|row| Ok((clock_of(&row)?, row.opt_i64(3)?.is_some())))
    .transpose()
}

fn clock_of(row: &Row) -> Result<TestClock, Error> {
    Ok(TestClock {
        id: parsed(row, 0, "test_clocks.id", "an id")?,
        started_at: instant(row, 1, "test_clocks.started_at")?,
        frozen_time: instant(row, 2, "test_clocks.frozen_time")?,
    })
}

pub(super) fn insert_clock(
    tx: &mut Tx<'_>,
    account: AccountId,
    clock: &TestClock,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "insert into test_clocks (id, account_id, started_at, frozen_time, status, created_at)
         values ($1, $2, $3, $4, 'ready', $5)",
        &[
            Value::Text(clock.id.as_str()),
            Value::Text(account.as_str()),
            Value::I64(clock.started_at.as_microsecond()),
            Value::I64(clock.frozen_time.as_microsecond()),
            Value::I64(now.as_microsecond()),
        ],
    )?;
    Ok(())
}

/// Makes `clock` the one that new test customers of the account follow.
pub(super) fn follow_clock(tx: &mut Tx<'_>, account: AccountId, clock: ClockId) -> Result<(), Error> {
    tx.execute(
        "update accounts set test_clock_id = $2 where id = $1",
        &[Value::Text(account.as_str()), Value::Text(clock.as_str())],
    )?;
    Ok(())
}

pub(super) fn move_clock(tx: &mut Tx<'_>, clock: ClockId, to: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update test_clocks set frozen_time = $2 where id = $1 and frozen_time < $2",
        &[Value::Text(clock.as_str()), Value::I64(to.as_microsecond())],
    )?;
    Ok(())
}
