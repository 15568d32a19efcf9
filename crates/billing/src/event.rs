//! The kinds of facts that are appended to a history.
//!
//! A history is that of a subscription, a customer, a plan, a token, a sale, a plan switch, a test clock or a webhook endpoint.
//! Deliveries to webhook endpoints are written in the transaction that appends an event. An event has billing time, real time and
//! a gapless number within its history.
//! The names are those of PAY.JP where it has one ([`Kind::is_payjp`]); teiki's own are told to those who ask for them.

use crate::id::{InvoiceId, Slot, SubscriptionId};

/// Whose history a charge belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum History {
    /// A charge for a subscription.
    Subscription(SubscriptionId),
    /// A charge for a single sale: the history of its invoice.
    Sale(InvoiceId),
}

impl History {
    /// The history of a charge for this invoice.
    pub const fn of(subscription: Option<SubscriptionId>, invoice: InvoiceId) -> Self {
        match subscription {
            Some(subscription) => Self::Subscription(subscription),
            None => Self::Sale(invoice),
        }
    }

    /// The id that its events name. Persisted; keep stable.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Subscription(id) => id.as_str(),
            Self::Sale(id) => id.as_str(),
        }
    }

    /// Where its rows are.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Subscription(id) => id.slot(),
            Self::Sale(id) => id.slot(),
        }
    }

    /// The subscription, when it has one.
    pub const fn subscription(&self) -> Option<SubscriptionId> {
        match self {
            Self::Subscription(id) => Some(*id),
            Self::Sale(_) => None,
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $is_payjp:literal;)*) => {
        /// What happened. Persisted as its name; keep stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stored and published name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Whether PAY.JP has it. Its SDKs read others as charges, so those are told only to those who ask.
            pub const fn is_payjp(self) -> bool {
                match self {
                    $(Self::$name => $is_payjp,)*
                }
            }
        }
    };
}

kinds! {
    /// Money was collected, or reserved to be captured later.
    ChargeSucceeded = "charge.succeeded", true;
    /// A charge was declined.
    ChargeFailed = "charge.failed", true;
    /// Its description or metadata changed.
    ChargeUpdated = "charge.updated", true;
    /// Money was given back, or a reservation was released.
    ChargeRefunded = "charge.refunded", true;
    /// Reserved money was taken.
    ChargeCaptured = "charge.captured", true;
    /// A charge was proven never to have been executed; the invoice is charged again.
    ChargeVoided = "charge.voided", false;
    /// Money was collected that no open invoice asks for: to be refunded.
    ChargeSurplus = "charge.surplus", false;
    /// A token was made.
    TokenCreated = "token.created", true;
    /// A customer was made.
    CustomerCreated = "customer.created", true;
    /// A customer changed.
    CustomerUpdated = "customer.updated", true;
    /// A customer was deleted.
    CustomerDeleted = "customer.deleted", true;
    /// A customer got a card.
    CardCreated = "customer.card.created", true;
    /// A card's details changed.
    CardUpdated = "customer.card.updated", true;
    /// A customer's card was deleted.
    CardDeleted = "customer.card.deleted", true;
    /// A plan was made.
    PlanCreated = "plan.created", true;
    /// A plan's name or metadata changed.
    PlanUpdated = "plan.updated", true;
    /// A plan was deleted.
    PlanDeleted = "plan.deleted", true;
    /// A running subscription was taken over or a new one was made.
    SubscriptionCreated = "subscription.created", true;
    /// Something about it changed that no other kind names.
    SubscriptionUpdated = "subscription.updated", true;
    /// It was deleted.
    SubscriptionDeleted = "subscription.deleted", true;
    /// It was stopped for now, by a request or by a failed payment.
    SubscriptionPaused = "subscription.paused", true;
    /// It goes on.
    SubscriptionResumed = "subscription.resumed", true;
    /// It ends with its period, or its last instalment is collected.
    SubscriptionCanceled = "subscription.canceled", true;
    /// A payment of its schedule was collected.
    SubscriptionRenewed = "subscription.renewed", true;
    /// A bill was issued.
    InvoiceOpened = "invoice.opened", false;
    /// A scheduled bill was moved or repriced by a person.
    InvoiceUpdated = "invoice.updated", false;
    /// A bill was settled without a charge: it was of zero, or was paid by other means.
    InvoicePaid = "invoice.paid", false;
    /// A bill became void: a person skipped it, or its subscription or test clock was deleted before it was issued.
    InvoiceVoided = "invoice.voided", false;
    /// A payment of the schedule failed; the bill stays open.
    InvoicePaymentFailed = "invoice.payment_failed", false;
    /// A switch of all subscriptions of a plan was asked for.
    PlanSwitchCreated = "plan_switch.created", false;
    /// It is reserved for all of them.
    PlanSwitchScheduled = "plan_switch.scheduled", false;
    /// It was undone.
    PlanSwitchUndone = "plan_switch.undone", false;
    /// A test clock was made.
    TestClockCreated = "test_clock.created", false;
    /// A test clock sets out.
    TestClockAdvancing = "test_clock.advancing", false;
    /// A test clock has arrived.
    TestClockReady = "test_clock.ready", false;
    /// A test clock could not go on.
    TestClockFailed = "test_clock.failed", false;
    /// A test clock was deleted with its customers.
    TestClockDeleted = "test_clock.deleted", false;
    /// Somebody tries whether a webhook endpoint receives anything.
    WebhookEndpointTested = "webhook_endpoint.tested", false;
}

impl Kind {
    /// Whether what it happened to is an invoice.
    pub fn is_about_invoice(self) -> bool {
        self.as_str().starts_with("invoice.")
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// Not a kind of event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a type of event")]
pub struct UnknownKind(String);
