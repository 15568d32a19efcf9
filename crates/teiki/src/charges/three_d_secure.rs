//! Charges that wait for their card holder: answered in the browser, finished by the merchant, given up after a while.
//!
//! Such a charge is written as `requires_customer` ([`super::sale`]), surely not sent, and on nobody's list. [`begin`] marks
//! it as being sent, in one transaction that only the first caller gets through; from there it is a charge like any other.
//! [`give_up`] makes void what nobody finished in time. Both hold the history of the sale, so that one sees the other.

use billing::charge::{Fact, Move};
use billing::event::History;
use billing::id::{AccountId, ChargeId};
use billing::mode::Mode;
use billing::three_d_secure::{LIMIT, Refused, Status, is_to_answer, may_finish};
use db::Tx;
use gateway::ChargeRequest;
use jiff::Timestamp;

use super::sale::reserved_until;
use super::settle::{Times, settle};
use super::store::three_d_secure::{self as store, Confirmed, WaitingRow};
use super::{News, Outgoing, request};
use crate::line::{Aloft, Line};
use crate::payment_methods::{self, MethodRow};
use crate::three_d_secure::refusal;
use crate::web::ApiError;
use crate::{clocks, customers, holds};

/// Charges given up in one pass: bounds its memory; the next tick takes the others.
const PASS_MAX: i64 = 512;

/// What a request to finish comes to.
pub(super) enum Begun {
    /// This request sends it; and the billing time of the payment.
    Send(Box<Outgoing>, Timestamp),
    /// A former request has sent it.
    Before(ChargeId),
}

/// How it stands with the card holder of a charge, and since when. `None`: the account has no such charge.
pub fn standing(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    id: ChargeId,
) -> Result<Option<(Option<Status>, Timestamp)>, db::Error> {
    Ok(store::find(tx, side, id)?.map(|charge| (charge.status, charge.made_at)))
}

/// Writes the card holder's answer; only the first one counts. Errors: it does not wait for one, or no longer.
pub fn answer(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    id: ChargeId,
    (status, now): (Status, Timestamp),
) -> Result<(), ApiError> {
    let none = || ApiError::not_found("charge", id.as_str());
    let charge = store::find(tx, side, id)?.ok_or_else(none)?;
    if is_to_answer(charge.status, charge.made_at, now).map_err(|refused| refused_of(&charge, refused))? {
        store::answer(tx, id, status)?;
    }
    Ok(())
}

/// Whether a request has marked it as being sent.
pub(super) fn is_begun(tx: &mut Tx<'_>, side: (AccountId, Mode), id: ChargeId) -> Result<bool, db::Error> {
    Ok(store::find(tx, side, id)?.is_some_and(|charge| charge.is_confirmed))
}

/// Marks a charge as being sent, once its card holder has confirmed. Errors: 400 and 402 of 3-D Secure, the hold, the
/// customer or the card is gone.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    line: &Line,
    side: (AccountId, Mode),
    (id, now): (ChargeId, Timestamp),
) -> Result<Begun, ApiError> {
    let none = || ApiError::not_found("charge", id.as_str());
    let found = store::find(tx, side, id)?.ok_or_else(none)?;
    if let Some(hold) = holds::active(tx, side.0)? {
        return Err(ApiError::held(&hold.reason));
    }
    let billing = match &found.customer {
        Some(customer) => customers::lock(tx, side, customer, now)?.billing,
        None => clocks::now_for_change(tx, &found.clock, now)?,
    };
    super::store::lock_sales(tx, &[found.invoice])?;
    // Read again now that nobody else changes it.
    let charge = store::find(tx, side, id)?.ok_or_else(none)?;
    if charge.is_confirmed {
        return Ok(Begun::Before(id));
    }
    may_finish(charge.status, charge.made_at, now).map_err(|refused| refused_of(&charge, refused))?;
    let sending = match charge.state.take(Fact::Confirmed) {
        Ok(Move::To(next)) if charge.invoice_is_open => next,
        // It has been given up, by the clock of another process or with its test clock.
        Ok(_) | Err(_) => return Err(refused_of(&charge, Refused::Expired)),
    };
    let method = card(tx, side, &charge)?;
    let confirmed = Confirmed {
        at: billing,
        sent_at: now,
        check_at: request::check_at(line, (charge.connection, side.1), now)?,
        expires_at: charge.reserve_days.map(|days| reserved_until(billing, days, &method)).transpose()?,
    };
    if !store::confirm(tx, id, sending, &confirmed)? {
        return Err(ApiError::inside(format!("charge {id} was not as it had been read")));
    }
    let aloft = line.flights().take_off(id);
    Ok(Begun::Send(Box::new(outgoing(charge, method, &confirmed, aloft)), billing))
}

fn card(tx: &mut Tx<'_>, side: (AccountId, Mode), charge: &WaitingRow) -> Result<MethodRow, ApiError> {
    payment_methods::find(tx, side, charge.payment_method)?.filter(|method| !method.is_deleted).ok_or_else(
        || {
            let message =
                format!("The card of the charge {} has been deleted. Nothing was charged.", charge.id);
            ApiError::client("invalid_card", message).about_charge(charge.id.to_string())
        },
    )
}

fn outgoing(charge: WaitingRow, method: MethodRow, confirmed: &Confirmed, aloft: Aloft) -> Outgoing {
    Outgoing {
        charge: charge.id,
        history: History::Sale(charge.invoice),
        connection: charge.connection,
        is_late: false,
        not_after: request::not_after(confirmed.sent_at),
        request: ChargeRequest {
            reference: charge.id,
            idempotency_key: charge.idempotency_key,
            token: method.gateway_token.expose().to_owned(),
            amount: charge.amount,
            capture: charge.reserve_days.is_none(),
            billing_time: confirmed.at,
        },
        aloft,
    }
}

fn refused_of(charge: &WaitingRow, refused: Refused) -> ApiError {
    refusal(charge.id.as_str(), refused).about_charge(charge.id.to_string())
}

/// What was made at this instant or before is no longer waited for at `now`.
pub fn waiting_until(now: Timestamp) -> Timestamp {
    now.checked_sub(LIMIT).unwrap_or(Timestamp::MIN)
}

/// Makes void what was not finished in time, with its invoice; `now` is real time.
pub async fn give_up(line: &Line, side: (AccountId, Mode), now: Timestamp) -> Result<(), db::Error> {
    let until = waiting_until(now);
    let waiting = line.db.read(move |tx| {
        let rows = store::waiting_until(tx, side, until, PASS_MAX)?;
        let with_time = |(charge, invoice, clock): (ChargeId, _, String)| {
            let billing = clocks::now(tx, Some(&clock), now)?;
            Ok::<_, db::Error>((News::of(charge, History::Sale(invoice), Fact::Abandoned), billing))
        };
        rows.into_iter().map(with_time).collect::<Result<Vec<_>, _>>()
    });
    // Rarely more than one, each perhaps in a time of its own.
    for (news, billing) in waiting.await? {
        settle(line, vec![news], Times { billing, real: now }).await?;
    }
    Ok(())
}
