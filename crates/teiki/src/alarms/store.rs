//! SQL of alarms.

use billing::id::{AlarmId, DerivationKey};
use db::{Column, Error, OnConflict, Tx};
use jiff::Timestamp;

use super::NewAlarm;
use crate::stored::slots;

pub(super) fn raise_alarms(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    alarms: &[NewAlarm],
    now: Timestamp,
) -> Result<(), Error> {
    let ids: Vec<_> = alarms
        .iter()
        .map(|alarm| {
            let parent = format!("{}:{}", alarm.kind, alarm.subject);
            AlarmId::derive(key, &parent, alarm.slot, Timestamp::UNIX_EPOCH, 0)
        })
        .collect();
    let columns = [
        ("slot", slots(ids.iter().map(AlarmId::slot))),
        ("id", Column::Text(ids.iter().map(AlarmId::as_str).collect())),
        ("account_id", Column::Text(alarms.iter().map(|alarm| alarm.account.as_str()).collect())),
        ("mode", Column::Text(alarms.iter().map(|alarm| alarm.mode.as_str()).collect())),
        ("kind", Column::Text(alarms.iter().map(|alarm| alarm.kind).collect())),
        ("subject", Column::Text(alarms.iter().map(|alarm| alarm.subject.as_str()).collect())),
        ("message", Column::Text(alarms.iter().map(|alarm| alarm.message.as_str()).collect())),
        ("raised_at", Column::I64(alarms.iter().map(|_| now.as_microsecond()).collect())),
    ];
    tx.insert_many("alarms", &columns, OnConflict::Nothing)?;
    Ok(())
}
