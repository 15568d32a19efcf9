//! What is done to a charge after it was made: reserved money is taken, reserved anew or released, taken money is given
//! back.
//!
//! ```text
//! sending → unknown → succeeded, failed, void
//! ```
//! [`plan`] says what a request means for a charge as it stands, or why it cannot be; [`settle`] what the truth about an
//! action does to its charge. One action of a charge is under way at a time, so each finds the charge as the last one
//! left it. Only forward; old news changes nothing. Times here are billing time.

use jiff::{SignedDuration, Timestamp};

use crate::charge;
use crate::money::Money;

/// What is done. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Takes reserved money, all or a part; the rest is released.
    Capture,
    /// Releases all reserved money.
    Void,
    /// Reserves the same money anew.
    Reauthorize,
    /// Gives back money that was taken, all or a part.
    Refund,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Capture, Self::Void, Self::Reauthorize, Self::Refund];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Reauthorize => "reauthorize",
            Self::Refund => "refund",
        }
    }

    /// From the stored name; `None` for one that no version has written.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether it takes or reserves a customer's money. What only gives back is not stopped by a hold.
    pub const fn takes(self) -> bool {
        match self {
            Self::Capture | Self::Reauthorize => true,
            Self::Void | Self::Refund => false,
        }
    }
}

/// Where an action stands. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// May have been sent.
    Sending,
    /// Sent, the outcome is not known.
    Unknown,
    /// Done.
    Succeeded,
    /// The gateway or the issuer refused: nothing changed.
    Failed,
    /// Proven never executed: nothing changed.
    Void,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Sending, Self::Unknown, Self::Succeeded, Self::Failed, Self::Void];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Void => "void",
        }
    }

    /// From the stored name; `None` for one that no version has written.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether its outcome is known.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Void => true,
            Self::Sending | Self::Unknown => false,
        }
    }

    /// What `fact` makes of an action in this state; `None` for old news. What is done is done, also after it was
    /// believed not to be.
    pub const fn take(self, fact: Fact) -> Option<Self> {
        match (self, fact) {
            (Self::Sending | Self::Unknown | Self::Failed | Self::Void, Fact::Done) => Some(Self::Succeeded),
            (Self::Succeeded, _) | (Self::Failed | Self::Void, _) => None,
            // Another process has taken it over, and may be sending it.
            (Self::Unknown, Fact::Lost | Fact::Withdrawn) => None,
            (Self::Sending, Fact::Withdrawn) => Some(Self::Void),
            (Self::Sending, Fact::Lost) => Some(Self::Unknown),
            (Self::Sending | Self::Unknown, Fact::Refused) => Some(Self::Failed),
            (Self::Sending | Self::Unknown, Fact::NeverExecuted) => Some(Self::Void),
        }
    }
}

/// What has become known about an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Surely no byte of the request was written, and who was to write it takes it back.
    Withdrawn,
    /// The answer is missing or proves nothing.
    Lost,
    /// The gateway did it.
    Done,
    /// The gateway or the issuer refused it for good.
    Refused,
    /// The gateway surely never executed it and never will.
    NeverExecuted,
}

impl Fact {
    /// Every fact.
    pub const ALL: [Self; 5] = [Self::Withdrawn, Self::Lost, Self::Done, Self::Refused, Self::NeverExecuted];
}

/// What a merchant asks for. Amounts in minor units of the charge's currency, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Take what is reserved, or so much of it.
    Capture(Option<i64>),
    /// Give back what was taken and is left, or so much of it; release what is only reserved.
    Refund(Option<i64>),
    /// Reserve anew.
    Reauthorize,
}

/// A charge as far as it decides what can be done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Where it stands.
    pub state: charge::State,
    /// Whether its money was only reserved when it was made.
    pub was_reserved: bool,
    /// What was reserved or taken.
    pub amount: Money,
    /// What of it was given back or released, in minor units.
    pub refunded: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its reservation ends.
    pub expires_at: Option<Timestamp>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What.
    pub kind: Kind,
    /// How much is taken or given back; of a void and a reauthorization, all that is reserved.
    pub amount: Money,
}

