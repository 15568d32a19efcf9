//! What a request does to a subscription: what is paid now, and what holds from then on.
//!
//! A request reads the facts into an [`Agreement`], asks one function, and gets a [`Step`]: what must be paid inside
//! the request ([`DueNow`]) and the [`Course`] that holds when it is. A decline leaves everything as it was; the bill
//! that the request made becomes void. The course is stored with the bill, so that whoever learns that it is paid can
//! apply it. Nothing here charges, reads a clock or knows SQL.
//!
//! | request | file |
//! |---|---|
//! | create | [`create`] |
//! | change plan, quantity, trial or the plan of the next cycle | [`update`] |
//! | pause, cancel, end of the period after cancel | [`stop`] |
//! | resume | [`resume`] |
//! | delete, with the refund of what is left | [`delete`] |
//! | move, reprice or skip the scheduled invoice | [`edit`] |
//! | the next cycles, to be shown, also after a change | [`preview`] |
//!
//! The dialect is PAY.JP's (specs/payjp-v1.md 6), in teiki's calendar or in PAY.JP's. Boundaries that a request makes
//! are whole seconds: the second in which it came. Where the specification is silent the function says what it does.

use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::{Anchor, CalendarError, Cycle, Period};
use crate::invoice::{AMOUNT_MIN, Line};
use crate::ledger::Entry;
use crate::money::{Money, MoneyError};
use crate::plan::{AMOUNT_MAX, Plan};
use crate::renewal::{self, Next, carried};
use crate::subscription::{self, CancelReason, State};
use crate::tax::{TaxError, TaxedSum};

mod create;
mod delete;
mod draw;
mod edit;
mod preview;
mod resume;
mod stop;
mod update;

pub use create::{New, create};
pub use delete::{Paid, REFUND_DAYS_MAX, Refund, deleted, refund_left};
pub use edit::{charge_window, skip, valid_amount};
pub use preview::{PREVIEW_MAX, after, preview};
pub use resume::{Resumption, resume};
pub use stop::{cancel, ends_at, pause};
pub use update::{Change, drawn, redrawn, update};

/// The most of one plan that a subscription is for: far above what is sold, and sums stay in range.
pub const QUANTITY_MAX: u32 = 10_000;
/// The furthest end of a trial that a request may name, in years (specs/payjp-v1.md 6.1).
pub const TRIAL_YEARS_MAX: i64 = 5;

/// A subscription as it stands, that is not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement<'a> {
    /// Where it stands.
    pub state: State,
    /// What it is for.
    pub plan: &'a Plan,
    /// The plan that is reserved: a renewal switches it to that.
    pub next_plan: Option<&'a Plan>,
    /// The first start of a period that the reserved plan may have; `None` is the next renewal.
    pub next_plan_from: Option<Timestamp>,
    /// How many of the plan: 1 to [`QUANTITY_MAX`]. Multiplies the price, not the set-up fee.
    pub quantity: u32,
    /// Whether a part of a period is charged by the day where the plan has a billing day.
    pub prorate: bool,
    /// What its dates count from.
    pub anchor: Anchor,
    /// The current period: paid, free in a trial, or waiting for the first charge.
    pub period: Period,
    /// The last trial that it was given; may be over.
    pub trial: Option<Period>,
    /// Invoices still to issue, the scheduled one included; `None` goes on until canceled.
    pub remaining: Option<u32>,
    /// The dates of its scheduled invoice, as they are stored; also while that is off the work list.
    pub scheduled: Option<Cycle>,
    /// The first number that no invoice of it has had: the greatest cycle of all of its invoices, and one.
    pub next_cycle: u32,
    /// How many of its invoices are open. Not negative.
    pub open_invoices: i64,
    /// Whether no bill of it has been issued yet, so that the next one bears the set-up fee.
    pub is_first_bill: bool,
}

/// The end of a trial that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialEnd {
    /// No trial, or an end of the one that runs.
    Now,
    /// Then: after now, at most [`TRIAL_YEARS_MAX`] years.
    At(Timestamp),
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is paid inside the request.
    pub due_now: DueNow,
    /// What holds when it is paid; at once when nothing is due.
    pub then: Course,
}

/// What a request must collect before it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueNow {
    /// Nothing, also when the price is zero: there is no invoice.
    Nothing,
    /// A bill that the request makes. Declined, it becomes void.
    Bill(Bill),
    /// The oldest open invoice of the subscription. Declined, it stays open.
    OldestOpen,
}

/// A bill that is issued and paid inside a request. Its obligation is [`crate::invoice::change_obligation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// The period that it pays for; charged now.
    pub cycle: Cycle,
    /// Positive.
    pub amount: Money,
    /// They add up to `amount`.
    pub lines: Vec<Line>,
    /// Tax per rate.
    pub tax: Vec<TaxedSum>,
    /// What issuing it puts into the books.
    pub entries: Vec<Entry>,
}

