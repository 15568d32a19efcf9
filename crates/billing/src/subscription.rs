//! The states of a subscription and the moves between them.
//!
//! A failed payment makes it `past_due`; later cycles are still invoiced and charged on their own; it is
//! `active` again when none of its invoices is open. After the last instalment is collected it ends:
//! `canceled`, reason `completed`. Canceled by request it runs to the end of its period, and resuming undoes that;
//! then it is deleted, which is a fact of its own and no state.

use serde::{Deserialize, Serialize};

/// Why a subscription ended. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Someone asked for it. Until the period ends it can be resumed.
    Requested,
    /// The last instalment is collected.
    Completed,
}

impl CancelReason {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Completed => "completed",
        }
    }
}

/// What the failure of a scheduled payment does. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RenewalFailure {
    /// The invoice stays open, the subscription is past due, and its schedule goes on.
    Open,
    /// As PAY.JP does it (specs/payjp-v1.md 6.9): the invoice becomes void, the subscription is paused at once, and
    /// its plan, period, anchor and instalments stay as they were before. Resuming makes the only new invoice.
    Payjp,
}

impl RenewalFailure {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Payjp => "payjp",
        }
    }

    /// What happens to the subscription.
    pub const fn event(self) -> Event {
        match self {
            Self::Open => Event::PaymentFailed,
            Self::Payjp => Event::RenewalFailed,
        }
    }
}

impl std::str::FromStr for RenewalFailure {
    type Err = UnknownRenewalFailure;

    fn from_str(text: &str) -> Result<Self, UnknownRenewalFailure> {
        match text {
            "open" => Ok(Self::Open),
            "payjp" => Ok(Self::Payjp),
            other => Err(UnknownRenewalFailure(other.to_owned())),
        }
    }
}

/// A renewal failure that is neither `open` nor `payjp`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("renewal_failure must be open or payjp, not {0:?}")]
pub struct UnknownRenewalFailure(String);

/// Where a subscription stands. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Free until its trial ends; nothing open.
    Trialing,
    /// Running, nothing open.
    Active,
    /// Running, at least one payment of it failed and is open; it may be in a trial.
    PastDue,
    /// Stopped, can be resumed.
    Paused,
    /// Ended; by request only when its period is over.
    Canceled(CancelReason),
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Trialing,
        Self::Active,
        Self::PastDue,
        Self::Paused,
        Self::Canceled(CancelReason::Requested),
        Self::Canceled(CancelReason::Completed),
    ];

    /// The stored name, without the reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Paused => "paused",
            Self::Canceled(_) => "canceled",
        }
    }

    /// The stored reason of an end.
    pub const fn cancel_reason(self) -> Option<CancelReason> {
        match self {
            Self::Canceled(reason) => Some(reason),
            Self::Trialing | Self::Active | Self::PastDue | Self::Paused => None,
        }
    }

    /// From the two stored columns; `None` for a pair that no version has written.
    pub fn from_stored(state: &str, reason: Option<&str>) -> Option<Self> {
        Self::ALL.into_iter().find(|known| {
            known.as_str() == state && known.cancel_reason().map(CancelReason::as_str) == reason
        })
    }

    /// Whether its schedule runs: due invoices are opened and charged.
    pub const fn is_live(self) -> bool {
        match self {
            Self::Trialing | Self::Active | Self::PastDue => true,
            Self::Paused | Self::Canceled(_) => false,
        }
    }
}

/// What happens to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An invoice of its schedule has been opened.
    InvoiceOpened,
    /// A payment of its schedule was declined; its invoice stays open.
    PaymentFailed,
    /// A payment of its schedule was declined and its invoice is void ([`RenewalFailure::Payjp`]).
    RenewalFailed,
    /// No invoice of it is open any more, and more are to come.
    NothingOpen,
    /// No invoice of it is open any more, and the last one has been issued.
    LastCollected,
    /// Someone stops it for now.
    Paused,
    /// Someone lets it go on, paid.
    Resumed,
    /// Someone lets it go on, and an invoice of it stays open.
    ResumedOwing,
    /// Someone lets it go on, free until its trial ends.
    ResumedInTrial,
    /// Someone sets a trial on the running one.
    TrialSet,
    /// Someone ends it.
    Canceled,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 11] = [
        Self::InvoiceOpened,
        Self::PaymentFailed,
        Self::RenewalFailed,
        Self::NothingOpen,
        Self::LastCollected,
        Self::Paused,
        Self::Resumed,
        Self::ResumedOwing,
        Self::ResumedInTrial,
        Self::TrialSet,
        Self::Canceled,
    ];
}

