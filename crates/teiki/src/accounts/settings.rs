//! Settings of an account: the same names and values over HTTP and on the command line.
//!
//! A changed setting affects what is made from then on. The zone can only be changed while the account has no
//! subscriptions but deleted ones, in either mode, for all of their dates are counted in it.

use billing::calendar::{Calendar, Zone};
use billing::subscription::RenewalFailure;
use db::Tx;
use jiff::civil::Time;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Account, store};
use crate::email::{ADDRESS_MAX, is_address};
use crate::web::limits::Preset;

/// The names of the settings.
pub const NAMES: [&str; 7] =
    ["calendar", "renewal_failure", "zone", "charge_window", "test_clock", "rate_limits", "email"];

/// What `calendar` may be.
pub const CALENDARS: &[&str] = &[Calendar::Anchor.as_str(), Calendar::Payjp.as_str()];
/// What `renewal_failure` may be.
pub const RENEWAL_FAILURES: &[&str] = &[RenewalFailure::Open.as_str(), RenewalFailure::Payjp.as_str()];
/// What `rate_limits` may be.
pub const RATE_LIMITS: &[&str] = &[Preset::Generous.as_str(), Preset::Payjp.as_str()];

/// The settings of an account. What they are when something is made, it keeps.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccountSettings")]
pub struct Settings {
    #[schemars(extend("const" = "account_settings"))]
    object: &'static str,
    /// How the boundaries of new subscriptions follow: `anchor` or `payjp`.
    #[schemars(extend("enum" = CALENDARS))]
    pub calendar: &'static str,
    /// What a failed renewal of a new subscription does: `open` or `payjp`.
    #[schemars(extend("enum" = RENEWAL_FAILURES))]
    pub renewal_failure: &'static str,
    /// Where its days begin.
    pub zone: String,
    /// The local time from which it charges what is due on a day.
    pub charge_window: String,
    /// The test clock that new test customers follow.
    pub test_clock: Option<String>,
    /// How many requests its keys may make: `generous` or `payjp`.
    #[schemars(extend("enum" = RATE_LIMITS))]
    pub rate_limits: &'static str,
    /// Where its mails come from.
    pub email: Option<String>,
}

/// A setting that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {problem}")]
pub struct Wrong {
    /// The setting.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The settings of an account.
pub fn of(account: &Account) -> Settings {
    Settings {
        object: "account_settings",
        calendar: account.calendar.as_str(),
        renewal_failure: account.renewal_failure.as_str(),
        zone: account.terms.zone.name().to_owned(),
        charge_window: account.terms.charge_window.strftime("%H:%M").to_string(),
        test_clock: account.test_clock.clone(),
        rate_limits: account.rate_limits.as_str(),
        email: account.email.clone(),
    }
}

/// Changes one setting. An empty value clears one that may be empty.
pub fn set(account: &mut Account, name: &str, value: &str) -> Result<(), Wrong> {
    let wrong = |problem: String| Wrong { name: name.to_owned(), problem };
    match name {
        "calendar" => {
            account.calendar =
                value.parse::<Calendar>().map_err(|_| wrong(words("anchor or payjp", value)))?;
        }
        "renewal_failure" => {
            account.renewal_failure =
                value.parse::<RenewalFailure>().map_err(|_| wrong(words("open or payjp", value)))?;
        }
        "zone" => {
            account.terms.zone =
                Zone::try_new(value).map_err(|_| wrong(words("a time zone such as Asia/Tokyo", value)))?;
        }
        "charge_window" => {
            account.terms.charge_window =
                time_of(value).ok_or_else(|| wrong(words("a local time such as 09:00", value)))?;
        }
        "test_clock" => account.test_clock = Some(value.to_owned()).filter(|value| !value.is_empty()),
        "rate_limits" => {
            account.rate_limits =
                Preset::from_stored(value).ok_or_else(|| wrong(words("generous or payjp", value)))?;
        }
        "email" if value.is_empty() => account.email = None,
        "email" if is_address(value) && value.chars().count() <= ADDRESS_MAX => {
            account.email = Some(value.to_owned())
        }
        "email" => return Err(wrong(words("a mail address such as shop@example.com", value))),
        _ => return Err(wrong(format!("is not a setting; there are {}", NAMES.join(", ")))),
    }
    Ok(())
}

fn words(allowed: &str, found: &str) -> String {
    format!("must be {allowed}, not {found:?}")
}

/// Hours and minutes.
fn time_of(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| text.parse::<i8>().ok().filter(|_| text.len() == 2);
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// Writes the settings of an account that was read in the same transaction. Errors: another zone while there are
/// subscriptions, a test clock that the account does not have.
pub fn save(tx: &mut Tx<'_>, before: &Account, after: &Account) -> Result<Result<(), Wrong>, db::Error> {
    let wrong =
        |name: &str, problem: &str| Ok(Err(Wrong { name: name.to_owned(), problem: problem.to_owned() }));
    if before.terms.zone != after.terms.zone && store::has_subscriptions(tx, after.id)? {
        return wrong(
            "zone",
            "cannot change while the account has subscriptions, in test or live mode, whose dates are counted in it: delete them first",
        );
    }
    if let Some(clock) = &after.test_clock
        && !store::has_clock(tx, after.id, clock)?
    {
        return wrong("test_clock", "must be a test clock of this account");
    }
    store::update_account(tx, after)?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::time_of;
    use jiff::civil::time;

    #[test]
    fn a_charge_window_is_hours_and_minutes() {
        assert_eq!(time_of("09:00"), Some(time(9, 0, 0, 0)));
        for bad in ["9:00", "24:00", "09:60", "09", "09:00:00", "-1:00", ""] {
            assert_eq!(time_of(bad), None, "{bad}");
        }
    }
}
