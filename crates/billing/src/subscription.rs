//! The states of a subscription and the moves between them.
//!
//! A failed payment makes it `past_due`; later cycles are still invoiced and charged on their own; it is
//! `active` again when none of its invoices is open. After the last instalment is collected it ends:
//! `canceled`, reason `completed`.

use serde::{Deserialize, Serialize};

/// Why a subscription ended. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Someone asked for it.
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

/// Where a subscription stands. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Before the first charge.
    Trialing,
    /// Running, nothing open.
    Active,
    /// Running, at least one payment of it failed and is open.
    PastDue,
    /// Stopped, can be resumed.
    Paused,
    /// Ended for good.
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
    /// No invoice of it is open any more, and more are to come.
    NothingOpen,
    /// No invoice of it is open any more, and the last one has been issued.
    LastCollected,
    /// Someone stops it for now.
    Paused,
    /// Someone lets it go on.
    Resumed,
    /// Someone ends it.
    Canceled,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 7] = [
        Self::InvoiceOpened,
        Self::PaymentFailed,
        Self::NothingOpen,
        Self::LastCollected,
        Self::Paused,
        Self::Resumed,
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
            (Self::Active | Self::PastDue, Event::NothingOpen) => Ok(Self::Active),
            (Self::Trialing, Event::NothingOpen) => Ok(Self::Trialing),
            (Self::Trialing | Self::Active | Self::PastDue, Event::LastCollected) => {
                Ok(Self::Canceled(CancelReason::Completed))
            }
            (
                Self::Paused | Self::Canceled(_),
                Event::PaymentFailed | Event::NothingOpen | Event::LastCollected,
            ) => Ok(self),

            (Self::Trialing | Self::Active | Self::PastDue, Event::Paused) => Ok(Self::Paused),
            (Self::Paused, Event::Resumed) => Ok(Self::Active),
            (Self::Trialing | Self::Active | Self::PastDue | Self::Paused, Event::Canceled) => {
                Ok(Self::Canceled(CancelReason::Requested))
            }
            (Self::Paused | Self::Canceled(_), Event::Paused) => refused,
            (Self::Trialing | Self::Active | Self::PastDue | Self::Canceled(_), Event::Resumed) => refused,
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
        for state in State::ALL {
            let reason = state.cancel_reason().map(CancelReason::as_str);
            assert_eq!(State::from_stored(state.as_str(), reason), Some(state));
        }
        assert_eq!(State::from_stored("canceled", None), None);
        assert_eq!(State::from_stored("active", Some("completed")), None);
    }
}
