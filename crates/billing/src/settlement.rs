//! What the truth about a charge means for its invoice, its subscription and the books.
//!
//! [`settle`] is the rule behind the one `settle` that a reply, a poll, a webhook, a redirect, a report
//! and a person all call. It only moves forward; old news gives an empty [`Settled`].

use crate::charge::{self, Fact, Move};
use crate::event::Kind;
use crate::ledger::{self, Entry};
use crate::money::Money;
use crate::subscription;
use crate::tax::TaxedSum;
use crate::{dunning, invoice};

/// The subscription of a charge, when it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfSubscription {
    /// Where it stands.
    pub state: subscription::State,
    /// Its open invoices besides the one of this charge.
    pub other_open_invoices: i64,
    /// Whether a further invoice is scheduled.
    pub has_next: bool,
    /// Whether a failed payment of its schedule pauses it at once and voids the invoice, as PAY.JP does.
    pub failure_pauses: bool,
}

/// Where everything stands before the fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The charge.
    pub charge: charge::State,
    /// What it asks for.
    pub amount: Money,
    /// Its invoice.
    pub invoice: invoice::State,
    /// Whether the invoice was made inside a request: then a decline voids it and changes nothing else.
    pub in_request: bool,
    /// Whether a request asked for this payment of an invoice of the schedule, and waits for its outcome.
    pub is_asked: bool,
    /// Its subscription; a single sale has none.
    pub subscription: Option<OfSubscription>,
}

/// What changes. Empty for old news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The charge's new state.
    pub charge: Option<charge::State>,
    /// The charge took money that no invoice asks for; an operator is alarmed.
    pub is_surplus: bool,
    /// The invoice's new state.
    pub invoice: Option<invoice::State>,
    /// Whether the invoice must be charged again, by a new charge.
    pub charge_again: bool,
    /// The subscription's new state.
    pub subscription: Option<subscription::State>,
    /// What happens to the dunning case of the invoice.
    pub dunning: Option<dunning::State>,
    /// What goes into the books.
    pub entries: Vec<Entry>,
    /// What is appended to the history, in order.
    pub events: Vec<Kind>,
}

/// Applies `fact`. Error: the fact cannot be about a charge in this state.
pub fn settle(standing: &Standing, fact: Fact) -> Result<Settled, charge::Refused> {
    let Move::To(next) = standing.charge.take(fact)? else {
        return Ok(Settled::default());
    };
    let moved = Settled { charge: Some(next), ..Settled::default() };
    Ok(match next {
        charge::State::Succeeded if is_collectible(standing.invoice) => collected(standing, moved),
        charge::State::Succeeded => Settled {
            is_surplus: true,
            entries: ledger::surplus::entries(standing.amount),
            events: vec![Kind::ChargeSurplus],
            ..moved
        },
        charge::State::Failed => declined(standing, moved),
        charge::State::Void => Settled {
            invoice: gives_up(standing),
            charge_again: charges_again(standing),
            events: vec![if standing.charge == charge::State::Authorized {
                Kind::ChargeRefunded
            } else {
                Kind::ChargeVoided
            }],
            ..moved
        },
        charge::State::Authorized => Settled { events: vec![Kind::ChargeSucceeded], ..moved },
        charge::State::Prepared
        | charge::State::Sending
        | charge::State::Unknown
        | charge::State::Pending
        | charge::State::RequiresCustomer => moved,
    })
}

/// How a person closes an open invoice without a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByHand {
    /// It was paid by other means.
    PaidOutside,
    /// It is skipped: nobody owes it any longer.
    Waived,
}

/// Closes an open invoice of a subscription, of which `owed` is left and which was issued with `tax`. No charge of it may
/// be under way. A charge that turns out to have succeeded later is surplus.
pub fn close(of: &OfSubscription, how: ByHand, (owed, tax): (Money, &[TaxedSum])) -> Settled {
    let mut settled = match how {
        ByHand::PaidOutside => Settled {
            invoice: Some(invoice::State::Paid),
            dunning: Some(dunning::State::Recovered),
            entries: ledger::paid_outside::entries(owed),
            events: vec![Kind::InvoicePaid],
            ..Settled::default()
        },
        ByHand::Waived => Settled {
            invoice: Some(invoice::State::Void),
            dunning: Some(dunning::State::GivenUp),
            entries: ledger::invoice_voided::entries(tax),
            events: vec![Kind::InvoiceVoided],
            ..Settled::default()
        },
    };
    change_subscription(of.state, nothing_open(of), &mut settled);
    settled
}

