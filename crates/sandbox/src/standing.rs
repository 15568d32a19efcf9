//! Where a charge stands: what its lines add up to, and what may still be done to it.
//!
//! Decides what is allowed and how much; makes no lines (`execution` does) and finds none (`desk` does). Order: what was
//! done since, the standing, the refusals.
//!
//! | charge | capture | void | reauth | refund |
//! |---|---|---|---|---|
//! | succeeded | `already_captured` | `already_captured` | `already_captured` | up to the amount |
//! | declined | `charge_not_authorized` | `charge_not_authorized` | `charge_not_authorized` | `charge_not_refundable` |
//! | authorized | up to the amount | all | all | `charge_not_refundable` |
//! | captured | `already_captured` | `already_captured` | `already_captured` | up to what was captured |
//! | voided | `already_voided` | `already_voided` | `already_voided` | `already_voided` |

use crate::book::{Action, BookLine, Kind, Outcome};

/// What was done to a charge after it was made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Since {
    hold: Hold,
    /// Minor units given back.
    refunded: i64,
}

/// What became of reserved money.
#[derive(Debug, Clone, Copy, Default)]
enum Hold {
    #[default]
    Kept,
    /// So many minor units were taken.
    Captured(i64),
    Voided,
}

impl Since {
    /// Takes in the next line of the charge.
    pub(crate) fn add(&mut self, line: &BookLine) {
        match line.kind() {
            Kind::Action(Action::Capture) => self.hold = Hold::Captured(line.amount),
            Kind::Action(Action::Void) => self.hold = Hold::Voided,
            Kind::Action(Action::Refund) => self.refunded += line.amount,
            Kind::Action(Action::Reauth) | Kind::Charge => {}
        }
    }
}

/// Where a charge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Succeeded,
    Declined,
    Authorized,
    Captured,
    Voided,
}

impl Status {
    /// The word of answers.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Voided => "voided",
        }
    }
}

/// A charge and what was done to it. Amounts in minor units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    /// What was asked for.
    amount: i64,
    /// What was taken, at once or later.
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
}

impl Standing {
    pub(crate) fn of(charge: &BookLine, since: Since) -> Self {
        let (status, captured) = match (charge.outcome, since.hold) {
            (Outcome::Succeeded, _) => (Status::Succeeded, charge.amount),
            (Outcome::Declined, _) => (Status::Declined, 0),
            (Outcome::Authorized, Hold::Kept) => (Status::Authorized, 0),
            (Outcome::Authorized, Hold::Captured(amount)) => (Status::Captured, amount),
            (Outcome::Authorized, Hold::Voided) => (Status::Voided, 0),
            (Outcome::Captured | Outcome::Voided | Outcome::Refunded, _) => {
                unreachable!("{} is no charge", charge.id)
            }
        };
        Self { status, amount: charge.amount, captured, refunded: since.refunded }
    }

    /// The amount of an action, if it may be done. `asked` is absent where all is meant.
    pub(crate) fn allow(&self, action: Action, asked: Option<i64>) -> Result<i64, Refusal> {
        match action {
            Action::Capture | Action::Void | Action::Reauth => self.reserved(asked),
            Action::Refund => self.refundable(asked),
        }
    }

    fn reserved(&self, asked: Option<i64>) -> Result<i64, Refusal> {
        match self.status {
            Status::Authorized => {}
            Status::Declined => return Err(Refusal::NotAuthorized),
            Status::Succeeded | Status::Captured => return Err(Refusal::AlreadyCaptured),
            Status::Voided => return Err(Refusal::AlreadyVoided),
        }
        let amount = asked.unwrap_or(self.amount);
        if amount > self.amount {
            return Err(Refusal::ExceedsAuthorization { authorized: self.amount });
        }
        Ok(amount)
    }

    fn refundable(&self, asked: Option<i64>) -> Result<i64, Refusal> {
        match self.status {
            Status::Succeeded | Status::Captured => {}
            Status::Declined | Status::Authorized => return Err(Refusal::NotRefundable),
            Status::Voided => return Err(Refusal::AlreadyVoided),
        }
        let rest = self.captured - self.refunded;
        assert!(rest >= 0, "a charge has more refunds than it took: {self:?}");
        if rest == 0 {
            return Err(Refusal::AlreadyRefunded);
        }
        let amount = asked.unwrap_or(rest);
        if amount > rest {
            return Err(Refusal::ExceedsRest { rest });
        }
        Ok(amount)
    }
}

/// Why something may not be done to a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the charge was declined, so no money is reserved")]
    NotAuthorized,
    #[error("the money of the charge has been taken")]
    AlreadyCaptured,
    #[error("the authorization has been released")]
    AlreadyVoided,
    #[error("only {authorized} is authorized")]
    ExceedsAuthorization { authorized: i64 },
    #[error("no money of the charge was taken, so there is nothing to give back")]
    NotRefundable,
    #[error("all of the charge has been given back")]
    AlreadyRefunded,
    #[error("only {rest} of the charge is left to give back")]
    ExceedsRest { rest: i64 },
}
