//! Payouts: what gateways pay out to merchants. There are none in teiki yet, so that the lists are empty.

pub mod api;
