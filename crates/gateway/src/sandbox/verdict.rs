//! What an answer of the sandbox means (specs/reliability-security.md B3). Pure: an answer in, a verdict out.
//!
//! | answer | verdict |
//! |---|---|
//! | 2xx, a charge or an action as asked, with our reference, amount and currency | known, as it says |
//! | 2xx of any other kind | unknown, alarm |
//! | 402, a decline whose charge or action is as asked, with our reference, amount and currency | known: declined |
//! | 400, 404, 405, 413, 415, 422 with the sandbox's own error | not executed: the request is refused, or cannot be done to the charge |
//! | 401, 403 with the sandbox's own error | not executed: the credentials are refused |
//! | 409 `idempotency_in_progress` | in progress |
//! | 409 `idempotency_conflict` | unknown, alarm: frozen |
//! | 429 with the sandbox's own error | not executed, if the sandbox declares so; else unknown |
//! | any of these without the sandbox's own error; 1xx, 3xx, 5xx | unknown |
//!
//! Order: the answer to a request that moves money, the look-ups, what they share. What is told of a charge or an action is
//! read by `told`.

use billing::money::Money;
use serde::Deserialize;

use super::told::Told;
use super::wire::{self, Acted, Charge, ErrorKind, Failure, List};
use crate::http::Answer;
use crate::{ActionTruth, Alarm, Lookup, Obstacle, Refusal, Reply};

/// What an answer must agree with before it is believed.
pub(super) struct Expectation<'a, A> {
    pub(super) reference: &'a str,
    pub(super) amount: Money,
    pub(super) asked: A,
    /// Whether the sandbox declares that a 429 means that nothing was done.
    pub(super) too_many_is_unexecuted: bool,
}

/// What the answer to a request that moves money means, where it tells of a `T`.
pub(super) fn classify<'a, T: Told<'a>>(
    expected: &Expectation<'_, T::Asked>,
    answer: &'a Answer,
) -> Reply<T::Truth> {
    match answer.status {
        200..=299 => match parse::<T>(answer) {
            Some(told) => believe(expected, &told),
            None => unknown("a success that cannot be read", Some(Alarm::Malformed)),
        },
        400..=499 => match own_failure(answer) {
            Some(failure) => refused::<T>(expected, answer, &failure),
            None => unknown(format!("status {} in a foreign form", answer.status), None),
        },
        status => unknown(format!("status {status}"), None),
    }
}

fn refused<'a, T: Told<'a>>(
    expected: &Expectation<'_, T::Asked>,
    answer: &Answer,
    failure: &Failure<'a>,
) -> Reply<T::Truth> {
    let code = failure.error.code.as_str();
    let reason = format!("status {}: {code}", answer.status);
    match (answer.status, failure.error.kind) {
        (402, ErrorKind::Card) => declined::<T>(expected, failure),
        (409, ErrorKind::Idempotency) if code == "idempotency_in_progress" => Reply::InProgress,
        (409, ErrorKind::Idempotency) if code == "idempotency_conflict" => {
            unknown(reason, Some(Alarm::KeyMismatch))
        }
        (429, _) if !expected.too_many_is_unexecuted => unknown(reason, None),
        _ => match refusal_of(answer, failure) {
            Some(refusal) => Reply::NotExecuted { reason, refusal },
            None => unknown(reason, None),
        },
    }
}

/// A decline is believed only if the error and what it is about say the same.
fn declined<'a, T: Told<'a>>(expected: &Expectation<'_, T::Asked>, failure: &Failure<'a>) -> Reply<T::Truth> {
    let agrees = |told: &&T| told.decline_code() == Some(failure.error.code.as_str());
    match T::of_failure(failure).filter(agrees) {
        Some(told) => believe(expected, told),
        None => unknown("a decline that contradicts itself", Some(Alarm::Malformed)),
    }
}

/// What is told as truth, if it is of what was asked for.
fn believe<'a, T: Told<'a>>(expected: &Expectation<'_, T::Asked>, told: &T) -> Reply<T::Truth> {
    let Some(reference) = told.reference() else {
        return unknown("an answer without a reference", Some(Alarm::WrongReference));
    };
    if reference != expected.reference {
        return unknown("an answer with another reference", Some(Alarm::WrongReference));
    }
    if told.amount() != (expected.amount.minor, expected.amount.currency.code()) {
        return unknown("an answer with another amount or currency", Some(Alarm::WrongAmount));
    }
    if let Some((reason, alarm)) = told.contradiction(&expected.asked) {
        return unknown(reason, Some(alarm));
    }
    match told.truth() {
        Some(truth) => Reply::Known(truth),
        None => unknown("an answer that contradicts itself", Some(Alarm::Malformed)),
    }
}

