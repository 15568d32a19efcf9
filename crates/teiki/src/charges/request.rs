//! The road to money of a request: one charge, sent at once, and what became of it within a bounded time.
//!
//! The charge has been committed as being sent. It goes on when the client leaves: it is a task of the server, not of the
//! request. What surely was not sent is given up at once. What is not known when the request gives up is answered as not
//! known, never as paid and never as unpaid; it is found out later as every other charge is. A database that fails says
//! nothing of the payment: it is looked at again.

use std::sync::Arc;
use std::time::Duration;

use billing::charge::{Fact, State};
use billing::id::{AccountId, ChargeId, ConnectionId};
use billing::mode::Mode;
use db::Tx;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::send::{check_after_send, send_one, send_until};
use super::settle::{Times, settle};
use super::view::{self, ShownCharge, payjp_code};
use super::{News, Outgoing};
use crate::accounts;
use crate::clock;
use crate::failure::Failure;
use crate::line::Line;
use crate::serve::sides::Side;
use crate::serve::site::Site;
use crate::web::{ApiError, Call, Unbegun};

/// What is said when surely nothing was sent.
const AWAY: &str = "The payment gateway could not be reached. Nothing was charged; try again later.";
/// The same of a charge that its card holder has confirmed.
const OVER: &str = "The payment gateway could not be reached. Nothing was charged, and this charge is over: make a new one, which \
    the card holder confirms anew.";
/// What is said when a request may have been begun, or not.
const IN_DOUBT: &str = "Whether this was begun is not known yet. Repeat the request with the same Idempotency-Key to learn it; \
    without one, first look whether what it asks for is there: its charge is listed while it is under way.";
/// Pause between two looks at a charge whose outcome is not known yet.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// The charge line of an account. Error: its gateway has not been reached since this server started (500).
pub(crate) async fn side_of(site: &Site, account: AccountId) -> Result<Arc<Side>, ApiError> {
    let account = accounts::get(&site.app.db, account.as_str()).await?;
    let away = |failure: Failure| ApiError::server("pg_wrong", AWAY).caused_by(failure.message);
    site.sides.of(&account).await.map_err(away)
}

/// Begins what a request about money is for, as [`Call::begin`] does; what it is sent through comes with what is to be sent.
/// What a former try with the same key has begun is read without the gateway. Errors: the gateway has not been reached,
/// nothing was begun (500); it is not known whether it was begun (500).
pub(crate) async fn begin<T, L>(
    call: &Call,
    work: impl Fn(&mut Tx<'_>, &Side) -> Result<(T, L), ApiError> + Send + 'static,
) -> Result<(T, Option<(Arc<Side>, L)>), ApiError>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    L: Send + 'static,
{
    if let Some(begun) = call.begun()? {
        return Ok((begun, None));
    }
    let side = side_of(&call.site, call.caller.account).await?;
    let charging = Arc::clone(&side);
    match call.begin(move |tx| work(tx, &charging)).await {
        Ok((begun, live)) => Ok((begun, live.map(|live| (side, live)))),
        Err(Unbegun::Refused(error)) => Err(error),
        Err(Unbegun::Db(error @ (db::Error::CommitUnknown { .. } | db::Error::StorageFailed { .. }))) => {
            Err(ApiError::server("payment_unknown", IN_DOUBT).caused_by(error.to_string()))
        }
        Err(Unbegun::Db(error)) => Err(error.into()),
    }
}

/// When a charge made at the real time `now` through `connection`, of that mode, may be asked about by others. Errors: this
/// server charges the other mode (400), or has no such connection (500).
pub(crate) fn check_at(
    line: &Line,
    (connection, mode): (ConnectionId, Mode),
    now: Timestamp,
) -> Result<Timestamp, ApiError> {
    must_charge(line.mode, mode)?;
    match line.connections.get(&connection) {
        Some(known) => Ok(check_after_send(known.gateway.capabilities(), now)),
        None => Err(ApiError::server(
            "pg_wrong",
            "The gateway of this card is not set up here. Nothing was charged.",
        )),
    }
}

/// Error (400): a server that charges `served` is asked to charge `asked`.
pub(crate) fn must_charge(served: Mode, asked: Mode) -> Result<(), ApiError> {
    if served == asked {
        return Ok(());
    }
    let message = format!(
        "This server charges in {served} mode only, and this is a request of {asked} mode: send it to a server that runs \
         with --mode {asked}. Nothing was charged."
    );
    Err(ApiError::client("mode_not_charged", message))
}

/// Until when a charge made at `now` may be sent.
pub(crate) fn not_after(now: Timestamp) -> Timestamp {
    send_until(now)
}

/// Sends a committed charge and says what became of it. Errors: declined (402), not sent (500), not known (500).
async fn collect(
    call: &Call,
    side: &Arc<Side>,
    billing: Timestamp,
    outgoing: Outgoing,
) -> Result<ShownCharge, ApiError> {
    let (site, owner) = (&call.site, call.side());
    let id = outgoing.charge;
    let line = Arc::clone(&side.line);
    let sending = async move {
        let news = send_one(&line, &outgoing).await;
        // Nothing left: so that it stays at that it is taken back, unless another process has taken it over.
        let fact = if news.fact == Fact::NotSent { Fact::Withdrawn } else { news.fact };
        settle(&line, vec![News { fact, ..news }], Times { billing, real: clock::now() }).await.map(|_| ())
    };
    let known = wait(call, id, sending, || outcome(site, owner, id)).await;
    known.unwrap_or_else(|| Err(not_known(id)))
}

/// What a request about money has begun, kept with its `Idempotency-Key` so that a repeat goes on from there. Persisted; only
/// ever add fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The id of what it is about: a charge, a subscription, an invoice.
    pub(crate) about: String,
    /// The charge that pays for it, if something is paid.
    pub(crate) charge: Option<String>,
}

