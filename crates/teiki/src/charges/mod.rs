//! Charges: sending them, writing down what became of them, finding out what is not known.
//!
//! The middle and the end of the main job: [`send`] (no transaction is open), [`settle`] (one transaction
//! for each batch of results) and [`resolve`] (asks about what is unknown, never charges anew). Charges
//! are *made* in the transaction that opens their invoice: those of the schedule by `renewals::prepare`, those of a
//! request by what it is for ([`sale`] for a single sale; [`three_d_secure`] for one that waits for its card holder);
//! [`request`] then waits for what becomes of one. What is done to a charge later is in [`actions`].

use billing::charge::Fact;
use billing::decline::DeclineClass;
use billing::dunning;
use billing::event::History;
use billing::id::{
    AccountId, ChargeId, ConnectionId, DerivationKey, InvoiceId, PaymentMethodId, Slot, SubscriptionId,
};
use billing::mode::Mode;
use billing::money::Money;
use db::Tx;
use gateway::ChargeRequest;
use jiff::Timestamp;

use crate::line::{Aloft, Scope};
use crate::subscriptions::applying;

pub mod actions;
pub mod api;
pub mod breaker;
#[cfg(feature = "broken")]
pub(crate) mod broken;
pub mod collected;
mod histories;
pub mod history;
mod insist;
mod listing;
pub mod pace;
mod report;
pub mod request;
pub mod resolve;
pub mod sale;
pub mod send;
pub mod settle;
mod store;
pub mod three_d_secure;
pub mod view;

pub use listing::of_invoices;
pub use report::Report;

/// A charge that is about to be sent.
#[derive(Clone, Debug)]
pub struct NewCharge {
    /// Its id.
    pub id: ChargeId,
    /// Who pays, when it is a customer.
    pub customer: Option<String>,
    /// What for; a single sale has none.
    pub subscription: Option<SubscriptionId>,
    /// The bill.
    pub invoice: InvoiceId,
    /// The card.
    pub payment_method: PaymentMethodId,
    /// The gateway account.
    pub connection: ConnectionId,
    /// Which attempt to collect the invoice it is, from 1.
    pub number: i64,
    /// How much.
    pub amount: Money,
    /// The derived key.
    pub idempotency_key: String,
    /// Who wants it: the name of an actor.
    pub actor: &'static str,
    /// When others may ask about it, by operating time.
    pub check_at: Timestamp,
}

/// A dunning case to be opened: the payment of an invoice of the schedule failed.
#[derive(Clone, Debug)]
pub struct NewCase {
    /// Whose.
    pub account: AccountId,
    /// Test or live.
    pub mode: Mode,
    /// What is owed for.
    pub subscription: SubscriptionId,
    /// The open invoice.
    pub invoice: InvoiceId,
    /// The code of the decline, and its class.
    pub decline: (String, DeclineClass),
}

/// What only the charge of a request has.
#[derive(Clone, Debug)]
pub struct Later {
    /// The money is only reserved, until then.
    pub expires_at: Option<Timestamp>,
    /// The merchant's note.
    pub description: Option<String>,
    /// The merchant's texts, as JSON.
    pub metadata: String,
}

/// Opens dunning cases in the caller's transaction; an invoice that has one already keeps it.
pub fn open_cases(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    cases: &[NewCase],
    at: Timestamp,
) -> Result<(), db::Error> {
    store::open_cases(tx, key, cases, at)
}

/// Renewals that nobody could be charged for, where that pauses: their invoices are void, and their subscriptions, which are
/// paused already, wait no longer.
pub fn give_up_renewals(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    renewals: &[(SubscriptionId, InvoiceId)],
) -> Result<(), db::Error> {
    let invoices: Vec<InvoiceId> = renewals.iter().map(|renewal| renewal.1).collect();
    histories::must_all(store::void_invoices(tx, &invoices)?, invoices.len(), "invoices")?;
    store::forget_on_paid(tx, &invoices)?;
    renewals.iter().try_for_each(|renewal| applying::stop_waiting(tx, side, renewal.0))
}

