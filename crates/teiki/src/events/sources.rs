//! Which histories an object's events are in.

use billing::event::History;
use billing::id::{
    AccountId, ChargeId, ClockId, InvoiceId, PaymentMethodId, Slot, SubscriptionId, TokenId,
    WebhookEndpointId,
};
use billing::mode::Mode;
use db::Tx;

use crate::{
    charges, clocks, customers, invoices, payment_methods, plan_switches, plans, subscriptions, webhooks,
};

/// A history and the number of its last event.
pub(super) struct Source {
    pub(super) history: String,
    pub(super) slot: Slot,
    pub(super) last: i64,
}

/// The histories that may tell of `resource`; merchants choose ids, so that a customer and a plan may have the same.
pub(super) fn of(tx: &mut Tx<'_>, side: (AccountId, Mode), resource: &str) -> Result<Vec<Source>, db::Error> {
    let mut sources = Vec::new();
    if let Ok(id) = resource.parse::<SubscriptionId>() {
        sources.extend(of_subscription(tx, side, id)?);
    }
    if let Ok(id) = resource.parse::<ChargeId>() {
        match charges::view::find(tx, side, id)?.map(|charge| charge.history()) {
            Some(History::Subscription(id)) => sources.extend(of_subscription(tx, side, id)?),
            Some(History::Sale(id)) => sources.push(of_sale(tx, id)?),
            None => {}
        }
    }
    if let Ok(id) = resource.parse::<InvoiceId>()
        && let Some(invoice) = invoices::find_any(tx, side, id)?
    {
        match invoice.subscription {
            Some(subscription) => sources.extend(of_subscription(tx, side, subscription)?),
            None => sources.push(of_sale(tx, id)?),
        }
    }
    if let Some(switch) = plan_switches::find(tx, side, resource)? {
        let (history, slot) = (switch.id.to_string(), switch.id.slot());
        sources.push(Source { history, slot, last: switch.event_number });
    }
    if let Ok(id) = resource.parse::<TokenId>() {
        sources.push(Source { history: id.to_string(), slot: id.slot(), last: 1 });
    }
    if let Ok(id) = resource.parse::<ClockId>()
        && let Some(last) = clocks::objects::last_event(tx, side, id)?
    {
        sources.push(Source { history: id.to_string(), slot: Slot(0), last });
    }
    if let Ok(id) = resource.parse::<WebhookEndpointId>()
        && let Some(last) = webhooks::last_event(tx, side, id)?
    {
        sources.push(Source { history: id.to_string(), slot: id.slot(), last });
    }
    let mut customer = Some(resource.to_owned());
    if let Ok(id) = resource.parse::<PaymentMethodId>() {
        customer = payment_methods::find(tx, side, id)?.and_then(|card| card.customer);
    }
    if let Some(customer) = customer
        && let Some(row) = customers::find_any(tx, side, &customer)?
    {
        let history = customers::history(side, &customer);
        sources.push(Source { history, slot: Slot::of_key(&customer), last: row.event_number });
    }
    for plan in plans::find_many(tx, side, &[resource])? {
        let history = plans::history(side, &plan.id);
        sources.push(Source { history, slot: Slot::of_key(&plan.id), last: plan.event_number });
    }
    Ok(sources)
}

fn of_sale(tx: &mut Tx<'_>, id: InvoiceId) -> Result<Source, db::Error> {
    let last = charges::history::last_of_sale(tx, id)?;
    Ok(Source { history: id.to_string(), slot: id.slot(), last })
}

fn of_subscription(
    tx: &mut Tx<'_>,
    side: (AccountId, Mode),
    id: SubscriptionId,
) -> Result<Option<Source>, db::Error> {
    let found = subscriptions::find_any(tx, side, id)?;
    Ok(found.map(|row| Source { history: id.to_string(), slot: id.slot(), last: row.event_number }))
}
