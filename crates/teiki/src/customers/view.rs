//! A customer as the API shows it, with its newest cards and subscriptions.

use std::collections::BTreeMap;

use db::Tx;
use schemars::JsonSchema;
use serde::Serialize;

use super::{CustomerRow, Side};
use crate::payment_methods;
use crate::payment_methods::view::CardView;
use crate::subscriptions;
use crate::subscriptions::view::SubscriptionView;
use crate::web::list::{List, Page, Place, is_live};
use crate::web::metadata::{self, Metadata};

/// Who pays. PAY.JP's object; what teiki adds begins with `name`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Customer")]
pub struct CustomerView {
    #[schemars(extend("const" = "customer"))]
    object: &'static str,
    id: String,
    livemode: bool,
    /// When it was made, in seconds since 1970, by the clock that its customer lives by.
    created: i64,
    email: Option<String>,
    /// The merchant's own note.
    description: Option<String>,
    /// The id of the card that pays; null while there is none.
    default_card: Option<String>,
    metadata: Metadata,
    /// Its ten newest cards.
    cards: List<CardView>,
    /// Its ten newest subscriptions.
    subscriptions: List<SubscriptionView>,
    name: Option<String>,
    /// The test clock that it lives by; null is real time.
    test_clock: Option<String>,
}

/// Customers with their cards and subscriptions: three further reads, however many they are.
pub fn of_rows(tx: &mut Tx<'_>, side: Side, rows: &[CustomerRow]) -> Result<Vec<CustomerView>, db::Error> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let page = Page::embedded();
    let mut cards: BTreeMap<usize, Vec<CardView>> = BTreeMap::new();
    for (place, card) in payment_methods::list_of(tx, side, &ids, (&page, &Place::newest()))? {
        cards.entry(place).or_default().push(CardView::of(side.1, &card)?);
    }
    let mut agreements = subscriptions::view::of_customers(tx, side, &ids, &page)?;
    rows.iter()
        .enumerate()
        .map(|(place, row)| {
            let cards = cards.remove(&place).unwrap_or_default();
            let subscriptions = agreements.remove(&place).unwrap_or_default();
            let url = format!("/v1/customers/{}", row.id);
            Ok(CustomerView {
                object: "customer",
                id: row.id.clone(),
                livemode: is_live(side.1),
                created: row.created_at.div_euclid(1_000_000),
                email: row.email.clone(),
                description: row.description.clone(),
                default_card: row.default_payment_method.map(|card| card.to_string()),
                metadata: metadata::from_stored(&row.metadata)?,
                cards: List::new(&page, cards, format!("{url}/cards")),
                subscriptions: List::new(&page, subscriptions, format!("{url}/subscriptions")),
                name: row.name.clone(),
                test_clock: (row.clock != crate::accounts::REAL_CLOCK).then(|| row.clock.clone()),
            })
        })
        .collect()
}

/// One customer.
pub fn of_row(tx: &mut Tx<'_>, side: Side, row: &CustomerRow) -> Result<CustomerView, db::Error> {
    let mut views = of_rows(tx, side, std::slice::from_ref(row))?;
    views.pop().ok_or_else(|| db::Error::Assertion("a customer has one view".to_owned()))
}