/// An event that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {} subscription does not allow {event:?}", .state.as_str())]
pub struct Refused {
    /// Where it stands.
    pub state: State,
    /// What was tried.
    pub event: Event,
}

impl State {
    /// The state after `event`. Truth about payments never fails: it arrives late at a subscription
    /// that is paused or canceled, and leaves it so.
    pub fn after(self, event: Event) -> Result<Self, Refused> {
        let refused = Err(Refused { state: self, event });
        match (self, event) {
            (Self::Trialing | Self::Active, Event::InvoiceOpened) => Ok(Self::Active),
            (Self::PastDue, Event::InvoiceOpened) => Ok(Self::PastDue),
            (Self::Paused | Self::Canceled(_), Event::InvoiceOpened) => refused,

            (Self::Trialing | Self::Active | Self::PastDue, Event::PaymentFailed) => Ok(Self::PastDue),
            (Self::Trialing | Self::Active | Self::PastDue, Event::RenewalFailed) => Ok(Self::Paused),
            (Self::Active | Self::PastDue, Event::NothingOpen) => Ok(Self::Active),
            (Self::Trialing, Event::NothingOpen) => Ok(Self::Trialing),
            (Self::Trialing | Self::Active | Self::PastDue, Event::LastCollected) => {
                Ok(Self::Canceled(CancelReason::Completed))
            }
            (
                Self::Paused | Self::Canceled(_),
                Event::PaymentFailed | Event::RenewalFailed | Event::NothingOpen | Event::LastCollected,
            ) => Ok(self),

            (Self::Trialing | Self::Active, Event::TrialSet) => Ok(Self::Trialing),
            (Self::PastDue, Event::TrialSet) => Ok(Self::PastDue),
            (Self::Trialing | Self::Active | Self::PastDue, Event::Paused) => Ok(Self::Paused),
            (Self::Paused | Self::Canceled(_), Event::TrialSet | Event::Paused) => refused,

            (Self::Paused | Self::Canceled(CancelReason::Requested), Event::Resumed) => Ok(Self::Active),
            (Self::Paused | Self::Canceled(CancelReason::Requested), Event::ResumedOwing) => {
                Ok(Self::PastDue)
            }
            (Self::Paused | Self::Canceled(CancelReason::Requested), Event::ResumedInTrial) => {
                Ok(Self::Trialing)
            }
            (
                Self::Trialing | Self::Active | Self::PastDue | Self::Canceled(CancelReason::Completed),
                Event::Resumed | Event::ResumedOwing | Event::ResumedInTrial,
            ) => refused,

            (Self::Trialing | Self::Active | Self::PastDue | Self::Paused, Event::Canceled) => {
                Ok(Self::Canceled(CancelReason::Requested))
            }
            (Self::Canceled(_), Event::Canceled) => refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_states_with_all_events() {
        let mut table = String::new();
        for state in State::ALL {
            for event in Event::ALL {
                let after = match state.after(event) {
                    Ok(after) => format!("{after:?}"),
                    Err(_) => "refused".to_owned(),
                };
                table.push_str(&format!("{state:?} + {event:?} = {after}\n"));
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn what_is_stored_reads_back() {
        for failure in [RenewalFailure::Open, RenewalFailure::Payjp] {
            assert_eq!(failure.as_str().parse(), Ok(failure));
        }
        assert!("closed".parse::<RenewalFailure>().is_err());
        for state in State::ALL {
            let reason = state.cancel_reason().map(CancelReason::as_str);
            assert_eq!(State::from_stored(state.as_str(), reason), Some(state));
        }
        assert_eq!(State::from_stored("canceled", None), None);
        assert_eq!(State::from_stored("active", Some("completed")), None);
    }
}
