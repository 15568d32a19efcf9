//! Identifiers: what they look like, which slot they carry, and how derived ones are made.
//!
//! Every id that teiki makes is 32 characters: prefix, slot (2 hex), the time in milliseconds of what
//! the row stands for (12 hex), rest (hex). Time comes first so that indexes grow at one end. Ids of
//! invoices, charges, entries and events are *derived* from the installation's key and their parent, so
//! that doing a thing again makes the same row. **Persisted: the form and the derivation must stay stable.**

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Length of every id made here.
pub const ID_LENGTH: usize = 32;

/// The part of the key space that a customer's rows live in, 0–255: the first byte of the SHA-256 of
/// the customer's id. Primary keys begin with it (design.md 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

impl Slot {
    /// The slot of a row's own key: a customer id, or the key of a row that has no customer.
    pub fn of_key(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes())[0])
    }

    /// As stored: BIGINT.
    pub const fn as_i64(self) -> i64 {
        self.0 as i64
    }
}

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id of the form {prefix}… with 32 characters")]
pub struct InvalidId {
    text: String,
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_LENGTH]);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// The id as text.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).unwrap_or("")
            }

            /// The slot that it carries; slot 0 for a kind whose rows have none.
            pub fn slot(&self) -> Slot {
                let start = Self::PREFIX.len();
                let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
                Slot(hex(self.0[start]) * 16 + hex(self.0[start + 1]))
            }

            fn from_parts(slot: Slot, at: Timestamp, rest: &[u8; 32]) -> Self {
                Self(assemble(Self::PREFIX, slot, at, rest))
            }

            /// A new id that nothing can guess or derive; `random` comes from the operating system.
            pub fn random(slot: Slot, at: Timestamp, random: &[u8; 32]) -> Self {
                Self::from_parts(slot, at, random)
            }

            /// The id of child `number` of `parent`: the same inputs give the same id.
            pub fn derive(key: &DerivationKey, parent: &str, slot: Slot, at: Timestamp, number: u64) -> Self {
                Self::from_parts(slot, at, &key.digest(&[Self::PREFIX.as_bytes(), parent.as_bytes(), &number.to_be_bytes()]))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = || InvalidId { text: text.to_owned(), prefix: Self::PREFIX };
                let bytes: [u8; ID_LENGTH] = text.as_bytes().try_into().map_err(|_| invalid())?;
                let rest = text.strip_prefix(Self::PREFIX).ok_or_else(invalid)?;
                if rest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
                    Ok(Self(bytes))
                } else {
                    Err(invalid())
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

ids! {
    /// A merchant.
    AccountId = "acct_";
    /// Who pays. Merchants may choose other ids, so a customer's id carries no slot that anything relies on.
    CustomerId = "cus_";
    /// A stored way to pay.
    PaymentMethodId = "car_";
    /// Stands for a card until it is used.
    TokenId = "tok_";
    /// An offer. Merchants may choose other ids.
    PlanId = "pln_";
    /// An agreement to pay again and again.
    SubscriptionId = "sub_";
    /// A bill and the debt it stands for.
    InvoiceId = "in_";
    /// One attempt to collect an invoice; also our reference to the gateway.
    ChargeId = "ch_";
    /// What is done to a charge after it was made.
    ChargeActionId = "act_";
    /// A fact that happened.
    EventId = "evnt_";
    /// One ledger entry.
    EntryId = "le_";
    /// The recovery of one open invoice.
    DunningCaseId = "dc_";
    /// One gateway account that a merchant charges through.
    ConnectionId = "gwc_";
    /// A test clock.
    ClockId = "clk_";
    /// The card holder of a stored card is to be asked by 3-D Secure.
    ThreeDSecureRequestId = "tdsr_";
    /// All subscriptions of a plan that are to be switched to another.
    PlanSwitchId = "psw_";
    /// Where events are sent.
    WebhookEndpointId = "we_";
    /// An event on its way to an endpoint.
    WebhookDeliveryId = "whd_";
    /// Something an operator must look at.
    AlarmId = "alm_";
}

/// The 32 random bytes of an installation that ids and idempotency keys are derived from. They are part
/// of the database, so that a restored backup derives the same. Never printed.
#[derive(Clone)]
pub struct DerivationKey(Hmac<Sha256>);

impl DerivationKey {
    /// From the stored 32 bytes; `None` for another length.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 32 {
            return None;
        }
        Hmac::<Sha256>::new_from_slice(bytes).ok().map(Self)
    }

    /// The keyed hash of `parts`, each preceded by its length so that no two lists read the same.
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The idempotency key of a charge: 32 hex characters (128 bits), which every gateway accepts.
    pub fn idempotency_key(&self, connection: &str, charge: ChargeId) -> String {
        key_text(&self.digest(&[b"charge", connection.as_bytes(), charge.as_str().as_bytes()]))
    }

    /// The idempotency key of what is done to a charge, in the same form; never that of any charge.
    pub fn action_idempotency_key(&self, connection: &str, action: ChargeActionId) -> String {
        key_text(&self.digest(&[b"charge_action", connection.as_bytes(), action.as_str().as_bytes()]))
    }
}

