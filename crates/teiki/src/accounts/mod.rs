//! Merchants: making an account with its keys, finding it, its terms and its test clock.
//!
//! An account has a test side and a live side; the mode is part of every look-up of what belongs to a customer. Its first keys
//! are made with it (`api_keys`).

use billing::calendar::{Calendar, Zone};
use billing::id::{AccountId, ClockId, ConnectionId, DerivationKey, Slot};
use billing::mode::Mode;
use billing::money::Rounding;
use billing::renewal::AccountTerms;
use billing::subscription::RenewalFailure;
use db::{Db, Tx};
use jiff::Timestamp;
use jiff::civil::Time;
use serde::Serialize;

use crate::api_keys::{self, ApiKey, KeyKind, Secret};
use crate::failure::Failure;
use crate::web::limits::Preset;

pub mod api;
pub mod cli;
pub mod settings;
mod store;
mod view;

/// Where the days of an account begin unless it says otherwise.
const ZONE: &str = "Asia/Tokyo";
/// Local time from which an account charges unless it says otherwise.
const CHARGE_WINDOW: Time = jiff::civil::time(9, 0, 0, 0);

/// The clock of customers who live in real time, as stored in `clock_id`.
pub const REAL_CLOCK: &str = "real";

/// A merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What it calls itself.
    pub name: String,
    /// What it has chosen for all of its billing.
    pub terms: AccountTerms,
    /// The calendar of its new subscriptions.
    pub calendar: Calendar,
    /// What a failed renewal of its new subscriptions does.
    pub renewal_failure: RenewalFailure,
    /// How many requests its keys may make.
    pub rate_limits: Preset,
    /// Where its mails come from.
    pub email: Option<String>,
    /// The clock that new test customers follow; none is real time.
    pub test_clock: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The keys of one mode, in clear: shown once, never stored.
#[derive(Debug, Serialize)]
pub struct KeyPair {
    /// May do everything.
    pub secret_key: Secret,
    /// May only make tokens.
    pub public_key: Secret,
}

/// The answer to `account create`.
#[derive(Debug, Serialize)]
pub struct Created {
    /// The new account's id.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Keys of the test side.
    pub test: KeyPair,
    /// Keys of the live side.
    pub live: KeyPair,
}

/// Longest name of an account, in characters: fits a line of a mail.
const NAME_MAX: usize = 200;

/// Makes an account at the real time `now`, with these settings by name.
pub async fn create(
    db: &Db,
    name: &str,
    chosen: &[(String, String)],
    now: Timestamp,
) -> Result<Created, Failure> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX {
        return Err(Failure::usage(format!("the name of an account has 1 to {NAME_MAX} characters")));
    }
    let zone = Zone::try_new(ZONE).map_err(|error| Failure::usage(error.to_string()))?;
    let terms = AccountTerms { zone, charge_window: CHARGE_WINDOW, tax_rounding: Rounding::Floor };
    let id = AccountId::random(Slot(0), now, &random()?);
    let mut account = Account {
        id,
        name: name.to_owned(),
        terms,
        calendar: Calendar::Anchor,
        renewal_failure: RenewalFailure::Open,
        rate_limits: Preset::Generous,
        email: None,
        test_clock: None,
        created_at: now,
    };
    for (name, value) in chosen {
        settings::set(&mut account, name, value).map_err(|wrong| Failure::usage(wrong.to_string()))?;
    }
    let (test, of_test) = new_pair((id, Mode::Test), now)?;
    let (live, of_live) = new_pair((id, Mode::Live), now)?;
    let (stored, keys) = (account.clone(), [of_test, of_live].concat());
    db.write(move |tx| {
        store::insert_account(tx, &stored, now)?;
        api_keys::insert(tx, &keys)
    })
    .await?;
    Ok(Created { account: id.to_string(), name: account.name, test, live })
}

/// The first keys of a side, in clear and as they are stored.
fn new_pair(side: (AccountId, Mode), now: Timestamp) -> Result<(KeyPair, [ApiKey; 2]), Failure> {
    let (secret_key, secret) = api_keys::new(side, KeyKind::Secret, None, (&random()?, now));
    let (public_key, public) = api_keys::new(side, KeyKind::Public, None, (&random()?, now));
    Ok((KeyPair { secret_key, public_key }, [secret, public]))
}

/// Changes settings of an account, all or none.
pub fn change(
    tx: &mut Tx<'_>,
    id: AccountId,
    chosen: &[(String, String)],
) -> Result<Result<settings::Settings, settings::Wrong>, db::Error> {
    store::lock_account(tx, id)?;
    let before = read(tx, id)?;
    let mut after = before.clone();
    for (name, value) in chosen {
        if let Err(wrong) = settings::set(&mut after, name, value) {
            return Ok(Err(wrong));
        }
    }
    let saved = settings::save(tx, &before, &after)?;
    Ok(saved.map(|()| settings::of(&after)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "ids and keys must be unguessable; this is the edge where they are made"
)]
/// 32 bytes that nobody can guess.
pub fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::failed(format!("the system has no random bytes: {error}")))?;
    Ok(bytes)
}

