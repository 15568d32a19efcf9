//! The states of a charge: one attempt to collect one invoice.
//!
//! ```text
//! prepared → sending → unknown, pending, requires_customer, authorized → succeeded, failed, void
//! ```
//! Only forward, with one exception that truth demands: failed or void → succeeded. `prepared` was surely
//! not sent, `sending` may have been, `void` is proven never to have been executed (or a reservation let
//! go) and is not a decline. A charge with 3-D Secure is born `requires_customer`, surely not sent; it becomes `sending`
//! when the card holder has confirmed, and `void` when nobody did in time. Only the intent itself brings those two
//! facts: never a gateway, and never once its request may have been sent.
//! Late and repeated news changes nothing ([`Move::Stay`]); only what would be a fault of ours is refused.

/// Where a charge stands. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Written, surely not sent.
    Prepared,
    /// May have been sent.
    Sending,
    /// Sent, the outcome is not known.
    Unknown,
    /// The gateway has it and is still at work.
    Pending,
    /// The card holder must act first.
    RequiresCustomer,
    /// Money is reserved, not yet taken.
    Authorized,
    /// Money was taken.
    Succeeded,
    /// Declined.
    Failed,
    /// Proven never executed.
    Void,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Prepared,
        Self::Sending,
        Self::Unknown,
        Self::Pending,
        Self::RequiresCustomer,
        Self::Authorized,
        Self::Succeeded,
        Self::Failed,
        Self::Void,
    ];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::RequiresCustomer => "requires_customer",
            Self::Authorized => "authorized",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Void => "void",
        }
    }

    /// From the stored name; `None` for one that no version has written.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether its outcome is known. While one charge of an invoice is not final, no other may be made.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Void => true,
            Self::Prepared
            | Self::Sending
            | Self::Unknown
            | Self::Pending
            | Self::RequiresCustomer
            | Self::Authorized => false,
        }
    }
}

/// What has become known about a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Its request is about to be written to the network.
    Sent,
    /// The card holder has confirmed what was never sent: its request is about to be written to the network.
    Confirmed,
    /// The card holder did not confirm in time what was never sent.
    Abandoned,
    /// Surely no byte of the request was written.
    NotSent,
    /// Surely no byte of the request was written, and who was to write it takes it back.
    Withdrawn,
    /// Nobody asks any more for what was never sent.
    GivenUp,
    /// The answer is missing or proves nothing.
    Lost,
    /// The gateway has it and is still at work.
    Pending,
    /// The card holder must act first.
    RequiresCustomer,
    /// Money is reserved.
    Authorized,
    /// Money was taken.
    Succeeded,
    /// The gateway declined it.
    Declined,
    /// The gateway surely never executed it and never will.
    NeverExecuted,
    /// Reserved money was let go.
    Released,
}

impl Fact {
    /// Every fact.
    pub const ALL: [Self; 14] = [
        Self::Sent,
        Self::Confirmed,
        Self::Abandoned,
        Self::NotSent,
        Self::Withdrawn,
        Self::GivenUp,
        Self::Lost,
        Self::Pending,
        Self::RequiresCustomer,
        Self::Authorized,
        Self::Succeeded,
        Self::Declined,
        Self::NeverExecuted,
        Self::Released,
    ];
}

/// What a fact does to a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It is now in this state, which is another one.
    To(State),
    /// The fact is old news.
    Stay,
}

/// A fact that cannot be about a charge in this state: a fault of ours, to be shown to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {} charge cannot take {fact:?}", .state.as_str())]
pub struct Refused {
    /// Where it stands.
    pub state: State,
    /// What came in.
    pub fact: Fact,
}

