//! Orders: what a request asks to be executed, read from its body and checked.
//!
//! Decides whether a request is well formed and whether two requests with one key ask for the same thing. Executes nothing.
//! Order: the order, reading it, comparing it. The billing time is *not* compared: it is this stand-in's clock and no
//! parameter that a gateway has, and a resend on a test clock may rightly come later.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::book::{BookLine, Outcome};
use crate::index::Position;
use crate::token::Token;

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
    Refund(Refund),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) token: String,
    pub(crate) rule: Token,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) reference: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refund {
    /// Where the charge lies in the book.
    pub(crate) position: Position,
    pub(crate) charge: Box<BookLine>,
    /// Absent where the request asks for all that is left.
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
    idempotency_key: Option<String>,
    billing_time: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
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
        let rule = token.parse().map_err(|_| {
            bad("unknown_token", Some("token"), format!("there is no token of the form {token}"))
        })?;
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
            work: Work::Charge(Charge { token, rule, amount, currency, reference }),
        })
    }

    /// Reads the body of a refund of `charge`; an empty body asks for all that is left.
    pub(crate) fn refund(position: Position, charge: BookLine, body: &[u8]) -> Result<Self, BadOrder> {
        let body: RefundBody = if body.is_empty() { RefundBody::default() } else { from_json(body)? };
        let work = Work::Refund(Refund {
            position,
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

    /// The token that is charged or whose charge is refunded.
    pub(crate) fn token(&self) -> &str {
        match &self.work {
            Work::Charge(charge) => &charge.token,
            Work::Refund(refund) => &refund.charge.token,
        }
    }

    /// What the token does to the connection; refunds never hang by token.
    pub(crate) fn rule(&self) -> Token {
        match &self.work {
            Work::Charge(charge) => charge.rule,
            Work::Refund(_) => Token::Ok,
        }
    }

    /// Whether two orders with one key ask for the same thing.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.work == other.work
    }

    /// Whether the executed line is what this order asks for. A refund without an amount agrees with any amount, as the
    /// book does not say whether an amount was stated.
    pub(crate) fn is_same_as_line(&self, line: &BookLine) -> bool {
        match &self.work {
            Work::Charge(charge) => {
                line.outcome != Outcome::Refunded
                    && line.token == charge.token
                    && line.amount == charge.amount
                    && line.currency == charge.currency
                    && line.reference.as_ref() == Some(&charge.reference)
            }
            Work::Refund(refund) => {
                line.charge.as_ref() == Some(&refund.charge.id)
                    && refund.amount.is_none_or(|amount| line.amount == amount)
                    && line.reference == refund.reference
            }
        }
    }
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadOrder> {
    serde_json::from_slice(body)
        .map_err(|error| bad("invalid_json", None, format!("the body cannot be read: {error}")))
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
