//! 3-D Secure: what waits until the card holder has been asked by the card's issuer.
//!
//! A token, a charge or a stored card begins as unverified. The card holder answers once, within [`LIMIT`]; a token or charge
//! must then be finished by the merchant, within the same limit, and only a passed one can be. Times here are operating
//! time: real. Does not ask anyone: that is the page of the issuer, in test mode teiki's own.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// From the beginning to the finish, as PAY.JP has it for charges.
pub const LIMIT: SignedDuration = SignedDuration::from_mins(30);

/// How it stands with the card holder. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not asked, or without an answer yet.
    Unverified,
    /// The card holder was recognised.
    Verified,
    /// The issuer takes no part; the attempt counts as if the card holder had been recognised.
    Attempted,
    /// The card holder was not recognised.
    Failed,
    /// The issuer could not be asked.
    Error,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Unverified, Self::Verified, Self::Attempted, Self::Failed, Self::Error];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Attempted => "attempted",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }

    /// From the stored name; `None` for one that no version has written.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Why something cannot be finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It began without 3-D Secure.
    #[error("it began without 3-D Secure")]
    NotInFlow,
    /// [`LIMIT`] is over.
    #[error("the time for 3-D Secure is over")]
    Expired,
    /// The card holder has not answered yet.
    #[error("the card holder has not answered yet")]
    Incompleted,
    /// The card holder was not recognised, or could not be asked.
    #[error("the card holder was not recognised")]
    Failed,
}

/// The last instant at which something that began at `begun_at` can be answered or finished is before this one.
pub fn ends_at(begun_at: Timestamp) -> Timestamp {
    begun_at.checked_add(LIMIT).unwrap_or(Timestamp::MAX)
}

/// Whether what began at `begun_at` with this status may be finished at `now`.
pub fn may_finish(status: Option<Status>, begun_at: Timestamp, now: Timestamp) -> Result<(), Refused> {
    let status = status.ok_or(Refused::NotInFlow)?;
    if now >= ends_at(begun_at) {
        return Err(Refused::Expired);
    }
    match status {
        Status::Verified | Status::Attempted => Ok(()),
        Status::Unverified => Err(Refused::Incompleted),
        Status::Failed | Status::Error => Err(Refused::Failed),
    }
}

/// Whether the card holder can still answer at `now`; `Ok(false)` when that has happened. Errors: [`Refused::NotInFlow`],
/// [`Refused::Expired`].
pub fn is_to_answer(status: Option<Status>, begun_at: Timestamp, now: Timestamp) -> Result<bool, Refused> {
    match status.ok_or(Refused::NotInFlow)? {
        Status::Unverified if now >= ends_at(begun_at) => Err(Refused::Expired),
        Status::Unverified => Ok(true),
        Status::Verified | Status::Attempted | Status::Failed | Status::Error => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("an instant")
    }

    #[test]
    fn only_what_passed_in_time_is_finished() {
        let last = after(30 * 60 - 1);
        for (status, now, expected) in [
            (None, BEGUN, Err(Refused::NotInFlow)),
            (Some(Status::Unverified), BEGUN, Err(Refused::Incompleted)),
            (Some(Status::Verified), BEGUN, Ok(())),
            (Some(Status::Attempted), last, Ok(())),
            (Some(Status::Failed), last, Err(Refused::Failed)),
            (Some(Status::Error), last, Err(Refused::Failed)),
            (Some(Status::Verified), after(30 * 60), Err(Refused::Expired)),
            (Some(Status::Failed), after(30 * 60), Err(Refused::Expired)),
        ] {
            assert_eq!(may_finish(status, BEGUN, now), expected, "{status:?} at {now}");
        }
    }

    #[test]
    fn the_card_holder_answers_once_and_in_time() {
        assert_eq!(is_to_answer(None, BEGUN, BEGUN), Err(Refused::NotInFlow));
        assert_eq!(is_to_answer(Some(Status::Unverified), BEGUN, after(30 * 60 - 1)), Ok(true));
        assert_eq!(is_to_answer(Some(Status::Unverified), BEGUN, after(30 * 60)), Err(Refused::Expired));
        for answered in [Status::Verified, Status::Attempted, Status::Failed, Status::Error] {
            assert_eq!(is_to_answer(Some(answered), BEGUN, after(9_999)), Ok(false), "{answered:?}");
        }
    }

    #[test]
    fn what_is_stored_reads_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_stored(status.as_str()), Some(status));
            assert_eq!(serde_json::to_value(status).expect("writes"), status.as_str());
        }
        assert_eq!(Status::from_stored("available"), None);
    }
}
