//! A token as the API shows it.

use billing::mode::Mode;
use serde::Serialize;

use super::TokenRow;
use crate::payment_methods::view::CardView;
use crate::web::list::{is_live, seconds};

/// PAY.JP's token object.
#[derive(Clone, Debug, Serialize)]
pub struct TokenView {
    object: &'static str,
    id: String,
    livemode: bool,
    created: i64,
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