/// What happens to a subscription of which one more invoice is no longer open.
const fn nothing_open(of: &OfSubscription) -> Option<subscription::Event> {
    match (of.other_open_invoices, of.has_next) {
        (0, true) => Some(subscription::Event::NothingOpen),
        (0, false) => Some(subscription::Event::LastCollected),
        _ => None,
    }
}

const fn is_collectible(state: invoice::State) -> bool {
    state.may_become(invoice::State::Paid)
}

/// What becomes of the invoice of a request whose charge took nothing.
fn gives_up(standing: &Standing) -> Option<invoice::State> {
    (standing.in_request && standing.invoice == invoice::State::Open).then_some(invoice::State::Void)
}

/// Whether the schedule charges an invoice again whose charge took nothing. What a request asked for is its caller's to ask
/// again, unless the schedule had not come to an end with this invoice anyway.
fn charges_again(standing: &Standing) -> bool {
    let is_at_it = standing.subscription.as_ref().is_some_and(|of| match of.state {
        subscription::State::Trialing | subscription::State::Active => true,
        subscription::State::PastDue => !standing.is_asked,
        subscription::State::Paused | subscription::State::Canceled(_) => false,
    });
    standing.invoice == invoice::State::Open && !standing.in_request && is_at_it
}

fn collected(standing: &Standing, moved: Settled) -> Settled {
    let success = match standing.charge {
        charge::State::Authorized => Kind::ChargeCaptured,
        charge::State::Prepared
        | charge::State::Sending
        | charge::State::Unknown
        | charge::State::Pending
        | charge::State::RequiresCustomer
        | charge::State::Succeeded
        | charge::State::Failed
        | charge::State::Void => Kind::ChargeSucceeded,
    };
    let mut settled = Settled {
        invoice: Some(invoice::State::Paid),
        dunning: Some(dunning::State::Recovered),
        entries: ledger::charge_succeeded::entries(standing.amount),
        events: vec![success],
        ..moved
    };
    let Some(of) = &standing.subscription else {
        return settled;
    };
    // What the payment of a request's bill makes of its subscription was decided with the request.
    if standing.in_request {
        return settled;
    }
    // One that was canceled or deleted meanwhile has paid what it owed; it does not go on.
    if !matches!(of.state, subscription::State::Canceled(_)) {
        settled.events.push(Kind::SubscriptionRenewed);
    }
    change_subscription(of.state, nothing_open(of), &mut settled);
    settled
}

fn declined(standing: &Standing, moved: Settled) -> Settled {
    let mut settled = Settled { invoice: gives_up(standing), events: vec![Kind::ChargeFailed], ..moved };
    let Some(of) = standing
        .subscription
        .as_ref()
        .filter(|_| standing.invoice == invoice::State::Open && !standing.in_request)
    else {
        return settled;
    };
    if of.failure_pauses {
        settled.invoice = Some(invoice::State::Void);
        change_subscription(of.state, Some(subscription::Event::Paused), &mut settled);
        settled.events.push(Kind::InvoiceVoided);
    } else {
        settled.dunning = Some(dunning::State::Open);
        change_subscription(of.state, Some(subscription::Event::PaymentFailed), &mut settled);
        // Past due before, too: its period has gone on, and who follows subscriptions alone must hear of it.
        if of.state == subscription::State::PastDue && !standing.is_asked {
            settled.events.push(Kind::SubscriptionUpdated);
        }
        settled.events.push(Kind::InvoicePaymentFailed);
    }
    settled
}

