//! SQL of new charges.

use billing::charge::State;
use billing::id::SubscriptionId;
use db::{Column, Error, OnConflict, Tx, Value};
use jiff::Timestamp;

use crate::charges::settle::Times;
use crate::charges::{Later, NewCharge};
use crate::line::Scope;
use crate::stored::slots;

pub(in crate::charges) fn insert(
    tx: &mut Tx<'_>,
    scope: &Scope,
    charges: &[NewCharge],
    times: Times,
) -> Result<(), Error> {
    let each = |value: fn(&NewCharge) -> i64| Column::I64(charges.iter().map(value).collect());
    let same = |value: i64| Column::I64(charges.iter().map(|_| value).collect());
    let columns = [
        ("slot", slots(charges.iter().map(|charge| charge.id.slot()))),
        ("id", Column::Text(charges.iter().map(|charge| charge.id.as_str()).collect())),
        ("account_id", Column::Text(charges.iter().map(|_| scope.account.as_str()).collect())),
        ("mode", Column::Text(charges.iter().map(|_| scope.mode.as_str()).collect())),
        ("clock_id", Column::Text(charges.iter().map(|_| scope.clock.as_str()).collect())),
        ("customer_id", Column::OptText(charges.iter().map(|charge| charge.customer.as_deref()).collect())),
        (
            "subscription_id",
            Column::OptText(
                charges
                    .iter()
                    .map(|charge| charge.subscription.as_ref().map(SubscriptionId::as_str))
                    .collect(),
            ),
        ),
        ("invoice_id", Column::Text(charges.iter().map(|charge| charge.invoice.as_str()).collect())),
        (
            "payment_method_id",
            Column::Text(charges.iter().map(|charge| charge.payment_method.as_str()).collect()),
        ),
        ("connection_id", Column::Text(charges.iter().map(|charge| charge.connection.as_str()).collect())),
        ("number", each(|charge| charge.number)),
        ("status", Column::Text(charges.iter().map(|_| State::Sending.as_str()).collect())),
        ("amount", each(|charge| charge.amount.minor)),
        ("currency", Column::Text(charges.iter().map(|charge| charge.amount.currency.code()).collect())),
        (
            "idempotency_key",
            Column::Text(charges.iter().map(|charge| charge.idempotency_key.as_str()).collect()),
        ),
        ("actor", Column::Text(charges.iter().map(|charge| charge.actor).collect())),
        ("surplus", Column::Bool(charges.iter().map(|_| false).collect())),
        ("frozen", Column::Bool(charges.iter().map(|_| false).collect())),
        ("billing_at", same(times.billing.as_microsecond())),
        ("sent_at", same(times.real.as_microsecond())),
        ("last_sent_at", same(times.real.as_microsecond())),
        ("tries", same(0)),
        ("check_at", each(|charge| charge.check_at.as_microsecond())),
        ("created_at", same(times.real.as_microsecond())),
    ];
    tx.insert_many("charges", &columns, OnConflict::Fail)?;
    Ok(())
}

/// What only the charge of a request has.
pub(in crate::charges) fn add_request(
    tx: &mut Tx<'_>,
    charge: &NewCharge,
    later: &Later,
) -> Result<(), Error> {
    tx.execute(
        "update charges set capture = $3, expires_at = $4, description = $5, metadata = $6 where slot = $1 and id = $2",
        &[
            Value::I64(charge.id.slot().as_i64()),
            Value::Text(charge.id.as_str()),
            Value::Bool(later.expires_at.is_none()),
            Value::from(later.expires_at.map(Timestamp::as_microsecond)),
            Value::from(later.description.as_deref()),
            Value::Text(&later.metadata),
        ],
    )?;
    Ok(())
}
