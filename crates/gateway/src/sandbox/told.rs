//! What the sandbox tells of one thing, a charge or something done to one, as truth.
//!
//! Decides whether it fits the request and whether it contradicts itself, not what an answer as a whole proves (`verdict`
//! does). Order: what both have in common, charges, actions.

use billing::decline::DeclineClass;
use billing::money::{Currency, Money};
use serde::Deserialize;

use super::wire::{self, Acted, ActedObject, ActedStatus, Charge, Failure, Object, Status, Text};
use crate::{Action, ActionOutcome, ActionTruth, Alarm, Outcome, Truth};

/// A charge or an action as the sandbox tells it.
pub(super) trait Told<'a>: Deserialize<'a> {
    /// What a request asks for beside reference and amount.
    type Asked;
    type Truth;

    /// The one that the error of a decline is about.
    fn of_failure<'f>(failure: &'f Failure<'a>) -> Option<&'f Self>;

    /// The code, if it says that it was declined.
    fn decline_code(&self) -> Option<&str>;

    fn reference(&self) -> Option<&str>;

    /// Minor units and currency.
    fn amount(&self) -> (i64, &str);

    /// What in it is not what was asked for, if anything.
    fn contradiction(&self, asked: &Self::Asked) -> Option<(&'static str, Alarm)>;

    /// `None` if it contradicts itself or is not in a form that can be stored.
    fn truth(&self) -> Option<Self::Truth>;
}

/// Whether a charge was to take the money; else it was to reserve it.
pub(super) struct Capture(pub(super) bool);

impl<'a> Told<'a> for Charge<'a> {
    type Asked = Capture;
    type Truth = Truth;

    fn of_failure<'f>(failure: &'f Failure<'a>) -> Option<&'f Self> {
        failure.charge.as_ref()
    }

    fn decline_code(&self) -> Option<&str> {
        (self.status == Status::Declined).then(|| self.code.as_ref().map(Text::as_str)).flatten()
    }

    fn reference(&self) -> Option<&str> {
        self.reference.as_ref().map(Text::as_str)
    }

    fn amount(&self) -> (i64, &str) {
        (self.amount, self.currency.as_str())
    }

    fn contradiction(&self, &Capture(capture): &Capture) -> Option<(&'static str, Alarm)> {
        let fits = match self.status {
            Status::Declined => true,
            Status::Succeeded => capture,
            Status::Authorized | Status::Captured | Status::Voided => !capture,
        };
        let what = if capture { "the money was not taken at once" } else { "the money was not reserved" };
        (!fits).then_some((what, Alarm::Malformed))
    }

    fn truth(&self) -> Option<Truth> {
        let Charge { object: Object::Charge, id, status, amount, captured_amount, currency, reference, code } =
            self;
        let currency: Currency = currency.as_str().parse().ok()?;
        let outcome = match (status, code, *captured_amount) {
            (Status::Declined, Some(code), None | Some(0)) => {
                let (code, class) = decline(code)?;
                Outcome::Declined { code, class }
            }
            (Status::Succeeded, None, taken) if taken.is_none_or(|taken| taken == *amount) => {
                Outcome::Succeeded
            }
            (Status::Authorized, None, Some(0)) => Outcome::Authorized,
            (Status::Captured, None, Some(taken)) if taken == *amount => Outcome::Succeeded,
            (Status::Captured, None, Some(taken)) if (1..*amount).contains(&taken) => {
                Outcome::PartlyCaptured { captured: Money::new(taken, currency) }
            }
            (Status::Voided, None, Some(0)) => Outcome::Voided,
            (
                Status::Declined | Status::Succeeded | Status::Authorized | Status::Captured | Status::Voided,
                _,
                _,
            ) => return None,
        };
        wire::is_id(id.as_str()).then(|| Truth {
            gateway_charge_id: id.as_str().to_owned(),
            reference: text_of(reference),
            amount: Money::new(*amount, currency),
            outcome,
        })
    }
}

/// What was to be done, and to which charge.
pub(super) struct Deed<'a> {
    pub(super) action: Action,
    pub(super) gateway_charge_id: &'a str,
}

impl<'a> Told<'a> for Acted<'a> {
    type Asked = Deed<'a>;
    type Truth = ActionTruth;

    fn of_failure<'f>(failure: &'f Failure<'a>) -> Option<&'f Self> {
        failure.action.as_ref()
    }

    fn decline_code(&self) -> Option<&str> {
        (self.status == ActedStatus::Declined).then(|| self.code.as_ref().map(Text::as_str)).flatten()
    }

    fn reference(&self) -> Option<&str> {
        self.reference.as_ref().map(Text::as_str)
    }

    fn amount(&self) -> (i64, &str) {
        (self.amount, self.currency.as_str())
    }

    fn contradiction(&self, asked: &Deed<'a>) -> Option<(&'static str, Alarm)> {
        if self.charge.as_str() != asked.gateway_charge_id {
            return Some(("an answer about another charge", Alarm::WrongReference));
        }
        (action_of(self.object) != asked.action).then_some(("something else was done", Alarm::Malformed))
    }

    fn truth(&self) -> Option<ActionTruth> {
        let Acted { object, id, charge, status, amount, currency, reference, code } = self;
        let outcome = match (status, code, object) {
            (ActedStatus::Succeeded, None, _) => ActionOutcome::Done,
            (ActedStatus::Declined, Some(code), ActedObject::Reauth) => {
                let (code, class) = decline(code)?;
                ActionOutcome::Declined { code, class }
            }
            (ActedStatus::Succeeded, Some(_), _) | (ActedStatus::Declined, _, _) => return None,
        };
        let amount = Money::new(*amount, currency.as_str().parse().ok()?);
        (wire::is_id(id.as_str()) && wire::is_id(charge.as_str())).then(|| ActionTruth {
            gateway_action_id: id.as_str().to_owned(),
            gateway_charge_id: charge.as_str().to_owned(),
            reference: text_of(reference),
            action: action_of(*object),
            amount,
            outcome,
        })
    }
}

fn action_of(object: ActedObject) -> Action {
    match object {
        ActedObject::Capture => Action::Capture,
        ActedObject::Void => Action::Void,
        ActedObject::Reauth => Action::Reauthorize,
        ActedObject::Refund => Action::Refund,
    }
}

fn decline(code: &Text<'_>) -> Option<(String, DeclineClass)> {
    wire::is_code(code.as_str()).then(|| (code.as_str().to_owned(), DeclineClass::of(code.as_str())))
}

fn text_of(text: &Option<Text<'_>>) -> String {
    text.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default()
}
