//! The secrets of an endpoint: what its deliveries are signed with, and the token of PAY.JP's header. Stored sealed, each in
//! its own place ([`crate::secrets`]).

use billing::id::{AccountId, WebhookEndpointId};
use jiff::{SignedDuration, Timestamp};

use super::EndpointRow;
use crate::accounts;
use crate::failure::Failure;
use crate::secrets::sealed::CannotOpen;
use crate::secrets::{MasterKey, Place, Secret};

/// How long a former secret signs as well: time to give the new one to the receiver.
pub const FORMER_SIGNS: SignedDuration = SignedDuration::from_hours(24);
/// Bytes of a token, which is shown in hex.
const TOKEN_LENGTH: usize = 24;

/// The secrets in clear.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Signs.
    pub secret: Secret,
    /// Signs as well, until this time.
    pub former: Option<(Secret, Timestamp)>,
    /// The value of `X-Payjp-Webhook-Token`.
    pub token: Secret,
}

/// The secrets as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    pub(super) secret: Vec<u8>,
    pub(super) former: Option<(Vec<u8>, Timestamp)>,
    pub(super) token: Vec<u8>,
}

impl Keys {
    /// New ones.
    pub fn make() -> Result<Self, Failure> {
        let token = format!("whook_{}", hex::encode(&accounts::random()?[..TOKEN_LENGTH]));
        Ok(Self { secret: new_secret()?, former: None, token: Secret::new(token.into_bytes()) })
    }

    /// With a new secret; the one until now signs until `now` + [`FORMER_SIGNS`].
    pub fn rotated(self, now: Timestamp) -> Result<Self, Failure> {
        let until = now.saturating_add(FORMER_SIGNS).unwrap_or(Timestamp::MAX);
        Ok(Self { secret: new_secret()?, former: Some((self.secret, until)), token: self.token })
    }

    /// What signs at `now`, the present one first.
    pub fn signing(&self, now: Timestamp) -> Vec<&Secret> {
        let former = self.former.as_ref().filter(|former| now < former.1).map(|former| &former.0);
        std::iter::once(&self.secret).chain(former).collect()
    }

    /// Encrypted for this endpoint.
    pub fn seal(
        &self,
        master: &MasterKey,
        account: AccountId,
        id: WebhookEndpointId,
    ) -> Result<Sealed, Failure> {
        let seal = |column, secret: &Secret| {
            Ok::<_, Failure>(master.seal(place(&account, &id, column), &accounts::random()?, secret))
        };
        let former = match &self.former {
            Some((secret, until)) => Some((seal(FORMER, secret)?, *until)),
            None => None,
        };
        Ok(Sealed { secret: seal(SECRET, &self.secret)?, former, token: seal(TOKEN, &self.token)? })
    }

    /// The secrets of an endpoint.
    pub fn open(master: &MasterKey, row: &EndpointRow) -> Result<Self, CannotOpen> {
        let open = |column, sealed: &[u8]| master.open(place(&row.account, &row.id, column), sealed);
        let former = match &row.sealed.former {
            Some((sealed, until)) => Some((open(FORMER, sealed)?, *until)),
            None => None,
        };
        Ok(Self { secret: open(SECRET, &row.sealed.secret)?, former, token: open(TOKEN, &row.sealed.token)? })
    }
}

const SECRET: &str = "secret";
const FORMER: &str = "former_secret";
const TOKEN: &str = "token";

fn place<'a>(account: &'a AccountId, id: &'a WebhookEndpointId, column: &'static str) -> Place<'a> {
    Place { account: account.as_str(), table: "webhook_endpoints", row: id.as_str(), column }
}

fn new_secret() -> Result<Secret, Failure> {
    Ok(Secret::new(accounts::random()?.to_vec()))
}