/// Closes the open dunning cases of these invoices; most have none.
pub fn close_cases(
    tx: &mut Tx<'_>,
    closed: (&[InvoiceId], dunning::State),
    at: Timestamp,
) -> Result<(), db::Error> {
    store::close_cases(tx, closed, at).map(|_| ())
}

/// Charges of a test clock that were never sent are never sent: they become void in the caller's transaction.
pub fn give_up_unsent(
    tx: &mut Tx<'_>,
    key: &DerivationKey,
    scope: &Scope,
    times: settle::Times,
) -> Result<(), db::Error> {
    let unsent = store::checks::unsent(tx, scope)?;
    if unsent.is_empty() {
        return Ok(());
    }
    let given_up = |(charge, history)| News::of(charge, history, Fact::GivenUp);
    let news: Vec<News> = unsent.into_iter().map(given_up).collect();
    settle::write_batch(tx, key, &news, times).map(|_| ())
}

/// Writes charges in the caller's transaction, as being sent.
pub fn insert(
    tx: &mut Tx<'_>,
    scope: &Scope,
    charges: &[NewCharge],
    times: settle::Times,
) -> Result<(), db::Error> {
    store::new::insert(tx, scope, charges, times)
}

/// A charge whose intent is committed and whose request may now be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The charge.
    pub charge: ChargeId,
    /// Whose history it belongs to.
    pub history: History,
    /// Which gateway account it goes through.
    pub connection: ConnectionId,
    /// Whether it makes good for an outage: then it leaves the gateway room for what is on time.
    pub is_late: bool,
    /// Operating time after which it must not be sent any more: a process that was suspended in between may have lost its lease,
    /// and others may have asked about this charge already.
    pub not_after: Timestamp,
    /// What is sent.
    pub request: ChargeRequest,
    /// Says so to the rest of this process, until it is settled.
    pub aloft: Aloft,
}

/// What has become known about a charge, from whoever brings it.
#[derive(Clone, Debug)]
pub struct News {
    /// The charge.
    pub charge: ChargeId,
    /// Whose history it belongs to.
    pub history: History,
    /// The fact.
    pub fact: Fact,
    /// The gateway's id of the charge, when it has told one.
    pub gateway_charge_id: Option<String>,
    /// What a capture took, when the charge had only reserved it; else a success takes all of it.
    pub taken: Option<Money>,
    /// Why it was declined; with what proves nothing of the charge, what was said to a repeat of its request.
    pub decline: Option<(String, DeclineClass)>,
    /// A note for the operator: why nothing is known.
    pub note: Option<String>,
    /// What to tell an operator at once.
    pub alarm: Option<&'static str>,
    /// The gateway called the parameters of the key a mismatch: never resend.
    pub freeze: bool,
    /// When its request may last have been sent; `None` keeps what is stored.
    pub sent_at: Option<Timestamp>,
    /// When to look again, by operating time; ignored when the charge becomes final.
    pub check_at: Option<Timestamp>,
    /// When a look-up that counts first found nothing.
    pub absent_at: Option<Timestamp>,
    /// How an outcome that was not known was found out.
    pub resolved_by: Option<ResolvedBy>,
    /// Of a request that this process has sent: until this is settled nobody else in it asks.
    pub aloft: Option<Aloft>,
}

/// The two ways to find out an outcome. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolvedBy {
    /// The same request was sent again under its key.
    Replay,
    /// The gateway was asked.
    Lookup,
}

impl ResolvedBy {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Lookup => "lookup",
        }
    }
}

impl News {
    /// News of `fact` alone.
    pub const fn of(charge: ChargeId, history: History, fact: Fact) -> Self {
        Self {
            charge,
            history,
            fact,
            gateway_charge_id: None,
            taken: None,
            decline: None,
            note: None,
            alarm: None,
            freeze: false,
            sent_at: None,
            check_at: None,
            absent_at: None,
            resolved_by: None,
            aloft: None,
        }
    }

    /// Where its rows are.
    pub fn slot(&self) -> Slot {
        self.charge.slot()
    }
}
