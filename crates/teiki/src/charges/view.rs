//! A charge as the API shows it.

use std::collections::BTreeMap;

use billing::charge::State;
use billing::event::History;
use billing::id::{AccountId, ChargeId, PaymentMethodId};
use billing::mode::Mode;
use billing::three_d_secure::Status;
use db::Tx;
use schemars::JsonSchema;
use serde::Serialize;

use super::store::shown::{self, ShownRow};
use crate::payment_methods;
use crate::payment_methods::view::CardView;
use crate::three_d_secure::view::STATUSES_OR_NULL;
use crate::web::list::is_live;
use crate::web::metadata::{self, Metadata};

/// What `failure_code` may be.
const FAILURES_OR_NULL: [Option<&str>; 6] = [
    Some("card_declined"),
    Some("expired_card"),
    Some("incorrect_card_data"),
    Some("processing_error"),
    Some("missing_card"),
    None,
];

/// One attempt to take money. PAY.JP's object; what teiki adds begins with `invoice`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Charge")]
pub struct ChargeView {
    #[schemars(extend("const" = "charge"))]
    object: &'static str,
    id: String,
    livemode: bool,
    /// When it was made, in seconds since 1970, by the clock that its customer lives by.
    created: i64,
    /// In yen, tax included.
    amount: i64,
    #[schemars(extend("const" = "jpy"))]
    currency: String,
    /// Whether the money was taken or reserved, or was reserved and let go.
    paid: bool,
    /// Until when the money is reserved; null once it was taken.
    expired_at: Option<i64>,
    /// Whether the money was taken.
    captured: bool,
    captured_at: Option<i64>,
    /// The card as it is now.
    card: CardView,
    /// Who paid; null for a charge of a token.
    customer: Option<String>,
    description: Option<String>,
    /// Why it failed, in PAY.JP's words; `processing_error` when it was never executed.
    #[schemars(extend("enum" = FAILURES_OR_NULL))]
    failure_code: Option<&'static str>,
    failure_message: Option<&'static str>,
    /// Always null: the fee is the gateway's.
    fee_rate: Option<String>,
    refunded: bool,
    /// In yen; what a smaller capture let go counts too.
    amount_refunded: i64,
    refund_reason: Option<String>,
    subscription: Option<String>,
    metadata: Metadata,
    /// How it stands with the card holder; null without 3-D Secure.
    #[schemars(with = "Option<String>", extend("enum" = STATUSES_OR_NULL))]
    three_d_secure_status: Option<Status>,
    /// Always null, as everything of platforms and payouts.
    term_id: Option<String>,
    product: Option<String>,
    tenant: Option<String>,
    platform_fee: Option<i64>,
    platform_fee_rate: Option<String>,
    total_platform_fee: Option<i64>,
    /// The invoice that it pays.
    invoice: String,
    /// Where it stands, more exactly than `paid` and `captured` say. `unknown` is being asked about.
    #[schemars(extend("enum" = State::ALL.map(State::as_str)))]
    state: &'static str,
    /// The gateway's own code of a decline.
    decline_code: Option<String>,
    /// Whether it took money that nothing was owed for any more; give it back.
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

    /// Whether it waited for its card holder.
    pub fn has_card_holder(&self) -> bool {
        self.view.three_d_secure_status.is_some()
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
        expired_at: row.expires_at.filter(|_| is_released || !row.state.is_final()).map(second),
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
        decline_code: row.failure_code.clone().filter(|_| row.state == State::Failed),
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