impl std::fmt::Debug for DerivationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DerivationKey")
    }
}

fn key_text(digest: &[u8; 32]) -> String {
    let mut key = String::with_capacity(ID_LENGTH);
    for byte in &digest[..16] {
        key.push(char::from(HEX[usize::from(byte >> 4)]));
        key.push(char::from(HEX[usize::from(byte & 15)]));
    }
    key
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes prefix, slot, milliseconds and as much of `rest` as fits. Instants before 1970 count as 1970.
fn assemble(prefix: &str, slot: Slot, at: Timestamp, rest: &[u8; 32]) -> [u8; ID_LENGTH] {
    let ms = u64::try_from(at.as_millisecond()).unwrap_or(0).to_be_bytes();
    let nibbles = std::iter::once(slot.0).chain(ms[2..].iter().copied()).chain(rest.iter().copied());
    let hex = nibbles.flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    let mut id = [b'0'; ID_LENGTH];
    for (place, byte) in id.iter_mut().zip(prefix.bytes().chain(hex)) {
        *place = byte;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DerivationKey {
        DerivationKey::new(&[7; 32]).expect("32 bytes are a key")
    }

    #[test]
    fn an_id_carries_prefix_slot_and_time() {
        let at: Timestamp = "2027-01-31T00:00:00Z".parse().expect("a valid instant");
        let id = InvoiceId::derive(&key(), "cycle:12:sub_x", Slot(0xa7), at, 0);
        assert_eq!(id.as_str().len(), ID_LENGTH);
        assert_eq!(&id.as_str()[..5], "in_a7");
        assert_eq!(i64::from_str_radix(&id.as_str()[5..17], 16), Ok(at.as_millisecond()));
        assert_eq!(id.slot(), Slot(0xa7));
        assert_eq!(id.as_str().parse::<InvoiceId>(), Ok(id));
        assert!("in_short".parse::<InvoiceId>().is_err());
        assert!(id.as_str().parse::<ChargeId>().is_err());
    }

    #[test]
    fn derived_ids_are_stable_and_differ_by_kind_parent_and_number() {
        let at = Timestamp::UNIX_EPOCH;
        let of = |parent: &str, number| InvoiceId::derive(&key(), parent, Slot(1), at, number);
        // Persisted: this value must never change.
        assert_eq!(of("a", 0).as_str(), "in_01000000000000e4b18654fde50d9");
        assert_eq!(of("a", 0), of("a", 0));
        assert_ne!(of("a", 0), of("a", 1));
        assert_ne!(of("a", 0), of("b", 0));
        let charge = ChargeId::derive(&key(), "a", Slot(1), at, 0);
        assert_ne!(charge.as_str()[17..], of("a", 0).as_str()[17..]);
    }

    #[test]
    fn idempotency_keys_are_32_hex_and_bound_to_the_connection() {
        let charge = ChargeId::derive(&key(), "a", Slot(1), Timestamp::UNIX_EPOCH, 0);
        let one = key().idempotency_key("gwc_1", charge);
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(one, key().idempotency_key("gwc_1", charge));
        assert_ne!(one, key().idempotency_key("gwc_2", charge));
        let action =
            |number| ChargeActionId::derive(&key(), charge.as_str(), Slot(1), Timestamp::UNIX_EPOCH, number);
        let keys = [1, 2].map(|number| key().action_idempotency_key("gwc_1", action(number)));
        assert!(keys[0] != keys[1] && keys[0] != one && keys[0].len() == 32);
        assert_ne!(keys[0], key().action_idempotency_key("gwc_2", action(1)));
    }

    #[test]
    fn a_slot_is_the_first_byte_of_sha_256() {
        assert_eq!(Slot::of_key(""), Slot(0xe3));
        assert_eq!(Slot::of_key("abc"), Slot(0xba));
    }
}
