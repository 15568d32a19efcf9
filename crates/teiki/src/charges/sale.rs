//! A single sale: an invoice of its own and the charge that collects it, inside one request.
//!
//! Writes the intent; [`super::request`] sends it, with 3-D Secure once it is finished ([`super::three_d_secure`]). The
//! invoice stands for the obligation `sale:<key>`; a decline voids it.

use billing::event::History;
use billing::id::{AccountId, ChargeId, DerivationKey, InvoiceId, Slot};
use billing::invoice::{Line as Row, LineKind};
use billing::mode::Mode;
use billing::money::Money;
use billing::renewal::AccountTerms;
use billing::tax::{TaxCategory, percent_on, tax_of};
use db::Tx;
use gateway::ChargeRequest;
use jiff::{Span, Timestamp, tz::TimeZone};

use super::settle::Times;
use super::{Later, NewCharge, Outgoing, request, store};
use crate::accounts::{Account, REAL_CLOCK};
use crate::actor::Actor;
use crate::invoices::{self, NewRequested};
use crate::line::{Line, Scope};
use crate::payment_methods::{self, MethodRow};
use crate::web::ApiError;
use crate::{clocks, customers, holds, tokens};

/// Where the money comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A card that is used once.
    Token(String),
    /// A customer: its default card, or one of its cards.
    Customer {
        /// The customer.
        id: String,
        /// One of its cards.
        card: Option<String>,
    },
}

/// What is sold.
#[derive(Clone, Debug)]
pub struct Sale {
    /// Whose.
    pub side: (AccountId, Mode),
    /// How much.
    pub amount: Money,
    /// Where from.
    pub source: Source,
    /// Days for which the money is only reserved; none takes it at once.
    pub reserve_days: Option<i64>,
    /// Whether the card holder must confirm before anything is sent.
    pub three_d_secure: bool,
    /// The merchant's note.
    pub description: Option<String>,
    /// The merchant's texts, as JSON.
    pub metadata: String,
    /// What makes its obligation its own.
    pub key: String,
    /// Real time.
    pub now: Timestamp,
}

/// What is written of a sale.
pub enum Intent {
    /// To be sent now; and the billing time of the sale.
    Send(Box<Outgoing>, Timestamp),
    /// Waits for the card holder.
    Wait(ChargeId),
}

/// What a source turned out to be.
struct Payer {
    customer: Option<String>,
    clock: String,
    billing: Timestamp,
    method: MethodRow,
    slot: Slot,
}

/// Writes invoice and charge.
pub fn prepare(
    tx: &mut Tx<'_>,
    line: &Line,
    (key, account): (&DerivationKey, &Account),
    sale: &Sale,
) -> Result<Intent, ApiError> {
    if let Some(hold) = holds::active(tx, sale.side.0)? {
        return Err(ApiError::held(&hold.reason));
    }
    let payer = payer(tx, account, sale)?;
    let invoice = invoice(key, &account.terms, sale, &payer)?;
    let id = ChargeId::derive(key, invoice.id.as_str(), payer.slot, payer.billing, 1);
    let connection = payer.method.connection;
    let charge = NewCharge {
        id,
        customer: payer.customer.clone(),
        subscription: None,
        invoice: invoice.id,
        payment_method: payer.method.id,
        connection,
        number: 1,
        amount: sale.amount,
        idempotency_key: key.idempotency_key(connection.as_str(), id),
        actor: Actor::Api.as_str(),
        check_at: request::check_at(line, (connection, sale.side.1), sale.now)?,
    };
    let later = Later {
        expires_at: sale
            .reserve_days
            .filter(|_| !sale.three_d_secure)
            .map(|days| reserved_until(payer.billing, days, &payer.method))
            .transpose()?,
        description: sale.description.clone(),
        metadata: sale.metadata.clone(),
    };
    let scope = Scope { account: sale.side.0, mode: sale.side.1, clock: payer.clock.clone(), lease: None };
    let times = Times { billing: payer.billing, real: sale.now };
    invoices::insert_requested(tx, &scope, &invoice, times)?;
    super::insert(tx, &scope, std::slice::from_ref(&charge), times)?;
    store::new::add_request(tx, &charge, &later)?;
    if sale.three_d_secure {
        store::three_d_secure::wait(tx, id, sale.reserve_days)?;
        return Ok(Intent::Wait(id));
    }
    let outgoing = Outgoing {
        charge: id,
        history: History::Sale(invoice.id),
        connection,
        is_late: false,
        not_after: request::not_after(sale.now),
        request: ChargeRequest {
            reference: id,
            idempotency_key: charge.idempotency_key,
            token: payer.method.gateway_token.expose().to_owned(),
            amount: sale.amount,
            capture: later.expires_at.is_none(),
            billing_time: payer.billing,
        },
        aloft: line.flights().take_off(id),
    };
    Ok(Intent::Send(Box::new(outgoing), payer.billing))
}

