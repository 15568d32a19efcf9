//! Capture, refund and reauthorization over HTTP.

use billing::charge_action::{Asked, Kind, Refusal};
use billing::id::ChargeId;
use billing::three_d_secure::Refused;

use super::prepare::{Intent, prepare};
use super::{perform, store::Outcome, watch};
use crate::charges::request;
use crate::charges::view::{ChargeView, payjp_code};
use crate::three_d_secure;
use crate::web::params::{Given, Param};
use crate::web::{Access, Answer, ApiError, Call, Operation, Shape};

/// Days for which money is reserved anew when the request does not say.
const RESERVE_DAYS: i64 = 7;

/// POST /v1/charges/{charge}/capture
pub static CAPTURE: Operation = Operation {
    access: Access::Write,
    object: "charge",
    summary: "Takes money that a charge has reserved, all or a part; the rest is released.",
    params: &[Param::int(
        "amount",
        (50, 9_999_999),
        "invalid_amount",
        "How much is taken; all when it is not sent.",
    )],
    answer: Shape::one::<ChargeView>(),
    run: |call| {
        let asked = Asked::Capture(call.params.int("amount"));
        Box::pin(act(call, asked))
    },
};

/// POST /v1/charges/{charge}/refund
pub static REFUND: Operation = Operation {
    access: Access::Write,
    object: "charge",
    summary: "Gives back money of a charge, all or a part, within 180 days; releases one that was only reserved.",
    params: &[
        Param::int(
            "amount",
            (1, 9_999_999),
            "invalid_refund_amount",
            "How much is given back; all that is left when it is not sent.",
        ),
        Param::text("refund_reason", 255, "Why, for yourself.").coded("invalid_refund_reason"),
    ],
    answer: Shape::one::<ChargeView>(),
    run: |call| {
        let asked = Asked::Refund(call.params.int("amount"));
        Box::pin(act(call, asked))
    },
};

/// POST /v1/charges/{charge}/reauth
pub static REAUTHORIZE: Operation = Operation {
    access: Access::Write,
    object: "charge",
    summary: "Reserves the money of a charge anew, from now on.",
    params: &[Param::int(
        "expiry_days",
        (1, 60),
        "invalid_expiry_days",
        "Days of the new reservation; 7 when it is not sent.",
    )],
    answer: Shape::one::<ChargeView>(),
    run: |call| Box::pin(act(call, Asked::Reauthorize)),
};

async fn act(call: Call, asked: Asked) -> Result<Answer, ApiError> {
    let reason = match call.params.given("refund_reason") {
        Given::Set(text) => Some(text.to_owned()),
        Given::Cleared => Some(String::new()),
        Given::Absent => None,
    };
    let intent = Intent {
        side: call.side(),
        charge: call.id(0).to_owned(),
        asked,
        reason,
        expiry_days: call.params.int("expiry_days").unwrap_or(RESERVE_DAYS),
        now: call.now,
    };
    let key = call.site.app.key.clone();
    let begun = request::begin(&call, move |tx, side| {
        let order = prepare(tx, &side.line, &key, &intent)?;
        Ok((order.begun(), order))
    });
    let shown = match begun.await? {
        (_, Some((side, order))) => perform(&call, &side, order).await?,
        (begun, None) => watch(&call, &begun).await?,
    };
    Answer::json(&shown.view)
}

/// Why something cannot be done to a charge: 400, and 409 while something else is under way.
pub(super) fn refused(asked: Asked, refusal: Refusal, charge: ChargeId) -> ApiError {
    let of = |code, message: &str| ApiError::client(code, format!("The charge {charge} {message}."));
    match refusal {
        Refusal::InProgress => ApiError::conflict(
            "payment_in_progress",
            format!(
                "The outcome of a payment of the charge {charge} is not known yet; try again when it is."
            ),
        ),
        Refusal::Unconfirmed => three_d_secure::refusal(charge.as_str(), Refused::Incompleted),
        Refusal::ChargeFailed => of("failed_payment", "has failed"),
        Refusal::AlreadyCaptured => of("already_captured", "has already been captured"),
        Refusal::Released => match asked {
            Asked::Reauthorize => of("cant_reauth_refunded_charge", "has been released"),
            Asked::Capture(_) | Asked::Refund(_) => of("cant_capture_refunded_charge", "has been released"),
        },
        Refusal::Expired => of("charge_expired", "was not captured in time: its reservation has ended"),
        Refusal::NotAuthorized => {
            of("operation_not_allowed_on_no_authorized_charge", "has nothing reserved any more")
        }
        Refusal::CaptureTooLarge => {
            of("capture_amount_gt_net", "has less reserved than that").about_param("amount")
        }
        Refusal::AlreadyRefunded => of("already_refunded", "has already been refunded"),
        Refusal::RefundTooLarge => {
            of("refund_amount_gt_net", "has less left to refund than that").about_param("amount")
        }
        Refusal::RefundTooLate => {
            of("refund_limit_exceeded", "is older than 180 days and cannot be refunded any more")
        }
        Refusal::PartOfReservation => {
            of("invalid_amount_to_not_captured", "is not captured and can only be released in full")
                .about_param("amount")
        }
    }
}

/// What became of an action that failed: what stood in the way, or a decline (402).
pub(super) fn failed(charge: ChargeId, outcome: &Outcome) -> ApiError {
    let asked = match outcome.kind {
        Kind::Capture => Asked::Capture(None),
        Kind::Void | Kind::Refund => Asked::Refund(None),
        Kind::Reauthorize => Asked::Reauthorize,
    };
    let (code, message) = match (outcome.refusal, &outcome.failure_code, asked) {
        (Some(refusal), ..) => return refused(asked, refusal, charge).about_charge(charge.to_string()),
        (None, Some(code), Asked::Reauthorize) => payjp_code(code),
        (None, ..) => ("processing_error", "The payment gateway refused this. Nothing was changed."),
    };
    ApiError::card(code, message).about_charge(charge.to_string())
}

/// 500: whether it was done is not known yet, and the charge shows nothing of it until it is.
pub(super) fn not_known(charge: ChargeId) -> ApiError {
    let message = format!(
        "Whether this was done is not known yet. Repeat the request with the same Idempotency-Key to learn its outcome. \
         While it is not known, captures, refunds and reauthorizations of the charge {charge} answer 409; after that, read the \
         charge before you repeat the request without a key."
    );
    ApiError::server("payment_unknown", message).about_charge(charge.to_string())
}

/// 500: surely nothing was sent.
pub(super) fn not_sent(charge: ChargeId) -> ApiError {
    let message = "The payment gateway could not be reached. Nothing was changed; try again later.";
    ApiError::server("pg_wrong", message).about_charge(charge.to_string()).undone()
}