fn change_subscription(
    state: subscription::State,
    event: Option<subscription::Event>,
    settled: &mut Settled,
) {
    let Some(Ok(next)) = event.map(|event| state.after(event)) else {
        return;
    };
    if next != state {
        settled.subscription = Some(next);
        settled.events.push(match next {
            subscription::State::Canceled(_) => Kind::SubscriptionCanceled,
            subscription::State::Paused => Kind::SubscriptionPaused,
            subscription::State::Trialing | subscription::State::Active | subscription::State::PastDue => {
                Kind::SubscriptionUpdated
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Account;
    use crate::subscription::{CancelReason, State};

    fn standing() -> Standing {
        Standing {
            charge: charge::State::Sending,
            amount: Money::yen(980),
            invoice: invoice::State::Open,
            in_request: false,
            is_asked: false,
            subscription: Some(of(State::Active)),
        }
    }

    fn of(state: State) -> OfSubscription {
        OfSubscription { state, other_open_invoices: 0, has_next: true, failure_pauses: false }
    }

    #[track_caller]
    fn check(standing: Standing, fact: Fact) -> Settled {
        settle(&standing, fact).expect("the fact fits the state")
    }

    #[test]
    fn a_success_pays_the_invoice_and_an_active_subscription_stays() {
        let settled = check(standing(), Fact::Succeeded);
        assert_eq!(settled.invoice, Some(invoice::State::Paid));
        assert_eq!((settled.subscription, settled.is_surplus), (None, false));
        assert_eq!(settled.events, [Kind::ChargeSucceeded, Kind::SubscriptionRenewed]);
        assert_eq!(settled.entries.len(), 1);
    }

    #[test]
    fn an_invoice_closed_by_hand_leaves_the_subscription_as_if_it_had_been_paid() {
        let tax = [TaxedSum { percent: Some(10), gross: Money::yen(980), tax: Money::yen(89) }];
        for how in [ByHand::PaidOutside, ByHand::Waived] {
            for state in State::ALL {
                for (other_open_invoices, has_next) in [(0, true), (0, false), (1, true), (1, false)] {
                    let of = OfSubscription { other_open_invoices, has_next, ..of(state) };
                    let closed = close(&of, how, (Money::yen(980), &tax));
                    let paid = check(Standing { subscription: Some(of), ..standing() }, Fact::Succeeded);
                    assert_eq!(closed.subscription, paid.subscription, "{how:?} {of:?}");
                    assert_eq!((closed.charge, closed.is_surplus), (None, false));
                    let sum: i64 = closed.entries.iter().map(|entry| entry.amount.minor).sum();
                    assert!(
                        sum == 980 && closed.entries.iter().all(|entry| entry.credit == Account::Receivable)
                    );
                    let (invoice, dunning, event) = match how {
                        ByHand::PaidOutside => {
                            (invoice::State::Paid, dunning::State::Recovered, Kind::InvoicePaid)
                        }
                        ByHand::Waived => {
                            (invoice::State::Void, dunning::State::GivenUp, Kind::InvoiceVoided)
                        }
                    };
                    assert_eq!((closed.invoice, closed.dunning), (Some(invoice), Some(dunning)));
                    assert_eq!(closed.events[0], event);
                }
            }
        }
    }

    #[test]
    fn a_decline_leaves_the_invoice_open_and_the_subscription_past_due() {
        let settled = check(standing(), Fact::Declined);
        assert_eq!((settled.invoice, settled.subscription), (None, Some(State::PastDue)));
        assert_eq!(settled.dunning, Some(dunning::State::Open));
        assert_eq!(
            settled.events,
            [Kind::ChargeFailed, Kind::SubscriptionUpdated, Kind::InvoicePaymentFailed]
        );
        assert_eq!(settled.entries, []);
        for is_asked in [false, true] {
            let again = Standing { subscription: Some(of(State::PastDue)), is_asked, ..standing() };
            let told = check(again, Fact::Declined).events;
            assert_eq!(told.contains(&Kind::SubscriptionUpdated), !is_asked, "{told:?}");
        }
    }

    #[test]
    fn past_due_ends_only_when_no_invoice_is_open() {
        let past_due = |other_open_invoices| Standing {
            subscription: Some(OfSubscription { other_open_invoices, ..of(State::PastDue) }),
            ..standing()
        };
        assert_eq!(check(past_due(1), Fact::Succeeded).subscription, None);
        assert_eq!(check(past_due(0), Fact::Succeeded).subscription, Some(State::Active));
    }

    #[test]
    fn the_last_instalment_completes_only_when_all_is_collected() {
        let last = |other_open_invoices, state| Standing {
            subscription: Some(OfSubscription { other_open_invoices, has_next: false, ..of(state) }),
            ..standing()
        };
        let completed = Some(State::Canceled(CancelReason::Completed));
        assert_eq!(check(last(0, State::Active), Fact::Succeeded).subscription, completed);
        assert_eq!(check(last(1, State::PastDue), Fact::Succeeded).subscription, None);
        assert_eq!(check(last(0, State::PastDue), Fact::Succeeded).subscription, completed);
        assert_eq!(check(last(0, State::Active), Fact::Declined).subscription, Some(State::PastDue));
    }

    #[test]
    fn a_second_success_is_surplus_and_is_written() {
        for state in [invoice::State::Paid, invoice::State::Void, invoice::State::Scheduled] {
            let settled = check(Standing { invoice: state, ..standing() }, Fact::Succeeded);
            assert!(settled.is_surplus && settled.invoice.is_none(), "{state:?}");
            assert_eq!(settled.entries[0].credit, ledger::Account::Surplus);
        }
        let written_off =
            check(Standing { invoice: invoice::State::Uncollectible, ..standing() }, Fact::Succeeded);
        assert_eq!(written_off.invoice, Some(invoice::State::Paid));
    }

    #[test]
    fn e16_late_and_doubled_news_changes_nothing() {
        let paid = Standing { charge: charge::State::Succeeded, invoice: invoice::State::Paid, ..standing() };
        for fact in [Fact::Declined, Fact::Succeeded, Fact::Lost, Fact::NeverExecuted, Fact::Pending] {
            assert_eq!(check(paid, fact), Settled::default(), "{fact:?}");
        }
        let failed = Standing { charge: charge::State::Failed, ..standing() };
        assert_eq!(check(failed, Fact::Succeeded).invoice, Some(invoice::State::Paid));
    }

    #[test]
    fn a_decline_inside_a_request_voids_its_invoice_and_changes_nothing_else() {
        for subscription in [Some(of(State::Active)), None] {
            let settled = check(Standing { in_request: true, subscription, ..standing() }, Fact::Declined);
            assert_eq!(settled.invoice, Some(invoice::State::Void));
            assert_eq!((settled.subscription, settled.dunning), (None, None));
            assert_eq!(settled.events, [Kind::ChargeFailed]);
            let never = check(Standing { in_request: true, subscription, ..standing() }, Fact::NeverExecuted);
            assert_eq!((never.invoice, never.charge_again), (Some(invoice::State::Void), false));
        }
    }

    #[test]
    fn a_failed_renewal_pauses_where_that_is_chosen() {
        let pausing = OfSubscription { failure_pauses: true, ..of(State::Active) };
        let settled = check(Standing { subscription: Some(pausing), ..standing() }, Fact::Declined);
        assert_eq!(settled.invoice, Some(invoice::State::Void));
        assert_eq!((settled.subscription, settled.dunning), (Some(State::Paused), None));
        assert_eq!(settled.events, [Kind::ChargeFailed, Kind::SubscriptionPaused, Kind::InvoiceVoided]);
    }

    #[test]
    fn a_reserved_sale_is_paid_when_it_is_captured() {
        let sale = Standing { in_request: true, subscription: None, ..standing() };
        let reserved = check(sale, Fact::Authorized);
        assert_eq!((reserved.invoice, reserved.charge), (None, Some(charge::State::Authorized)));
        assert_eq!(reserved.events, [Kind::ChargeSucceeded]);
        let captured = check(Standing { charge: charge::State::Authorized, ..sale }, Fact::Succeeded);
        assert_eq!(captured.invoice, Some(invoice::State::Paid));
        assert_eq!(captured.events, [Kind::ChargeCaptured]);
    }

    #[test]
    fn a_charge_that_never_happened_is_made_again_while_the_schedule_is_at_its_invoice() {
        use State::{Active, Canceled, PastDue, Paused, Trialing};
        let again = |state, is_asked, invoice| {
            let unknown = Standing {
                charge: charge::State::Unknown,
                invoice,
                is_asked,
                subscription: Some(of(state)),
                ..standing()
            };
            check(unknown, Fact::NeverExecuted).charge_again
        };
        for (state, by_itself, when_asked_for) in [
            (Trialing, true, true),
            (Active, true, true),
            (PastDue, true, false),
            (Paused, false, false),
            (Canceled(CancelReason::Requested), false, false),
            (Canceled(CancelReason::Completed), false, false),
        ] {
            assert_eq!(again(state, false, invoice::State::Open), by_itself, "{state:?}");
            assert_eq!(again(state, true, invoice::State::Open), when_asked_for, "{state:?} asked");
            for closed in [invoice::State::Paid, invoice::State::Void, invoice::State::Uncollectible] {
                assert!(!again(state, false, closed), "{state:?} {closed:?}");
            }
        }
    }

    #[test]
    fn what_was_canceled_meanwhile_pays_and_is_not_renewed() {
        let canceled = of(State::Canceled(CancelReason::Requested));
        let settled = check(Standing { subscription: Some(canceled), ..standing() }, Fact::Succeeded);
        assert_eq!((settled.invoice, settled.subscription), (Some(invoice::State::Paid), None));
        assert_eq!(settled.events, [Kind::ChargeSucceeded]);
    }
}