fn payer(tx: &mut Tx<'_>, account: &Account, sale: &Sale) -> Result<Payer, ApiError> {
    match &sale.source {
        Source::Token(token) => {
            let method = tokens::redeem(tx, sale.side, token, sale.now)?;
            let clock = account.test_clock.clone().filter(|_| sale.side.1 == Mode::Test);
            let clock = clock.unwrap_or_else(|| REAL_CLOCK.to_owned());
            let billing = clocks::now_for_change(tx, &clock, sale.now)?;
            Ok(Payer { customer: None, clock, billing, slot: method.id.slot(), method })
        }
        Source::Customer { id, card } => {
            let customer = customers::lock(tx, sale.side, id, sale.now)
                .map_err(|error| error.about_param("customer"))?;
            let method = match card {
                Some(card) => payment_methods::get(tx, sale.side, id, card)
                    .map_err(|error| error.about_param("card"))?,
                None => default_card(tx, &customer)?,
            };
            Ok(Payer {
                customer: Some(id.clone()),
                clock: customer.clock.clone(),
                billing: customer.billing,
                slot: Slot::of_key(id),
                method,
            })
        }
    }
}

/// The card that a customer pays with. Error: it has none (402).
fn default_card(tx: &mut Tx<'_>, customer: &customers::Held) -> Result<MethodRow, ApiError> {
    let none =
        || ApiError::card("missing_card", format!("The customer {} has no default card.", customer.id));
    let id = customer.default_card().ok_or_else(none)?;
    payment_methods::find(tx, customer.side, id)?.filter(|method| !method.is_deleted).ok_or_else(none)
}

fn invoice(
    key: &DerivationKey,
    terms: &AccountTerms,
    sale: &Sale,
    payer: &Payer,
) -> Result<NewRequested, ApiError> {
    let on = terms.zone.day_of(payer.billing);
    let category = TaxCategory::Standard;
    let tax = tax_of(&[(percent_on(category, on), sale.amount)], terms.tax_rounding)
        .map_err(|error| ApiError::param("invalid_amount", "amount", error.to_string()))?;
    let obligation = format!("sale:{}", sale.key);
    Ok(NewRequested {
        id: InvoiceId::derive(key, &obligation, payer.slot, payer.billing, 0),
        customer: payer.customer.clone(),
        subscription: None,
        plan: None,
        obligation,
        cycle: 0,
        amount: sale.amount,
        lines: vec![Row {
            kind: LineKind::Sale,
            plan: String::new(),
            amount: sale.amount.minor,
            tax_category: category,
            quantity: 1,
            share: None,
        }],
        tax,
        due_on: on,
        period: (payer.billing, payer.billing),
        on_paid: None,
    })
}

/// Issuers abroad reserve for a week at most.
const FOREIGN_DAYS_MAX: i64 = 7;
/// Until this time of day in Japan a reservation holds on its last day.
const LAST_SECOND: jiff::civil::Time = jiff::civil::time(23, 59, 59, 0);

/// The end of a reservation of `days`: the last second, in Japan, of the day that is `days` minus one later.
pub fn reserved_until(at: Timestamp, days: i64, method: &MethodRow) -> Result<Timestamp, ApiError> {
    let days = if method.details.is_jp == Some(false) { days.min(FOREIGN_DAYS_MAX) } else { days };
    let wrong = || ApiError::param("invalid_expiry_days", "expiry_days", "Invalid expiry_days.");
    let tokyo = TimeZone::fixed(jiff::tz::offset(9));
    let day = tokyo.to_datetime(at).date().checked_add(Span::new().days(days - 1)).map_err(|_| wrong())?;
    tokyo.to_timestamp(day.to_datetime(LAST_SECOND)).map_err(|_| wrong())
}
