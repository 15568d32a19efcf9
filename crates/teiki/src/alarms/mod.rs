//! Alarms: what an operator must look at, raised in the transaction of its cause and shown by `status`.

use billing::id::{AccountId, DerivationKey, Slot};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;

mod store;

/// Something an operator must look at.
#[derive(Clone, Debug)]
pub struct NewAlarm {
    /// Whose.
    pub account: AccountId,
    /// Test or live.
    pub mode: Mode,
    /// Where the rows of its subject are.
    pub slot: Slot,
    /// What kind; persisted, keep stable.
    pub kind: &'static str,
    /// The id of the thing that it is about.
    pub subject: String,
    /// What happened and what to do.
    pub message: String,
}

/// Raises alarms in the caller's transaction. The same kind about the same subject is raised once.
pub fn raise(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    alarms: &[NewAlarm],
    now: Timestamp,
) -> Result<(), db::Error> {
    store::raise_alarms(tx, key, alarms, now)
}
