//! The kinds of facts that are appended to a subscription's history.
//!
//! Mails, webhooks and step mails are made from events through the outbox. An event has billing time,
//! real time and a gapless number within its subscription.

/// What happened. Persisted as its name; keep stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A running subscription was taken over or a new one was made.
    SubscriptionCreated,
    /// Its state changed.
    SubscriptionUpdated,
    /// It ended.
    SubscriptionCanceled,
    /// A bill was issued.
    InvoiceOpened,
    /// A bill of zero was settled without a charge.
    InvoicePaid,
    /// Money was collected.
    ChargeSucceeded,
    /// A charge was declined.
    ChargeFailed,
    /// A charge was proven never to have been executed; the invoice is charged again.
    ChargeVoided,
    /// Money was collected that no open invoice asks for: to be refunded.
    ChargeSurplus,
}

impl Kind {
    /// The stored and published name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SubscriptionCreated => "subscription.created",
            Self::SubscriptionUpdated => "subscription.updated",
            Self::SubscriptionCanceled => "subscription.canceled",
            Self::InvoiceOpened => "invoice.opened",
            Self::InvoicePaid => "invoice.paid",
            Self::ChargeSucceeded => "charge.succeeded",
            Self::ChargeFailed => "charge.failed",
            Self::ChargeVoided => "charge.voided",
            Self::ChargeSurplus => "charge.surplus",
        }
    }
}
