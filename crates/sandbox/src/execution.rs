//! What comes of an admitted order: the next line of the book, or a refusal.
//!
//! Decides by the token whether a charge or a renewal is declined, and asks `standing` what may be done to a charge. Reads
//! and writes nothing: the caller holds the lock under which the index stands still.

use jiff::Timestamp;

use crate::book::{self, Action, BookLine, Kind, Outcome};
use crate::index::Index;
use crate::order::{Act, Charge, Order, Work};
use crate::standing::{Refusal, Standing};
use crate::token::{Rule, Token, When};

/// The line that executing this order at `now` adds to the book.
pub(crate) fn next_line(index: &Index, order: &Order, now: Timestamp) -> Result<BookLine, Refusal> {
    match &order.work {
        Work::Charge(charge) => Ok(charge_line(index, order, charge, now)),
        Work::Act(act) => action_line(index, order, act, now),
    }
}

fn charge_line(index: &Index, order: &Order, charge: &Charge, now: Timestamp) -> BookLine {
    let at = order.billing_time.unwrap_or(now);
    let code = decline_code(index, charge.rule, &charge.token, charge.amount, at);
    let outcome = match (code, charge.capture) {
        (Some(_), _) => Outcome::Declined,
        (None, true) => Outcome::Succeeded,
        (None, false) => Outcome::Authorized,
    };
    BookLine {
        at,
        recorded_at: now,
        id: next_id(index, Kind::Charge),
        charge: None,
        token: charge.token.clone(),
        amount: charge.amount,
        currency: charge.currency.clone(),
        reference: Some(charge.reference.clone()),
        idempotency_key: order.key.clone(),
        capture: Some(charge.capture),
        outcome,
        code: code.map(str::to_owned),
    }
}

fn action_line(index: &Index, order: &Order, act: &Act, now: Timestamp) -> Result<BookLine, Refusal> {
    let charge = &act.charge;
    let at = order.billing_time.unwrap_or(now);
    let amount = Standing::of(charge, index.since(act.position)).allow(act.action, act.amount)?;
    let (outcome, code) = match act.action {
        Action::Capture => (Outcome::Captured, None),
        Action::Void => (Outcome::Voided, None),
        Action::Refund => (Outcome::Refunded, None),
        Action::Reauth => match decline_code(index, act.rule, &charge.token, amount, at) {
            Some(code) => (Outcome::Declined, Some(code)),
            None => (Outcome::Authorized, None),
        },
    };
    Ok(BookLine {
        at,
        recorded_at: now,
        id: next_id(index, Kind::Action(act.action)),
        charge: Some(charge.id.clone()),
        token: charge.token.clone(),
        amount,
        currency: charge.currency.clone(),
        reference: act.reference.clone(),
        idempotency_key: order.key.clone(),
        capture: None,
        outcome,
        code: code.map(str::to_owned),
    })
}

/// Why the token declines this amount at this billing time, if it does.
fn decline_code(index: &Index, rule: Rule, token: &str, amount: i64, at: Timestamp) -> Option<&'static str> {
    if rule.expires_at.is_some_and(|end| at >= end) {
        return Some("expired_card");
    }
    match rule.token {
        Token::Ok | Token::HangBefore(_) | Token::HangAfter(_) => None,
        Token::Decline { code, when } => {
            let is_declined = match when {
                When::Always => true,
                When::Times(times) => index.executions(token) < times,
                When::Until(instant) => at < instant,
                When::From(instant) => at >= instant,
                When::Over(limit) => amount > limit,
            };
            is_declined.then_some(code)
        }
    }
}

fn next_id(index: &Index, kind: Kind) -> String {
    book::id_of(kind, book::as_u64(index.lines()) + 1)
}
