//! An operation: what a method on an address does, with everything that is known of it before it runs.
//!
//! The same declaration checks a request's parameters and its key, and makes the OpenAPI document.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use billing::id::AccountId;
use billing::mode::Mode;
use jiff::Timestamp;
use serde::Serialize;

use super::auth::{Access, Caller};
use super::error::ApiError;
use super::params::{Param, Params};
use crate::serve::site::Site;

/// What an operation answers.
pub enum Answer {
    /// 200 with JSON.
    Json(serde_json::Value),
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
    serde_json::json!({"deleted": true, "id": id, "livemode": mode == Mode::Live})
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
    /// Real time.
    pub now: Timestamp,
    /// 32 bytes that nobody can guess, for the ids of what it makes.
    pub random: [u8; 32],
}

impl Call {
    /// Account and mode: every look-up names both.
    pub fn side(&self) -> (AccountId, Mode) {
        (self.caller.account, self.caller.mode)
    }

    /// Variable part `index` of the address.
    pub fn id(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
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
    /// What it does.
    pub run: Run,
}
