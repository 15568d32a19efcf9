//! Orders: what a request asks to be executed, read from its body and checked.
//!
//! Decides whether a request is well formed and whether two requests with one key ask for the same thing. Executes nothing.
//! Order: the order, reading it, comparing it. The billing time is *not* compared: it is this stand-in's clock and no
//! parameter that a gateway has, and a resend on a test clock may rightly come later.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::book::{Action, BookLine, Kind};
use crate::index::Position;
use crate::token::{Rule, Token};

/// Longest token, reference and idempotency key, in bytes.
const TEXT_BYTES_MAX: usize = 255;
/// Largest amount of one charge, in minor units.
const AMOUNT_MAX: i64 = 999_999_999_999;

/// A request that moves money when executed.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) key: Option<String>,
    /// Stated by the request; decides the outcome of `_until_` tokens.
    pub(crate) billing_time: Option<Timestamp>,
    pub(crate) work: Work,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    Charge(Charge),
    Act(Act),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) token: String,
    pub(crate) rule: Rule,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) reference: String,
    /// Whether the money is taken, or only reserved.
    pub(crate) capture: bool,
}

/// Something to be done to a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) action: Action,
    /// Where the charge lies in the book.
    pub(crate) position: Position,
    pub(crate) charge: Box<BookLine>,
    /// What the token of the charge says.
    pub(crate) rule: Rule,
    /// Absent where the request asks for all that there is.
    pub(crate) amount: Option<i64>,
    pub(crate) reference: Option<String>,
}

/// Why a body is no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadOrder {
    pub(crate) code: &'static str,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeBody {
    token: Option<String>,
    amount: Option<i64>,
    currency: Option<String>,
    reference: Option<String>,
    capture: Option<bool>,
    idempotency_key: Option<String>,
    billing_time: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActBody {
    amount: Option<i64>,
    reference: Option<String>,
    idempotency_key: Option<String>,
    billing_time: Option<String>,
}

impl Order {
    /// Reads the body of `POST /charges`.
    pub(crate) fn charge(body: &[u8]) -> Result<Self, BadOrder> {
        let body: ChargeBody = from_json(body)?;
        let token = text("token", required("token", body.token)?)?;
        let rule = rule_of(&token)?;
        let amount = amount_in_range(required("amount", body.amount)?)?;
        let currency = required("currency", body.currency)?;
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(bad(
                "invalid_currency",
                Some("currency"),
                "the currency must be three letters".to_owned(),
            ));
        }
        let reference = text("reference", required("reference", body.reference)?)?;
        Ok(Self {
            key: optional_text("idempotency_key", body.idempotency_key)?,
            billing_time: optional_instant(body.billing_time)?,
            work: Work::Charge(Charge {
                token,
                rule,
                amount,
                currency,
                reference,
                capture: body.capture.unwrap_or(true),
            }),
        })
    }

    /// Reads the body of an action on `charge`; an empty body asks for all that there is.
    pub(crate) fn act(
        action: Action,
        position: Position,
        charge: BookLine,
        body: &[u8],
    ) -> Result<Self, BadOrder> {
        let body: ActBody = if body.is_empty() { ActBody::default() } else { from_json(body)? };
        let takes_amount = matches!(action, Action::Capture | Action::Refund);
        if body.amount.is_some() && !takes_amount {
            let message = format!("a {} is always of the whole authorization", action.word());
            return Err(bad("invalid_amount", Some("amount"), message));
        }
        let work = Work::Act(Act {
            action,
            position,
            rule: rule_of(&charge.token)?,
            charge: Box::new(charge),
            amount: body.amount.map(amount_in_range).transpose()?,
            reference: optional_text("reference", body.reference)?,
        });
        Ok(Self {
            key: optional_text("idempotency_key", body.idempotency_key)?,
            billing_time: optional_instant(body.billing_time)?,
            work,
        })
    }

    /// The token that is charged, or to whose charge something is done.
    pub(crate) fn token(&self) -> &str {
        match &self.work {
            Work::Charge(charge) => &charge.token,
            Work::Act(act) => &act.charge.token,
        }
    }

    /// What the token does to the connection; what is done to a charge never hangs by token.
    pub(crate) fn rule(&self) -> Token {
        match &self.work {
            Work::Charge(charge) => charge.rule.token,
            Work::Act(_) => Token::Ok,
        }
    }

    /// Whether two orders with one key ask for the same thing.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.work == other.work
    }

    /// Whether the executed line is what this order asks for. An action without an amount agrees with any amount, as the
    /// book does not say whether an amount was stated.
    pub(crate) fn is_same_as_line(&self, line: &BookLine) -> bool {
        match &self.work {
            Work::Charge(charge) => {
                line.kind() == Kind::Charge
                    && line.token == charge.token
                    && line.amount == charge.amount
                    && line.currency == charge.currency
                    && line.reference.as_ref() == Some(&charge.reference)
                    && line.capture.unwrap_or(true) == charge.capture
            }
            Work::Act(act) => {
                line.kind() == Kind::Action(act.action)
                    && line.charge.as_ref() == Some(&act.charge.id)
                    && act.amount.is_none_or(|amount| line.amount == amount)
                    && line.reference == act.reference
            }
        }
    }
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadOrder> {
    serde_json::from_slice(body)
        .map_err(|error| bad("invalid_json", None, format!("the body cannot be read: {error}")))
}

fn rule_of(token: &str) -> Result<Rule, BadOrder> {
    let refuse = |_| bad("unknown_token", Some("token"), format!("there is no token of the form {token}"));
    token.parse().map_err(refuse)
}

fn required<T>(param: &'static str, value: Option<T>) -> Result<T, BadOrder> {
    value.ok_or_else(|| bad("missing_param", Some(param), format!("{param} is missing")))
}

fn optional_text(param: &'static str, value: Option<String>) -> Result<Option<String>, BadOrder> {
    value.map(|value| text(param, value)).transpose()
}

fn text(param: &'static str, value: String) -> Result<String, BadOrder> {
    if value.is_empty() || value.len() > TEXT_BYTES_MAX {
        let message = format!("{param} must have 1 to {TEXT_BYTES_MAX} bytes");
        return Err(bad("invalid_length", Some(param), message));
    }
    Ok(value)
}

fn amount_in_range(amount: i64) -> Result<i64, BadOrder> {
    if (1..=AMOUNT_MAX).contains(&amount) {
        return Ok(amount);
    }
    Err(bad("invalid_amount", Some("amount"), format!("the amount must be from 1 to {AMOUNT_MAX}")))
}

fn optional_instant(value: Option<String>) -> Result<Option<Timestamp>, BadOrder> {
    let message = "the billing time must be an instant as in RFC 3339, such as 2026-03-31T00:00:00Z";
    let refuse = |_| bad("invalid_billing_time", Some("billing_time"), message.to_owned());
    value.map(|value| value.parse().map_err(refuse)).transpose()
}

fn bad(code: &'static str, param: Option<&'static str>, message: String) -> BadOrder {
    BadOrder { code, param, message }
}
