//! The master key, and what it encrypts.
//!
//! **Persisted: the form and the derivations must stay stable.** A sealed value is its version (1 byte, 1), the first 8 bytes of
//! the master key's id, a nonce of 24 bytes, and what XChaCha20-Poly1305 makes of the secret. Its associated data are version,
//! key id and [`Place`], each part preceded by its length.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Secret;

/// Length of the master key and of a data key, in bytes.
pub const KEY_LENGTH: usize = 32;
const VERSION: u8 = 1;
const ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 24;
const HEAD_LENGTH: usize = 1 + ID_LENGTH + NONCE_LENGTH;

/// Where a value is stored; it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The account that it belongs to.
    pub account: &'a str,
    /// The table.
    pub table: &'static str,
    /// The id of the row.
    pub row: &'a str,
    /// The column.
    pub column: &'static str,
}

/// Why a stored value does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotOpen {
    /// It was sealed under another master key.
    #[error("it was encrypted under another secret key, {0}")]
    OtherKey(String),
    /// It was changed, or stands where it was not written.
    #[error("it is damaged, or was not written there")]
    Damaged,
}

/// The 32 bytes that all data keys are derived from.
pub struct MasterKey {
    id: String,
    bytes: Zeroizing<[u8; KEY_LENGTH]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl MasterKey {
    /// From its bytes.
    pub fn new(bytes: [u8; KEY_LENGTH]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let digest = Sha256::new().chain_update(b"teiki master key").chain_update(*bytes).finalize();
        Self { id: hex::encode(&digest[..ID_LENGTH]), bytes }
    }

    /// Says which key it is, and nothing about it: 16 hex digits of a hash.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Encrypts `secret` for its place. `random`: bytes that were used for nothing else; 24 of them are taken.
    pub fn seal(&self, place: Place<'_>, random: &[u8; 32], secret: &Secret) -> Vec<u8> {
        let mut nonce = [0; NONCE_LENGTH];
        nonce.copy_from_slice(&random[..NONCE_LENGTH]);
        let payload = Payload { msg: secret.expose(), aad: &self.associated(place) };
        let text = self.cipher(place.account).encrypt(&XNonce::from(nonce), payload);
        let text = text.expect("a secret is far below the cipher's limit of 256 GiB");
        let mut sealed = Vec::with_capacity(HEAD_LENGTH + text.len());
        sealed.push(VERSION);
        sealed.extend(hex::decode(&self.id).expect("an id is hex"));
        sealed.extend(nonce);
        sealed.extend(text);
        sealed
    }

    /// Decrypts what was sealed for this place.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret, CannotOpen> {
        let Some((head, text)) = sealed.split_at_checked(HEAD_LENGTH) else {
            return Err(CannotOpen::Damaged);
        };
        let id = hex::encode(&head[1..=ID_LENGTH]);
        if head[0] != VERSION {
            return Err(CannotOpen::Damaged);
        }
        if id != self.id {
            return Err(CannotOpen::OtherKey(id));
        }
        let mut nonce = [0; NONCE_LENGTH];
        nonce.copy_from_slice(&head[1 + ID_LENGTH..]);
        let payload = Payload { msg: text, aad: &self.associated(place) };
        let opened = self.cipher(place.account).decrypt(&XNonce::from(nonce), payload);
        opened.map(Secret::new).map_err(|_| CannotOpen::Damaged)
    }

    fn cipher(&self, account: &str) -> XChaCha20Poly1305 {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        Hkdf::<Sha256>::new(None, &*self.bytes)
            .expand_multi_info(&[b"teiki data key 1 ", account.as_bytes()], &mut *key)
            .expect("32 bytes are far below HKDF's limit");
        XChaCha20Poly1305::new((&*key).into())
    }

    fn associated(&self, place: Place<'_>) -> Vec<u8> {
        let mut data = vec![VERSION];
        for part in [&self.id, place.account, place.table, place.row, place.column] {
            data.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            data.extend(part.as_bytes());
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> =
        Place { account: "acct_1", table: "webhook_endpoints", row: "we_1", column: "secret" };

    fn key() -> MasterKey {
        MasterKey::new([7; KEY_LENGTH])
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_and_under_its_key_only() {
        let sealed = key().seal(PLACE, &[1; 32], &Secret::new(b"hidden".to_vec()));
        let opened = key().open(PLACE, &sealed).expect("it opens");
        assert_eq!((opened.expose(), format!("{opened:?}")), (&b"hidden"[..], "Secret".to_owned()));
        let strange = [
            Place { account: "acct_2", ..PLACE },
            Place { table: "other", ..PLACE },
            Place { row: "we_2", ..PLACE },
            Place { column: "token", ..PLACE },
        ];
        for place in strange {
            assert_eq!(key().open(place, &sealed).err(), Some(CannotOpen::Damaged), "{place:?}");
        }
        let other = MasterKey::new([8; KEY_LENGTH]);
        assert_eq!(other.open(PLACE, &sealed).err(), Some(CannotOpen::OtherKey(key().id().to_owned())));
    }

    #[test]
    fn nothing_that_was_changed_opens() {
        let sealed = key().seal(PLACE, &[1; 32], &Secret::new(b"hidden".to_vec()));
        assert_eq!(sealed.len(), HEAD_LENGTH + "hidden".len() + 16);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(key().open(PLACE, &changed).is_err(), "byte {place}");
        }
        for length in 0..sealed.len() {
            assert!(key().open(PLACE, &sealed[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn the_stored_form_is_stable() {
        // Persisted: these values must never change.
        let sealed = key().seal(PLACE, &[1; 32], &Secret::new(b"hidden".to_vec()));
        assert_eq!(key().id(), "a0fb91250cc4c93f");
        assert_eq!(
            hex::encode(sealed),
            "01a0fb91250cc4c93f010101010101010101010101010101010101010101010101953d3a1b4b8c03fb54bf494aeb4cb30067b4acb4e0d9"
        );
    }
}
