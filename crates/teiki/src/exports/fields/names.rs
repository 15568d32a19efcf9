//! The stored names that stand in columns, and how each is shown; `None` for one that no version has written.

use std::str::FromStr;

use billing::calendar::{Calendar, Unit};
use billing::decline::DeclineClass;
use billing::ledger::Account;
use billing::money::Currency;
use billing::plan::FirstCharge;
use billing::subscription::RenewalFailure;
use billing::tax::TaxCategory;
use billing::{charge, charge_action, dunning, invoice, subscription, three_d_secure};

use crate::actor::Actor;
use crate::charges::ResolvedBy;
use crate::web::limits::Preset;
use crate::webhooks::deliveries::DeliveryStatus;
use crate::{clocks, plan_switches, webhooks};

/// What a stored name is shown as.
pub(in crate::exports) type Known = fn(&str) -> Option<&'static str>;

fn parsed<T: FromStr>(name: &str, shown: impl Fn(T) -> &'static str) -> Option<&'static str> {
    name.parse::<T>().ok().map(shown)
}

fn one_of<const N: usize>(known: [&'static str; N], name: &str) -> Option<&'static str> {
    known.into_iter().find(|known| *known == name)
}

pub(super) fn currency(name: &str) -> Option<&'static str> {
    parsed(name, Currency::code)
}

pub(super) fn tax_category(name: &str) -> Option<&'static str> {
    parsed(name, TaxCategory::as_str)
}

pub(super) fn interval(name: &str) -> Option<&'static str> {
    parsed(name, Unit::as_str)
}

pub(super) fn calendar(name: &str) -> Option<&'static str> {
    parsed(name, Calendar::as_str)
}

pub(super) fn renewal_failure(name: &str) -> Option<&'static str> {
    parsed(name, RenewalFailure::as_str)
}

pub(super) fn first_charge(name: &str) -> Option<&'static str> {
    parsed(name, FirstCharge::as_str)
}

pub(super) fn rate_limits(name: &str) -> Option<&'static str> {
    Preset::from_stored(name).map(Preset::as_str)
}

pub(super) fn charge_status(name: &str) -> Option<&'static str> {
    charge::State::from_stored(name).map(charge::State::as_str)
}

pub(super) fn action_kind(name: &str) -> Option<&'static str> {
    charge_action::Kind::from_stored(name).map(charge_action::Kind::as_str)
}

pub(super) fn action_status(name: &str) -> Option<&'static str> {
    charge_action::State::from_stored(name).map(charge_action::State::as_str)
}

pub(super) fn refusal(name: &str) -> Option<&'static str> {
    charge_action::Refusal::from_stored(name).map(charge_action::Refusal::as_str)
}

pub(super) fn resolved_by(name: &str) -> Option<&'static str> {
    one_of([ResolvedBy::Replay, ResolvedBy::Lookup].map(ResolvedBy::as_str), name)
}

pub(super) fn actor(name: &str) -> Option<&'static str> {
    one_of([Actor::Schedule, Actor::Operator, Actor::Guard, Actor::Api].map(Actor::as_str), name)
}

pub(super) fn three_d_secure(name: &str) -> Option<&'static str> {
    three_d_secure::Status::from_stored(name).map(three_d_secure::Status::as_str)
}

pub(super) fn invoice_status(name: &str) -> Option<&'static str> {
    invoice::State::from_stored(name).map(invoice::State::as_str)
}

/// The states in the words of PAY.JP's dialect, where a subscription before its first charge is `trial`.
pub(super) fn subscription_status(name: &str) -> Option<&'static str> {
    let state = subscription::State::ALL.into_iter().find(|state| state.as_str() == name)?;
    Some(match state {
        subscription::State::Trialing => "trial",
        subscription::State::Active
        | subscription::State::PastDue
        | subscription::State::Paused
        | subscription::State::Canceled(_) => state.as_str(),
    })
}

pub(super) fn cancel_reason(name: &str) -> Option<&'static str> {
    subscription::State::ALL
        .into_iter()
        .filter_map(subscription::State::cancel_reason)
        .map(subscription::CancelReason::as_str)
        .find(|reason| *reason == name)
}

pub(super) fn failure_class(name: &str) -> Option<&'static str> {
    one_of(DeclineClass::ALL.map(DeclineClass::as_str), name)
}

pub(super) fn dunning_status(name: &str) -> Option<&'static str> {
    use dunning::State;
    one_of([State::Open, State::Recovered, State::GivenUp].map(State::as_str), name)
}

pub(super) fn ledger_account(name: &str) -> Option<&'static str> {
    Account::ALL.into_iter().map(Account::as_str).find(|account| *account == name)
}

pub(super) fn switch_status(name: &str) -> Option<&'static str> {
    plan_switches::Status::from_stored(name).map(plan_switches::Status::as_str)
}

pub(super) fn clock_status(name: &str) -> Option<&'static str> {
    clocks::objects::Status::from_stored(name).map(clocks::objects::Status::as_str)
}

/// Whether anything is sent to an endpoint; why not stands in a column of its own.
pub(super) fn endpoint_status(name: &str) -> Option<&'static str> {
    endpoint_states().map(webhooks::Status::as_str).into_iter().find(|status| *status == name)
}

pub(super) fn disabled_reason(name: &str) -> Option<&'static str> {
    endpoint_states().into_iter().filter_map(webhooks::Status::reason).find(|reason| *reason == name)
}

const fn endpoint_states() -> [webhooks::Status; 4] {
    use webhooks::{Reason, Status};
    [
        Status::Enabled,
        Status::Disabled(Reason::Requested),
        Status::Disabled(Reason::Failing),
        Status::Disabled(Reason::Gone),
    ]
}

pub(super) fn delivery_status(name: &str) -> Option<&'static str> {
    DeliveryStatus::from_stored(name).map(DeliveryStatus::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_before_its_first_charge_is_shown_as_trial() {
        assert_eq!(subscription_status("trialing"), Some("trial"));
        assert_eq!(subscription_status("past_due"), Some("past_due"));
        assert_eq!(subscription_status("trial"), None);
    }

    #[test]
    fn a_name_that_no_version_has_written_is_none() {
        let all: [Known; 25] = [
            currency,
            tax_category,
            interval,
            calendar,
            renewal_failure,
            first_charge,
            rate_limits,
            charge_status,
            action_kind,
            action_status,
            refusal,
            resolved_by,
            actor,
            three_d_secure,
            invoice_status,
            subscription_status,
            cancel_reason,
            failure_class,
            dunning_status,
            ledger_account,
            switch_status,
            clock_status,
            endpoint_status,
            disabled_reason,
            delivery_status,
        ];
        assert!(all.iter().all(|known| known("odd").is_none() && known("").is_none()));
        assert_eq!(disabled_reason("gone"), Some("gone"));
        assert_eq!(
            (endpoint_status("disabled"), delivery_status("given_up")),
            (Some("disabled"), Some("given_up"))
        );
    }
}
