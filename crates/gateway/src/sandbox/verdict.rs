//! What an answer of the sandbox means (specs/reliability-security.md B3). Pure: an answer in, a verdict out.
//!
//! | answer | verdict |
//! |---|---|
//! | 2xx, a charge with our reference, amount and currency | known, as it says |
//! | 2xx of any other kind | unknown, alarm |
//! | 402, a decline whose charge has our reference, amount and currency | known: declined |
//! | 400, 404, 405, 413, 415, 422 with the sandbox's own error | not executed: the request is refused |
//! | 401, 403 with the sandbox's own error | not executed: the credentials are refused |
//! | 409 `idempotency_in_progress` | in progress |
//! | 409 `idempotency_conflict` | unknown, alarm: frozen |
//! | 429 with the sandbox's own error | not executed, if the sandbox declares so; else unknown |
//! | any of these without the sandbox's own error; 1xx, 3xx, 5xx | unknown |
//!
//! Order: a charge's answer, the look-ups, what they share.

use billing::decline::DeclineClass;
use billing::money::{Currency, Money};

use super::wire::{self, Charge, ErrorKind, Failure, List, Object, Status};
use crate::http::Answer;
use crate::{Alarm, ChargeReply, Lookup, Outcome, Refusal, Truth};

/// What an answer to a charge must agree with before it is believed.
pub(super) struct Expectation<'a> {
    pub(super) reference: &'a str,
    pub(super) amount: Money,
    /// Whether the sandbox declares that a 429 means that nothing was done.
    pub(super) too_many_is_unexecuted: bool,
}

/// What the answer to a charge request means.
pub(super) fn classify(expected: &Expectation<'_>, answer: &Answer) -> ChargeReply {
    match answer.status {
        200..=299 => match parse::<Charge<'_>>(answer) {
            Some(charge) => believe(expected, &charge),
            None => unknown("a success that cannot be read", Some(Alarm::Malformed)),
        },
        400..=499 => match own_failure(answer) {
            Some(failure) => refused(expected, answer, &failure),
            None => unknown(format!("status {} in a foreign form", answer.status), None),
        },
        status => unknown(format!("status {status}"), None),
    }
}

fn refused(expected: &Expectation<'_>, answer: &Answer, failure: &Failure<'_>) -> ChargeReply {
    let code = failure.error.code.as_str();
    let reason = format!("status {}: {code}", answer.status);
    match (answer.status, failure.error.kind) {
        (402, ErrorKind::Card) => declined(expected, failure),
        (409, ErrorKind::Idempotency) if code == "idempotency_in_progress" => ChargeReply::InProgress,
        (409, ErrorKind::Idempotency) if code == "idempotency_conflict" => {
            unknown(reason, Some(Alarm::KeyMismatch))
        }
        (429, _) if !expected.too_many_is_unexecuted => unknown(reason, None),
        _ => match refusal_of(answer, failure) {
            Some(refusal) => ChargeReply::NotExecuted { reason, refusal },
            None => unknown(reason, None),
        },
    }
}

/// A decline is believed only if error and charge say the same.
fn declined(expected: &Expectation<'_>, failure: &Failure<'_>) -> ChargeReply {
    let agrees = |charge: &&Charge<'_>| {
        let code = charge.code.as_ref().map(wire::Text::as_str);
        charge.status == Status::Declined && code == Some(failure.error.code.as_str())
    };
    match failure.charge.as_ref().filter(agrees) {
        Some(charge) => believe(expected, charge),
        None => unknown("a decline that contradicts itself", Some(Alarm::Malformed)),
    }
}

/// The charge as truth, if it is the one that was asked for.
fn believe(expected: &Expectation<'_>, charge: &Charge<'_>) -> ChargeReply {
    let Some(reference) = &charge.reference else {
        return unknown("an answer without a reference", Some(Alarm::WrongReference));
    };
    if reference.as_str() != expected.reference {
        return unknown("an answer with another reference", Some(Alarm::WrongReference));
    }
    if charge.amount != expected.amount.minor || charge.currency.as_str() != expected.amount.currency.code() {
        return unknown("an answer with another amount or currency", Some(Alarm::WrongAmount));
    }
    match truth_of(charge) {
        Some(truth) => ChargeReply::Known(truth),
        None => unknown("an answer that contradicts itself", Some(Alarm::Malformed)),
    }
}

fn unknown(reason: impl Into<String>, alarm: Option<Alarm>) -> ChargeReply {
    ChargeReply::Unknown { reason: reason.into(), alarm }
}

