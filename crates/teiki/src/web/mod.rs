//! The manners of the HTTP API: what every operation shares.
//!
//! A request goes through [`serve`] in this order: its key ([`auth`]), its body and query ([`body`]), a look for card numbers
//! ([`card_numbers`]), its parameters against the operation's list ([`params`]), the operation itself; every failure on the way is one shape ([`error`]).
//! What an operation is stands in [`operation`], what it answers in [`shape`]; lists and their pages in [`list`]; what pages of other
//! origins may call in [`cors`]; keys that open nothing are counted in [`strangers`]. No operation is here: those are in the
//! `api.rs` of their feature, and every URL in `routes.rs`. Pages for people have manners of their own ([`page`]).

pub mod auth;
pub mod body;
pub mod card_numbers;
pub mod cors;
pub mod error;
pub mod limits;
pub mod list;
pub mod metadata;
pub mod operation;
pub mod page;
pub mod params;
pub mod serve;
pub mod shape;
pub mod strangers;

pub use auth::{Access, Caller};
pub use error::ApiError;
pub use operation::{Answer, Call, Operation, Unbegun, deleted, object};
pub use params::new_object_id;
pub use shape::{Deleted, Shape};