/// The account with this id. Error: no id, or no such account.
pub async fn get(db: &Db, id: &str) -> Result<Account, Failure> {
    let id: AccountId =
        id.parse().map_err(|error: billing::id::InvalidId| Failure::usage(format!("account: {error}")))?;
    db.read(move |tx| store::find_account(tx, id)).await?.ok_or_else(|| {
        Failure::usage(format!("there is no account {id} in this database; `teiki status` lists them"))
    })
}

/// All accounts, oldest first.
pub async fn list(db: &Db) -> Result<Vec<Account>, Failure> {
    Ok(db.read(store::list_accounts).await?)
}

/// The key of this installation.
pub async fn derivation_key(db: &Db) -> Result<DerivationKey, Failure> {
    let bytes = db.read(store::derivation_key).await?;
    DerivationKey::new(&bytes).ok_or_else(|| {
        Failure::failed("the derivation key of this installation is damaged; restore a backup")
    })
}

/// Whether a connection is of this account and mode.
pub fn has_connection(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    connection: ConnectionId,
) -> Result<bool, db::Error> {
    store::has_connection(tx, side, connection)
}

/// The connection of an account to the gateway `gateway`, made on first use; of those who make it at once one does.
pub fn ensure_connection(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    (account, mode): (AccountId, Mode),
    gateway: &str,
    now: Timestamp,
) -> Result<ConnectionId, db::Error> {
    if let Some(found) = store::find_connection(tx, account, mode, gateway)? {
        return Ok(found);
    }
    let parent = format!("{account}:{mode}:{gateway}");
    let id = ConnectionId::derive(key, &parent, Slot(0), now, 0);
    store::insert_connection(tx, id, (account, mode), gateway, now)?;
    let found = store::find_connection(tx, account, mode, gateway)?;
    found.ok_or_else(|| db::Error::Assertion(format!("{account} has a connection to {gateway}")))
}

/// The test clock of an account: all of its imported test customers live in its time.
#[derive(Clone, Copy, Debug)]
pub struct TestClock {
    /// Its id, stored in `clock_id` of what follows it.
    pub id: ClockId,
    /// Where it began.
    pub started_at: Timestamp,
    /// Where it stands now.
    pub frozen_time: Timestamp,
}

/// The account's test clock, if it has one.
pub fn find_clock(tx: &mut Tx<'_>, account: AccountId) -> Result<Option<TestClock>, db::Error> {
    store::find_clock(tx, account)
}

/// Sets the account's test clock, once: the one that an import started at `at` before, or a new one. `Err(found)` inside `Ok`
/// when the account follows one that was started elsewhere.
pub fn set_clock(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    account: AccountId,
    at: Timestamp,
    now: Timestamp,
) -> Result<Result<TestClock, TestClock>, db::Error> {
    if let Some(found) = store::find_clock(tx, account)? {
        return Ok(if found.started_at == at { Ok(found) } else { Err(found) });
    }
    let (id, started) = started_at(tx, key, account, at)?;
    let clock = match started {
        Some(clock) => clock,
        None => {
            let clock = TestClock { id, started_at: at, frozen_time: at };
            store::insert_clock(tx, account, &clock, now)?;
            clock
        }
    };
    store::follow_clock(tx, account, clock.id)?;
    Ok(Ok(clock))
}

/// The test clock that [`set_clock`] would set, if it is there already.
pub fn find_clock_at(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    account: AccountId,
    at: Timestamp,
) -> Result<Option<TestClock>, db::Error> {
    match store::find_clock(tx, account)? {
        Some(found) => Ok(Some(found)),
        None => Ok(started_at(tx, key, account, at)?.1),
    }
}

/// Clocks of an account that were started at one instant, all but the last of them deleted: more than anybody makes.
const STARTED_MAX: u64 = 1_000;

/// The clock that an import started at `at` and that is not deleted, or the id of the next one.
fn started_at(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    account: AccountId,
    at: Timestamp,
) -> Result<(ClockId, Option<TestClock>), db::Error> {
    for number in 0..STARTED_MAX {
        let id = ClockId::derive(key, account.as_str(), Slot(0), at, number);
        match store::find_started(tx, account, id)? {
            None => return Ok((id, None)),
            Some((clock, false)) => return Ok((id, Some(clock))),
            Some((_, true)) => {}
        }
    }
    Err(db::Error::Assertion(format!("{account} has deleted {STARTED_MAX} test clocks that began at {at}")))
}

/// An account inside a transaction. Error: there is none.
pub fn read(tx: &mut Tx<'_>, id: AccountId) -> Result<Account, db::Error> {
    store::find_account(tx, id)?.ok_or_else(|| db::Error::Assertion(format!("there is no account {id}")))
}

/// Moves a test clock forward to `to`; never back.
pub fn move_clock(tx: &mut Tx<'_>, clock: ClockId, to: Timestamp) -> Result<(), db::Error> {
    store::move_clock(tx, clock, to)
}