/// What the answer to `GET /charges/{id}` means.
pub(super) fn found_by_id(id: &str, answer: &Answer) -> Lookup {
    if answer.status != 200 {
        return missing_or_failed(answer);
    }
    match parse::<Charge<'_>>(answer).as_ref().and_then(truth_of) {
        Some(truth) if truth.gateway_charge_id == id => Lookup::Found(truth),
        Some(_) => failed("the look-up was answered with another charge"),
        None => failed("the answer to the look-up cannot be read"),
    }
}

/// What the answer to `GET /charges?reference=…` means. A list that is not whole, or that holds charges with
/// another reference, tells nothing.
pub(super) fn found_by_reference(reference: &str, answer: &Answer) -> Lookup {
    if answer.status != 200 {
        return Lookup::Failed {
            reason: format!("the look-up was answered with status {}", answer.status),
            refusal: own_failure(answer).and_then(|failure| refusal_of(answer, &failure)),
        };
    }
    let Some(list) = parse::<List<'_>>(answer).filter(|list| !list.has_more) else {
        return failed("the answer to the look-up cannot be read or is not whole");
    };
    let Some(mut truths) = list.data.iter().map(truth_of).collect::<Option<Vec<_>>>() else {
        return failed("the answer to the look-up cannot be read");
    };
    if truths.iter().any(|truth| truth.reference != reference) {
        return failed("the look-up was answered with another reference");
    }
    match truths.len() {
        0 => Lookup::Absent,
        1 => Lookup::Found(truths.remove(0)),
        _ => Lookup::Several(truths),
    }
}

/// Only the sandbox's own `not_found` says that there is no such charge.
fn missing_or_failed(answer: &Answer) -> Lookup {
    let failure = own_failure(answer);
    let is_missing = |failure: &Failure<'_>| {
        failure.error.kind == ErrorKind::InvalidRequest && failure.error.code.as_str() == "not_found"
    };
    if answer.status == 404 && failure.as_ref().is_some_and(is_missing) {
        return Lookup::Absent;
    }
    Lookup::Failed {
        reason: format!("the look-up was answered with status {}", answer.status),
        refusal: failure.and_then(|failure| refusal_of(answer, &failure)),
    }
}

fn failed(reason: &str) -> Lookup {
    Lookup::Failed { reason: reason.to_owned(), refusal: None }
}

/// What kind of refusal an own error is; `None` if it does not say that nothing was done.
fn refusal_of(answer: &Answer, failure: &Failure<'_>) -> Option<Refusal> {
    match (answer.status, failure.error.kind) {
        (401 | 403, ErrorKind::InvalidRequest | ErrorKind::Auth) => Some(Refusal::Unauthorized),
        (429, ErrorKind::RateLimit) => Some(Refusal::RateLimited { retry_after_ms: answer.retry_after_ms }),
        (400 | 404 | 405 | 413 | 415 | 422, ErrorKind::InvalidRequest) => {
            Some(Refusal::InvalidRequest { code: failure.error.code.as_str().to_owned() })
        }
        _ => None,
    }
}

/// The charge as truth; `None` if it contradicts itself or is not in a form that can be stored.
fn truth_of(charge: &Charge<'_>) -> Option<Truth> {
    let Charge { object: Object::Charge, id, status, amount, currency, reference, code } = charge;
    let currency: Currency = currency.as_str().parse().ok()?;
    let outcome = match (status, code) {
        (Status::Succeeded, None) => Outcome::Succeeded,
        (Status::Declined, Some(code)) if wire::is_code(code.as_str()) => {
            Outcome::Declined { code: code.as_str().to_owned(), class: DeclineClass::of(code.as_str()) }
        }
        (Status::Succeeded, Some(_)) | (Status::Declined, _) => return None,
    };
    wire::is_id(id.as_str()).then(|| Truth {
        gateway_charge_id: id.as_str().to_owned(),
        reference: reference.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default(),
        amount: Money::new(*amount, currency),
        outcome,
    })
}

/// An error in the sandbox's own form; a page of something in between is none.
fn own_failure(answer: &Answer) -> Option<Failure<'_>> {
    parse::<Failure<'_>>(answer).filter(|failure| wire::is_code(failure.error.code.as_str()))
}

fn parse<'a, T: serde::Deserialize<'a>>(answer: &'a Answer) -> Option<T> {
    answer.is_json.then(|| serde_json::from_slice(&answer.body).ok()).flatten()
}

#[cfg(test)]
mod tests;
