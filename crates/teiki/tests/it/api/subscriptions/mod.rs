//! Subscriptions along test clocks (specs/payjp-v1.md 6), in the ways of both merchants of the shop.
//!
//! Instants are UTC; the accounts are in Tokyo, nine hours ahead, and charge from 09:00 there.

mod changing;
mod clock_deletion;
mod clocks;
mod creating;
mod deleting;
mod events;
mod failing;
mod periods;
mod prorating;
mod quarters;
mod stopping;