/// What holds of a subscription from a request on. Persisted as JSON with the bill; only ever add fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// Where it stands.
    pub state: State,
    /// The id of its plan.
    pub plan: String,
    /// The id of the plan that the scheduled invoice switches it to.
    pub next_plan: Option<String>,
    /// The first start of a period that it may have; `None` is the next renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_plan_from: Option<Timestamp>,
    /// How many of the plan.
    pub quantity: u32,
    /// Whether a part of a period is charged by the day.
    pub prorate: bool,
    /// What its dates count from.
    pub anchor: Anchor,
    /// The current period.
    pub period: Period,
    /// The last trial; may be over.
    pub trial: Option<Period>,
    /// Invoices still to issue, the scheduled one included.
    pub remaining: Option<u32>,
    /// What becomes of the scheduled invoice.
    pub upcoming: Upcoming,
    /// When it is deleted, with its scheduled invoice made void; may be past, then at once. Only after a cancel.
    pub ends_at: Option<Timestamp>,
}

/// What becomes of the scheduled invoice; a subscription has at most one. Persisted as JSON; keep stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upcoming {
    /// It is as it was, and on the work list at its charge time.
    Kept,
    /// It is as it was, and off the work list.
    Off,
    /// It keeps its number; its dates, amount, plan and lines are these.
    Edited(Next),
    /// It becomes void if there is one, and this one, with a number that none has had, is scheduled.
    Replaced(Next),
    /// It becomes void if there is one.
    Void,
}

impl Course {
    /// The same course with numbers that are still free. `next_cycle` is the first number that no invoice of the
    /// subscription has had when the course is applied, which may be long after it was planned. Dates stay.
    #[must_use]
    pub fn renumbered(mut self, next_cycle: u32) -> Self {
        if let Upcoming::Replaced(next) = &mut self.upcoming {
            let shift = next_cycle.saturating_sub(next.cycle.number);
            next.cycle.number = next.cycle.number.saturating_add(shift);
            self.anchor.cycle = self.anchor.cycle.saturating_add(shift);
        }
        self
    }
}

/// Which of the plans that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The one that it is to be for.
    Plan,
    /// The one of its next cycle.
    NextPlan,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Pausing or changing a paused one.
    #[error("the subscription is paused")]
    AlreadyPaused,
    /// Pausing, changing or canceling a canceled one, or resuming one that has ended.
    #[error("the subscription is canceled")]
    AlreadyCanceled,
    /// A change to the plan that it has, at once or for the next cycle.
    #[error("the subscription is for this plan already")]
    AlreadySubscribed(Named),
    /// Resuming what runs and owes nothing.
    #[error("the subscription is running")]
    SubscriptionWorked,
    /// Not after now, more than [`TRIAL_YEARS_MAX`] years ahead, given where an open invoice is paid, or after the last
    /// instalment.
    #[error(
        "invalid trial_end: it must be after now and at most {TRIAL_YEARS_MAX} years ahead; none is taken where a resume pays an open invoice, nor after the last instalment"
    )]
    InvalidTrialEnd,
    /// `prorate` without `plan`.
    #[error("invalid prorate: it is set together with a change of plan only")]
    CannotChangeProrateStatus,
    /// A plan of another currency.
    #[error("the plan has another currency")]
    InvalidPlan(Named),
    /// Neither zero nor [`AMOUNT_MIN`] to [`AMOUNT_MAX`].
    #[error("invalid amount: it must be 0, or {AMOUNT_MIN} to {AMOUNT_MAX}")]
    InvalidAmount,
    /// Nothing is scheduled: the last instalment is issued.
    #[error("no further invoice is scheduled")]
    NothingScheduled,
    /// Not 1 to [`quantity_max`] of a plan: of the present one, or of the one that it changes to.
    #[error(
        "invalid quantity: of the plan {plan} it must be 1 to {most}, not {found}, for an invoice is at most {AMOUNT_MAX} yen"
    )]
    InvalidQuantity {
        /// The id of the plan.
        plan: String,
        /// What is possible.
        most: u32,
        /// What was asked for, or is kept.
        found: u32,
    },
    /// The payment that would be refunded is older than [`REFUND_DAYS_MAX`] days.
    #[error("a payment is refunded within {REFUND_DAYS_MAX} days only")]
    CannotProratedRefund,
    /// A date is beyond the calendar: of a plan of centuries.
    #[error("its dates would be beyond the year 9999: choose a plan with a shorter interval")]
    BeyondCalendar,
    /// A bill or a date cannot be computed: a fault of ours, for what requests may name stays in range.
    #[error(transparent)]
    Bill(#[from] renewal::Refused),
}

impl Refused {
    /// The error code of PAY.JP's dialect (specs/payjp-v1.md 3.4); `invalid_quantity`, `nothing_scheduled` and
    /// `beyond_calendar` are teiki's own.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyPaused => "already_paused",
            Self::AlreadyCanceled => "already_canceled",
            Self::AlreadySubscribed(_) => "already_subscribed",
            Self::SubscriptionWorked => "subscription_worked",
            Self::InvalidTrialEnd => "invalid_trial_end",
            Self::CannotChangeProrateStatus => "cannot_change_prorate_status",
            Self::InvalidPlan(_) => "invalid_plan",
            Self::InvalidAmount => "invalid_amount",
            Self::NothingScheduled => "nothing_scheduled",
            Self::InvalidQuantity { .. } => "invalid_quantity",
            Self::CannotProratedRefund => "cannot_prorated_refund_of_subscription",
            Self::BeyondCalendar => "beyond_calendar",
            Self::Bill(_) => "payjp_wrong",
        }
    }
}

