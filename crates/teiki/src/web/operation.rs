//! An operation: what a method on an address does, with everything that is known of it before it runs.
//!
//! The same declaration checks a request's parameters and its key, and makes the OpenAPI document.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use billing::id::AccountId;
use billing::mode::Mode;
use db::Tx;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::auth::{Access, Caller};
use super::error::ApiError;
use super::params::{Param, Params};
use super::shape::{Deleted, Shape};
use crate::failure::Failure;
use crate::idempotency::{self, Kept, Ticket};
use crate::serve::site::Site;

/// What an operation answers.
pub enum Answer {
    /// 200 with JSON.
    Json(serde_json::Value),
    /// 200 with JSON that has a secret, and what is kept of it for a repeat.
    Secret {
        /// What is answered now.
        shown: serde_json::Value,
        /// The same without its secret.
        kept: serde_json::Value,
    },
    /// What a request with this `Idempotency-Key` was answered before.
    Again(Kept),
    /// 200 with a file.
    File(File),
}

/// A file that is made while it is sent.
pub struct File {
    /// What it is called.
    pub name: String,
    /// Its media type, with parameters.
    pub content_type: &'static str,
    /// Its bytes, one part after the other as they are taken. An error cuts the answer off.
    pub parts: BoxStream<'static, Result<Vec<u8>, Failure>>,
}

impl Answer {
    /// An object or a list.
    pub fn json<T: Serialize>(value: &T) -> Result<Self, ApiError> {
        object(value).map(Self::Json)
    }
}

/// An object as the API shows it.
pub fn object<T: Serialize>(value: &T) -> Result<serde_json::Value, ApiError> {
    serde_json::to_value(value).map_err(|error| ApiError::inside(format!("an answer is not JSON: {error}")))
}

/// The answer to a deletion.
pub fn deleted(mode: Mode, id: &str) -> serde_json::Value {
    serde_json::json!(Deleted::new(mode, id))
}

/// A request that has passed every check.
pub struct Call {
    /// What the server has.
    pub site: Arc<Site>,
    /// Whose request.
    pub caller: Caller,
    /// The variable parts of the address, in order.
    pub path: Vec<String>,
    /// Its parameters.
    pub params: Params,
    /// Whether the connection can tell a file that was cut off from a whole one: HTTP/1.1 has chunks, HTTP/1.0 has not.
    pub has_chunks: bool,
    /// Real time.
    pub now: Timestamp,
    /// Until when it waits for a payment, or for another request with its `Idempotency-Key`.
    pub give_up_at: Instant,
    /// 32 bytes that nobody can guess, for the ids of what it makes. The same for every try with one `Idempotency-Key`.
    pub random: [u8; 32],
    /// With an `Idempotency-Key`: its row, which this try holds.
    pub ticket: Option<Ticket>,
}

impl Call {
    /// Account and mode: every look-up names both.
    pub fn side(&self) -> (AccountId, Mode) {
        (self.caller.account, self.caller.mode)
    }

    /// Does what the request is for, in one transaction, and answers with what that gives. With an `Idempotency-Key` it is
    /// done once: a repeat is given what the first one gave.
    pub async fn change<V: Serialize>(
        &self,
        work: impl Fn(&mut Tx<'_>) -> Result<V, ApiError> + Send + 'static,
    ) -> Result<Answer, ApiError> {
        let (shown, _) = self.begin(move |tx| Ok((object(&work(tx)?)?, ()))).await?;
        Ok(Answer::Json(shown))
    }

    /// As [`Self::change`] for an answer with a secret, which nothing keeps: `work` gives it with and without.
    pub async fn reveal<S: Serialize, V: Serialize>(
        &self,
        work: impl Fn(&mut Tx<'_>) -> Result<(S, V), ApiError> + Send + 'static,
    ) -> Result<Answer, ApiError> {
        let begun = self.begin(move |tx| {
            let (shown, kept) = work(tx)?;
            Ok((object(&kept)?, object(&shown)?))
        });
        Ok(match begun.await? {
            (kept, Some(shown)) => Answer::Secret { shown, kept },
            (kept, None) => Answer::Json(kept),
        })
    }

    /// Does what the request is for, in one transaction, and gives what must be known to go on from there, and what only
    /// the one who did it can do. With an `Idempotency-Key` it is done once: a repeat is given the first alone.
    pub async fn begin<T, L>(
        &self,
        work: impl Fn(&mut Tx<'_>) -> Result<(T, L), ApiError> + Send + 'static,
    ) -> Result<(T, Option<L>), Unbegun>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        L: Send + 'static,
    {
        if let Some(done) = self.begun()? {
            return Ok((done, None));
        }
        let ticket = self.ticket.clone();
        let begun = self.site.app.db.write(move |tx| {
            let (done, live) = work(tx)?;
            if let Some(ticket) = &ticket {
                idempotency::mark(tx, ticket, &object(&done)?)?;
            }
            Ok::<_, Unbegun>((done, live))
        });
        let (done, live) = begun.await?;
        Ok((done, Some(live)))
    }

    /// What a former try with the same `Idempotency-Key` has begun.
    pub fn begun<T: DeserializeOwned>(&self) -> Result<Option<T>, ApiError> {
        let done = self.ticket.as_ref().and_then(|ticket| ticket.done.clone());
        done.map(serde_json::from_value)
            .transpose()
            .map_err(|error| ApiError::inside(format!("what a request has done does not read: {error}")))
    }

    /// Variable part `index` of the address.
    pub fn id(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }
}

/// Why what a request is for was not begun.
#[derive(Debug)]
pub enum Unbegun {
    /// It was refused.
    Refused(ApiError),
    /// The database failed, perhaps while it was committed.
    Db(db::Error),
}

impl From<ApiError> for Unbegun {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<db::Error> for Unbegun {
    fn from(error: db::Error) -> Self {
        Self::Db(error)
    }
}

impl From<Unbegun> for ApiError {
    fn from(unbegun: Unbegun) -> Self {
        match unbegun {
            Unbegun::Refused(error) => error,
            Unbegun::Db(error) => error.into(),
        }
    }
}

/// What runs an operation.
pub type Run = fn(Call) -> Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send>>;

/// What a method on an address does; `routes.rs` says on which.
#[derive(Clone, Copy)]
pub struct Operation {
    /// What a key must be able to do.
    pub access: Access,
    /// What it is about, as messages name it.
    pub object: &'static str,
    /// What it does, in a sentence of the documentation.
    pub summary: &'static str,
    /// What it takes.
    pub params: &'static [Param],
    /// What it answers.
    pub answer: Shape,
    /// What it does.
    pub run: Run,
}
