//! Signatures of what is sent, as Standard Webhooks has them (standardwebhooks.com): HMAC-SHA-256 over
//! `id.timestamp.body`, so that a receiver knows who sent it, that it is whole, and that it is not an old one again.
//!
//! A secret is shown as `whsec_` and its bytes in base64. After a rotation the former one signs as well for a while, so that
//! a receiver can change over without losing anything.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secrets::Secret;

/// The value of `webhook-signature`: one `v1,…` for each secret. `timestamp`: real seconds, as in `webhook-timestamp`.
pub fn sign(secrets: &[&Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let one = |secret: &&Secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).expect("HMAC takes keys of any length");
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    };
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A signing secret as its owner is shown it.
pub fn shown(secret: &Secret) -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(secret.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_standard_webhooks_is_signed_as_it_is_there() {
        // From the test of the reference library.
        let bytes = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let secret = Secret::new(bytes);
        let signed =
            sign(&[&secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(shown(&secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let both = sign(&[&secret, &Secret::new(vec![1; 32])], "a", 1, b"");
        assert_eq!(both.split(' ').count(), 2);
    }
}