/// A payment that is to be sent, and its billing time.
pub(crate) type ToSend = (Box<Outgoing>, Timestamp);

/// What only the one who has begun a request has: the line, and what is to be sent through it.
pub(crate) type Live = Option<(Arc<Side>, Option<ToSend>)>;

/// Waits for the payment that a request has begun: sends it the first time, and only looks at it on a repeat, which has
/// nothing to send. Errors: as [`collect`].
pub(crate) async fn paid(
    call: &Call,
    (begun, live): (&Begun, Live),
) -> Result<Option<ShownCharge>, ApiError> {
    match (&begun.charge, live) {
        (_, Some((side, Some((outgoing, billing))))) => {
            collect(call, &side, billing, *outgoing).await.map(Some)
        }
        (Some(charge), _) => {
            let gone = |_| ApiError::inside(format!("charge {charge} is no id"));
            watch(call, charge.parse().map_err(gone)?).await.map(Some)
        }
        (None, _) => Ok(None),
    }
}

/// What is answered when what a request has done cannot be shown: of what was paid, to read its charge.
pub(crate) fn unseen(begun: &Begun, error: ApiError) -> ApiError {
    match begun.charge.as_ref().map(|charge| charge.parse()) {
        Some(Ok(charge)) if error.status.is_server_error() => {
            not_known(charge).caused_by(error.cause().unwrap_or_default())
        }
        Some(_) | None => error,
    }
}

/// What becomes of a charge that another request sent. Errors: as [`collect`].
async fn watch(call: &Call, id: ChargeId) -> Result<ShownCharge, ApiError> {
    let known = wait(call, id, async { Ok(()) }, || outcome(&call.site, call.side(), id)).await;
    known.unwrap_or_else(|| Err(not_known(id)))
}

/// What a look at a payment found; `None` while nothing is known. The outer error says nothing of the payment.
pub(super) type Looked = Result<Option<Result<ShownCharge, ApiError>>, db::Error>;

/// A charge that took or reserved its money, or why none was: declined (402), not sent (500).
async fn outcome(site: &Site, owner: (AccountId, Mode), id: ChargeId) -> Looked {
    let shown = site.app.db.read(move |tx| view::find(tx, owner, id)).await?;
    let shown = shown.ok_or_else(|| db::Error::Assertion(format!("charge {id} is gone")))?;
    Ok(match shown.state() {
        State::Succeeded | State::Authorized => Some(Ok(shown)),
        State::Failed => Some(Err(declined(&shown))),
        State::Void => Some(Err(not_sent(&shown))),
        State::Prepared | State::Sending | State::Unknown | State::Pending | State::RequiresCustomer => None,
    })
}

/// Runs `sending` as a task of the server, and looks until there is an outcome or it is time to give up: `None` is not known.
pub(super) async fn wait<F>(
    call: &Call,
    charge: ChargeId,
    sending: impl Future<Output = Result<(), db::Error>> + Send + 'static,
    look: impl Fn() -> F,
) -> Option<Result<ShownCharge, ApiError>>
where
    F: Future<Output = Looked>,
{
    let sending = call.site.payments.spawn(sending);
    if let Ok(Ok(Err(error))) = tokio::time::timeout_at(call.give_up_at, sending).await {
        tracing::error!(%error, %charge, "the outcome of a payment could not be written down; it is found out later");
    }
    let mut is_told = false;
    loop {
        match tokio::time::timeout_at(call.give_up_at, look()).await {
            Ok(Ok(Some(outcome))) => return Some(outcome),
            Ok(Ok(None)) => {}
            Ok(Err(error)) if !is_told => {
                tracing::error!(%error, %charge, "a payment could not be read; it is looked at again");
                is_told = true;
            }
            Ok(Err(_)) | Err(_) => {}
        }
        if Instant::now() >= call.give_up_at {
            return None;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// 402: the card was refused; the charge shows why.
pub(crate) fn declined(shown: &ShownCharge) -> ApiError {
    let (code, message) = payjp_code(shown.failure_code().unwrap_or("card_declined"));
    ApiError::card(code, message).about_charge(shown.id().to_string())
}

/// 500: surely nothing was sent. A card holder confirms one charge, and not the one that is made in its place.
fn not_sent(shown: &ShownCharge) -> ApiError {
    let message = if shown.has_card_holder() { OVER } else { AWAY };
    ApiError::server("pg_wrong", message).about_charge(shown.id().to_string()).undone()
}

/// 500, never a success: whether money was taken is not known yet.
pub(crate) fn not_known(id: ChargeId) -> ApiError {
    let message = format!(
        "Whether this payment succeeded is not known yet. Read the charge {id} to learn its outcome; \
         repeat the request only with the same Idempotency-Key, and without one not before that."
    );
    ApiError::server("payment_unknown", message).about_charge(id.to_string())
}