impl State {
    /// What `fact` makes of a charge in this state.
    pub fn take(self, fact: Fact) -> Result<Move, Refused> {
        let refused = Err(Refused { state: self, fact });
        match (self, fact) {
            (Self::Succeeded | Self::Failed | Self::Void, Fact::Sent | Fact::Confirmed) => refused,
            (Self::Succeeded, _) => Ok(Move::Stay),
            (_, Fact::Succeeded) => Ok(Move::To(Self::Succeeded)),
            (Self::Failed | Self::Void, _) => Ok(Move::Stay),
            (_, Fact::Declined) => Ok(Move::To(Self::Failed)),

            (Self::Prepared, Fact::Sent) => Ok(Move::To(Self::Sending)),
            (Self::Unknown, Fact::Sent) => Ok(Move::Stay),
            (Self::Sending | Self::Pending | Self::RequiresCustomer | Self::Authorized, Fact::Sent) => {
                refused
            }

            (Self::RequiresCustomer, Fact::Confirmed) => Ok(Move::To(Self::Sending)),
            (
                Self::Prepared | Self::Sending | Self::Unknown | Self::Pending | Self::Authorized,
                Fact::Confirmed,
            ) => refused,

            (Self::RequiresCustomer, Fact::Abandoned) => Ok(Move::To(Self::Void)),
            // The card holder was in time after all.
            (
                Self::Prepared | Self::Sending | Self::Unknown | Self::Pending | Self::Authorized,
                Fact::Abandoned,
            ) => Ok(Move::Stay),

            (Self::Sending, Fact::NotSent) => Ok(Move::To(Self::Prepared)),
            (Self::Prepared | Self::Unknown, Fact::NotSent) => Ok(Move::Stay),
            (Self::Pending | Self::RequiresCustomer | Self::Authorized, Fact::NotSent) => Ok(Move::Stay),

            (Self::Prepared, Fact::Withdrawn | Fact::GivenUp) | (Self::Sending, Fact::Withdrawn) => {
                Ok(Move::To(Self::Void))
            }
            // Another process has taken it over, and may be sending it.
            (Self::Sending, Fact::GivenUp) => Ok(Move::Stay),
            (
                Self::Unknown | Self::Pending | Self::RequiresCustomer | Self::Authorized,
                Fact::Withdrawn | Fact::GivenUp | Fact::Lost,
            ) => Ok(Move::Stay),
            (Self::Sending, Fact::Lost) => Ok(Move::To(Self::Unknown)),
            (Self::Prepared, Fact::Lost) => refused,

            (Self::Prepared | Self::Sending | Self::Unknown, Fact::NeverExecuted) => Ok(Move::To(Self::Void)),
            (Self::Pending | Self::RequiresCustomer | Self::Authorized, Fact::NeverExecuted) => refused,

            (Self::Authorized, Fact::Released) => Ok(Move::To(Self::Void)),
            (
                Self::Prepared | Self::Sending | Self::Unknown | Self::Pending | Self::RequiresCustomer,
                Fact::Released,
            ) => refused,

            (Self::Prepared | Self::Sending | Self::Unknown, Fact::Pending) => Ok(Move::To(Self::Pending)),
            (Self::RequiresCustomer, Fact::Pending) => Ok(Move::To(Self::Pending)),
            (Self::Pending | Self::Authorized, Fact::Pending) => Ok(Move::Stay),

            (Self::Prepared | Self::Sending | Self::Unknown | Self::Pending, Fact::RequiresCustomer) => {
                Ok(Move::To(Self::RequiresCustomer))
            }
            (Self::RequiresCustomer | Self::Authorized, Fact::RequiresCustomer) => Ok(Move::Stay),

            (Self::Authorized, Fact::Authorized) => Ok(Move::Stay),
            (
                Self::Prepared | Self::Sending | Self::Unknown | Self::Pending | Self::RequiresCustomer,
                Fact::Authorized,
            ) => Ok(Move::To(Self::Authorized)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_states_with_all_facts() {
        let mut table = String::new();
        for state in State::ALL {
            for fact in Fact::ALL {
                let then = match state.take(fact) {
                    Ok(Move::To(next)) => next.as_str(),
                    Ok(Move::Stay) => "-",
                    Err(_) => "refused",
                };
                table.push_str(&format!("{} + {fact:?} = {then}\n", state.as_str()));
            }
        }
        insta::assert_snapshot!(table);
    }

    fn rank(state: State) -> u8 {
        match state {
            State::Prepared => 0,
            State::Sending => 1,
            State::Unknown => 2,
            State::Pending | State::RequiresCustomer => 3,
            State::Authorized => 4,
            State::Failed | State::Void => 5,
            State::Succeeded => 6,
        }
    }

    proptest! {
        #[test]
        fn charges_only_move_forward(facts in prop::collection::vec(0_usize..Fact::ALL.len(), 0..40)) {
            let mut state = State::Prepared;
            let of_the_intent = |fact: &Fact| matches!(fact, Fact::Confirmed | Fact::Abandoned);
            for fact in facts.into_iter().map(|index| Fact::ALL[index]).filter(|fact| !of_the_intent(fact)) {
                if let Ok(Move::To(next)) = state.take(fact) {
                    let goes_back_unsent = state == State::Sending && next == State::Prepared;
                    prop_assert!(rank(next) > rank(state) || goes_back_unsent || (rank(next) == 3 && rank(state) == 3));
                    prop_assert!(!state.is_final() || next == State::Succeeded);
                    state = next;
                }
            }
        }

        #[test]
        fn the_order_of_final_news_does_not_hide_a_success(before in prop::collection::vec(0_usize..Fact::ALL.len(), 0..10), after in prop::collection::vec(0_usize..Fact::ALL.len(), 0..10)) {
            let mut state = State::Sending;
            let facts = before.into_iter().map(|i| Fact::ALL[i]).chain([Fact::Succeeded]).chain(after.into_iter().map(|i| Fact::ALL[i]));
            for fact in facts {
                if let Ok(Move::To(next)) = state.take(fact) {
                    state = next;
                }
            }
            prop_assert_eq!(state, State::Succeeded);
        }
    }

    #[test]
    fn what_waits_for_the_card_holder_is_sent_once_or_never() {
        assert_eq!(State::RequiresCustomer.take(Fact::Confirmed), Ok(Move::To(State::Sending)));
        assert!(State::Sending.take(Fact::Confirmed).is_err(), "a second caller sends nothing");
        assert_eq!(State::Sending.take(Fact::Abandoned), Ok(Move::Stay), "too late to be given up");
        assert_eq!(State::RequiresCustomer.take(Fact::Abandoned), Ok(Move::To(State::Void)));
        assert!(State::Void.take(Fact::Confirmed).is_err(), "too late to be sent");
    }

    #[test]
    fn only_what_was_never_sent_is_given_up() {
        for state in State::ALL {
            let gives_up = state.take(Fact::GivenUp) == Ok(Move::To(State::Void));
            assert_eq!(gives_up, state == State::Prepared, "{state:?}");
        }
    }

    #[test]
    fn what_is_stored_reads_back() {
        for state in State::ALL {
            assert_eq!(State::from_stored(state.as_str()), Some(state));
        }
        assert_eq!(State::from_stored("charged"), None);
    }
}