/// Why something cannot be done to a charge. Persisted as its name, where a gateway said so; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The outcome of the charge, or of what is being done to it, is not known yet.
    InProgress,
    /// Its card holder has not confirmed it yet.
    Unconfirmed,
    /// The charge took nothing.
    ChargeFailed,
    /// Its money has been taken already.
    AlreadyCaptured,
    /// What was reserved has been released.
    Released,
    /// The reservation has ended.
    Expired,
    /// Nothing is reserved any more.
    NotAuthorized,
    /// More than is reserved.
    CaptureTooLarge,
    /// All of it has been given back.
    AlreadyRefunded,
    /// More than is left to give back.
    RefundTooLarge,
    /// The time in which money can be given back is over.
    RefundTooLate,
    /// Only all of a reservation can be released.
    PartOfReservation,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 12] = [
        Self::InProgress,
        Self::Unconfirmed,
        Self::ChargeFailed,
        Self::AlreadyCaptured,
        Self::Released,
        Self::Expired,
        Self::NotAuthorized,
        Self::CaptureTooLarge,
        Self::AlreadyRefunded,
        Self::RefundTooLarge,
        Self::RefundTooLate,
        Self::PartOfReservation,
    ];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Unconfirmed => "unconfirmed",
            Self::ChargeFailed => "charge_failed",
            Self::AlreadyCaptured => "already_captured",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::NotAuthorized => "not_authorized",
            Self::CaptureTooLarge => "capture_too_large",
            Self::AlreadyRefunded => "already_refunded",
            Self::RefundTooLarge => "refund_too_large",
            Self::RefundTooLate => "refund_too_late",
            Self::PartOfReservation => "part_of_reservation",
        }
    }

    /// From the stored name; `None` for one that no version has written.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.as_str() == name)
    }
}

/// Money can be given back for so long after the charge was made (PAY.JP: 180 days).
const REFUND_LIMIT: SignedDuration = SignedDuration::from_hours(180 * 24);

/// What `asked` means for `charge` at the billing time `at`.
pub fn plan(charge: &Charge, asked: Asked, at: Timestamp) -> Result<Plan, Refusal> {
    match charge.state {
        charge::State::Prepared
        | charge::State::Sending
        | charge::State::Unknown
        | charge::State::Pending => Err(Refusal::InProgress),
        charge::State::RequiresCustomer => Err(Refusal::Unconfirmed),
        charge::State::Failed => Err(Refusal::ChargeFailed),
        charge::State::Void if charge.was_reserved && charge.refunded > 0 => Err(match asked {
            Asked::Refund(_) => Refusal::AlreadyRefunded,
            Asked::Capture(_) | Asked::Reauthorize => Refusal::Released,
        }),
        charge::State::Void => Err(Refusal::ChargeFailed),
        charge::State::Authorized => of_reserved(charge, asked, at),
        charge::State::Succeeded => of_taken(charge, asked, at),
    }
}

fn of_reserved(charge: &Charge, asked: Asked, at: Timestamp) -> Result<Plan, Refusal> {
    let is_over = charge.expires_at.is_some_and(|end| at >= end);
    let all = charge.amount;
    let of = |kind, minor| Ok(Plan { kind, amount: Money::new(minor, all.currency) });
    match asked {
        Asked::Capture(_) if is_over => Err(Refusal::Expired),
        Asked::Capture(Some(amount)) if amount > all.minor => Err(Refusal::CaptureTooLarge),
        Asked::Capture(amount) => of(Kind::Capture, amount.unwrap_or(all.minor)),
        Asked::Refund(Some(amount)) if amount > all.minor => Err(Refusal::RefundTooLarge),
        Asked::Refund(Some(amount)) if amount < all.minor => Err(Refusal::PartOfReservation),
        // One that has ended may be released too: that only makes sure.
        Asked::Refund(_) => of(Kind::Void, all.minor),
        Asked::Reauthorize if is_over => Err(Refusal::NotAuthorized),
        Asked::Reauthorize => of(Kind::Reauthorize, all.minor),
    }
}

