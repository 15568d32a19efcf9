//! What a refusal means: the decline class of each code, as a table.
//!
//! Does not decide when to try again; that is `dunning`. The classes follow specs/dunning.md 4.

use serde::{Deserialize, Serialize};

/// The kind of a refusal. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineClass {
    /// Not enough money on the account today.
    Funds,
    /// A limit of the card (amount or count) is reached.
    Limit,
    /// The issuer refuses and does not say why.
    Generic,
    /// A fault at the issuer, the network or the gateway.
    Technical,
    /// The card is expired or its data is wrong: a new card is needed.
    CardData,
    /// The card holder must act, for example by 3-D Secure.
    NeedsCustomer,
    /// The gateway refuses the request itself: the merchant's set-up or teiki is at fault, not the card.
    MerchantFault,
    /// Never try again: the card is lost, stolen or revoked.
    Hard,
}

/// One row of the table: a code as sandbox and cards name it, and its class.
struct Row(&'static str, DeclineClass);

/// Codes that teiki knows by name. A code that is not here is [`DeclineClass::Generic`].
const TABLE: [Row; 10] = [
    Row("insufficient_funds", DeclineClass::Funds),
    Row("limit_exceeded", DeclineClass::Limit),
    Row("card_declined", DeclineClass::Generic),
    Row("do_not_honor", DeclineClass::Generic),
    Row("processing_error", DeclineClass::Technical),
    Row("expired_card", DeclineClass::CardData),
    Row("incorrect_card_data", DeclineClass::CardData),
    Row("authentication_required", DeclineClass::NeedsCustomer),
    Row("stolen_card", DeclineClass::Hard),
    Row("lost_card", DeclineClass::Hard),
];

impl DeclineClass {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Funds,
        Self::Limit,
        Self::Generic,
        Self::Technical,
        Self::CardData,
        Self::NeedsCustomer,
        Self::MerchantFault,
        Self::Hard,
    ];

    /// The class of a code; [`Self::Generic`] for one that is not in the table.
    pub fn of(code: &str) -> Self {
        TABLE.iter().find(|row| row.0 == code).map_or(Self::Generic, |row| row.1)
    }

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Funds => "funds",
            Self::Limit => "limit",
            Self::Generic => "generic",
            Self::Technical => "technical",
            Self::CardData => "card_data",
            Self::NeedsCustomer => "needs_customer",
            Self::MerchantFault => "merchant_fault",
            Self::Hard => "hard",
        }
    }

    /// From the stored name; `None` for one that no version has written.
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_classes_and_unknown_ones_are_generic() {
        for (code, class) in [
            ("insufficient_funds", DeclineClass::Funds),
            ("lost_card", DeclineClass::Hard),
            ("expired_card", DeclineClass::CardData),
            ("authentication_required", DeclineClass::NeedsCustomer),
            ("something_new", DeclineClass::Generic),
        ] {
            assert_eq!(DeclineClass::of(code), class, "{code}");
        }
    }

    #[test]
    fn what_is_stored_reads_back() {
        for class in DeclineClass::ALL {
            assert_eq!(DeclineClass::from_stored(class.as_str()), Some(class));
        }
        assert_eq!(DeclineClass::from_stored("bad_luck"), None);
    }
}