impl From<CalendarError> for Refused {
    fn from(error: CalendarError) -> Self {
        match error {
            CalendarError::OutOfRange => Self::BeyondCalendar,
            CalendarError::UnknownUnit(_)
            | CalendarError::UnknownCalendar(_)
            | CalendarError::CountOutOfRange(_)
            | CalendarError::UnknownZone(_)
            | CalendarError::BeforeAnchor { .. } => Self::Bill(error.into()),
        }
    }
}

impl From<TaxError> for Refused {
    fn from(error: TaxError) -> Self {
        Self::Bill(error.into())
    }
}

impl From<MoneyError> for Refused {
    fn from(error: MoneyError) -> Self {
        Self::Bill(TaxError::from(error).into())
    }
}

/// A state that does not allow the request. Each function has asked the state before, so only these remain.
impl From<subscription::Refused> for Refused {
    fn from(refused: subscription::Refused) -> Self {
        match refused.state {
            State::Trialing | State::Active | State::PastDue => Self::SubscriptionWorked,
            State::Paused => Self::AlreadyPaused,
            State::Canceled(_) => Self::AlreadyCanceled,
        }
    }
}

impl<'a> Agreement<'a> {
    /// Whether its trial has not ended at `now`.
    pub fn is_in_trial(&self, now: Timestamp) -> bool {
        self.trial.is_some_and(|trial| trial.end > now)
    }

    /// The plan of the period that a renewal begins at `start`.
    fn plan_from(&self, start: Timestamp) -> &'a Plan {
        match self.next_plan {
            Some(next) if self.next_plan_from.is_none_or(|from| from <= start) => next,
            Some(_) | None => self.plan,
        }
    }

    /// The same where a bill that is not a renewal is made at `now`: only a reservation whose day has come holds for it.
    fn on_the_day(self, now: Timestamp) -> Self {
        match (self.next_plan, self.next_plan_from) {
            (Some(next), Some(from)) if from <= now => Self {
                plan: next,
                next_plan: None,
                next_plan_from: None,
                remaining: carried((self.plan.instalments, self.remaining), next.instalments),
                ..self
            },
            (Some(_) | None, _) => self,
        }
    }

    /// Its course as it stands, but in `state` and with this scheduled invoice.
    fn course(&self, state: State, upcoming: Upcoming) -> Course {
        Course {
            state,
            plan: self.plan.id.clone(),
            next_plan: self.next_plan.map(|plan| plan.id.clone()),
            next_plan_from: self.next_plan_from,
            quantity: self.quantity,
            prorate: self.prorate,
            anchor: self.anchor,
            period: self.period,
            trial: self.trial,
            remaining: self.remaining,
            upcoming,
            ends_at: ends_at(state, self.period),
        }
    }

    /// Whether the last instalment is issued and nothing is open, so that it has completed.
    const fn has_completed(&self) -> bool {
        matches!(self.remaining, Some(0)) && self.open_invoices == 0
    }
}

const COMPLETED: State = State::Canceled(CancelReason::Completed);

/// The second that `now` is in.
fn whole_second(now: Timestamp) -> Result<Timestamp, CalendarError> {
    Timestamp::from_second(now.as_second()).map_err(|_| CalendarError::OutOfRange)
}

/// The end of a trial that was named at `now`.
fn valid_trial_end(end: Timestamp, now: Timestamp) -> Result<Timestamp, Refused> {
    let years = now.to_zoned(jiff::tz::TimeZone::UTC).checked_add(Span::new().years(TRIAL_YEARS_MAX));
    let last = years.map_err(|_| CalendarError::OutOfRange)?.timestamp();
    if end > now && end <= last { Ok(end) } else { Err(Refused::InvalidTrialEnd) }
}

/// The most of `plan` that a subscription is for: its price times that fits an invoice, with the set-up fee on it.
pub fn quantity_max(plan: &Plan) -> u32 {
    match plan.amount.minor {
        price @ 1.. => u32::try_from((AMOUNT_MAX - plan.setup_fee.minor) / price)
            .unwrap_or(QUANTITY_MAX)
            .min(QUANTITY_MAX),
        _ => QUANTITY_MAX,
    }
}

fn valid_quantity(plan: &Plan, quantity: u32) -> Result<u32, Refused> {
    let most = quantity_max(plan);
    if (1..=most).contains(&quantity) {
        Ok(quantity)
    } else {
        Err(Refused::InvalidQuantity { plan: plan.id.clone(), most, found: quantity })
    }
}

#[cfg(test)]
mod tests;