fn of_taken(charge: &Charge, asked: Asked, at: Timestamp) -> Result<Plan, Refusal> {
    let rest = charge.amount.minor - charge.refunded;
    match asked {
        Asked::Capture(_) | Asked::Reauthorize => Err(Refusal::AlreadyCaptured),
        Asked::Refund(_) if rest <= 0 => Err(Refusal::AlreadyRefunded),
        Asked::Refund(Some(amount)) if amount > rest => Err(Refusal::RefundTooLarge),
        Asked::Refund(_) if at.duration_since(charge.created_at) > REFUND_LIMIT => {
            Err(Refusal::RefundTooLate)
        }
        Asked::Refund(amount) => Ok(Plan {
            kind: Kind::Refund,
            amount: Money::new(amount.unwrap_or(rest), charge.amount.currency),
        }),
    }
}

/// Where an action and its charge stand before a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The action.
    pub state: State,
    /// What it does, and with how much.
    pub plan: Plan,
    /// Its charge.
    pub charge: charge::State,
    /// What the charge reserved or took.
    pub amount: Money,
    /// What of that was given back or released before, in minor units.
    pub refunded: i64,
}

/// What an action that is done does to its charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// So much was taken; the rest was released.
    Captured {
        /// At least one minor unit.
        taken: Money,
        /// May be zero.
        rest: i64,
    },
    /// All was released.
    Released,
    /// The reservation is a new one.
    Reserved,
    /// Money was given back: of the amount of the charge first `before`, now `after` minor units.
    Refunded {
        /// What was given back or released earlier.
        before: i64,
        /// That and what is given back now.
        after: i64,
    },
}

/// What changes. Empty for old news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The action's new state.
    pub state: Option<State>,
    /// What becomes of the charge.
    pub effect: Option<Effect>,
}

/// An action that is said to be done to a charge to which it cannot have been: to be shown to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {} of {} is done, and the charge is {} with {} left", .0.plan.kind.as_str(), .0.plan.amount.minor,
    .0.charge.as_str(), .0.amount.minor - .0.refunded)]
pub struct Impossible(pub Standing);

/// Applies `fact`. Error: what is done does not fit the charge.
pub fn settle(standing: &Standing, fact: Fact) -> Result<Settled, Impossible> {
    let Some(next) = standing.state.take(fact) else {
        return Ok(Settled::default());
    };
    let effect = match next {
        State::Succeeded => Some(effect(standing)?),
        State::Sending | State::Unknown | State::Failed | State::Void => None,
    };
    Ok(Settled { state: Some(next), effect })
}

