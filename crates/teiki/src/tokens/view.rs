//! A token as the API shows it.

use billing::mode::Mode;
use schemars::JsonSchema;
use serde::Serialize;

use super::TokenRow;
use crate::payment_methods::view::CardView;
use crate::web::list::{is_live, seconds};

/// What stands for a card until it is used. PAY.JP's object.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Token")]
pub struct TokenView {
    #[schemars(extend("const" = "token"))]
    object: &'static str,
    id: String,
    livemode: bool,
    /// When it was made, in seconds since 1970, by the clock that its customer lives by.
    created: i64,
    /// Whether it was used up; it works once, within a day.
    used: bool,
    card: CardView,
}

impl TokenView {
    /// From its row and its card.
    pub fn of(mode: Mode, token: &TokenRow, card: CardView) -> Self {
        Self {
            object: "token",
            id: token.id.to_string(),
            livemode: is_live(mode),
            created: seconds(token.created_at),
            used: token.is_used,
            card,
        }
    }
}