fn unknown<T>(reason: impl Into<String>, alarm: Option<Alarm>) -> Reply<T> {
    Reply::Unknown { reason: reason.into(), alarm }
}

/// What the answer to `GET /charges/{id}` means.
pub(super) fn found_by_id(id: &str, answer: &Answer) -> Lookup {
    if answer.status != 200 {
        return missing_or_failed(answer);
    }
    match parse::<Charge<'_>>(answer).as_ref().and_then(Told::truth) {
        Some(truth) if truth.gateway_charge_id == id => Lookup::Found(truth),
        Some(_) => failed("the look-up was answered with another charge"),
        None => failed("the answer to the look-up cannot be read"),
    }
}

/// What the answer to `GET /charges?reference=…` means.
pub(super) fn found_by_reference(reference: &str, answer: &Answer) -> Lookup {
    found_in_list::<Charge<'_>>(answer, |truth| truth.reference == reference)
}

/// What the answer to `GET /charges/{id}/actions?reference=…` means.
pub(super) fn found_action(gateway_charge_id: &str, reference: &str, answer: &Answer) -> Lookup<ActionTruth> {
    let is_meant =
        |truth: &ActionTruth| truth.reference == reference && truth.gateway_charge_id == gateway_charge_id;
    found_in_list::<Acted<'_>>(answer, is_meant)
}

/// A list that is not whole, or that holds what was not asked for, tells nothing.
fn found_in_list<'a, T: Told<'a>>(
    answer: &'a Answer,
    is_meant: impl Fn(&T::Truth) -> bool,
) -> Lookup<T::Truth> {
    if answer.status != 200 {
        return refused_lookup(answer, own_failure(answer).as_ref());
    }
    let Some(list) = parse::<List<T>>(answer).filter(|list| !list.has_more) else {
        return failed("the answer to the look-up cannot be read or is not whole");
    };
    let Some(mut truths) = list.data.iter().map(Told::truth).collect::<Option<Vec<_>>>() else {
        return failed("the answer to the look-up cannot be read");
    };
    if !truths.iter().all(is_meant) {
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
    refused_lookup(answer, failure.as_ref())
}

fn refused_lookup<T>(answer: &Answer, failure: Option<&Failure<'_>>) -> Lookup<T> {
    Lookup::Failed {
        reason: format!("the look-up was answered with status {}", answer.status),
        refusal: failure.and_then(|failure| refusal_of(answer, failure)),
    }
}

fn failed<T>(reason: &str) -> Lookup<T> {
    Lookup::Failed { reason: reason.to_owned(), refusal: None }
}

/// What kind of refusal an own error is; `None` if it does not say that nothing was done.
fn refusal_of(answer: &Answer, failure: &Failure<'_>) -> Option<Refusal> {
    match (answer.status, failure.error.kind) {
        (401 | 403, ErrorKind::InvalidRequest | ErrorKind::Auth) => Some(Refusal::Unauthorized),
        (429, ErrorKind::RateLimit) => Some(Refusal::RateLimited { retry_after_ms: answer.retry_after_ms }),
        (400 | 404 | 405 | 413 | 415 | 422, ErrorKind::InvalidRequest) => {
            let code = failure.error.code.as_str().to_owned();
            Some(match obstacle_of(&code) {
                Some(obstacle) => Refusal::NotPossible { obstacle, code },
                None => Refusal::InvalidRequest { code },
            })
        }
        _ => None,
    }
}

/// What stands in the way of an action, by the sandbox's codes.
fn obstacle_of(code: &str) -> Option<Obstacle> {
    match code {
        "charge_not_authorized" => Some(Obstacle::NotAuthorized),
        "already_captured" => Some(Obstacle::AlreadyCaptured),
        "already_voided" => Some(Obstacle::AlreadyVoided),
        "charge_not_refundable" => Some(Obstacle::NothingTaken),
        "already_refunded" => Some(Obstacle::AlreadyRefunded),
        "capture_exceeds_authorization" | "refund_exceeds_charge" => Some(Obstacle::AmountTooLarge),
        _ => None,
    }
}

/// An error in the sandbox's own form; a page of something in between is none.
fn own_failure(answer: &Answer) -> Option<Failure<'_>> {
    parse::<Failure<'_>>(answer).filter(|failure| wire::is_code(failure.error.code.as_str()))
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Option<T> {
    answer.is_json.then(|| serde_json::from_slice(&answer.body).ok()).flatten()
}

#[cfg(test)]
mod tests;