fn effect(standing: &Standing) -> Result<Effect, Impossible> {
    let Standing { plan, amount, refunded, .. } = *standing;
    let rest = amount.minor - refunded - plan.amount.minor;
    match (plan.kind, standing.charge) {
        _ if rest < 0 || plan.amount.currency != amount.currency => Err(Impossible(*standing)),
        (Kind::Capture, charge::State::Authorized) => Ok(Effect::Captured { taken: plan.amount, rest }),
        (Kind::Void, charge::State::Authorized) => Ok(Effect::Released),
        (Kind::Reauthorize, charge::State::Authorized) => Ok(Effect::Reserved),
        (Kind::Refund, charge::State::Succeeded) => {
            Ok(Effect::Refunded { before: refunded, after: refunded + plan.amount.minor })
        }
        (Kind::Capture | Kind::Void | Kind::Reauthorize | Kind::Refund, _) => Err(Impossible(*standing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED: Timestamp = Timestamp::UNIX_EPOCH;

    fn days(count: i64) -> Timestamp {
        CREATED + SignedDuration::from_hours(24 * count)
    }

    fn charge(state: charge::State) -> Charge {
        let was_reserved = matches!(state, charge::State::Authorized | charge::State::Void);
        Charge {
            state,
            was_reserved,
            amount: Money::yen(500),
            refunded: 0,
            created_at: CREATED,
            expires_at: was_reserved.then(|| days(7)),
        }
    }

    fn said(planned: Result<Plan, Refusal>) -> String {
        match planned {
            Ok(plan) => format!("{} {}", plan.kind.as_str(), plan.amount.minor),
            Err(refusal) => refusal.as_str().to_owned(),
        }
    }

    #[test]
    fn all_states_with_all_that_can_be_asked() {
        let released = Charge { refunded: 500, ..charge(charge::State::Void) };
        let rows = charge::State::ALL.into_iter().map(|state| (state.as_str(), charge(state)));
        let mut table = String::new();
        for (name, charge) in rows.chain([("released", released)]) {
            for (word, asked) in [
                ("capture", Asked::Capture(None)),
                ("refund", Asked::Refund(None)),
                ("reauthorize", Asked::Reauthorize),
            ] {
                table.push_str(&format!("{name} + {word} = {}\n", said(plan(&charge, asked, days(1)))));
            }
        }
        insta::assert_snapshot!(table, @r"
        prepared + capture = in_progress
        prepared + refund = in_progress
        prepared + reauthorize = in_progress
        sending + capture = in_progress
        sending + refund = in_progress
        sending + reauthorize = in_progress
        unknown + capture = in_progress
        unknown + refund = in_progress
        unknown + reauthorize = in_progress
        pending + capture = in_progress
        pending + refund = in_progress
        pending + reauthorize = in_progress
        requires_customer + capture = unconfirmed
        requires_customer + refund = unconfirmed
        requires_customer + reauthorize = unconfirmed
        authorized + capture = capture 500
        authorized + refund = void 500
        authorized + reauthorize = reauthorize 500
        succeeded + capture = already_captured
        succeeded + refund = refund 500
        succeeded + reauthorize = already_captured
        failed + capture = charge_failed
        failed + refund = charge_failed
        failed + reauthorize = charge_failed
        void + capture = charge_failed
        void + refund = charge_failed
        void + reauthorize = charge_failed
        released + capture = released
        released + refund = already_refunded
        released + reauthorize = released
        ");
    }

    #[test]
    fn amounts_of_what_is_reserved() {
        let reserved = charge(charge::State::Authorized);
        for (asked, expected) in [
            (Asked::Capture(Some(400)), "capture 400"),
            (Asked::Capture(Some(500)), "capture 500"),
            (Asked::Capture(Some(501)), "capture_too_large"),
            (Asked::Refund(Some(500)), "void 500"),
            (Asked::Refund(Some(499)), "part_of_reservation"),
            (Asked::Refund(Some(501)), "refund_too_large"),
        ] {
            assert_eq!(said(plan(&reserved, asked, days(1))), expected, "{asked:?}");
        }
    }

    #[test]
    fn amounts_of_what_is_left_to_give_back() {
        for (refunded, amount, expected) in [
            (0, Some(1), "refund 1"),
            (100, None, "refund 400"),
            (100, Some(400), "refund 400"),
            (100, Some(401), "refund_too_large"),
            (500, None, "already_refunded"),
            (500, Some(1), "already_refunded"),
        ] {
            let taken = Charge { refunded, ..charge(charge::State::Succeeded) };
            assert_eq!(said(plan(&taken, Asked::Refund(amount), days(1))), expected, "{refunded} {amount:?}");
        }
    }

    #[test]
    fn a_reservation_ends_and_so_does_the_time_for_refunds() {
        let second = SignedDuration::from_secs(1);
        let reserved = charge(charge::State::Authorized);
        for (at, capture, void, again) in [
            (days(7) - second, "capture 500", "void 500", "reauthorize 500"),
            (days(7), "expired", "void 500", "not_authorized"),
            (days(7) + second, "expired", "void 500", "not_authorized"),
        ] {
            assert_eq!(said(plan(&reserved, Asked::Capture(None), at)), capture, "{at}");
            assert_eq!(said(plan(&reserved, Asked::Refund(None), at)), void, "{at}");
            assert_eq!(said(plan(&reserved, Asked::Reauthorize, at)), again, "{at}");
        }
        let taken = charge(charge::State::Succeeded);
        for (at, expected) in [(days(180), "refund 500"), (days(180) + second, "refund_too_late")] {
            assert_eq!(said(plan(&taken, Asked::Refund(None), at)), expected, "{at}");
        }
    }

    #[test]
    fn all_states_of_an_action_with_all_facts() {
        let mut table = String::new();
        for state in State::ALL {
            for fact in Fact::ALL {
                let then = state.take(fact).map_or("-", State::as_str);
                table.push_str(&format!("{} + {fact:?} = {then}\n", state.as_str()));
                assert!(!state.is_final() || matches!(then, "-" | "succeeded"));
            }
        }
        insta::assert_snapshot!(table, @r"
        sending + Withdrawn = void
        sending + Lost = unknown
        sending + Done = succeeded
        sending + Refused = failed
        sending + NeverExecuted = void
        unknown + Withdrawn = -
        unknown + Lost = -
        unknown + Done = succeeded
        unknown + Refused = failed
        unknown + NeverExecuted = void
        succeeded + Withdrawn = -
        succeeded + Lost = -
        succeeded + Done = -
        succeeded + Refused = -
        succeeded + NeverExecuted = -
        failed + Withdrawn = -
        failed + Lost = -
        failed + Done = succeeded
        failed + Refused = -
        failed + NeverExecuted = -
        void + Withdrawn = -
        void + Lost = -
        void + Done = succeeded
        void + Refused = -
        void + NeverExecuted = -
        ");
    }

    #[test]
    fn what_is_done_must_fit_the_charge() {
        let mut table = String::new();
        for kind in Kind::ALL {
            for state in charge::State::ALL {
                let standing = Standing {
                    state: State::Unknown,
                    plan: Plan { kind, amount: Money::yen(400) },
                    charge: state,
                    amount: Money::yen(500),
                    refunded: 0,
                };
                if let Ok(settled) = settle(&standing, Fact::Done) {
                    table.push_str(&format!(
                        "{} of {}: {:?}\n",
                        kind.as_str(),
                        state.as_str(),
                        settled.effect
                    ));
                }
                assert_eq!(settle(&standing, Fact::Refused).expect("it changes nothing").effect, None);
            }
        }
        insta::assert_snapshot!(table, @r"
        capture of authorized: Some(Captured { taken: Money { minor: 400, currency: Jpy }, rest: 100 })
        void of authorized: Some(Released)
        reauthorize of authorized: Some(Reserved)
        refund of succeeded: Some(Refunded { before: 0, after: 400 })
        ");
        let over = Standing {
            state: State::Unknown,
            plan: Plan { kind: Kind::Refund, amount: Money::yen(401) },
            charge: charge::State::Succeeded,
            amount: Money::yen(500),
            refunded: 100,
        };
        assert!(settle(&over, Fact::Done).is_err());
    }

    #[test]
    fn what_is_stored_reads_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_stored(kind.as_str()), Some(kind));
        }
        for state in State::ALL {
            assert_eq!(State::from_stored(state.as_str()), Some(state));
        }
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_stored(refusal.as_str()), Some(refusal));
        }
        assert_eq!(
            (Kind::from_stored("x"), State::from_stored("x"), Refusal::from_stored("x")),
            (None, None, None)
        );
    }
}
