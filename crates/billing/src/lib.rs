//! The rules of recurring billing: what is owed, when, how much, and what may happen next.
//!
//! Pure: no input or output, no async, no SQL, no clock, no randomness, no floats. `now`, keys and
//! stored facts come in as values; decisions go out as values. The doing is in the crate `teiki`,
//! one folder for each module here.
//!
//! Reading order: [`money`], [`calendar`], [`tax`], [`proration`], [`plan`], [`subscription`], [`invoice`],
//! [`renewal`] (what opening the next invoice means), [`agreement`] (what a request does to a subscription), [`charge`] and [`resolution`] (what an attempt
//! to collect may become, and how an unknown one is found out), [`settlement`] (what the truth about a
//! charge means for everything else), [`three_d_secure`] (what waits for its card holder), [`charge_action`] (what may be
//! done to a charge later), [`ledger`], [`event`], [`guard`].

pub mod agreement;
pub mod calendar;
pub mod charge;
pub mod charge_action;
pub mod decline;
pub mod dunning;
pub mod event;
pub mod guard;
pub mod id;
pub mod invoice;
pub mod ledger;
pub mod mode;
pub mod money;
pub mod plan;
pub mod proration;
pub mod renewal;
pub mod resolution;
pub mod settlement;
pub mod subscription;
pub mod tax;
pub mod three_d_secure;

pub use jiff::Timestamp;
