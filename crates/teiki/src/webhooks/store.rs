//! SQL of webhook endpoints.

use billing::id::{AccountId, WebhookEndpointId};
use db::{Column, Error, Row, Tx, Value};
use jiff::Timestamp;

use super::filter::Filter;
use super::keys::Sealed;
use super::retry::Health;
use super::{EndpointRow, Side, Status};
use crate::stored::{instant, opt_instant, parsed, unreadable};
use crate::web::list::{Page, Place};

/// Makes those wait who want to make an endpoint of the same account, so that they are counted.
pub(super) fn lock_account(tx: &mut Tx<'_>, account: AccountId) -> Result<(), Error> {
    tx.lock_many("select a.id from accounts a where a.id = $1", &[Column::Text(vec![account.as_str()])])?;
    Ok(())
}

pub(super) fn count(tx: &mut Tx<'_>, (account, mode): Side) -> Result<i64, Error> {
    tx.query_one(
        "select count(*) from webhook_endpoints where account_id = $1 and mode = $2 and deleted_at is null",
        &[Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?
    .i64(0)
}

pub(super) fn insert(tx: &mut Tx<'_>, row: &EndpointRow) -> Result<(), Error> {
    let filter = row.filter.stored();
    tx.execute(
        "insert into webhook_endpoints (id, account_id, mode, url, description, enabled_events, status, disabled_reason, secret,
                                        token, event_number, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            Value::Text(row.id.as_str()),
            Value::Text(row.account.as_str()),
            Value::Text(row.mode.as_str()),
            Value::Text(&row.url),
            Value::from(row.description.as_deref()),
            Value::from(filter.as_deref()),
            Value::Text(row.status.as_str()),
            Value::from(row.status.reason()),
            Value::Bytes(&row.sealed.secret),
            Value::Bytes(&row.sealed.token),
            Value::I64(row.event_number),
            Value::I64(row.created_at),
        ],
    )?;
    Ok(())
}

pub(super) fn find(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    id: WebhookEndpointId,
) -> Result<Option<EndpointRow>, Error> {
    tx.query_opt(
        "select id, account_id, mode, url, description, enabled_events, status, disabled_reason, secret, former_secret,
                former_until, token, failing_since, failed_at, event_number, created_at
         from webhook_endpoints where id = $1 and account_id = $2 and mode = $3 and deleted_at is null",
        &[Value::Text(id.as_str()), Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?
    .map(|row| endpoint_of(&row))
    .transpose()
}

/// Of deleted ones too.
pub(super) fn last_event(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    id: WebhookEndpointId,
) -> Result<Option<i64>, Error> {
    tx.query_opt(
        "select event_number from webhook_endpoints where id = $1 and account_id = $2 and mode = $3",
        &[Value::Text(id.as_str()), Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?
    .map(|row| row.i64(0))
    .transpose()
}

/// Of deleted ones too; in microseconds.
pub(super) fn created_at(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    id: WebhookEndpointId,
) -> Result<Option<i64>, Error> {
    tx.query_opt(
        "select created_at from webhook_endpoints where id = $1 and account_id = $2 and mode = $3",
        &[Value::Text(id.as_str()), Value::Text(account.as_str()), Value::Text(mode.as_str())],
    )?
    .map(|row| row.i64(0))
    .transpose()
}

pub(super) fn lock(tx: &mut Tx<'_>, id: WebhookEndpointId) -> Result<Option<EndpointRow>, Error> {
    let rows = tx.lock_many(
        "select w.id, w.account_id, w.mode, w.url, w.description, w.enabled_events, w.status, w.disabled_reason, w.secret,
                w.former_secret, w.former_until, w.token, w.failing_since, w.failed_at, w.event_number, w.created_at
         from webhook_endpoints w where w.id = $1 and w.deleted_at is null",
        &[Column::Text(vec![id.as_str()])],
    )?;
    rows.first().map(|(_, row)| endpoint_of(row)).transpose()
}

/// An endpoint and whether it is deleted. Error: what is stored does not read.
type Found = Result<(EndpointRow, bool), Error>;

/// Those with these ids, each with the place of its id, deleted ones too.
pub(super) fn find_many(tx: &mut Tx<'_>, ids: &[WebhookEndpointId]) -> Result<Vec<(usize, Found)>, Error> {
    let rows = tx.select_many(
        "select w.id, w.account_id, w.mode, w.url, w.description, w.enabled_events, w.status, w.disabled_reason, w.secret,
                w.former_secret, w.former_until, w.token, w.failing_since, w.failed_at, w.event_number, w.created_at, w.deleted_at
         from webhook_endpoints w where w.id = $1",
        &[Column::Text(ids.iter().map(WebhookEndpointId::as_str).collect())],
    )?;
    Ok(rows.iter().map(|(place, row)| (*place, found(row))).collect())
}

/// The same, and they stay as they are until the transaction ends. Those that do not read are left out.
pub(super) fn lock_many(
    tx: &mut Tx<'_>,
    ids: &[WebhookEndpointId],
) -> Result<Vec<(EndpointRow, bool)>, Error> {
    let rows = tx.lock_many(
        "select w.id, w.account_id, w.mode, w.url, w.description, w.enabled_events, w.status, w.disabled_reason, w.secret,
                w.former_secret, w.former_until, w.token, w.failing_since, w.failed_at, w.event_number, w.created_at, w.deleted_at
         from webhook_endpoints w where w.id = $1",
        &[Column::Text(ids.iter().map(WebhookEndpointId::as_str).collect())],
    )?;
    Ok(rows.iter().filter_map(|(_, row)| found(row).ok()).collect())
}

fn found(row: &Row) -> Found {
    Ok((endpoint_of(row)?, row.opt_i64(16)?.is_some()))
}

pub(super) fn list(
    tx: &mut Tx<'_>,
    (account, mode): Side,
    (page, from): (&Page, &Place),
) -> Result<Vec<EndpointRow>, Error> {
    let rows = tx.query(
        "select id, account_id, mode, url, description, enabled_events, status, disabled_reason, secret, former_secret,
                former_until, token, failing_since, failed_at, event_number, created_at
         from webhook_endpoints
         where account_id = $1 and mode = $2 and deleted_at is null and (created_at, id) < ($3, $4)
               and created_at >= $5 and created_at <= $6
         order by created_at desc, id desc limit $7 offset $8",
        &[
            Value::Text(account.as_str()),
            Value::Text(mode.as_str()),
            Value::I64(from.created_at),
            Value::Text(&from.id),
            Value::I64(page.since),
            Value::I64(page.until),
            Value::I64(page.rows()),
            Value::I64(page.offset),
        ],
    )?;
    rows.iter().map(endpoint_of).collect()
}

fn endpoint_of(row: &Row) -> Result<EndpointRow, Error> {
    let status = row.str(6)?;
    let former = row.opt_bytes(9)?.zip(opt_instant(row, 10, "webhook_endpoints.former_until")?);
    Ok(EndpointRow {
        id: parsed(row, 0, "webhook_endpoints.id", "an id")?,
        account: parsed(row, 1, "webhook_endpoints.account_id", "an id")?,
        mode: parsed(row, 2, "webhook_endpoints.mode", "a mode")?,
        url: row.text(3)?,
        description: row.opt_text(4)?,
        filter: filter_of(row.opt_str(5)?)?,
        status: Status::from_stored(status, row.opt_str(7)?)
            .ok_or_else(|| unreadable("webhook_endpoints.status", "a status with its reason", status))?,
        sealed: Sealed { secret: row.bytes(8)?, former, token: row.bytes(11)? },
        health: Health {
            failing_since: opt_instant(row, 12, "webhook_endpoints.failing_since")?,
            failed_at: opt_instant(row, 13, "webhook_endpoints.failed_at")?,
        },
        event_number: row.i64(14)?,
        created_at: instant(row, 15, "webhook_endpoints.created_at")?.as_microsecond(),
    })
}

/// Writes all that may change.
pub(super) fn save(tx: &mut Tx<'_>, row: &EndpointRow) -> Result<(), Error> {
    let (filter, former) = (row.filter.stored(), row.sealed.former.as_ref());
    tx.execute(
        "update webhook_endpoints
         set url = $2, description = $3, enabled_events = $4, status = $5, disabled_reason = $6, secret = $7, former_secret = $8,
             former_until = $9, token = $10, failing_since = $11, failed_at = $12, event_number = $13
         where id = $1",
        &[
            Value::Text(row.id.as_str()),
            Value::Text(&row.url),
            Value::from(row.description.as_deref()),
            Value::from(filter.as_deref()),
            Value::Text(row.status.as_str()),
            Value::from(row.status.reason()),
            Value::Bytes(&row.sealed.secret),
            Value::from(former.map(|former| &former.0)),
            Value::from(former.map(|former| former.1.as_microsecond())),
            Value::Bytes(&row.sealed.token),
            Value::from(row.health.failing_since.map(Timestamp::as_microsecond)),
            Value::from(row.health.failed_at.map(Timestamp::as_microsecond)),
            Value::I64(row.event_number),
        ],
    )?;
    Ok(())
}

pub(super) fn mark_deleted(tx: &mut Tx<'_>, id: WebhookEndpointId, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "update webhook_endpoints set deleted_at = $2 where id = $1",
        &[Value::Text(id.as_str()), Value::I64(now.as_microsecond())],
    )?;
    Ok(())
}

/// Writes how these are doing, and what follows from it.
pub(super) fn save_health(tx: &mut Tx<'_>, rows: &[EndpointRow]) -> Result<u64, Error> {
    let instants = |of: fn(&Health) -> Option<Timestamp>| {
        Column::OptI64(rows.iter().map(|row| of(&row.health).map(Timestamp::as_microsecond)).collect())
    };
    tx.update_many(
        "webhook_endpoints",
        &[("id", Column::Text(rows.iter().map(|row| row.id.as_str()).collect()))],
        &[
            ("status", Column::Text(rows.iter().map(|row| row.status.as_str()).collect())),
            ("disabled_reason", Column::OptText(rows.iter().map(|row| row.status.reason()).collect())),
            ("failing_since", instants(|health| health.failing_since)),
            ("failed_at", instants(|health| health.failed_at)),
        ],
        "",
    )
}

/// Those of these endpoints that received nothing at last.
pub(super) fn failing(tx: &mut Tx<'_>, ids: &[WebhookEndpointId]) -> Result<Vec<WebhookEndpointId>, Error> {
    let rows = tx.select_many(
        "select w.id from webhook_endpoints w where w.id = $1 and w.failing_since is not null",
        &[Column::Text(ids.iter().map(WebhookEndpointId::as_str).collect())],
    )?;
    rows.iter().map(|(_, row)| parsed(row, 0, "webhook_endpoints.id", "an id")).collect()
}

/// Something was received: what failed before is forgotten.
pub(super) fn forget_failures(tx: &mut Tx<'_>, ids: &[WebhookEndpointId]) -> Result<u64, Error> {
    let none = || Column::OptI64(vec![None; ids.len()]);
    tx.update_many(
        "webhook_endpoints",
        &[("id", Column::Text(ids.iter().map(WebhookEndpointId::as_str).collect()))],
        &[("failing_since", none()), ("failed_at", none())],
        "failing_since is not null",
    )
}

/// Endpoints that take anything, of each of these sides, with the place of their side. One that does not read is told of and left
/// out: nobody's payment fails for it.
pub(super) fn takers(
    tx: &mut Tx<'_>,
    sides: &[Side],
) -> Result<Vec<(usize, WebhookEndpointId, Filter)>, Error> {
    let keys = [
        Column::Text(sides.iter().map(|side| side.0.as_str()).collect()),
        Column::Text(sides.iter().map(|side| side.1.as_str()).collect()),
    ];
    let rows = tx.select_many(
        "select w.id, w.enabled_events from webhook_endpoints w
         where w.account_id = $1 and w.mode = $2 and w.deleted_at is null and w.status = 'enabled'",
        &keys,
    )?;
    let told = |(place, row): &(usize, Row)| match taker_of(row) {
        Ok((id, filter)) => Some((*place, id, filter)),
        Err(error) => {
            let endpoint = row.str(0).unwrap_or_default();
            tracing::error!(endpoint, %error, "a webhook endpoint does not read; it is not told of an event");
            None
        }
    };
    Ok(rows.iter().filter_map(told).collect())
}

fn taker_of(row: &Row) -> Result<(WebhookEndpointId, Filter), Error> {
    Ok((parsed(row, 0, "webhook_endpoints.id", "an id")?, filter_of(row.opt_str(1)?)?))
}

fn filter_of(stored: Option<&str>) -> Result<Filter, Error> {
    Filter::from_stored(stored)
        .ok_or_else(|| unreadable("webhook_endpoints.enabled_events", "a list", stored.unwrap_or_default()))
}
