//! A charge as the API shows it.

use std::collections::BTreeMap;

use billing::charge::State;
use billing::event::History;
use billing::id::{AccountId, ChargeId, PaymentMethodId};
use billing::mode::Mode;
use billing::three_d_secure::Status;
use db::Tx;
use serde::Serialize;

use super::store::shown::{self, ShownRow};
use crate::payment_methods;
use crate::payment_methods::view::CardView;
use crate::web::list::is_live;
use crate::web::metadata::{self, Metadata};

/// PAY.JP's charge object; what teiki adds comes last. `state` is teiki's own word for where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct ChargeView {
    object: &'static str,
    id: String,
    livemode: bool,
    created: i64,
    amount: i64,
    currency: String,
    paid: bool,
    expired_at: Option<i64>,
    captured: bool,
    captured_at: Option<i64>,
    card: CardView,
    customer: Option<String>,
    description: Option<String>,
    failure_code: Option<&'static str>,
    failure_message: Option<&'static str>,
    fee_rate: Option<String>,
    refunded: bool,
    amount_refunded: i64,
    refund_reason: Option<String>,
    subscription: Option<String>,
    metadata: Metadata,
    three_d_secure_status: Option<Status>,
    term_id: Option<String>,
    product: Option<String>,
    tenant: Option<String>,
    platform_fee: Option<i64>,
    platform_fee_rate: Option<String>,
    total_platform_fee: Option<i64>,
    invoice: String,
    state: &'static str,
    decline_code: Option<String>,
    surplus: bool,
}

/// A charge that was read.
#[derive(Clone, Debug)]
pub struct ShownCharge {
    mode: Mode,
    row: ShownRow,
    /// What the API shows of it.
    pub view: ChargeView,
}

impl ShownCharge {
    /// Where it stands.
    pub fn state(&self) -> State {
        self.row.state
    }

    /// Its id.
    pub fn id(&self) -> ChargeId {
        self.row.id
    }

    /// As it was right after this happened to it, before anything was given back.
    pub fn at(&self, state: State, failure_code: Option<&str>) -> ChargeView {
        let row = ShownRow {
            state,
            failure_code: failure_code.map(str::to_owned),
            amount_refunded: 0,
            refund_reason: None,
            ..self.row.clone()
        };
        ChargeView { metadata: self.view.metadata.clone(), ..of(self.mode, &row, self.view.card.clone()) }
    }

    /// Whether its money was reserved before it was taken.
    pub fn is_reserved_first(&self) -> bool {
        !self.row.capture
    }

    /// The history that tells of it.
    pub fn history(&self) -> History {
        History::of(self.row.subscription, self.row.invoice)
    }

    /// The gateway's code of its decline.
    pub fn failure_code(&self) -> Option<&str> {
        self.row.failure_code.as_deref()
    }

    pub(super) fn row(&self) -> &ShownRow {
        &self.row
    }
}

/// A charge with its card; `None` if the account has none with this id.
pub fn find(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    id: ChargeId,
) -> Result<Option<ShownCharge>, db::Error> {
    let rows = shown::find_many(tx, side, &[id])?;
    Ok(of_rows(tx, side, rows)?.pop())
}

/// A charge as events tell of it.
pub(super) fn data(shown: &ShownCharge) -> Result<String, db::Error> {
    serde_json::to_string(&shown.view)
        .map_err(|error| db::Error::Assertion(format!("charge {} as JSON: {error}", shown.id())))
}

/// Charges with their cards: one further read, however many they are.
pub(super) fn of_rows(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    rows: Vec<ShownRow>,
) -> Result<Vec<ShownCharge>, db::Error> {
    let mut ids: Vec<PaymentMethodId> = rows.iter().map(|row| row.payment_method).collect();
    ids.sort_unstable();
    ids.dedup();
    let cards: BTreeMap<PaymentMethodId, CardView> = payment_methods::find_many(tx, side, &ids)?
        .into_iter()
        .map(|card| Ok((card.id, CardView::of(side.1, &card)?)))
        .collect::<Result<_, db::Error>>()?;
    rows.into_iter()
        .map(|row| {
            let card = cards
                .get(&row.payment_method)
                .cloned()
                .ok_or_else(|| db::Error::Assertion(format!("the card of charge {} is missing", row.id)))?;
            let texts = row.metadata.as_deref().map(metadata::from_stored).transpose()?.unwrap_or_default();
            let view = ChargeView { metadata: texts, ..of(side.1, &row, card) };
            Ok(ShownCharge { mode: side.1, row, view })
        })
        .collect()
}

/// Everything but its metadata.
fn of(mode: Mode, row: &ShownRow, card: CardView) -> ChargeView {
    let second = |micros: i64| micros.div_euclid(1_000_000);
    // A reservation that was let go is void, and was paid; a charge that was never executed is void too.
    let is_released = row.state == State::Void && !row.capture && row.amount_refunded > 0;
    let is_captured = row.state == State::Succeeded;
    // Its card holder did not confirm it in time: nothing was tried that could have failed.
    let is_abandoned = row.three_d_secure.is_some() && row.confirmed_at.is_none();
    let failure = match row.state {
        State::Failed => Some(payjp_code(row.failure_code.as_deref().unwrap_or("card_declined"))),
        State::Void if !is_released && !is_abandoned => Some(payjp_code("processing_error")),
        State::Prepared
        | State::Sending
        | State::Unknown
        | State::Pending
        | State::RequiresCustomer
        | State::Authorized
        | State::Succeeded
        | State::Void => None,
    };
    ChargeView {
        object: "charge",
        id: row.id.to_string(),
        livemode: is_live(mode),
        created: second(row.billing_at),
        amount: row.amount,
        currency: row.currency.clone(),
        paid: is_captured || is_released || row.state == State::Authorized,
        expired_at: row.expires_at.filter(|_| !is_captured).map(second),
        captured: is_captured,
        captured_at: is_captured
            .then(|| second(row.captured_at.or(row.confirmed_at).unwrap_or(row.billing_at))),
        card,
        customer: row.customer.clone(),
        description: row.description.clone(),
        failure_code: failure.map(|failure| failure.0),
        failure_message: failure.map(|failure| failure.1),
        fee_rate: None,
        refunded: row.amount_refunded > 0,
        amount_refunded: row.amount_refunded,
        refund_reason: row.refund_reason.clone(),
        subscription: row.subscription.map(|id| id.to_string()),
        metadata: Metadata::new(),
        three_d_secure_status: row.three_d_secure,
        term_id: None,
        product: None,
        tenant: None,
        platform_fee: None,
        platform_fee_rate: None,
        total_platform_fee: None,
        invoice: row.invoice.to_string(),
        state: row.state.as_str(),
        decline_code: row.failure_code.clone(),
        surplus: row.surplus,
    }
}

/// The code and message of PAY.JP for a gateway's decline. What PAY.JP has no word for is a decline by the issuer.
pub fn payjp_code(code: &str) -> (&'static str, &'static str) {
    match code {
        "expired_card" => ("expired_card", "Card expired"),
        "incorrect_card_data" => ("incorrect_card_data", "Incorrect card data"),
        "processing_error" => ("processing_error", "Processing error"),
        "missing_card" => ("missing_card", "The customer has no default card"),
        _ => ("card_declined", "Card declined"),
    }
}
